// Compressed batches are validated beside the loop: here in whatever order the test wants.
#include "broker/api/judging.hpp"

#include <random>

#include "sdk/compression/compression.hpp"
#include "tests/api/bench.hpp"

using namespace leat;
using namespace leat::test;
using wire::ErrorCode;
using Response = wire::ProduceResponse;

namespace {

Bytes sealed(const wire::BatchHeader& like, Codec codec, ByteView records) {
    Bytes batch(wire::batch_header_size + records.size());
    copy_bytes(records, MutableBytes(batch).subspan(wire::batch_header_size));
    wire::BatchHeader header = like;
    header.attributes = static_cast<std::int16_t>(codec);
    wire::seal_batch_header(header, records, batch.data());
    return batch;
}

Bytes packed(Codec codec, const BatchSpec& spec) {
    const Bytes plain = make_batch(spec);
    if (codec == Codec::none) return plain;
    const auto view = wire::BatchView::parse(plain);
    Bytes records;
    REQUIRE(compression::compress(codec, view->records(), records));
    return sealed(view->header(), codec, records);
}

struct JudgingBench : ApiBench {
    JudgingBench() {
        topic("t", 3);
        log.auto_flush = false;
        hold_work = true;
    }
    Response::PartitionProduceResponse one_answer(session::SessionId id) {
        const auto response = answer<Response>(id, 9);
        REQUIRE(response.responses.size() == 1);
        const auto topic = response.responses.front();
        REQUIRE(topic.partition_responses.size() == 1);
        return topic.partition_responses.front();
    }
    session::SessionId produce(Codec codec, std::int32_t partition, int records = 1,
                               std::int16_t acks = 1) {
        const session::SessionId id = open();
        send(id, produce_frame(packed(codec, {.records = records}), acks, 60'000, partition));
        return id;
    }
    void finish(std::size_t index) {
        finish_work(index);
        settle();
    }
    log::Offset end(std::size_t partition) {
        return log.stream(topics.registry.find("t")->partitions[partition])->log_end;
    }
};

}  // namespace

TEST_CASE("judging: a partition keeps the order of arrival, whichever work ends first") {
    JudgingBench bench;
    const auto a = bench.produce(Codec::gzip, 0, 2), plain = bench.produce(Codec::none, 0, 3),
               b = bench.produce(Codec::zstd, 0, 5), other = bench.produce(Codec::lz4, 1);
    const auto free = bench.produce(Codec::none, 2);
    CHECK(bench.one_answer(free).base_offset == 0);  // nobody stands before it
    REQUIRE(bench.works.size() == 3);                // nothing is computed for the plain one
    bench.finish(1);
    CHECK(bench.end(0) == 0);
    CHECK(bench.take(plain).empty());
    bench.finish(1);
    CHECK(bench.one_answer(other).base_offset == 0);  // passes those of partition 0
    CHECK(bench.end(0) == 0);
    bench.finish(0);
    CHECK(bench.one_answer(a).base_offset == 0);
    CHECK(bench.one_answer(plain).base_offset == 2);
    CHECK(bench.one_answer(b).base_offset == 5);
    CHECK(bench.end(0) == 10);
    CHECK(bench.api.parked().produces == 0);
    CHECK(bench.pool.counters().request_bytes == 0);
}

TEST_CASE("judging: a request of several partitions waits for its place in each, and keeps it") {
    JudgingBench bench;
    const auto a = bench.produce(Codec::gzip, 0), b = bench.produce(Codec::gzip, 1);
    const Bytes batch = make_batch({.records = 4});
    std::vector<wire::ProduceRequest::PartitionProduceData> data(2);
    data[0].index = 0;
    data[1].index = 1;
    data[0].records = data[1].records = batch;
    wire::ProduceRequest::TopicProduceData topic;
    topic.name = "t";
    topic.partition_data = data;
    wire::ProduceRequest request;
    request.acks = 1;
    request.topic_data = std::span(&topic, 1);
    const auto both = bench.open();
    bench.send(both, request_frame(request, 9));
    const auto behind = bench.produce(Codec::none, 0);
    bench.finish(0);
    CHECK(bench.one_answer(a).base_offset == 0);
    CHECK(bench.take(behind).empty());  // not first: `both` waits for partition 1 before it
    bench.finish(0);
    CHECK(bench.one_answer(b).base_offset == 0);
    const auto response = bench.answer<Response>(both, 9);
    const auto answered = response.responses.front();
    for (const auto& partition : answered.partition_responses) CHECK(partition.base_offset == 1);
    CHECK(bench.one_answer(behind).base_offset == 5);
}

TEST_CASE("judging: bad batches are refused as when they are judged at once, word for word") {
    JudgingBench bench;
    const Bytes plain = make_batch({.records = 20, .value_bytes = 100});
    const wire::BatchHeader header = wire::BatchView::parse(plain)->header();
    const ByteView plain_records = wire::BatchView::parse(plain)->records();
    std::vector<Bytes> bad;
    for (const Codec codec : {Codec::gzip, Codec::snappy, Codec::lz4, Codec::zstd}) {
        Bytes records;
        REQUIRE(compression::compress(codec, plain_records, records));
        bad.push_back(sealed(header, codec, plain_records));  // not compressed at all
        bad.push_back(sealed(header, codec, ByteView(records).first(records.size() / 2)));
        auto fewer = header;
        fewer.record_count = 19, fewer.last_offset_delta = 18;
        bad.push_back(sealed(fewer, codec, records));
        bad.push_back(sealed(header, codec, records));
        bad.back()[70] ^= 1;                                              // the CRC
        REQUIRE(compression::compress(codec, Bytes(33 * MiB), records));  // a bomb
        if (records.size() < MiB) bad.push_back(sealed(header, codec, records));
    }
    bad.push_back(sealed(header, static_cast<Codec>(6), plain_records));
    const topics::Topic& topic = *bench.topics.registry.find("t");
    for (const Bytes& batch : bad) {
        const topics::Append expected =
            bench.topics.append(bench.now, bench.wall, topic, 0, batch, 9);
        REQUIRE(expected.error != ErrorCode::none);
        const auto id = bench.open();
        bench.send(id, bench.produce_frame(batch, -1));
        REQUIRE(bench.works.size() == 1);
        bench.finish(0);
        const auto answer = bench.one_answer(id);
        CHECK(answer.error_code == expected.error);
        CHECK(answer.error_message.view() == expected.message);
        bench.sessions.closed(bench.now, id);
    }
    CHECK(bad.size() >= 19);
    CHECK(bench.end(0) == 0);
}

TEST_CASE("judging: acks=0 has no answer, and a refused batch closes the connection") {
    JudgingBench bench;
    const auto good = bench.produce(Codec::gzip, 0, 1, 0);
    auto wrong = packed(Codec::gzip, {});
    wrong.back() ^= 1;
    const auto bad = bench.open();
    bench.send(bad, bench.produce_frame(wrong, 0));
    bench.finish(0);
    bench.finish(0);
    CHECK(bench.take(good).empty());
    CHECK_FALSE(bench.closed(good));
    CHECK(bench.closed(bad));
    CHECK(bench.end(0) == 1);
}

TEST_CASE("judging: a session that closes takes nothing back, and its bytes stay for the work") {
    JudgingBench bench;
    const auto gone = bench.open();
    const BatchSpec large{
        .records = 50, .value_bytes = 100, .producer_id = 1, .epoch = 0, .sequence = 0};
    bench.send(gone, bench.produce_frame(packed(Codec::snappy, large), 0));
    const std::size_t held = bench.pool.counters().request_bytes;
    CHECK(held > 256);
    bench.sessions.closed(bench.now, gone);
    bench.settle();
    CHECK(bench.pool.counters().request_bytes == held);
    // It sends again over a new connection: recognised, and not refused as out of sequence.
    const auto again = bench.open();
    bench.send(again, bench.produce_frame(packed(Codec::snappy, large), 1));
    bench.finish(1);
    CHECK(bench.take(again).empty());
    bench.finish(0);
    CHECK(bench.one_answer(again).base_offset == 0);
    CHECK(bench.end(0) == 50);
    CHECK(bench.topics.counters().duplicates == 1);
    CHECK(bench.pool.counters().request_bytes == 0);
    CHECK(bench.api.parked().produces == 0);
}

TEST_CASE("judging: one connection's requests stay in order, and so do its answers") {
    JudgingBench bench;
    const auto id = bench.open();
    for (std::int32_t i = 0; i < 4; ++i)
        bench.send(id, bench.produce_frame(packed(i % 2 == 0 ? Codec::zstd : Codec::none,
                                                  {.producer_id = 1, .epoch = 0, .sequence = i}),
                                           1, 60'000));
    CHECK(bench.works.size() == 1);  // held: the next one is not looked at yet
    bench.finish(0);
    bench.flush();
    REQUIRE(bench.works.size() == 1);
    bench.finish(0);
    bench.flush();
    CHECK(bench.end(0) == 4);
    CHECK(bench.topics.counters().refused == 0);
    CHECK(bench.works.empty());
}

TEST_CASE(
    "judging: at the stop who waits is refused; bytes under a running work stay until its end") {
    JudgingBench bench;
    const auto running = bench.produce(Codec::gzip, 0), behind = bench.produce(Codec::none, 0);
    const auto large = bench.open();
    bench.send(large,
               bench.produce_frame(packed(Codec::snappy, {.records = 50, .value_bytes = 100}), -1));
    REQUIRE(bench.works.size() == 2);
    CHECK(bench.pool.counters().request_bytes > 0);
    bench.api.stop(bench.now, bench.wall);
    bench.settle();
    for (const auto id : {running, behind, large})
        CHECK(bench.one_answer(id).error_code == ErrorCode::request_timed_out);
    CHECK(bench.pool.counters().request_bytes > 0);
    bench.finish(1);
    bench.finish(0);
    CHECK(bench.pool.counters().request_bytes == 0);
    CHECK(bench.api.parked().produces == 0);
    CHECK(bench.end(0) == 0);
}

TEST_CASE("judging: 300 random schedules, with a log that is often full: offsets follow arrival") {
    std::mt19937 random(5);
    const auto below = [&](std::size_t bound) { return random() % bound; };
    const Codec codecs[] = {Codec::none, Codec::gzip, Codec::snappy, Codec::lz4, Codec::zstd};
    std::size_t overtaken = 0;
    for (int round = 0; round < 300; ++round) {
        JudgingBench bench;
        bench.log.group_batches_max = 1 + below(4);
        struct Sent {
            session::SessionId id;
            log::Offset due;
        };
        std::vector<Sent> sent;
        log::Offset next[3] = {};
        const std::size_t count = 2 + below(12);
        while (sent.size() < count || !bench.works.empty() || bench.api.parked().produces != 0) {
            if (sent.size() < count && below(2) == 0) {
                const std::size_t partition = below(3);
                const int records = 1 + static_cast<int>(below(4));
                sent.push_back(
                    {bench.produce(codecs[below(5)], static_cast<std::int32_t>(partition), records),
                     next[partition]});
                next[partition] += records;
            } else if (!bench.works.empty() && below(3) != 0) {
                const std::size_t index = below(bench.works.size());
                overtaken += index > 0;
                bench.finish(index);
            } else {
                bench.flush();
            }
        }
        for (const Sent& one : sent) {
            const auto answer = bench.one_answer(one.id);
            REQUIRE(answer.error_code == ErrorCode::none);
            REQUIRE(answer.base_offset == one.due);
        }
        REQUIRE(bench.pool.counters().request_bytes == 0);
    }
    CHECK(overtaken > 300);
}
