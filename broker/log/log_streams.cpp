// Streams: their policies, and how their ends are moved.
#include <algorithm>

#include "broker/log/log_impl.hpp"

namespace leat::log {

Status LogImpl::declare_stream(StreamId id, StreamPolicy policy) {
    Stream* known = core_.streams.find(id);
    if (known == nullptr && core_.streams.size() >= core_.config.streams_max)
        return fail(Error::full);
    Stream& stream = known != nullptr ? *known : core_.streams.make(id);
    if (stream.policy.reserved_bytes > 0) std::erase(core_.reserving, id);
    if (policy.reserved_bytes > 0) core_.reserving.push_back(id);
    stream.policy = policy;
    // Whatever the books say: damage may have taken them back to before a compaction.
    stream.has_gaps = stream.has_gaps || policy.compact;
    stream.declared = true;
    if (known == nullptr) stream.compaction.dirty_since_ms = UINT64_MAX;
    // Of one that is new there is nothing to free.
    if (parts_ && known != nullptr) parts_->retention.wake(core_.called_at);
    return ok();
}

/// Who asks is about to append to it, or to read: of thousands of streams what is known of one lies
/// far from the processor, which may fetch it while the caller looks at the batch.
const StreamState* LogImpl::stream(StreamId id) const {
    const Stream* found = core_.streams.find(id);
    if (found == nullptr) return nullptr;
    prefetch_front(found, offsetof(Stream, compaction) + 8);
    if (parts_) parts_->arrivals.index().streams.expect(id);
    return &found->state;
}

void LogImpl::drop_stream(StreamId id) {
    if (!parts_ || core_.streams.find(id) == nullptr) return;
    core_.streams.erase(id);
    raise_to_.erase(id);
    std::erase(core_.reserving, id);
    core_.producers.forget_stream(id);
    CommitId commit = 0;
    if (parts_->arrivals.room_for(FrameType::dropped, 0, Urgency::upkeep))
        (void)parts_->arrivals.add(core_.called_at, FrameType::dropped, id, 0, commit);
    core_.dropped_id =
        core_.next_id - 1;  // the fact that its topic is gone came before, if not this
    parts_->ledger.forget(core_.called_at, id);
    // Thousands may be dropped one after the other, and a pass holds others up: not before its time,
    // but where somebody may wait for the room.
    if (core_.low_on_room()) parts_->retention.wake(core_.called_at);
}

void LogImpl::set_release(StreamId id, Offset upto) {
    Stream* stream = core_.streams.find(id);
    if (stream == nullptr || stream->state.release == upto) return;
    stream->state.release = upto;
    // Only when room is short does a release matter before the next pass.
    if (parts_ && core_.low_on_room()) parts_->retention.wake(core_.called_at + milliseconds(50));
}

Status LogImpl::room_for(FrameType type, std::size_t body, Urgency urgency) {
    if (!parts_) return fail(Error::closed);
    if (body > core_.segment_bytes) return fail(Error::too_large);
    const Status room = parts_->arrivals.room_for(type, static_cast<std::uint32_t>(body), urgency);
    if (!room && room.error() == Error::full) {
        ++core_.counters.append_rejected_full;
        parts_->retention.wake_for_room(core_.called_at);
    }
    return room;
}

Result<CommitId> LogImpl::offset_frame(Instant now, FrameType type, StreamId id, Offset offset) {
    if (const Status room = room_for(type, 8, Urgency::fact); !room) return fail(room.error());
    CommitId commit = 0;
    store_little<std::int64_t>(parts_->arrivals.add(now, type, id, 8, commit).data(), offset);
    return commit;
}

Result<CommitId> LogImpl::set_log_start(Instant now, StreamId id, Offset offset) {
    core_.called_at = now;
    Stream* stream = core_.streams.find(id);
    if (stream == nullptr) return fail(Error::not_found);
    if (offset > stream->state.flushed) return fail(Error::invalid);
    if (!parts_) return fail(Error::closed);
    if (offset <= stream->state.log_start) {
        const auto promised = [&] {
            return stream->log_start_id != not_durable &&
                   stream->log_start_checkpoint <= core_.checkpoint_number;
        };
        // Given up with its commit, or a full ring had no room for it: its book says it now.
        if (!promised() && !core_.read_only && !closing_) parts_->ledger.pump(now);
        if (!promised()) return fail(Error::storage);
        return stream->log_start_id;
    }
    // Batches it ends inside of stay whole on flash: bytes in proportion.
    const Result<CommitId> commit =
        parts_->ledger.raise_log_start(now, id, *stream, offset, stream->bytes_before(offset),
                                       Freed::deleted, std::nullopt, Urgency::upkeep);
    if (!commit) return commit;
    stream->prune_anchors();
    parts_->retention.wake(now);
    return commit;
}

// Whoever asks has nobody to ask again for him, and what takes these offsets meanwhile would be
// passed over: so it is kept until it is durable, whatever the log says to it now.
Result<CommitId> LogImpl::raise_log_end(Instant now, StreamId id, Offset offset) {
    core_.called_at = now;
    Stream* stream = core_.streams.find(id);
    if (stream == nullptr) return fail(Error::not_found);
    if (offset <= stream->state.flushed) return stream->log_end_id;
    Offset& end = raise_to_[id];
    end = std::max(end, offset);
    return raise_end(now, id, *stream, end);
}

Result<CommitId> LogImpl::raise_end(Instant now, StreamId id, Stream& stream, Offset end) {
    const Offset old_end = stream.state.log_end;
    if (end <= old_end) return stream.log_end_id;
    const bool empty = stream.state.log_start == old_end;
    const Result<CommitId> commit = offset_frame(now, FrameType::log_end, id, end);
    if (!commit) return commit;
    stream.state.log_end = end;
    stream.log_end_id = *commit;
    parts_->ledger.lost(now, id, LossReason::raised, old_end, end, 0);
    if (!empty) return commit;
    // Without room the start stays behind a gap, which readers step over.
    const Result<CommitId> start = parts_->ledger.raise_log_start(
        now, id, stream, end, 0, Freed::deleted, std::nullopt, Urgency::fact);
    return start ? start : commit;
}

/// Those that were refused or given up, as soon as there is room.
void LogImpl::raise_ends(Instant now) {
    std::erase_if(raise_to_, [&](const auto& owed) {
        Stream* stream = core_.streams.find(owed.first);
        if (stream == nullptr || stream->state.flushed >= owed.second) return true;
        if (stream->state.log_end < owed.second &&
            parts_->arrivals.room_for(FrameType::log_end, 8, Urgency::fact))
            (void)raise_end(now, owed.first, *stream, owed.second);
        return false;
    });
}

void LogImpl::enter_loss(Instant now, StreamId id, LossReason why, Offset from, Offset to,
                         std::uint64_t bytes) {
    core_.called_at = now;
    const Stream* stream = core_.streams.find(id);
    if ((stream == nullptr && id != no_stream) || !parts_ || closing_) return;
    if (id == no_stream)
        parts_->ledger.count(now, why, static_cast<std::uint64_t>(to - from), bytes);
    else
        parts_->ledger.lost(now, id, why, from, std::min(to, stream->state.log_end), bytes);
    // Now, if there is room: the fact that makes it true (a cursor behind it) comes next.
    if (!core_.read_only) parts_->ledger.pump(now);
}

}  // namespace leat::log
