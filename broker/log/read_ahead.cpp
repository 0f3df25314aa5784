// What a job will want next, read while it is busy: the rest of its batch, then the blocks in which
// the index says that others of the stream begin, in this segment and in the ring's next one.
// Advice only: whatever is wrong here costs reads and no record.
#include <algorithm>

#include "broker/log/read.hpp"

namespace leat::log {

namespace {
constexpr std::size_t ahead_min = 12;  ///< blocks, for who reads on in small steps
}  // namespace

/// Who asks for this stream next, from here, reads on.
void Reader::ended(Job& job) {
    if (job.filled == 0) return;
    ended_[ended_next_++ % ended_.size()] = {job.request.stream, job.target};
    blocks_.keep(job.node.segment, job.generation, job.position);
    // Until he has taken what he got the device has nothing else to do for him.
    if (job.goes_on && job.target < end_of_request(job))
        read_ahead(job, job.position, Ahead::all);
}

/// The part of the ring's next segment that holds the stream; null: none, or not known yet.
const StreamInSegment* Reader::next_in_ring(Job& job) {
    const auto& ring = core_.segments.ring();
    const auto at = std::upper_bound(
        ring.begin(), ring.end(), job.node.segment,
        [this](std::uint32_t a, std::uint32_t b) { return core_.segments.before(a, b); });
    // What stands in the open one is mostly in memory still.
    if (at == ring.end() || *at == arrivals_.segment()) return nullptr;
    const std::uint64_t generation = core_.segments[*at].generation;
    if (job.behind_here != *at || job.behind_generation != generation) {
        Fetched state = Fetched::failed;
        StreamInSegment memory;
        const bool recycled = job.recycled;  // what the job's own search has found
        const StreamInSegment* found = stream_in(job, *at, state, memory, Wanted::soon);
        job.recycled = recycled;
        if (state == Fetched::pending) return nullptr;
        // One that cannot be had is asked for once only: what that costs its reader pays later.
        job.behind = found != nullptr ? std::move(memory) : StreamInSegment{};
        job.behind_here = *at;
        job.behind_generation = generation;
    }
    return job.behind.holds_batches() ? &job.behind : nullptr;
}

void Reader::read_ahead(Job& job, std::uint32_t position, Ahead how) {
    if (core_.segments[job.node.segment].generation != job.generation) return;
    const std::uint32_t size = blocks_.block_bytes();
    const std::uint64_t here = std::uint64_t{job.node.segment} << 32 | position / size;
    if (job.by_time || (std::exchange(job.ahead_of, here) == here && how != Ahead::all)) return;
    if (job.planned_for > 0 && how != Ahead::all) return void(--job.planned_for);
    std::size_t count = (job.into.size() - job.filled) / size;
    if (job.goes_on) count = std::max(ahead_min, count + job.into.size() / size);
    count = std::min(count, blocks_.ahead_max());
    if (count == 0) return;

    struct Place {
        std::uint32_t segment, at;
    };
    std::array<Place, 128> missing;
    std::size_t planned = 0, lacking = 0;
    const auto walk = [&](std::uint32_t segment, const StreamInSegment& stream, std::uint32_t at,
                          std::uint32_t sure) {
        const std::uint64_t generation = core_.segments[segment].generation;
        const std::uint32_t end = data_end(segment);
        const std::uint64_t usual = stream.batch_bytes / std::max(stream.batches, 1u);
        for (; planned < count && lacking < missing.size() && at < end; at += size) {
            const auto point = std::lower_bound(
                stream.points.begin(), stream.points.end(), at,
                [](const Point& p, std::uint32_t from) { return p.position < from; });
            // The last batch that begins in front of this block may reach into it.
            const bool reached =
                at < sure || (point != stream.points.begin() &&
                              std::prev(point)->position + usual > at);
            if (!reached) {
                if (point == stream.points.end()) return;
                at = point->position / size * size;
                if (at >= end) return;
            }
            if (segment == arrivals_.segment() && end - at < size) return;  // it grows
            if (!arrivals_.recent().find(segment, generation, at, 1).empty()) return;
            ++planned;
            if (!blocks_.holds(segment, generation, at)) missing[lacking++] = {segment, at};
        }
    };
    const std::uint32_t left =
        job.stage == Stage::body ? job.batch.total_bytes - job.body_have : 0;
    walk(job.node.segment, job.here, (position / size + 1) * size, position + left);
    // The next footer is asked for an answer before its blocks are: it has to be here by then.
    const bool soon = std::uint64_t{position} + 2 * count * size > data_end(job.node.segment);
    if (const StreamInSegment* next = planned < count || soon ? next_in_ring(job) : nullptr)
        walk(job.behind_here, *next, 0, 0);
    job.planned_for = planned / 4;
    // Several at a time: side by side they are one request to the device.
    if (lacking * 2 < planned && how != Ahead::all) return;
    for (std::size_t i = 0; i < lacking; ++i) {
        const Place& place = missing[i];
        if (!blocks_.read_ahead(place.segment, core_.segments[place.segment].generation, place.at,
                                data_end(place.segment),
                                how == Ahead::all ? BlockCache::Ahead::away
                                                  : BlockCache::Ahead::at_work))
            return void(job.planned_for = 0);
    }
}

}  // namespace leat::log
