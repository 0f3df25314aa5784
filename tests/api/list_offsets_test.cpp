#include "sdk/wire/api/02_list_offsets.hpp"

#include "tests/api/fetch_bench.hpp"
#include "tests/api/turns.hpp"

using namespace leat;
using namespace leat::test;

namespace {

session::SessionId send(FetchBench& bench, std::int64_t target) {
    wire::ListOffsetsRequest::ListOffsetsPartition partition;
    partition.timestamp = target;
    wire::ListOffsetsRequest::ListOffsetsTopic topic;
    topic.name = "t";
    topic.partitions = std::span(&partition, 1);
    wire::ListOffsetsRequest request;
    request.topics = std::span(&topic, 1);
    const auto id = bench.open();
    bench.send(id, request_frame(request, 7));
    return id;
}

wire::ListOffsetsResponse::ListOffsetsPartitionResponse answer(FetchBench& bench,
                                                               session::SessionId id) {
    const auto response = bench.answer<wire::ListOffsetsResponse>(id, 7);
    const auto answered = response.topics.front();
    return answered.partitions.front();
}

wire::ListOffsetsResponse::ListOffsetsPartitionResponse ask(FetchBench& bench,
                                                            std::int64_t target) {
    return answer(bench, send(bench, target));
}

}  // namespace

TEST_CASE("list offsets: the largest timestamp is a record's, not its batch's") {
    FetchBench bench;
    bench.append(0, {.records = 3, .timestamp = 1'700'000'000'300, .timestamp_step = -100});
    bench.flush();
    const auto one = ask(bench, -3);
    CHECK(one.offset == 0);
    CHECK(one.timestamp == 1'700'000'000'300);
}

TEST_CASE("list offsets: of the largest timestamp, only records that are still there count") {
    FetchBench bench;
    const log::StreamId stream = bench.topics.registry.find("t")->partitions[0];
    bench.append(0, {.timestamp = 1'700'000'500'000});
    bench.append(0, {.timestamp = 1'700'000'000'100});
    bench.append(0, {.timestamp = 1'700'000'000'200});
    bench.append(0, {.timestamp = 1'700'000'000'050});
    bench.flush();
    CHECK(ask(bench, -3).offset == 0);
    REQUIRE(bench.log.set_log_start(bench.now, stream, 1));
    bench.flush();
    const auto one = ask(bench, -3);
    CHECK(one.offset == 2);
    CHECK(one.timestamp == 1'700'000'000'200);
    REQUIRE(bench.log.set_log_start(bench.now, stream, 4));
    bench.flush();
    const auto none = ask(bench, -3);
    CHECK(none.offset == -1);
    CHECK(none.timestamp == -1);
}

TEST_CASE("list offsets: names and timestamps, per version") {
    FetchBench bench;
    bench.append(0, {.timestamp = 1'700'000'000'100});
    bench.append(0, {.timestamp = 1'700'000'000'300});
    bench.flush();
    struct Case {
        std::int64_t target, offset, timestamp;
    };
    for (std::int16_t version = 1; version <= 7; ++version)
        for (const Case& one :
             {Case{-1, 2, -1}, Case{-2, 0, -1}, Case{1'700'000'000'200, 1, 1'700'000'000'300},
              Case{1'700'000'000'301, -1, -1}, Case{0, 0, 1'700'000'000'100},
              Case{-3, 1, 1'700'000'000'300}}) {
            CAPTURE(version);
            CAPTURE(one.target);
            wire::ListOffsetsRequest::ListOffsetsPartition partition;
            partition.timestamp = one.target;
            wire::ListOffsetsRequest::ListOffsetsTopic topic;
            topic.name = "t";
            topic.partitions = std::span(&partition, 1);
            wire::ListOffsetsRequest request;
            request.topics = std::span(&topic, 1);
            const auto id = bench.open();
            bench.send(id, request_frame(request, version));
            const auto response = bench.answer<wire::ListOffsetsResponse>(id, version);
            const auto answered = response.topics.front();
            const auto got = answered.partitions.front();
            if (one.target == -3 && version < 7) {
                CHECK(got.error_code == ErrorCode::unsupported_version);
                continue;
            }
            CHECK(got.error_code == ErrorCode::none);
            CHECK(got.offset == one.offset);
            CHECK(got.timestamp == one.timestamp);
            CHECK(got.leader_epoch == (version >= 4 && one.offset >= 0 ? 0 : -1));
        }
}

