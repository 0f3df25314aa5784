// How often a Fetcher asks: what it has it does not ask for twice, and what nobody can tell it asks
// for seldom.
#include <doctest/doctest.h>

#include <deque>
#include <set>

#include "tests/client/fetcher_rig.hpp"

using namespace leat;
using namespace leat::client;
using namespace leat::testing;

TEST_CASE("fetcher: who reads all that is here does not make void the answer that is under way") {
    Reader r;
    r.fill(10, 10);
    r.fetcher.assign(r.partition);
    r.fetcher.seek(r.partition, 0);
    r.turn();  // here, and what comes next was asked for at once
    r.fill(10, 10);
    for (int i = 0; i < 10; ++i) REQUIRE(r.fetcher.next(r.now));
    CHECK(!r.fetcher.next(r.now));
    r.turn();
    for (std::int64_t offset = 10; offset < 20; ++offset) {
        const auto record = r.fetcher.next(r.now);
        REQUIRE(record);
        CHECK(record->offset == offset);
    }
    CHECK(r.broker.requests == 2);
}

TEST_CASE("fetcher: each batch is fetched once, however fast it is read") {
    Reader r(64 * KiB, {.bytes_max = 400});  // two batches at a time, and always one more asked for
    r.fill(200, 10);
    r.fetcher.assign(r.partition);
    r.fetcher.seek(r.partition, 0);
    std::vector<std::int64_t> offsets;
    std::size_t bytes = 0;
    for (int i = 0; i < 100 && offsets.size() < 200; ++i) {
        r.fetcher.pump(r.now);
        r.link.write(r.now);
        r.link.serve_one();
        bytes += r.link.to_client.size();
        r.turn();
        while (const auto record = r.fetcher.next(r.now)) offsets.push_back(record->offset);
    }
    CHECK(offsets == range(0, 200));
    std::size_t stored = 0;
    for (const auto& batch : r.broker.at("t", 0).log) stored += batch.batch.size();
    CHECK(bytes < stored + stored / 2);  // the batches, and what an answer has beside them
}

// Kafka holds a Fetch back until one of its partitions has something: partitions that take turns
// waited for each other, half a second each, however much there was for them.
TEST_CASE("fetcher: many partitions share one request, and more than that share the wait") {
    for (const int count : {200, 256, 257, 1000}) {
        INFO("count=" << count);
        ModelBroker broker;
        const Instant now = instant_ms(1000);
        std::deque<FetchPartition> all;
        ConnectionMemory memory(5, 256 * KiB);
        client::Connection connection(memory, "test");
        Bytes prefetch(64 * KiB);
        std::vector<Fetcher::Run> runs(256);
        Fetcher fetcher(connection, {prefetch, runs}, {}, 1, 5);
        for (int i = 0; i < count; ++i) {
            FetchPartition& one = all.emplace_back();
            one.topic = "t";
            one.partition = i;
            fetcher.assign(one);
            fetcher.seek(one, 0);
        }
        connection.on_connected(now);
        while (auto event = connection.poll_event(now)) fetcher.on_event(now, *event);
        std::set<std::int32_t> asked;
        std::int64_t waited = 0;
        int requests = 0;
        while (asked.size() < static_cast<std::size_t>(count) && requests < 100) {
            fetcher.pump(now);
            Bytes bytes;
            for (auto pieces = connection.poll_write(); !pieces.empty();
                 pieces = connection.poll_write()) {
                std::size_t size = 0;
                for (ByteView piece : pieces) {
                    bytes.insert(bytes.end(), piece.begin(), piece.end());
                    size += piece.size();
                }
                connection.on_written(now, size);
            }
            REQUIRE(bytes.size() > 4);
            const auto request = wire::decode_request(ByteView(bytes).subspan(4));
            REQUIRE(request);
            const auto fetch =
                wire::decode<wire::FetchRequest>(request->body, request->header.api_version);
            REQUIRE(fetch);
            ++requests;
            waited += fetch->max_wait_ms;
            for (const auto& topic : fetch->topics)
                for (const auto& partition : topic.partitions) asked.insert(partition.partition);
            const auto answer = broker.handle(ByteView(bytes).subspan(4));
            REQUIRE(answer);
            for (std::size_t at = 0; at < answer->size();) {
                at += connection.on_bytes(now, ByteView(*answer).subspan(at));
                while (auto event = connection.poll_event(now))
                    fetcher.on_event(now, *event);
            }
        }
        CHECK(requests == (count + 255) / 256);
        CHECK(waited <= 500);
        CHECK(waited > 400);
    }
}

// The reader is slow: a Fetch of 8 of the 300 that came back at once was followed by the next one.
TEST_CASE("fetcher: a prefetch with few places left does not make the requests more frequent") {
    Reader r;  // 8 places
    std::deque<FetchPartition> all;
    for (int i = 0; i < 300; ++i) {
        FetchPartition& one = all.emplace_back();
        one.topic = "t";
        one.partition = i;
        r.fetcher.assign(one);
        r.fetcher.seek(one, 0);
    }
    r.fetcher.pump(r.now);
    r.link.write(r.now);
    REQUIRE(r.link.to_broker.size() > 4);
    const auto request = wire::decode_request(ByteView(r.link.to_broker).subspan(4));
    REQUIRE(request);
    const auto fetch =
        wire::decode<wire::FetchRequest>(request->body, request->header.api_version);
    REQUIRE(fetch);
    for (const auto& topic : fetch->topics) CHECK(topic.partitions.size() == 8);
    CHECK(fetch->max_wait_ms == 250);
}

TEST_CASE("fetcher: an end that the broker does not tell is asked for again, but not at once") {
    for (const std::int64_t lookup : {timestamp_latest, timestamp_earliest}) {
        Reader r;
        r.broker.at("t", 0).end = -1;
        r.broker.at("t", 0).log.push_back({{}, -1, 1, {}});
        r.partition.lookup = lookup;
        r.fetcher.assign(r.partition);
        for (int i = 0; i < 10; ++i) r.turn();
        CHECK(r.broker.requests == 1);
        CHECK(r.partition.position == -1);
        r.broker.at("t", 0).log.clear();
        r.broker.at("t", 0).end = 0;
        r.now += milliseconds{1000};
        r.turn();
        CHECK(r.partition.position == 0);
    }
}
