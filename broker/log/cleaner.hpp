// The cleaner: copies the records that still count out of segments that hold little else into
// survivors, densely, so that those segments are free again.
//
// A run: neighbours in the ring that together fill fewer segments than they are -> their frames are
// walked once, each batch that is still wanted is checked and copied as a `moved` frame -> the new
// segments get footers -> between two checkpoints they take the place of the old ones in the ring
// -> a checkpoint that knows this is made durable -> the old ones are free. A crash before that
// checkpoint leaves the old segments in force and the new ones free; after it the other way round.
// So moved frames are never replayed: they move no log end, no producer and no fact.
//
// Only segments behind the redo point are taken: all else that they tell is in the checkpoint. What
// of one does not hold, twice read, is left out: the walk goes on at the next frame that proves
// itself, as a reader does, and the offsets between are in the ledger with the checkpoint that
// lists the copies (cleaner_damage.cpp). Else a flipped bit would keep its segment for ever. What
// the device refuses is in doubt first, by the rule of the readers (cleaner_refused.cpp).
//
// While the Compactor has found superseded records, each batch goes through its filter() first.
//
// One read or write of at most a block is under way at a time, so that a commit waits for no more
// than that; while room is not short yet, they are spaced. Of a batch that is longer than a block
// there is one copy in memory: it goes out from there in pieces.
#pragma once

#include <algorithm>
#include <functional>
#include <map>

#include "broker/log/cache.hpp"
#include "broker/log/checkpoint.hpp"
#include "broker/log/compaction.hpp"

namespace leat::log {

constexpr std::uint32_t cleaner_block_bytes = 64 * 1024;
constexpr milliseconds cleaner_pace{20};          ///< between two blocks: 3.3 MiB/s at most
constexpr milliseconds cleaner_rest{1000};        ///< until it looks again after finding nothing
constexpr std::uint32_t cleaner_outputs_max = 4;  ///< segments written by one run
/// A run that copies more than so many bytes per byte it frees is not begun.
constexpr std::uint64_t cleaner_cost_max = 3;
/// Where nothing is left to be dropped and records are refused, so many segments of records at most
/// are moved for one that is free.
constexpr std::uint64_t cleaner_gather_max = 12;
/// The same while room is not short, and only superseded records are a reason.
constexpr std::uint64_t compaction_cost_max = 1;
/// While records are dropped, this part of the ring, its oldest, is left to that: of segments in
/// which everything counts none is packed there.
constexpr std::size_t dropped_soon = 4;
/// So full, a segment is left alone. While room is short each run makes one of a few sparse ones
/// and the copy that the last run made of others, so copies grow up to here.
constexpr std::uint32_t cleaner_full_eighths = 7;

class Cleaner {
public:
    Cleaner(Core& core, CheckpointWriter& checkpoints, FooterCache& footers, Compactor& compaction);

    /// There is more to pack than a moment ago: no rest until the next look.
    void wake(Instant now) {
        if (phase_ == Phase::idle && !rests_) next_at_ = earlier(next_at_, now);
    }
    void pump(Instant now);
    void on_done(Instant now, std::uint64_t ticket, bool good);
    Instant deadline() const;
    /// Nothing more is begun; what is under way at the device is waited for.
    void stop() { stopped_ = true; }
    bool busy() const { return ticket_ != 0; }
    /// Room is being made, or may be: nothing needs to be dropped yet.
    bool makes_room();
    /// So many segments are free again when the run is over, whatever becomes of it.
    std::uint32_t holds() const {
        return static_cast<std::uint32_t>(outputs_.size() + replaced_.size());
    }
    /// Whether `bytes` of this segment may be copied out of it at all.
    bool could_move(const SegmentEntry& entry, std::uint64_t bytes,
                    std::uint32_t full_eighths = 6) const {
        return entry.state == SegmentState::sealed && !entry.unmovable &&
               entry.place < core_.redo_place && bytes <= capacity() / 8 * full_eighths;
    }
    /// The segment is in the run that is under way.
    bool plans(std::uint32_t segment) const {
        return std::any_of(plan_.begin(), plan_.end(),
                           [segment](const Source& source) { return source.segment == segment; });
    }
    /// The ring has changed: segments left it, others came.
    std::function<void()> on_moved;
    /// So many records of the stream are gone for good with the next checkpoint.
    std::function<void(StreamId, std::uint64_t records, std::int64_t bytes)> on_superseded;
    /// Offsets that do not hold where they were, and so were not copied: the same.
    std::function<void(Instant, StreamId, Offset from, Offset to, std::uint64_t bytes)> on_lost;

private:
    enum class Phase : std::uint8_t { idle, look, copy, hand_over };
    enum class Doing : std::uint8_t { nothing, read, group, piece, footer, ask_header, ask_page };
    enum class Step : std::uint8_t { go_on, wait };
    /// `doubt`: something does not hold, for the first time. `surprise`: not understood. `refused`:
    /// the device does not give it now.
    enum class Walked : std::uint8_t { wait, batch, end, doubt, surprise, refused };

