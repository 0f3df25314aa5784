#include "broker/topics/validate.hpp"

#include <algorithm>
#include <limits>

#include "broker/topics/record_walk.hpp"
#include "sdk/compression/compression.hpp"

namespace leat::topics {
namespace {

using wire::BatchHeader;
using wire::BatchView;
using wire::ErrorCode;

constexpr std::int64_t no_timestamp = -1;

Validated refuse(ErrorCode error, std::string message) {
    Validated result;
    result.error = error;
    result.message = std::move(message);
    return result;
}

/// [first, last] of the time stamps that are allowed.
struct TimeBounds {
    std::int64_t first = std::numeric_limits<std::int64_t>::min();
    std::int64_t last = std::numeric_limits<std::int64_t>::max();
};

TimeBounds time_bounds(const BatchRules& rules) {
    TimeBounds bounds;
    if (!rules.check_times) return bounds;
    // A bound may be Long.MAX_VALUE, Kafka's "no bound": where the sum leaves 64 bits there is
    // none.
    const std::int64_t now = rules.now.time_since_epoch().count();
    std::int64_t bound = 0;
    if (rules.before_max.count() >= 0 &&
        !__builtin_sub_overflow(now, rules.before_max.count(), &bound))
        bounds.first = bound;
    if (rules.after_max.count() >= 0 &&
        !__builtin_add_overflow(now, rules.after_max.count(), &bound))
        bounds.last = bound;
    return bounds;
}

/// Looks at each record; what it finds wrong is told at the end, as the records may come in pieces.
class RecordJudge {
public:
    RecordJudge(const BatchHeader& header, const BatchRules& rules, Validated& result)
        : base_timestamp_(header.base_timestamp),
          compacted_(rules.compacted),
          bounds_(time_bounds(rules)),
          result_(result) {}

    void operator()(std::int32_t index, const RecordFacts& facts) {
        // Unsigned: a stranger's sum may wrap, and then simply is some time stamp.
        const auto timestamp =
            static_cast<std::int64_t>(static_cast<std::uint64_t>(base_timestamp_) +
                                      static_cast<std::uint64_t>(facts.timestamp_delta));
        if (timestamp > result_.max_timestamp) result_.max_timestamp = timestamp;
        if (facts.offset_delta != index) has_gap_ = true;
        if (facts.keyless && compacted_)
            add(index, ErrorCode::invalid_record, "a compacted topic takes no record without key");
        if (timestamp != no_timestamp && (timestamp < bounds_.first || timestamp > bounds_.last))
            add(index, ErrorCode::invalid_timestamp,
                "timestamp " + std::to_string(timestamp) + " is outside [" +
                    std::to_string(bounds_.first) + ", " + std::to_string(bounds_.last) + "]");
    }
    bool has_gap() const { return has_gap_; }
    ErrorCode error() const { return error_; }
    std::size_t problem_count() const { return problem_count_; }

private:
    void add(std::int32_t index, ErrorCode error, std::string message) {
        if (error_ == ErrorCode::none)
            error_ = error;  // as Kafka: the first one names the batch's error
        ++problem_count_;
        if (result_.problems.size() < record_problems_max)
            result_.problems.push_back({.index = index, .message = std::move(message)});
    }

