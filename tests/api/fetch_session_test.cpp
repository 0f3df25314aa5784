// Fetch sessions (KIP-227) through the broker's session, dispatch and topics on the fake log.
#include "broker/api/fetch_sessions.hpp"

#include "tests/api/session_client.hpp"

using namespace leat;
using namespace leat::test;

namespace {

/// "t" with `partitions`; a client of version 12 that wants all of it from the start.
struct SessionBench : FetchBench {
    explicit SessionBench(std::int32_t partitions = 3, api::Settings settings = default_settings())
        : FetchBench(partitions, std::move(settings)), connection(open()) {
        for (std::int32_t p = 0; p < partitions; ++p) client.wanted[key(p)] = {};
    }
    PartitionKey key(std::int32_t partition, const std::string& topic = "t") const {
        return {topic, {}, partition};
    }
    Seen poll(FetchTerms terms = {}) { return poll(client, connection, terms); }
    Seen poll(SessionClient& who, session::SessionId id, FetchTerms terms = {}) {
        send(id, who.ask(terms));
        settle();
        return who.take(take(id));
    }
    ErrorCode raw(std::int32_t id, std::int32_t epoch, std::int16_t version = 12) {
        return call<Response>(request_of(id, epoch), version).error_code;
    }
    static wire::FetchRequest request_of(std::int32_t id, std::int32_t epoch) {
        wire::FetchRequest request;
        request.session_id = id;
        request.session_epoch = epoch;
        return request;
    }
    api::FetchSessions::Counters counters() const { return api.fetch_sessions(); }

    SessionClient client{12};
    session::SessionId connection;
};

api::Settings with_bytes(std::uint32_t bytes) {
    api::Settings settings = ApiBench::default_settings();
    settings.fetch_session_bytes_max = bytes;
    return settings;
}

}  // namespace

TEST_CASE("fetch sessions: after the full answer only news is told, and only changes are asked") {
    SessionBench bench;
    bench.append(1);
    bench.flush();
    const Seen full = bench.poll();
    CHECK(full.session_id > 0);
    CHECK(full.partitions.size() == 3);
    CHECK(full.find("t", 1)->offsets == Offsets{0});
    bench.client.wanted[bench.key(1)].offset = 1;

    Seen seen = bench.poll();
    CHECK(bench.client.asked_partitions == 1);
    CHECK(seen.partitions.empty());
    CHECK(seen.bytes < 32);
    seen = bench.poll();
    CHECK(bench.client.asked_partitions == 0);
    CHECK(seen.partitions.empty());

    bench.append(2);
    bench.flush();
    seen = bench.poll();
    REQUIRE(seen.partitions.size() == 1);
    CHECK(seen.find("t", 2)->offsets == Offsets{0});
    // The client did not take it: it comes again, because the position is where it was.
    CHECK(bench.poll().find("t", 2)->offsets == Offsets{0});
    bench.client.wanted[bench.key(2)].offset = 1;
    CHECK(bench.poll().partitions.empty());
    CHECK(bench.counters().open == 1);
    CHECK(bench.counters().partitions == 3);
}

TEST_CASE("fetch sessions: every version that has them, by name and by id") {
    for (std::int16_t version = 7; version <= 18; ++version) {
        CAPTURE(version);
        SessionBench bench;
        const wire::Uuid id{bench.topics.registry.find("t")->id};
        bench.client = SessionClient(version);
        bench.client.names[id] = "t";
        for (std::int32_t p = 0; p < 3; ++p)
            bench.client.wanted[{"t", version >= 13 ? id : wire::Uuid{}, p}] = {};
        CHECK(bench.poll().partitions.size() == 3);
        bench.append(0, {.value_bytes = 300});
        bench.append(2, {.value_bytes = 300});
        bench.flush();
        const Seen seen = bench.poll();
        REQUIRE(seen.partitions.size() == 2);
        CHECK(seen.find("t", 0)->offsets == Offsets{0});
        CHECK(seen.find("t", 2)->offsets == Offsets{0});
    }
    // Before version 7 there is nothing to say so with.
    SessionBench bench;
    CHECK(bench.fetch({}, 6).size() == 1);
    CHECK(bench.counters().open == 0);
}

