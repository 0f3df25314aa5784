// Compaction by key: the newest record of every key stays, at its offset, whatever happens.
#include <doctest/doctest.h>

#include <cstdio>

#include "broker/log/key_map.hpp"
#include "tests/log/keyed_rig.hpp"

using namespace leat;
using namespace leat::log;
using namespace leat::log::test;

TEST_CASE("key map: the hash is SipHash-2-4 with 128 bits, as its authors' vectors say") {
    const KeyHash secret{0x0706050403020100, 0x0f0e0d0c0b0a0908};
    CHECK(siphash128(secret, {}) == KeyHash{0xe6a825ba047f81a3, 0x930255c71472f66d});
    const std::uint8_t zero[1] = {0};
    CHECK(siphash128(secret, zero) == KeyHash{0x44af996bd8c187da, 0x45fc229b11597634});
}

TEST_CASE("key map: knows the newest offset of every key, each stream's own, until it is full") {
    KeyMap map(24 * 100, {1, 2});
    for (std::uint64_t i = 0; i < 75; ++i)
        CHECK(map.put(i % 2 == 0 ? 1 : 2, bytes_of(std::to_string(i / 2)), static_cast<Offset>(i)));
    CHECK_FALSE(map.put(3, bytes_of("another"), 1));
    CHECK(map.find(3, bytes_of("another")) == -1);
    CHECK(map.put(1, bytes_of("7"), 1'000));
    CHECK(map.put(1, bytes_of("7"), 999));
    CHECK(map.find(1, bytes_of("7")) == 1'000);
    CHECK(map.find(2, bytes_of("7")) == 15);
    CHECK(map.find(2, bytes_of("nothing")) == -1);
    CHECK(map.size() == 75);
}

TEST_CASE("record filter: every codec; offsets, producer and sequence stay, count and CRC follow") {
    for (const Codec codec : {Codec::none, Codec::gzip, Codec::snappy, Codec::lz4, Codec::zstd}) {
        KeyedSpec spec{.records = {}, .codec = codec, .producer_id = 7, .epoch = 2, .sequence = 40};
        for (std::uint64_t i = 0; i < 10; ++i) spec.records.push_back(update(i, 100 - i));
        if (codec != Codec::none) spec.producer_id = -1;
        std::vector<std::uint8_t> batch = make_keyed_batch(spec), kept;
        store_big<std::int64_t>(batch.data(), 500);
        const auto odd = [](const KeyedRecord& record) { return record.offset % 2 == 1; };
        const auto count = topics::filter_records(batch, odd, &kept);
        REQUIRE(count);
        CHECK(*count == 5);
        const auto view = wire::BatchView::parse(kept);
        REQUIRE(view);
        CHECK(view->crc_ok());
        CHECK(view->codec() == codec);
        CHECK(view->header().base_offset == 500);
        CHECK(view->header().last_offset() == 509);
        CHECK(view->header().record_count == 5);
        CHECK(view->header().max_timestamp == 1'000'099);
        CHECK(view->header().producer_id == spec.producer_id);
        ByOffset found;
        REQUIRE(take_records(kept, found));
        CHECK(found.at(503) == spec.records[3]);
        CHECK(found.size() == 5);
        // Nothing of it, and all of it.
        const auto none = topics::filter_records(
            batch, [](const KeyedRecord&) { return false; }, &kept);
        CHECK((none && *none == 0 && kept.empty()));
        const auto all = topics::filter_records(
            batch, [](const KeyedRecord&) { return true; }, &kept);
        CHECK((all && *all == 10 && kept.empty()));
        batch.resize(batch.size() - 1);
        CHECK_FALSE(topics::filter_records(batch, odd, &kept));
    }
}

// What the log reads it has checked a batch's ends of, not the records in between.
TEST_CASE("record filter: a record outside its batch's offsets is damage, whatever the sum") {
    std::vector<std::uint8_t> kept;
    const auto some = [](const KeyedRecord& record) { return record.key[0] == 'a'; };
    const auto filtered = [&](std::int64_t base, std::int32_t last, std::uint8_t delta) {
        std::vector<std::uint8_t> batch =
            make_keyed_batch({.records = {{"a", "1"}, {"b", "2"}, {"c", "3"}}});
        wire::BatchHeader header = wire::read_batch_header(batch.data());
        header.base_offset = base;
        header.last_offset_delta = last;
        const MutableBytes records = MutableBytes(batch).subspan(wire::batch_header_size);
        REQUIRE(records[3] == 0);  // length, attributes, time, and offset of the first
        records[3] = delta;
        wire::seal_batch_header(header, records, batch.data());
        return topics::filter_records(batch, some, &kept);
    };
    constexpr std::int64_t base_max = INT64_MAX - 3;
    CHECK(filtered(5, 2, 0));
    CHECK(filtered(base_max, 2, 0));
    CHECK(filtered(5, 2, 4));
    CHECK(filtered(5, 2, 6).error() == Error::malformed);         // 3 records on
    CHECK(filtered(base_max, 2, 6).error() == Error::malformed);  // whose offset has no number
    CHECK(filtered(5, 2, 1).error() == Error::malformed);         // 1 before the base offset
    CHECK(filtered(5, 1, 0).error() == Error::malformed);         // the third
    CHECK(filtered(-5, 2, 0).error() == Error::malformed);
}

TEST_CASE("compaction: 1,000 keys, ten updates each of 200 B, cost at most 1.6 bytes per byte") {
    SimStorage device({.seed = 1, .size = 32 * KiB + 64 * 256 * KiB});
    LogConfig config = compact_config();
    config.segment_bytes = 256 * KiB;
    KeyedRig rig(device, config);
    REQUIRE(rig.open());
    REQUIRE(rig.log->declare_stream(1, compacted));
    rig.log->set_release(1, INT64_MAX);
    std::uint64_t payload = 0, n = 0;
    ByOffset sent;
    const std::uint64_t written_before = device.counts().bytes_written;
    for (std::uint64_t round = 0; round < 10; ++round)
        for (std::uint64_t from = 0; from < 1'000; from += 250) {  // groups of 250
            KeyedSpec spec;
            for (std::uint64_t i = 0; i < 250; ++i) {
                spec.records.push_back(update(from + i, n++));
                payload += 200;
            }
            const Offset base = rig.put(1, spec);
            REQUIRE(base >= 0);
            for (const KeyedValue& record : spec.records)
                sent.emplace(static_cast<Offset>(sent.size()), record);
            rig.pass(1'000);
        }
    rig.rest(60);
    const double ratio = static_cast<double>(device.counts().bytes_written - written_before) /
                         static_cast<double>(payload);
    const ByOffset found = rig.records(1);
    const LogStatus status = rig.log->status();
    std::printf(
        "1,000 keys, ten updates of 200 B: %.2f bytes written per byte, %zu of %zu records kept, "
        "%.2f bytes copied per byte freed, %u of %u segments free\n",
        ratio, found.size(), sent.size(),
        static_cast<double>(rig.counters().cleaner_copied) /
            static_cast<double>(rig.counters().cleaner_freed),
        status.segments_free, status.segments);
    CHECK(ratio <= 1.6);
    CHECK(found.size() < 4'000);
    CHECK(view_of(found) == view_of(sent));
    for (const auto& [offset, record] : found) CHECK(record == sent.at(offset));
    const Books books = rig.log->books(1);
    CHECK(books.balanced());
    CHECK(books.losses.empty());
    CHECK(books.freed[static_cast<std::size_t>(Freed::superseded)].records ==
          sent.size() - found.size());
    CHECK(rig.counters().superseded_records == sent.size() - found.size());
    CHECK(rig.log->stream(1)->log_start == 0);
}

TEST_CASE("compaction: random keys, tombstones, codecs and crashes leave what a model says") {
    for (std::uint64_t seed = 1; seed <= 4; ++seed) {
        SimRandom random(seed);
        SimStorage device({.seed = seed, .size = medium});
        std::map<StreamId, ByOffset> sent;
        LogConfig config = compact_config();
        if (seed % 2 == 0) config.compaction_map_bytes = 24 * 60;  // 45 keys: many passes
        std::uint64_t n = 0, freed = 0, refused = 0, superseded = 0;
        auto rig = std::make_unique<KeyedRig>(device, config);
        const auto start = [&] {
            REQUIRE(rig->open());
            for (const StreamId id : {1u, 2u, 3u}) {
                StreamPolicy policy{.compact = id != 3};
                if (id == 2) policy.tombstone_retention = milliseconds(20'000);
                if (id == 3) policy.retention = milliseconds(10'000);
                REQUIRE(rig->log->declare_stream(id, policy));
                rig->log->set_release(id, INT64_MAX);
            }
        };
        const auto check = [&] {
            for (const StreamId id : {1u, 2u}) {
                INFO("seed ", seed, " stream ", id, " after ", n);
                const ByOffset found = rig->records(id);
                REQUIRE(view_of(found) == view_of(sent[id]));
                for (const auto& [offset, record] : found) REQUIRE(record == sent[id].at(offset));
                if (!sent[id].empty()) REQUIRE(found.contains(sent[id].rbegin()->first));
                const Books books = rig->log->books(id);
                REQUIRE(books.balanced());
                REQUIRE(books.losses.empty());
                REQUIRE(books.freed[static_cast<std::size_t>(Freed::superseded)].records ==
                        sent[id].size() - found.size());
            }
        };
        start();
        for (std::uint64_t step = 0; step < 6'000; ++step) {
            const StreamId id = 1 + static_cast<StreamId>(random.below(3));
            KeyedSpec spec{.records = {},
                           .codec = static_cast<Codec>(random.chance(60) ? 0 : random.below(5))};
            for (std::uint64_t i = 0, count = 1 + random.below(8); i < count; ++i) {
                spec.records.push_back(update(random.below(60), ++n, 20 + random.below(400)));
                if (random.chance(10)) spec.records.back().value.reset();
            }
            const Offset base = rig->put(id, spec);
            if (base < 0) ++refused;
            for (std::size_t i = 0; base >= 0 && i < spec.records.size(); ++i)
                sent[id].emplace(base + static_cast<Offset>(i), spec.records[i]);
            rig->pass(base < 0 ? 500 : static_cast<std::int64_t>(random.below(60)));
            if (step % 500 == 499) check();
            if (random.below(1'000) == 0) {
                freed += rig->counters().cleaner_freed;
                superseded += rig->counters().superseded_records;
                const bool clean = random.chance(50);
                if (clean) rig->close();
                rig.reset();
                device.power_cycle();
                rig = std::make_unique<KeyedRig>(device, config);
                start();
                check();
            }
        }
        rig->rest(60);
        check();
        freed += rig->counters().cleaner_freed;
        superseded += rig->counters().superseded_records;
        std::printf("seed %llu: %llu records, %llu superseded, %llu KiB freed, %llu refused\n",
                    static_cast<unsigned long long>(seed), static_cast<unsigned long long>(n),
                    static_cast<unsigned long long>(superseded),
                    static_cast<unsigned long long>(freed / 1024),
                    static_cast<unsigned long long>(refused));
        CHECK(superseded > n / (seed % 2 == 0 ? 10 : 3));
        CHECK(freed > 20 * small_segment);
    }
}

TEST_CASE("compaction: a tombstone goes when its time is over, and never brings its key back") {
    SimStorage device({.seed = 1, .size = medium});
    KeyedRig rig(device);
    REQUIRE(rig.open());
    StreamPolicy policy = compacted;
    policy.tombstone_retention = milliseconds(60'000);
    REQUIRE(rig.log->declare_stream(1, policy));
    rig.log->set_release(1, INT64_MAX);
    ByOffset sent;
    std::uint64_t n = 0;
    const auto put = [&](std::uint64_t key, bool value) {
        KeyedSpec spec{.records = {update(key, ++n, 1'000)}};
        if (!value) spec.records[0].value.reset();
        const Offset base = rig.put(1, spec);
        REQUIRE(base >= 0);
        sent.emplace(base, spec.records[0]);
        rig.pass(20);
    };
    for (std::uint64_t i = 0; i < 100; ++i) put(i, true);
    for (std::uint64_t i = 0; i < 50; ++i) put(i, false);
    const auto tombstones = [&] {
        std::size_t count = 0;
        for (const auto& [offset, record] : rig.records(1)) count += record.value ? 0 : 1;
        return count;
    };
    for (std::uint64_t i = 0; i < 400; ++i) put(100 + i % 10, true);
    rig.rest(10);
    CHECK(view_of(rig.records(1)) == view_of(sent));
    CHECK(tombstones() == 50);  // what they delete is gone, they stay for a minute
    CHECK(rig.counters().superseded_records >= 50);
    for (std::uint64_t i = 0; i < 400; ++i) {
        put(100 + i % 10, true);
        rig.pass(400);
    }
    rig.rest(100);
    CHECK(view_of(rig.records(1)) == view_of(sent));
    CHECK(tombstones() <= 20);  // the last of them wait until their segment is worth it
    CHECK(rig.log->books(1).balanced());
}

TEST_CASE("compaction: not above what is delivered, not before its lag, not what is plain") {
    for (const int mode : {0, 1, 2}) {
        SimStorage device({.seed = 1, .size = medium});
        KeyedRig rig(device);
        REQUIRE(rig.open());
        StreamPolicy policy = compacted;
        if (mode == 1) policy.compaction_lag = milliseconds(3'600'000);
        if (mode == 2) policy.compact = false;
        REQUIRE(rig.log->declare_stream(1, policy));
        rig.log->set_release(1, mode == 0 ? 100 : INT64_MAX);
        for (std::uint64_t i = 0; i < 500; ++i) {
            REQUIRE(rig.put(1, {.records = {update(i % 10, i, 1'000)}}) >= 0);
            rig.pass(20);
        }
        rig.rest(30);
        const ByOffset found = rig.records(1);
        INFO("mode ", mode);
        if (mode == 0) {
            CHECK(found.size() < 450);
            for (Offset offset = 90; offset < 500; ++offset) CHECK(found.contains(offset));
        } else {
            CHECK(found.size() == 500);
        }
        if (mode != 1) continue;
        rig.pass(3'600'000);
        rig.rest(30);
        for (std::uint64_t i = 500; i < 1'500; ++i) {  // something new, and a checkpoint
            REQUIRE(rig.put(1, {.records = {update(i % 10, i, 1'000)}}) >= 0);
            rig.pass(20);
        }
        rig.rest(30);
        CHECK(rig.records(1).size() < 1'200);
    }
}

TEST_CASE("compaction: a reader inside a gap finds what comes behind it, and no loss") {
    SimStorage device({.seed = 1, .size = medium});
    KeyedRig rig(device);
    REQUIRE(rig.open());
    REQUIRE(rig.log->declare_stream(1, compacted));
    REQUIRE(rig.log->declare_stream(2, {}));
    rig.log->set_release(1, INT64_MAX);
    ByOffset sent;
    for (std::uint64_t i = 0; i < 800; ++i) {
        const KeyedSpec spec{.records = {update(i % 7 == 0 ? i : 5, i, 900)}};
        const Offset base = rig.put(1, spec);
        REQUIRE(base >= 0);
        sent.emplace(base, spec.records[0]);
        rig.pass(20);
    }
    rig.rest(30);
    const ByOffset found = rig.records(1);
    REQUIRE(found.size() < 600);
    for (Offset from = 0; from < 800; from += 3) {
        const ByOffset tail = rig.records(1, from);
        CHECK(tail == ByOffset(found.lower_bound(from), found.end()));
    }
    CHECK(rig.log->books(1).losses.empty());
    CHECK(rig.counters().damaged_batches == 0);
    // It is compacted no more, after a restart: its gaps are still no damage.
    rig.close();
    KeyedRig again(device);
    REQUIRE(again.open());
    REQUIRE(again.log->declare_stream(1, {}));
    CHECK(again.records(1) == found);
    CHECK(again.log->books(1).losses.empty());
    CHECK(again.log->books(1).balanced());
}

TEST_CASE("compaction: records that are deleted while they are left out are counted once") {
    for (const Offset deleted : {10, 45, 120}) {
        SimStorage device({.seed = 1, .size = medium});
        LogConfig config = compact_config();
        config.compaction_every = milliseconds(30'000);  // not before everything is there
        KeyedRig rig(device, config);
        REQUIRE(rig.open());
        rig.rest(1);
        REQUIRE(rig.log->declare_stream(1, compacted));
        rig.log->set_release(1, INT64_MAX);
        for (std::uint64_t i = 0; i < 400; ++i)
            REQUIRE(rig.put(1, {.records = {update(i % 7 == 0 ? i : 5, i, 900)}}) >= 0);
        for (int i = 0; i < 20'000 && rig.counters().cleaner_copied == 0; ++i) rig.pass(5);
        REQUIRE(rig.counters().cleaner_copied > 0);
        REQUIRE(rig.counters().superseded_records == 0);  // they are still where they were
        REQUIRE(rig.log->set_log_start(rig.at(), 1, deleted));
        rig.rest(120);
        INFO("deleted up to ", deleted);
        CHECK(rig.counters().superseded_records > 40);
        const ByOffset found = rig.records(1, deleted);
        const Books books = rig.log->books(1);
        CHECK(books.balanced());
        CHECK(books.kept_delivered + books.kept_buffered ==
              static_cast<std::uint64_t>(std::distance(found.lower_bound(deleted), found.end())));
        CHECK(books.freed[static_cast<std::size_t>(Freed::deleted)].records ==
              static_cast<std::uint64_t>(deleted));
    }
}

TEST_CASE("compaction: batches of half a megabyte are compacted, whole and in part") {
    SimStorage device({.seed = 1, .size = 32 * KiB + 16 * 4 * MiB});
    LogConfig config = compact_config();
    config.segment_bytes = 4 * MiB;
    KeyedRig rig(device, config);
    REQUIRE(rig.open());
    REQUIRE(rig.log->declare_stream(1, compacted));
    rig.log->set_release(1, INT64_MAX);
    constexpr std::uint64_t updates = 40;
    for (std::uint64_t n = 0; n < updates; ++n) {
        // Every other one is superseded by the next but one; the others keep half of theirs.
        KeyedSpec spec{.records = {update(0, n, 280'000)}};
        spec.records.push_back(update(n % 2 == 0 ? 1 : 100 + n, n, 280'000));
        REQUIRE(rig.put(1, spec) >= 0);
        rig.pass(1'000);
    }
    rig.rest(120);
    // What the newest checkpoint and the open segment hold is not looked at: 2 segments at most.
    CHECK(rig.counters().superseded_records >= 2 * updates * 5 / 8);
    std::vector<std::uint8_t> into(1 * MiB);
    ByOffset found;
    for (Offset from = 0; from < static_cast<Offset>(2 * updates);) {
        const auto ticket =
            rig.log->start_read(rig.at(), {.stream = 1, .from = from, .until = INT64_MAX}, into);
        REQUIRE(ticket);
        std::optional<ReadDone> done;
        for (int i = 0; i < 10'000 && !(done = rig.log->poll_read()); ++i)
            rig.log->on_storage(rig.at());
        REQUIRE(done);
        REQUIRE(done->bytes);
        REQUIRE(take_records(ByteView(into).first(*done->bytes), found));
        from = done->next;
    }
    CHECK(found.size() == 2 * updates - rig.counters().superseded_records);
    for (std::uint64_t n = 1; n < updates; n += 2)
        CHECK(found.at(static_cast<Offset>(2 * n + 1)) == update(100 + n, n, 280'000));
    CHECK(rig.log->books(1).balanced());
}
