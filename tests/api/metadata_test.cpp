#include "sdk/wire/api/03_metadata.hpp"

#include "sdk/wire/api/60_describe_cluster.hpp"
#include "tests/api/bench.hpp"

using namespace leat;
using namespace leat::test;
using wire::ErrorCode;

namespace {

wire::MetadataRequest::MetadataRequestTopic named(wire::StringView name) {
    wire::MetadataRequest::MetadataRequestTopic topic;
    topic.name = name;
    return topic;
}

}  // namespace

TEST_CASE("metadata: byte for byte, v1 of one topic") {
    ApiBench bench;
    bench.topic("t");
    const auto id = bench.open();
    bench.send(id, from_hex("00000012 0003 0001 00000007 0001 74 00000001 0001 74"));
    CHECK(to_hex(bench.take(id)) ==
          "00000041"
          "00000007"
          "00000001"
          "00000000"
          "0001"
          "68"
          "00002384"
          "ffff"
          "00000000"
          "00000001"
          "0000"
          "0001"
          "74"
          "00"
          "00000001"
          "0000"
          "00000000"
          "00000000"
          "00000001"
          "00000000"
          "00000001"
          "00000000");
}

TEST_CASE("metadata: node 0 is broker and controller, the cluster id is there") {
    ApiBench bench;
    const auto* made = bench.topic("t", 3);
    for (std::int16_t version = 0; version <= 13; ++version) {
        CAPTURE(version);
        const auto asked = named("t");
        wire::MetadataRequest request;
        request.topics = std::span(&asked, 1);
        const auto response = bench.call<wire::MetadataResponse>(request, version);
        CHECK(response.brokers.size() == 1);
        CHECK(response.brokers.front().node_id == 0);
        CHECK(response.brokers.front().host.view() == "h");
        CHECK(response.brokers.front().port == 9092);
        if (version >= 1) CHECK(response.controller_id == 0);
        if (version >= 2) CHECK(response.cluster_id.view() == "c");
        const auto topic = response.topics.front();
        CHECK(topic.partitions.size() == 3);
        if (version >= 10) CHECK(topic.topic_id.bytes == made->id);
        for (const auto& partition : topic.partitions) {
            CHECK(partition.leader_id == 0);
            CHECK(partition.leader_epoch == (version >= 7 ? 0 : -1));
            CHECK(partition.replica_nodes.size() == 1);
            CHECK(partition.isr_nodes.front() == 0);
        }
        CHECK(topic.topic_authorized_operations == INT32_MIN);
        CHECK(response.cluster_authorized_operations == INT32_MIN);
    }
}

TEST_CASE("metadata: who asks what it may do is told: all, as there is no authorizer") {
    constexpr std::int32_t of_topic = 3576, of_cluster = 8096;  // as Kafka 4.3 says
    ApiBench bench;
    bench.topic("t");
    std::vector<wire::MetadataRequest::MetadataRequestTopic> asked(2);
    asked[0].name = "t";
    asked[1].name = "a b";
    wire::MetadataRequest request;
    request.topics = asked;
    request.include_topic_authorized_operations = true;
    request.include_cluster_authorized_operations = true;
    for (std::int16_t version = 8; version <= 13; ++version) {
        CAPTURE(version);
        const auto response = bench.call<wire::MetadataResponse>(request, version);
        for (const auto& topic : response.topics)
            CHECK(topic.topic_authorized_operations == of_topic);
        CHECK(response.cluster_authorized_operations == (version <= 10 ? of_cluster : INT32_MIN));
    }
    wire::DescribeClusterRequest cluster;
    cluster.include_cluster_authorized_operations = true;
    for (std::int16_t version = 0; version <= 2; ++version)
        CHECK(bench.call<wire::DescribeClusterResponse>(cluster, version)
                  .cluster_authorized_operations == of_cluster);
}

TEST_CASE("metadata: null means all; empty means all in v0 and none from v1") {
    ApiBench bench;
    bench.topic("a");
    bench.topic("b");
    wire::MetadataRequest request;
    CHECK(bench.call<wire::MetadataResponse>(request, 0).topics.size() == 2);
    CHECK(bench.call<wire::MetadataResponse>(request, 1).topics.empty());
    request.topics = nullptr;
    for (std::int16_t version = 1; version <= 12; ++version)
        CHECK(bench.call<wire::MetadataResponse>(request, version).topics.size() == 2);
}

TEST_CASE("metadata: a topic that may be created is, and is answered once it is durable") {
    ApiBench bench;
    bench.log.auto_flush = false;
    const auto asked = named("new");
    wire::MetadataRequest request;
    request.topics = std::span(&asked, 1);
    const auto id = bench.open();
    bench.send(id, request_frame(request, 9));
    CHECK(bench.take(id).empty());
    CHECK(bench.log.flush_soon_calls > 0);
    const auto other = bench.open();  // asks for the same while it is not durable: waits too
    bench.send(other, request_frame(request, 9));
    CHECK(bench.take(other).empty());
    bench.flush();
    CHECK(bench.answer<wire::MetadataResponse>(id, 9).topics.front().error_code == ErrorCode::none);
    const auto response = bench.answer<wire::MetadataResponse>(other, 9);
    const auto topic = response.topics.front();
    CHECK(topic.partitions.size() == 1);
}

