#include "tests/api/fetch_bench.hpp"

using namespace leat;
using namespace leat::test;

TEST_CASE("fetch: every version carries the same batches in place, byte-equal") {
    for (std::int16_t version = 4; version <= 12; ++version) {
        CAPTURE(version);
        FetchBench bench;
        for (int p = 0; p < 3; ++p)
            for (int i = 0; i < 4; ++i)
                bench.append(p, {.records = i + 1,
                                 .value_bytes = static_cast<std::size_t>(100 * p + 10),
                                 .fill = static_cast<std::uint8_t>(p)});
        bench.flush();
        const auto got = bench.fetch({.partitions = {{0, 0}, {1, 1}, {2, 9}}}, version);
        REQUIRE(got.size() == 3);
        CHECK(got[0].offsets == Offsets{0, 1, 3, 6});
        CHECK(got[1].offsets == Offsets{1, 3, 6});
        CHECK(got[2].offsets == Offsets{6});  // inside a batch: that whole batch
        for (const Got& one : got) CHECK(one.high_watermark == 10);
        auto expected = make_batch({.records = 4, .value_bytes = 210, .fill = 2});
        store_big<std::int64_t>(expected.data(), 6);
        CHECK(equal(ByteView(got[2].records).subspan(16), ByteView(expected).subspan(16)));
    }
}

TEST_CASE("fetch: byte for byte, v4 of the golden batch") {
    FetchBench bench(1);
    const std::string batch =
        "00000000000000000000004700000000020217af830000000000010000018bcfe568000000018bcfe56805ffff"
        "ffffffffffffffffffffffff"
        "000000021c000000046b3104763102026802780c000a02010100";
    REQUIRE(
        bench.topics
            .append(bench.now, bench.wall, *bench.topics.registry.find("t"), 0, from_hex(batch), 9)
            .error == ErrorCode::none);
    bench.flush();
    const auto id = bench.open();
    bench.send(id,
               from_hex("00000037 0001 0004 00000007 0001 74 ffffffff 000001f4 00000001 00100000 "
                        "00 00000001 0001 74 00000001 00000000 0000000000000000 00100000"));
    CHECK(to_hex(bench.take(id)) ==
          "00000084"
          "00000007"
          "00000000"
          "00000001"
          "0001"
          "74"
          "00000001"
          "00000000"
          "0000"
          "0000000000000002"
          "0000000000000002"
          "ffffffff"
          "00000053" +
              batch);
}

TEST_CASE("fetch: what is not durable is not served, at no offset and in no way") {
    FetchBench bench;
    bench.log.auto_flush = false;
    bench.append(0);
    bench.append(0);
    auto got = bench.fetch({});
    CHECK(got[0].offsets.empty());
    CHECK(got[0].high_watermark == 0);
    got = bench.fetch({.partitions = {{0, 2}}});
    CHECK(got[0].error ==
          ErrorCode::none);  // between high watermark and log end: nothing, yet no error
    CHECK(bench.log.flush_soon_calls > 0);
    bench.flush();
    CHECK(bench.fetch({})[0].offsets == Offsets{0, 1});
}

