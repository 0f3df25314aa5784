// What is left of a footer that is not whole (FORMAT.md section 9): who goes on behind it, and
// which run wrote it.
#pragma once

#include "broker/log/footer.hpp"

namespace leat::log {

/// The candidates that its summary names, if that holds: it lies in one sector with the commit
/// header, which holds. `front`: that sector.
std::optional<std::vector<std::uint32_t>> summary_candidates(ByteView front, std::uint32_t salt);

/// What `last`, the last 32 bytes of the segment, says of the footer's header; no trailer: nothing.
std::optional<CommitHeader> header_by_trailer(ByteView last, std::uint64_t generation,
                                              std::uint32_t salt, std::uint32_t segment_bytes);

}  // namespace leat::log
