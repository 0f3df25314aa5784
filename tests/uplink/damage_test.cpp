// A log that does not have what it should: expired, behind its cursor, or damaged on the device.
#include "broker/uplink/cursor.hpp"
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

TEST_CASE("uplink: a cursor that the log does not keep frees nothing, but where it stays full") {
    Rig rig;
    for (const char* topic : {"t", "u"}) {
        rig.make_topic(topic, 1);
        rig.upstream.make_topic(topic, 1);
    }
    rig.start();
    const auto release = [&](const char* topic) {
        return rig.log.stream(rig.stream(topic))->release;
    };
    const auto deliver = [&](int first, std::int64_t ms) {
        rig.upstream_is_down = rig.log.is_read_only = rig.log.facts_full = false;
        rig.pass(1'000);  // what was refused is kept now
        rig.upstream_is_down = true;
        for (const char* topic : {"t", "u"}) rig.append(topic, {.count = 3, .first = first});
        rig.run();
        return [&rig, first, ms](bool& fault) {
            fault = true;
            rig.upstream_is_down = false;
            rig.pass(ms);
            CHECK(rig.values("t") == numbers(0, first + 3));
            CHECK(rig.values("u") == numbers(0, first + 3));
        };
    };
    deliver(0, 3'000)(rig.log.is_read_only);
    CHECK(release("t") == 0);
    CHECK(release("u") == 0);
    deliver(3, 1'500)(rig.log.facts_full);
    CHECK(release("t") == 3);
    CHECK(release("u") == 3);
    rig.pass(5'000);  // it would stay full for ever
    CHECK(release("t") == 6);
    CHECK(release("u") == 6);
}

namespace {

/// What lies before a log start was freed for this reason.
struct BookedLog : leat::test::FakeLog {
    log::Freed freed_as = log::Freed::delivered;
    log::Books books(log::StreamId id) const override {
        log::Books books;
        books.freed[static_cast<std::size_t>(freed_as)].records =
            static_cast<std::uint64_t>(stream(id)->log_start);
        return books;
    }
};

}  // namespace

TEST_CASE("uplink: what a full log freed of what is delivered, before the cursor, is no loss") {
    for (const log::Freed freed : {log::Freed::delivered, log::Freed::deleted}) {
        BookedLog log;
        log.freed_as = freed;
        const std::vector<log::StreamId> streams{1};
        REQUIRE(log.declare_stream(1, {}));
        const Bytes batch = make_batch({.count = 5});
        REQUIRE(log.append(instant_ms(1), wall_ms(0),
                           {.stream = 1, .batch = batch, .log_append_time = {}}));
        Cursors cursors(log, {"up"}, milliseconds(250));
        (void)cursors.attach(0, 1);
        cursors.move(instant_ms(1), 0, 1, 2);
        cursors.write_all(instant_ms(1));
        log.on_storage(instant_ms(2));
        REQUIRE(log.set_log_start(instant_ms(2), 1, 5));
        leat::test::TestEntropy entropy{7};
        Uplink uplink(
            log, [&](const TopicVisitor& visit) { visit({.name = "t", .partitions = streams}); },
            entropy, {.routes = {make_route()}, .gateway_id = "gw-1"});
        uplink.start(instant_ms(3), Begin::forward);
        CHECK(uplink.status(instant_ms(3)).at(0).lost_records ==
              (freed == log::Freed::delivered ? 0 : 3));
    }
}
