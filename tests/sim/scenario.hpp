// One seed: faults, then quiet, then the books.
#pragma once

#include <cstdint>
#include <cstdio>
#include <string>

namespace leat::sim {

struct Outcome {
    std::string failure;  ///< empty: every claim held
    std::uint64_t trace_hash = 0;
    std::uint32_t acknowledged = 0, at_center = 0, duplicates = 0;
    std::uint32_t recycled = 0;  ///< segments of the gateway's ring, since its last start
    std::uint64_t works = 0;     ///< requests that were validated beside the gateway's loop
    std::uint32_t gateway_starts = 0, center_starts = 0;
};

struct Plan {
    std::uint64_t seed = 1;
    std::FILE* trace = nullptr;  ///< where a line per event goes
    bool lying_flash = false;    ///< the gateway's device says "durable" some writes too early: the
                                 ///< checker must see it
};
Outcome run_scenario(const Plan& plan);

}  // namespace leat::sim
