// What a log has to remember beside its records: it never stops one, however small.
#include <doctest/doctest.h>

#include "tests/log/rig.hpp"

using namespace leat;
using namespace leat::log;
using namespace leat::log::test;

namespace {

constexpr StreamPolicy drops{.when_full = WhenFull::drop_oldest};

/// Appends one batch, however long it takes; false: not within a minute.
bool press(Rig& rig, StreamId id, const BatchSpec& spec) {
    const std::int64_t began = rig.now;
    while (!rig.append_durably(id, spec)) {
        if (rig.now - began > 60'000) return false;
        rig.pass(10);
    }
    return true;
}

}  // namespace

TEST_CASE("remember: producers come and go by the thousand, and a small log goes on") {
    for (const std::uint64_t mib : {1, 2, 16}) {
        SimStorage device({.seed = 1, .size = mib * MiB});
        constexpr std::int64_t producers = 6'000;
        {
            Rig rig(device);
            REQUIRE(rig.open());
            REQUIRE(rig.log->declare_stream(1, drops));
            for (std::int64_t id = 0; id < producers; ++id) {
                INFO(mib, " MiB, producer ", id);
                REQUIRE(press(rig, 1, {.producer_id = id, .epoch = 0, .sequence = 0}));
            }
            CHECK(rig.log->producer(1, producers - 1) != nullptr);
            CHECK(rig.log->producer(1, 0) == nullptr);
        }
        device.power_cycle();
        Rig rig(device);
        REQUIRE(rig.open());
        REQUIRE(rig.log->declare_stream(1, drops));
        CHECK(rig.log->producer(1, producers - 1) != nullptr);
        CHECK(rig.log->books(1).balanced());
        CHECK(press(rig, 1, {}));
    }
}

TEST_CASE("remember: as many streams as a log takes, each with losses, do not stop it") {
    for (const std::uint64_t mib : {1, 2, 8}) {
        SimStorage device({.seed = 1, .size = mib * MiB});
        Rig rig(device);
        REQUIRE(rig.open());
        StreamId streams = 0;
        while (rig.log->room_for_streams(1)) REQUIRE(rig.log->declare_stream(++streams, drops));
        CHECK(streams > 200 * mib);
        CHECK(rig.log->room_for_streams(0));
        for (int round = 0; round < 3; ++round)
            for (StreamId id = 1; id <= streams; ++id) {
                INFO(mib, " MiB, round ", round, ", stream ", id);
                REQUIRE(press(rig, id,
                              {.size = 3'800, .producer_id = id, .epoch = 0, .sequence = round}));
            }
        CHECK(rig.log->counters().lost_records > 0);
        rig.log->drop_stream(1);
        CHECK(rig.log->room_for_streams(1));
    }
}

TEST_CASE("full: beside a reservation that is most of a small log the newest goes on finding room") {
    SimStorage device({.seed = 1, .size = MiB});
    Rig rig(device);
    REQUIRE(rig.open());
    REQUIRE(rig.log->declare_stream(1, {.priority = 10, .reserved_bytes = 64 * KiB}));
    for (const StreamId id : {2u, 3u}) REQUIRE(rig.log->declare_stream(id, drops));
    Offset alarms = 0;
    for (std::uint64_t i = 0; i < 1'000; ++i) {
        INFO(i);
        REQUIRE(press(rig, 2, {.size = 12'000, .salt = i}));
        if (i % 7 == 6 && alarms < 100) {
            REQUIRE(press(rig, 1, {.size = 300, .salt = i}));
            ++alarms;
        }
        if (i % 7 == 6) REQUIRE(press(rig, 3, {.size = 8'000, .salt = i}));
        if (i % 11 == 0) rig.pass(500);
    }
    CHECK(rig.log->books(1).losses.empty());
    CHECK(rig.log->books(2).balanced());
    CHECK(base_offsets(rig.read_all(1, 0).bytes).size() == static_cast<std::size_t>(alarms));
}
