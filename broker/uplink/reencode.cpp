#include "broker/uplink/reencode.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <deque>
#include <utility>

#include "sdk/cluster/partitioner.hpp"
#include "sdk/compression/compression.hpp"

namespace leat::uplink {
namespace {

struct Placed {
    const wire::BatchHeader* from;
    std::int32_t partition;
    wire::RecordView record;
};

/// Wraps instead of overflowing: the bytes may be anything, and a sum that wraps is only a wrong
/// offset or time.
std::int64_t sum(std::int64_t base, std::int64_t delta) {
    return static_cast<std::int64_t>(static_cast<std::uint64_t>(base) +
                                     static_cast<std::uint64_t>(delta));
}

constexpr std::string_view gateway_header = "leat-gateway";

bool contains(std::span<const OffsetRange> ranges, std::int64_t offset) {
    const auto behind =
        std::upper_bound(ranges.begin(), ranges.end(), offset,
                         [](std::int64_t at, const OffsetRange& range) { return at < range.from; });
    return behind != ranges.begin() && offset < (behind - 1)->to;
}

bool carries(wire::RecordHeaders headers, std::string_view gateway) {
    while (const std::optional<wire::RecordHeader> header = headers.next())
        if (header->key.view() == gateway_header && text_of(header->value) == gateway) return true;
    return false;
}

/// A number as text, in memory of its own.
struct Decimal {
    explicit Decimal(std::int64_t value) {
        end = std::to_chars(text.data(), text.data() + text.size(), value).ptr;
    }
    std::string_view view() const {
        return {text.data(), static_cast<std::size_t>(end - text.data())};
    }

    std::array<char, 24> text{};
    char* end = nullptr;
};

class Builder {
public:
    Builder(std::span<const wire::BatchView> batches, const ReencodeRules& rules)
        : batches_(batches), codec_(batches.front().codec()), rules_(rules) {}

    Result<std::vector<Part>> run();

private:
    Status take_apart(const wire::BatchView& batch);
    Status add(const Placed& placed);
    Status put(const wire::RecordInput& record);
    Status close();

