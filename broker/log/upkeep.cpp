#include "broker/log/upkeep.hpp"

#include <algorithm>

namespace leat::log {

namespace {
// A pass looks at a bounded number of footers that free nothing and goes on there next time, so
// that a large log costs an idle gateway next to nothing and a full one a little.
constexpr std::uint32_t alive_max = 16, alive_max_short = 64;
// A segment has a footer entry for each of ten thousand topics that were made in it: then it is
// looked at alone, and whoever else wants the thread has it in between.
constexpr std::size_t streams_at_once = 1024;
}  // namespace

void Retention::pump(Instant now) {
    if (core_.read_only) return;
    if (!scanning_) {
        // Where there is room nobody waits for it, and who deletes thousands of topics makes a
        // commit of them durable every few milliseconds.
        const bool raised =
            raised_id_ != 0 && raised_id_ <= core_.flushed_id &&
            (!was_long_ || core_.low_on_room() || now >= began_at_ + pass_every_short);
        const bool freed = dead_behind_redo_ && core_.redo_place != redo_at_pass_;
        if (now < wake_at_ && !raised && !freed) return;
        began_at_ = now;
        was_long_ = false;
        raised_id_ = 0;
        wake_at_ = now + (core_.short_of_room() ? pass_every_short : pass_every);
        if (arrivals_.bytes_written() == bytes_at_pass_) arrivals_.give_back_memory();
        bytes_at_pass_ = arrivals_.bytes_written();
        scanning_ = true;
        looked_ = alive_ = 0;
        ++pass_;
        if (!from_head_) resume_ = at_;
        if (drop_up_to_ == 0 || !freed_) from_head_ = !from_head_;  // where it drops, it goes on
        at_ = from_head_ ? 0 : resume_;
        dead_behind_redo_ = freed_ = held_back_ = false;
        dying_before_ = std::exchange(dying_, false);
        redo_at_pass_ = core_.redo_place;
        core_.dropping = dropped_at_ && now - *dropped_at_ < dropping_for;
        core_.droppable_bytes = droppable_bytes();
        core_.weigh_streams();
        drops_left_ = 1 + core_.segments.size() / 64;
        core_.producers.expire(
            core_.time.age_ms(now) >
                    static_cast<std::uint64_t>(core_.config.producer_expiry.count())
                ? core_.time.age_ms(now) -
                      static_cast<std::uint64_t>(core_.config.producer_expiry.count())
                : 0);
    }
    const std::uint32_t limit = core_.low_on_room() ? alive_max_short : alive_max;
    paused_ = false;
    streams_ = 0;
    while (looked_ < core_.segments.ring().size() && alive_ < limit) {
        if (at_ >= core_.segments.ring().size()) at_ = 0;
        paused_ = streams_ > streams_at_once;
        was_long_ = was_long_ || paused_;
        if (paused_) return;
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
                ++core_.layout;
                ++core_.counters.segments_recycled;
                freed_ = true;
                continue;
            }
            if (entry.place < arrivals_.place()) dead_behind_redo_ = dying_ = true;
        }
        ++alive_;
        ++at_;
        ++looked_;
    }
    scanning_ = false;
    end_pass(now);
    if (dead_behind_redo_ && core_.low_on_room()) checkpoints_.request();
}

