#include <doctest/doctest.h>

#include "tests/log/rig.hpp"

using namespace leat;
using namespace leat::log;
using namespace leat::log::test;

TEST_CASE("log: what is appended reads back in order, from memory and after a restart from flash") {
    SimStorage device({.seed = 1, .size = small_device});
    std::vector<std::vector<std::uint8_t>> sent;
    {
        Rig rig(device);
        REQUIRE(rig.open());
        REQUIRE(rig.log->declare_stream(1, {}));
        REQUIRE(rig.log->declare_stream(2, {}));
        for (std::uint64_t i = 0; i < 50; ++i) {
            const BatchSpec spec{.count = 3, .size = 100 + i * 37, .salt = i};
            const auto appended = rig.append(1, spec);
            REQUIRE(appended);
            CHECK(appended->base_offset == static_cast<Offset>(3 * i));
            sent.push_back(make_batch(spec));
            store_big<std::int64_t>(sent.back().data(), appended->base_offset);
            REQUIRE(rig.append(2, {.count = 1, .size = 10, .salt = i}));
            if (i % 7 == 0) rig.settle();
        }
        rig.settle();
        CHECK(rig.log->stream(1)->flushed == 150);
        const auto all = rig.read_all(1, 0);
        CHECK(!all.error);
        ByteView left = all.bytes;
        for (const auto& batch : sent) CHECK(equal(next_batch(left), batch));
        CHECK(left.empty());
        rig.close();
        CHECK(rig.log->closed());
    }
    Rig rig(device);
    REQUIRE(rig.open());
    CHECK(rig.log->status().was_sealed);
    CHECK(rig.log->status().cut_text == "");
    CHECK(rig.log->status().leader_epoch == 0);
    CHECK(rig.log->status().start_count == 2);
    REQUIRE(rig.log->declare_stream(1, {}));
    CHECK(rig.log->stream(1)->log_end == 150);
    const auto all = rig.read_all(1, 0);
    CHECK(!all.error);
    ByteView left = all.bytes;
    for (const auto& batch : sent) CHECK(equal(next_batch(left), batch));
    CHECK(left.empty());
    // From inside a batch: that whole batch comes first.
    const auto tail = rig.read_all(1, 100);
    ByteView rest = tail.bytes;
    CHECK(read_batch_fields(next_batch(rest))->base_offset == 99);
}

TEST_CASE(
    "log: a ring of 16 x 64 KiB turned 20 times keeps facts, producers and what is not released") {
    SimStorage device({.seed = 3, .size = small_device});
    std::vector<std::uint8_t> kept;
    Offset end = 0;
    std::int32_t sequence = 0;
    {
        Rig rig(device);
        REQUIRE(rig.open());
        REQUIRE(rig.log->declare_stream(
            1, {.retention = milliseconds(-1), .retention_bytes = 100'000}));
        REQUIRE(rig.log->declare_stream(2, {}));
        rig.log->set_release(1, INT64_MAX);
        REQUIRE(rig.log->put_fact(rig.at(), FactKind::topic, bytes_of("sensors"),
                                  bytes_of("one partition")));
        REQUIRE(rig.append_durably(3, {}) == false);
        // Stream 2 is written once, in the first turn, by a producer that then falls silent.
        REQUIRE(rig.append_durably(
            2, {.count = 4, .size = 50, .salt = 9, .producer_id = 77, .epoch = 3, .sequence = 12}));
        REQUIRE(rig.log->set_log_start(rig.at(), 2, 4));
        while (device.counts().bytes_written < 20ull * 16 * small_segment) {
            REQUIRE(rig.append_durably(1, {.count = 2,
                                           .size = 3'000,
                                           .salt = 1,
                                           .producer_id = 78,
                                           .epoch = 0,
                                           .sequence = sequence}));
            sequence += 2;
            end += 2;
            const std::string cursor = std::to_string(end);
            if (end % 50 == 0)
                REQUIRE(rig.log->put_fact(rig.at(), FactKind::cursor, bytes_of("up"),
                                          bytes_of(cursor)));
            if (end % 20 == 0) rig.pass(1'000);
        }
        rig.settle();
        CHECK(rig.log->counters().segments_recycled > 250);
        CHECK(rig.log->counters().append_rejected_full == 0);
        CHECK(rig.log->stream(1)->log_start > 0);
        CHECK(rig.log->stream(1)->bytes >= 100'000);
    }
    device.power_cycle();
    Rig rig(device);
    REQUIRE(rig.open());
    CHECK_FALSE(rig.log->status().was_sealed);
    CHECK(rig.log->status().leader_epoch == 1);
    REQUIRE(rig.log->find_fact(FactKind::topic, bytes_of("sensors")));
    CHECK(text_of(*rig.log->find_fact(FactKind::topic, bytes_of("sensors"))) == "one partition");
    CHECK(text_of(*rig.log->find_fact(FactKind::cursor, bytes_of("up"))) ==
          std::to_string(end / 50 * 50));
    CHECK(rig.log->stream(1)->log_end == end);
    CHECK(rig.log->stream(2)->log_end == 4);
    CHECK(rig.log->stream(2)->log_start == 4);
    const ProducerState* silent = rig.log->producer(2, 77);
    REQUIRE(silent != nullptr);
    CHECK(silent->epoch == 3);
    CHECK(silent->count == 1);
    CHECK(silent->last[0].last_sequence == 15);
    const ProducerState* busy = rig.log->producer(1, 78);
    REQUIRE(busy != nullptr);
    CHECK(busy->count == 5);
    CHECK(busy->last[4].base_offset == end - 2);
    const auto all = rig.read_all(1, rig.log->stream(1)->log_start);
    CHECK(!all.error);
    CHECK(all.next == end);
}