TEST_CASE(
    "metadata: nothing is created when the client or the broker says no, nor under a bad name") {
    ApiBench bench;
    const auto asked = named("new");
    wire::MetadataRequest request;
    request.topics = std::span(&asked, 1);
    request.allow_auto_topic_creation = false;
    CHECK(bench.call<wire::MetadataResponse>(request, 9).topics.front().error_code ==
          ErrorCode::unknown_topic_or_partition);
    const auto bad = named("a b");
    request.topics = std::span(&bad, 1);
    request.allow_auto_topic_creation = true;
    CHECK(bench.call<wire::MetadataResponse>(request, 9).topics.front().error_code ==
          ErrorCode::invalid_topic_exception);
    api::Settings settings = ApiBench::default_settings();
    settings.auto_create_topics = false;
    ApiBench strict(settings);
    request.topics = std::span(&asked, 1);
    CHECK(strict.call<wire::MetadataResponse>(request, 9).topics.front().error_code ==
          ErrorCode::unknown_topic_or_partition);
    CHECK(bench.topics.registry.all().empty());
    CHECK(strict.topics.registry.all().empty());
}

TEST_CASE("metadata: by id in v12, an unknown id has its own error") {
    ApiBench bench;
    const auto* made = bench.topic("t");
    bench.topic("other");
    std::vector<wire::MetadataRequest::MetadataRequestTopic> asked(3);
    asked[2].topic_id.bytes = made->id;  // as Kafka: the name beside an id is not looked at
    asked[2].name = "other";
    asked[0].topic_id.bytes = made->id;
    asked[0].name = nullptr;
    asked[1].topic_id.bytes[3] = 9;
    asked[1].name = nullptr;
    wire::MetadataRequest request;
    request.topics = asked;
    const auto id = bench.open();
    bench.send(id, request_frame(request, 12));
    const auto response = bench.answer<wire::MetadataResponse>(id, 12);
    auto at = response.topics.begin();
    CHECK(at->name.view() == "t");
    ++at;
    CHECK(at->error_code == ErrorCode::unknown_topic_id);
    CHECK(at->name.is_null());
    ++at;
    CHECK(at->name.view() == "t");
}

TEST_CASE("metadata: before v12 there are neither ids nor missing names, whatever the fields say") {
    ApiBench bench;
    const auto* made = bench.topic("t");
    for (std::int16_t version = 10; version <= 11; ++version)
        for (const bool by_id : {true, false}) {
            std::vector<wire::MetadataRequest::MetadataRequestTopic> asked(2);
            asked[0].name = "t";
            if (by_id)
                asked[1].topic_id.bytes = made->id, asked[1].name = "t";
            else
                asked[1].name = nullptr;
            wire::MetadataRequest request;
            request.topics = asked;
            const auto response = bench.call<wire::MetadataResponse>(request, version);
            REQUIRE(response.topics.size() == 2);
            for (const auto& one : response.topics)
                CHECK(one.error_code == ErrorCode::invalid_request);
        }
}

TEST_CASE("metadata: what is named twice is told once; an internal topic is one before it exists") {
    ApiBench bench;
    bench.topic("t");
    std::vector<wire::MetadataRequest::MetadataRequestTopic> asked(3);
    asked[0].name = asked[2].name = "t";
    asked[1].name = "__consumer_offsets";
    wire::MetadataRequest request;
    request.topics = asked;
    request.allow_auto_topic_creation = false;
    for (const bool create : {false, true}) {
        request.allow_auto_topic_creation = create;
        const auto response = bench.call<wire::MetadataResponse>(request, 12);
        REQUIRE(response.topics.size() == 2);
        auto at = response.topics.begin();
        CHECK_FALSE(at->is_internal);
        ++at;
        CHECK(at->is_internal);
        CHECK(at->error_code ==
              (create ? ErrorCode::none : ErrorCode::unknown_topic_or_partition));
    }
    CHECK(bench.topics.registry.find("__consumer_offsets")->config.compacted());
}

TEST_CASE("describe cluster: one broker; a controller endpoint is not here") {
    ApiBench bench;
    for (std::int16_t version = 0; version <= 1; ++version) {
        wire::DescribeClusterRequest request;
        const auto id = bench.open();
        bench.send(id, request_frame(request, version));
        const auto response = bench.answer<wire::DescribeClusterResponse>(id, version);
        CHECK(response.error_code == ErrorCode::none);
        CHECK(response.cluster_id.view() == "c");
        CHECK(response.controller_id == 0);
        CHECK(response.brokers.front().host.view() == "h");
        CHECK(response.cluster_authorized_operations == INT32_MIN);
        CHECK(response.error_message.is_null());
    }
    wire::DescribeClusterRequest request;
    request.endpoint_type = 2;
    CHECK(bench.call<wire::DescribeClusterResponse>(request, 1).error_code ==
          ErrorCode::mismatched_endpoint_type);
}
