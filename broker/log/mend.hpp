// One lost bit is given back (FORMAT.md section 11): the difference between the checksum that
// stands there and the one that the bytes give tells which bit it was, and one alone.
//
// Only where nothing else would tell what stood there, at a place where exactly this structure must
// stand, and only structures of the log: payload is never guessed at. More than one bit passes for
// one in (bits covered / 2^32) of all cases at most; magic numbers, lengths, generation and
// position have to be right behind it, too.
#pragma once

#include <optional>

#include "broker/log/commit.hpp"
#include "broker/log/segment.hpp"

namespace leat::log {

/// The bit of `bytes` covered bytes, counted from the first one's lowest, that explains two
/// checksums with this difference; none: it is not one bit of them.
std::optional<std::size_t> lost_bit(std::uint32_t difference, std::size_t bytes);

/// Superblocks and segment headers: 512 bytes that end in their checksum. true: it holds now.
bool mend_block(MutableBytes block);
Result<SegmentHeader> decode_mended_segment_header(ByteView bytes);

/// The 80 bytes of a commit header. fails: corrupt (more is lost than one bit)
Result<CommitHeader> mend_commit_header(MutableBytes bytes, std::uint32_t salt);

enum class Mend : std::uint8_t {
    heads,  ///< a write that a power cut tore must not pass for whole: no bodies but of batches
    all,
};

/// A frame must stand at the front of `bytes`, and what does does not hold: its header and the bytes
/// that its checksum covers are mended. none: more is lost than one bit, or its type is not known.
std::optional<FrameHeader> mend_frame(MutableBytes bytes, std::uint32_t salt, Mend what);

/// The whole commit at the front of `bytes`, but for the payload of batches. true: its header holds
/// now, so does every frame, they are its own, and its padding is zero; one bit was flipped at most.
bool mend_commit(MutableBytes bytes, std::uint32_t salt, Mend what);

}  // namespace leat::log