    struct Range {
        Offset first = -1, end = -1;
        std::uint32_t batches = 0;
        std::uint32_t ordinal = 0;        ///< of the segment in its stream; 0: not known
        std::int64_t max_timestamp = -1;  ///< of the stream up to the segment's end
        std::uint64_t bytes = 0;
        std::uint32_t damages = 0;  ///< seen in the source up to its last batch
    };
    struct Source {
        std::uint32_t segment = no_segment;
        std::uint64_t generation = 0;
    };
    struct Output {
        SegmentHeader header;
        std::uint32_t data_end = 0, footer_position = 0;
        std::uint64_t batch_bytes = 0, last_age_ms = 0;
        std::uint32_t live_bytes = 0, batches = 0;
        std::map<StreamId, Link> links;  ///< ordinal: of the newest source with the stream
    };
    /// Where the walk over a source is (cleaner_copy.cpp).
    struct Walk {
        std::uint32_t position = 0, commit_end = 0, frames_end = 0, frame_end = 0;
        std::uint64_t last_sequence = 0, sequence = 0, age_ms = 0;
        bool first = false, open = false, live = false, continues = false;
        bool headless = false;  ///< frames are looked for: their commit's header does not hold
        bool resync = false;    ///< behind damage: only a frame that proves itself counts
        std::uint32_t damages = 0;
        std::uint32_t tie = 0, commit_tie = 0;  ///< of the frames so far; what the header says
        std::uint32_t damages_before = 0;       ///< this commit
        StreamId stream = 0;
        BatchFields fields;
        std::uint32_t left = 0, have = 0;  ///< of this part's body; of the whole batch
    };

    bool wanted() const;
    bool urgent() const { return core_.short_of_room(); }
    std::uint32_t capacity() const { return core_.segment_bytes - 2 * core_.page - 128; }
    std::uint32_t outputs_allowed() const;
    bool movable(std::uint32_t segment) const;
    bool overdue(std::uint32_t segment) const;
    std::uint32_t filled(std::uint8_t share) const;
    std::uint32_t to_copy(std::uint32_t segment) const;
    bool filter(Instant now);
    bool settle_superseded();
    void follow_ordinals();
    bool choose();
    std::size_t gather(std::uint32_t allowed, std::size_t& from);
    bool still_there(const Source& source) const;

    Step look();
    Step copy(Instant now);
    Step hand_over(Instant now);
    bool expect(const SegmentIndex& index, std::uint32_t segment);
    bool as_expected() const;
    bool open_output(Instant now);
    bool fits(std::uint32_t frame_bytes) const;
    void add_batch();
    void note_copied(std::uint32_t frame_position);
    // A batch longer than a block (cleaner_put.cpp).
    void begin_large(Instant now);
    bool write_large();
    void end_large();
    bool write_group(Instant now);
    bool write_footer(Instant now);
    Step finish(Instant now);
    void put_back(std::uint32_t unmovable);
    void release_replaced(Instant now);
    void repoint(StreamId id, Stream& stream);

