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

TEST_CASE("time: a timestamp is found that only the last batch of the open segment has reached") {
    SimStorage device({.seed = 1, .size = small_device});
    Rig rig(device);
    REQUIRE(rig.open());
    REQUIRE(rig.log->declare_stream(1, {}));
    for (int i = 0; i < 60; ++i) {
        INFO(i);
        const std::int64_t newest = 1'000 + i * 10;
        REQUIRE(rig.append_durably(1, {.count = 2, .size = 1'500, .salt = 1, .timestamp = newest}));
        const auto ticket = rig.log->start_find_time(rig.at(), 1, newest - 3);
        REQUIRE(ticket);
        std::optional<TimeDone> done;
        for (int turn = 0; turn < 1'000 && !(done = rig.log->poll_find_time()); ++turn)
            rig.log->on_storage(rig.at());
        REQUIRE(done);
        REQUIRE(done->found);
        CHECK(done->found->offset == 2 * i);
    }
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

namespace {

constexpr std::int64_t minute = 60'000, hour = 60 * minute, day = 24 * hour, year = 365 * day;
constexpr StreamPolicy week{.retention = milliseconds(7 * day)};

/// A boot; the wall clock says `wall`.
struct Boot : Rig {
    Boot(SimStorage& storage, std::int64_t wall_ms) : Rig(storage) {
        wall = wall_ms;
        REQUIRE(open());
        REQUIRE(log->declare_stream(1, week));
        log->set_release(1, INT64_MAX);
    }
    /// With a commit at its beginning and at its end, as a gateway that works has them.
    void live(std::int64_t ms) {
        REQUIRE(append_durably(1, {.size = 200}));
        pass(ms);
        pass(1'000);
        REQUIRE(append_durably(1, {.size = 200}));
    }
    /// Sets the clock by so much.
    void set_clock(std::int64_t by) {
        wall += by;
        pass(1'000);
    }
    Offset start() const { return log->stream(1)->log_start; }
    void power_cut() { device.power_cycle(); }
};

/// A log with records of a first run that was long enough, and the wall clock at its end.
std::int64_t fill(SimStorage& device) {
    Boot first(device, 1'800'000'000'000);
    first.live(2 * hour);
    for (int i = 0; i < 60; ++i) REQUIRE(first.append_durably(1, {.size = 3'000}));
    first.power_cut();
    return first.wall;
}

}  // namespace

TEST_CASE("time: what lay switched off between two trusted stamps counts as age, an hour later") {
    SimStorage device({.seed = 1, .size = small_device});
    const std::int64_t wall = fill(device) + 30 * day;
    {
        Boot early(device, wall);
        early.live(40 * minute);
        CHECK(early.log->wall_trusted());
        CHECK(early.start() == 0);
        early.power_cut();
    }
    Boot rig(device, wall + 41 * minute);  // it counts as if there had been no boot in between
    rig.live(55 * minute);
    CHECK(rig.start() == 0);
    rig.live(10 * minute);
    CHECK(rig.start() > 0);
}

TEST_CASE("time: a boot with a clock that is 55 years ahead expires nothing, and is forgotten") {
    SimStorage device({.seed = 1, .size = small_device});
    std::int64_t wall = fill(device);
    SUBCASE("until it is set") {
        Boot rig(device, wall + 55 * year);
        rig.live(50 * minute);
        rig.set_clock(-55 * year);
        CHECK(rig.log->wall_trusted());
        rig.live(3 * hour);
        CHECK(rig.log->wall_trusted());
        CHECK(rig.start() == 0);
        rig.power_cut();
        wall = rig.wall;
    }
    SUBCASE("until the power fails, again and again") {
        for (int i = 0; i < 5; ++i) {
            Boot rig(device, wall + 55 * year);
            rig.live(30 * minute);
            CHECK(rig.start() == 0);
            rig.power_cut();
        }
        wall += 3 * hour;
    }
    SUBCASE("set by hand, in a run that went well") {
        Boot rig(device, wall);
        rig.live(2 * hour);
        rig.set_clock(55 * year);
        rig.live(30 * minute);
        rig.set_clock(-55 * year);
        CHECK(rig.log->wall_trusted());
        rig.live(2 * hour);
        CHECK(rig.start() == 0);
        rig.power_cut();
        wall = rig.wall;
    }
    {
        Boot next(device, wall + day);
        CHECK(next.log->wall_trusted());
        next.live(2 * hour);
        CHECK(next.start() == 0);
        next.power_cut();
        wall = next.wall;
    }
    Boot last(device, wall + 30 * day);  // and what is right still counts
    last.live(30 * minute);
    CHECK(last.start() == 0);
    last.live(40 * minute);
    CHECK(last.start() > 0);
}

TEST_CASE("time: bounds on timestamps hold where the clock may be wrong the other way only") {
    SimStorage device({.seed = 1, .size = small_device});
    const std::int64_t wall = fill(device);
    SUBCASE("a boot without an RTC goes on where the clock stopped, for weeks, until it is set") {
        Boot rig(device, wall + 30'000);
        rig.live(7 * day);
        CHECK(rig.log->wall_trusted());
        CHECK(rig.log->wall_may_be_behind());
        CHECK_FALSE(rig.log->wall_may_be_ahead());
        rig.set_clock(3 * day);
        CHECK_FALSE(rig.log->wall_may_be_behind());
        CHECK(rig.log->wall_may_be_ahead());
        rig.live(2 * hour);
        CHECK_FALSE(rig.log->wall_may_be_ahead());
    }
    SUBCASE("a jump ahead, in a run or over a boot, is no reason to call what is right too old") {
        Boot rig(device, wall + 2 * hour);
        rig.live(2 * hour);
        CHECK_FALSE(rig.log->wall_may_be_ahead());
        CHECK_FALSE(rig.log->wall_may_be_behind());
        rig.set_clock(55 * year);
        rig.live(day);
        CHECK(rig.log->wall_may_be_ahead());
        rig.set_clock(-55 * year);
        rig.live(2 * hour);
        CHECK_FALSE(rig.log->wall_may_be_ahead());
    }
}

TEST_CASE("time: in a log's first hour the clock may be set at will, and nothing comes of it") {
    for (const std::int64_t by : {55 * year, -40 * day, 40 * day}) {
        INFO((by / day), " days");
        SimStorage device({.seed = 1, .size = small_device});
        std::int64_t wall = 0;
        {
            Boot first(device, 1'800'000'000'000 + (by > year ? by : 0));
            for (int i = 0; i < 60; ++i) REQUIRE(first.append_durably(1, {.size = 3'000}));
            first.live(10 * minute);
            first.set_clock(by > year ? -by : by);
            CHECK(first.log->wall_trusted());
            first.live(10 * minute);
            first.power_cut();
            wall = first.wall;
        }
        Boot next(device, wall + day);
        CHECK(next.log->wall_trusted());
        next.live(2 * hour);
        CHECK(next.start() == 0);
    }
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
