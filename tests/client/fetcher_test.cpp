#include <doctest/doctest.h>

#include <set>

#include "tests/client/fetcher_rig.hpp"

using namespace leat;
using namespace leat::client;
using namespace leat::testing;
using wire::ErrorCode;

TEST_CASE("fetcher: from the earliest record to the end, every record once, then one `end`") {
    for (int per_batch : {1, 3, 7}) {
        Reader r;
        r.fill(42, per_batch);
        r.partition.lookup = timestamp_earliest;
        r.fetcher.assign(r.partition);
        CHECK(r.read(42) == range(0, 42));
        r.turn();
        CHECK(!r.fetcher.next(r.now));
        r.turn();
        REQUIRE(r.events.size() == 1);
        CHECK(r.events[0].kind == FetcherEvent::Kind::end);
        CHECK(r.partition.position == 42);
    }
}

TEST_CASE(
    "fetcher: seek into the middle of a batch begins at that record; a seek by time at the batch "
    "that holds it") {
    Reader r;
    r.fill(40, 10);
    r.fetcher.assign(r.partition);
    r.fetcher.seek(r.partition, 13);
    CHECK(r.read(5) == range(13, 18));
    r.fetcher.seek(r.partition, 2);  // what is prefetched and under way is void
    CHECK(r.read(5) == range(2, 7));
    r.fetcher.seek_to_time(r.partition, 2500);
    CHECK(r.read(3) == range(20, 23));
    r.fetcher.seek_to_time(r.partition, 999999);  // nothing that late: what comes next
    r.turn();
    r.turn();
    r.turn();
    r.fill(1, 1);
    CHECK(r.read(1) == range(40, 41));
    r.fetcher.seek_to_time(r.partition, timestamp_latest);
    r.turn();  // the Fetch that was under way is answered first
    r.turn();
    CHECK(r.partition.position == 41);
}

TEST_CASE("fetcher: an answer that was asked before a seek does not count") {
    Reader r;
    r.fill(40, 10);
    r.fetcher.assign(r.partition);
    r.fetcher.seek(r.partition, 0);
    r.fetcher.pump(r.now);
    r.link.write(r.now);
    CHECK(r.link.serve_one());
    r.fetcher.seek(r.partition, 30);
    CHECK(r.read(10) == range(30, 40));
}

TEST_CASE("fetcher: never more than the prefetch memory is kept, and a batch at its bound passes") {
    Reader probe;
    probe.fill(100, 10);
    const std::size_t batch = probe.broker.at("t", 0).log.back().batch.size();
    for (std::size_t memory : {batch - 1, batch, batch + 1, 5 * batch}) {
        Reader r(memory);
        r.fill(100, 10);
        r.fetcher.assign(r.partition);
        r.fetcher.seek(r.partition, 0);
        if (memory < batch) {
            CHECK(r.read(100) == range(0, 10));  // the first batch is shorter
            REQUIRE(!r.events.empty());
            CHECK(r.events[0].kind == FetcherEvent::Kind::too_large);
            CHECK(r.fetcher.deadline() == never);
        } else {
            CHECK(r.read(100) == range(0, 100));
        }
    }
}

TEST_CASE(
    "fetcher: a paused partition keeps its place and its prefetched records; the others go on") {
    Reader r;
    FetchPartition other{.topic = "u", .partition = 0};
    r.fill(20, 5);
    r.fill(20, 5, 0, "u");
    r.fetcher.assign(r.partition);
    r.fetcher.assign(other);
    r.fetcher.seek(r.partition, 0);
    r.fetcher.seek(other, 0);
    r.turn();
    r.fetcher.pause(other, true);
    CHECK(r.read(20) == range(0, 20));
    CHECK(!r.fetcher.next(r.now));
    CHECK(other.position == 0);
    r.fetcher.pause(other, false);
    for (std::int64_t expected = 0; expected < 20;) {
        auto record = r.fetcher.next(r.now);
        if (!record) {
            r.turn();
            continue;
        }
        CHECK(record->from == &other);
        CHECK(record->offset == expected++);
    }
}

TEST_CASE(
    "fetcher: an offset out of range goes where OffsetReset says, or stands still and tells") {
    for (OffsetReset reset : {OffsetReset::earliest, OffsetReset::latest, OffsetReset::none}) {
        Reader r(2048, {.reset = reset});
        r.fill(10, 5);
        r.fetcher.assign(r.partition);
        r.fetcher.seek(r.partition, 500);
        if (reset == OffsetReset::earliest) CHECK(r.read(10) == range(0, 10));
        if (reset == OffsetReset::latest) {
            for (int i = 0; i < 3; ++i) r.turn();
            CHECK(r.partition.position == 10);
        }
        if (reset == OffsetReset::none) {
            for (int i = 0; i < 3; ++i) r.turn();
            REQUIRE(r.events.size() == 1);
            CHECK(r.events[0].kind == FetcherEvent::Kind::offset_out_of_range);
            CHECK(r.fetcher.deadline() == never);
            r.fetcher.seek(r.partition, 8);
            CHECK(r.read(2) == range(8, 10));
        }
    }
}

