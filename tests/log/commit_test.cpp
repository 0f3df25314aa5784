// When a commit is made, and what it costs beside the records.
#include <doctest/doctest.h>

#include "tests/log/rig.hpp"

using namespace leat;
using namespace leat::log;
using namespace leat::log::test;

TEST_CASE("facts: a lazy one makes no commit due for a second, and rides with whatever comes") {
    SimStorage device({.seed = 1, .size = small_device});
    Rig rig(device);
    REQUIRE(rig.open());
    REQUIRE(rig.log->declare_stream(1, {}));
    REQUIRE(rig.append_durably(1, {}));
    const auto put = [&](std::string_view value) {
        return *rig.log->put_fact_lazily(rig.at(), FactKind::cursor, bytes_of("up"),
                                         bytes_of(value));
    };
    const CommitId alone = put("1");
    rig.pass(999);
    CHECK(rig.log->flushed_commit() < alone);
    rig.pass(1);
    CHECK(rig.log->flushed_commit() == alone);

    const std::uint64_t commits = rig.log->counters().commits;
    const CommitId rides = put("2");
    REQUIRE(rig.append_durably(1, {}));
    CHECK(rig.log->flushed_commit() > rides);
    CHECK(rig.log->counters().commits == commits + 1);

    // The same value again is no write; wanted at once, it hurries the one that waits.
    CHECK(put("2") == rides);
    const CommitId waits = put("3");
    CHECK(*rig.log->put_fact(rig.at(), FactKind::cursor, bytes_of("up"), bytes_of("3")) == waits);
    rig.settle();
    CHECK(rig.log->flushed_commit() == waits);
    CHECK(rig.log->counters().commits == commits + 2);
}

