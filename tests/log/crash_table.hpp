// What a half of the crash sweep leaves for the table of both: every image that it recovered.
#pragma once

#include <vector>

#include "tests/log/sweep.hpp"

namespace leat::log::test {

/// What both halves have to have in common, so that they are halves of one sweep.
struct CrashRun {
    std::uint64_t first_seed = 0;
    std::uint64_t wanted = 0;  ///< distinct images of each half
    std::uint64_t whole = 0;   ///< 1: all workloads were run
    bool operator==(const CrashRun&) const = default;
};

/// Images by workload x what was left of the write under way.
struct CrashTable {
    std::uint64_t distinct = 0;
    std::uint64_t in_both = 0;  ///< counted once
    std::uint64_t counts[cells] = {};
    std::uint64_t smallest() const;
    void print() const;
};

/// The folder in which halves meet, LEAT_CRASH_FOLDER; null: they do not.
const char* crash_folder();
/// Before a half begins: what an earlier run left is not to be taken for this one's.
void forget_half(std::uint64_t half);
/// False: the folder does not take it.
bool leave_half(std::uint64_t half, const CrashRun& run, const Seen& seen);
/// Empty, or why there is no table: a half that is missing, or of another run.
std::string join_halves(CrashRun& run, CrashTable& table);

}  // namespace leat::log::test
