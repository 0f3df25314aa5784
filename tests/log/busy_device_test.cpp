// A device that has its hands full: who is refused waits, and takes it for nothing else.
#include "tests/log/planted.hpp"
#include "tests/log/poor_device.hpp"

using namespace leat;
using namespace leat::log;
using namespace leat::log::test;

namespace {

/// A log on it, driven by its deadline; counts how often that had come.
struct Driven {
    Poor busy;
    SimEntropy entropy{9};
    std::unique_ptr<Log> log;
    std::int64_t now = 2'000'000;
    std::uint64_t woken = 0;

    Driven(SimStorage& device, LogConfig config) : busy(device) {
        log = make_log(busy, entropy, std::move(config));
        REQUIRE(log->open(at(), wall_ms(1'800'000'100'000)));
    }
    Instant at() const { return instant_ms(now); }
    void pass(std::int64_t ms) {
        for (std::int64_t i = 0; i < ms; ++i, ++now) {
            for (int k = 0; k < 50 && log->deadline() <= at(); ++k) {
                ++woken;
                log->on_deadline(at(), wall_ms(1'800'000'100'000 + now));
                log->on_storage(at());
            }
            log->on_storage(at());
        }
    }
};

/// Full of records with a page each: the segments hold little.
void fill_loosely(SimStorage& device) {
    SeededFaults loose;
    loose.never_packs = true;
    {
        Rig rig(device, small_config(), loose);
        REQUIRE(rig.open());
        REQUIRE(rig.log->declare_stream(1, {}));
        while (rig.append_durably(1, {.size = 500})) {
        }
    }
    device.power_cycle();
}

}  // namespace

TEST_CASE("scrub: a device that takes no reads now is asked again in a while, and misses nothing") {
    SimStorage device({.seed = 1, .size = twice_small});
    (void)plant(device);
    LogConfig config = small_config();
    config.scrub_every = milliseconds(1);
    Driven driven(device, config);
    // A header, which is read first: who went on behind it would not see this.
    for (std::uint64_t segment = 0; segment < 32; ++segment) {
        std::uint8_t page[segment_header_bytes];
        device.image().read(32 * KiB + segment * small_segment, page);
        const auto header = decode_segment_header(page);
        if (!header || header->place != 2 || header->area != Area::arrivals) continue;
        page[300] ^= 1;
        device.image().write(32 * KiB + segment * small_segment, page);
    }
    driven.pass(1);
    driven.now += 60'000;  // a start has other things to read
    for (int i = 0; i < 300; ++i) {
        driven.busy.reads_max = i % 2 == 0 ? 0 : SIZE_MAX;
        driven.woken = 0;
        driven.pass(200);
        CHECK(driven.woken <= 10);
    }
    CHECK(driven.busy.refused >= 20);
    REQUIRE(driven.log->status().damaged.size() == 1);
    CHECK(driven.log->status().damaged[0].what == DamagedPlace::What::header);
}

