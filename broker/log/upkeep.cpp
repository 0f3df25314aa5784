#include "broker/log/upkeep.hpp"

#include <algorithm>

namespace leat::log {

namespace {
// A pass looks at a bounded number of footers that free nothing and goes on there next time, so
// that a large log costs an idle gateway next to nothing and a full one a little.
constexpr milliseconds pass_every{1000}, pass_every_short{200};
constexpr std::uint32_t alive_max = 16, alive_max_short = 64;
}  // namespace

void Retention::pump(Instant now) {
    if (core_.read_only) return;
    if (!scanning_) {
        const bool raised = raised_id_ != 0 && raised_id_ <= core_.flushed_id;
        if (now < wake_at_ && !raised) return;
        raised_id_ = 0;
        wake_at_ = now + (short_of_room() ? pass_every_short : pass_every);
        if (arrivals_.bytes_written() == bytes_at_pass_) arrivals_.give_back_memory();
        bytes_at_pass_ = arrivals_.bytes_written();
        scanning_ = true;
        looked_ = alive_ = 0;
        blocked_.clear();
        from_head_ = !from_head_;
        if (from_head_) std::swap(resume_, at_);
        at_ = from_head_ ? 0 : resume_;
        dead_behind_redo_ = false;
        core_.producers.expire(
            core_.time.age_ms(now) >
                    static_cast<std::uint64_t>(core_.config.producer_expiry.count())
                ? core_.time.age_ms(now) -
                      static_cast<std::uint64_t>(core_.config.producer_expiry.count())
                : 0);
    }
    const std::uint32_t limit = short_of_room() ? alive_max_short : alive_max;
    while (looked_ < core_.segments.ring().size() && alive_ < limit) {
        if (at_ >= core_.segments.ring().size()) at_ = 0;
        const std::uint32_t segment = core_.segments.ring()[at_];
        const SegmentEntry& entry = core_.segments[segment];
        if (entry.state != SegmentState::sealed) {
            ++at_;
            ++looked_;
            continue;
        }
        const Seen seen = look(now, segment);
        if (seen == Seen::pending) return;
        if (seen == Seen::dead) {
            if (entry.place < core_.redo_place || core_.faults.recycle_early) {
                core_.segments.release(segment);  // the ring closes up: at_ is the next one
                ++core_.counters.segments_recycled;
                continue;
            }
            dead_behind_redo_ = dead_behind_redo_ || entry.place < arrivals_.place();
        }
        ++alive_;
        ++at_;
        ++looked_;
    }
    scanning_ = false;
    if (dead_behind_redo_ && short_of_room()) checkpoints_.request();
}

Retention::Seen Retention::look(Instant now, std::uint32_t segment) {
    const FooterCache::Found footer = footers_.get(segment);
    if (footer.state == Fetched::pending) return Seen::pending;
    if (footer.state == Fetched::failed) return footer.recycled ? Seen::dead : Seen::alive;
    const SegmentEntry& entry = core_.segments[segment];
    const Result<SegmentIndex> index = decode_footer(footer.bytes, entry.generation, entry.salt);
    if (!index) return Seen::alive;
    bool dead = true;
    for (const auto& [id, here] : index->streams) {
        if (!here.holds_batches()) continue;
        Stream* stream = core_.streams.find(id);
        if (stream == nullptr)
            continue;  // dropped, and what says so is in the ring or in a checkpoint
        if (here.end_offset > stream->state.log_start) raise_log_start(now, id, *stream, here);
        if (here.end_offset > stream->state.log_start) blocked_.insert(id);
        const bool durable = (stream->log_start_id <= core_.flushed_id &&
                              stream->log_start_checkpoint <= core_.checkpoint_number) ||
                             core_.faults.log_start_undurable;
        if (here.end_offset > stream->state.log_start || !durable) dead = false;
    }
    return dead ? Seen::dead : Seen::alive;
}

void Retention::raise_log_start(Instant now, StreamId id, Stream& stream,
                                const StreamInSegment& here) {
    if (!stream.declared || here.end_offset > stream.state.flushed ||
        here.end_offset > stream.state.release)
        return;
    // Oldest first: what lies before this segment has to be gone already, or to be a gap.
    if (here.first_offset > stream.state.log_start && (!from_head_ || blocked_.contains(id)))
        return;
    const StreamPolicy& policy = stream.policy;
    const std::uint64_t age =
        core_.time.age_ms(now) - std::min(core_.time.age_ms(now), here.last_age_ms);
    const bool old =
        policy.retention.count() >= 0 && age > static_cast<std::uint64_t>(policy.retention.count());
    const bool many =
        policy.retention_bytes >= 0 &&
        stream.state.bytes - static_cast<std::int64_t>(here.batch_bytes) >= policy.retention_bytes;
    const bool delivered = stream.state.release != INT64_MAX && short_of_room();
    if (!old && !many && !delivered) return;
    const Freed how = old || many ? Freed::expired : Freed::delivered;
    const Offset before = stream.state.log_start;
    const Result<CommitId> raised =
        ledger_.raise_log_start(now, id, stream, here.end_offset, here.batch_bytes, how,
                                std::nullopt, Urgency::upkeep);
    if (raised) {
        raised_id_ = *raised;
    } else if (raised.error() == Error::full) {
        stream.log_start_checkpoint = checkpoints_.next_number();
        ledger_.raise_in_checkpoint(now, id, stream, here.end_offset, here.batch_bytes, how,
                                    std::nullopt);
        checkpoints_.request();
    } else {
        return;
    }
    core_.counters.expired_records += static_cast<std::uint64_t>(here.end_offset - before);
    const auto bytes = static_cast<std::int64_t>(here.batch_bytes);
    const bool empty = stream.state.log_start >= stream.state.log_end;
    stream.state.bytes = empty ? 0 : std::max<std::int64_t>(0, stream.state.bytes - bytes);
    stream.flushed_bytes = stream.state.log_start >= stream.state.flushed
                               ? 0
                               : std::max<std::int64_t>(0, stream.flushed_bytes - bytes);
    stream.prune_anchors();
}

}  // namespace leat::log
