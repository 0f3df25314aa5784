// Where a reader meets what does not hold: how it goes on, and what it says is lost.
//
// Of most streams all between two batches that hold is lost. Compaction leaves gaps, so of a stream
// that it works on only what may have stood where the damage is: behind the first offset that the
// segment's footer tells of and in front of the last one; and of survivors, where such gaps are
// inside a segment as well, nothing, if as many batches of it are found there as the footer tells
// of: then what does not hold was another stream's.
#include <algorithm>
#include <utility>

#include "broker/log/read.hpp"

namespace leat::log {

bool Reader::has_gaps(const Job& job) const {
    const Stream* stream = core_.streams.find(job.request.stream);
    return stream != nullptr && stream->has_gaps;
}

void Reader::nothing_wanted_hit(Job& job) {
    job.damaged = job.doubted = false;
    job.hurt_from = -1;
    job.lost.clear();
}

/// From here on something may be lost.
void Reader::hurt(Job& job, Offset from) {
    job.damaged = true;
    job.hurt_from = job.hurt_from < 0 ? from : std::min(job.hurt_from, from);
}

/// What is lost of this segment ends with what it holds, if its own footer says so.
void Reader::leave_hurt_segment(Job& job) {
    if (job.hurt_from < 0 || job.here_scanned || !has_gaps(job)) return;
    if (job.hurt_from < job.here.end_offset)
        job.lost.emplace_back(job.hurt_from, job.here.end_offset);
    job.hurt_from = -1;
}

void Reader::tell_damaged(Job& job) const {
    if (!on_damaged || job.target <= job.request.from) return;
    const StreamId id = job.request.stream;
    if (!has_gaps(job)) return on_damaged(id, job.request.from, job.target, job.damaged_bytes);
    if (job.hurt_from >= 0) job.lost.emplace_back(job.hurt_from, job.target);
    for (const auto& [from, to] : job.lost)
        if (const Offset begin = std::max(from, job.request.from); begin < to)
            on_damaged(id, begin, to, std::exchange(job.damaged_bytes, 0));
}

/// Whether what does not hold at job.position may be a batch of the stream. `go_on`: it is counted
/// first, from the segment's front, what of it holds here.
Reader::Next Reader::count_here(Job& job, bool& all_here) {
    all_here = false;
    const SegmentEntry& entry = core_.segments[job.node.segment];
    if (job.stage != Stage::frame || job.in_more || !entry.records || job.here_scanned ||
        job.filled > 0 || job.by_time || !has_gaps(job))
        return Next::finished;
    if (job.counted_in == job.generation) {
        all_here = job.all_here;
        return Next::finished;
    }
    job.counting = true;
    job.counted = 0;
    job.count_from = job.position;
    job.position = job.here.points.empty() ? core_.page : job.here.points.front().position;
    job.head_have = 0;
    job.resync = false;
    return Next::go_on;
}

/// To where the damage was met.
Reader::Next Reader::counted(Job& job) {
    job.counting = job.resync = false;
    job.counted_in = job.generation;
    job.all_here = job.counted >= job.here.batches;
    job.position = job.count_from;
    job.head_have = 0;
    job.stage = Stage::frame;
    return Next::go_on;
}

/// What stands at job.position cannot be read. Goes on behind it, to say where reading may be
/// resumed.
Reader::Next Reader::damage(Job& job, Damaged what) {
    constexpr std::uint32_t doubts_max = 64;
    if (!job.counting) {
        if (what == Damaged::bytes && !job.damaged && look_again(job)) return Next::go_on;
        bool all_here = false;
        if (what != Damaged::doubted && count_here(job, all_here) == Next::go_on)
            return Next::go_on;
        if (what == Damaged::doubted) {
            job.doubted = true;
            if (++job.doubts >= doubts_max) return fail_with(job, Error::storage);
        } else if (!all_here) {
            ++core_.counters.damaged_batches;
        }
        if (!all_here) hurt(job, std::max(job.target, job.here.first_offset));
    }
    job.in_more = false;
    job.head_have = 0;
    if (job.filled > 0) return finish(job);
    // A frame whose header held can be stepped over; else the next one that holds is looked for.
    if (job.stage == Stage::body && job.frame_position == job.position) {
        job.position += static_cast<std::uint32_t>(job.frame.padded_bytes());
        // Its last offset is as doubtful as the rest: the next batch, or the index, says how far.
        job.damaged_bytes += job.batch.total_bytes;
    } else if (what == Damaged::bytes) {
        job.position += 8;
        job.resync = true;
    } else {
        job.resync = true;
        const std::uint32_t page_at = job.refused_at / core_.page * core_.page;
        job.position = std::min(page_at + core_.page, data_end(job.node.segment));
    }
    job.stage = Stage::frame;
    return Next::go_on;
}

/// A bit may flip on the way, too: what does not hold is read once more, from the device, where the
/// batch begins. false: it was.
bool Reader::look_again(Job& job) {
    constexpr std::uint32_t looks_max = 8;  // of a device that gives something else each time
    const bool batch = job.in_more || job.stage == Stage::body;
    const std::uint32_t from = batch ? job.frame_position : job.position;
    const std::uint64_t here = std::uint64_t{job.node.segment} << 32 | from;
    if (job.looks == looks_max || std::exchange(job.looked_at, here) == here) return false;
    ++job.looks;
    blocks_.drop(job.node.segment, from, job.read_to);
    job.position = from;
    job.in_more = false;
    job.head_have = 0;
    job.stage = Stage::frame;
    return true;
}

}  // namespace leat::log