    std::int64_t base_timestamp_;
    bool compacted_;
    TimeBounds bounds_;
    Validated& result_;
    bool has_gap_ = false;
    ErrorCode error_ = ErrorCode::none;
    std::size_t problem_count_ = 0;
};

const char* name_of(Codec codec) {
    switch (codec) {
        case Codec::none:
            return "none";
        case Codec::gzip:
            return "gzip";
        case Codec::snappy:
            return "snappy";
        case Codec::lz4:
            return "lz4";
        case Codec::zstd:
            return "zstd";
    }
    return "unknown";
}

/// What the 61 bytes of the header alone tell.
Validated judge_header(const BatchHeader& header, const BatchRules& rules) {
    if (header.codec() > Codec::zstd)
        return refuse(
            ErrorCode::invalid_record,
            "compression codec " + std::to_string(header.attributes & 7) + " does not exist");
    if (header.codec() == Codec::zstd && rules.produce_version < 7)
        return refuse(ErrorCode::unsupported_compression_type,
                      "zstd needs Produce version 7 or later");
    if (header.record_count <= 0 || header.last_offset_delta != header.record_count - 1)
        return refuse(ErrorCode::invalid_record, "the batch claims " +
                                                     std::to_string(header.record_count) +
                                                     " records and a last offset delta of " +
                                                     std::to_string(header.last_offset_delta));
    if (header.is_control())
        return refuse(ErrorCode::invalid_record, "producers may not write control batches");
    if (header.is_log_append_time())
        return refuse(ErrorCode::invalid_timestamp,
                      "producers may not set the timestamp type LogAppendTime");
    if (header.producer_id >= 0 && header.base_sequence < 0)
        return refuse(ErrorCode::invalid_record, "a batch with a producer id has the sequence " +
                                                     std::to_string(header.base_sequence));
    if (header.is_transactional() && !rules.transactions)
        return refuse(ErrorCode::invalid_txn_state, "this broker does not serve transactions");
    Validated result;
    result.header = header;
    return result;
}

/// Why decompression ended early, for the producer.
Validated refuse_compressed(Codec codec, Error error, std::size_t bytes_max) {
    const std::string name = name_of(codec);
    if (error == Error::too_large)
        return refuse(ErrorCode::message_too_large,
                      "the " + name + " records expand to more than " +
                          std::to_string(bytes_max) +
                          " bytes, or need a window above 8 MiB");
    return refuse(ErrorCode::invalid_record,
                  "the records are damaged, or not compressed with " + name);
}

/// What a compressed batch may expand to: one that is recoded is held whole, and one that is to be
/// stored expanded has to fit then.
std::size_t expanded_max(const BatchRules& rules, bool recodes) {
    if (!recodes) return rules.decompressed_bytes_max;
    return std::min({rules.decompressed_bytes_max, recoded_from_bytes_max,
                     rules.codec == Codec::none ? rules.bytes_max : recoded_from_bytes_max});
}

/// As Kafka does it: the records stay what they are, byte by byte, only their packing changes.
void recode(ByteView records, const BatchRules& rules, Validated& result) {
    constexpr std::int16_t codec_bits = 7;
    std::vector<std::uint8_t> packed;
    if (!compression::compress(*rules.codec, records, packed)) {  // not of a size that comes here
        result = refuse(ErrorCode::message_too_large, "the batch cannot be compressed");
        return;
    }
    if (wire::batch_header_size + packed.size() > rules.bytes_max) {
        const std::size_t size = wire::batch_header_size + packed.size();
        result = refuse(ErrorCode::message_too_large,
                        "the batch has " + std::to_string(size) + " bytes with " +
                            name_of(*rules.codec) + ", the topic takes " +
                            std::to_string(rules.bytes_max));
        return;
    }
    BatchHeader& header = result.header;
    header.attributes = static_cast<std::int16_t>((header.attributes & ~codec_bits) |
                                                  static_cast<std::int16_t>(*rules.codec));
    header.max_timestamp = result.max_timestamp;
    result.recoded.resize(wire::batch_header_size + packed.size());
    wire::seal_batch_header(header, packed, result.recoded.data());
    copy_bytes(packed, MutableBytes(result.recoded).subspan(wire::batch_header_size));
}

}  // namespace

bool is_work(ByteView records, std::optional<Codec> codec) {
    const Result<BatchView> batch = BatchView::cut(records);
    return batch && (batch->codec() != Codec::none || codec.value_or(Codec::none) != Codec::none);
}

std::size_t recoded_bytes_max(ByteView records, const BatchRules& rules) {
    const Result<BatchView> batch = BatchView::cut(records);
    if (!batch || !rules.codec || *rules.codec == batch->codec()) return 0;
    if (batch->codec() != Codec::none) return rules.bytes_max;
    // What does not compress grows by a little.
    return std::min<std::size_t>(rules.bytes_max, records.size() + records.size() / 8 + 4 * KiB);
}

Validated validate(ByteView records, const BatchRules& rules) {
    if (records.empty()) return refuse(ErrorCode::invalid_record, "there is no record batch");
    const Result<BatchView> batch = BatchView::cut(records);
    if (!batch) {
        if (batch.error() == Error::unsupported)
            return refuse(ErrorCode::invalid_record, "only record batches of magic 2 are taken");
        return refuse(ErrorCode::corrupt_message, "the record batch is shorter than it says");
    }
    if (batch->header().base_offset != 0)
        return refuse(ErrorCode::invalid_record, "the base offset of a new batch must be 0");
    // Size before CRC: an oversized batch is answered without reading it.
    if (batch->whole().size() > rules.bytes_max)
        return refuse(ErrorCode::message_too_large,
                      "the batch has " + std::to_string(batch->whole().size()) +
                          " bytes, the topic takes " + std::to_string(rules.bytes_max));
    if (batch->whole().size() != records.size())
        return refuse(ErrorCode::invalid_record, "there must be exactly one record batch");
    if (!batch->crc_ok())
        return refuse(ErrorCode::corrupt_message, "the CRC of the record batch does not match");

    Validated result = judge_header(batch->header(), rules);
    if (result.error != ErrorCode::none) return result;

    const std::int32_t count = batch->header().record_count;
    RecordJudge judge(batch->header(), rules, result);
    const bool recodes = rules.codec && *rules.codec != batch->codec();
    std::vector<std::uint8_t> expanded;  // only to be recoded
    bool whole = false;
    if (batch->codec() == Codec::none) {
        whole = walk_records(batch->records(), count, judge);
    } else {
        PieceWalk<RecordJudge> walk(count, judge);
        bool walked = true;  // tells a bad record from a bad compressed stream
        const auto feed = [&](ByteView piece) {
            const Status status = walk.feed(piece);
            walked = static_cast<bool>(status);
            if (recodes) expanded.insert(expanded.end(), piece.begin(), piece.end());
            return status;
        };
        const std::size_t bytes_max = expanded_max(rules, recodes);
        const Status status = compression::decompress_chunks(batch->codec(), batch->records(),
                                                             bytes_max, feed);
        if (!status && walked) return refuse_compressed(batch->codec(), status.error(), bytes_max);
        whole = status && walk.finished();
    }
    if (!whole)
        return refuse(ErrorCode::invalid_record, "the batch does not hold exactly the " +
                                                     std::to_string(count) + " records it claims");
    if (judge.has_gap())
        return refuse(ErrorCode::invalid_record,
                      "the records' offset deltas are not 0, 1, 2 and so on");
    if (judge.error() != ErrorCode::none) {
        result.error = judge.error();
        result.message = std::to_string(judge.problem_count()) + " of " + std::to_string(count) +
                         " records were refused; the first: " + result.problems.front().message;
    } else if (recodes) {
        recode(batch->codec() == Codec::none ? batch->records() : expanded, rules, result);
    }
    return result;
}

}  // namespace leat::topics
