#include <doctest/doctest.h>

#include "broker/topics/record_times.hpp"
#include "broker/topics/topics.hpp"
#include "sdk/compression/compression.hpp"
#include "tests/support/batches.hpp"
#include "tests/support/fake_log.hpp"
#include "tests/support/test_entropy.hpp"

using namespace leat;
using namespace leat::topics;
using test::BatchSpec;
using test::make_batch;
using wire::ErrorCode;

namespace {

struct Bench {
    Bench()
        : topics(log, entropy, {}),
          topic(*topics.registry.create(now, "t", 2, topics.registry.new_config())) {
        flush();
    }
    Append append(const BatchSpec& spec) {
        return topics.append(now, wall, *topic, 0, make_batch(spec), 9);
    }
    void flush() { log.on_storage(now); }
    /// The log gives up what is not durable, and the topics hear of it.
    void give_up() {
        log.give_up();
        hear_of_it();
    }
    void hear_of_it() {
        while (const auto lost = log.poll_rolled_back())
            topics.rolled_back(lost->first, lost->last);
    }
    log::StreamId stream() const { return topic->partitions[0]; }

    Instant now = instant_ms(1000);
    WallTime wall = wall_ms(1'700'000'000'000);
    test::FakeLog log;
    test::TestEntropy entropy;
    Topics topics;
    const Topic* topic;
};

/// Three records of producer 7.
BatchSpec of_seven(std::int32_t sequence, std::int16_t epoch = 0) {
    return {.records = 3, .producer_id = 7, .epoch = epoch, .sequence = sequence};
}

}  // namespace

TEST_CASE("append: offsets follow each other, the high watermark only follows the flush") {
    Bench bench;
    CHECK(bench.append({.records = 3}).base_offset == 0);
    CHECK(bench.append({.records = 2}).base_offset == 3);
    CHECK(bench.topics.list_offset(bench.now, bench.stream(), ListOffsetsKind::latest).offset == 0);
    CHECK_FALSE(bench.topics.poll_advance());
    CHECK(bench.log.flush_soon_calls == 1);
    bench.flush();
    const auto advance = bench.topics.poll_advance();
    REQUIRE(advance);
    CHECK(advance->stream == bench.stream());
    CHECK(advance->bytes == make_batch({.records = 3}).size() + make_batch({.records = 2}).size());
    CHECK_FALSE(bench.topics.poll_advance());
    CHECK(bench.topics.list_offset(bench.now, bench.stream(), ListOffsetsKind::latest).offset == 5);
}

TEST_CASE("append: a duplicate has the original's offset and commit, and nothing is appended") {
    Bench bench;
    const BatchSpec first{.records = 3, .producer_id = 7, .epoch = 0, .sequence = 0};
    const Append original = bench.append(first);
    const Append again = bench.append(first);
    CHECK(again.duplicate);
    CHECK(again.base_offset == original.base_offset);
    CHECK(again.commit == original.commit);
    CHECK(bench.log.stream(bench.stream())->log_end == 3);
    CHECK(bench.append({.records = 1, .producer_id = 7, .epoch = 0, .sequence = 4}).error ==
          ErrorCode::out_of_order_sequence_number);
    CHECK(bench.append({.records = 1, .producer_id = 7, .epoch = 1, .sequence = 0}).base_offset ==
          3);
    CHECK(bench.append(first).error == ErrorCode::invalid_producer_epoch);
    CHECK(bench.topics.counters().duplicates == 1);
    CHECK(bench.topics.counters().refused == 2);
}

TEST_CASE("append: the same producer in two partitions is two producers") {
    Bench bench;
    const auto batch = make_batch({.producer_id = 7, .epoch = 0, .sequence = 0});
    CHECK(bench.topics.append(bench.now, bench.wall, *bench.topic, 0, batch, 9).base_offset == 0);
    const Append other = bench.topics.append(bench.now, bench.wall, *bench.topic, 1, batch, 9);
    CHECK_FALSE(other.duplicate);
    CHECK(other.base_offset == 0);
}

