// Batches of transactions and their markers in a compacted stream. No producer here may write them;
// a log that holds some keeps them whole, at their offsets, whatever becomes of what lies around.
#include <doctest/doctest.h>

#include "tests/log/keyed_rig.hpp"

using namespace leat;
using namespace leat::log;
using namespace leat::log::test;

namespace {

constexpr std::int16_t transactional = 0x10, control = 0x20;
constexpr std::size_t leader_epoch_at = 12;

std::vector<std::uint8_t> with_attributes(std::vector<std::uint8_t> batch, std::int16_t bits) {
    wire::BatchHeader header = wire::read_batch_header(batch.data());
    header.attributes = static_cast<std::int16_t>(header.attributes | bits);
    const std::vector<std::uint8_t> records(batch.begin() + wire::batch_header_size, batch.end());
    wire::seal_batch_header(header, records, batch.data());
    return batch;
}

/// EndTransactionMarker (KIP-98): key = version, type (0 abort, 1 commit), value = version, epoch.
std::vector<std::uint8_t> marker(std::int64_t producer, bool commit) {
    const std::string key{0, 0, 0, static_cast<char>(commit ? 1 : 0)};
    const KeyedSpec spec{.records = {{.key = key, .value = std::string(6, 0)}},
                         .producer_id = producer,
                         .epoch = 0};
    return with_attributes(make_keyed_batch(spec), transactional | control);
}

std::vector<std::uint8_t> of_transaction(std::int64_t producer, std::uint64_t key, std::uint64_t n) {
    const KeyedSpec spec{.records = {update(key, n, 900)},
                         .producer_id = producer,
                         .epoch = 0,
                         .sequence = static_cast<std::int32_t>(n)};
    return with_attributes(make_keyed_batch(spec), transactional);
}

}  // namespace

