// Every crash point of small logs, and the proof that the sweep sees mistakes.
#include <doctest/doctest.h>

#include <cstdio>
#include <cstdlib>

#include "tests/log/sweep.hpp"

using namespace leat;
using namespace leat::log;
using namespace leat::log::test;

namespace {

/// The deep run asks for more: LEAT_CRASH_IMAGES=1000000.
std::uint64_t images_wanted() {
    const char* text = std::getenv("LEAT_CRASH_IMAGES");
    return text != nullptr ? std::strtoull(text, nullptr, 10) : 30'000;
}

}  // namespace

TEST_CASE(
    "crash: whatever a power cut leaves, every acknowledged record is back and none is invented") {
    const std::uint64_t wanted = images_wanted();
    std::unordered_set<std::uint64_t> seen;
    std::uint64_t by_workload[workloads][leat::test::tears] = {}, images = 0, writes = 0, wraps = 0,
                  full = 0;
    for (std::uint64_t seed = 1; images < wanted; ++seed) {
        SweepOptions options;
        options.seed = seed;
        options.workload = static_cast<Workload>(seed % workloads);
        const SweepResult result = run_sweep(options, seen);
        INFO(result.failure);
        REQUIRE(result.failure.empty());
        REQUIRE(result.images > 0);
        images += result.images;
        writes += result.writes;
        wraps += result.wraps;
        full += result.full;
        for (std::size_t tear = 0; tear < leat::test::tears; ++tear)
            by_workload[seed % workloads][tear] += result.by_tear[tear];
    }
    std::printf(
        "%llu distinct images at %llu writes, ring turned %llu times, %llu appends met a full "
        "log\n%-10s",
        static_cast<unsigned long long>(images), static_cast<unsigned long long>(writes),
        static_cast<unsigned long long>(wraps), static_cast<unsigned long long>(full), "");
    for (const char* tear : {"dropped", "kept", "prefix", "suffix", "subset", "garbage",
                             "1 missing", "1 kept", "page lost"})
        std::printf("%10s", tear);
    for (std::size_t workload = 0; workload < workloads; ++workload) {
        std::printf("\n%-10s", name_of(static_cast<Workload>(workload)));
        for (const std::uint64_t count : by_workload[workload])
            std::printf("%10llu", static_cast<unsigned long long>(count));
    }
    std::printf("\n");
    CHECK(seen.size() >= wanted);
}

namespace {

struct Mistake {
    const char* name;
    SeededFaults faults;
    std::uint64_t lies_for_writes = 0;
};

}  // namespace

TEST_CASE("crash: each seeded mistake is seen by the same sweep") {
    const Mistake mistakes[] = {
        {"stale bytes accepted (no generation, sequence, run, salt)", {.stale_accepted = true}},
        {"a checksum that covers nothing", {.checksums_ignored = true}},
        {"acknowledged before the write finished", {.acknowledge_early = true}},
        {"superblock before the checkpoint's end record", {.superblock_first = true}},
        {"recycled before its facts are in a checkpoint", {.recycle_early = true}},
        {"recycled before the log start is durable", {.log_start_undurable = true}},
        {"a log start that is durable before its book", {.book_late = true}},
        {"bytes behind a predecessor's valid end taken", {.predecessor_end_ignored = true}},
        {"a device that reports a write done one write early", {}, 1},
    };
    for (const Mistake& mistake : mistakes) {
        std::unordered_set<std::uint64_t> seen;
        std::string failure;
        std::uint64_t images = 0;
        for (std::uint64_t seed = 1; failure.empty() && images < 100'000; ++seed) {
            SweepOptions options;
            options.seed = seed;
            options.workload = static_cast<Workload>(seed % workloads);
            options.images_max = 100'000 - images;
            options.faults = mistake.faults;
            options.lies_for_writes = mistake.lies_for_writes;
            const SweepResult result = run_sweep(options, seen);
            failure = result.failure;
            images += result.images;
        }
        std::printf("%-60s %6llu images: %s\n", mistake.name,
                    static_cast<unsigned long long>(images), failure.c_str());
        INFO(mistake.name);
        CHECK_FALSE(failure.empty());
    }
}