/// Dropping begins when the whole ring of a full log was searched in vain and the cleaner cannot
/// help either, and ends when there is room. Nobody waits for the search longer than it takes.
void Retention::end_pass(Instant now) {
    const std::uint64_t refused = core_.counters.append_rejected_full;
    const bool pressed = std::exchange(refused_, refused) != refused;
    if (!core_.short_of_room()) {
        drop_up_to_ = 0;
        drops_ = Drops::whole;
        packs_ = core_.nothing_to_drop = false;
        barren_ = 0;
        forgive_wait_ = forgive_wait;
    } else if (packs_ = packing(now) && !(core_.dropping && pressed); freed_ || dead_behind_redo_ || dying_ || packs_) {
        barren_ = 0;
    } else if (!pressed && drop_up_to_ == 0 && !core_.short_of_room(cleaner_.holds())) {
        barren_ = 0;  // the cleaner gives it back, however slow it is, and nobody waits for it
    } else if (held_back_) {
        barren_ = 0;  // what may be dropped was not asked for everywhere
        wake(now + milliseconds(10));
    } else {
        const std::size_t all = core_.segments.ring().size();
        if (!from_head_ || looked_ >= all) barren_ += looked_;
        const std::uint8_t next = next_priority(drop_up_to_);
        if (next == 0 && (drop_up_to_ == 0 || drops_ == Drops::inner)) last_resort(now);
        if (barren_ >= all) {
            barren_ = 0;
            if (drop_up_to_ > 0 && drops_ != Drops::inner) {
                drops_ = drops_ == Drops::whole ? Drops::shared : Drops::inner;
            } else if (next != 0) {
                drop_up_to_ = next;
                drops_ = Drops::whole;
            } else {
                return;
            }
        } else if (next == 0 && (drop_up_to_ == 0 || drops_ == Drops::inner)) {
            return;
        }
        wake(now);
    }
}

/// Nothing is left that may be dropped. What lies behind the redo point cannot be moved, so nothing
/// beside it is dropped, and where nothing is taken any more no other checkpoint comes. And what the
/// cleaner gave up may be less by now: it tries again, more and more seldom.
void Retention::last_resort(Instant now) {
    core_.nothing_to_drop = core_.nothing_to_drop || next_priority(0) == 0;
    if (drop_up_to_ > 0 ? core_.redo_place < arrivals_.place() : dead_behind_redo())
        checkpoints_.request();
    if (now < forgive_at_) return;
    forgive_at_ = now + forgive_wait_;
    forgive_wait_ = std::min(forgive_wait_ * 2, forgive_wait_max);
    core_.segments.forgive();
    for (const std::uint32_t segment : core_.segments.ring())
        core_.segments[segment].unmovable = false;
}

/// Whether as much as a segment holds is dead in those that were closed behind the redo point, among
/// records that stay.
bool Retention::dead_behind_redo() const {
    std::uint64_t dead = 0;
    for (const std::uint32_t segment : core_.segments.ring()) {
        const SegmentEntry& entry = core_.segments[segment];
        if (core_.redo_place <= entry.place && entry.place < arrivals_.place())
            dead += core_.segment_bytes - std::min(core_.segment_bytes, entry.live_bytes);
    }
    return dead >= core_.segment_bytes;
}