TEST_CASE("cleaner: a device that takes no reads now makes no segment unmovable") {
    SimStorage device({.seed = 1, .size = small_device});
    fill_loosely(device);
    Driven driven(device, small_config());
    REQUIRE(driven.log->declare_stream(1, {}));
    for (int i = 0; i < 3'000; ++i) {
        driven.busy.reads_max = static_cast<std::size_t>(i % 2);
        driven.woken = 0;
        driven.pass(1);
        CHECK(driven.woken <= 20);
    }
    driven.busy.reads_max = SIZE_MAX;
    driven.pass(5'000);
    CHECK(driven.busy.refused >= 5);
    CHECK(driven.log->counters().cleaner_freed >= 4 * small_segment);
}

TEST_CASE("cleaner: what a device does not give while it takes no commit is not lost") {
    SimStorage device({.seed = 1, .size = small_device});
    fill_loosely(device);
    std::uint64_t away = 0;
    for (std::uint64_t segment = 0; segment < small_device / small_segment; ++segment) {
        std::uint8_t page[segment_header_bytes];
        device.image().read(32 * KiB + segment * small_segment, page);
        const auto header = decode_segment_header(page);
        if (header && header->place == 2 && header->area == Area::arrivals)
            away = 32 * KiB + segment * small_segment + 5 * 4096;
    }
    REQUIRE(away != 0);
    Driven driven(device, small_config());
    REQUIRE(driven.log->declare_stream(1, {}));
    driven.busy.bad_sector = away;
    driven.pass(30'000);
    driven.busy.bad_sector = UINT64_MAX;
    driven.pass(10'000);
    CHECK(driven.log->counters().cleaner_freed >= 2 * small_segment);
    CHECK(driven.log->counters().lost_records == 0);
    CHECK(driven.log->books(1).losses.empty());
}

TEST_CASE("log: a write that does not end for five seconds is counted once, and its end is seen") {
    SimStorage device({.seed = 1, .size = small_device});
    Driven driven(device, small_config());
    REQUIRE(driven.log->declare_stream(1, {}));
    driven.pass(3'000);
    device.hold(true);
    REQUIRE(driven.log->put_fact(driven.at(), FactKind::node, bytes_of("a"), bytes_of("b")));
    driven.log->flush_soon(driven.at());
    driven.pass(1);
    REQUIRE(device.writes_under_way() == 1);
    CHECK(driven.log->deadline() <= driven.at() + milliseconds(5'000));
    driven.pass(4'990);
    CHECK_FALSE(driven.log->status().write_is_slow);
    driven.woken = 0;
    driven.pass(7'000);
    CHECK(driven.woken <= 10);
    CHECK(driven.log->status().write_is_slow);
    CHECK(driven.log->counters().slow_writes == 1);
    device.hold(false);
    device.complete(0);
    driven.pass(1);
    CHECK_FALSE(driven.log->status().write_is_slow);
    driven.pass(10'000);
    CHECK(driven.log->counters().slow_writes == 1);
}

TEST_CASE("read: whatever many look for at once, no more than 64 reads are under way") {
    SimStorage device({.seed = 1, .size = 32 * KiB + 512 * small_segment});
    constexpr StreamId streams = 180;
    {
        Rig rig(device);
        REQUIRE(rig.open());
        for (StreamId id = 1; id <= streams; ++id) {  // a segment for each
            REQUIRE(rig.log->declare_stream(id, {}));
            for (std::uint64_t i = 0; i < 2; ++i)
                REQUIRE(rig.append_durably(id, {.size = 27'000, .salt = id * 2 + i}));
        }
        rig.close();
    }
    Driven driven(device, small_config());
    std::vector<std::uint8_t> into(30'000);
    for (StreamId id = 1; id <= streams; ++id) {
        REQUIRE(driven.log->declare_stream(id, {}));
        REQUIRE(driven.log->start_find_time(driven.at(), id, 500));
    }
    std::size_t found = 0;
    for (int i = 0; i < 2'000 && found < streams; ++i) {
        driven.log->on_storage(driven.at());
        while (const auto done = driven.log->poll_find_time()) {
            CHECK(done->found);
            ++found;
        }
    }
    CHECK(found == streams);
    CHECK(driven.busy.most_reads >= 32);
    CHECK(driven.busy.most_reads <= 64 + 4);  // others read, too
}

TEST_CASE("log: a device that has no room for a write now is asked again, and nothing failed") {
    SimStorage device({.seed = 1, .size = small_device});
    Driven driven(device, small_config());
    REQUIRE(driven.log->declare_stream(1, {}));
    driven.pass(100);
    for (std::uint64_t i = 0; i < 40; ++i) {  // over several segments, each with a footer
        driven.busy.busy_writes = i % 4;
        const auto batch = make_batch({.size = 9'000, .salt = i});
        const auto appended =
            driven.log->append(driven.at(), wall_ms(1'800'000'200'000),
                               {.stream = 1, .batch = batch, .log_append_time = {}});
        REQUIRE(appended);
        CHECK(appended->base_offset == static_cast<Offset>(i));
        driven.woken = 0;
        driven.pass(100);
        CHECK(driven.log->flushed_commit() >= appended->commit);
        CHECK(driven.woken <= 20);
    }
    CHECK_FALSE(driven.log->status().read_only);
    CHECK(driven.log->counters().write_errors == 0);
    CHECK_FALSE(driven.log->poll_rolled_back());
}

// It is the batch that sends the group in front of it, and that would stand behind a hole.
TEST_CASE("log: what is added while a write fails at once is given up with it, or has its place") {
    SimStorage device({.seed = 1, .size = small_device});
    LogConfig config = small_config();
    config.commit_interval = milliseconds(1'000);
    config.group_bytes_max = 16 * KiB;
    Driven driven(device, config);
    REQUIRE(driven.log->declare_stream(1, {}));
    driven.pass(3'000);
    const auto append = [&](std::uint64_t salt) {
        const auto batch = make_batch({.size = 9'000, .salt = salt});
        return driven.log->append(driven.at(), wall_ms(1'800'000'200'000),
                                  {.stream = 1, .batch = batch, .log_append_time = {}});
    };
    REQUIRE(append(1));
    driven.busy.bad_writes = 2;
    const auto second = append(2);
    driven.pass(100);
    CHECK(driven.log->status().read_only);
    const auto back = driven.log->poll_rolled_back();
    REQUIRE(back);
    if (second) CHECK(back->last >= second->commit);
    CHECK(driven.log->stream(1)->log_end == 0);
    driven.pass(60'000);
    REQUIRE_FALSE(driven.log->status().read_only);
    CHECK(driven.log->stream(1)->log_end == 0);
    const auto third = append(3);
    REQUIRE(third);
    CHECK(third->base_offset == 0);
    driven.pass(3'000);
    CHECK(driven.log->stream(1)->flushed == 1);
}