TEST_CASE("commit: a batch that may wait less than others makes its commit due so much earlier") {
    for (const std::int64_t interval : {10'000, 200}) {
        SimStorage device({.seed = 1, .size = small_device});
        LogConfig config = small_config();
        config.commit_interval = milliseconds(interval);
        Rig rig(device, config);
        REQUIRE(rig.open());
        REQUIRE(rig.log->declare_stream(1, {}));
        const auto append = [&](std::int64_t flush_ms) {
            const auto batch = make_batch({});
            return rig.log
                ->append(rig.at(), wall_ms(rig.wall),
                         {.stream = 1,
                          .batch = batch,
                          .log_append_time = {},
                          .flush_within = milliseconds(flush_ms)})
                ->commit;
        };
        const std::int64_t within = std::min<std::int64_t>(interval, 500);
        const CommitId patient = append(-1);
        const CommitId hurried = append(500);
        rig.pass(within - 1);
        CHECK(rig.log->flushed_commit() < patient);
        rig.pass(1);
        CHECK(rig.log->flushed_commit() >= hurried);
        const CommitId alone = append(-1);
        rig.pass(interval - 1);
        CHECK(rig.log->flushed_commit() < alone);
        rig.pass(1);
        CHECK(rig.log->flushed_commit() >= alone);
        const CommitId at_once = append(0);
        rig.settle();
        CHECK(rig.log->flushed_commit() >= at_once);
    }
}

TEST_CASE(
    "zeros: little more than the records need is zeroed ahead, and nothing for large commits") {
    for (const std::size_t size : {std::size_t{500}, std::size_t{16'000}, std::size_t{200'000}}) {
        SimStorage device({.seed = 1, .size = 32 * KiB + 16 * 4 * MiB});
        LogConfig config = small_config();
        config.segment_bytes = 4 * MiB;
        Rig rig(device, config);
        REQUIRE(rig.open());
        REQUIRE(rig.log->declare_stream(1, {}));
        for (std::uint64_t i = 0; i < 200; ++i)
            REQUIRE(rig.append_durably(1, {.size = size, .salt = i}));
        const LogCounters& counters = rig.log->counters();
        if (size < 12 * KiB) {
            CHECK(counters.written_zeros >= 200 * 4096);
            CHECK(counters.written_zeros <= 200 * 4096 + 512 * KiB);
        } else {
            CHECK(counters.written_zeros <= 512 * KiB);
        }
    }
}

TEST_CASE("write errors: whichever write fails, the ring goes on turning without a restart") {
    std::uint64_t worst_errors = 0;
    for (std::uint64_t failing = 2; failing < 260; ++failing) {
        SimStorage device({.seed = failing, .size = small_device, .fail_write_at = failing});
        Rig rig(device);
        REQUIRE(rig.open());
        REQUIRE(rig.log->declare_stream(1, {.retention_bytes = 100'000}));
        rig.log->set_release(1, INT64_MAX);
        INFO("failing write ", failing);
        std::uint32_t refused = 0;
        for (std::uint64_t i = 0; i < 500; ++i) {
            while (!rig.append_durably(1, {.size = 7'000, .salt = i}) && ++refused < 100)
                rig.pass(500);
            if (i % 10 == 0) rig.pass(200);
        }
        CHECK(refused < 100);
        CHECK(rig.log->counters().segments_recycled > 16);
        worst_errors = std::max(worst_errors, rig.log->counters().write_errors);
    }
    CHECK(worst_errors == 1);
}

TEST_CASE(
    "facts: they find room in a group that batches have filled, while a commit is under way") {
    SimStorage device({.seed = 1, .size = small_device});
    Rig rig(device);
    REQUIRE(rig.open());
    REQUIRE(rig.log->declare_stream(1, {}));
    REQUIRE(rig.append_durably(1, {.count = 4, .size = 1'000}));
    device.hold(true);
    for (const std::size_t size : {3'000, 800, 200, 60, 1}) {
        Result<Appended> appended = rig.append(1, {.count = 1, .size = size});
        for (; appended; appended = rig.append(1, {.count = 1, .size = size})) rig.settle();
        REQUIRE(appended.error() == Error::would_block);
    }
    CHECK(rig.log->put_fact(rig.at(), FactKind::config, bytes_of("k"), bytes_of("v")));
    const auto cut = rig.log->set_log_start(rig.at(), 1, 2);
    REQUIRE(cut);
    device.hold(false);
    while (device.writes_under_way() > 0) device.complete(0);
    for (int i = 0; i < 5; ++i) rig.pass(10);
    CHECK(rig.log->flushed_commit() >= *cut);
    CHECK(rig.append_durably(1, {.count = 1, .size = 3'000}));
}

TEST_CASE("batch: the largest one leaves its footer room, with the largest pages as well") {
    SimStorage device({.seed = 1, .size = small_device});
    LogConfig config = small_config();
    config.page_bytes = 16 * KiB;
    config.recent_bytes = 0;
    std::vector<Offset> bases;
    {
        Rig rig(device, config);
        REQUIRE(rig.open());
        REQUIRE(rig.log->declare_stream(1, {}));
        const std::size_t largest = rig.log->max_batch_bytes() - batch_header_bytes;
        CHECK(largest > 32'000);
        for (std::uint64_t i = 0; i < 6; ++i) {
            REQUIRE(rig.append_durably(1, {.size = largest, .salt = i}));
            bases.push_back(static_cast<Offset>(i));
        }
        CHECK(base_offsets(rig.read_all(1, 0).bytes) == bases);
        CHECK(rig.log->counters().damaged_batches == 0);
    }
    device.power_cycle();
    Rig rig(device, config);
    REQUIRE(rig.open());
    CHECK(base_offsets(rig.read_all(1, 0).bytes) == bases);
}

TEST_CASE("streams: what a dropped one held is not free before that it is dropped is durable") {
    SimStorage device({.seed = 1, .size = 32 * KiB + 32 * 64 * KiB});
    Rig rig(device);
    REQUIRE(rig.open());
    REQUIRE(rig.log->declare_stream(1, {}));
    REQUIRE(rig.log->declare_stream(2, {}));
    for (std::uint64_t i = 0; i < 21; ++i)  // six to a segment
        REQUIRE(rig.append_durably(1, {.size = 7'900, .salt = i}));
    for (std::uint64_t i = 0; i < 110; ++i)
        REQUIRE(rig.append_durably(2, {.size = 7'900, .salt = 100 + i}));
    for (int i = 0; i < 10; ++i) rig.pass(1'000);
    const std::uint32_t free = rig.log->status().segments_free;
    device.hold(true);
    rig.log->drop_stream(1);
    const CommitId dropped = rig.log->open_commit() - 1;
    for (int i = 0; i < 100; ++i) {
        rig.now += 100;
        rig.wall += 100;
        rig.log->on_deadline(rig.at(), wall_ms(rig.wall));
        for (int k = 0; k < 20; ++k) rig.log->on_storage(rig.at());
    }
    REQUIRE(rig.log->flushed_commit() < dropped);
    CHECK(rig.log->status().segments_free <= free);
    device.hold(false);
    rig.settle();
    for (int i = 0; i < 10; ++i) rig.pass(100);
    CHECK(rig.log->flushed_commit() >= dropped);
    CHECK(rig.log->status().segments_free >= free + 2);
}

TEST_CASE("producers: after a restart the one that is longest unused is forgotten first, too") {
    SimStorage device({.seed = 1, .size = small_device});
    LogConfig config = small_config();
    config.producers_max = 2;
    {
        Rig rig(device, config);
        REQUIRE(rig.open());
        for (const StreamId id : {2u, 1u}) {  // the later one is the first by its stream
            REQUIRE(rig.log->declare_stream(id, {}));
            REQUIRE(rig.append_durably(id, {.producer_id = 7, .epoch = 0, .sequence = 0}));
            rig.pass(1'000);
        }
        rig.close();
    }
    Rig rig(device, config);
    REQUIRE(rig.open());
    REQUIRE(rig.log->declare_stream(3, {}));
    REQUIRE(rig.append_durably(3, {.producer_id = 7, .epoch = 0, .sequence = 0}));
    CHECK(rig.log->producer(1, 7) != nullptr);
    CHECK(rig.log->producer(2, 7) == nullptr);
}

TEST_CASE("producers: who wrote once, long ago, is forgotten before who writes again and again") {
    LogConfig config = small_config();
    config.producers_max = 3;
    for (const std::int64_t wait : {500'000, 700'000}) {
        SimStorage fresh({.seed = 1, .size = small_device});
        std::optional<Rig> rig(std::in_place, fresh, config);
        REQUIRE(rig->open());
        REQUIRE(rig->log->declare_stream(1, {}));
        const auto write = [&](std::int64_t producer, std::int32_t sequence) {
            REQUIRE(rig->append_durably(
                1, {.producer_id = producer, .epoch = 0, .sequence = sequence}));
            rig->pass(1'000);
        };
        write(7, 0);
        write(7, 1);
        write(8, 0);
        write(9, 0);
        rig->pass(wait);
        if (wait == 700'000) {  // and a start knows who is who
            rig->close();
            rig.emplace(fresh, config);
            REQUIRE(rig->open());
            rig->pass(wait);
        }
        write(10, 0);
        const bool over = wait == 700'000;  // until then it may still send its batch again
        CHECK((rig->log->producer(1, 7) != nullptr) == over);
        CHECK((rig->log->producer(1, 8) != nullptr) != over);
        CHECK(rig->log->producer(1, 9) != nullptr);
        CHECK(rig->log->producer(1, 10) != nullptr);
    }
}

// Offsets that went upstream belong to records that this log has lost: to give them to others would
// be to lose those, in silence.
TEST_CASE("raise: a log end whose commit is given up is raised all the same, before any record") {
    SimStorage device({.seed = 1, .size = small_device});
    Rig rig(device);
    REQUIRE(rig.open());
    for (const StreamId id : {1u, 2u}) REQUIRE(rig.log->declare_stream(id, {}));
    REQUIRE(rig.append_durably(2, {.count = 5}));
    device.fail_next(0, 2);
    for (const StreamId id : {1u, 2u}) REQUIRE(rig.log->raise_log_end(rig.at(), id, 100));
    rig.settle();
    REQUIRE(rig.log->status().read_only);
    for (const StreamId id : {1u, 2u}) {
        CHECK(rig.log->stream(id)->log_start <= rig.log->stream(id)->log_end);
        CHECK(rig.log->books(id).balanced());
    }
    for (int i = 0; i < 5; ++i) rig.pass(1'000);
    CHECK_FALSE(rig.log->status().read_only);
    for (const StreamId id : {1u, 2u}) {
        CHECK(rig.log->stream(id)->flushed == 100);
        CHECK(rig.append(id, {})->base_offset == 100);
    }
    rig.settle();
    device.power_cycle();
    Rig again(device);
    REQUIRE(again.open());
    CHECK(again.log->stream(1)->log_start == 100);
    CHECK(again.log->stream(2)->log_start == 0);
    for (const StreamId id : {1u, 2u}) {
        CHECK(again.log->stream(id)->log_end == 101);
        CHECK(base_offsets(again.read_all(id, 100).bytes) == std::vector<Offset>{100});
        CHECK(again.log->books(id).balanced());
    }
}

TEST_CASE("raise: a log that is too full for it takes it before the first record that fits again") {
    SimStorage device({.seed = 1, .size = small_device});
    Rig rig(device);
    REQUIRE(rig.open());
    for (const StreamId id : {1u, 2u}) REQUIRE(rig.log->declare_stream(id, {}));
    for (int i = 0; i < 1'000 && rig.append_durably(2, {.size = 3'000}); ++i) {
    }
    for (int i = 0; i < 1'000; ++i) {
        if (!rig.log->put_fact(rig.at(), FactKind::group, bytes_of("g"),
                               bytes_of(std::to_string(i))))
            break;
        rig.settle();
    }
    REQUIRE(rig.log->raise_log_end(rig.at(), 1, 100).error() == Error::full);
    CHECK(rig.append(1, {}).error() == Error::full);
    rig.log->set_release(2, rig.log->stream(2)->flushed);
    std::optional<Offset> given;
    for (int i = 0; i < 10'000 && !given; ++i) {  // as soon as there is room, whoever sees it first
        if (const auto appended = rig.append(1, {})) given = appended->base_offset;
        if (i % 4 == 0) rig.now += 10;
        i % 2 == 0 ? rig.log->on_storage(rig.at())
                   : rig.log->on_deadline(rig.at(), wall_ms(rig.wall));
    }
    CHECK(given == 100);
}
