// Every crash point of small logs, and the proof that the sweep sees mistakes.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "tests/log/crash_table.hpp"

using namespace leat;
using namespace leat::log;
using namespace leat::log::test;

namespace {

/// Of each half; the deep run asks for more: LEAT_CRASH_IMAGES=5000000.
std::uint64_t images_wanted() {
    const char* text = std::getenv("LEAT_CRASH_IMAGES");
#ifdef __SANITIZE_ADDRESS__
    return text != nullptr ? std::strtoull(text, nullptr, 10) : 10'000;
#else
    return text != nullptr ? std::strtoull(text, nullptr, 10) : 140'000;
#endif
}
/// Other seeds, other workloads: LEAT_CRASH_SEED=1000.
std::uint64_t first_seed() {
    const char* text = std::getenv("LEAT_CRASH_SEED");
    return text != nullptr ? std::strtoull(text, nullptr, 10) : 1;
}

/// One workload alone, by its name: LEAT_CRASH_WORKLOAD=shrink.
std::optional<Workload> only_workload() {
    const char* text = std::getenv("LEAT_CRASH_WORKLOAD");
    for (std::uint8_t i = 0; text != nullptr && i < workloads; ++i)
        if (std::string(name_of(static_cast<Workload>(i))) == text)
            return static_cast<Workload>(i);
    return std::nullopt;
}

/// Every second seed, so that two processes share the work. What one half saw is unknown to the
/// other: who joins them (below) counts what both met once.
void sweep_half(std::uint64_t half) {
    const std::uint64_t wanted = images_wanted();
    forget_half(half);
    Seen seen;
    bool met[workloads] = {};
    SweepResult sum;
    const auto only = only_workload();
    // A short sweep, as under a sanitizer, still meets all of them.
    std::size_t not_run = only ? 1 : workloads;
    for (std::uint64_t seed = first_seed() + half; sum.images < wanted || not_run > 0; seed += 2) {
        SweepOptions options;
        options.seed = seed;
        options.workload = only.value_or(workload_of(seed));
        const auto workload = static_cast<std::size_t>(options.workload);
        const SweepResult result = run_sweep(options, seen);
        INFO(result.failure);
        REQUIRE(result.failure.empty());
        REQUIRE(result.images > 0);
        sum.images += result.images;
        sum.writes += result.writes;
        sum.wraps += result.wraps;
        sum.full += result.full;
        sum.self_recoveries += result.self_recoveries;
        sum.dropped += result.dropped;
        sum.superseded += result.superseded;
        sum.moved += result.moved;
        sum.given_back += result.given_back;
        sum.rides += result.rides;
        if (!std::exchange(met[workload], true)) --not_run;
        sum.cleaned += result.cleaned;
    }
    const auto number = [](std::uint64_t value) { return static_cast<unsigned long long>(value); };
    std::printf(
        "%llu distinct images at %llu writes, ring turned %llu times, %llu appends met a full "
        "log, %llu recoveries from failed writes without a restart, %llu images of a footer and "
        "what follows it, %llu records dropped for room, "
        "%llu KiB freed by the cleaner, %llu records superseded, %llu KiB moved and %llu KiB given "
        "back for smaller budgets\n",
        number(sum.images), number(sum.writes), number(sum.wraps), number(sum.full),
        number(sum.self_recoveries), number(sum.rides), number(sum.dropped),
        number(sum.cleaned / 1024), number(sum.superseded), number(sum.moved / 1024),
        number(sum.given_back / 1024));
    CHECK(seen.size() >= wanted);
    if (crash_folder() != nullptr)
        CHECK(leave_half(half, {first_seed(), wanted, only ? 0u : 1u}, seen));
    if (only) return;
    if (wanted >= 100'000) CHECK(sum.self_recoveries >= 10);
    CHECK(sum.rides >= wanted / 50);
    if (wanted >= 10'000) CHECK(sum.dropped >= 100);
    if (wanted >= 10'000) CHECK(sum.superseded >= wanted / 100);
    if (wanted >= 10'000) CHECK(sum.cleaned >= 50 * small_segment);
    if (wanted >= 10'000) CHECK(sum.moved >= 10 * small_segment);
    if (wanted >= 10'000)
        CHECK(sum.given_back >= std::min<std::uint64_t>(50, wanted / 500) * small_segment);
}

}  // namespace

TEST_CASE(
    "crash, first half: whatever a power cut leaves, every acknowledged record is back and none is "
    "invented") {
    sweep_half(0);
}
TEST_CASE("crash, second half: the other seeds") { sweep_half(1); }

// What the halves left, which other processes may have run.
TEST_CASE("crash, one table: every workload met every way in which a power cut leaves a write" *
          doctest::skip(crash_folder() == nullptr)) {
    CrashRun run;
    CrashTable table;
    const std::string why = join_halves(run, table);
    INFO(why);
    REQUIRE(why.empty());
    table.print();
    // A seed makes the log's id: only what bears none yet, an empty device, is met by both.
    CHECK(table.in_both <= 16);
    CHECK(table.distinct + table.in_both >= 2 * run.wanted);
    if (run.wanted >= 100'000 && run.whole == 1) CHECK(table.smallest() >= 1'000);
}

// Once in about 300,000 images: the superblock that was being written is torn while a run of the
// cleaner waits for it. Its copies must not come back beside all that they were copied from.
TEST_CASE("crash: a torn superblock brings no copies back beside their sources") {
    const struct {
        std::uint64_t seed;
        Workload workload;
        std::uint32_t variants;
    } found[] = {{58, Workload::drop, 8},
                 {234, Workload::drop, 8},
                 {250, Workload::drop, 8},
                 {5294, Workload::compact, 4}};  // the sources have gaps
    for (const auto& one : found) {
        Seen seen;
        SweepOptions options;
        options.seed = one.seed;
        options.workload = one.workload;
        options.variants = one.variants;
        const SweepResult result = run_sweep(options, seen);
        INFO(result.failure);
        CHECK(result.failure.empty());
        CHECK(result.images >= 3'000);
    }
}

// Small logs, that recycle all the time: what the checkpoint before the newest needs is gone.
TEST_CASE("crash: a bit lost in the newest checkpoint costs nothing, nor does the superblock's slot") {
    Seen seen;
    for (const Hurt hurt : {Hurt::superblock, Hurt::checkpoint, Hurt::body, Hurt::slot})
        for (std::uint64_t i = 0; i < 6 * workloads; ++i) {
            SweepOptions options;
            options.seed = first_seed() + i;
            options.workload = workload_of(options.seed);
            options.hurt = hurt;
            const SweepResult result = run_sweep(options, seen);
            INFO(result.failure);
            CHECK(result.failure.empty());
        }
    CHECK(seen.size() >= 2'500);
}

namespace {

struct Mistake {
    const char* name;
    SeededFaults faults;
    std::uint64_t lies_for_writes = 0;
    bool tail_rewritten = false;
    std::uint32_t page_bytes = 0, lost_page = 0;
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
        {"dropped for room without an entry in the ledger", {.silent_drop = true}},
        {"recycled before its copies are in a checkpoint", {.recycle_uncopied = true}},
        {"a moved frame that moves the log end", {.moved_moves_end = true}},
        {"the pool's end given back before a superblock says so", {.given_back_early = true}},
        {"compaction that drops a key's newest record", {.newest_superseded = true}},
        {"compaction that drops a tombstone, and not what it deletes", {.tombstone_alone = true}},
        {"a segment without a footer taken for a stream's first", {.lost_links_believed = true}},
        {"bytes behind a predecessor's valid end taken", {.predecessor_end_ignored = true}},
        {"a footer beside the last commit that it tells of", {.footer_early = true}},
        {"a device that reports a write done one write early", {}, 1},
        {"the tail page written again with the next commit", {}, 0, true},
        {"pages of 4 KiB on flash that loses 16", {}, 0, false, 4 * KiB, 16 * KiB},
    };
    for (const Mistake& mistake : mistakes) {
        Seen seen;
        std::string failure;
        std::uint64_t images = 0;
        for (std::uint64_t seed = first_seed(); failure.empty() && images < 100'000; ++seed) {
            SweepOptions options;
            options.seed = seed;
            options.workload = workload_of(seed);  // the very runs that pass without the mistake
            options.images_max = 100'000 - images;
            options.faults = mistake.faults;
            options.lies_for_writes = mistake.lies_for_writes;
            options.tail_rewritten = mistake.tail_rewritten;
            options.page_bytes = mistake.page_bytes;
            options.lost_page = mistake.lost_page;
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