TEST_CASE("compaction: markers and batches of transactions stay whole, at their offsets, for good") {
    SimStorage device({.seed = 1, .size = medium});
    StreamPolicy policy = compacted;
    policy.dirty_permille_min = 0;
    policy.tombstone_retention = milliseconds(0);
    auto rig = std::make_unique<KeyedRig>(device);
    const auto start = [&] {
        REQUIRE(rig->open());
        REQUIRE(rig->log->declare_stream(1, policy));
        rig->log->set_release(1, INT64_MAX);
    };
    start();
    std::map<Offset, std::vector<std::uint8_t>> kept;  // as a reader has to get them
    ByOffset plain;
    std::uint64_t n = 0;
    const auto append = [&](std::vector<std::uint8_t> batch) {
        const auto appended = rig->log->append(
            rig->at(), wall_ms(rig->wall), {.stream = 1, .batch = batch, .log_append_time = {}});
        REQUIRE(appended);
        rig->settle();
        store_big<std::int64_t>(batch.data(), appended->base_offset);
        store_big<std::int32_t>(batch.data() + leader_epoch_at, 0);
        kept.emplace(appended->base_offset, std::move(batch));
    };
    const auto put = [&](std::uint64_t key) {
        KeyedSpec spec{.records = {update(key, ++n, 900)}};
        if (n % 9 == 0) spec.records[0].value.reset();
        const Offset base = rig->put(1, spec);
        REQUIRE(base >= 0);
        plain.emplace(base, spec.records[0]);
        rig->pass(1'000);
    };
    const auto check = [&] {
        const auto all = rig->read_all(1, 0);
        REQUIRE_FALSE(all.error);
        CHECK(all.next == rig->log->stream(1)->log_end);
        ByteView left(all.bytes);
        std::map<Offset, std::vector<std::uint8_t>> found;
        std::vector<std::uint8_t> others;
        Offset next = 0;
        while (!left.empty()) {
            const ByteView batch = next_batch(left);
            const auto view = wire::BatchView::parse(batch);  // as a client's decoder does
            REQUIRE(view);
            REQUIRE(view->crc_ok());
            REQUIRE(view->header().base_offset >= next);
            next = view->header().next_offset();
            const bool special = (view->header().attributes & (transactional | control)) != 0;
            if (!special) {
                others.insert(others.end(), batch.begin(), batch.end());
                continue;
            }
            auto& whole = found[view->header().base_offset];
            whole.assign(batch.begin(), batch.end());
            store_big<std::int32_t>(whole.data() + leader_epoch_at, 0);  // of each run another
        }
        CHECK(found == kept);
        ByOffset records;
        REQUIRE(take_records(others, records));
        CHECK(view_of(records) == view_of(plain));
        CHECK(rig->log->books(1).balanced());
        CHECK(rig->log->books(1).losses.empty());
        return records.size();
    };
    // The keys of markers, of aborted and of committed records are those of ordinary ones, too.
    const auto ordinary_with_a_markers_key = [&] {
        const KeyedSpec spec{.records = {{.key = std::string(3, 0) + "\1", .value = "plain"}}};
        const Offset base = rig->put(1, spec);
        REQUIRE(base >= 0);
        plain.emplace(base, spec.records[0]);
    };
    for (std::uint64_t round = 0; round < 20; ++round) {
        ordinary_with_a_markers_key();
        append(of_transaction(7, 3, round));
        for (std::uint64_t i = 0; i < 12; ++i) put(i % 6);
        append(of_transaction(8, 3, round));
        append(marker(7, round % 2 == 0));
        append(marker(8, round % 2 != 0));
        for (std::uint64_t i = 0; i < 12; ++i) put(i % 6);
    }
    rig->rest(120);
    CHECK(check() < 250);  // of 500: what a transaction may have is in no map, and tombstones above it stay
    CHECK(rig->counters().superseded_records > 250);
    for (const bool clean : {true, false}) {
        if (clean) rig->close();
        rig.reset();
        device.power_cycle();
        rig = std::make_unique<KeyedRig>(device);
        start();
        for (std::uint64_t i = 0; i < 200; ++i) put(i % 6);
        rig->rest(120);
        (void)check();
        CHECK(rig->counters().superseded_records > 50);
    }
    // What they lie among may be deleted; then they go with it, as everything below a log start.
    REQUIRE(rig->log->set_log_start(rig->at(), 1, rig->log->stream(1)->log_end - 10));
    rig->rest(60);
    const auto rest = rig->read_all(1, rig->log->stream(1)->log_start);
    CHECK_FALSE(rest.error);
    CHECK(base_offsets(rest.bytes).size() >= 1);
    CHECK(rig->log->books(1).balanced());
}

TEST_CASE("compaction: a stream of markers alone, and one that ends with one, are read to the end") {
    SimStorage device({.seed = 1, .size = medium});
    KeyedRig rig(device);
    REQUIRE(rig.open());
    for (const StreamId id : {1u, 2u}) {
        REQUIRE(rig.log->declare_stream(id, compacted));
        rig.log->set_release(id, INT64_MAX);
    }
    const auto append = [&](StreamId id, const std::vector<std::uint8_t>& batch) {
        const auto appended = rig.log->append(
            rig.at(), wall_ms(rig.wall), {.stream = id, .batch = batch, .log_append_time = {}});
        REQUIRE(appended);
        rig.pass(100);
    };
    for (std::uint64_t i = 0; i < 300; ++i) {
        append(1, marker(static_cast<std::int64_t>(i % 3), true));
        REQUIRE(rig.put(2, {.records = {update(i % 5, i, 2'000)}}) >= 0);
        if (i % 50 == 49) append(2, marker(9, false));
    }
    rig.rest(60);
    const auto markers = rig.read_all(1, 0);
    CHECK_FALSE(markers.error);
    CHECK(markers.next == 300);
    CHECK(base_offsets(markers.bytes).size() == 300);
    const auto mixed = rig.read_all(2, 0);
    CHECK_FALSE(mixed.error);
    CHECK(mixed.next == 306);
    CHECK(base_offsets(mixed.bytes).back() == 305);
    CHECK(base_offsets(mixed.bytes).size() < 200);
}
