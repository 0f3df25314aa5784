#include "broker/log/read.hpp"

#include <algorithm>
#include <utility>

namespace leat::log {

constexpr std::uint32_t hops_max = 100'000;

Reader::Reader(Core& core, Arrivals& arrivals, RecordTimes record_times)
    : core_(core),
      arrivals_(arrivals),
      record_times_(std::move(record_times)),
      blocks_(core, core.config.cache_bytes / 4 * 3),
      footers_(core, core.config.cache_bytes / 4) {}

Result<ReadTicket> Reader::start_read(const ReadRequest& request, MutableBytes into, Asked asked) {
    if (core_.streams.find(request.stream) == nullptr) return fail(Error::not_found);
    Job& job = jobs_.emplace_back();
    job.ticket = ++last_ticket_;
    job.request = request;
    job.inside = asked == Asked::inside;
    if (!job.inside) footers_.somebody_reads();
    job.into = into;
    job.target = request.from;
    job.goes_on = std::any_of(ended_.begin(), ended_.end(), [&](const Ended& ended) {
        return ended.stream == request.stream && ended.at == request.from;
    });
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
    if (!found->by_time && !found->inside)
        reads_done_.push_back({.ticket = ticket, .bytes = fail(Error::closed)});
    jobs_.erase(found);
}

std::optional<ReadDone> Reader::take_inside(ReadTicket ticket) {
    const auto found = std::find_if(inside_done_.begin(), inside_done_.end(),
                                    [&](const ReadDone& done) { return done.ticket == ticket; });
    if (found == inside_done_.end()) return std::nullopt;
    const ReadDone done = *found;
    inside_done_.erase(found);
    return done;
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
    core_.reads_given += good ? 1 : 0;
    const BlockCache::Came came = blocks_.on_read_done(ticket, good);
    if (came == BlockCache::Came::ahead) return;
    if (came == BlockCache::Came::not_ours) (void)footers_.on_read_done(ticket, good);
    step_all();
}

void Reader::step_all() {
    for (auto it = jobs_.begin(); it != jobs_.end();) {
        step(*it);
        it = it->stage == Stage::done ? jobs_.erase(it) : std::next(it);
    }
}

void Reader::pump(Instant now) {
    constexpr milliseconds quiet{5'000};
    if (now < rest_at_) return;
    rest_at_ = now + quiet;
    if (blocks_.rest()) footers_.rest();
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
            case Stage::forward:
                next = forward(job);
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
    if (job.doubted && job.filled == 0) return fail_with(job, Error::storage);
    if (job.by_time) {
        job.time_result.ticket = job.ticket;
        times_done_.push_back(job.time_result);
    } else {
        job.result.ticket = job.ticket;
        job.result.bytes = job.filled;
        // Nothing came: what a start or this read found hurt is the last of what was asked for, but
        // for what has come meanwhile.
        if (job.filled == 0 && job.hops <= hops_max)
            job.target = std::max(job.target, std::min(job.seen_end, end_of_request(job)));
        if (job.damaged && job.filled == 0 && job.target > job.request.from) {
            job.result.bytes = fail(Error::corrupt);
            tell_damaged(job);
        }
        job.result.next = job.target;
        ended(job);
        told(job);
    }
    return Next::finished;
}

Reader::Next Reader::fail_with(Job& job, Error error) {
    if (job.filled > 0)
        return finish(job);  // what is whole comes first; the next read meets the error
    if (std::exchange(job.doubted, false) && error == Error::corrupt) error = Error::storage;
    if (job.by_time) {
        job.time_result.found = fail(error);
        return finish(job);
    }
    if (error == Error::corrupt) tell_damaged(job);
    if (error == Error::storage) job.target = job.request.from;
    job.result.ticket = job.ticket;
    job.result.bytes = fail(error);
    job.result.next = job.target;
    told(job);
    return Next::finished;
}

Reader::Next Reader::plan(Job& job) {
    Stream* stream = core_.streams.find(job.request.stream);
    if (stream == nullptr) return fail_with(job, Error::not_found);
    const StreamState& state = stream->state;
    if (!job.by_time && job.filled == 0 &&
        (job.request.from < state.log_start || job.request.from > state.log_end))
        return fail_with(job, Error::not_found);
    job.layout = core_.layout;
    job.came.reset();
    job.counting = false;
    job.target = std::max(job.target, state.log_start);
    if (job.target >= end_of_request(job) || ++job.hops > hops_max) return finish(job);

    if (!job.beyond) job.seen_end = end_of_request(job);
    Located at;
    if (job.beyond) {
        const auto after =
            std::upper_bound(stream->anchors.begin(), stream->anchors.end(), *job.beyond,
                             [](Offset o, const Link& link) { return o < link.first_offset; });
        if (after == stream->anchors.end()) return finish(job);
        at = {*after, false, true};
    } else if (job.by_time && job.target == state.log_start) {
        stream->grow_newest();
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
    job.in_more = job.resync = job.counting = false;
    job.stage = Stage::frame;
    return Next::go_on;
}

}  // namespace leat::log