    std::span<const wire::BatchView> batches_;
    Codec codec_;
    const ReencodeRules& rules_;
    std::deque<std::vector<std::uint8_t>> plain_;  // what was decompressed; records borrow it
    std::size_t plain_bytes_ = 0;
    std::vector<Placed> placed_;
    std::vector<std::uint8_t> memory_;
    std::size_t usual_bytes_ = 0;
    wire::BatchBuilder builder_;
    std::int32_t partition_ = -1;
    std::vector<wire::RecordHeader> headers_;
    std::vector<OffsetRange> offsets_;  // of the open part
    std::vector<Part> parts_;
};

Result<std::vector<Part>> Builder::run() {
    for (const wire::BatchView& batch : batches_)
        if (const Status status = take_apart(batch); !status) return fail(status.error());
    std::stable_sort(placed_.begin(), placed_.end(),
                     [](const Placed& a, const Placed& b) { return a.partition < b.partition; });

    const std::size_t all = plain_bytes_ + plain_bytes_ / 2 + 256;
    usual_bytes_ = wire::batch_header_size +
                   std::min(part_bytes_max, rules_.to_bytes < rules_.of_bytes
                                                ? plain_bytes_ * rules_.to_bytes / rules_.of_bytes
                                                : all);
    memory_.resize(usual_bytes_);
    builder_ = wire::BatchBuilder(memory_);
    for (const Placed& one : placed_)
        if (const Status status = add(one); !status) return fail(status.error());
    if (const Status status = close(); !status) return fail(status.error());
    return std::move(parts_);
}

Status Builder::take_apart(const wire::BatchView& batch) {
    ByteView records = batch.records();
    if (batch.codec() != Codec::none) {
        const Status status = compression::decompress(batch.codec(), records, plain_.emplace_back(),
                                                      plain_bytes_max - plain_bytes_);
        if (!status) return status;
        records = plain_.back();
    }
    if (records.size() > plain_bytes_max - plain_bytes_) return fail(Error::too_large);
    plain_bytes_ += records.size();
    wire::RecordReader reader(records, batch.header().record_count);
    while (const std::optional<wire::RecordView> record = reader.next()) {
        const std::int64_t at = sum(batch.header().base_offset, record->offset_delta);
        if (at < rules_.from_offset || contains(rules_.without, at)) continue;
        if (rules_.returned != nullptr && carries(record->headers, *rules_.gateway_id)) {
            ++*rules_.returned;
            continue;
        }
        std::int32_t partition = rules_.partition;
        if (rules_.partition_count > 0 && !record->key.is_null())
            partition = cluster::partition_of_key(record->key, rules_.partition_count);
        placed_.push_back({&batch.header(), partition, *record});
    }
    return reader.finish();
}

Status Builder::add(const Placed& placed) {
    if (placed.partition != partition_) {
        if (const Status status = close(); !status) return status;
        partition_ = placed.partition;
    }
    const wire::BatchHeader& from = *placed.from;
    headers_.clear();
    wire::RecordHeaders own = placed.record.headers;
    while (const std::optional<wire::RecordHeader> header = own.next()) headers_.push_back(*header);
    const std::int64_t at = sum(from.base_offset, placed.record.offset_delta);
    const Decimal offset(at);
    const Decimal epoch(from.partition_leader_epoch);
    if (rules_.gateway_id) {
        headers_.push_back({.key = gateway_header, .value = bytes_of(*rules_.gateway_id)});
        headers_.push_back({.key = "leat-offset", .value = bytes_of(offset.view())});
        headers_.push_back({.key = "leat-epoch", .value = bytes_of(epoch.view())});
    }
    const std::int64_t created = sum(from.base_timestamp, placed.record.timestamp_delta);
    const wire::RecordInput record{
        .timestamp = from.is_log_append_time() ? from.max_timestamp : created,
        .key = placed.record.key,
        .value = placed.record.value,
        .headers = headers_};
    if (const Status status = put(record); !status) return status;
    if (!offsets_.empty() && offsets_.back().to == at)
        offsets_.back().to = sum(at, 1);
    else
        offsets_.push_back({at, sum(at, 1)});
    return ok();
}

Status Builder::put(const wire::RecordInput& record) {
    Status status = builder_.append(record);
    if (!status && !builder_.empty()) {
        if (const Status closed = close(); !closed) return closed;
        status = builder_.append(record);
    }
    if (status) return status;
    // One record, longer than a part: memory of its own size. Only headers and time stamp can have
    // grown it.
    memory_.resize(wire::batch_header_size + builder_.size_of(record));
    builder_ = wire::BatchBuilder(memory_);
    return builder_.append(record);
}

Status Builder::close() {
    if (builder_.empty()) return ok();
    Part part;
    part.partition = partition_;
    part.header = builder_.header();
    part.header.attributes = static_cast<std::int16_t>(codec_);
    part.offsets = std::exchange(offsets_, {});
    const Status status = compression::compress(codec_, builder_.records(), part.records);
    parts_.push_back(std::move(part));
    // The memory of one long record is not for those that follow.
    builder_ =
        wire::BatchBuilder(MutableBytes(memory_).first(std::min(memory_.size(), usual_bytes_)));
    return status;
}

/// The whole of what a batch source has only bytes 61 and on of; it borrows `memory`.
Result<wire::BatchView> whole_of(const client::SourceBatch& batch,
                                 std::vector<std::uint8_t>& memory) {
    memory.resize(wire::batch_header_size + batch.records.size());
    copy_bytes(batch.records, MutableBytes(memory).subspan(wire::batch_header_size));
    wire::BatchHeader header;
    header.base_offset = 0;
    header.attributes = batch.attributes;
    header.last_offset_delta = batch.last_offset_delta;
    header.base_timestamp = batch.base_timestamp;
    header.max_timestamp = batch.max_timestamp;
    header.record_count = batch.record_count;
    wire::seal_batch_header(header, batch.records, memory.data());
    return wire::BatchView::parse(memory);
}

}  // namespace

bool may_go_whole(const wire::BatchHeader& header) {
    return header.last_offset_delta == header.record_count - 1 && !header.is_log_append_time();
}

Result<std::vector<Part>> reencode(std::span<const wire::BatchView> batches,
                                   const ReencodeRules& rules) {
    LEAT_CHECK(!batches.empty());
    return Builder(batches, rules).run();
}

Result<std::vector<Part>> split(const client::SourceBatch& batch, std::size_t bytes_max) {
    std::vector<std::uint8_t> memory;
    const Result<wire::BatchView> whole = whole_of(batch, memory);
    if (!whole) return fail(whole.error());
    const std::size_t room =
        bytes_max > wire::batch_header_size ? bytes_max - wire::batch_header_size : 0;
    return reencode(*whole, {.to_bytes = room, .of_bytes = batch.records.size()});
}

Result<std::vector<Part>> leave_out(const client::SourceBatch& batch,
                                    std::span<const OffsetRange> places) {
    std::vector<std::uint8_t> memory;
    const Result<wire::BatchView> whole = whole_of(batch, memory);
    if (!whole) return fail(whole.error());
    return reencode(*whole, {.without = places});
}

}  // namespace leat::uplink
