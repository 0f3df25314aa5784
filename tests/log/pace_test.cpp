// How fast the log is on a device that is slow: an eMMC in simulated time (emmc_storage.hpp), so
// the figures are the same on every machine. The processor costs nothing here; tests/bench measures
// that.
#include <doctest/doctest.h>

#include <cstdio>
#include <deque>

#include "tests/log/rig.hpp"
#include "tests/support/emmc_storage.hpp"

using namespace leat;
using namespace leat::log;
using namespace leat::log::test;
using leat::test::EmmcStorage;
using leat::test::EmmcTimes;

namespace {

constexpr std::uint64_t pool_start = 32 * KiB;
constexpr std::uint32_t segments = 16, segment_bytes = 4 * MiB;
constexpr EmmcTimes emmc;

struct Pool {
    std::uint32_t segments, segment_bytes;
};
struct EmmcRig {
    SimStorage memory;
    EmmcStorage device{memory, emmc};
    SimEntropy entropy{42};
    std::unique_ptr<Log> log;

    explicit EmmcRig(std::int64_t retention_bytes, Pool pool = {segments, segment_bytes})
        : memory({.seed = 1,
                  .size = pool_start + std::uint64_t{pool.segments} * pool.segment_bytes}) {
        LogConfig config = small_config();
        config.segment_bytes = pool.segment_bytes;
        config.recent_bytes = 1 * MiB;
        log = make_faulty_log(device, entropy, config, {});
        REQUIRE(log->open(at(), wall()));
        REQUIRE(log->declare_stream(1, {.retention_bytes = retention_bytes}));
        log->set_release(1, INT64_MAX);
    }
    std::int64_t ms() const {
        return 1'000'000 + static_cast<std::int64_t>(device.now_us() / 1000);
    }
    Instant at() const { return instant_ms(ms()); }
    WallTime wall() const { return wall_ms(1'800'000'000'000 + ms()); }
    /// Lets what is finished or due happen, then moves to the next moment at which something can
    /// be, at most to `until_us`.
    void step(std::uint64_t until_us) {
        log->on_storage(at());
        if (log->deadline() <= at()) log->on_deadline(at(), wall());
        std::uint64_t next = until_us;
        if (const auto done = device.next_us()) next = std::min(next, *done);
        const Instant due = log->deadline();
        if (due != never && due > at())
            next = std::min(next, device.now_us() / 1000 * 1000 +
                                      static_cast<std::uint64_t>((due - at()).count()) * 1000);
        device.advance(std::max(next, device.now_us()));
        log->on_storage(at());
        if (log->deadline() <= at()) log->on_deadline(at(), wall());
    }
    CommitId append(ByteView batch) {
        for (int tries = 0; tries < 10'000; ++tries) {
            const auto appended =
                log->append(at(), wall(), {.stream = 1, .batch = batch, .log_append_time = {}});
            if (appended) return appended->commit;
            step(device.now_us() + 1'000);
        }
        FAIL("the log takes nothing for ten seconds");
        return 0;
    }
    void wait_for(CommitId commit) {
        while (log->flushed_commit() < commit) step(device.now_us() + 1'000'000);
    }
};

/// Fills one commit of 16 KiB to the last byte.
std::vector<std::uint8_t> batch_of_one_commit() {
    return make_batch(
        {.count = 75,
         .size = 16 * KiB - commit_header_bytes - frame_header_bytes - batch_header_bytes});
}

/// Appends `count` of them, each when the one `ahead` places before it is durable. Returns the
/// speed as a share of what a bare loop of durable 16 KiB writes reaches on the same device.
double share_of_bare_loop(EmmcRig& rig, std::size_t count, std::size_t ahead) {
    const auto batch = batch_of_one_commit();
    const std::uint64_t begin = rig.device.now_us();
    std::vector<CommitId> commits;
    for (std::size_t i = 0; i < count; ++i) {
        if (i >= ahead) rig.wait_for(commits[i - ahead]);
        commits.push_back(rig.append(batch));
    }
    rig.wait_for(commits.back());
    const std::uint64_t bare = count * emmc.durable_write_us(16 * KiB);
    return static_cast<double>(bare) / static_cast<double>(rig.device.now_us() - begin);
}

struct Latency {
    double p50_ms, p99_ms, max_ms;
};
/// `count` lone records of 200 B, a thousand a second at random moments: from append to durable.
Latency lone_records(EmmcRig& rig, std::size_t count, SimRandom& random) {
    struct Waiting {
        CommitId commit;
        std::uint64_t since_us;
    };
    std::deque<Waiting> waiting;
    std::vector<double> took_ms;
    std::uint64_t arrival = rig.device.now_us();
    const auto collect = [&] {
        for (; !waiting.empty() && waiting.front().commit <= rig.log->flushed_commit();
             waiting.pop_front())
            took_ms.push_back(static_cast<double>(rig.device.now_us() - waiting.front().since_us) /
                              1000);
    };
    for (std::size_t i = 0; i < count; ++i) {
        arrival += random.below(2'001);
        while (rig.device.now_us() < arrival) {
            rig.step(arrival);
            collect();
        }
        const CommitId commit = rig.append(make_batch({.size = 209, .salt = i}));
        waiting.push_back({commit, arrival});
        rig.step(rig.device.now_us());
    }
    while (!waiting.empty()) {
        rig.step(rig.device.now_us() + 1'000'000);
        collect();
    }
    std::sort(took_ms.begin(), took_ms.end());
    const auto at = [&](double share) {
        return took_ms[static_cast<std::size_t>(share * static_cast<double>(took_ms.size() - 1))];
    };
    return {at(0.5), at(0.99), at(1)};
}

}  // namespace

TEST_CASE("pace: durable commits of 16 KiB come at 90 % of a bare loop's speed at least") {
    for (const std::size_t ahead : {std::size_t{1}, std::size_t{2}, std::size_t{8}}) {
        EmmcRig rig(24 * MiB);
        const double first = share_of_bare_loop(rig, 4'096, ahead);
        const double recycled = share_of_bare_loop(rig, 8'192, ahead);
        std::printf(
            "16 KiB commits on an eMMC, %zu batches ahead: %.1f %% of a bare loop, "
            "%.1f %% in a log's first pass\n",
            ahead, 100 * recycled, 100 * first);
        CHECK(rig.log->counters().segments_recycled > segments);
        CHECK(recycled >= 0.9);
        CHECK(first >= 0.9);
    }
}

TEST_CASE("pace: p99 of a lone record at 1,000 a second is at most two syncs and a millisecond") {
    EmmcRig rig(1'500'000);
    SimRandom random(7);
    const double sync_ms = static_cast<double>(emmc.durable_write_us(4096)) / 1000;
    // In its first pass zeros go ahead of the records, in slices between their commits.
    for (const char* pass : {"in its first pass", "recycled"}) {
        const Latency latency = lone_records(rig, 60'000, random);
        std::printf(
            "lone records on an eMMC, log %s: p50 %.2f ms, p99 %.2f ms, max %.2f ms; one "
            "sync of 4 KiB is %.2f ms\n",
            pass, latency.p50_ms, latency.p99_ms, latency.max_ms, sync_ms);
        CHECK(latency.p99_ms <= 2 * sync_ms + 1);
    }
    CHECK(rig.log->counters().segments_recycled > segments);
}

// Segments that two batches fill: each batch takes one flush, and a footer none of its own.
TEST_CASE("pace: a footer takes no flush of its own where commits wait") {
    const struct {
        Pool pool;
        std::uint32_t batch_bytes;
    } logs[] = {{{64, 2 * MiB}, 1'000'000}, {{256, 64 * KiB}, 24'000}};
    for (const auto& [pool, batch_bytes] : logs) {
        EmmcRig rig(-1, pool);
        const auto batch =
            make_batch({.count = 100, .size = batch_bytes - batch_header_bytes, .salt = 1});
        std::deque<CommitId> ahead;
        const auto send = [&](std::uint64_t batches) {
            for (std::uint64_t i = 0; i < batches; ++i) {
                if (ahead.size() == 2) {
                    rig.wait_for(ahead.front());
                    ahead.pop_front();
                }
                ahead.push_back(rig.append(batch));
            }
            rig.wait_for(ahead.back());
        };
        const std::uint64_t begin_us = rig.device.now_us();
        const std::uint64_t begin_writes = rig.memory.counts().writes;
        std::uint64_t rides = 0;
        rig.memory.on_write = [&] {
            rides += rig.memory.newest_write_crosses(pool_start, pool.segment_bytes) ? 1 : 0;
        };
        const std::uint32_t filled = pool.segments * 3 / 4;
        const std::uint64_t batches = 2 * filled;
        send(batches);
        const auto writes = static_cast<double>(rig.memory.counts().writes - begin_writes);
        const std::uint64_t sent_bytes = batches * batch_bytes;
        std::printf(
            "batches of %u B, two to a segment, on an eMMC: %.2f writes each, checkpoints among "
            "them, %.2f MB/s; %.0f %% of the footers took none of their own\n",
            batch_bytes, writes / static_cast<double>(batches),
            static_cast<double>(sent_bytes) / static_cast<double>(rig.device.now_us() - begin_us),
            100 * static_cast<double>(rides) / filled);
        CHECK(rides >= filled * 9 / 10);
    }
}
