// What the log promises its callers, one claim per case.
#include <doctest/doctest.h>

#include "broker/log/superblock.hpp"
#include "tests/log/rig.hpp"

using namespace leat;
using namespace leat::log;
using namespace leat::log::test;

TEST_CASE(
    "commit: while its write is held back nothing is acknowledged or readable, and the next group "
    "collects") {
    SimStorage device({.seed = 1, .size = small_device});
    Rig rig(device);
    REQUIRE(rig.open());
    REQUIRE(rig.log->declare_stream(1, {}));
    device.hold(true);
    const auto first = rig.append(1, {.salt = 1});
    REQUIRE(first);
    rig.log->on_deadline(rig.at(), wall_ms(rig.wall));
    CHECK(device.writes_under_way() == 1);
    const auto second = rig.append(1, {.salt = 2});
    const auto third = rig.append(1, {.salt = 3});
    rig.log->on_deadline(rig.at(), wall_ms(rig.wall));
    CHECK(device.writes_under_way() == 1);  // one commit under way, never two
    CHECK(rig.log->flushed_commit() < first->commit);
    CHECK(rig.log->stream(1)->flushed == 0);
    CHECK(rig.log->stream(1)->log_end == 3);
    CHECK(rig.read_all(1, 0).bytes.empty());
    device.complete(0);
    rig.log->on_storage(rig.at());
    CHECK(rig.log->flushed_commit() == first->commit);
    CHECK(rig.log->stream(1)->flushed == 1);
    CHECK(base_offsets(rig.read_all(1, 0).bytes) == std::vector<Offset>{0});
    CHECK(device.writes_under_way() == 1);  // both that waited go out in one
    device.complete(0);
    rig.log->on_storage(rig.at());
    CHECK(rig.log->flushed_commit() == third->commit);
    CHECK(second->commit < third->commit);
    CHECK(device.counts().writes == 2 + 2);  // two superblocks at creation, two commits
}