TEST_CASE("append: nothing overtakes a producer's first batch that found no room") {
    Bench bench;
    bench.log.is_full = true;
    CHECK(bench.append(of_seven(0)).error == ErrorCode::not_enough_replicas);
    CHECK(bench.append(of_seven(3)).error == ErrorCode::out_of_order_sequence_number);
    bench.log.is_full = false;  // while the next ones were under way
    CHECK(bench.append(of_seven(6)).error == ErrorCode::out_of_order_sequence_number);
    CHECK(bench.append(of_seven(0)).base_offset == 0);
    CHECK(bench.append(of_seven(3)).base_offset == 3);
    CHECK(bench.append(of_seven(6)).base_offset == 6);
    // Who was never refused may begin anywhere, as with Kafka; so may a new epoch.
    CHECK(bench.append({.records = 1, .producer_id = 8, .epoch = 0, .sequence = 9}).base_offset ==
          9);
    bench.log.is_full = true;
    CHECK(bench.append({.records = 1, .producer_id = 9, .epoch = 0, .sequence = 0}).error ==
          ErrorCode::not_enough_replicas);
    bench.log.is_full = false;
    CHECK(bench.append({.records = 1, .producer_id = 9, .epoch = 1, .sequence = 0}).base_offset ==
          10);
}

TEST_CASE("append: nothing overtakes a producer's first batch that the log took back") {
    Bench bench;
    for (int times = 0; times < 2; ++times) {  // and again, when it came again
        CHECK(bench.append(of_seven(0)).base_offset == 0);
        CHECK(bench.append(of_seven(3)).base_offset == 3);
        bench.give_up();
        CHECK(bench.append(of_seven(6)).error == ErrorCode::out_of_order_sequence_number);
        CHECK(bench.append(of_seven(3)).error == ErrorCode::out_of_order_sequence_number);
    }
    CHECK(bench.append(of_seven(0)).base_offset == 0);
    CHECK(bench.append(of_seven(3)).base_offset == 3);
    bench.flush();
    // What is durable stays, and what follows it must: only the rest comes again.
    CHECK(bench.append(of_seven(6)).base_offset == 6);
    bench.give_up();
    CHECK(bench.append(of_seven(9)).error == ErrorCode::out_of_order_sequence_number);
    CHECK(bench.append(of_seven(6)).base_offset == 6);
    // Others begin where they like, as with Kafka, and so does a new epoch of who was taken back.
    CHECK(bench.append({.producer_id = 8, .epoch = 0, .sequence = 5}).base_offset == 9);
    CHECK(bench.append({.producer_id = 9, .epoch = 0, .sequence = 0}).base_offset == 10);
    bench.give_up();
    CHECK(bench.append({.producer_id = 9, .epoch = 1, .sequence = 2}).error == ErrorCode::none);
    CHECK(bench.append({.producer_id = 10, .epoch = 0, .sequence = 5}).error == ErrorCode::none);
    CHECK(bench.append({.producer_id = 8, .epoch = 0, .sequence = 5}).error == ErrorCode::none);
}

TEST_CASE("append: a batch refused before the loss of the first is heard of does not hide it") {
    Bench bench;
    CHECK(bench.append(of_seven(0)).base_offset == 0);
    bench.log.give_up();
    bench.log.is_read_only = true;
    CHECK(bench.append(of_seven(3)).error == ErrorCode::kafka_storage_error);
    bench.hear_of_it();
    bench.log.is_read_only = false;
    CHECK(bench.append(of_seven(3)).error == ErrorCode::out_of_order_sequence_number);
    CHECK(bench.append(of_seven(0)).base_offset == 0);
    CHECK(bench.append(of_seven(3)).base_offset == 3);
}

TEST_CASE("append: no room for the fact of a leader epoch is no room, whatever the policy") {
    Bench bench;
    bench.log.leader_epoch = 1;
    bench.log.facts_full = true;
    const Append waits = bench.append({.records = 1});
    CHECK(waits.error == ErrorCode::not_enough_replicas);
    CHECK(waits.soon);  // its oldest records make room
    bench.log.facts_full = false;
    CHECK(bench.append({.records = 1}).base_offset == 0);
}

