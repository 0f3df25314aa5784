// Leader epochs as clients see them (KIP-320): told in answers, checked in requests.
#include "sdk/wire/api/02_list_offsets.hpp"
#include "sdk/wire/api/03_metadata.hpp"
#include "sdk/wire/api/23_offset_for_leader_epoch.hpp"
#include "sdk/wire/api/75_describe_topic_partitions.hpp"
#include "tests/api/fetch_bench.hpp"

using namespace leat;
using namespace leat::test;

namespace {

/// Partition 0 of "t": offsets 0 to 2 in epoch 0, 3 and 4 in epoch 2; this run is epoch 3.
struct EpochBench : FetchBench {
    EpochBench() : FetchBench(2) {
        for (const std::int32_t epoch : {0, 2}) {
            log.leader_epoch = epoch;
            topics::Topics run(log, entropy, {});
            REQUIRE(run.registry.load());
            REQUIRE(run.append(now, wall, *run.registry.find("t"), 0,
                               make_batch({.records = epoch == 0 ? 3 : 2,
                                           .timestamp = 1'700'000'000'000 + epoch}),
                               9)
                        .error == ErrorCode::none);
        }
        log.leader_epoch = 3;
        flush();
    }

    struct Ends {
        ErrorCode error;
        std::int32_t epoch;
        std::int64_t end;
        bool operator==(const Ends&) const = default;
    };
    Ends end_of(std::int32_t epoch, std::int32_t current = -1, std::int16_t version = 4,
                const char* name = "t", std::int32_t partition = 0) {
        wire::OffsetForLeaderEpochRequest::OffsetForLeaderPartition asked;
        asked.partition = partition;
        asked.current_leader_epoch = current;
        asked.leader_epoch = epoch;
        wire::OffsetForLeaderEpochRequest::OffsetForLeaderTopic topic;
        topic.topic = name;
        topic.partitions = std::span(&asked, 1);
        wire::OffsetForLeaderEpochRequest request;
        request.topics = std::span(&topic, 1);
        const auto response = call<wire::OffsetForLeaderEpochResponse>(request, version);
        const auto told = response.topics.front();
        CHECK(told.topic.view() == name);
        const auto one = told.partitions.front();
        CHECK(one.partition == partition);
        return {one.error_code, one.leader_epoch, one.end_offset};
    }
};

struct Told {
    ErrorCode error;
    wire::FetchResponse::EpochEndOffset diverging;
    std::size_t bytes;
    std::int64_t high_watermark;
};
Told fetch_one(EpochBench& bench, std::int64_t offset, std::int32_t current, std::int32_t last,
               std::int16_t version = 12) {
    wire::FetchRequest::FetchPartition one;
    one.fetch_offset = offset;
    one.current_leader_epoch = current;
    one.last_fetched_epoch = last;
    one.partition_max_bytes = 1 << 20;
    wire::FetchRequest::FetchTopic topic;
    topic.topic = "t";
    topic.partitions = std::span(&one, 1);
    wire::FetchRequest request;
    request.max_wait_ms = 60'000;  // whatever has to be said is said at once
    request.min_bytes = 1;
    request.topics = std::span(&topic, 1);
    const auto response = bench.call<wire::FetchResponse>(request, version);
    const auto answered = response.responses.front();
    const auto got = answered.partitions.front();
    return {got.error_code, got.diverging_epoch, got.records.view().size(), got.high_watermark};
}

}  // namespace

TEST_CASE("epochs: key 23 says where an epoch ended, in every version") {
    EpochBench bench;
    for (std::int16_t version = 2; version <= 4; ++version) {
        CAPTURE(version);
        using Ends = EpochBench::Ends;
        CHECK(bench.end_of(0, -1, version) == Ends{ErrorCode::none, 0, 3});
        CHECK(bench.end_of(1, 3, version) == Ends{ErrorCode::none, 0, 3});
        CHECK(bench.end_of(2, 3, version) == Ends{ErrorCode::none, 2, 5});
        CHECK(bench.end_of(3, 3, version) == Ends{ErrorCode::none, 3, 5});
        CHECK(bench.end_of(4, 3, version) == Ends{ErrorCode::none, -1, -1});
        CHECK(bench.end_of(0, 2, version) == Ends{ErrorCode::fenced_leader_epoch, -1, -1});
        CHECK(bench.end_of(0, 4, version) == Ends{ErrorCode::unknown_leader_epoch, -1, -1});
        const Ends unknown{ErrorCode::unknown_topic_or_partition, -1, -1};
        CHECK(bench.end_of(0, -1, version, "t", 2) == unknown);
        CHECK(bench.end_of(0, -1, version, "t", -1) == unknown);
        CHECK(bench.end_of(0, -1, version, "no such") == unknown);
    }
    // An empty partition: all epochs end where it begins.
    CHECK(bench.end_of(1, -1, 4, "t", 1) == EpochBench::Ends{ErrorCode::none, 1, 0});
    CHECK(bench.end_of(3, -1, 4, "t", 1) == EpochBench::Ends{ErrorCode::none, 3, 0});
}

