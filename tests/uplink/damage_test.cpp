// A log that does not have what it should: expired, behind its cursor, or damaged on the device.
#include "broker/uplink/uplink.hpp"
#include "tests/uplink/rig.hpp"

using namespace leat;
using namespace leat::uplink;
using namespace leat::uplink::test;

TEST_CASE(
    "uplink: records that are gone before they were delivered are counted and told, the rest goes "
    "on") {
    Rig rig;
    rig.make_topic("t", 1);
    rig.upstream.make_topic("t", 1);
    rig.start();
    rig.upstream_is_down = true;
    rig.run();
    for (int i = 0; i < 4; ++i) rig.append("t", {.count = 5, .first = i * 5});
    rig.run();
    REQUIRE(rig.log.set_log_start(rig.now, rig.stream("t"), 10));
    rig.upstream_is_down = false;
    rig.pass(60'000);
    CHECK(rig.values("t") == numbers(10, 10));
    CHECK(rig.status().lost_records == 10);
    CHECK(rig.was_told("records 0 to 9 were deleted before they were delivered"));
}

TEST_CASE("uplink: a log that is behind its cursor is raised to it, and says so") {
    Rig rig;
    rig.make_topic("t", 1);
    rig.upstream.make_topic("t", 1);
    rig.append("t", {.count = 10});
    rig.start();
    rig.pass(5'000);
    rig.kill();
    rig.log.drop_stream(rig.stream("t"));  // the device lost it all
    REQUIRE(rig.log.declare_stream(rig.stream("t"), {}));
    rig.start();
    CHECK(rig.log.stream(rig.stream("t"))->log_end == 10);
    CHECK(rig.was_told("the storage lied about a flush"));
    rig.append("t", {.count = 2, .first = 10});
    rig.pass(5'000);
    CHECK(rig.values("t") == numbers(0, 12));
}

TEST_CASE("uplink: a log that answers a read with nothing is asked again later, not in a loop") {
    Rig rig;
    rig.make_topic("t", 1);
    rig.upstream.make_topic("t", 1);
    rig.start();
    rig.append("t", {.count = 3});
    rig.run();
    // Offsets that hold no batch and still are not before the log's start.
    rig.tamper = [](log::ReadDone& done) {
        done.bytes = std::size_t{0};
        done.next = 3;
    };
    const std::size_t before = rig.log.reads_started;
    rig.append("t", {.count = 2, .first = 3});
    rig.pass(10'000);  // run() fails when something spins
    CHECK(rig.log.reads_started - before >= 5);
    CHECK(rig.log.reads_started - before <= 20);
    rig.tamper = nullptr;
    rig.pass(2'000);
    CHECK(rig.values("t") == numbers(0, 5));
    CHECK(rig.log.stream(rig.stream("t"))->release == 5);
}

TEST_CASE("uplink: a read that the device fails is told, and tried again until it works") {
    Rig rig;
    rig.make_topic("t", 2);
    rig.upstream.make_topic("t", 2);
    int failures = 5;
    rig.tamper = [&](log::ReadDone& done) {
        if (failures > 0 && failures-- > 0) done.bytes = fail(Error::storage);
    };
    rig.append("t", {.count = 3}, 0);
    rig.append("t", {.count = 3}, 1);
    rig.start();
    CHECK(rig.was_told("cannot be read"));
    rig.pass(500);
    CHECK(rig.values("t", 0).empty());
    rig.pass(10'000);
    CHECK(rig.values("t", 0) == numbers(0, 3));
    CHECK(rig.values("t", 1) == numbers(0, 3));
    CHECK(rig.status().last_error.empty());
    CHECK(rig.status().lost_records == 0);
}

TEST_CASE(
    "uplink: damage on the device costs what is damaged, says how much, and goes on behind it") {
    Rig rig;
    rig.make_topic("t", 1);
    rig.upstream.make_topic("t", 1);
    bool damaged = true;
    rig.tamper = [&](log::ReadDone& done) {
        if (!std::exchange(damaged, false)) return;
        done.bytes = fail(Error::corrupt);
        done.next = 4;
    };
    for (int i = 0; i < 5; ++i) rig.append("t", {.count = 2, .first = i * 2});
    rig.start();
    rig.pass(5'000);
    CHECK(rig.values("t") == numbers(4, 6));
    CHECK(rig.status().lost_records == 4);
    CHECK(rig.was_told("t-0: records 0 to 3 are damaged"));
    CHECK(rig.log.stream(rig.stream("t"))->release == 10);
}