TEST_CASE(
    "commit: groups end on 16 KiB boundaries while more waits, and a batch that was cut reads back "
    "whole") {
    SimStorage device({.seed = 1, .size = 32 * KiB + 16 * 1024 * KiB});
    LogConfig config = small_config();
    config.segment_bytes = 1024 * KiB;
    std::uint64_t aligned = 0, others = 0;
    {
        Rig rig(device, config);
        REQUIRE(rig.open());
        REQUIRE(rig.log->declare_stream(1, {}));
        device.hold(true);
        for (std::uint64_t i = 0; i < 120; ++i) {
            REQUIRE(rig.append(1, {.size = 7'001, .salt = i}));
            if (i % 6 != 5) continue;
            rig.log->on_deadline(rig.at(), wall_ms(rig.wall));
            if (device.writes_under_way() > 0 && i > 6) device.complete(0);
            const std::uint64_t before = device.counts().bytes_written;
            rig.log->on_storage(rig.at());
            if (device.counts().bytes_written == before) continue;
            (device.counts().bytes_written - before) % (16 * KiB) == 0 ? ++aligned : ++others;
        }
        device.hold(false);
        rig.settle();
        CHECK(rig.log->stream(1)->flushed == 120);
    }
    CHECK(aligned > 10);
    CHECK(others <= 2);
    config.recent_bytes = 0;
    Rig rig(device, config);
    REQUIRE(rig.open());
    const auto all = rig.read_all(1, 0);
    CHECK(!all.error);
    ByteView left = all.bytes;
    for (std::uint64_t i = 0; i < 120; ++i) {
        const auto sent = make_batch({.size = 7'001, .salt = i});
        const ByteView got = next_batch(left);
        REQUIRE(got.size() == sent.size());
        CHECK(equal(got.subspan(16), ByteView(sent).subspan(16)));
    }
    CHECK(rig.log->counters().damaged_batches == 0);
}

TEST_CASE(
    "commit: auto stretches small commits to 100 ms once the bucket is empty, and never full "
    "ones") {
    SimStorage device({.seed = 1, .size = 32 * KiB + 72 * 4096 * KiB});
    LogConfig config;
    config.commit_interval = milliseconds(-1);
    config.segment_bytes = 4096 * KiB;
    Rig rig(device, config);
    REQUIRE(rig.open());
    REQUIRE(rig.log->declare_stream(1, {.retention = {}, .retention_bytes = 1'000'000}));
    rig.log->set_release(1, INT64_MAX);
    REQUIRE(rig.append(1, {}));
    CHECK(rig.log->deadline() <= rig.at());  // at once while the bucket lasts
    rig.settle();
    for (int i = 0; i < 60'000 && rig.log->deadline() <= rig.at() + milliseconds(0); ++i) {
        REQUIRE(rig.append(1, {.size = 20}));
        rig.log->on_deadline(rig.at(), wall_ms(rig.wall));
        rig.log->on_storage(rig.at());
        if (i % 900 == 0) rig.pass(1);
    }
    rig.settle();
    while (rig.append(1, {.size = 20}) && rig.log->deadline() <= rig.at()) rig.settle();
    const Instant due = rig.log->deadline();
    CHECK(due > rig.at());
    CHECK(due <= rig.at() + milliseconds(100));
    REQUIRE(rig.append(1, {.size = 20'000}));
    CHECK(rig.log->deadline() <= rig.at());
    rig.settle();
    // A page that is nearly full is hardly spent: the bucket gets that back in 10 ms.
    for (int i = 0; i < 100; ++i) {
        rig.pass(10);
        REQUIRE(rig.append(1, {.size = 15'900}));
        CHECK(rig.log->deadline() <= rig.at());
        rig.settle();
    }
    while (rig.append(1, {.size = 20}) && rig.log->deadline() <= rig.at()) rig.settle();
    rig.log->flush_soon(rig.at());  // somebody waits
    CHECK(rig.log->deadline() <= rig.at());
}

TEST_CASE(
    "batch: half a segment is the largest, one byte more is refused, and a window too small says "
    "what it needs") {
    SimStorage device({.seed = 1, .size = small_device});
    Rig rig(device);
    REQUIRE(rig.open());
    REQUIRE(rig.log->declare_stream(1, {}));
    const std::size_t largest = rig.log->max_batch_bytes() - batch_header_bytes;
    CHECK(rig.log->max_batch_bytes() == small_segment / 2);
    CHECK(rig.append(1, {.size = largest + 1}).error() == Error::too_large);
    REQUIRE(rig.append_durably(1, {.size = largest, .salt = 5}));
    REQUIRE(rig.append_durably(1, {.size = largest, .salt = 6}));
    std::vector<std::uint8_t> tiny(1'000);
    REQUIRE(rig.log->start_read(rig.at(), {.stream = 1, .from = 0, .until = 2}, tiny));
    std::optional<ReadDone> done;
    for (int i = 0; i < 100 && !(done = rig.log->poll_read()); ++i) rig.log->on_storage(rig.at());
    REQUIRE(done);
    CHECK(done->bytes.error() == Error::too_large);
    CHECK(done->needed == small_segment / 2);
    CHECK(base_offsets(rig.read_all(1, 0).bytes) == std::vector<Offset>{0, 1});
    std::vector<std::uint8_t> bad = make_batch({});
    bad.pop_back();
    CHECK(rig.log
              ->append(rig.at(), wall_ms(rig.wall),
                       {.stream = 1, .batch = bad, .log_append_time = {}})
              .error() == Error::malformed);
    CHECK(rig.append(9, {}).error() == Error::not_found);
}

TEST_CASE("append: LogAppendTime stamps the batch and its CRC holds") {
    SimStorage device({.seed = 1, .size = small_device});
    Rig rig(device);
    REQUIRE(rig.open());
    REQUIRE(rig.log->declare_stream(1, {}));
    const auto batch = make_batch({.timestamp = 5});
    REQUIRE(rig.log->append(rig.at(), wall_ms(rig.wall),
                            {.stream = 1, .batch = batch, .log_append_time = wall_ms(777)}));
    rig.settle();
    const auto all = rig.read_all(1, 0);
    const auto fields = read_batch_fields(all.bytes);
    REQUIRE(fields);
    CHECK(fields->log_append_time());
    CHECK(fields->max_timestamp == 777);
    CHECK(batch_crc_ok(all.bytes));
}

TEST_CASE(
    "full: appends are refused with `full`, nothing is lost, and room comes back when it may") {
    SimStorage device({.seed = 1, .size = small_device});
    Rig rig(device);
    REQUIRE(rig.open());
    REQUIRE(rig.log->declare_stream(1, {}));
    Offset taken = 0;
    std::optional<Error> refused;
    for (int i = 0; i < 1'000 && !refused; ++i) {
        const auto appended = rig.append(1, {.size = 3'000, .salt = static_cast<std::uint64_t>(i)});
        if (!appended)
            refused = appended.error();
        else
            ++taken;
        rig.settle();
    }
    REQUIRE(refused == Error::full);
    CHECK(taken > 130);
    CHECK(rig.log->stream(1)->flushed == taken);
    CHECK(rig.log->counters().append_rejected_full == 1);
    CHECK(rig.log->status().segments_free == 4);
    // Facts still find room: what frees the log must be writable when it is full of records.
    REQUIRE(rig.log->put_fact(rig.at(), FactKind::cursor, bytes_of("up"), bytes_of("1")));
    // Each lies in a page of its own: dense, they leave some room, and then there is none.
    for (int waits = 0; waits < 20; rig.pass(1'000)) {
        const auto appended = rig.append(1, {.size = 3'000});
        rig.settle();
        waits = appended ? 0 : waits + 1;
        taken += appended ? 1 : 0;
        REQUIRE(taken < 220);
    }
    CHECK(rig.append(1, {.size = 3'000}).error() ==
          Error::full);  // not delivered: not freed, however long it takes
    CHECK(base_offsets(rig.read_all(1, 0).bytes).size() == static_cast<std::size_t>(taken));
    rig.log->set_release(1, taken / 2);  // delivered upstream up to here
    for (int i = 0; i < 5; ++i) rig.pass(1'000);
    CHECK(rig.log->status().segments_free > 4);
    CHECK(rig.log->stream(1)->log_start > 0);
    CHECK(rig.log->stream(1)->log_start <= taken / 2);
    CHECK(rig.append_durably(1, {.size = 3'000}));
}

TEST_CASE("full: facts that replace each other go on for ever in a log that is full of records") {
    SimStorage device({.seed = 1, .size = small_device});
    Rig rig(device);
    REQUIRE(rig.open());
    REQUIRE(rig.log->declare_stream(1, {}));
    for (int i = 0; i < 1'000 && rig.append_durably(1, {.size = 3'000}); ++i) {
    }
    for (int i = 0; i < 1'000; ++i) {  // each its own commit: pages go fast
        INFO("fact ", i);
        int waits = 0;
        while (!rig.log->put_fact(rig.at(), FactKind::group, bytes_of("g"),
                                  bytes_of(std::to_string(i)))) {
            REQUIRE(++waits < 50);
            rig.pass(10);
        }
        rig.settle();
    }
    rig.log->set_release(1, rig.log->stream(1)->flushed);
    for (int i = 0; i < 5; ++i) rig.pass(1'000);
    CHECK(rig.append_durably(1, {.size = 3'000}));
    rig.close();
    Rig again(device);
    REQUIRE(again.open());
    CHECK(again.log->status().was_sealed);
}

TEST_CASE(
    "write errors: one failed write anywhere loses nothing and acknowledges nothing wrongly") {
    for (std::uint64_t failing = 2;; ++failing) {
        SimStorage device({.seed = failing, .size = small_device, .fail_write_at = failing});
        Rig rig(device);
        REQUIRE(rig.open());
        REQUIRE(rig.log->declare_stream(1, {}));
        INFO("failing write ", failing);
        for (std::uint64_t i = 0; i < 60; ++i)
            REQUIRE(rig.append_durably(1, {.size = 2'500 + i * 10, .salt = i}));
        CHECK_FALSE(rig.log->status().read_only);
        CHECK_FALSE(rig.log->poll_rolled_back());
        CHECK(base_offsets(rig.read_all(1, 0).bytes).size() == 60);
        const bool reached = device.counts().writes > failing;
        CHECK(rig.log->counters().write_errors == (reached ? 1 : 0));
        device.power_cycle();
        device.fail_next(0, 0);
        Rig again(device);
        REQUIRE(again.open());
        CHECK(again.log->stream(1)->log_end == 60);
        const auto all = again.read_all(1, 0);
        CHECK(!all.error);
        CHECK(base_offsets(all.bytes).size() == 60);
        if (!reached) break;  // every write there is was made to fail
    }
}

TEST_CASE(
    "write errors: a second one in a row rolls back, says which commits, and reading goes on") {
    SimStorage device({.seed = 4, .size = small_device});
    Rig rig(device);
    REQUIRE(rig.open());
    REQUIRE(rig.log->declare_stream(1, {}));
    REQUIRE(rig.log->put_fact(rig.at(), FactKind::topic, bytes_of("t"), bytes_of("old")));
    REQUIRE(rig.append_durably(
        1, {.count = 5, .salt = 1, .producer_id = 3, .epoch = 0, .sequence = 0}));
    const CommitId good = rig.log->flushed_commit();
    device.fail_next(0, 2);
    const auto lost =
        rig.append(1, {.count = 2, .salt = 2, .producer_id = 3, .epoch = 0, .sequence = 5});
    REQUIRE(lost);
    REQUIRE(rig.log->put_fact(rig.at(), FactKind::topic, bytes_of("t"), bytes_of("new")));
    rig.settle();
    const auto rolled = rig.log->poll_rolled_back();
    REQUIRE(rolled);
    CHECK(rolled->first == good);
    CHECK(rolled->last >= lost->commit);
    CHECK(rig.log->status().read_only);
    CHECK(rig.log->stream(1)->log_end == 5);
    CHECK(rig.log->stream(1)->flushed == 5);
    CHECK(text_of(*rig.log->find_fact(FactKind::topic, bytes_of("t"))) == "old");
    CHECK(rig.log->producer(1, 3)->count == 1);
    CHECK(rig.append(1, {}).error() == Error::storage);
    CHECK(base_offsets(rig.read_all(1, 0).bytes) == std::vector<Offset>{0});
    // The device is tried again by itself, with a commit that promises nothing; until then there is
    // nothing to do.
    device.fail_next(0, 1);
    CHECK(rig.log->deadline() == rig.at() + milliseconds(1'000));
    rig.pass(1'000);
    CHECK(rig.log->status().read_only);
    CHECK(rig.log->deadline() == rig.at() + milliseconds(2'000));
    rig.pass(1'999);
    CHECK(rig.log->status().read_only);
    rig.pass(1);
    CHECK_FALSE(rig.log->status().read_only);
    CHECK(rig.append_durably(1,
                             {.count = 2, .salt = 2, .producer_id = 3, .epoch = 0, .sequence = 5}));
    CHECK(base_offsets(rig.read_all(1, 0).bytes) == std::vector<Offset>{0, 5});
    device.power_cycle();
    Rig again(device);
    REQUIRE(again.open());
    CHECK(again.log->stream(1)->log_end == 7);
    REQUIRE(again.log->declare_stream(1, {}));
    CHECK(again.append_durably(1, {}));
}

TEST_CASE(
    "damage: a flipped bit costs its batch, the read says where to go on, everything else is "
    "there") {
    SimStorage device({.seed = 1, .size = small_device});
    {
        Rig rig(device);
        REQUIRE(rig.open());
        REQUIRE(rig.log->declare_stream(1, {}));
        for (std::uint64_t i = 0; i < 100; ++i)
            REQUIRE(rig.append_durably(1, {.count = 2, .size = 3'000, .salt = i}));
        rig.close();
    }
    std::uint8_t byte = 0;
    const std::uint64_t at =
        32 * KiB + small_segment + 3 * 4096 + 2'000;  // in a batch of the second segment
    device.image().read(at, {&byte, 1});
    byte ^= 4;
    device.image().write(at, {&byte, 1});
    Rig rig(device);
    REQUIRE(rig.open());
    CHECK(rig.log->stream(1)->log_end == 200);
    std::vector<Offset> seen;
    Offset from = 0;
    int errors = 0;
    while (from < 200) {
        const auto all = rig.read_all(1, from);
        const auto some = base_offsets(all.bytes);
        seen.insert(seen.end(), some.begin(), some.end());
        if (!all.error) break;
        CHECK(*all.error == Error::corrupt);
        ++errors;
        REQUIRE(all.next > from);
        from = all.next;
    }
    CHECK(errors == 1);
    CHECK(seen.size() == 99);
    CHECK(rig.log->counters().damaged_batches >= 1);
}

TEST_CASE("streams: deleted, dropped and raised ones are so after a power cut too") {
    SimStorage device({.seed = 1, .size = small_device});
    {
        Rig rig(device);
        REQUIRE(rig.open());
        for (StreamId id = 1; id <= 4; ++id) REQUIRE(rig.log->declare_stream(id, {}));
        for (StreamId id = 1; id <= 3; ++id)
            REQUIRE(
                rig.append_durably(id, {.count = 10, .producer_id = 9, .epoch = 0, .sequence = 0}));
        CHECK(rig.log->set_log_start(rig.at(), 1, 11).error() == Error::invalid);
        REQUIRE(rig.log->set_log_start(rig.at(), 1, 10));
        rig.log->drop_stream(2);
        CHECK(rig.log->stream(2) == nullptr);
        CHECK(rig.log->producer(2, 9) == nullptr);
        REQUIRE(rig.log->raise_log_end(rig.at(), 3, 50));
        REQUIRE(rig.log->raise_log_end(rig.at(), 4, 7));
        CHECK(rig.log->stream(4)->log_start == 7);
        rig.settle();
        REQUIRE(rig.append_durably(3, {.count = 1, .salt = 8}));
        // A gap is stepped over.
        CHECK(base_offsets(rig.read_all(3, 0).bytes) == std::vector<Offset>{0, 50});
        CHECK(base_offsets(rig.read_all(3, 20).bytes) == std::vector<Offset>{50});
    }
    device.power_cycle();
    Rig rig(device);
    REQUIRE(rig.open());
    CHECK(rig.log->stream(1)->log_start == 10);
    CHECK(rig.log->stream(2) == nullptr);
    CHECK(rig.log->stream(3)->log_end == 51);
    CHECK(rig.log->stream(4)->log_end == 7);
    CHECK(base_offsets(rig.read_all(3, 20).bytes) == std::vector<Offset>{50});
    CHECK(rig.read_all(1, 3).error == Error::not_found);
    CHECK(rig.read_all(1, 11).error == Error::not_found);
}