TEST_CASE("fetch sessions: partitions are added, changed and forgotten") {
    SessionBench bench;
    bench.topic("u", 2);
    bench.client.wanted.erase(bench.key(2));
    bench.poll();
    for (std::int32_t p = 0; p < 3; ++p) bench.append(p);
    bench.flush();
    CHECK(bench.poll().partitions.size() == 2);

    bench.client.wanted.erase(bench.key(0));
    bench.client.wanted[bench.key(1)].offset = 1;
    bench.client.wanted[bench.key(2)] = {};
    bench.client.wanted[bench.key(1, "u")] = {};
    const Seen seen = bench.poll();
    CHECK(bench.client.asked_partitions == 3);
    REQUIRE(seen.partitions.size() == 2);  // of t-1 everything is known
    CHECK(seen.find("t", 2)->offsets == Offsets{0});
    CHECK(seen.find("u", 1)->high_watermark == 0);  // told once, though there is nothing
    CHECK(bench.counters().partitions == 3);
    // Asked for again it is a new one.
    bench.client.wanted[bench.key(0)] = {.offset = 1};
    CHECK(bench.poll().find("t", 0)->high_watermark == 1);
}

TEST_CASE("fetch sessions: a log start that moves is told without records") {
    SessionBench bench;
    bench.append(0);
    bench.append(0);
    bench.flush();
    bench.poll();
    bench.client.wanted[bench.key(0)].offset = 2;
    CHECK(bench.poll().partitions.empty());
    REQUIRE(bench.log.set_log_start(bench.now, bench.topics.registry.find("t")->partitions[0], 1));
    bench.flush();
    const Seen seen = bench.poll();
    REQUIRE(seen.partitions.size() == 1);
    CHECK(seen.find("t", 0)->log_start == 1);
    CHECK(bench.poll().partitions.empty());
}

TEST_CASE("fetch sessions: errors are told every time, and what follows them once") {
    SessionBench bench;
    bench.client.wanted[bench.key(7)] = {};
    bench.client.wanted[bench.key(0, "later")] = {};
    CHECK(bench.poll().partitions.size() == 5);
    for (int i = 0; i < 2; ++i) {
        const Seen seen = bench.poll();
        REQUIRE(seen.partitions.size() == 2);
        CHECK(seen.find("t", 7)->error == ErrorCode::unknown_topic_or_partition);
        CHECK(seen.find("later", 0)->error == ErrorCode::unknown_topic_or_partition);
    }
    bench.client.wanted.erase(bench.key(7));
    bench.topic("later");
    Seen seen = bench.poll();
    REQUIRE(seen.partitions.size() == 1);
    CHECK(seen.find("later", 0)->error == ErrorCode::none);
    CHECK(seen.find("later", 0)->high_watermark == 0);
    CHECK(bench.poll().partitions.empty());
    // A position behind the end, and back.
    bench.client.wanted[bench.key(0)].offset = 5;
    CHECK(bench.poll().find("t", 0)->error == ErrorCode::offset_out_of_range);
    CHECK(bench.poll().find("t", 0)->error == ErrorCode::offset_out_of_range);
    bench.client.wanted[bench.key(0)].offset = 0;
    CHECK(bench.poll().find("t", 0)->high_watermark == 0);
    // A leader that the client believes in and that is none.
    bench.client.wanted[bench.key(0)].leader_epoch = 3;
    CHECK(bench.poll().find("t", 0)->error == ErrorCode::unknown_leader_epoch);
    CHECK(bench.poll().find("t", 0)->error == ErrorCode::unknown_leader_epoch);
}

TEST_CASE("fetch sessions: a topic that was made again is the new one by name, an error by id") {
    for (const std::int16_t version : {std::int16_t{12}, std::int16_t{17}}) {
        CAPTURE(version);
        SessionBench bench(1);
        const wire::Uuid id{bench.topics.registry.find("t")->id};
        bench.client = SessionClient(version);
        bench.client.names[id] = "t";
        bench.client.wanted[{"t", version >= 13 ? id : wire::Uuid{}, 0}] = {};
        bench.poll();
        REQUIRE(bench.topics.registry.remove(bench.now, *bench.topics.registry.find("t")));
        CHECK(
            bench.poll().find("t", 0)->error ==
            (version >= 13 ? ErrorCode::unknown_topic_id : ErrorCode::unknown_topic_or_partition));
        bench.topic("t");
        bench.append(0);
        bench.flush();
        const Seen seen = bench.poll();
        if (version >= 13)
            CHECK(seen.find("t", 0)->error == ErrorCode::unknown_topic_id);
        else
            CHECK(seen.find("t", 0)->offsets == Offsets{0});
    }
}

