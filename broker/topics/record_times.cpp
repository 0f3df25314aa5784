#include "broker/topics/record_times.hpp"

#include <algorithm>

#include "broker/topics/record_walk.hpp"
#include "sdk/compression/compression.hpp"
#include "sdk/wire/record_batch.hpp"

namespace leat::topics {
namespace {

constexpr std::size_t expanded_bytes_max = 32 * MiB;  // what validation let in

class FirstAtOrAfter {
public:
    FirstAtOrAfter(const wire::BatchHeader& header, std::int64_t target, log::Offset from)
        : header_(header), target_(target), from_(from) {}
    void operator()(std::int32_t, const RecordFacts& facts) {
        // Inside the batch's offsets, which hold: the sum is one of them.
        if (found || facts.offset_delta < 0 || facts.offset_delta > header_.last_offset_delta)
            return;
        const log::Offset offset = header_.base_offset + facts.offset_delta;
        if (offset < from_) return;
        const auto timestamp =
            static_cast<std::int64_t>(static_cast<std::uint64_t>(header_.base_timestamp) +
                                      static_cast<std::uint64_t>(facts.timestamp_delta));
        if (timestamp >= target_) found = {offset, timestamp};
    }
    std::optional<log::TimeDone::Found> found;

private:
    const wire::BatchHeader& header_;
    std::int64_t target_;
    log::Offset from_;
};

}  // namespace

std::optional<log::TimeDone::Found> find_record_time(ByteView bytes, std::int64_t target,
                                                     log::Offset from) {
    const auto batch = wire::BatchView::parse(bytes);
    if (!batch) return std::nullopt;
    const wire::BatchHeader& header = batch->header();
    // With LogAppendTime all records have the one time that stands in the header.
    if (header.is_log_append_time()) {
        if (header.max_timestamp < target || from > header.last_offset()) return std::nullopt;
        return log::TimeDone::Found{std::max(header.base_offset, from), header.max_timestamp};
    }
    FirstAtOrAfter first(header, target, from);
    if (batch->codec() == Codec::none) {
        (void)walk_records(batch->records(), header.record_count, first);
        return first.found;
    }
    PieceWalk<FirstAtOrAfter> walk(header.record_count, first);
    (void)compression::decompress_chunks(batch->codec(), batch->records(), expanded_bytes_max,
                                         [&](ByteView piece) -> Status {
                                             if (first.found)
                                                 return fail(Error::closed);  // enough seen
                                             return walk.feed(piece);
                                         });
    return first.found;
}

}  // namespace leat::topics