TEST_CASE(
    "fetcher: a batch with a flipped bit is told, never handed out, and read again after a "
    "back-off") {
    Reader r;
    r.fill(20, 5);
    r.fetcher.assign(r.partition);
    r.fetcher.seek(r.partition, 0);
    std::uint8_t& byte = r.broker.at("t", 0).log[1].batch[70];
    byte ^= 0x10;
    CHECK(r.read(6) == range(0, 5));
    REQUIRE(!r.events.empty());
    CHECK(r.events[0].kind == FetcherEvent::Kind::corrupt);
    CHECK(r.partition.position == 5);
    byte ^= 0x10;  // it was the wire, not the disk
    CHECK(r.fetcher.deadline() > r.now);
    r.now += milliseconds{2000};
    CHECK(r.read(15) == range(5, 20));
}

TEST_CASE("fetcher: control batches are skipped, compressed ones need a decompressor") {
    struct Same final : BatchDecompressor {
        Result<ByteView> decompress(Codec codec, ByteView records) override {
            CHECK(codec == Codec::zstd);
            return records;
        }
    } same;
    Reader r(2048, {}, &same);
    r.fill(2, 1, 4);
    r.fill(1, 1, wire::attribute::control | wire::attribute::transactional);
    r.fill(2, 1);
    r.fetcher.assign(r.partition);
    r.fetcher.seek(r.partition, 0);
    CHECK(r.read(4) == std::vector<std::int64_t>{0, 1, 3, 4});
    Reader without;
    without.fill(1, 1, 4);
    without.fetcher.assign(without.partition);
    without.fetcher.seek(without.partition, 0);
    CHECK(without.read(1).empty());
    CHECK(without.events[0].kind == FetcherEvent::Kind::corrupt);
}

TEST_CASE("fetcher: wherever the connection breaks, no record is missed and none comes twice") {
    for (int cut = 0; cut < 40; ++cut) {
        Reader r(512, {.bytes_max = 200});
        r.fill(60, 4);
        r.partition.lookup = timestamp_earliest;
        r.fetcher.assign(r.partition);
        std::vector<std::int64_t> offsets;
        for (int step = 0; step < 400 && offsets.size() < 60; ++step) {
            r.fetcher.pump(r.now);
            r.link.write(r.now);
            if (step == cut) {
                r.link.connection.on_disconnected(r.now);
                r.drain();
                CHECK(r.closed);
                r.closed = false;
                r.link.connection.on_connected(r.now);
                r.drain();
                continue;
            }
            r.link.serve_one();
            const std::size_t part = std::min<std::size_t>(r.link.to_client.size(), 33);
            r.link.connection.on_bytes(r.now, ByteView(r.link.to_client).first(part));
            r.link.to_client.erase(r.link.to_client.begin(),
                                   r.link.to_client.begin() + static_cast<std::ptrdiff_t>(part));
            r.drain();
            if (step % 3 == 0)
                while (auto record = r.fetcher.next(r.now)) offsets.push_back(record->offset);
        }
        INFO("cut=", cut);
        CHECK(offsets == range(0, 60));
    }
}

TEST_CASE("fetcher: one paused partition does not starve the others of prefetch memory") {
    Reader r(1024, {.partition_bytes_max = 250});
    FetchPartition other{.topic = "u", .partition = 0};
    r.fill(400, 5);
    r.fill(20, 5, 0, "u");
    r.fetcher.assign(r.partition);
    r.fetcher.assign(other);
    r.fetcher.seek(r.partition, 0);
    r.fetcher.seek(other, 0);
    r.turn();
    REQUIRE(other.fetch_offset > 0);
    r.fetcher.pause(other, true);
    CHECK(r.read(400) == range(0, 400));
    r.fetcher.pause(other, false);
    for (std::int64_t expected = 0; expected < 20;) {
        auto record = r.fetcher.next(r.now);
        if (!record) {
            REQUIRE(other.position < 20);
            r.turn();
            continue;
        }
        CHECK(record->from == &other);
        CHECK(record->offset == expected++);
    }
}