TEST_CASE("list offsets: the largest timestamp waits for its commit") {
    FetchBench bench;
    bench.log.auto_flush = false;
    bench.append(0, {.timestamp = 1'700'000'000'100});
    const auto id = send(bench, -3);
    CHECK(bench.take(id).empty());
    bench.flush();
    CHECK(answer(bench, id).offset == 0);
}

TEST_CASE("list offsets: the end waits for what was acknowledged, and for nothing else") {
    FetchBench bench;
    bench.log.auto_flush = false;
    const auto producer = bench.open();
    bench.send(producer, bench.produce_frame(make_batch({.records = 2}), -1));
    CHECK(answer(bench, send(bench, -1)).offset == 0);  // nobody was told of them yet
    bench.send(producer, bench.produce_frame(make_batch({.records = 3}), 1));
    const auto id = send(bench, -1), by_time = send(bench, 0);
    CHECK(bench.take(id).empty());
    CHECK(bench.take(by_time).empty());
    bench.flush();
    CHECK(answer(bench, id).offset == 5);
    CHECK(answer(bench, by_time).offset == 0);
    // What the log gave up has no end to wait for.
    bench.send(producer, bench.produce_frame(make_batch({.records = 3}), 0));
    const auto other = send(bench, -1);
    CHECK(bench.take(other).empty());
    bench.log.give_up();
    bench.settle();
    CHECK(answer(bench, other).offset == 5);
}

TEST_CASE("list offsets: a partition named twice is refused both times, the others are not") {
    FetchBench bench;
    bench.append(0, {});
    bench.flush();
    std::vector<wire::ListOffsetsRequest::ListOffsetsPartition> partitions(3);
    for (auto& one : partitions) one.timestamp = -2;
    partitions[1].partition_index = 1;
    wire::ListOffsetsRequest::ListOffsetsTopic topic;
    topic.name = "t";
    topic.partitions = partitions;
    wire::ListOffsetsRequest request;
    request.topics = std::span(&topic, 1);
    const auto response = bench.call<wire::ListOffsetsResponse>(request, 7);
    const auto told = response.topics.front();
    REQUIRE(told.partitions.size() == 3);
    for (const auto& one : told.partitions)
        CHECK(one.error_code ==
              (one.partition_index == 0 ? ErrorCode::invalid_request : ErrorCode::none));
}

TEST_CASE("list offsets: a name that the version does not have is told before what is asked for") {
    FetchBench bench;
    wire::ListOffsetsRequest::ListOffsetsPartition partition;
    wire::ListOffsetsRequest::ListOffsetsTopic topic;
    topic.name = "nobody";
    topic.partitions = std::span(&partition, 1);
    wire::ListOffsetsRequest request;
    request.topics = std::span(&topic, 1);
    constexpr std::int16_t since[] = {1, 1, 7, 8, 9, 11, 99};  // -1, -2 and so on
    for (std::int16_t version = 1; version <= 11; ++version)
        for (std::int64_t name = -1; name >= -7; --name) {
            CAPTURE(version);
            CAPTURE(name);
            partition.timestamp = name;
            const auto response = bench.call<wire::ListOffsetsResponse>(request, version);
            const auto answered = response.topics.front();
            CHECK(answered.partitions.front().error_code ==
                  (version < since[-name - 1] ? ErrorCode::unsupported_version
                                              : ErrorCode::unknown_topic_or_partition));
        }
}