TEST_CASE(
    "fetch sessions: unknown ids, epochs out of turn and the other way of naming are refused") {
    SessionBench bench;
    bench.poll();
    const std::int32_t id = bench.client.session_id;
    CHECK(bench.raw(id + 1, 1) == ErrorCode::fetch_session_id_not_found);
    CHECK(bench.raw(0, 5) == ErrorCode::fetch_session_id_not_found);
    for (const std::int32_t epoch : {2, -2, INT32_MIN, INT32_MAX})
        CHECK(bench.raw(id, epoch) == ErrorCode::invalid_fetch_session_epoch);
    CHECK(bench.raw(id, 1, 13) == ErrorCode::fetch_session_topic_id_error);
    // None of it has hurt the session.
    CHECK(bench.poll().error == ErrorCode::none);
    // The same request again, as after a lost answer.
    CHECK(bench.raw(id, 1) == ErrorCode::invalid_fetch_session_epoch);
    CHECK(bench.poll().error == ErrorCode::none);
    CHECK(api::next_session_epoch(1) == 2);
    CHECK(api::next_session_epoch(INT32_MAX) == 1);
}

TEST_CASE("fetch sessions: the last request closes its session, a first one replaces it") {
    SessionBench bench;
    bench.poll();
    const std::int32_t first = bench.client.session_id;
    bench.client.lost();
    CHECK(bench.poll().session_id != first);
    CHECK(bench.raw(first, 1) == ErrorCode::fetch_session_id_not_found);
    CHECK(bench.counters().open == 1);

    bench.client.epoch = -1;
    const Seen seen = bench.poll({.wait_ms = 0});
    CHECK(seen.session_id == 0);
    CHECK(seen.partitions.size() == 3);
    CHECK(bench.counters().open == 0);
    CHECK(bench.counters().partitions == 0);
    CHECK(bench.counters().bytes == 0);
}

