// How much is written between two checkpoints: what one costs the flash, against what a start reads
// and what may be neither recycled nor packed until the next one.
#include <algorithm>

#include "broker/log/checkpoint_parity.hpp"

namespace leat::log {

namespace {
/// All that a checkpoint writes wears the flash for no record: so much of what comes in between ...
constexpr std::uint64_t wear_share = 256;
/// ... where that is no more than this share of the pool: nothing behind the redo point is
/// recycled or packed.
constexpr std::uint32_t pool_share = 16;
/// In a log that is neither small nor low on room half as much, where that takes few segments: an
/// eighth of those that the pool has beyond the smallest, and no more than a start reads footers of
/// anyway. (Low on room, the cleaner waits for what the next checkpoint lets it pack.)
constexpr std::uint32_t smallest_pool = 16, few_share = 8, few_max = 16;
}  // namespace

std::uint64_t checkpoint_gap(const Core& core) {
    const std::uint32_t pool = core.segments.target();
    const bool at_ease = carries_parity(pool, core.segment_bytes) && !core.low_on_room();
    const std::uint32_t few =
        at_ease ? std::min((std::max(pool, smallest_pool) - smallest_pool) / few_share, few_max) : 0;
    // And a page of each superblock slot.
    const std::uint64_t written = core.checkpoint_bytes + 2 * core.page;
    return std::max({checkpoint_gap_factor * core.checkpoint_bytes,
                     checkpoint_gap_min(pool, core.segment_bytes),
                     std::min(wear_share * written,
                              std::uint64_t{pool / pool_share} * core.segment_bytes),
                     std::min(2 * wear_share * written, std::uint64_t{few} * core.segment_bytes)});
}

}  // namespace leat::log
