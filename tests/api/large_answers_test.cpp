// A small request may ask for much: what it names a thousand times is told once, and an answer that
// nobody could want is not made.
#include "broker/api/answer.hpp"
#include "sdk/wire/api/08_offset_commit.hpp"
#include "sdk/wire/api/09_offset_fetch.hpp"
#include "sdk/wire/api/15_describe_groups.hpp"
#include "sdk/wire/api/32_describe_configs.hpp"
#include "sdk/wire/api/61_describe_producers.hpp"
#include "sdk/wire/api/69_consumer_group_describe.hpp"
#include "tests/api/turns.hpp"

using namespace leat;
using namespace leat::test;
using wire::ErrorCode;

TEST_CASE("large answers: a group that is named a thousand times is told once") {
    ApiBench bench;
    bench.topic("t");
    wire::OffsetCommitRequest::OffsetCommitRequestPartition position;
    position.committed_offset = 5;
    wire::OffsetCommitRequest::OffsetCommitRequestTopic topic;
    topic.name = "t";
    topic.partitions = std::span(&position, 1);
    wire::OffsetCommitRequest commit;
    commit.group_id = "g";
    commit.topics = std::span(&topic, 1);
    (void)bench.call<wire::OffsetCommitResponse>(commit, 8);

    std::vector<wire::StringView> names(1'000, "g");
    names.back() = "nobody";
    wire::DescribeGroupsRequest describe;
    describe.groups = names;
    const auto classic = bench.call<wire::DescribeGroupsResponse>(describe, 6);
    REQUIRE(classic.groups.size() == 2);
    CHECK(classic.groups.front().error_code == ErrorCode::none);

    wire::ConsumerGroupDescribeRequest describe_consumers;
    describe_consumers.group_ids = names;
    const auto consumers = bench.call<wire::ConsumerGroupDescribeResponse>(describe_consumers, 1);
    CHECK(consumers.groups.size() == 2);

    std::vector<wire::OffsetFetchRequest::OffsetFetchRequestGroup> groups(1'000);
    for (auto& one : groups) {
        one.group_id = "g";
        one.topics = nullptr;
    }
    wire::OffsetFetchRequest fetch;
    fetch.groups = groups;
    for (std::int16_t version = 8; version <= 10; ++version) {
        const auto fetched = bench.call<wire::OffsetFetchResponse>(fetch, version);
        REQUIRE(fetched.groups.size() == 1);
        CHECK(fetched.groups.front().topics.size() == 1);
    }
}

TEST_CASE("large answers: a partition that is named a thousand times is told once") {
    ApiBench bench;
    bench.topic("t", 2);
    std::vector<std::int32_t> partitions(1'000, 0);
    partitions.back() = 1;
    const wire::DescribeProducersRequest::TopicRequest asked{"t", partitions};
    wire::DescribeProducersRequest producers;
    producers.topics = std::span(&asked, 1);
    const auto told = bench.call<wire::DescribeProducersResponse>(producers, 0);
    CHECK(told.topics.front().partitions.size() == 2);
}

TEST_CASE("large answers: beyond what an answer may have the connection is closed, at no cost") {
    ApiBench bench;
    constexpr std::size_t count = 60'000;  // with texts some hundred bytes each
    std::vector<std::string> names;
    for (std::size_t i = 0; i < count; ++i) names.push_back("g" + std::to_string(i));
    std::vector<wire::DescribeConfigsRequest::DescribeConfigsResource> resources(count);
    for (std::size_t i = 0; i < count; ++i) {
        resources[i].resource_type = 32;  // a group need not be there to have settings
        resources[i].resource_name = names[i];
        resources[i].configuration_keys = nullptr;
    }
    wire::DescribeConfigsRequest configs;
    configs.resources = resources;
    configs.include_synonyms = configs.include_documentation = true;
    const auto id = bench.open();
    bench.send(id, request_frame(configs, 4));
    CHECK(bench.take(id).empty());
    CHECK(bench.closed(id));
    CHECK(bench.pool.counters().response_bytes == 0);
    CHECK(bench.pool.counters().peak < api::answer_bytes_max + 8 * MiB);
}

TEST_CASE("large answers: nor is one made at one go that is too large") {
    ApiBench bench;
    bench.topic("t");
    const std::string text(4'000, 'x');
    wire::OffsetCommitRequest::OffsetCommitRequestPartition position;
    position.committed_metadata = text;
    wire::OffsetCommitRequest::OffsetCommitRequestTopic topic;
    topic.name = "t";
    topic.partitions = std::span(&position, 1);
    wire::OffsetCommitRequest commit;
    commit.group_id = "g";
    commit.topics = std::span(&topic, 1);
    (void)bench.call<wire::OffsetCommitResponse>(commit, 8);

    const std::vector<std::int32_t> partitions(20'000, 0);  // 80 kB that ask for 80 MB
    wire::OffsetFetchRequest::OffsetFetchRequestTopic asked;
    asked.name = "t";
    asked.partition_indexes = partitions;
    wire::OffsetFetchRequest fetch;
    fetch.group_id = "g";
    fetch.topics = std::span(&asked, 1);
    const auto id = bench.open();
    bench.send(id, request_frame(fetch, 7));
    CHECK(bench.take(id).empty());
    CHECK(bench.closed(id));
    CHECK(bench.pool.counters().peak < 4 * MiB);
}

TEST_CASE("large answers: one of megabytes is sent in the pieces that it was gathered in") {
    ApiBench bench;
    std::vector<std::string> names;
    for (std::size_t i = 0; i < 6'000; ++i) names.push_back("g" + std::to_string(i));
    std::vector<wire::DescribeConfigsRequest::DescribeConfigsResource> resources(names.size());
    for (std::size_t i = 0; i < names.size(); ++i) {
        resources[i].resource_type = 32;
        resources[i].resource_name = names[i];
        resources[i].configuration_keys = nullptr;
    }
    wire::DescribeConfigsRequest configs;
    configs.include_synonyms = configs.include_documentation = true;
    for (const std::int16_t version : {3, 4})  // one more group changes how long its number is
        for (const std::size_t count : {1, 126, 127, 6'000}) {
            INFO("version=", version, " count=", count);
            configs.resources = std::span(resources).first(count);
            const auto id = bench.open();
            bench.send(id, request_frame(configs, version));
            Bytes frame;
            for (ByteView piece = bench.sessions.poll_write(id); !piece.empty();
                 piece = bench.sessions.poll_write(id)) {
                CHECK(piece.size() <= 1 * MiB);
                frame.insert(frame.end(), piece.begin(), piece.end());
                bench.sessions.sent(bench.now, id, piece.size());
            }
            if (count == 6'000) CHECK(frame.size() > 2 * MiB);
            const auto told =
                ApiBench::decode_answer<wire::DescribeConfigsResponse>(frame, version);
            REQUIRE(told.results.size() == count);
            std::size_t at = 0, right = 0;
            for (const auto& result : told.results)
                right += result.resource_name.view() == names[at++] && result.configs.size() > 1;
            CHECK(right == count);
            CHECK(bench.pool.counters().response_bytes == 0);
        }
}

TEST_CASE("large answers: the positions of a group are told in turns, all of them or those named") {
    constexpr std::size_t count = 2'000;
    ApiBench bench;
    bench.log.streams_max = 2 * count;
    std::vector<std::string> names;
    for (std::size_t i = 0; i < count; ++i) names.push_back("t" + std::to_string(10'000 + i));
    for (const std::string& name : names) bench.topic(name);
    wire::OffsetCommitRequest::OffsetCommitRequestPartition position;
    position.committed_offset = 5;
    std::vector<wire::OffsetCommitRequest::OffsetCommitRequestTopic> topics(count);
    std::vector<wire::OffsetFetchRequest::OffsetFetchRequestTopic> asked(count);
    std::vector<wire::OffsetFetchRequest::OffsetFetchRequestTopics> asked_of_group(count);
    const std::int32_t first = 0;
    for (std::size_t i = 0; i < count; ++i) {
        topics[i].name = asked[i].name = asked_of_group[i].name = names[i];
        topics[i].partitions = std::span(&position, 1);
        asked[i].partition_indexes = asked_of_group[i].partition_indexes = std::span(&first, 1);
    }
    wire::OffsetCommitRequest commit;
    commit.group_id = "g";
    commit.topics = topics;
    bench.hold_turns = true;
    const auto id = bench.open();
    bench.send(id, request_frame(commit, 8));
    (void)turns_until_answered(bench, id, [] {});
    (void)bench.take(id);

    const auto all_right = [&](const auto& told) {
        std::size_t at = 0;
        for (const auto& topic : told)
            if (topic.name.view() != names[at++] || topic.partitions.size() != 1 ||
                topic.partitions.front().committed_offset != 5)
                return false;
        return at == count;
    };
    wire::OffsetFetchRequest::OffsetFetchRequestGroup group;
    group.group_id = "g";
    wire::OffsetFetchRequest fetch;
    fetch.group_id = "g";
    fetch.groups = std::span(&group, 1);
    for (const std::int16_t version : {5, 7, 8, 9})
        for (const bool named : {true, false}) {
            INFO("version=", version, " named=", named);
            fetch.topics = nullptr;
            group.topics = nullptr;
            if (named) fetch.topics = asked;
            if (named) group.topics = asked_of_group;
            bench.send(id, request_frame(fetch, version));
            CHECK(turns_until_answered(bench, id, [] {}) >= int(count) / 64);
            const auto told = bench.answer<wire::OffsetFetchResponse>(id, version);
            CHECK((version < 8 ? all_right(told.topics)
                               : told.groups.size() == 1 && all_right(told.groups.front().topics)));
        }
}