TEST_CASE(
    "fetch sessions: one without partitions is closed, and such a request waits for nothing") {
    SessionBench bench;
    bench.poll();
    bench.client.wanted.clear();
    const Seen seen = bench.poll({.wait_ms = 10'000});  // answered though nothing comes
    CHECK(seen.error == ErrorCode::none);
    CHECK(seen.session_id == 0);
    CHECK(bench.counters().open == 0);
    CHECK(bench.poll({.wait_ms = 10'000}).session_id == 0);
    // As Kafka's consumer says good-bye.
    bench.client.wanted[bench.key(0)] = {};
    bench.poll();
    bench.client.wanted.clear();
    bench.client.epoch = -1;
    CHECK(bench.poll({.wait_ms = 10'000}).partitions.empty());
    CHECK(bench.counters().open == 0);
}

TEST_CASE("fetch sessions: a session outlives its connection and follows its client to another") {
    SessionBench bench;
    bench.poll();
    bench.sessions.closed(bench.now, bench.connection);
    bench.connection = bench.open();
    bench.append(0);
    bench.flush();
    CHECK(bench.poll().partitions.size() == 1);
}

TEST_CASE("fetch sessions: a long poll wakes with the news, or ends empty") {
    SessionBench bench;
    bench.poll();
    bench.send(bench.connection, bench.client.ask({.wait_ms = 500}));
    CHECK(bench.take(bench.connection).empty());
    bench.append(2);
    bench.flush();
    const Seen seen = bench.client.take(bench.take(bench.connection));
    CHECK(seen.partitions.size() == 1);
    CHECK(seen.find("t", 2)->offsets == Offsets{0});
    bench.client.wanted[bench.key(2)].offset = 1;
    bench.send(bench.connection, bench.client.ask({.wait_ms = 500}));
    bench.advance(500);
    CHECK(bench.client.take(bench.take(bench.connection)).partitions.empty());
    CHECK(bench.api.parked().fetches == 0);
    CHECK(bench.api.deadline() == never);
}

TEST_CASE("fetch sessions: the newer of two requests wins, the older is refused at once") {
    SessionBench bench;
    bench.poll();
    SessionClient older = bench.client;
    bench.send(bench.connection, bench.client.ask({.wait_ms = 60'000}));
    // An answer of nothing is what the client sees when it hurries on; its next request has to have
    // the epoch that follows.
    ++bench.client.epoch;
    const auto other = bench.open();
    bench.send(other, bench.client.ask({.wait_ms = 500}));
    const Seen refused = older.take(bench.take(bench.connection));
    CHECK(refused.error == ErrorCode::invalid_fetch_session_epoch);
    CHECK(refused.session_id == bench.client.session_id);  // which goes on
    CHECK(bench.api.parked().fetches == 1);
    bench.append(1);
    bench.flush();
    CHECK(bench.client.take(bench.take(other)).find("t", 1)->offsets == Offsets{0});
}

TEST_CASE("fetch sessions: what an answer left out comes first in the next one") {
    SessionBench bench(10);
    bench.poll();
    for (std::int32_t p = 0; p < 10; ++p)
        for (int i = 0; i < 30; ++i) bench.append(p, {.value_bytes = 1000});
    bench.flush();
    // Each answer has room for two batches, and there is always more everywhere.
    std::map<std::int32_t, int> served;
    for (int round = 0; round < 15; ++round)
        for (const SeenPartition& one : bench.poll({.bytes_max = 2300}).partitions)
            if (!one.offsets.empty()) {
                bench.client.wanted[one.key].offset = one.next;
                served[one.key.partition] += static_cast<int>(one.offsets.size());
            }
    CHECK(served.size() == 10);
    // A batch that never fits behind others is not passed over for ever.
    SessionBench big(3);
    big.poll();
    for (int i = 0; i < 50; ++i)
        for (std::int32_t p = 0; p < 3; ++p) big.append(p, {.value_bytes = p == 1 ? 3000u : 500u});
    big.flush();
    int seen_big = 0;
    for (int round = 0; round < 10; ++round)
        for (const SeenPartition& one : big.poll({.bytes_max = 3200}).partitions)
            if (!one.offsets.empty()) {
                big.client.wanted[one.key].offset = one.next;
                seen_big += one.key.partition == 1 ? 1 : 0;
            }
    CHECK(seen_big >= 3);
}

TEST_CASE("fetch sessions: an answer that is left out of memory's order keeps its pieces") {
    // News without records before, between and behind records, and records of many sizes.
    SessionBench bench(6);
    bench.topic("a-topic-with-a-rather-long-name", 2);
    for (std::int32_t p = 0; p < 2; ++p)
        bench.client.wanted[bench.key(p, "a-topic-with-a-rather-long-name")] = {};
    bench.poll();
    for (const std::int32_t p : {0, 2, 3, 5}) bench.append(p, {.value_bytes = 2000});
    bench.flush();
    bench.client.wanted[bench.key(0)].offset = 1;  // news, no records
    bench.client.wanted[bench.key(5)].offset = 9;  // error
    const Seen seen = bench.poll({.bytes_max = 2200});
    CHECK(seen.find("t", 0)->offsets.empty());
    CHECK(seen.find("t", 2)->offsets == Offsets{0});
    CHECK(seen.find("t", 3)->offsets.empty());  // no room, but its high watermark is news
    CHECK(seen.find("t", 5)->error == ErrorCode::offset_out_of_range);
    CHECK(seen.partitions.size() == 4);
    bench.client.wanted[bench.key(2)].offset = 1;
    const Seen next = bench.poll({.bytes_max = 2200});
    CHECK(next.find("t", 3)->offsets == Offsets{0});
    CHECK(next.partitions.size() == 2);
}

TEST_CASE("fetch sessions: the bound is one of bytes, and beyond it a client has none") {
    SessionBench bench(100, with_bytes(15'000));
    std::vector<SessionClient> clients(5, SessionClient(12));
    std::size_t with = 0;
    for (SessionClient& one : clients) {
        one.wanted = bench.client.wanted;
        const auto id = bench.open();
        const Seen seen = bench.poll(one, id);
        CHECK(seen.partitions.size() == 100);
        with += seen.session_id != 0 ? 1 : 0;
        CHECK(bench.counters().bytes <= 15'000);
    }
    CHECK(with == 2);
    CHECK(bench.counters().declined == 3);
    CHECK(bench.counters().evicted == 0);
    // None at all where none are wanted, and where the randomness is missing.
    SessionBench off(3, with_bytes(0));
    CHECK(off.poll().session_id == 0);
    SessionBench dumb;
    dumb.entropy.broken = true;
    CHECK(dumb.poll().session_id == 0);
}

TEST_CASE("fetch sessions: one that outgrows the bound is closed and asked for anew") {
    SessionBench bench(400, with_bytes(15'000));
    for (std::int32_t p = 100; p < 400; ++p) bench.client.wanted.erase(bench.key(p));
    CHECK(bench.poll().session_id != 0);
    for (std::int32_t p = 100; p < 400; ++p) bench.client.wanted[bench.key(p)] = {};
    CHECK(bench.poll().error == ErrorCode::fetch_session_id_not_found);
    CHECK(bench.counters().bytes == 0);
    const Seen seen = bench.poll();
    CHECK(seen.session_id == 0);
    CHECK(seen.partitions.size() == 400);
}

TEST_CASE("fetch sessions: the idle give way after two minutes, the small and old to the large") {
    SessionBench bench(100, with_bytes(15'000));
    const auto wants = [&bench](std::int32_t partitions) {
        SessionClient client(12);
        for (std::int32_t p = 0; p < partitions; ++p) client.wanted[bench.key(p)] = {};
        return client;
    };
    SessionClient idle = wants(90), busy = wants(80), late = wants(90), small = wants(10);
    const auto id = bench.open();
    CHECK(bench.poll(idle, id).session_id != 0);
    CHECK(bench.poll(busy, id).session_id != 0);
    bench.advance(119'000);
    CHECK(bench.poll(busy, id).error == ErrorCode::none);
    CHECK(bench.poll(late, id).session_id == 0);  // nobody is idle for long enough
    bench.advance(2'000);
    CHECK(bench.poll(late, id).session_id != 0);
    CHECK(bench.poll(idle, id).error == ErrorCode::fetch_session_id_not_found);
    CHECK(bench.counters().evicted == 1);
    // All are busy. The older and smaller one goes, but not for one that is smaller still.
    bench.advance(2'000);
    CHECK(bench.poll(small, id).session_id != 0);  // there is room for this one
    SessionClient equal = wants(80), large = wants(95);
    CHECK(bench.poll(equal, id).session_id == 0);
    bench.advance(2'000);
    CHECK(bench.poll(large, id).session_id != 0);
    CHECK(bench.poll(busy, id).error == ErrorCode::fetch_session_id_not_found);
    CHECK(bench.poll(late, id).error == ErrorCode::none);
    CHECK(bench.counters().evicted == 2);
}

TEST_CASE("fetch sessions: an evicted one still answers the request that waits") {
    SessionBench bench(3, with_bytes(1'500));
    bench.poll();
    bench.send(bench.connection, bench.client.ask({.wait_ms = 60'000}));
    bench.advance(59'000);
    bench.append(0);
    bench.flush();
    CHECK(bench.client.take(bench.take(bench.connection)).partitions.size() == 1);
    bench.send(bench.connection, bench.client.ask({.wait_ms = 60'000, .bytes_min = 10'000}));
    bench.raw(bench.client.session_id, -1);  // closed by another request
    bench.advance(60'000);
    const Seen seen = bench.client.take(bench.take(bench.connection));
    CHECK(seen.find("t", 0)->offsets == Offsets{0});
    CHECK(bench.poll().error == ErrorCode::fetch_session_id_not_found);
}

TEST_CASE("fetch sessions: tens of thousands in one request cost no more than they bring") {
    SessionBench bench(3, with_bytes(64 * 1024));
    bench.poll();
    // Descending and doubled, which is the worst for anything that inserts one by one.
    std::vector<wire::FetchRequest::FetchPartition> many(70'000);
    for (std::size_t i = 0; i < many.size(); ++i)
        many[i].partition = static_cast<std::int32_t>(many.size() - i / 2);
    wire::FetchRequest::FetchTopic topic;
    topic.topic = "t";
    topic.partitions = many;
    wire::FetchRequest request = SessionBench::request_of(bench.client.session_id, 1);
    request.topics = std::span(&topic, 1);
    CHECK(bench.call<Response>(request, 12).error_code == ErrorCode::fetch_session_id_not_found);
    CHECK(bench.counters().bytes == 0);
    CHECK(bench.counters().open == 0);
}
