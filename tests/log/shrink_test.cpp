// A budget that became smaller: the pool follows, nothing that counts is lost, nobody waits; and a
// larger one later.
#include <doctest/doctest.h>

#include "broker/log/inspect.hpp"
#include "tests/log/shrink_rig.hpp"

using namespace leat;
using namespace leat::log;
using namespace leat::log::test;

TEST_CASE("shrink: what lies at the end is moved, the device becomes smaller, all is there") {
    for (const bool clean : {true, false}) {
        Records records;
        // 8 records a segment: what is kept of them, 40, lies behind the sixteenth.
        SimStorage device({}, filled(32, records, 150, 140, 30));
        {
            Rig rig(device, config_for(16));
            REQUIRE(rig.open());
            declare(rig);
            const LogStatus before = rig.log->status();
            CHECK(before.segments == 32);
            CHECK(before.segments_target == 16);
            CHECK(before.budget_bytes == 16 * small_segment);
            REQUIRE(shrinks(rig));
            const LogStatus after = rig.log->status();
            CHECK(after.segments == 16);
            CHECK(after.used_bytes <= after.budget_bytes);
            CHECK(after.used_bytes ==
                  std::uint64_t{16 - after.segments_free} * small_segment);
            CHECK(device.image().size() == bytes_for(16));
            CHECK(rig.log->counters().moved_bytes >= 4 * small_segment);
            CHECK(rig.log->counters().given_back == 16 * small_segment);
            records.check(rig, 140);
            records.put(rig, 20);
            records.check(rig, 140);
            for (int i = 0; i < 5; ++i) rig.pass(1'000);  // what is dead may need one more
            const std::uint64_t checkpoints = rig.log->counters().written_checkpoint;
            for (int i = 0; i < 60; ++i) rig.pass(1'000);
            CHECK(rig.log->counters().written_checkpoint == checkpoints);  // it is over
            if (clean) rig.close();
        }
        SimRandom random(1);
        SimStorage again({}, device.crash_image(Tear::dropped, random));
        std::string why;
        const auto seen = inspect(again, nullptr, why);
        REQUIRE(seen);
        CHECK(seen->damages.empty());
        CHECK(seen->super.segments == 16);
        CHECK(seen->purposes.sum() == 16 * small_segment);
        Rig rig(again, config_for(16));
        REQUIRE(rig.open());
        declare(rig);
        CHECK(rig.log->status().segments == 16);
        records.check(rig, 140);
        CHECK(shrinks(rig));
        CHECK(rig.log->counters().moved_bytes == 0);
        CHECK(rig.log->counters().given_back == 0);
    }
}

TEST_CASE("shrink: a log that nobody writes to shrinks as well, and to 15 segments at least") {
    Records records;
    SimStorage device({}, filled(40, records, 200, 165));
    LogConfig config = small_config();
    config.budget_bytes = 2 * small_segment;
    Rig rig(device, config);
    REQUIRE(rig.open());
    declare(rig);
    REQUIRE(shrinks(rig));
    CHECK(rig.log->status().segments == 15);
    CHECK(device.image().size() == bytes_for(15));
    records.check(rig, 165);
}

TEST_CASE("shrink: no commit waits for it") {
    Records records;
    records.size = 300;
    SimStorage device({}, filled(48, records, 500, 450));
    Rig rig(device, config_for(20));
    REQUIRE(rig.open());
    declare(rig, {.retention_bytes = 20'000}, INT64_MAX);
    int passes = 0;
    for (; rig.log->status().shrinking != Shrinking::no || passes == 0; ++passes) {
        REQUIRE(passes < 10'000);
        records.put(rig, 1);  // durable before any time passes
        rig.pass(10);
    }
    CHECK(rig.log->status().segments == 20);
    CHECK(passes > 20);
    records.check(rig, rig.log->stream(1)->log_start);
}

TEST_CASE("shrink: what may not be dropped stays, is told of, and lets go on when it may go") {
    Records records;
    SimStorage device({}, filled(48, records, 210));
    Rig rig(device, config_for(16));
    REQUIRE(rig.open());
    declare(rig);
    CHECK_FALSE(shrinks(rig));
    LogStatus status = rig.log->status();
    CHECK(status.shrinking == Shrinking::waiting);
    CHECK(status.segments > 32);
    CHECK(device.image().size() > bytes_for(32));
    CHECK(rig.log->counters().dropped_records == 0);
    records.check(rig);
    // Producers have what a full log has for them, and no more: else it would never end.
    std::uint64_t taken = 0;
    while (records.put(rig)) ++taken;
    CHECK(taken < 100);
    CHECK(rig.append(1, spec_of(0)).error() == Error::full);
    CHECK_FALSE(rig.log->status().read_only);
    records.check(rig);
    // The uplink has some of it: the records above stay.
    rig.log->set_release(1, static_cast<Offset>(records.next) - 20);
    REQUIRE(shrinks(rig));
    CHECK(rig.log->status().segments == 16);
    CHECK(device.image().size() == bytes_for(16));
    const Offset start = rig.log->stream(1)->log_start;
    CHECK(start <= static_cast<Offset>(records.next) - 20);
    records.check(rig, start);
    CHECK(records.put(rig));
}

TEST_CASE("shrink: a stream that drops its oldest keeps the newest that fit, and the ledger tells") {
    Records records;
    SimStorage device({}, filled(48, records, 210));
    Rig rig(device, config_for(16));
    REQUIRE(rig.open());
    declare(rig, {.when_full = WhenFull::drop_oldest});
    REQUIRE(shrinks(rig));
    CHECK(device.image().size() == bytes_for(16));
    const Offset start = rig.log->stream(1)->log_start;
    CHECK(start < 210 - 7 * 5);  // no more went than had to
    CHECK(start > 210 - 7 * 16);
    const Books books = rig.log->books(1);
    REQUIRE(books.losses.size() == 1);
    CHECK(books.losses[0].reason == LossReason::no_room);
    CHECK(books.losses[0].records == static_cast<std::uint64_t>(start));
    records.check(rig, start);
}

TEST_CASE("shrink: nothing is dropped where what is kept fits") {
    Records records;
    SimStorage device({}, filled(40, records, 150, 110));
    Rig rig(device, config_for(16));
    REQUIRE(rig.open());
    declare(rig, {.when_full = WhenFull::drop_oldest});
    REQUIRE(shrinks(rig));
    CHECK(rig.log->counters().dropped_records == 0);
    records.check(rig, 110);
}

TEST_CASE("shrink: a larger budget later takes the segments back, whatever stands in them") {
    for (const bool cut : {true, false}) {
        Records records;
        SimImage image = filled(32, records, 150, 120);
        {
            SimStorage device({.shrinks = cut}, image);
            Rig rig(device, config_for(16));
            REQUIRE(rig.open());
            declare(rig);
            REQUIRE(shrinks(rig));
            rig.close();
            image = device.image();
        }
        CHECK(image.size() == bytes_for(cut ? 16 : 32));
        CHECK((headers_behind(image, 16) == 0) == cut);
        image.resize(bytes_for(32));
        if (!cut) {  // the mistake that this is about would be seen
            SimStorage device({}, image);
            Rig rig(device, config_for(32), {.old_headers_kept = true});
            REQUIRE(rig.open());
            CHECK(headers_behind(device.image(), 16) > 0);
        }
        SimStorage device({}, image);
        Rig rig(device, config_for(32));
        REQUIRE(rig.open());
        // No start may ever take what an earlier pool left for something that it has not met.
        CHECK(headers_behind(device.image(), 16) == 0);
        for (std::uint64_t slot = 0; slot < 2; ++slot) {
            std::vector<std::uint8_t> bytes(superblock_bytes);
            device.image().read(slot * 16 * KiB, bytes);
            const auto super = decode_superblock(bytes);
            REQUIRE(super);
            CHECK(super->segments == 32);
        }
        declare(rig);
        CHECK(rig.log->status().segments == 32);
        records.check(rig, 120);
        records.put(rig, 110);
        records.check(rig, 120);
        SimRandom random(1);
        SimStorage again({}, device.crash_image(Tear::dropped, random));
        Rig after(again, config_for(32));
        REQUIRE(after.open());
        declare(after);
        records.check(after, 120);
    }
}

// A pool that grew keeps no trace of what the larger one before it held: copies that compaction or
// a log start made void must not pass for copies that the checkpoint has not met.
TEST_CASE("shrink: old segments do not come back after the superblock is damaged") {
    Records records;
    SimImage image = filled(32, records, 150, 120);
    {
        SimStorage device({.shrinks = false}, image);
        Rig rig(device, config_for(16));
        REQUIRE(rig.open());
        declare(rig);
        REQUIRE(shrinks(rig));
        rig.close();
        image = device.image();
    }
    SimStorage device({}, image);
    {
        Rig rig(device, config_for(32));
        REQUIRE(rig.open());
        declare(rig);
        records.put(rig, 100);
        rig.close();
    }
    for (std::uint64_t slot = 0; slot < 2; ++slot) {
        SimImage hurt = device.image();
        const std::uint8_t byte = 0xEE;
        hurt.write(slot * 16 * KiB + 100, {&byte, 1});
        SimStorage again({}, hurt);
        Rig rig(again, config_for(32));
        REQUIRE(rig.open());
        declare(rig);
        records.check(rig, 120);
    }
}
