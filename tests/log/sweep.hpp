// The crash sweep: a random workload on a small log; at every write the device as a power cut could
// leave it, in many states; each distinct state is recovered and held against a model of what was
// promised.
#pragma once

#include <unordered_map>

#include "tests/log/rig.hpp"

namespace leat::log::test {

enum class Workload : std::uint8_t {
    produce,
    facts,
    recycle,
    reopen,
    errors,
    drop,
    clean,
    compact,
    shrink,
    fill
};
constexpr std::uint8_t workloads = 10;
inline const char* name_of(Workload workload) {
    constexpr const char* names[] = {"produce", "facts", "recycle", "reopen",
                                     "errors",  "drop",  "clean",   "compact", "shrink", "fill"};
    return names[static_cast<std::size_t>(workload)];
}

/// Both halves of the seeds, the odd and the even ones, get every workload.
inline Workload workload_of(std::uint64_t seed) {
    return static_cast<Workload>(seed / 2 % workloads);
}

/// What is damaged in an image besides what the power cut left: one bit of the newest superblock,
/// of the commit that ends its checkpoint, or of any commit before that one; or all of that
/// superblock's slot.
enum class Hurt : std::uint8_t { nothing, superblock, checkpoint, body, slot };

/// What a power cut left of the write under way: the ways of the simulated device, and lost pages
/// of 16 KiB for themselves.
constexpr std::size_t columns = leat::test::tears + 1;
constexpr const char* column_names[columns] = {"dropped", "kept",      "prefix", "suffix",
                                               "subset",  "garbage",   "1 missing",
                                               "1 kept",  "4K lost",   "16K lost"};
constexpr std::uint8_t cells = workloads * columns;

/// Hashes of images, and where in the table workload x column each was seen first (`cells` and
/// above: nowhere).
using Seen = std::unordered_map<std::uint64_t, std::uint8_t>;

struct SweepOptions {
    std::uint64_t seed = 1;
    Workload workload = Workload::produce;
    std::uint64_t images_max = UINT64_MAX;  ///< distinct ones; then it stops
    std::uint32_t steps = 400;
    std::uint32_t variants = 4;  ///< crash states tried per write
    Hurt hurt = Hurt::nothing;
    std::uint64_t device_bytes = small_device;
    std::uint32_t page_bytes = 0;  ///< of the log; 0: 16 KiB with every fifth seed, else 4 KiB
    std::uint32_t lost_page = 0;   ///< of the device; 0: as the log's
    SeededFaults faults;
    std::uint64_t lies_for_writes = 0;
    bool tail_rewritten = false;  ///< each write takes the page in front of it along
};

struct SweepResult {
    std::uint64_t images = 0, writes = 0, wraps = 0, full = 0, self_recoveries = 0;
    std::uint64_t cleaned = 0;     ///< bytes of segments that the cleaner freed
    std::uint64_t superseded = 0;  ///< records that compaction left out
    std::uint64_t moved = 0;       ///< bytes that were moved because the pool shrinks
    std::uint64_t given_back = 0;  ///< ... and of the device
    std::uint64_t dropped = 0;     ///< records lost to make room, all of them in the ledger
    std::uint64_t rides = 0;       ///< images of writes that carry a footer and what follows it
    std::uint64_t by_tear[leat::test::tears] = {};
    std::string failure;  ///< empty: everything held
};

/// Runs one workload. `seen` keeps the hashes of all images, so that several sweeps count distinct
/// ones.
SweepResult run_sweep(const SweepOptions& options, Seen& seen);

}  // namespace leat::log::test
