// compression.type of a topic: what it keeps is compressed so, whatever the producer chose, and is
// the same records from the same producer all the same.
#include "sdk/compression/compression.hpp"
#include "sdk/wire/api/00_produce.hpp"
#include "tests/api/fetch_bench.hpp"

namespace leat::test {
namespace {

using Produced = wire::ProduceResponse;
constexpr const char* words[] = {"uncompressed", "gzip", "snappy", "lz4", "zstd"};

Bytes packed(Codec codec, const BatchSpec& spec) {
    Bytes plain = make_batch(spec);
    if (codec == Codec::none) return plain;
    const auto view = wire::BatchView::parse(plain);
    Bytes records;
    REQUIRE(compression::compress(codec, view->records(), records));
    wire::BatchHeader header = view->header();
    header.attributes = static_cast<std::int16_t>(codec);
    Bytes batch(wire::batch_header_size + records.size());
    wire::seal_batch_header(header, records, batch.data());
    copy_bytes(records, MutableBytes(batch).subspan(wire::batch_header_size));
    return batch;
}

/// The records as they were before any compression.
Bytes expanded(const wire::BatchView& batch) {
    Bytes out;
    REQUIRE(compression::decompress(batch.codec(), batch.records(), out, 64 * MiB));
    return out;
}

struct RecodingBench : FetchBench {
    explicit RecodingBench(const char* word, const char* stamps = "CreateTime",
                           const char* policy = "drop-oldest")
        : FetchBench(1) {
        topics::TopicConfig config = topics.registry.new_config();
        REQUIRE(config.set("compression.type", word).empty());
        REQUIRE(config.set("message.timestamp.type", stamps).empty());
        REQUIRE(config.set("leat.full.policy", policy).empty());
        REQUIRE(topics.registry.create(now, "c", 2, config));
        flush();
    }
    session::SessionId produce(const Bytes& batch, std::int32_t partition = 0) {
        const auto id = open();
        send(id, produce_frame(batch, 1, 60'000, partition, "c"));
        return id;
    }
    Produced::PartitionProduceResponse told(session::SessionId id) {
        const auto topic = answer<Produced>(id, 9).responses.front();
        return topic.partition_responses.front();
    }
    Bytes stored(std::int64_t offset = 0, std::int32_t partition = 0) {
        flush();
        auto got = fetch({.partitions = {{partition, offset}}, .topic = "c"});
        REQUIRE(got.size() == 1);
        return std::move(got.front().records);
    }
};

}  // namespace

TEST_CASE("recoding: from each codec to each the records, the producer and the offsets stay") {
    for (int to = 0; to < 5; ++to)
        for (int from = 0; from < 5; ++from) {
            CAPTURE(to);
            CAPTURE(from);
            RecodingBench bench(words[to]);
            const BatchSpec spec{.records = 300,
                                 .timestamp_step = 7,
                                 .value_bytes = 200,
                                 .producer_id = 9,
                                 .epoch = 3,
                                 .sequence = 0};
            const Bytes sent = packed(static_cast<Codec>(from), spec);
            CHECK(bench.told(bench.produce(sent)).base_offset == 0);
            CHECK(bench.told(bench.produce(sent)).base_offset == 0);  // a duplicate
            BatchSpec next = spec;
            next.sequence = 300;
            CHECK(bench.told(bench.produce(packed(static_cast<Codec>(from), next))).base_offset ==
                  300);
            const Bytes stored = bench.stored();
            const auto batch = wire::BatchView::parse(stored), was = wire::BatchView::parse(sent);
            REQUIRE(batch);
            CHECK(batch->crc_ok());
            CHECK(batch->codec() == static_cast<Codec>(to));
            CHECK(expanded(*batch) == expanded(*was));
            if (from == to) CHECK(batch->whole().size() == sent.size());
            const wire::BatchHeader &a = batch->header(), &b = was->header();
            CHECK(a.producer_id == b.producer_id);
            CHECK(a.producer_epoch == b.producer_epoch);
            CHECK(a.base_sequence == b.base_sequence);
            CHECK(a.last_offset_delta == b.last_offset_delta);
            CHECK(a.record_count == b.record_count);
            CHECK(a.base_timestamp == b.base_timestamp);
            CHECK(a.max_timestamp == b.max_timestamp);
        }
}

TEST_CASE("recoding: a batch that was recoded takes the broker's time stamps like any other") {
    RecodingBench bench("gzip", "LogAppendTime");
    const auto told = bench.told(bench.produce(packed(Codec::none, {.records = 3})));
    CHECK(told.log_append_time_ms == bench.wall.time_since_epoch().count());
    const Bytes stored = bench.stored();
    const auto batch = wire::BatchView::parse(stored);
    REQUIRE(batch);
    CHECK(batch->crc_ok());
    CHECK(batch->codec() == Codec::gzip);
    CHECK(batch->header().is_log_append_time());
    CHECK(batch->header().max_timestamp == told.log_append_time_ms);
}

TEST_CASE("recoding: max.message.bytes holds for what is stored") {
    RecodingBench bench("uncompressed");
    const BatchSpec large{.records = 2'000, .value_bytes = 1'000};
    const auto told = bench.told(bench.produce(packed(Codec::zstd, large)));
    CHECK(told.error_code == ErrorCode::message_too_large);
    CHECK(bench.stored().empty());
}

TEST_CASE("recoding: what is held beside the requests is bounded, and everything comes through") {
    RecodingBench bench("uncompressed");
    bench.hold_work = true;
    std::vector<session::SessionId> ids;
    const BatchSpec spec{.records = 100, .value_bytes = 5'000};  // 3 KB that become half a megabyte
    for (int i = 0; i < 12; ++i)
        ids.push_back(bench.produce(packed(Codec::gzip, spec), i % 2));
    const auto other = bench.open();
    bench.send(other, bench.produce_frame(packed(Codec::gzip, {}), 1));  // of topic t
    // Four megabytes of at most half a one each, and the one of t that needs nothing.
    const std::size_t begun = bench.works.size();
    CHECK(begun == 9);
    CHECK(bench.works.back().id == 13);
    bench.finish_work(begun - 1);
    bench.settle();
    CHECK(bench.told(other).error_code == ErrorCode::none);
    for (int i = 0; i < 200 && !bench.works.empty(); ++i) {
        bench.finish_work(bench.works.size() - 1);  // the newest first
        bench.settle();
    }
    for (const auto id : ids) CHECK(bench.told(id).error_code == ErrorCode::none);
    CHECK(bench.api.parked().produces == 0);
}

TEST_CASE("recoding: who waits for a full log does not keep others from being recoded") {
    RecodingBench bench("uncompressed", "CreateTime", "block");
    topics::TopicConfig config = bench.topics.registry.new_config();
    REQUIRE(config.set("compression.type", "uncompressed").empty());
    REQUIRE(bench.topics.registry.create(bench.now, "d", 1, config));
    bench.flush();
    bench.log.is_full = true;
    const BatchSpec spec{.records = 100, .value_bytes = 5'000};
    std::vector<session::SessionId> waiting;
    for (int i = 0; i < 2; ++i) waiting.push_back(bench.produce(packed(Codec::gzip, spec)));
    const auto third = bench.produce(packed(Codec::gzip, spec));  // above a megabyte in all
    CHECK(bench.told(third).error_code == ErrorCode::not_enough_replicas);
    bench.log.is_full = false;
    for (int i = 0; i < 8; ++i) {
        const auto id = bench.open();
        bench.send(id, bench.produce_frame(packed(Codec::gzip, spec), 1, 1'000, 0, "d"));
        CHECK(bench.told(id).error_code == ErrorCode::none);
    }
    bench.log.free_room();
    bench.settle();
    for (const auto id : waiting) CHECK(bench.told(id).error_code == ErrorCode::none);
}

}  // namespace leat::test