TEST_CASE("fetcher: an answer too long for the receive buffer is told for each that it was for") {
    Reader r;
    Bytes prefetch(4096);
    std::vector<Fetcher::Run> runs(64);
    Fetcher fetcher(r.link.connection, {prefetch, runs}, {}, 1, 5);
    std::vector<FetchPartition> many(30);
    for (std::size_t i = 0; i < many.size(); ++i) {
        many[i].topic = "m";
        many[i].partition = static_cast<std::int32_t>(i);
        fetcher.assign(many[i]);
        fetcher.seek(many[i], 0);
    }
    fetcher.pump(r.now);
    r.link.write(r.now);
    Event event;
    event.kind = Event::Kind::failed;
    event.api_key = wire::ApiKey::fetch;
    event.owner = 1;
    event.error = Error::too_large;
    fetcher.on_event(r.now, event);
    std::set<std::int32_t> told;
    while (auto news = fetcher.poll_event()) {
        CHECK(news->kind == FetcherEvent::Kind::too_large);
        told.insert(news->partition->partition);
    }
    CHECK(told.size() == many.size());
}

TEST_CASE("fetcher: what is prefetched is read before an offset out of range moves the position") {
    for (OffsetReset reset : {OffsetReset::latest, OffsetReset::none}) {
        Reader r(2048, {.bytes_max = 150, .reset = reset});
        r.fill(20, 5);
        r.fetcher.assign(r.partition);
        r.fetcher.seek(r.partition, 0);
        r.turn();  // offsets 0 to 4 are here
        REQUIRE(r.partition.fetch_offset == 5);
        r.broker.at("t", 0).log.clear();  // the log begins anew behind us
        r.broker.at("t", 0).end = 3;
        for (int i = 0; i < 3; ++i) {
            r.turn();
            r.now += milliseconds{2000};
        }
        std::vector<std::int64_t> offsets;
        while (auto record = r.fetcher.next(r.now)) offsets.push_back(record->offset);
        CHECK(offsets == range(0, 5));
        for (int i = 0; i < 3; ++i) {
            r.turn();
            r.now += milliseconds{2000};
        }
        if (reset == OffsetReset::latest) {
            CHECK(r.partition.position == 3);
        } else {
            REQUIRE(!r.events.empty());
            CHECK(r.events.back().kind == FetcherEvent::Kind::offset_out_of_range);
        }
    }
}

TEST_CASE("fetcher: who waits for a seek waits under the next leader, too, and a seek ends it") {
    Reader r;
    r.fill(10, 5);
    r.partition.not_before = never;
    r.partition.lookup = timestamp_earliest;
    r.fetcher.assign(r.partition);
    for (int i = 0; i < 3; ++i) r.turn();
    CHECK(!r.fetcher.next(r.now));
    CHECK(r.partition.position == -1);
    r.fetcher.seek(r.partition, 8);
    CHECK(r.read(2) == range(8, 10));
}

TEST_CASE("fetcher: an answer that makes no sense is not asked for again at once") {
    for (const bool knows_position : {false, true}) {
        Reader r;
        r.fill(10, 5);
        r.fetcher.assign(r.partition);
        if (knows_position) r.fetcher.seek(r.partition, 0);
        r.fetcher.pump(r.now);
        Event event;
        event.kind = Event::Kind::response;
        event.api_key = knows_position ? wire::ApiKey::fetch : wire::ApiKey::list_offsets;
        event.api_version = knows_position ? std::int16_t{12} : std::int16_t{7};
        event.owner = 1;
        r.fetcher.on_event(r.now, event);  // an empty body
        CHECK(r.partition.not_before > r.now);
        CHECK(r.fetcher.deadline() > r.now);
    }
}

TEST_CASE("fetcher: a batch that lies before the position leaves it, and its epoch, as they are") {
    Reader r;
    r.fill(10, 10);
    ModelBroker::Partition& log = r.broker.at("t", 0);
    log.log.front().count = 20;  // so it is sent to whom asks for what comes behind it
    log.end = 20;
    r.fetcher.assign(r.partition);
    r.fetcher.seek(r.partition, 13, 5);
    for (int i = 0; i < 4; ++i) {
        r.turn();
        CHECK(!r.fetcher.next(r.now));
    }
    CHECK(r.partition.position == 13);
    CHECK(r.partition.position_epoch == 5);
}

TEST_CASE("fetcher: a broker that refuses the very offset it has named is asked with pauses") {
    Reader r(2048, {.reset = OffsetReset::latest});
    r.fill(10, 5);
    r.broker.at("t", 0).log.front().base_offset = 20;  // the end is 10, and lies before the log
    r.fetcher.assign(r.partition);
    for (int i = 0; i < 2000; ++i) {
        r.turn();
        r.now += milliseconds{1};
    }
    CHECK(r.broker.requests > 10);
    CHECK(r.broker.requests < 100);
}