TEST_CASE("list offsets: of thousands, the next on the connection does not wait for the log") {
    constexpr std::int32_t many = 5'000;
    FetchBench bench;
    bench.topic("large", many);
    bench.log.auto_flush = false;
    const auto producer = bench.open(), id = bench.open();
    bench.send(producer, bench.produce_frame(make_batch({.records = 3}), 1));
    std::vector<wire::ListOffsetsRequest::ListOffsetsPartition> partitions(many);
    for (std::int32_t i = 0; i < many; ++i)
        partitions[static_cast<std::size_t>(i)] = {.partition_index = i, .timestamp = -1};
    const std::vector<wire::ListOffsetsRequest::ListOffsetsPartition> one{{.timestamp = -1}};
    std::vector<wire::ListOffsetsRequest::ListOffsetsTopic> topics(2);
    topics[0].name = "large";
    topics[0].partitions = partitions;
    topics[1].name = "t";  // its end is acknowledged, and not durable
    topics[1].partitions = one;
    wire::ListOffsetsRequest request;
    request.topics = topics;
    bench.send(id, request_frame(request, 7));
    bench.send(id, bench.produce_frame(make_batch({.records = 4}), -1));
    CHECK(bench.take(id).empty());
    const auto stream = bench.topics.registry.find("t")->partitions[0];
    CHECK(bench.log.stream(stream)->log_end == 7);
    bench.flush();
    CHECK_FALSE(bench.take(id).empty());
}

TEST_CASE("list offsets: thousands of partitions are looked at in turns, and told whole") {
    constexpr std::int32_t many = 5'000;
    constexpr std::size_t small = 500;
    FetchBench bench;
    bench.topic("large", many);
    std::vector<std::string> names;
    for (std::size_t i = 0; i < small; ++i) {
        names.push_back("small." + std::to_string(i));
        bench.topic(names.back());
    }
    std::vector<wire::ListOffsetsRequest::ListOffsetsPartition> partitions(many + 2);
    for (std::int32_t i = 0; i < many; ++i)
        partitions[static_cast<std::size_t>(i)] = {.partition_index = i, .timestamp = -1};
    partitions[many] = {.partition_index = 7, .timestamp = -1};  // a second time
    partitions[many + 1] = {.partition_index = many, .timestamp = -1};
    std::vector<wire::ListOffsetsRequest::ListOffsetsTopic> topics(small + 1);
    topics[0].name = "large";
    topics[0].partitions = partitions;
    for (std::size_t i = 0; i < small; ++i) {
        topics[i + 1].name = names[i];
        topics[i + 1].partitions = std::span(partitions).first(1);
    }
    wire::ListOffsetsRequest request;
    request.topics = topics;
    for (const std::int16_t version : {5, 7}) {
        CAPTURE(version);
        bench.hold_turns = true;
        const auto id = bench.open();
        bench.send(id, request_frame(request, version));
        CHECK(turns_until_answered(bench, id, [] {}) >= 30);
        bench.hold_turns = false;
        const auto response = bench.answer<wire::ListOffsetsResponse>(id, version);
        REQUIRE(response.topics.size() == topics.size());
        std::size_t at = 0;
        for (const auto& topic : response.topics) {
            CHECK(topic.name.view() == topics[at].name.view());
            std::int32_t index = 0;
            if (at++ != 0) CHECK(topic.partitions.size() == 1);
            for (const auto& one : topic.partitions) {
                const std::int32_t number = index++;
                const bool twice = at == 1 && (number == 7 || number == many);
                const bool missing = number == many + 1;
                CHECK(one.partition_index == (number < many ? number : missing ? many : 7));
                CHECK(one.error_code == (twice     ? ErrorCode::invalid_request
                                         : missing ? ErrorCode::unknown_topic_or_partition
                                                   : ErrorCode::none));
                CHECK(one.offset == (twice || missing ? -1 : 0));
            }
        }
    }
    CHECK(bench.pool.counters().request_bytes == 0);
}
