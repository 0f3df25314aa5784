// The arrivals ring: appended in order, one commit under way, the next group collects meanwhile.
//
// Life of a segment here: opened by its header and first commit in one write; filled; sealed by a
// footer that ends at its end; the next one is opened, in one write with that footer where it lies
// behind it (arrivals_footer.cpp). A failed write closes it for good: its
// successor's header names where its valid bytes end, and the group that failed is written there
// instead. If that fails too, what was not acknowledged is given up, and the log only reads from
// then on.
#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "broker/log/core.hpp"
#include "broker/log/recent.hpp"

namespace leat::log {

/// Who asks for room, and so how far into the last free segments it may go: beside those for a
/// checkpoint, which alone can free segments when nothing more can be written to the ring, records
/// leave three and what is reserved by others, those that have a reservation three, facts and what
/// a client deletes two, or one behind a segment that holds nothing else and is thus free with the
/// next checkpoint, what frees segments none.
enum class Urgency : std::uint8_t { data, reserved, fact, upkeep };
/// How far facts may make a group larger than the largest one of batches, while a commit is under
/// way.
constexpr std::uint32_t squeeze_bytes = 64 * 1024;
/// How much is zeroed at a time in a segment's first life (zeroing.hpp).
constexpr std::uint32_t zeroed_ahead_bytes(std::uint32_t segment_bytes) {
    return segment_bytes / 4 < 512 * 1024 ? segment_bytes / 4 : 512 * 1024;
}
/// A fact that is in no hurry rides with the next commit; alone it waits so long.
constexpr milliseconds lazy_wait{1000};
/// A footer of so many bytes at most leaves with the opening of the segment behind its own.
constexpr std::uint32_t footer_rides_bytes = 16 * 1024;
/// After two failed writes in a row: when the device is tried again, doubled up to the maximum.
constexpr milliseconds probe_wait{1000}, probe_wait_max{60'000};

/// The device has not finished a write for so long: somebody should look at it.
constexpr milliseconds slow_write{5000};

class Arrivals {
public:
    explicit Arrivals(Core& core);

    /// Whether `body` more bytes find room now. fails: full, would_block, storage, too_large
    Status room_for(FrameType type, std::uint32_t body, Urgency urgency);
    /// Adds a frame (room_for said yes); the body is to be filled in before anything else is
    /// called.
    MutableBytes add(Instant now, FrameType type, StreamId stream, std::uint32_t body,
                     CommitId& id) {
        return add_at(now, now, type, stream, body, id);
    }
    /// The same, but it makes no commit due before `came`.
    MutableBytes add_at(Instant now, Instant came, FrameType type, StreamId stream,
                        std::uint32_t body, CommitId& id);
    /// The newest segment, or one that it names as its successor, is to leave the pool: when nothing
    /// waits it gets its footer, and a commit that promises nothing opens the next one.
    void move_on() { move_on_ = true; }
    /// What waits lazily is wanted now.
    void hasten(Instant now) { open_->hasten(now); }
    /// Nothing is written for a while: the group buffers go back to the heap.
    void give_back_memory();
    void flush_soon() { due_now_ = true; }
    /// Starts the next write if one is due and none is under way.
    void pump(Instant now);
    void on_write_done(Instant now, std::uint64_t ticket, bool good);
    Instant deadline(Instant now) const;

    /// Writes the seal after everything else.
    void seal(Instant now);
    bool sealed() const { return seal_ == Seal::done; }
    /// What waits cannot go out before a segment is free.
    bool stuck() const { return stuck_; }
    /// The write under way takes longer than slow_write.
    bool write_is_slow() const { return write_is_slow_; }
    bool idle() const { return writing_ == Writing::nothing && open_->empty(); }

    std::optional<Log::RolledBack> take_rolled_back() {
        return std::exchange(rolled_back_, std::nullopt);
    }

    /// Recovery hands over the open tail.
    struct Tail {
        std::uint32_t segment = no_segment;
        std::uint64_t place = 0;     ///< of the tail; 0: nothing was ever written
        std::uint32_t position = 0;  ///< where the next commit goes
        std::uint64_t next_sequence = 1;
        SegmentIndex index;
        std::vector<std::uint32_t> announced;  ///< successors that its header names
        bool closed = false;                   ///< it has a footer
    };
    void resume(Tail tail);

    /// After a write that failed there is only the open segment to go on in, and it is time to ask
    /// the device: with a superblock that says where what failed begins, and a new run.
    bool wants_new_run(Instant now) const { return held_ && probe_at_ <= now; }
    /// It is durable.
    void new_run_began();

    std::uint32_t segment() const { return segment_; }
    /// The segment with place(), open or just sealed.
    std::uint32_t newest_segment() const {
        return segment_ != no_segment ? segment_ : last_.segment;
    }
    std::uint32_t position() const { return position_; }
    std::uint64_t place() const { return place_; }
    std::uint64_t next_sequence() const { return next_sequence_; }
    const SegmentIndex& index() const { return index_; }
    const RecentCommits& recent() const { return recent_; }
    std::uint64_t bytes_written() const { return bytes_written_; }

    // For zeroing: the open segment was never written before, up to where it is zeroed, and up to
    // where a write is under way.
    bool first_life() const { return first_life_; }
    void found_in_first_life() { first_life_ = true; }
    std::uint32_t zeroed_to() const { return zeroed_to_; }
    void zeroed(std::uint32_t upto) { zeroed_to_ = std::max(zeroed_to_, upto); }
    std::uint32_t write_end() const {
        if (writing_ == Writing::footer) return core_.segment_bytes;
        const bool flying = writing_ == Writing::group && !opening_;
        return position_ + (flying ? static_cast<std::uint32_t>(flight_bytes_) : 0);
    }
    bool commits_are_small() const { return usual_bytes_ < cut_bytes / 4 * 3; }
    /// What waits here cannot go out but in a segment that is still to be opened. The last one that
    /// may be is promised to it: whoever takes that waits until it is out (flush_soon).
    bool needs_segment() const;

    /// A segment got its footer: the reader keeps the bytes instead of reading them back.
    std::function<void(std::uint32_t segment, ByteView footer)> on_footer;
    /// What was not durable was given up, and the core's tables were taken back.
    std::function<void()> on_rolled_back;

private:
    enum class Writing : std::uint8_t { nothing, group, footer };
    enum class Seal : std::uint8_t { no, wanted, writing, done };
    enum class Footer : std::uint8_t { none, durable, rides };

    bool due(Instant now) const;
    std::uint32_t room() const;  ///< bytes of the open segment that a group may still take
    std::uint32_t growth(const Group& group) const;
    bool fits_here(std::uint32_t used, std::uint32_t more_growth) const;
    bool goes_out_now() const;
    bool only_facts() const;
    std::size_t fitting(const Group& group, std::uint32_t room) const;
    bool may_open() const {
        return core_.segments.free_count() > segments_kept_for_checkpoint &&
               core_.segments.next_promised() != no_segment;
    }
    bool prepare(Instant now);  ///< cuts the open group; false: it cannot go out now
    bool open_segment(Instant now);
    bool make_footer(Instant now);  ///< false: there is no room for one, the segment is closed
    bool footer_may_ride();
    void write_footer(Instant now);  ///< alone, once it is made
    void write_footer_early(Instant now);
    void riding_footer_durable();
    void riding_footer_failed();
    void submit(std::uint64_t at, ByteView bytes);
    void write_group(Instant now);
    void close_segment(Footer footer);
    void index_flight();  ///< its frames enter the tables and the open segment's index
    void group_durable(Instant now);
    void group_failed(Instant now);
    void give_up(Instant now);
    void hold(Instant now);
    void discard();  ///< what is not durable is rolled back
    bool finds_successor() const;
    void probe(Instant now);
    void leave_segment(Instant now);
    /// Zeros are being written where the next write would go.
    bool zeros_in_the_way(std::uint64_t end) const {
        return segment_ != no_segment && core_.segments.zeroing == segment_ &&
               end > core_.segments.zeroing_from;
    }

    Core& core_;
    Group first_, second_;
    Group* open_ = &first_;
    Group* flight_ = &second_;
    Writing writing_ = Writing::nothing;
    Seal seal_ = Seal::no;
    std::uint64_t ticket_ = 0;
    std::uint32_t open_growth_ = 0;    ///< what the open group may add to the footer
    std::uint32_t flight_growth_ = 0;  ///< ... and the one under way
    bool due_now_ = false;
    bool waited_ = false;   ///< frames came while a commit was under way
    bool retried_ = false;  ///< the group under way failed once already
    bool flight_is_seal_ = false;
    bool stuck_ = false;    ///< no segment to go on in
    bool move_on_ = false;  ///< asked for, not done yet
    bool probing_ = false;  ///< the write under way only asks whether the device works
    bool held_ = false;     ///< the open segment takes nothing before a new run has begun
    bool write_is_slow_ = false;
    Instant write_since_{};
    struct Untaken {
        std::uint64_t at = 0;
        ByteView bytes;
        Error error{};
    } untaken_;  ///< the write under way, as long as the device has not taken it on
    Instant probe_at_ = never;
    milliseconds probe_wait_ = probe_wait;
    bool first_life_ = false, opens_first_life_ = false;
    bool footer_waits_ = false;  ///< for zeros that are being written where it goes
    std::uint32_t zeroed_to_ = 0, opens_zeroed_to_ = 0;
    std::uint64_t usual_bytes_ = 0;   ///< of a commit, lately
    std::vector<std::uint8_t> part_;  ///< body of the part that the last durable commit ends with

    std::uint32_t segment_ = no_segment;  ///< open; no_segment: the next group opens one
    std::uint32_t position_ = 0;
    std::uint64_t place_ = 0;
    std::uint64_t next_sequence_ = 1;
    bool opening_ = false;  ///< the group under way brings the header
    SegmentHeader header_;  ///< of the segment being opened
    std::vector<std::uint32_t> announced_;
    struct Predecessor {
        std::uint32_t segment = no_segment, end = 0;
        std::uint64_t generation = 0;
    };
    Predecessor last_;  ///< predecessor

    SegmentIndex index_;
    SegmentIndex gone_;  ///< of the segment before: thousands of entries are not freed at one go
    FrameReplay replay_{index_};
    bool indexed_ = false;              ///< the group under way is in them already (a mistake)
    std::vector<std::uint8_t> footer_;  ///< made, not durable yet
    AlignedBytes footer_memory_;
    CommitHeader flight_header_;
    std::size_t flight_bytes_ = 0;
    RecentCommits recent_;
    std::optional<Log::RolledBack> rolled_back_;
    std::uint64_t bytes_written_ = 0;
};

}  // namespace leat::log
