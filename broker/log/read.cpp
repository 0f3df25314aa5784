#include "broker/log/read.hpp"

#include <algorithm>

namespace leat::log {

Reader::Reader(Core& core, Arrivals& arrivals, RecordTimes record_times)
    : core_(core),
      arrivals_(arrivals),
      record_times_(std::move(record_times)),
      blocks_(core, core.config.cache_bytes / 4 * 3),
      footers_(core, core.config.cache_bytes / 4) {}

Result<ReadTicket> Reader::start_read(const ReadRequest& request, MutableBytes into) {
    if (core_.streams.find(request.stream) == nullptr) return fail(Error::not_found);
    Job& job = jobs_.emplace_back();
    job.ticket = ++last_ticket_;
    job.request = request;
    job.into = into;
    job.target = request.from;
    const ReadTicket ticket = job.ticket;
    step(job);
    if (job.stage == Stage::done) jobs_.pop_back();
    return ticket;
}

Result<ReadTicket> Reader::start_find_time(StreamId stream, std::int64_t target) {
    const Stream* known = core_.streams.find(stream);
    if (known == nullptr) return fail(Error::not_found);
    Job& job = jobs_.emplace_back();
    job.ticket = ++last_ticket_;
    job.by_time = true;
    job.request.stream = stream;
    job.request.until = INT64_MAX;
    job.target = known->state.log_start;
    job.target_time = target;
    const ReadTicket ticket = job.ticket;
    step(job);
    if (job.stage == Stage::done) jobs_.pop_back();
    return ticket;
}

void Reader::cancel(ReadTicket ticket) {
    const auto found = std::find_if(jobs_.begin(), jobs_.end(),
                                    [&](const Job& job) { return job.ticket == ticket; });
    if (found == jobs_.end()) return;
    // Blocks are ours, `into` is only written while stepping: it is free at once.
    if (!found->by_time) reads_done_.push_back({.ticket = ticket, .bytes = fail(Error::closed)});
    jobs_.erase(found);
}

std::optional<ReadDone> Reader::poll_read() {
    if (reads_done_.empty()) return std::nullopt;
    ReadDone done = reads_done_.front();
    reads_done_.pop_front();
    return done;
}

std::optional<TimeDone> Reader::poll_find_time() {
    if (times_done_.empty()) return std::nullopt;
    TimeDone done = times_done_.front();
    times_done_.pop_front();
    return done;
}

void Reader::on_read_done(std::uint64_t ticket, bool good) {
    if (!blocks_.on_read_done(ticket, good)) (void)footers_.on_read_done(ticket, good);
    step_all();
}

void Reader::step_all() {
    for (auto it = jobs_.begin(); it != jobs_.end();) {
        step(*it);
        it = it->stage == Stage::done ? jobs_.erase(it) : std::next(it);
    }
}

void Reader::step(Job& job) {
    for (;;) {
        Next next = Next::finished;
        switch (job.stage) {
            case Stage::plan:
                next = plan(job);
                break;
            case Stage::node:
                next = walk_links(job);
                break;
            case Stage::frame:
                next = at_frame(job);
                break;
            case Stage::body:
                next = at_body(job);
                break;
            case Stage::done:
                return;
        }
        if (next == Next::wait) return;
        if (next == Next::finished) {
            job.stage = Stage::done;
            return;
        }
    }
}

Offset Reader::end_of_request(const Job& job) const {
    const Stream* stream = core_.streams.find(job.request.stream);
    return stream == nullptr ? 0 : std::min(job.request.until, stream->state.flushed);
}

Reader::Next Reader::finish(Job& job) {
    if (job.by_time) {
        job.time_result.ticket = job.ticket;
        times_done_.push_back(job.time_result);
    } else {
        job.result.ticket = job.ticket;
        job.result.bytes = job.filled;
        if (job.damaged && job.filled == 0 && job.target > job.request.from) {
            job.result.bytes = fail(Error::corrupt);
            tell_damaged(job);
        }
        job.result.next = job.target;
        reads_done_.push_back(job.result);
    }
    return Next::finished;
}

Reader::Next Reader::fail_with(Job& job, Error error) {
    if (job.filled > 0)
        return finish(job);  // what is whole comes first; the next read meets the error
    if (job.by_time) {
        job.time_result.found = fail(error);
        return finish(job);
    }
    if (error == Error::corrupt) tell_damaged(job);
    job.result.ticket = job.ticket;
    job.result.bytes = fail(error);
    job.result.next = job.target;
    reads_done_.push_back(job.result);
    return Next::finished;
}

void Reader::tell_damaged(const Job& job) const {
    if (on_damaged && job.target > job.request.from)
        on_damaged(job.request.stream, job.request.from, job.target, job.damaged_bytes);
}

Reader::Next Reader::plan(Job& job) {
    const Stream* stream = core_.streams.find(job.request.stream);
    if (stream == nullptr) return fail_with(job, Error::not_found);
    const StreamState& state = stream->state;
    if (!job.by_time && job.filled == 0 &&
        (job.request.from < state.log_start || job.request.from > state.log_end))
        return fail_with(job, Error::not_found);
    job.target = std::max(job.target, state.log_start);
    if (job.target >= end_of_request(job) || ++job.hops > 100'000) return finish(job);

    Located at;
    if (job.beyond) {
        const auto after =
            std::upper_bound(stream->anchors.begin(), stream->anchors.end(), *job.beyond,
                             [](Offset o, const Link& link) { return o < link.first_offset; });
        if (after == stream->anchors.end()) return finish(job);
        at = {*after, false, true};
    } else if (job.by_time && job.target == state.log_start) {
        at = locate_time(*stream, job.target_time);
        if (at.found && at.at.first_offset < job.target)
            at = locate(*stream, job.target);
        else if (at.found && !at.exact)
            job.beyond = std::nullopt;
    } else {
        at = locate(*stream, job.target);
    }
    if (!at.found) return finish(job);
    job.node = at.at;
    job.settled = at.exact;
    job.successor.reset();
    job.stage = Stage::node;
    return Next::go_on;
}

std::uint32_t Reader::data_end(std::uint32_t segment) const {
    return segment == arrivals_.segment() ? arrivals_.position() : core_.segments[segment].data_end;
}

const StreamInSegment* Reader::stream_in(Job& job, std::uint32_t segment, Fetched& state,
                                         StreamInSegment& memory) {
    state = Fetched::failed;
    if (segment >= core_.segments.size()) return nullptr;
    const SegmentEntry& entry = core_.segments[segment];
    if (segment == arrivals_.segment()) {
        const auto& streams = arrivals_.index().streams;
        const auto found = streams.find(job.request.stream);
        state = Fetched::ready;
        return found == streams.end() || !found->second.holds_batches() ? nullptr : &found->second;
    }
    if (entry.state != SegmentState::sealed || entry.area != Area::arrivals) return nullptr;
    const FooterCache::Found footer = footers_.get(segment);
    state = footer.state;
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
    const auto at = std::lower_bound(
        ring.begin(), ring.end(), core_.segments[segment].place,
        [this](std::uint32_t s, std::uint64_t place) { return core_.segments[s].place < place; });
    return at == ring.begin() ? no_segment : *std::prev(at);
}

/// From job.node back to the segment that is wanted, then into it.
Reader::Next Reader::walk_links(Job& job) {
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
    if (!same) {
        // Recycled since it was planned, or neither its footer nor its header can be read.
        if (stream->state.log_start > job.target) {
            job.beyond.reset();
            job.stage = Stage::plan;
            return Next::go_on;
        }
        ++core_.counters.damaged_batches;
        job.damaged = true;
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
    if (!job.settled) {
        if (here->ordinal == 0 && job.node.ordinal != 1 && !core_.faults.lost_links_believed &&
            (job.beyond || job.by_time || job.node.first_offset > job.target)) {
            job.back = job.node.segment;
            return Next::go_on;
        }
        // The furthest link that is still at or behind what is wanted.
        const Link* jump = nullptr;
        for (const Link& link : here->links)
            if (behind(job, *stream, link)) jump = &link;
        if (jump != nullptr && ++job.hops < 100'000) {
            job.node = *jump;
            return Next::go_on;
        }
        job.settled = true;
        if (floor_wanted(job, *stream) && !here->links.empty()) {
            job.successor = job.node;
            job.node = here->links.front();
            return Next::go_on;
        }
    }
    job.here = *here;
    job.generation = core_.segments[job.node.segment].generation;
    return enter(job);
}

/// The links of job.node are lost with its footer (a power cut tore it, or the flash forgot it):
/// the segments before it are asked one by one for the stream's last place before job.node.
Reader::Next Reader::walk_back(Job& job) {
    const Stream* stream = core_.streams.find(job.request.stream);
    if (stream == nullptr) return fail_with(job, Error::not_found);
    StreamInSegment memory;
    const StreamInSegment* found = nullptr;
    std::uint32_t segment = no_segment;
    while (found == nullptr && (segment = older(job.back)) != no_segment) {
        Fetched state = Fetched::failed;
        found = stream_in(job, segment, state, memory);
        if (state == Fetched::pending) return Next::wait;
        if (state == Fetched::failed) job.damaged = true;
        job.back = segment;
    }
    job.back = no_segment;
    const bool lost = std::exchange(job.node_lost, false);
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

Reader::Next Reader::enter(Job& job) {
    if (job.here.end_offset <= job.target) return next_segment(job);
    // The last point at or before the target.
    job.position = core_.page;
    const Offset distance = job.target - job.here.first_offset;
    for (const Point& point : job.here.points) {
        if (static_cast<Offset>(point.offset_delta) > distance) break;
        if (point.offset_delta == UINT32_MAX) break;
        job.position = point.position;
    }
    if (distance < 0 && !job.here.points.empty()) job.position = job.here.points.front().position;
    job.head_have = 0;
    job.in_more = job.resync = false;
    job.stage = Stage::frame;
    return Next::go_on;
}

Reader::Next Reader::next_segment(Job& job) {
    job.target = std::max(job.target, job.here.end_offset);
    if (job.successor) {
        job.node = *std::exchange(job.successor, std::nullopt);
        job.settled = true;
        if (job.target >= end_of_request(job)) return finish(job);
        job.stage = Stage::node;
        return Next::go_on;
    }
    job.beyond = job.node.first_offset;
    job.stage = Stage::plan;
    return Next::go_on;
}

}  // namespace leat::log
