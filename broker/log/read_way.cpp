// The way to the segment that holds what is wanted next: from an anchor back along the links of the
// footers, along the ring where those lead nowhere any more, and on to the next one.
#include <algorithm>

#include "broker/log/read.hpp"

namespace leat::log {

namespace {
constexpr std::uint32_t behind_the_newest = no_segment - 1;  ///< walk_back: from the ring's end
// So many of the ring's next segments are asked before the anchors are.
constexpr std::uint32_t forward_max = 4;
}  // namespace

/// `refused`: what of it is found may not be all that the segment holds of it.
const StreamInSegment* Reader::stream_in(Job& job, std::uint32_t segment, Fetched& state,
                                         StreamInSegment& memory, Wanted wanted) {
    state = Fetched::failed;
    job.scanned = false;
    if (segment >= core_.segments.size()) return nullptr;
    const SegmentEntry& entry = core_.segments[segment];
    if (segment == arrivals_.segment()) {
        const auto& streams = arrivals_.index().streams;
        const StreamInSegment* found = streams.find(job.request.stream);
        state = Fetched::ready;
        return found == nullptr || !found->holds_batches() ? nullptr : found;
    }
    job.recycled = entry.state != SegmentState::sealed || !entry.in_ring();
    if (job.recycled) return nullptr;
    const Refusals::Place place{segment, Refusals::whole, entry.generation};
    FooterCache::Found footer{Fetched::failed, {}, false, true};
    const bool due = core_.refusals.due(core_.called_at, place);
    if (wanted == Wanted::soon) {
        footer = footers_.ahead(segment);
    } else {
        if (due) footers_.forget_refused(segment);
        if (due || footers_.holds(segment)) footer = footers_.get(segment);
    }
    state = footer.state;
    job.recycled = footer.recycled;
    job.scanned = footer.scanned;
    if (state == Fetched::pending) return nullptr;
    if (((state == Fetched::failed && footer.refused) || footer.partial) && !job.recycled &&
        !core_.refusals.lost(place))
        state = Fetched::refused;
    if (footer.state != Fetched::ready) return nullptr;
    Result<StreamInSegment> found = find_in_footer(footer.bytes, job.request.stream);
    if (!found || !found->holds_batches()) return nullptr;
    memory = std::move(*found);
    return &memory;
}

/// The link lies at or behind what is wanted, so the search goes on from there.
bool Reader::behind(const Job& job, const Stream& stream, const Link& link) const {
    if (job.beyond) return link.first_offset > *job.beyond;
    if (job.by_time && job.target == stream.state.log_start && job.node.first_offset > job.target)
        return link.max_timestamp >= job.target_time && link.first_offset >= job.target;
    return link.first_offset > job.target;
}

/// What is wanted begins before job.node, so the stream's segment before it is the one.
bool Reader::floor_wanted(const Job& job, const Stream& stream) const {
    return !job.beyond && job.node.first_offset > job.target &&
           !(job.by_time && job.target == stream.state.log_start);
}

/// The ring's segment before this one.
std::uint32_t Reader::older(std::uint32_t segment) const {
    const auto& ring = core_.segments.ring();
    const auto at = segment == behind_the_newest
                        ? ring.end()
                        : std::lower_bound(ring.begin(), ring.end(), segment,
                                           [this](std::uint32_t a, std::uint32_t b) {
                                               return core_.segments.before(a, b);
                                           });
    return at == ring.begin() ? no_segment : *std::prev(at);
}

/// Records have moved since the way was planned: from what is wanted next, as if nothing was known.
Reader::Next Reader::plan_again(Job& job) {
    job.beyond.reset();
    job.successor.reset();
    job.back = no_segment;
    job.node_lost = job.settled = false;
    job.stage = Stage::plan;
    return Next::go_on;
}

/// From job.node back to the segment that is wanted, then into it.
Reader::Next Reader::walk_links(Job& job) {
    if (job.layout != core_.layout) return plan_again(job);
    if (job.back != no_segment) return walk_back(job);
    StreamInSegment memory;
    Fetched state = Fetched::failed;
    const StreamInSegment* here = stream_in(job, job.node.segment, state, memory);
    if (state == Fetched::pending) return Next::wait;
    const Stream* stream = core_.streams.find(job.request.stream);
    if (stream == nullptr) return fail_with(job, Error::not_found);
    const bool same = here != nullptr &&
                      (here->ordinal == job.node.ordinal || here->ordinal == 0) &&
                      here->first_offset == job.node.first_offset;
    if (state == Fetched::refused) {
        if (!same) return fail_with(job, Error::storage);
        job.doubted = true;
    }
    if (!same)
        return state == Fetched::ready || job.recycled ? moved_away(job, *stream)
                                                       : not_there(job, *stream);
    if (!job.settled) {
        // The furthest link that is still at or behind what is wanted.
        const Link* jump = nullptr;
        for (const Link& link : here->links)
            if (behind(job, *stream, link) && leads_there(job.node.segment, link)) jump = &link;
        // Who stands in front of this one is known from its first link only, and only while that
        // leads to what it was made for: the cleaner may have put two segments in its place.
        const bool first = here->ordinal == 1 || here->first_offset <= stream->state.log_start ||
                           here->first_offset <= stream->first_batch ||
                           (here->ordinal == 0 && job.node.ordinal == 1 &&
                            !core_.segments[job.node.segment].records);
        const bool known =
            first || (!here->links.empty() && leads_there(job.node.segment, here->links.front()));
        if (jump == nullptr && !known && !core_.faults.lost_links_believed &&
            (job.beyond || job.by_time || job.node.first_offset > job.target)) {
            job.back = job.node.segment;
            return Next::go_on;
        }
        if (jump != nullptr && ++job.hops < 100'000) {
            job.came = job.node;
            job.node = *jump;
            return Next::go_on;
        }
        job.settled = true;
        if (!first && floor_wanted(job, *stream) && !here->links.empty()) {
            job.came = job.successor = job.node;
            job.node = here->links.front();
            return Next::go_on;
        }
    }
    job.here = *here;
    job.here_scanned = job.scanned;
    job.seen_end = end_of_request(job);
    job.generation = core_.segments[job.node.segment].generation;
    return enter(job);
}

/// A link in the footer of `from` still means what it did: places rise, so a segment that was
/// recycled since stands behind `from`, and one whose records were moved is no arrivals segment.
bool Reader::leads_there(std::uint32_t from, const Link& link) const {
    if (link.segment >= core_.segments.size()) return false;
    const SegmentEntry& to = core_.segments[link.segment];
    return to.area == Area::arrivals && to.in_ring() && to.place < core_.segments[from].place;
}

/// Neither the footer of job.node nor its header can be read.
Reader::Next Reader::not_there(Job& job, const Stream& stream) {
    if (stream.state.log_start > job.target) return plan_again(job);
    ++core_.counters.damaged_batches;
    hurt(job, std::max(job.target, job.node.first_offset));
    if (job.successor && job.settled) {
        job.beyond = job.node.first_offset;
        job.node = *std::exchange(job.successor, std::nullopt);
        return Next::go_on;
    }
    if (!job.settled) {  // what lies before it may be whole
        job.node_lost = true;
        job.back = job.node.segment;
        return Next::go_on;
    }
    job.beyond = job.node.first_offset;
    job.stage = Stage::plan;
    return Next::go_on;
}

/// A link into a segment that was recycled: its records are gone, or in survivors that stand in its
/// place in the ring, which is walked back from where the link was found.
Reader::Next Reader::moved_away(Job& job, const Stream& stream) {
    if (stream.state.log_start > job.target || ++job.hops > 100'000) return plan_again(job);
    job.successor.reset();
    job.settled = false;
    if (job.came) {
        job.node = *std::exchange(job.came, std::nullopt);
        job.back = job.node.segment;
    } else {
        job.node_lost = true;
        job.back = behind_the_newest;
    }
    return Next::go_on;
}

/// The links of job.node are lost with its footer (a power cut tore it, or the flash forgot it):
/// the segments before it are asked one by one for the stream's last place before job.node.
Reader::Next Reader::walk_back(Job& job) {
    Stream* stream = core_.streams.find(job.request.stream);
    if (stream == nullptr) return fail_with(job, Error::not_found);
    StreamInSegment memory;
    const StreamInSegment* found = nullptr;
    std::uint32_t segment = no_segment;
    while (found == nullptr && (segment = older(job.back)) != no_segment) {
        Fetched state = Fetched::failed;
        found = stream_in(job, segment, state, memory);
        if (state == Fetched::pending) return Next::wait;
        if (state == Fetched::refused && found == nullptr) return fail_with(job, Error::storage);
        if (state == Fetched::refused) job.doubted = true;
        if (state == Fetched::failed && !job.recycled) hurt(job, job.target);
        job.back = segment;
    }
    job.back = no_segment;
    const bool lost = std::exchange(job.node_lost, false);
    // Asked once: whoever starts at 0 behind a gap that compaction left does not ask all of them.
    if (found == nullptr && !lost && !job.damaged)
        stream->first_batch = std::max(stream->first_batch, job.node.first_offset);
    job.came.reset();
    if (found != nullptr && ++job.hops < 100'000) {
        const Link link{found->first_offset,
                        std::max(found->stream_max_timestamp, found->max_timestamp), segment,
                        found->ordinal != 0 ? found->ordinal : std::max(job.node.ordinal, 3u) - 1};
        if (behind(job, *stream, link)) {
            job.node = link;
            return Next::go_on;
        }
        if (floor_wanted(job, *stream)) {
            if (!lost) job.successor = job.node;
            job.node = link;
            job.settled = true;
            return Next::go_on;
        }
    }
    if (lost) {
        job.beyond = job.node.first_offset;
        job.stage = Stage::plan;
    }
    job.settled = true;
    return Next::go_on;
}

Reader::Next Reader::next_segment(Job& job) {
    if (job.counting) return counted(job);
    leave_hurt_segment(job);
    job.target = std::max(job.target, job.here.end_offset);
    if (job.layout != core_.layout) return plan_again(job);
    if (job.successor) {
        job.node = *std::exchange(job.successor, std::nullopt);
        job.settled = true;
        if (job.target >= end_of_request(job)) return finish(job);
        job.stage = Stage::node;
        return Next::go_on;
    }
    job.back = job.node.segment;
    job.hops_forward = 0;
    job.stage = Stage::forward;
    return Next::go_on;
}

/// Mostly the ring's next segment holds the stream as well: no anchor has to be asked then.
Reader::Next Reader::forward(Job& job) {
    if (job.layout != core_.layout) return plan_again(job);
    const auto& ring = core_.segments.ring();
    while (job.hops_forward < forward_max) {
        const auto at = std::upper_bound(
            ring.begin(), ring.end(), job.back,
            [this](std::uint32_t a, std::uint32_t b) { return core_.segments.before(a, b); });
        if (at == ring.end()) break;
        StreamInSegment memory;
        Fetched state = Fetched::failed;
        const StreamInSegment* here = stream_in(job, *at, state, memory);
        if (state == Fetched::pending) return Next::wait;
        if (state == Fetched::refused) job.doubted = true;
        if (state == Fetched::failed || (state == Fetched::refused && here == nullptr)) break;
        std::uint32_t segment = *at;
        // After damage copies and what they were made of may both be live, the copies in front: of
        // a source that was split between two of them only its rest is in the one that stands here.
        StreamInSegment source_memory;
        if (const auto source = std::next(at);
            here != nullptr && here->first_offset > job.target && source != ring.end() &&
            core_.segments[*source].place == core_.segments[segment].place) {
            const StreamInSegment* whole = stream_in(job, *source, state, source_memory);
            if (state == Fetched::pending) return Next::wait;
            if (whole != nullptr && whole->first_offset <= job.target &&
                whole->end_offset > job.target) {
                here = whole;
                segment = *source;
            }
        }
        job.back = segment;
        ++job.hops_forward;
        if (here == nullptr) continue;
        job.node = {here->first_offset, here->max_timestamp, segment, here->ordinal};
        job.back = no_segment;
        job.came.reset();
        job.settled = true;
        job.stage = Stage::node;
        return job.target >= end_of_request(job) ? finish(job) : Next::go_on;
    }
    job.back = no_segment;
    job.beyond = job.node.first_offset;
    job.stage = Stage::plan;
    return Next::go_on;
}

}  // namespace leat::log
