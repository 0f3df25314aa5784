// Retention and recycling of the ring: a segment is free again when every
// record in it is expired, deleted or dropped, that is durable, and a newer checkpoint knows
// everything else it told.
//
// Expired: older than its stream's retention, or beyond its retention.bytes, and released. Where a
// stream is kept until it is delivered, and everywhere when free segments run low, also what is
// released because it was delivered upstream. When they run short, and that frees nothing in the
// whole ring, and the cleaner does not get anywhere by packing, the oldest records of streams that
// say drop-oldest, priority by priority from the lowest, in three stages: of whole segments; then
// also of segments that other streams share, if what those keep is cheap to move out; then also
// from the middle of a stream, with everything that is older. A stage's or a priority's turn comes when the whole ring was searched for less.
//
// A pass drops few segments at most (1, and a 64th of all), and none while room is on its way:
// while something dead waits for its log start to be durable or for a newer checkpoint, or the
// cleaner packs, or nobody asks for more than what the cleaner has taken and gives back. What is dropped is in the ledger. Never anything else: a log that is full says so.
#pragma once

#include <optional>

#include "broker/log/checkpoint.hpp"
#include "broker/log/cleaner.hpp"
#include "broker/log/ledger.hpp"
#include "broker/log/lost_segments.hpp"
#include "broker/log/read.hpp"

namespace leat::log {

class Retention {
public:
    Retention(Core& core, Arrivals& arrivals, CheckpointWriter& checkpoints, Ledger& ledger,
              FooterCache& footers, Cleaner& cleaner)
        : core_(core),
          arrivals_(arrivals),
          checkpoints_(checkpoints),
          ledger_(ledger),
          footers_(footers),
          cleaner_(cleaner),
          lost_(core, arrivals, ledger, footers) {}

    /// Something changed that may free segments (release, policy, delete, time).
    void wake(Instant now) { wake_at_ = earlier(wake_at_, now); }
    /// Somebody was refused.
    void wake_for_room(Instant now) {
        const bool dropping = dropped_at_ && now - *dropped_at_ < milliseconds(1000);
        wake(now + milliseconds(dropping ? 10 : 50));
    }
    void pump(Instant now);
    /// The ring has changed under the pass: it begins again.
    void restart(Instant now) {
        scanning_ = false;
        wake(now);
    }
    Instant deadline() const {
        if (core_.read_only) return never;
        if (scanning_) return paused_ ? began_at_ : never;
        // One that is not durable yet: the pump that sees it durable asks again.
        const bool raised = was_long_ && raised_id_ != 0 && raised_id_ <= core_.flushed_id;
        return raised ? earlier(wake_at_, began_at_ + pass_every_short) : wake_at_;
    }

private:
    static constexpr milliseconds pass_every{1000}, pass_every_short{200};
    static constexpr milliseconds dropping_for{10'000};
    static constexpr milliseconds forgive_wait{1'000}, forgive_wait_max{3'600'000};
    enum class Seen : std::uint8_t { dead, alive, pending };
    enum class Drops : std::uint8_t {
        whole,   ///< segments in which nobody else keeps anything, oldest first
        shared,  ///< also segments out of which the rest can be moved cheaply
        inner,   ///< also from the middle of a stream
    };
    Seen look(Instant now, std::uint32_t segment);
    Seen unreadable(Instant now, std::uint32_t segment);
    void raise_log_start(Instant now, StreamId id, Stream& stream, const StreamInSegment& here);
    bool raise(Instant now, StreamId id, Stream& stream, const StreamInSegment& here, Freed how,
               std::optional<LossReason> reason);
    bool drop(Instant now, StreamId id, Stream& stream, const StreamInSegment& here);
    std::uint64_t droppable_bytes() const;
    /// Whether the stream's records here may be dropped at the present priority, and are its oldest
    /// or the stage is one where that does not count.
    bool droppable(const Stream& stream, const StreamInSegment& here) const;
    /// Whether that empties the segment, or leaves so little that the cleaner may have the rest.
    bool may_drop(const SegmentIndex& index, const SegmentEntry& entry) const;
    void end_pass(Instant now);
    void last_resort(Instant now);
    bool dead_behind_redo() const;
    bool packing(Instant now);  ///< the cleaner makes room: nothing needs to be dropped yet
    /// The lowest priority above `above` of which there is something that may be dropped; 0: none.
    std::uint8_t next_priority(std::uint8_t above) const;

    Core& core_;
    Arrivals& arrivals_;
    CheckpointWriter& checkpoints_;
    Ledger& ledger_;
    FooterCache& footers_;
    Cleaner& cleaner_;
    LostSegments lost_;
    Instant wake_at_ = never;
    Instant began_at_{};  ///< the newest pass
    bool scanning_ = false;
    bool paused_ = false;      ///< the pass goes on next time, and waits for nothing
    bool was_long_ = false;    ///< the newest pass paused
    std::size_t streams_ = 0;  ///< in segments that were looked at since
    std::size_t at_ = 0;      ///< in the ring
    std::size_t resume_ = 0;  ///< every other pass goes on here, the others begin at the oldest
    bool from_head_ = false;
    /// In Stream::blocked_in: it has an older segment that must stay.
    std::uint64_t pass_ = 0;
    std::size_t looked_ = 0;         ///< segments seen in this pass
    std::uint32_t alive_ = 0;        ///< of them those that could not be freed
    bool dead_behind_redo_ = false;  ///< a newer checkpoint would free something
    std::uint64_t redo_at_pass_ = 0;
    std::uint64_t bytes_at_pass_ = 0;
    bool freed_ = false;         ///< this pass released a segment, or raised a log start
    bool held_back_ = false;     ///< this pass did not drop where it might have, or could not
    std::size_t barren_ = 0;     ///< segments of the ring seen in turn since something was freed
    std::uint64_t cleaned_ = 0;  ///< cleaner_freed, at the last pass
    std::uint64_t refused_ = 0;  ///< append_rejected_full, at the last pass
    std::optional<Instant> dropped_at_;   ///< last
    bool packs_ = false;                  ///< packing(), at the end of the last pass
    std::optional<Instant> packs_until_;  ///< the cleaner's promise of room is believed
    std::uint8_t drop_up_to_ = 0;         ///< priority; 0: nothing may be dropped
    Drops drops_ = Drops::whole;
    bool dying_ = false;  ///< this pass saw a segment without live records that is not free yet
    bool dying_before_ = false;     ///< ... and so did the one before
    std::uint32_t drops_left_ = 0;  ///< segments that this pass may still drop
    Instant forgive_at_{};  ///< the last resort's next try
    milliseconds forgive_wait_ = forgive_wait;
    CommitId raised_id_ =
        0;  ///< the newest log start this wrote; once durable the pass is repeated
};

}  // namespace leat::log
