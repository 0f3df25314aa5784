// The walk of inspect.hpp: live segments are read wholly, commit by commit and frame by frame, and
// every checksum is made again. What was met is put down, and what stands where it should not; what
// that means for the streams is judged afterwards (inspect.cpp).
#pragma once

#include <map>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "broker/log/books.hpp"
#include "broker/log/inspect.hpp"
#include "broker/log/recovery.hpp"

namespace leat::log {

/// Where in the log something stands: the segment's place in its area, then the position.
using Where = std::pair<std::uint64_t, std::uint32_t>;

struct Inspected {
    struct Piece {  ///< offsets of one stream that were seen, and between what they stood
        Offset from, to;
        Where first, last;
    };
    struct Hurt {
        Where where;
        Damage damage;
        std::uint64_t generation = 0;  ///< of the segment
    };
    std::map<StreamId, std::vector<Piece>> pieces;
    std::vector<Hurt> damages;
    /// What a segment with damage holds by its own footer, and how much of it was found.
    struct Held {
        Offset first, end;
        bool all_found;  ///< as many batches as the footer tells of, or more
    };
    std::map<std::pair<std::uint32_t, std::uint64_t>, std::map<StreamId, Held>>
        held;  ///< by segment and generation
};

/// `core` knows the log as a start would, and outlives this; counts go to `out`.
class InspectWalk {
public:
    InspectWalk(Core& core, Inspection& out, InspectVisitor* visitor)
        : core_(&core), out_(&out), visitor_(visitor), io_(core, {SIZE_MAX, SIZE_MAX}) {}

    void superblocks();
    void arrivals();
    void checkpoint(const std::vector<CheckpointExtent>& extents);
    /// `now` is the log as a start would find it after all that was walked. Forgets damage in what
    /// was being written over, and walks the segments that records were moved to meanwhile, which
    /// are not counted. returns  whether there was none of these, so that nothing was missed
    bool look_again(Core& now);
    const Inspected& seen() const { return seen_; }

private:
    struct Part {  // a batch that goes on in the next commit
        StreamId stream;
        BatchFields fields;
        std::uint32_t crc, have, total, position;
    };
    bool load(std::uint32_t segment);
    bool recycled(std::uint32_t segment);
    void one_of_ring();
    bool is_still_there(const Inspected::Hurt& hurt);
    bool is_forgotten(const SegmentEntry& entry, std::uint32_t segment);
    /// What the successor tells of the footer in front of it.
    enum class Told : std::uint8_t { nothing, failed, was_whole };
    Told told_by_successor();
    void range(std::uint32_t from, std::uint32_t to);
    std::uint32_t frames(std::uint32_t at, std::uint32_t limit, const CommitHeader* commit);
    void frame(std::uint32_t at, const FrameHeader& header, ByteView body, bool first);
    void batch_whole(StreamId stream, const BatchFields& fields, std::uint32_t at, bool good);
    void batch_hurt(StreamId stream, Offset base, std::uint32_t at, std::uint32_t bytes);
    void footer(bool was_whole);
    void note_held(const SegmentIndex& index);
    std::uint32_t find_footer(std::uint32_t from) const;
    std::optional<CommitHeader> commit_at(std::uint32_t at, std::uint32_t limit) const;
    std::optional<FrameHeader> frame_at(std::uint32_t at, std::uint32_t limit) const;
    bool wanted(StreamId id, Offset end) const {
        const Stream* stream = core_->streams.find(id);
        return stream != nullptr && end > stream->state.log_start;
    }
    void damage(Damage::Kind kind, std::uint32_t at, std::uint32_t bytes, StreamId stream = 0,
                Offset from = -1, Offset to = -1) {
        seen_.damages.push_back({{entry_.place, at},
                                 {kind, segment_, at, bytes, stream, from, to},
                                 entry_.generation});
    }

    Core* core_;
    Inspection* out_;
    InspectVisitor* visitor_;
    WaitingStorage io_;
    std::uint32_t segment_ = 0;
    SegmentEntry entry_;
    std::vector<std::uint8_t> bytes_;
    std::optional<Part> part_;
    std::uint32_t tie_ = 0;  ///< of the frames that were walked last
    std::map<StreamId, std::uint32_t> batches_;  ///< the segment's whose frames hold, no parts
    std::vector<std::size_t> hurt_;  ///< the segment's batches that do not hold, in seen_.damages
    // Of the commits that hold.
    std::uint64_t last_sequence_ = 0;
    std::uint32_t last_run_ = 0;
    std::vector<std::uint8_t> slots_[2];  ///< the superblocks, as they stood there
    std::set<std::pair<std::uint32_t, std::uint64_t>> walked_;  ///< segment and generation
    Inspected seen_;
};

Result<StreamBook> book_of(const Core& core, StreamId id);

/// What was `read` begins and ends somewhere; which offsets ought to have been seen and were not,
/// and which damaged place took them. `now`: the log as it was found last, `first` the one that was
/// read, whose log ends count.
/// `lost`: what a start knows to be lost.
std::vector<Damage> judge(const Core& first, const Core& now,
                          const std::vector<SegmentIndex::Lost>& lost, Inspected seen);

}  // namespace leat::log
