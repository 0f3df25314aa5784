// A full log: what goes first, how fast, and who is still served.
#include <doctest/doctest.h>

#include "tests/log/rig.hpp"

using namespace leat;
using namespace leat::log;
using namespace leat::log::test;

namespace {

constexpr std::uint64_t wide_device = 32 * KiB + 160 * std::uint64_t{small_segment};
constexpr std::size_t big = 32'600;  // one to a segment, and nothing to be packed

/// Appends to `stream` until the log refuses.
std::uint64_t fill(Rig& rig, StreamId stream, std::uint64_t most = 1'000) {
    std::uint64_t taken = 0;
    while (taken < most && rig.append_durably(stream, {.size = big, .salt = taken})) ++taken;
    return taken;
}

/// Appends `count` more, however long it takes, and says how many milliseconds that was.
std::int64_t press(Rig& rig, StreamId stream, std::uint64_t count) {
    const std::int64_t began = rig.now;
    for (std::uint64_t i = 0; i < count; ++i)
        while (!rig.append_durably(stream, {.size = big, .salt = i})) {
            REQUIRE(rig.now - began < 600'000);
            rig.pass(1);
        }
    return rig.now - began;
}

constexpr StreamPolicy drops(std::uint8_t priority) {
    return {.when_full = WhenFull::drop_oldest, .priority = priority};
}

}  // namespace

TEST_CASE("full: the lowest priority goes first, wherever in the log it lies") {
    SimStorage device({.seed = 1, .size = wide_device});
    Rig rig(device);
    REQUIRE(rig.open());
    REQUIRE(rig.log->declare_stream(1, drops(1)));
    REQUIRE(rig.log->declare_stream(9, drops(9)));
    REQUIRE(fill(rig, 9, 100) == 100);  // more segments than one pass looks at
    REQUIRE(fill(rig, 1, 40) == 40);
    (void)press(rig, 9, 45);
    CHECK(rig.log->books(9).losses.empty());
    CHECK_FALSE(rig.log->books(1).losses.empty());
    CHECK(rig.log->books(9).balanced());
    CHECK(rig.log->books(1).balanced());
}

TEST_CASE("full: nothing is dropped while something delivered is left anywhere in the log") {
    SimStorage device({.seed = 1, .size = wide_device});
    Rig rig(device);
    REQUIRE(rig.open());
    for (const StreamId id : {1u, 2u}) {
        REQUIRE(rig.log->declare_stream(id, drops(5)));
        rig.log->set_release(id, 0);
    }
    REQUIRE(fill(rig, 1, 100) == 100);  // this one's uplink is stuck
    REQUIRE(fill(rig, 2, 40) == 40);
    rig.log->set_release(2, 40);
    (void)press(rig, 1, 40);
    CHECK(rig.log->books(1).losses.empty());
    CHECK(rig.log->books(2).losses.empty());
    CHECK(rig.log->books(2).freed[static_cast<std::size_t>(Freed::delivered)].records >= 20);
}

TEST_CASE("full: a topic that drops its oldest hardly waits for room") {
    SimStorage device({.seed = 1, .size = wide_device});
    Rig rig(device);
    REQUIRE(rig.open());
    REQUIRE(rig.log->declare_stream(1, drops(10)));
    (void)fill(rig, 1);
    CHECK(press(rig, 1, 20) < 4'000);     // until it is clear that packing leads nowhere
    CHECK(press(rig, 1, 1'000) < 5'000);  // a pass every 200 ms for each priority was minutes
    CHECK(rig.log->books(1).balanced());
}

// A commit waits for the slice of zeros that lies where it goes. What comes meanwhile must not all
// count on the one segment that is free: what frees segments would be left without any, for good.
TEST_CASE(
    "full: batches that come while zeros are written are bounded, and leave what upkeep needs") {
    for (const std::size_t size : {14'200u, 9'000u, 3'000u}) {
        SimStorage device({.seed = 1, .size = 32 * KiB + 31 * std::uint64_t{small_segment}});
        Rig rig(device);
        REQUIRE(rig.open());
        REQUIRE(rig.log->declare_stream(1, {.retention_bytes = 512 * 1024}));
        rig.log->set_release(1, INT64_MAX);
        std::uint64_t taken = 0, most = 0;
        for (int step = 0; step < 300; ++step) {
            const std::uint64_t before = taken;
            while (taken < before + 1'000 && rig.append(1, {.size = size, .salt = taken})) ++taken;
            most = std::max(most, taken - before);
            rig.log->on_storage(rig.at());  // one thing after the other: zeros are under way
            if (rig.log->deadline() <= rig.at()) rig.log->on_deadline(rig.at(), wall_ms(rig.wall));
        }
        INFO(size);
        CHECK(most <= 2 * (16 * KiB / size) + 1);  // a group under way, and one that waits
        for (int i = 0; i < 20; ++i) rig.pass(500);
        CHECK(rig.append_durably(1, {.size = size}));
    }
}

// It was refused because the group is full: that leaves as soon as it can, not in its own time.
TEST_CASE("full: a batch that zeros keep out waits for them, and for no commit interval") {
    LogConfig config = small_config();
    config.commit_interval = milliseconds(5'000);
    SimStorage device({.seed = 1, .size = wide_device});
    Rig rig(device, config);
    REQUIRE(rig.open());
    REQUIRE(rig.log->declare_stream(1, {}));
    std::uint64_t refused = 0;
    CommitId last = 0;
    for (std::uint64_t taken = 0; taken < 200; ++taken) {
        auto appended = rig.append(1, {.size = 9'000, .salt = taken});
        if (!appended) {
            REQUIRE(appended.error() == Error::would_block);
            ++refused;
            rig.settle();  // who was refused comes again when a commit is durable
            CHECK(rig.log->flushed_commit() >= last);
            appended = rig.append(1, {.size = 9'000, .salt = taken});
            REQUIRE(appended);
        }
        last = appended->commit;
        rig.log->on_storage(rig.at());  // one thing after the other: zeros are under way
    }
    CHECK(refused > 0);
}

// A pass over thousands of streams is followed by the next after 200 ms, and not after a second.
TEST_CASE("full: what a long pass let go is free as soon as the next pass may begin") {
    LogConfig config = small_config();
    config.segment_bytes = 1 * MiB;
    SimStorage device({.seed = 1, .size = 32 * KiB + 64 * MiB});
    Rig rig(device, config);
    REQUIRE(rig.open());
    constexpr StreamId streams = 3'000;
    REQUIRE(rig.log->declare_stream(1, {.retention_bytes = 1}));
    rig.log->set_release(1, 0);
    for (StreamId id = 2; id <= streams; ++id) {
        REQUIRE(rig.log->declare_stream(id, {}));
        REQUIRE(rig.append(id, {.size = 20, .salt = id}));
        if (id % 50 == 0) rig.settle();
    }
    for (std::uint64_t i = 0; i < 100; ++i)
        REQUIRE(rig.append_durably(1, {.size = 100'000, .salt = i}));
    for (int i = 0; i < 20; ++i) rig.pass(1'000);
    REQUIRE(rig.log->counters().segments_recycled == 0);
    rig.log->set_release(1, 100);
    const std::int64_t began = rig.now;
    std::int64_t raised = 0;
    while (rig.log->counters().segments_recycled == 0 && rig.now < began + 10'000) {
        rig.pass(std::max<std::int64_t>((rig.log->deadline() - rig.at()).count(), 0));
        if (raised == 0 && rig.log->stream(1)->log_start > 0) raised = rig.now;
    }
    CHECK(raised > 0);
    CHECK(rig.log->counters().segments_recycled > 0);
    CHECK(rig.now - raised <= 200);
}

TEST_CASE("full: where nothing may be dropped nobody searches without a pause") {
    SimStorage device({.seed = 1, .size = wide_device});
    Rig rig(device);
    REQUIRE(rig.open());
    REQUIRE(rig.log->declare_stream(1, {}));
    REQUIRE(rig.log->declare_stream(2, drops(5)));  // has nothing
    (void)fill(rig, 1);
    rig.pass(10'000);
    CHECK(rig.log->deadline() - rig.at() >= milliseconds(100));
}

TEST_CASE("reserve: where pages are 16 KiB a segment of 64 holds what one page does") {
    SimStorage device({.seed = 1, .size = wide_device});
    LogConfig config = small_config();
    config.page_bytes = 16 * KiB;
    Rig rig(device, config);
    REQUIRE(rig.open());
    REQUIRE(rig.log->declare_stream(1, {}));
    REQUIRE(rig.log->declare_stream(2, {.reserved_bytes = 1'000}));
    CHECK(rig.log->status().reserved_bytes == 1'000);
    std::uint64_t taken = 0;
    while (taken < 1'000 && rig.append_durably(1, {.size = 20'000, .salt = taken})) ++taken;
    CHECK(taken > 100);
    CHECK(taken < 1'000);
    CHECK(rig.append_durably(2, {.size = 900}));
}

TEST_CASE(
    "reserve: records with a reservation land when others have filled the log, to the last byte") {
    SimStorage device({.seed = 1, .size = wide_device});
    constexpr std::int64_t reserved = 20 * small_segment;
    Rig rig(device);
    REQUIRE(rig.open());
    REQUIRE(rig.log->declare_stream(1, {}));
    REQUIRE(rig.log->declare_stream(2, {.reserved_bytes = reserved}));
    CHECK(rig.log->status().reserved_bytes == reserved);
    const std::uint64_t telemetry = fill(rig, 1);
    CHECK(telemetry > 120);
    CHECK(telemetry <
          140);  // twenty-one segments and a half are left, with four for the log itself
    CHECK(rig.log->room(1).left < small_segment);
    CHECK(rig.log->room(2).left > 20 * std::uint64_t{small_segment});
    const std::int64_t size = batch_header_bytes + 2'000;
    // Each on a page of its own: they are packed meanwhile, or half of the room would be padding.
    std::uint64_t alarms = 0, more = 0;
    for (int refused = 0; refused < 100; rig.pass(100)) {
        if (!rig.append_durably(2, {.size = 2'000, .salt = alarms})) {
            ++refused;
            continue;
        }
        ++alarms;
        refused = 0;
        // What one takes the other does not get, but for what packing saves.
        if (alarms % 16 == 0) more += rig.append_durably(1, {.size = big, .salt = alarms}) ? 1 : 0;
    }
    CHECK(static_cast<std::int64_t>(alarms) * size >= reserved);
    CHECK(more <= 4);
    CHECK(rig.log->books(1).losses.empty());
    CHECK(rig.log->books(1).kept_buffered == telemetry + more);
    CHECK(rig.log->books(2).kept_buffered == alarms);
}

TEST_CASE(
    "reserve: what is reserved is not dropped, what is above it is, and the newest is taken") {
    SimStorage device({.seed = 1, .size = wide_device});
    constexpr std::int64_t reserved = 20 * small_segment;
    Rig rig(device);
    REQUIRE(rig.open());
    StreamPolicy alarms = drops(1);
    alarms.reserved_bytes = reserved;
    REQUIRE(rig.log->declare_stream(1, drops(9)));
    REQUIRE(rig.log->declare_stream(2, alarms));
    REQUIRE(fill(rig, 2, 60) == 60);  // 30 segments full of bytes, above the reservation
    (void)press(rig, 1, 400);         // of a higher priority
    CHECK(rig.log->stream(2)->bytes >= reserved);
    CHECK(rig.log->stream(2)->log_start > 0);
    const Offset end = rig.log->stream(2)->log_end;
    (void)press(rig, 2, 100);
    CHECK(rig.log->stream(2)->log_end == end + 100);
    CHECK(rig.log->stream(2)->bytes >= reserved);
    CHECK(rig.log->books(1).balanced());
    CHECK(rig.log->books(2).balanced());
    // A reservation that is taken back is room for others.
    REQUIRE(rig.log->declare_stream(2, drops(1)));
    (void)press(rig, 1, 100);
    CHECK(rig.log->stream(2)->bytes < reserved);
    CHECK(rig.log->status().reserved_bytes == 0);
}

TEST_CASE("room: it runs low long before it is out, and what is delivered is no fill") {
    SimStorage device({.seed = 1, .size = wide_device});
    Rig rig(device);
    REQUIRE(rig.open());
    REQUIRE(rig.log->declare_stream(1, {}));
    rig.log->set_release(1, 0);
    const std::uint64_t low = rig.log->room(1).low;
    CHECK(low > 160 * std::uint64_t{small_segment} / 12);
    std::uint64_t last = rig.log->room(1).left, taken = 0;
    CHECK(last > 5 * low);
    while (rig.append_durably(1, {.size = big, .salt = taken})) {
        ++taken;
        REQUIRE(rig.log->room(1).left <= last);
        last = rig.log->room(1).left;
    }
    CHECK(last < small_segment);
    // A link that keeps up: as much again, and there is always more room than a little.
    rig.log->set_release(1, static_cast<Offset>(taken));
    for (int i = 0; i < 100; ++i) rig.pass(100);
    for (std::uint64_t i = 0; i < 2 * taken; ++i) {
        REQUIRE(rig.append_durably(1, {.size = big, .salt = i}));
        rig.log->set_release(1, static_cast<Offset>(taken + i + 1));
        rig.pass(100);
        REQUIRE(rig.log->room(1).left > low);
    }
    CHECK(rig.log->books(1).losses.empty());
}

TEST_CASE("room: what others may have dropped is room for those who may not") {
    SimStorage device({.seed = 1, .size = wide_device});
    Rig rig(device);
    REQUIRE(rig.open());
    REQUIRE(rig.log->declare_stream(1, drops(5)));
    REQUIRE(rig.log->declare_stream(2, {}));
    (void)fill(rig, 1);
    (void)press(rig, 1, 100);
    const std::uint64_t low = rig.log->room(2).low;
    // As much as the log holds, beside a stream that would take all of it.
    std::uint64_t taken = 0;
    for (; rig.log->room(2).left >= low; ++taken) {
        REQUIRE(taken < 160);
        (void)press(rig, 2, 1);
        (void)rig.append_durably(1, {.size = big, .salt = taken});
    }
    CHECK(taken > 100);
    CHECK(rig.log->books(2).losses.empty());
}

// A pass that waits for what it dropped, or that finds the open group crowded, has not searched in
// vain: whatever the moment, alarms stay while there is telemetry.
TEST_CASE("full: a higher priority's turn does not come because a pass was held back") {
    for (std::uint64_t seed = 1; seed <= 40; ++seed) {
        SimStorage device({.seed = seed, .size = 32 * KiB + 31 * std::uint64_t{small_segment}});
        Rig rig(device);
        REQUIRE(rig.open());
        REQUIRE(rig.log->declare_stream(1, drops(5)));
        REQUIRE(rig.log->declare_stream(2, drops(10)));
        SimRandom random(seed);
        for (std::uint64_t i = 0; i < 20; ++i)
            REQUIRE(rig.append_durably(2, {.size = 200, .salt = i}));
        device.hold(true);  // a device that takes its time
        for (std::uint64_t i = 0; i < 4'000; ++i) {
            (void)rig.append(1, {.size = 14'000 + random.below(1'000), .salt = i});
            rig.now += static_cast<std::int64_t>(random.below(6));
            if (random.chance(40) && device.writes_under_way() > 0) device.complete(0);
            rig.log->on_storage(rig.at());
            if (rig.log->deadline() <= rig.at()) rig.log->on_deadline(rig.at(), wall_ms(rig.wall));
        }
        device.hold(false);
        rig.settle();
        INFO("seed ", seed);
        CHECK(rig.log->books(2).losses.empty());
        CHECK_FALSE(rig.log->books(1).losses.empty());
    }
}

// A log start that the ring has no room for is durable with the next checkpoint only.
TEST_CASE("full: a delete below a log start that waits for a checkpoint is not promised before") {
    SimStorage device({.seed = 1, .size = small_device});
    Rig rig(device);
    REQUIRE(rig.open());
    REQUIRE(rig.log->declare_stream(1, {}));
    while (rig.append_durably(1, {.size = 3'000})) {
    }
    for (int i = 0; i < 1'000; ++i) {  // each its own commit: pages go fast
        if (!rig.log->put_fact(rig.at(), FactKind::group, bytes_of("g"),
                               bytes_of(std::to_string(i))))
            break;
        rig.settle();
    }
    while (rig.log->erase_fact(rig.at(), FactKind::group, bytes_of("g")) &&
           rig.log->flushed_commit() + 1 < rig.log->open_commit())
        rig.settle();
    device.hold(true);
    rig.log->set_release(1, rig.log->stream(1)->flushed);
    for (int i = 0; i < 200 && rig.log->stream(1)->log_start == 0; ++i) {
        rig.now += 100;
        rig.log->on_deadline(rig.at(), wall_ms(rig.wall));
        for (int k = 0; k < 20; ++k) rig.log->on_storage(rig.at());
    }
    const Offset start = rig.log->stream(1)->log_start;
    REQUIRE(start > 0);
    const auto deleted = rig.log->set_log_start(rig.at(), 1, start);
    const bool promised = deleted && *deleted <= rig.log->flushed_commit();
    SimRandom random(1);
    SimStorage cut({.seed = 2}, device.crash_image(Tear::dropped, random));
    Rig after(cut);
    REQUIRE(after.open());
    CHECK((!promised || after.log->stream(1)->log_start >= start));
    device.hold(false);
    while (device.writes_under_way() > 0) device.complete(0);
    for (int i = 0; i < 20; ++i) rig.pass(1'000);
    const auto again = rig.log->set_log_start(rig.at(), 1, start);
    REQUIRE(again);
    CHECK(*again <= rig.log->flushed_commit());
}

// Two such batches fill a page and a bit: packing comes to nothing at first, and the cleaner leaves
// those segments alone. When more of what lies in them is dropped it looks at them again.
TEST_CASE("full: what matters more is not dropped where packing makes room") {
    for (const std::uint64_t seed : {1u, 5u, 8u, 33u}) {
        INFO("seed ", seed);
        SimRandom random(seed);
        SimStorage device({.seed = seed, .size = 32 * KiB + 31 * std::uint64_t{small_segment}});
        Rig rig(device);
        REQUIRE(rig.open());
        REQUIRE(rig.log->declare_stream(1, drops(1)));
        REQUIRE(rig.log->declare_stream(9, drops(9)));
        for (const StreamId id : {1u, 9u}) rig.log->set_release(id, seed % 2 ? INT64_MAX : 0);
        const std::size_t size = 200 + random.below(8'000);
        const std::uint64_t share = 2 + random.below(12);
        std::uint64_t important = 0;
        for (std::uint64_t i = 0; i < 25'000; ++i) {
            // No more than a third of the log.
            const bool nine = random.below(share) == 0 && important * (size + 61) < 600'000;
            if (rig.append(nine ? 9 : 1, {.size = size, .salt = i})) important += nine ? 1 : 0;
            if (random.below(4) == 0) rig.settle();
            if (random.below(3) == 0) rig.pass(1);
        }
        CHECK(rig.log->books(9).losses.empty());
        CHECK_FALSE(rig.log->books(1).losses.empty());
        CHECK(rig.log->stream(9)->log_start == 0);
    }
}