TEST_CASE("epochs: metadata and key 75 name the current one") {
    EpochBench bench;
    wire::MetadataRequest::MetadataRequestTopic asked;
    asked.name = "t";
    wire::MetadataRequest request;
    request.topics = std::span(&asked, 1);
    for (std::int16_t version = 7; version <= 12; ++version) {
        const auto response = bench.call<wire::MetadataResponse>(request, version);
        const auto topic = response.topics.front();
        for (const auto& partition : topic.partitions) CHECK(partition.leader_epoch == 3);
    }
    const auto described = bench.call<wire::DescribeTopicPartitionsResponse>(
        wire::DescribeTopicPartitionsRequest{}, 0);
    const auto topic = described.topics.front();
    CHECK(topic.partitions.size() == 2);
    for (const auto& partition : topic.partitions) CHECK(partition.leader_epoch == 3);
}

TEST_CASE("epochs: list offsets tells the record's epoch and checks the leader's") {
    EpochBench bench;
    struct Case {
        std::int64_t target, offset;
        std::int32_t epoch;
    };
    for (std::int16_t version = 4; version <= 11; ++version)
        for (const Case& one :
             {Case{-1, 5, 3}, Case{-2, 0, 0}, Case{-3, 3, 2}, Case{-4, 0, 0}, Case{-5, -1, -1},
              Case{-6, -1, -1}, Case{1'700'000'000'001, 3, 2}, Case{1'700'000'000'009, -1, -1}})
            for (const std::int32_t current : {-1, 2, 3, 4}) {
                CAPTURE(version);
                CAPTURE(one.target);
                wire::ListOffsetsRequest::ListOffsetsPartition partition;
                partition.timestamp = one.target;
                partition.current_leader_epoch = current;
                wire::ListOffsetsRequest::ListOffsetsTopic topic;
                topic.name = "t";
                topic.partitions = std::span(&partition, 1);
                wire::ListOffsetsRequest request;
                request.topics = std::span(&topic, 1);
                const auto response = bench.call<wire::ListOffsetsResponse>(request, version);
                const auto answered = response.topics.front();
                const auto got = answered.partitions.front();
                const int since = one.target == -6   ? 11
                                  : one.target == -5 ? 9
                                  : one.target == -4 ? 8
                                  : one.target == -3 ? 7
                                                     : 1;
                const ErrorCode error = version < since ? ErrorCode::unsupported_version
                                        : current == 2  ? ErrorCode::fenced_leader_epoch
                                        : current == 4  ? ErrorCode::unknown_leader_epoch
                                                        : ErrorCode::none;
                CHECK(got.error_code == error);
                CHECK(got.offset == (error == ErrorCode::none ? one.offset : -1));
                CHECK(got.leader_epoch == (error == ErrorCode::none ? one.epoch : -1));
            }
}

TEST_CASE("epochs: a fetch under another leader is refused at once; batches carry theirs") {
    EpochBench bench;
    for (std::int16_t version = 9; version <= 12; ++version) {
        CHECK(fetch_one(bench, 0, 2, -1, version).error == ErrorCode::fenced_leader_epoch);
        CHECK(fetch_one(bench, 0, 4, -1, version).error == ErrorCode::unknown_leader_epoch);
        CHECK(fetch_one(bench, 0, 3, -1, version).bytes > 0);
        CHECK(fetch_one(bench, 0, -1, -1, version).bytes > 0);
    }
    const auto got = bench.fetch({});
    ByteView records = got[0].records;
    std::vector<std::int32_t> epochs;
    while (!records.empty()) {
        const auto batch = wire::BatchView::parse(records);
        REQUIRE(batch);
        epochs.push_back(batch->header().partition_leader_epoch);
        records = records.subspan(batch->whole().size());
    }
    CHECK(epochs == std::vector<std::int32_t>{0, 2});
}

TEST_CASE("epochs: a reader that was ahead of a log which lost its tail is told where it parts") {
    EpochBench bench;
    // Epoch 0 ended at 3: who has read up to 3 of it goes on, who has read further diverges.
    CHECK(fetch_one(bench, 3, 3, 0).bytes > 0);
    const Told ahead = fetch_one(bench, 4, 3, 0);
    CHECK(ahead.error == ErrorCode::none);
    CHECK(ahead.bytes == 0);
    CHECK(ahead.high_watermark == 5);
    CHECK(ahead.diverging.epoch == 0);
    CHECK(ahead.diverging.end_offset == 3);
    // Even far behind the log's end it is this, and not "out of range".
    CHECK(fetch_one(bench, 900, 3, 2).diverging.end_offset == 5);
    CHECK(fetch_one(bench, 900, 3, 2).error == ErrorCode::none);
    CHECK(fetch_one(bench, 4, 3, 2).bytes > 0);
    CHECK(fetch_one(bench, 4, 3, 4).error == ErrorCode::offset_out_of_range);  // not yet
    CHECK(fetch_one(bench, 900, 3, -1).error == ErrorCode::offset_out_of_range);
    CHECK(fetch_one(bench, 4, 3, 0, 11).bytes > 0);  // older requests do not say
}
