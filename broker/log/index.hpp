// Streams, and how a record is found again: 48 bytes per segment (segment.hpp) and at most 64
// anchors per stream in RAM; between two anchors the links in the footers lead to any segment in
// log2 steps.
#pragma once

#include <map>
#include <vector>

#include "broker/log/log.hpp"
#include "broker/log/stream_table.hpp"
#include "broker/log/superblock.hpp"

namespace leat::log {

constexpr std::size_t anchors_max = 64;
constexpr std::size_t levels_max =
    16;  ///< links of one footer entry; two anchors are never 2^16 segments apart

/// Where a stream goes on: a segment that holds it, the first of its offsets there, and the largest
/// timestamp of the stream up to the end of that segment (so a search by time can be a binary one).
struct Link {
    Offset first_offset = 0;
    std::int64_t max_timestamp = -1;
    std::uint32_t segment = no_segment;
    std::uint32_t ordinal = 0;
};
constexpr std::size_t link_bytes = 24;

/// How far a stream is compacted. In RAM only: after a restart it is found out again.
struct CompactionState {
    /// Below `end` every key has one record, and has had since `age_ms`: who read an older one has
    /// had the time since then to meet a tombstone. At most marks_max, both rising.
    struct Mark {
        Offset end = 0;
        std::uint64_t age_ms = 0;
    };
    static constexpr std::size_t marks_max = 8;
    /// Age time before which nothing came that no pass has seen; 0: not known. UINT64_MAX: there is
    /// nothing like that. Every batch asks for it.
    std::uint64_t dirty_since_ms = 0;
    std::vector<Mark> marks;
    Offset end() const { return marks.empty() ? 0 : marks.back().end; }
    Offset resume = 0;             ///< the next pass takes keys from here on
    std::int64_t clean_bytes = 0;  ///< of the stream's bytes: those that the last pass could judge
    std::uint64_t redo_place = 0;  ///< at the last pass: without a newer one nothing is gained
    std::uint64_t tombstones_due_ms = UINT64_MAX;  ///< age time at which the oldest may go
};

constexpr CommitId not_durable = UINT64_MAX;  ///< its commit was given up, the next is not made yet

/// First what every batch touches, so that it lies in a few lines of the processor's cache: with ten
/// thousand streams that is most of what a batch costs more than with ten.
struct Stream {
    StreamState state;
    // What is durable: a write that fails twice takes the stream back to here.
    std::int64_t flushed_bytes = 0, flushed_max_timestamp = -1;
    Offset flushed_max_timestamp_offset = -1;
    CommitId log_end_id = 0;     ///< the commit that makes state.log_end durable
    std::uint32_t ordinal = 0;   ///< of the newest segment that holds it; 0: none
    bool declared = false;
    bool has_gaps = false;       ///< compaction left batches out
    std::vector<Link> levels;    ///< level j: the newest ordinal that 2^j divides
    std::vector<Link> anchors;   ///< ascending; the newest segment is always the last
    Few<Link, 2> newest_links;   ///< what the footer of the newest segment must carry
    StreamPolicy policy;
    CompactionState compaction;
    Offset counted_to = 0;      ///< recovery: `state.bytes` counts what ends up to here
    CommitId log_start_id = 0;  ///< the commit that makes state.log_start durable, or not_durable
    std::uint64_t log_start_checkpoint =
        0;  ///< ... or the checkpoint that does, when the ring has no room to say so
    std::uint64_t blocked_in = 0;  ///< the last pass of retention that found it to keep a segment
    Offset first_batch = 0;        ///< none of its batches begins before, as far as was found out

    /// Records that a new segment holds the stream, and makes newest_links.
    void enter_segment(std::uint32_t segment, Offset first_offset, std::uint32_t anchors_limit);
    /// The newest segment's largest timestamp grows with every batch: before its links are looked at
    /// they are told.
    void grow_newest();
    /// `visit`: each of the three lists of links, in the order in which a checkpoint has them.
    static void each_links(auto& stream, auto visit) {
        visit(stream.levels);
        visit(stream.anchors);
        visit(stream.newest_links);
    }
    /// It may enter a segment soon: the processor may fetch what that looks at meanwhile.
    void expect_segment() const {
        if (!levels.empty()) prefetch_front(levels.data(), 2 * sizeof(Link));
        if (!anchors.empty()) prefetch_front(&anchors.back(), 2 * sizeof(Link));
    }
    /// Of the bytes that are kept those before `to`, in proportion.
    std::uint64_t bytes_before(Offset to) const;
    /// Forgets anchors of segments that only hold records before log_start.
    void prune_anchors();
};

/// Where a search in RAM ends. `at`: the anchor to start from; going back from it along the links,
/// the wanted segment is the one with the largest first_offset <= target. `exact`: `at` is that one
/// already.
struct Located {
    Link at;
    bool exact = false;
    bool found = false;
};
Located locate(const Stream& stream, Offset target);
/// The same for the first segment whose max_timestamp reaches `target`.
/// (After grow_newest.)
Located locate_time(const Stream& stream, std::int64_t target);

/// In the order of their numbers, and found without it: each batch asks for its stream several
/// times.
class Streams {
public:
    Stream* find(StreamId id) {
        const auto found = table_.find(id);
        return found == nullptr ? nullptr : &found->second;
    }
    const Stream* find(StreamId id) const { return const_cast<Streams*>(this)->find(id); }
    Stream& make(StreamId id) {
        const auto [found, fresh] = streams_.try_emplace(id);
        if (fresh) table_.put(&*found);
        return found->second;
    }
    void erase(StreamId id) {
        table_.erase(id);
        streams_.erase(id);
    }
    std::size_t size() const { return streams_.size(); }
    std::map<StreamId, Stream>& all() { return streams_; }
    const std::map<StreamId, Stream>& all() const { return streams_; }
    /// Few streams: 64 anchors each. Many: fewer, so that all of them stay within 4 MiB.
    std::uint32_t anchors_limit() const;

private:
    std::map<StreamId, Stream> streams_;
    StreamTable<std::pair<const StreamId, Stream>> table_;
};

}  // namespace leat::log