TEST_CASE("append: what the log says becomes Kafka's answer") {
    Bench bench;
    bench.log.is_full = true;
    CHECK(bench.append({}).error == ErrorCode::not_enough_replicas);
    bench.log.is_full = false;
    bench.log.is_read_only = true;
    CHECK(bench.append({}).error == ErrorCode::kafka_storage_error);
    bench.log.is_read_only = false;
    bench.log.group_batches_max = 1;
    CHECK(bench.append({}).error == ErrorCode::none);
    const Append waits = bench.append({});
    CHECK(waits.again);
    CHECK(waits.error == ErrorCode::none);
    bench.flush();
    CHECK_FALSE(bench.append({}).again);
    bench.log.batch_bytes_max = 100;
    CHECK(bench.append({.value_bytes = 200}).error == ErrorCode::message_too_large);
    CHECK(bench.log.stream(bench.stream())->log_end == 2);
}

TEST_CASE(
    "append: times are judged only while the clock is trusted, and LogAppendTime is stamped") {
    Bench bench;
    const BatchSpec future{.timestamp = 1'700'000'000'000 + 3'600'001};
    CHECK(bench.append(future).error == ErrorCode::invalid_timestamp);
    bench.log.trusted = false;
    CHECK(bench.append(future).error == ErrorCode::none);
    bench.log.trusted = true;
    TopicConfig config = bench.topics.registry.new_config();
    REQUIRE(config.set("message.timestamp.type", "LogAppendTime") == "");
    const Topic* stamped = *bench.topics.registry.create(bench.now, "stamped", 1, config);
    const Append append =
        bench.topics.append(bench.now, bench.wall, *stamped, 0, make_batch(future), 9);
    CHECK(append.error == ErrorCode::none);
    CHECK(append.log_append_time == 1'700'000'000'000);
}

TEST_CASE("append: a header that is wrong about its records' times is made true, as Kafka does") {
    for (const std::int64_t claimed : {std::int64_t{-1}, std::int64_t{5'000'000'000'000}}) {
        CAPTURE(claimed);
        Bench bench;
        std::vector<std::uint8_t> batch =
            make_batch({.records = 3, .timestamp = 1'700'000'000'000, .timestamp_step = 100});
        wire::BatchHeader header = wire::read_batch_header(batch.data());
        header.max_timestamp = claimed;
        wire::seal_batch_header(header, ByteView(batch).subspan(wire::batch_header_size),
                                batch.data());
        CHECK(bench.topics.append(bench.now, bench.wall, *bench.topic, 0, batch, 9).error ==
              ErrorCode::none);
        bench.flush();
        const auto largest =
            bench.topics.list_offset(bench.now, bench.stream(), ListOffsetsKind::max_timestamp);
        CHECK(largest.timestamp == 1'700'000'000'200);
        REQUIRE(bench.log.start_find_time(bench.now, bench.stream(), 1'700'000'000'150));
        const auto found = bench.log.poll_find_time();
        REQUIRE(found);
        REQUIRE(found->found);
        CHECK(found->found->offset == 2);
        std::vector<std::uint8_t> stored(batch.size());
        REQUIRE(bench.log.start_read(bench.now, {.stream = bench.stream(), .from = 0, .until = 3},
                                     stored));
        const auto read = wire::BatchView::parse(stored);
        REQUIRE(read);
        CHECK(read->crc_ok());
        CHECK(read->header().max_timestamp == 1'700'000'000'200);
        CHECK(std::equal(stored.begin() + 61, stored.end(), batch.begin() + 61));
    }
}

