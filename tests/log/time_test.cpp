// Timestamps, and an age that no clock can forge.
#include <doctest/doctest.h>

#include "broker/log/superblock.hpp"
#include "tests/log/rig.hpp"

using namespace leat;
using namespace leat::log;
using namespace leat::log::test;

TEST_CASE("time: the first record at or after a timestamp is found across segments and restarts") {
    SimStorage device({.seed = 1, .size = small_device});
    Rig first(device);
    REQUIRE(first.open());
    REQUIRE(first.log->declare_stream(1, {}));
    REQUIRE(first.log->declare_stream(2, {}));
    for (int i = 0; i < 60; ++i) {
        REQUIRE(first.append_durably(
            1, {.count = 2, .size = 1'500, .salt = 1, .timestamp = 1'000 + i * 10}));
        REQUIRE(first.append_durably(2, {.count = 1, .size = 1'000, .salt = 1, .timestamp = 5}));
    }
    first.close();
    Rig rig(device);
    REQUIRE(rig.open());
    const auto find = [&](std::int64_t target) -> std::optional<TimeDone::Found> {
        const auto ticket = rig.log->start_find_time(rig.at(), 1, target);
        REQUIRE(ticket);
        for (int i = 0; i < 1'000; ++i) {
            if (const auto done = rig.log->poll_find_time())
                return done->found ? std::optional(*done->found) : std::nullopt;
            rig.log->on_storage(rig.at());
        }
        return std::nullopt;
    };
    for (int i = 0; i < 60; i += 7) {
        INFO(i);
        const auto exact = find(1'000 + i * 10);
        REQUIRE(exact);
        CHECK(exact->offset == 2 * i);
        const auto between = find(1'000 + i * 10 - 3);
        REQUIRE(between);
        CHECK(between->offset == 2 * i);
    }
    CHECK(find(0)->offset == 0);
    CHECK_FALSE(find(1'000 + 60 * 10));
    REQUIRE(rig.log->set_log_start(rig.at(), 1, 100));
    CHECK(find(0)->offset == 100);
    REQUIRE(rig.log->set_log_start(rig.at(), 1, 101));  // inside a batch: its second record stays
    CHECK(find(0)->offset == 101);
}

TEST_CASE("time: a clock at 1970 that jumps by 55 years and back expires nothing") {
    SimStorage device({.seed = 1, .size = small_device});
    const auto run = [&](std::int64_t wall_before, std::int64_t wall_after, std::int64_t uptime) {
        Rig rig(device);
        rig.wall = wall_before;
        REQUIRE(rig.open());
        REQUIRE(rig.log->declare_stream(1, {.retention = milliseconds(3'600'000)}));
        rig.log->set_release(1, INT64_MAX);
        const Offset start = rig.log->stream(1)->log_start;
        for (int i = 0; i < 30; ++i) REQUIRE(rig.append_durably(1, {.size = 3'000}));
        rig.wall = wall_after;
        rig.pass(uptime);
        rig.pass(1'000);
        CHECK(rig.log->stream(1)->log_start == start);
        rig.close();
        return rig.log->log_time(rig.at());
    };
    const auto one = run(5'000, 1'800'000'000'000, 60'000);
    const auto two = run(5'000, 5'000, 60'000);  // a boot without a clock
    CHECK(two > one);                            // log time is uptime over all runs
    CHECK(two - one < milliseconds(70'000));
    (void)run(1'800'000'100'000, 1'750'000'000'000,
              1'000);  // back: before the newest trusted stamp
}

TEST_CASE("time: what lay switched off between two trusted stamps counts as age") {
    SimStorage device({.seed = 1, .size = small_device});
    {
        Rig rig(device);
        REQUIRE(rig.open());
        REQUIRE(rig.log->declare_stream(1, {.retention = milliseconds(3'600'000)}));
        for (int i = 0; i < 40; ++i) REQUIRE(rig.append_durably(1, {.size = 3'000}));
        rig.close();
    }
    Rig rig(device);
    rig.wall += 2 * 3'600'000;
    REQUIRE(rig.open());
    REQUIRE(rig.log->declare_stream(1, {.retention = milliseconds(3'600'000)}));
    rig.pass(1'000);
    CHECK(rig.log->stream(1)->log_start == 0);  // not released yet
    rig.log->set_release(1, INT64_MAX);
    rig.pass(2'000);
    rig.pass(2'000);
    CHECK(rig.log->stream(1)->log_start > 0);
}

TEST_CASE("time: damage on the way to a timestamp, or at it, costs its batch and not the answer") {
    SimStorage made({.seed = 1, .size = small_device});
    {
        Rig rig(made);
        REQUIRE(rig.open());
        REQUIRE(rig.log->declare_stream(1, {}));
        for (int i = 0; i < 60; ++i)  // a commit of one page each
            REQUIRE(rig.append_durably(
                1, {.count = 2, .size = 1'500, .salt = 1, .timestamp = 1'000 + i * 10}));
        rig.close();
    }
    const auto find = [&](int damaged, std::uint64_t byte_of_commit, int wanted) -> Offset {
        SimStorage device({.seed = 2}, made.image());
        const std::uint64_t at =
            32 * KiB + 4'096 * static_cast<std::uint64_t>(1 + damaged) + byte_of_commit;
        std::uint8_t byte = 0;
        device.image().read(at, {&byte, 1});
        byte ^= 4;
        device.image().write(at, {&byte, 1});
        Rig rig(device);
        REQUIRE(rig.open());
        const auto ticket = rig.log->start_find_time(rig.at(), 1, 1'000 + wanted * 10);
        REQUIRE(ticket);
        for (int i = 0; i < 1'000; ++i) {
            if (const auto done = rig.log->poll_find_time())
                return done->found ? done->found->offset : -1;
            rig.log->on_storage(rig.at());
        }
        return -2;
    };
    constexpr std::uint64_t commit = 80, frame = 24, batch = 61;
    CHECK(find(5, 20, 8) == 16);                            // a commit header on the way
    CHECK(find(5, commit + 9, 8) == 16);                    // the header of a frame
    CHECK(find(5, commit + frame + batch + 700, 8) == 16);  // records
    CHECK(find(8, commit + frame + batch + 700, 8) == 18);  // what is looked for
}
