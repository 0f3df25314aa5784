// Reading the commits of one segment in order: recovery of the open tail, and the index of a
// segment that has no footer. Works on bytes; who brings them may bring them piece by piece.
#pragma once

#include <functional>
#include <string>

#include "broker/log/core.hpp"

namespace leat::log {

/// Whether the commit at the front of `bytes` holds: header, every frame, every batch; and the
/// frames are those that the header is tied to.
/// In `parts`, batches that span commits are left to the caller: their payload is not summed here.
bool commit_holds(ByteView bytes, const CommitHeader& header, std::uint32_t salt,
                  bool ignore_checksums);

struct SegmentScan {
    std::uint32_t data_end = 0;  ///< the next commit may go here
    std::uint64_t next_sequence = 0;
    std::optional<CommitHeader> last;   ///< newest commit, whatever its kind
    std::uint32_t footer_position = 0;  ///< a whole footer was found (its trailer may be torn)
    bool footer_is_next = false;        ///< ... and no commit is missing in front of it
    std::uint32_t damaged_commits = 0;
    bool stopped_at_garbage =
        false;  ///< something that is neither erased nor stale stood at the end
};

/// A commit that does not hold, between others that do: it was durable once, so each of its frames
/// that proves itself counts, and one that lost a bit where a frame must stand. The salt keeps out
/// whatever stood here in an earlier life.
void salvage(const Core& core, const SegmentHeader& segment, std::uint32_t position, ByteView bytes,
             std::uint64_t sequence, std::uint64_t age_ms, SegmentIndex& index,
             FrameReplay& replay);

/// `bytes_at(position, count)`: at least `count` bytes of the segment from there, fewer at its end;
/// empty: they cannot be read. Views stay good until the next call.
using SegmentBytes = std::function<ByteView(std::uint32_t position, std::uint32_t count)>;

/// Fills `index` with what holds in [page, limit).
SegmentScan scan_segment(const Core& core, const SegmentHeader& header, std::uint32_t limit,
                         const SegmentBytes& bytes_at, SegmentIndex& index);

}  // namespace leat::log