/// The cleaner sees by its sums that it could pack, but batches do not fit where their bytes would:
/// it is believed as long as it frees something now and then.
bool Retention::packing(Instant now) {
    const milliseconds patience(2'000 + core_.segment_bytes / 512);  // a run, at cleaner_pace
    const std::uint64_t before = std::exchange(cleaned_, core_.counters.cleaner_freed);
    if (before != cleaned_ || !packs_until_) packs_until_ = now + patience;
    return now < *packs_until_ && cleaner_.makes_room();
}

std::uint8_t Retention::next_priority(std::uint8_t above) const {
    std::uint8_t next = 0;
    for (const auto& [id, stream] : core_.streams.all())
        if (stream.declared && stream.policy.when_full == WhenFull::drop_oldest &&
            stream.policy.priority > above && (next == 0 || stream.policy.priority < next) &&
            stream.state.log_start < stream.state.flushed)
            next = stream.policy.priority;
    return next;
}

std::uint64_t Retention::droppable_bytes() const {
    std::int64_t sum = 0;
    for (const auto& [id, stream] : core_.streams.all())
        if (stream.declared && stream.policy.when_full == WhenFull::drop_oldest)
            sum += std::max<std::int64_t>(0, stream.state.bytes - stream.policy.reserved_bytes);
    return static_cast<std::uint64_t>(sum);
}

bool Retention::droppable(const Stream& stream, const StreamInSegment& here) const {
    // Dropping from the middle of a stream takes everything before it, too, and most of that frees
    // nothing where it lies: only when its oldest segments cannot be had.
    const bool in_turn = drops_ == Drops::inner || here.first_offset <= stream.state.log_start ||
                         (from_head_ && stream.blocked_in != pass_);
    return in_turn && stream.declared && stream.policy.when_full == WhenFull::drop_oldest &&
           stream.policy.priority <= drop_up_to_ && here.end_offset <= stream.state.flushed &&
           (stream.policy.reserved_bytes <= 0 ||
            stream.state.bytes - static_cast<std::int64_t>(stream.bytes_before(here.end_offset)) >=
                stream.policy.reserved_bytes);
}

bool Retention::may_drop(const SegmentIndex& index, const SegmentEntry& entry) const {
    std::uint64_t kept = 0, dropped = 0;
    for (const auto& [id, here] : index.streams) {
        const Stream* stream = core_.streams.find(id);
        if (!here.holds_batches() || stream == nullptr ||
            here.end_offset <= stream->state.log_start)
            continue;
        (droppable(*stream, here) ? dropped : kept) += here.moved_bytes();
    }
    if (kept == 0) return dropped > 0;
    return drops_ != Drops::whole && kept <= cleaner_cost_max * dropped &&
           cleaner_.could_move(entry, kept);
}

Retention::Seen Retention::look(Instant now, std::uint32_t segment) {
    const FooterCache::Found footer = footers_.get(segment);
    if (footer.state == Fetched::pending) return Seen::pending;
    if (footer.state == Fetched::failed)
        return footer.recycled ? Seen::dead : unreadable(now, segment);
    SegmentEntry& entry = core_.segments[segment];
    const Result<SegmentIndex> index = decode_footer_batches(footer.bytes);
    if (!index) return unreadable(now, segment);
    if (!footer.partial) lost_.readable(segment);
    streams_ += index->streams.size();
    bool dead = true;
    std::uint64_t live = 0, batches = 0;
    bool some_dead = false;
    // What was dropped a moment ago makes room as soon as its log start is durable, or what it lay
    // among is packed: no more until then.
    const bool waits =
        drops_left_ == 0 || dying_ || dying_before_ || packs_ || !core_.short_of_room();
    held_back_ = held_back_ || (drop_up_to_ > 0 && waits);
    const bool drops = drop_up_to_ > 0 && !waits && may_drop(*index, entry);
    bool dropped = false;
    for (const auto& [id, here] : index->streams) {
        if (!here.holds_batches()) continue;
        Stream* stream = core_.streams.find(id);
        some_dead = some_dead || stream == nullptr;
        if (stream == nullptr) {
            // Dropped. Until what says so is durable a power cut brings it back, with its records;
            // where that waits for room itself, room goes first.
            if (core_.dropped_id > core_.flushed_id && !arrivals_.stuck()) {
                dead = false;
                raised_id_ = std::max(raised_id_, core_.dropped_id);
            }
            continue;
        }
        if (here.end_offset > stream->state.log_start) raise_log_start(now, id, *stream, here);
        if (drops && droppable(*stream, here) && here.end_offset > stream->state.log_start) {
            if (drop(now, id, *stream, here))
                dropped = true;
            else
                held_back_ = true;
        }
        some_dead = some_dead || here.first_offset < stream->state.log_start;
        if (here.end_offset > stream->state.log_start) {
            stream->blocked_in = pass_;
            live += here.moved_bytes();
            batches += here.batches;
        }
        const bool durable = (stream->log_start_id <= core_.flushed_id &&
                              stream->log_start_checkpoint <= core_.checkpoint_number) ||
                             core_.faults.log_start_undurable;
        if (here.end_offset > stream->state.log_start || !durable) dead = false;
    }
    // Less than when the cleaner gave it up: it may fit now, and else more would be dropped for it.
    entry.unmovable = entry.unmovable && live >= entry.live_bytes;
    entry.set_live(live, batches, core_.segment_bytes);
    entry.some_dead = some_dead || (entry.records && entry.some_dead);
    if (dead && footer.partial) {  // of what is listed: who lies in the other pages is not known
        footers_.ask_again(segment);
        return unreadable(now, segment);
    }
    if (dropped) {
        --drops_left_;
        cleaner_.wake(now);
        dropped_at_ = now;
    }
    dying_ = dying_ || (live == 0 && !dropped && !dead);
    return dead ? Seen::dead : Seen::alive;
}

Retention::Seen Retention::unreadable(Instant now, std::uint32_t segment) {
    switch (lost_.unreadable(now, segment)) {
        case LostSegments::Told::not_yet:
            break;
        case LostSegments::Told::pending:
            return Seen::pending;
        case LostSegments::Told::done:
            return Seen::dead;
    }
    return Seen::alive;
}

void Retention::raise_log_start(Instant now, StreamId id, Stream& stream,
                                const StreamInSegment& here) {
    if (!stream.declared || here.end_offset > stream.state.flushed ||
        here.end_offset > stream.state.release)
        return;
    // Oldest first: what lies before this segment has to be gone already, or to be a gap.
    if (here.first_offset > stream.state.log_start && (!from_head_ || stream.blocked_in == pass_))
        return;
    StreamInSegment part = here;
    // What a log start inside of it has not counted yet.
    part.batch_bytes = here.bytes_from(stream.state.log_start);
    const StreamPolicy& policy = stream.policy;
    const std::uint64_t age =
        core_.time.age_ms(now) - std::min(core_.time.age_ms(now), here.last_age_ms);
    const bool old =
        policy.retention.count() >= 0 && age > static_cast<std::uint64_t>(policy.retention.count());
    const bool many =
        policy.retention_bytes >= 0 &&
        stream.state.bytes - static_cast<std::int64_t>(part.batch_bytes) >= policy.retention_bytes;
    // A compacted stream's newest records are its state, delivered or not.
    const bool delivered =
        stream.state.release != INT64_MAX &&
        (policy.until_delivered || (!policy.compact && core_.low_on_room()));
    if (!old && !many && !delivered) return;
    (void)raise(now, id, stream, part, old || many ? Freed::expired : Freed::delivered,
                std::nullopt);
}

/// What is delivered of it is freed, the rest is lost, and the ledger says so.
bool Retention::drop(Instant now, StreamId id, Stream& stream, const StreamInSegment& here) {
    const Offset before = stream.state.log_start;
    StreamInSegment part = here;
    if (stream.state.release != INT64_MAX && stream.state.release > before) {
        part.end_offset = std::min(here.end_offset, stream.state.release);
        part.batch_bytes = stream.bytes_before(part.end_offset);
        if (!raise(now, id, stream, part, Freed::delivered, std::nullopt)) return false;
    }
    // With older records in segments that stay, those go too, and their bytes are estimated.
    part.end_offset = here.end_offset;
    part.batch_bytes = here.first_offset > before || stream.state.log_start > before
                           ? stream.bytes_before(here.end_offset)
                           : here.bytes_from(before);
    return here.end_offset <= stream.state.log_start ||
           raise(now, id, stream, part, Freed::delivered,
                 core_.faults.silent_drop ? std::nullopt : std::optional(LossReason::no_room));
}

bool Retention::raise(Instant now, StreamId id, Stream& stream, const StreamInSegment& here,
                      Freed how, std::optional<LossReason> reason) {
    const Offset before = stream.state.log_start;
    const Result<CommitId> raised = ledger_.raise_log_start(
        now, id, stream, here.end_offset, here.batch_bytes, how, reason, Urgency::upkeep);
    if (raised) {
        raised_id_ = *raised;
    } else if (raised.error() == Error::full) {
        stream.log_start_checkpoint = checkpoints_.next_number();
        ledger_.raise_in_checkpoint(now, id, stream, here.end_offset, here.batch_bytes, how,
                                    reason);
        checkpoints_.request();
    } else {
        return false;
    }
    freed_ = true;
    (reason ? core_.counters.dropped_records : core_.counters.expired_records) +=
        static_cast<std::uint64_t>(here.end_offset - before);
    stream.prune_anchors();
    return true;
}

}  // namespace leat::log