TEST_CASE("fetch: offsets outside the log and partitions that are not there answer at once") {
    FetchBench bench;
    bench.append(0);
    bench.flush();
    for (const std::int64_t offset : {std::int64_t{-1}, std::int64_t{2}, INT64_MAX, INT64_MIN}) {
        const auto got = bench.fetch({.partitions = {{0, offset}}, .wait_ms = 10'000});
        CHECK(got[0].error == ErrorCode::offset_out_of_range);
        CHECK(got[0].high_watermark == -1);
    }
    // One wrong partition answers for the request, the others carry what they have.
    const auto got = bench.fetch({.partitions = {{7, 0}, {0, 0}, {1, 0}}, .wait_ms = 10'000});
    CHECK(got[0].error == ErrorCode::unknown_topic_or_partition);
    CHECK(got[1].offsets == Offsets{0});
    CHECK(got[2].offsets.empty());
    CHECK(bench.fetch({.partitions = {{0, 0}}, .wait_ms = 10'000, .topic = "u"})[0].error ==
          ErrorCode::unknown_topic_or_partition);
}

TEST_CASE("fetch: a long poll waits for records, for its time, and costs no scan") {
    FetchBench bench;
    const auto id = bench.open();
    bench.send(id, fetch_frame({.partitions = {{0, 0}, {1, 0}}, .wait_ms = 500}));
    CHECK(bench.take(id).empty());
    CHECK(bench.api.deadline() == bench.now + milliseconds(500));
    CHECK(bench.log.reads_started == 0);
    bench.append(2);
    bench.flush();
    CHECK(bench.take(id).empty());
    bench.append(1);
    bench.flush();
    auto got = bench.got(id);
    CHECK(got[0].offsets.empty());
    CHECK(got[1].offsets == Offsets{0});
    CHECK(bench.api.deadline() == never);

    bench.send(id, fetch_frame({.partitions = {{0, 0}}, .wait_ms = 500}));
    bench.advance(499);
    CHECK(bench.take(id).empty());
    bench.advance(1);
    CHECK(bench.got(id)[0].offsets.empty());
    CHECK(bench.api.parked().fetches == 0);
}

TEST_CASE("fetch: bytes_min collects over batches and partitions") {
    FetchBench bench;
    const auto size = static_cast<std::int32_t>(make_batch({.value_bytes = 100}).size());
    const auto id = bench.open();
    bench.append(0, {.value_bytes = 100});
    bench.flush();
    bench.send(
        id, fetch_frame({.partitions = {{0, 0}, {1, 0}}, .wait_ms = 500, .bytes_min = 3 * size}));
    CHECK(bench.take(id).empty());
    const std::size_t reads = bench.log.reads_started;
    bench.append(1, {.value_bytes = 100});
    bench.flush();
    CHECK(bench.take(id).empty());
    CHECK(bench.log.reads_started == reads);  // counted, not read again
    bench.append(0, {.value_bytes = 100});
    bench.flush();
    const auto got = bench.got(id);
    CHECK(got[0].offsets == Offsets{0, 1});
    CHECK(got[1].offsets == Offsets{0});
    // Time over: whatever there is.
    bench.send(id, fetch_frame({.partitions = {{0, 0}}, .wait_ms = 500, .bytes_min = 1 << 20}));
    bench.advance(500);
    CHECK(bench.got(id)[0].offsets == Offsets{0, 1});
}

TEST_CASE("fetch: a minimum above what an answer may hold does not wait for ever") {
    FetchBench bench;
    bench.append(0, {.value_bytes = 3000});
    bench.append(0, {.value_bytes = 3000});
    bench.flush();
    CHECK(bench.fetch({.wait_ms = 60'000, .bytes_min = 1 << 30, .bytes_max = 2000})[0].offsets ==
          Offsets{0});
}

TEST_CASE("fetch: zstd goes to consumers of v10 and later only, what stands before it to all") {
    FetchBench bench;
    bench.append(0);
    auto zstd = make_batch({});
    wire::BatchHeader header = wire::read_batch_header(zstd.data());
    header.attributes =
        static_cast<std::int16_t>(Codec::zstd);  // the fake log looks at headers only
    wire::seal_batch_header(header, ByteView(zstd).subspan(wire::batch_header_size), zstd.data());
    REQUIRE(bench.log.append(bench.now, bench.wall,
                             {.stream = bench.topics.registry.find("t")->partitions[0],
                              .batch = zstd,
                              .log_append_time = std::nullopt}));
    bench.flush();
    CHECK(bench.fetch({}, 9)[0].offsets == Offsets{0});
    CHECK(bench.fetch({.partitions = {{0, 1}}}, 9)[0].error ==
          ErrorCode::unsupported_compression_type);
    CHECK(bench.fetch({.partitions = {{0, 1}}}, 10)[0].offsets == Offsets{1});
}

TEST_CASE("fetch: at least one batch whatever the bounds, and no more than they allow after it") {
    FetchBench bench;
    for (int i = 0; i < 4; ++i) bench.append(0, {.value_bytes = 5000});
    bench.append(1, {.value_bytes = 5000});
    bench.flush();
    CHECK(bench.fetch({.partitions = {{0, 0, 1}, {1, 0}}, .bytes_max = 1})[0].offsets ==
          Offsets{0});
    CHECK(bench.fetch({.partitions = {{0, 0, 0}}})[0].offsets == Offsets{0});
    const auto two = bench.fetch({.partitions = {{0, 1, 11'000}, {1, 0, 100}}});
    CHECK(two[0].offsets == Offsets{1, 2});
    CHECK(two[1].offsets.empty());
    CHECK(bench.pool.counters().response_bytes == 0);
}

TEST_CASE("fetch: small batches do not exceed small bounds either") {
    FetchBench bench;
    for (int i = 0; i < 4; ++i) bench.append(0, {.value_bytes = 10});
    bench.append(1, {.value_bytes = 10});
    bench.flush();
    const std::size_t one = make_batch({.value_bytes = 10}).size();
    REQUIRE(3 * one < 1024);
    const auto twice = static_cast<std::int32_t>(2 * one);
    for (const std::int16_t version : {std::int16_t{4}, std::int16_t{12}}) {
        CAPTURE(version);
        CHECK(bench.fetch({.partitions = {{0, 0, 1}}}, version)[0].offsets == Offsets{0});
        CHECK(bench.fetch({.partitions = {{0, 0, twice}}}, version)[0].offsets == Offsets{0, 1});
        CHECK(bench.fetch({.partitions = {{0, 0, twice + 1}}}, version)[0].offsets ==
              Offsets{0, 1});
        const auto bounded =
            bench.fetch({.partitions = {{0, 0}, {1, 0}}, .bytes_max = twice - 1}, version);
        CHECK(bounded[0].offsets == Offsets{0});
        CHECK(bounded[1].offsets.empty());
    }
}

TEST_CASE("fetch: who asks for no bytes at least, or for no partition, does not wait") {
    FetchBench bench;
    const auto id = bench.open();
    bench.send(id, fetch_frame({.wait_ms = 500, .bytes_min = 0}));
    CHECK(bench.got(id)[0].offsets.empty());
    bench.send(id, fetch_frame({.partitions = {}, .wait_ms = 500}));
    CHECK_FALSE(bench.take(id).empty());
    CHECK(bench.api.parked().fetches == 0);
}

TEST_CASE("fetch: a batch larger than the answer's bound comes alone and whole") {
    api::Settings settings = ApiBench::default_settings();
    settings.response_bytes_max = 10'000;
    struct Small : ApiBench {
        using ApiBench::ApiBench;
    } bench(settings, 64 * KiB);
    bench.topic("t");
    const auto big = make_batch({.value_bytes = 200'000});
    REQUIRE(bench.topics.append(bench.now, bench.wall, *bench.topics.registry.find("t"), 0, big, 9)
                .error == ErrorCode::none);
    REQUIRE(
        bench.topics
            .append(bench.now, bench.wall, *bench.topics.registry.find("t"), 0, make_batch({}), 9)
            .error == ErrorCode::none);
    bench.flush();
    const auto id = bench.open();
    bench.send(id, fetch_frame({}));
    const auto response = bench.answer<Response>(id, 12);
    CHECK(response.responses.front().partitions.front().records.size() == big.size());
    CHECK(bench.pool.counters().response_bytes == 0);
}

TEST_CASE(
    "fetch: answers wait for memory in the order of their requests, and a slow reader holds up "
    "only its share") {
    struct Small : ApiBench {
        Small() : ApiBench(default_settings(), 64 * KiB) {}  // answers: 48 KiB
    } bench;
    bench.topic("t");
    for (int i = 0; i < 3; ++i)
        REQUIRE(bench.topics
                    .append(bench.now, bench.wall, *bench.topics.registry.find("t"), 0,
                            make_batch({.value_bytes = 12'000}), 9)
                    .error == ErrorCode::none);
    bench.flush();
    std::vector<session::SessionId> ids;
    for (int i = 0; i < 4; ++i) {
        ids.push_back(bench.open());
        bench.send(ids.back(), fetch_frame({}));
    }
    CHECK_FALSE(bench.sessions.poll_write(ids[0]).empty());
    CHECK(bench.sessions.poll_write(ids[1]).empty());
    for (const auto id : ids) CHECK(bench.take(id).size() > 36'000);
    CHECK(bench.pool.counters().response_bytes == 0);
}

TEST_CASE("fetch: who pipelines fetches and reads nothing gets memory for one of them") {
    struct Medium : ApiBench {
        Medium() : ApiBench(default_settings(), 2 * MiB) {}  // two large answers of strangers
    } bench;
    bench.topic("t");
    for (int i = 0; i < 3; ++i)
        REQUIRE(bench.topics
                    .append(bench.now, bench.wall, *bench.topics.registry.find("t"), 0,
                            make_batch({.value_bytes = 100'000}), 9)
                    .error == ErrorCode::none);
    bench.flush();
    const auto greedy = bench.open(), honest = bench.open();
    const Bytes one = fetch_frame({});
    Bytes many;
    for (int i = 0; i < 5; ++i) many.insert(many.end(), one.begin(), one.end());
    bench.send(greedy, many);
    CHECK(bench.pool.counters().waiting == 0);
    bench.send(honest, one);
    CHECK(bench.take(honest).size() > 300'000);
    CHECK(bench.take(greedy).size() > 5 * 300'000);
    CHECK(bench.pool.counters().response_bytes == 0);
}

TEST_CASE(
    "fetch: a session that closes while parked, waiting for memory or reading leaves nothing") {
    FetchBench bench;
    bench.append(0);
    bench.flush();
    const auto parked = bench.open(), reading = bench.open();
    bench.send(parked, fetch_frame({.partitions = {{1, 0}}, .wait_ms = 500}));
    bench.log.hold_reads = true;
    bench.send(reading, fetch_frame({}));
    CHECK(bench.api.parked().fetches == 2);
    bench.sessions.closed(bench.now, parked);
    bench.sessions.closed(bench.now, reading);
    bench.settle();
    CHECK(bench.api.parked().fetches == 0);
    CHECK(bench.api.deadline() == never);
    CHECK(bench.pool.counters().response_bytes == 0);
}

TEST_CASE("fetch: a topic deleted while its reader is parked is an error when the time is over") {
    FetchBench bench;
    const auto id = bench.open();
    bench.send(id, fetch_frame({.wait_ms = 500}));
    REQUIRE(bench.topics.registry.remove(bench.now, *bench.topics.registry.find("t")));
    bench.advance(500);
    CHECK(bench.got(id)[0].error == ErrorCode::unknown_topic_or_partition);
}

TEST_CASE("fetch: what a parked request had read is forgotten when its topic goes") {
    for (const bool stop : {false, true}) {
        CAPTURE(stop);
        FetchBench bench;
        bench.append(0);
        bench.flush();
        const auto id = bench.open();
        bench.send(id, fetch_frame({.wait_ms = 500, .bytes_min = 100'000}));
        REQUIRE(bench.topics.registry.remove(bench.now, *bench.topics.registry.find("t")));
        if (stop)
            bench.api.stop(bench.now, bench.wall);
        else
            bench.advance(500);
        const auto got = bench.got(id);
        REQUIRE(got.size() == 1);
        CHECK(got[0].offsets.empty());
        if (!stop) CHECK(got[0].error == ErrorCode::unknown_topic_or_partition);
    }
}

TEST_CASE("fetch: what is lost up to the end is a batch without records, to be stepped over") {
    FetchBench bench;
    for (int i = 0; i < 4; ++i) bench.append(0, {.records = 3});
    bench.append(1);
    bench.flush();
    bench.log.hurt_from = 6;
    for (const std::int64_t from : {6, 7, 11}) {
        CAPTURE(from);
        const auto got = bench.fetch({.partitions = {{0, from}, {1, 0}}, .wait_ms = 10'000});
        REQUIRE(got.size() == 2);
        CHECK(got[0].error == ErrorCode::none);
        CHECK(got[0].offsets == Offsets{from});
        const auto gap = wire::BatchView::parse(got[0].records);
        REQUIRE(gap);
        CHECK(gap->header().record_count == 0);
        CHECK(gap->header().next_offset() == 12);
        CHECK(got[0].high_watermark == 12);
        CHECK(got[1].offsets == Offsets{0});
    }
    CHECK(bench.fetch({.partitions = {{0, 0}}})[0].offsets == Offsets{0, 3});
    CHECK(bench.fetch({.partitions = {{0, 12}}})[0].offsets.empty());
    bench.append(0);  // and from there on as ever
    bench.flush();
    bench.log.hurt_from = INT64_MAX;
    CHECK(bench.fetch({.partitions = {{0, 12}}})[0].offsets == Offsets{12});
}

TEST_CASE(
    "fetch: aborted transactions are null for read_uncommitted and empty for read_committed") {
    FetchBench bench;
    bench.append(0);
    bench.flush();
    for (const std::int8_t isolation : {std::int8_t{0}, std::int8_t{1}}) {
        const auto id = bench.open();
        bench.send(id, fetch_frame({.isolation = isolation}));
        const auto response = bench.answer<Response>(id, 12);
        const auto topic = response.responses.front();
        const auto partition = topic.partitions.front();
        CHECK(partition.aborted_transactions.is_null() == (isolation == 0));
        CHECK(partition.last_stable_offset == 1);
        CHECK(partition.preferred_read_replica == -1);
    }
}

TEST_CASE("fetch: waits of half a second end together, never late and at most 25 ms early") {
    FetchBench bench;
    std::vector<std::pair<session::SessionId, Instant>> waiting;
    for (int i = 0; i < 100; ++i) {
        waiting.emplace_back(bench.open(), bench.now + milliseconds(500));
        bench.send(waiting.back().first, fetch_frame({.partitions = {{0, 0}}, .wait_ms = 500}));
        bench.advance(1);
    }
    int wakes = 0;
    for (std::size_t answered = 0; answered < waiting.size(); ++wakes) {
        REQUIRE(bench.api.deadline() >= waiting[answered].second - milliseconds(25));
        REQUIRE(bench.api.deadline() <= waiting[answered].second);
        bench.advance((bench.api.deadline() - bench.now).count());
        while (answered < waiting.size() && !bench.take(waiting[answered].first).empty())
            ++answered;
    }
    CHECK(wakes <= 5);
}

TEST_CASE("fetch: a thousand long polls cost nothing while nothing comes") {
    FetchBench bench;
    std::vector<session::SessionId> ids;
    for (int i = 0; i < 1000; ++i) {
        ids.push_back(bench.open());
        bench.send(ids.back(), fetch_frame({.partitions = {{i % 3, 0}}, .wait_ms = 30'000}));
    }
    CHECK(bench.api.parked().fetches == 1000);
    bench.append(1);
    bench.flush();
    CHECK(bench.log.reads_started == 333);
    CHECK(bench.api.parked().fetches == 667);
}