    Walked walk();
    Walked fetch();
    bool at_commit();
    Walked at_frame();
    // Where something does not hold (cleaner_damage.cpp).
    Walked damaged();
    Walked frame_damaged();
    Walked without_header();
    Walked end_of_commit();
    void behind_lost_header();
    Walked between_frames();
    bool proven(ByteView head) const;
    void note_seen(const BatchFields& fields);
    void note_gap(StreamId id, Offset from, Offset to, const Range& seen);
    Walked settle_source();
    bool settle_lost(StreamId id, const Range& want, const Range& seen);
    void tell_lost(Instant now);
    bool have(std::uint32_t bytes) const {
        return walk_.position >= block_from_ && walk_.position + bytes <= block_from_ + block_size_;
    }
    bool batch_whole();
    // What the device refuses (cleaner_refused.cpp).
    Walked start_read(std::uint32_t at, std::uint32_t bytes);
    void on_read(bool good);
    void skip_refused();
    Refusals::Place place_here() const {
        return {plan_[at_].segment, block_from_ + page_at_, plan_[at_].generation};
    }
    bool ask_again(Instant now);
    void ask(Doing what, std::uint32_t position);
    void on_asked(Doing what, bool good);

    Core& core_;
    CheckpointWriter& checkpoints_;
    FooterCache& footers_;
    Compactor& compaction_;
    Phase phase_ = Phase::idle;
    Doing doing_ = Doing::nothing;
    std::uint64_t ticket_ = 0;
    Instant next_at_{};
    bool stopped_ = false, finishing_ = false;
    bool rests_ = false;  ///< the last run came to nothing
    bool frees_nothing_ = false;  ///< this run need not: what it leaves out is overdue, or it gathers
    bool gathers_ = false;        ///< this run pushes what is dead in its sources together

    std::vector<Source> plan_;
    std::size_t at_ = 0;  ///< in the plan; those before it are copied
    std::map<StreamId, Range> expected_, seen_;
    std::map<StreamId, Offset> moved_ends_;  ///< in this run
    bool filtering_ = false;                 ///< in this run superseded records are left out
    struct Gone {  ///< ... and so many were out of one source, all of them in [from, end)
        Offset from = 0, end = 0;
        std::uint64_t records = 0;
        std::int64_t bytes = 0;
    };
    std::map<StreamId, std::vector<Gone>> superseded_;
    struct Lost {
        StreamId stream = 0;
        Offset from = 0, to = 0;
        std::uint64_t bytes = 0;
    };
    std::vector<Lost> lost_, lost_here_;  ///< in this run; in this source
    Walk walk_;
    std::vector<std::uint8_t> batch_;
    bool batch_waits_ = false;  ///< whole, and not yet in the group
    /// What stands in front of it where it is a commit of its own, and how much of that is written.
    std::vector<std::uint8_t> large_front_;
    std::uint32_t large_at_ = 0, large_bytes_ = 0;
    AlignedBytes piece_;
    AlignedBytes block_;
    std::uint32_t block_from_ = 0, block_size_ = 0;
    std::uint32_t reading_ = 0;  ///< so much of the block is wanted
    /// Something of it is refused, so that goes page by page: where the next one is in the block,
    /// and how many were refused in a row, and given.
    bool by_pages_ = false, in_doubt_ = false;
    std::uint32_t page_at_ = 0, row_ = 0, given_ = 0;
    Refusals::Place asked_;  ///< outside of a run, again

    std::vector<Output> outputs_;
    bool output_open_ = false;  ///< the last of them has no footer yet
    SegmentIndex index_;        ///< of that one
    Group group_;
    std::uint32_t position_ = 0, flight_bytes_ = 0;
    std::uint64_t sequence_ = 1;
    AlignedBytes footer_memory_;

    struct Replaced {
        std::uint32_t segment = no_segment;
        std::uint64_t checkpoint = 0;  ///< free once this one, or a later one, is durable
    };
    std::vector<Replaced> replaced_;
};

}  // namespace leat::log