TEST_CASE("list offsets: empty, earliest, latest and the largest timestamp") {
    Bench bench;
    CHECK(bench.topics.list_offset(bench.now, bench.stream(), ListOffsetsKind::earliest).offset ==
          0);
    CHECK(bench.topics.list_offset(bench.now, bench.stream(), ListOffsetsKind::max_timestamp)
              .offset == -1);
    bench.append({.timestamp = 1'700'000'000'500});
    bench.append({.timestamp = 1'700'000'000'100});
    CHECK(
        bench.topics.list_offset(bench.now, bench.stream(), ListOffsetsKind::max_timestamp).again);
    bench.flush();
    const auto largest =
        bench.topics.list_offset(bench.now, bench.stream(), ListOffsetsKind::max_timestamp);
    CHECK(largest.offset == 0);
    CHECK(largest.timestamp == 1'700'000'000'500);
}

TEST_CASE("record times: the first record at or after the target, also inside a compressed batch") {
    std::vector<std::uint8_t> plain =
        make_batch({.records = 100, .timestamp = 1000, .timestamp_step = 10, .value_bytes = 2000});
    wire::BatchHeader header = wire::read_batch_header(plain.data());
    header.base_offset = 500;
    wire::seal_batch_header(header, ByteView(plain).subspan(wire::batch_header_size), plain.data());
    for (const Codec codec : {Codec::none, Codec::gzip, Codec::snappy, Codec::lz4, Codec::zstd}) {
        CAPTURE(static_cast<int>(codec));
        std::vector<std::uint8_t> records;
        REQUIRE(compression::compress(codec, ByteView(plain).subspan(wire::batch_header_size),
                                      records));
        std::vector<std::uint8_t> batch(wire::batch_header_size);
        batch.insert(batch.end(), records.begin(), records.end());
        wire::BatchHeader compressed = header;
        compressed.attributes = static_cast<std::int16_t>(codec);
        wire::seal_batch_header(compressed, records, batch.data());
        for (const std::int64_t target : {0, 1000, 1001, 1500, 1990}) {
            const auto found = find_record_time(batch, target, 0);
            REQUIRE(found);
            const std::int64_t expected = std::max<std::int64_t>(0, (target - 1000 + 9) / 10);
            CHECK(found->offset == 500 + expected);
            CHECK(found->timestamp == 1000 + expected * 10);
        }
        CHECK_FALSE(find_record_time(batch, 1991, 0));
        // Of a batch that the log start cuts only what stays is found.
        CHECK(find_record_time(batch, 0, 503)->offset == 503);
        CHECK(find_record_time(batch, 1500, 503)->offset == 550);
        CHECK_FALSE(find_record_time(batch, 0, 600));
    }
}

TEST_CASE("record times: what lies outside its batch's offsets is not found") {
    const std::vector<std::uint8_t> fine = make_batch({.records = 3, .timestamp = 1000});
    const auto found_in = [&](std::int64_t base, std::int32_t last) {
        std::vector<std::uint8_t> batch = fine;
        wire::BatchHeader header = wire::read_batch_header(batch.data());
        header.base_offset = base;
        header.last_offset_delta = last;
        wire::seal_batch_header(header, ByteView(fine).subspan(wire::batch_header_size),
                                batch.data());
        return find_record_time(batch, 1000, base + 2);
    };
    CHECK(found_in(500, 2)->offset == 502);
    CHECK(found_in(INT64_MAX - 3, 2)->offset == INT64_MAX - 1);
    CHECK_FALSE(found_in(500, 1));  // the third record is none of the batch's
    CHECK_FALSE(found_in(-3, 2));
    CHECK_FALSE(found_in(INT64_MAX - 2, 2));
}

TEST_CASE("append: the log is told how long a topic's records may wait for their flush") {
    Bench bench;
    (void)bench.append({});
    CHECK(bench.log.flush_within == milliseconds(-1));
    TopicConfig config = bench.topic->config;
    REQUIRE(config.set("flush.ms", "50").empty());
    REQUIRE(bench.topics.registry.alter(bench.now, *bench.topic, std::move(config)));
    (void)bench.append({});
    CHECK(bench.log.flush_within == milliseconds(50));
}
