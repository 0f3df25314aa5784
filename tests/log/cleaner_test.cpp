// The cleaner: what it makes of segments that hold little, and that nobody can tell.
#include <doctest/doctest.h>

#include <cstdio>

#include "broker/log/superblock.hpp"
#include "tests/log/lone.hpp"

using namespace leat;
using namespace leat::log;
using namespace leat::log::test;

TEST_CASE("cleaner: 16 MiB hold a 64th of three days of lone records, 10/s of 200 B") {
    SimStorage device({.seed = 1, .size = 32 * KiB + 256 * 64 * KiB});
    std::uint64_t count = 0;
    {
        Rig rig(device);
        REQUIRE(rig.open());
        REQUIRE(rig.log->declare_stream(1, {}));
        count = fill_up(rig);
        const LogCounters& counters = rig.log->counters();
        std::printf("16 MiB: %llu lone records of 200 B; %.2f bytes copied per byte freed\n",
                    static_cast<unsigned long long>(count),
                    static_cast<double>(counters.cleaner_copied) /
                        static_cast<double>(counters.cleaner_freed));
        CHECK(count >= 2'592'000 / 64);
        CHECK(counters.cleaner_copied < counters.cleaner_freed);
        CHECK(rig.log->status().segments_free >= 3);
        check_all(rig, count);
        CHECK(rig.log->stream(1)->log_start == 0);
        CHECK(rig.log->books(1).balanced());
    }
    device.power_cycle();
    Rig rig(device);
    REQUIRE(rig.open());
    REQUIRE(rig.log->declare_stream(1, {}));
    CHECK(rig.log->stream(1)->log_end == static_cast<Offset>(count));
    check_all(rig, count);
    // What is delivered frees it all again.
    rig.log->set_release(1, static_cast<Offset>(count));
    for (int i = 0; i < 200; ++i) rig.pass(1'000);
    CHECK(rig.append_durably(1, lone(count)));
    check_all(rig, count + 1, static_cast<std::uint64_t>(rig.log->stream(1)->log_start));
}

// A 16th of 1 GiB and of three days: segments of 256 KiB, 256 of them as there; only pages are as
// large, so what a header and a footer take is 16 times the share. Records may be dropped for room,
// and nothing is delivered; retention keeps the three days, by bytes and by age.
TEST_CASE("cleaner: a 16th of three days stays, day after day, and without packing 10 % of it") {
    constexpr std::uint64_t days = 2'592'000 / 16;
    for (const bool packs : {true, false}) {
        INFO("packs ", packs);
        SimStorage device({.seed = 1, .size = 64 * MiB});
        LogConfig config = small_config();
        config.segment_bytes = 256 * KiB;
        SeededFaults faults;
        faults.never_packs = !packs;
        Rig rig(device, config, faults);
        REQUIRE(rig.open());
        const auto batch_bytes = static_cast<std::int64_t>(make_batch(lone(0)).size());
        REQUIRE(rig.log->declare_stream(
            1, {.retention = milliseconds(days * 100),
                .retention_bytes = static_cast<std::int64_t>(days) * batch_bytes,
                .when_full = WhenFull::drop_oldest}));
        rig.log->set_release(1, INT64_MAX);
        std::uint64_t count = 0, refused = 0, short_of_it = 0;
        for (; count < days * 5 / 4; rig.pass(100)) {
            if (!rig.append_durably(1, lone(count))) {
                REQUIRE(++refused < 1'000);
                continue;
            }
            ++count;
            // What is gone was older than that, at any time.
            const auto kept = count - static_cast<std::uint64_t>(rig.log->stream(1)->log_start);
            short_of_it += kept < std::min(count, days) ? 1 : 0;
        }
        const Books books = rig.log->books(1);
        CHECK(books.balanced());
        const auto start = static_cast<std::uint64_t>(rig.log->stream(1)->log_start);
        check_all(rig, count, start);
        if (packs) {
            CHECK(refused == 0);
            CHECK(books.losses.empty());
            CHECK(rig.log->counters().dropped_records == 0);
            CHECK(short_of_it == 0);
            CHECK(start > 0);  // the ring has turned, and what was too old went
        } else {
            CHECK(short_of_it > 0);
            CHECK(count - start < days / 10);
            CHECK(rig.log->counters().dropped_records > 0);
        }
    }
}

TEST_CASE("cleaner: the smallest log gains as well, and is found again after every power cut") {
    SimStorage device({.seed = 1, .size = small_device});
    std::uint64_t count = 0;
    for (int life = 0; life < 4; ++life) {
        Rig rig(device);
        REQUIRE(rig.open());
        REQUIRE(rig.log->declare_stream(1, {}));
        CHECK(rig.log->stream(1)->log_end == static_cast<Offset>(count));
        check_all(rig, count);
        count = fill_up(rig, count);
        check_all(rig, count);
        device.power_cycle();
    }
    std::printf("1 MiB: %llu lone records of 200 B\n", static_cast<unsigned long long>(count));
    CHECK(count >= 900);  // 16 segments, 14 pages each: 154 without it
}

// The older superblock's checkpoint does not know the last moves, and what they were made of may be
// recycled: then the copies count, at this start and at those after it.
TEST_CASE("cleaner: no moved record is lost with the newest superblock") {
    SimStorage device({.seed = 1, .size = small_device});
    Rig rig(device);
    REQUIRE(rig.open());
    REQUIRE(rig.log->declare_stream(1, {}));
    std::uint64_t count = 0, tried = 0;
    for (std::uint64_t turn = 0; turn < 1'500; ++turn, rig.pass(100)) {
        if (rig.append_durably(1, lone(count))) ++count;
        if (rig.log->counters().cleaner_freed == 0) continue;
        SimImage image = device.image();
        const auto super_at = [&](std::uint64_t slot) {
            std::vector<std::uint8_t> bytes(superblock_bytes);
            image.read(slot * 16 * KiB, bytes);
            return decode_superblock(bytes);
        };
        const auto first = super_at(0), second = super_at(1);
        REQUIRE(first);
        REQUIRE(second);
        const std::uint8_t lost = 0x5A;
        image.write((first->sequence > second->sequence ? 0 : 16 * KiB) + 100, {&lost, 1});
        ++tried;
        for (int start = 0; start < 3; ++start) {  // cut again before it wrote anything more
            INFO("after ", count, " records, start ", start);
            SimStorage damaged({.seed = 2}, image);
            Rig again(damaged);
            REQUIRE(again.open());
            REQUIRE(again.log->declare_stream(1, {}));
            CHECK(again.log->stream(1)->log_start == 0);
            check_all(again, count);
            image = damaged.image();
            if (start < 2 || tried % 16 != 0) continue;
            std::uint64_t more = count;  // and the cleaner goes on among what stands twice
            for (int i = 0; i < 300; ++i, again.pass(100))
                if (again.append_durably(1, lone(more))) ++more;
            check_all(again, more);
        }
    }
    CHECK(tried >= 20);
}

TEST_CASE("cleaner: a record is found by its time after it was moved") {
    SimStorage device({.seed = 1, .size = 32 * KiB + 64 * 64 * KiB});
    Rig rig(device);
    REQUIRE(rig.open());
    REQUIRE(rig.log->declare_stream(1, {}));
    const std::uint64_t count = fill_up(rig);
    REQUIRE(rig.log->counters().cleaner_freed > 0);
    for (std::uint64_t i = 0; i < count; i += 97) {
        const auto ticket = rig.log->start_find_time(rig.at(), 1, lone(i).timestamp - 50);
        REQUIRE(ticket);
        std::optional<TimeDone> done;
        for (int k = 0; k < 10'000 && !(done = rig.log->poll_find_time()); ++k)
            rig.log->on_storage(rig.at());
        REQUIRE(done);
        REQUIRE(done->found);
        CHECK(done->found->offset == static_cast<Offset>(i));
    }
    for (std::uint64_t i = 0; i < count; i += 131) {
        std::vector<std::uint8_t> into(2'000);
        const auto ticket = rig.log->start_read(
            rig.at(),
            {.stream = 1, .from = static_cast<Offset>(i), .until = static_cast<Offset>(i) + 1},
            into);
        REQUIRE(ticket);
        std::optional<ReadDone> done;
        for (int k = 0; k < 10'000 && !(done = rig.log->poll_read()); ++k)
            rig.log->on_storage(rig.at());
        REQUIRE(done);
        REQUIRE(done->bytes);
        CHECK(read_batch_fields(into)->base_offset == static_cast<Offset>(i));
    }
}

TEST_CASE("cleaner: writes of its own that fail cost nothing but time") {
    SimStorage device({.seed = 1, .size = 32 * KiB + 64 * 64 * KiB});
    Rig rig(device);
    REQUIRE(rig.open());
    REQUIRE(rig.log->declare_stream(1, {}));
    SimRandom random(4);
    std::uint64_t count = 0;
    // Who waits for room looks at the counter: nothing becomes free unheard, also not what the
    // cleaner took for its copies and gives back unused.
    std::uint64_t used = rig.log->status().used_bytes, recycled = 0;
    for (int refused = 0; refused < 100; rig.pass(100)) {
        const std::uint64_t is_used = rig.log->status().used_bytes;
        if (is_used < used) CHECK(rig.log->counters().segments_recycled > recycled);
        used = is_used;
        recycled = rig.log->counters().segments_recycled;
        if (random.chance(3)) device.fail_next(random.below(6), 1);
        if (rig.append_durably(1, lone(count))) {
            ++count;
            refused = 0;
        } else {
            ++refused;
        }
    }
    CHECK(rig.log->counters().write_errors > 10);
    CHECK(rig.log->counters().cleaner_freed > 0);
    check_all(rig, count);
}

TEST_CASE("cleaner: alarms that are kept do not pin the telemetry around them") {
    SimStorage device({.seed = 1, .size = 32 * KiB + 64 * 64 * KiB});
    Rig rig(device);
    REQUIRE(rig.open());
    REQUIRE(rig.log->declare_stream(1, {}));  // alarms: nobody fetches them, none may be lost
    REQUIRE(rig.log->declare_stream(2, {.when_full = WhenFull::drop_oldest, .priority = 3}));
    std::uint64_t alarms = 0, refused = 0, sent_bytes = 0;
    std::int64_t least = INT64_MAX, most = 0;
    for (std::uint64_t i = 0; i < 20'000; ++i) {
        const bool alarm = i % 20 == 0;
        bool taken = false;
        for (int tries = 0; tries < 100 && !taken; ++tries) {
            taken = alarm ? rig.append_durably(1, lone(alarms))
                          : rig.append_durably(2, {.size = 1'500, .salt = i});
            if (!taken) ++refused;
            if (!taken || i % 4 == 0) rig.pass(50);
        }
        REQUIRE(taken);
        if (alarm) ++alarms;
        sent_bytes += 4096;
        if (sent_bytes > 64 * small_segment) {  // it has been full ever since
            least = std::min(least, rig.log->stream(2)->bytes);
            most = std::max(most, rig.log->stream(2)->bytes);
        }
    }
    CHECK(sent_bytes > 15 * 64 * small_segment / 16);  // the ring has turned, many times
    CHECK(refused < 2'000);
    CHECK(rig.log->stream(1)->log_start == 0);
    check_all(rig, alarms);
    const Books kept = rig.log->books(1), dropped = rig.log->books(2);
    CHECK(kept.balanced());
    CHECK(kept.losses.empty());
    CHECK(dropped.balanced());
    CHECK(!dropped.losses.empty());
    // Most of the log still serves telemetry, not the room around alarms.
    std::printf("telemetry kept in a full log: %lld to %lld bytes\n", static_cast<long long>(least),
                static_cast<long long>(most));
    // Most of the log still serves telemetry, all the time: never more is dropped than a segment or
    // a few.
    CHECK(least > 30 * 14 * 1'561);
    device.power_cycle();
    Rig again(device);
    REQUIRE(again.open());
    REQUIRE(again.log->declare_stream(1, {}));
    check_all(again, alarms);
}

TEST_CASE("cleaner: one block is under way at a time, and while there is room they are paced") {
    SimStorage device({.seed = 1, .size = 32 * KiB + 256 * 256 * KiB});
    Watched watched(device);
    SimEntropy entropy(3);
    LogConfig config = small_config();
    config.segment_bytes = 256 * KiB;
    const auto log = make_log(watched, entropy, config);
    std::int64_t now = 1'000'000;
    REQUIRE(log->open(instant_ms(now), wall_ms(now)));
    REQUIRE(log->declare_stream(1, {}));
    const auto run = [&] {
        for (int i = 0; i < 12 || (i < 10'000 && log->flushed_commit() + 1 < log->open_commit());
             ++i) {
            log->on_storage(instant_ms(now));
            if (log->deadline() <= instant_ms(now)) log->on_deadline(instant_ms(now), wall_ms(now));
        }
    };
    std::uint64_t busiest = 0, in_second = 0;
    for (std::uint64_t i = 0; i < 40'000; ++i) {
        const auto batch = make_batch(lone(i));
        const auto appended = log->append(instant_ms(now), wall_ms(now),
                                          {.stream = 1, .batch = batch, .log_append_time = {}});
        if (i % 40 == 0) {
            busiest = std::max(busiest, watched.sum - in_second);
            in_second = watched.sum;
        }
        now += 25;
        run();
        REQUIRE(appended);
        REQUIRE(log->flushed_commit() >= appended->commit);
    }
    std::printf("cleaner: %llu blocks, at most %llu KiB in a second\n",
                static_cast<unsigned long long>(watched.asked),
                static_cast<unsigned long long>(busiest / KiB));
    CHECK(watched.asked > 100);
    CHECK(watched.most == 1);
    CHECK(watched.largest <= 64 * KiB + 2 * 4096);
    CHECK(busiest <= 50 * (64 * KiB + 2 * 4096));  // reads and writes together
    CHECK(log->counters().cleaner_freed > 100 * 256 * KiB);
}

TEST_CASE("full: a client can delete when nothing else has room, and that makes room") {
    SimStorage device({.seed = 1, .size = small_device});
    Rig rig(device);
    REQUIRE(rig.open());
    REQUIRE(rig.log->declare_stream(1, {}));
    rig.log->set_release(1, 0);
    for (int refused = 0; refused < 20;) {
        if (!rig.append_durably(1, {.count = 1, .size = 15'000})) {
            ++refused;
            rig.pass(300);
        }
    }
    Error why{};
    for (int i = 0; i < 2'000; ++i) {  // facts have a little more room, until that is gone, too
        const std::string value(2'000, static_cast<char>('a' + i % 26));
        const auto put =
            rig.log->put_fact(rig.at(), FactKind::config, bytes_of("a"), bytes_of(value));
        rig.settle();
        if (!put) {
            why = put.error();
            break;
        }
    }
    REQUIRE(why == Error::busy);
    const auto gone = rig.log->erase_fact(rig.at(), FactKind::config, bytes_of("a"));
    REQUIRE(gone);
    const auto cut = rig.log->set_log_start(rig.at(), 1, rig.log->stream(1)->flushed / 2);
    REQUIRE(cut);
    for (int i = 0; i < 20; ++i) rig.pass(300);
    CHECK(rig.log->flushed_commit() >= *cut);
    CHECK(rig.append_durably(1, {.count = 1, .size = 15'000}));
}
