// Requests that only tell: log dirs, producers, pages of topics, and what one node has none of.
#include "sdk/wire/api/18_api_versions.hpp"
#include "sdk/wire/api/29_describe_acls.hpp"
#include "sdk/wire/api/30_create_acls.hpp"
#include "sdk/wire/api/31_delete_acls.hpp"
#include "sdk/wire/api/32_describe_configs.hpp"
#include "sdk/wire/api/35_describe_log_dirs.hpp"
#include "sdk/wire/api/43_elect_leaders.hpp"
#include "sdk/wire/api/45_alter_partition_reassignments.hpp"
#include "sdk/wire/api/46_list_partition_reassignments.hpp"
#include "sdk/wire/api/50_describe_user_scram_credentials.hpp"
#include "sdk/wire/api/55_describe_quorum.hpp"
#include "sdk/wire/api/57_update_features.hpp"
#include "sdk/wire/api/61_describe_producers.hpp"
#include "sdk/wire/api/74_list_config_resources.hpp"
#include "sdk/wire/api/75_describe_topic_partitions.hpp"
#include "tests/api/turns.hpp"

using namespace leat;
using namespace leat::test;
using wire::ErrorCode;

TEST_CASE("acls: without an authorizer each call says SECURITY_DISABLED in every version") {
    ApiBench bench;
    for (std::int16_t version = 1; version <= 3; ++version) {
        wire::DescribeAclsRequest describe;
        describe.operation = describe.permission_type = describe.resource_type_filter = 1;
        CHECK(bench.call<wire::DescribeAclsResponse>(describe, version).error_code ==
              ErrorCode::security_disabled);
        const std::vector<wire::CreateAclsRequest::AclCreation> rules(2);
        wire::CreateAclsRequest create;
        create.creations = rules;
        const auto created = bench.call<wire::CreateAclsResponse>(create, version);
        REQUIRE(created.results.size() == 2);
        CHECK(created.results.front().error_code == ErrorCode::security_disabled);
        const std::vector<wire::DeleteAclsRequest::DeleteAclsFilter> filters(1);
        wire::DeleteAclsRequest erase;
        erase.filters = filters;
        CHECK(bench.call<wire::DeleteAclsResponse>(erase, version)
                  .filter_results.front()
                  .error_code == ErrorCode::security_disabled);
    }
}

TEST_CASE("log dirs: one directory, the real bytes of each partition, all or those asked for") {
    ApiBench bench;
    const topics::Topic* topic = bench.topic("t", 2);
    bench.topic("u");
    const Bytes batch = make_batch({.records = 3});
    (void)bench.topics.append(bench.now, bench.wall, *topic, 1, batch, 9);
    bench.flush();
    for (std::int16_t version = 1; version <= 5; ++version) {
        wire::DescribeLogDirsRequest request;
        request.topics = nullptr;
        auto response = bench.call<wire::DescribeLogDirsResponse>(request, version);
        REQUIRE(response.results.size() == 1);
        CHECK(response.results.front().topics.size() == 2);
        const std::vector<std::int32_t> partitions{1, 9, 1};
        std::vector<wire::DescribeLogDirsRequest::DescribableLogDirTopic> topics(2);
        topics[0] = {"t", partitions};
        topics[1] = {"nobody", partitions};
        request.topics = topics;
        response = bench.call<wire::DescribeLogDirsResponse>(request, version);
        const auto dir = response.results.front();
        REQUIRE(dir.topics.size() == 1);
        const auto told = dir.topics.front();
        REQUIRE(told.partitions.size() == 1);
        CHECK(told.partitions.front().partition_index == 1);
        CHECK(told.partitions.front().partition_size == static_cast<std::int64_t>(batch.size()));
        if (version < 4) continue;
        CHECK(dir.total_bytes == static_cast<std::int64_t>(bench.log.budget_bytes));
        CHECK(dir.usable_bytes == dir.total_bytes);  // the fake log uses nothing
    }
}

TEST_CASE("log dirs: of thousands of topics each turn tells some, without what is gone by then") {
    ApiBench bench;
    constexpr std::size_t count = 2'000;
    std::vector<std::string> names;
    for (std::size_t i = 0; i < count; ++i)
        bench.topic(names.emplace_back(std::to_string(1000 + i)), 2);
    const std::vector<std::int32_t> partitions{1, 2, 0, 1};
    std::vector<wire::DescribeLogDirsRequest::DescribableLogDirTopic> topics;
    for (std::size_t i = 0; i < count; ++i) topics.push_back({names[count - 1 - i], partitions});
    topics.push_back({names[0], partitions});
    for (const std::int16_t version : {1, 4})
        for (const bool all : {true, false}) {
            CAPTURE(version);
            CAPTURE(all);
            wire::DescribeLogDirsRequest request;
            request.topics = nullptr;
            if (!all) request.topics = topics;
            bench.hold_turns = true;
            const auto id = bench.open();
            bench.send(id, request_frame(request, version));
            const std::string gone = names[count - 1];
            if (const auto* last = bench.topics.registry.find(gone))
                REQUIRE(bench.topics.registry.remove(bench.now, *last));
            CHECK(turns_until_answered(bench, id, [] {}) >= 100);
            bench.hold_turns = false;
            const auto response = bench.answer<wire::DescribeLogDirsResponse>(id, version);
            REQUIRE(response.results.size() == 1);
            const auto dir = response.results.front();
            CHECK(dir.log_dir.view() == "leat");
            REQUIRE(dir.topics.size() == count - 1);
            std::size_t at = 0;
            for (const auto& topic : dir.topics) {
                CHECK(topic.name.view() == names[at++]);
                CHECK(topic.partitions.size() == 2);
            }
            if (version >= 4)
                CHECK(dir.total_bytes == static_cast<std::int64_t>(bench.log.budget_bytes));
        }
    CHECK(bench.pool.counters().request_bytes == 0);
}

TEST_CASE("producers: what a partition remembers of an idempotent producer is told") {
    ApiBench bench;
    const topics::Topic* topic = bench.topic("t");
    (void)bench.topics.append(
        bench.now, bench.wall, *topic, 0,
        make_batch({.records = 3, .producer_id = 77, .epoch = 2, .sequence = 10}), 9);
    const std::vector<std::int32_t> partitions{0, 1};
    const wire::DescribeProducersRequest::TopicRequest asked{"t", partitions};
    wire::DescribeProducersRequest request;
    request.topics = std::span(&asked, 1);
    const auto response = bench.call<wire::DescribeProducersResponse>(request, 0);
    const auto list = response.topics.front().partitions;
    auto at = list.begin();
    REQUIRE(at->active_producers.size() == 1);
    CHECK(at->active_producers.front().producer_id == 77);
    CHECK(at->active_producers.front().producer_epoch == 2);
    CHECK(at->active_producers.front().last_sequence == 12);
    ++at;
    CHECK(at->error_code == ErrorCode::unknown_topic_or_partition);
}

TEST_CASE("describe topic partitions: page after page visits every partition once") {
    ApiBench bench;
    bench.topic("a", 3);
    bench.topic("b", 1);
    bench.topic("c", 4);
    for (std::int32_t limit = 1; limit <= 9; ++limit) {
        CAPTURE(limit);
        std::string cursor_topic;
        wire::DescribeTopicPartitionsRequest request;
        request.response_partition_limit = limit;
        std::string seen;
        int pages = 0;
        for (bool more = true; more; ++pages) {
            REQUIRE(pages < 20);
            const auto response = bench.call<wire::DescribeTopicPartitionsResponse>(request, 0);
            std::int32_t count = 0;
            for (const auto& topic : response.topics)
                for (const auto& partition : topic.partitions) {
                    seen += std::string(topic.name.view()) +
                            std::to_string(partition.partition_index) + " ";
                    ++count;
                }
            CHECK(count <= limit);
            more = response.next_cursor_mark >= 0;
            cursor_topic = response.next_cursor.topic_name.view();
            request.cursor_mark = 1;
            request.cursor = {cursor_topic, response.next_cursor.partition_index};
        }
        CHECK(seen == "a0 a1 a2 b0 c0 c1 c2 c3 ");
        CHECK(pages == (8 + limit - 1) / limit);
    }
}

TEST_CASE("describe topic partitions: a full page ends before the next name, be it there or not") {
    ApiBench bench;
    bench.topic("a", 2);
    bench.topic("c", 1);
    const std::vector<wire::DescribeTopicPartitionsRequest::TopicRequest> names{
        {"a"}, {"b"}, {"c"}};
    wire::DescribeTopicPartitionsRequest request;
    request.topics = names;
    request.response_partition_limit = 2;
    auto response = bench.call<wire::DescribeTopicPartitionsResponse>(request, 0);
    CHECK(response.topics.size() == 1);
    REQUIRE(response.next_cursor_mark >= 0);
    CHECK(response.next_cursor.topic_name.view() == "b");
    CHECK(response.next_cursor.partition_index == 0);
    request.cursor_mark = 1;
    request.cursor = {"b", 0};
    response = bench.call<wire::DescribeTopicPartitionsResponse>(request, 0);
    REQUIRE(response.topics.size() == 2);
    CHECK(response.topics.front().error_code == ErrorCode::unknown_topic_or_partition);
    CHECK(response.next_cursor_mark < 0);
}

TEST_CASE("describe topic partitions: unknown and illegal names, and one name given twice") {
    ApiBench bench;
    bench.topic("t");
    const std::vector<wire::DescribeTopicPartitionsRequest::TopicRequest> names{
        {"t"}, {"nobody"}, {"a b"}, {"t"}};
    wire::DescribeTopicPartitionsRequest request;
    request.topics = names;
    const auto response = bench.call<wire::DescribeTopicPartitionsResponse>(request, 0);
    REQUIRE(response.topics.size() == 3);
    auto at = response.topics.begin();
    CHECK(at->error_code == ErrorCode::invalid_topic_exception);
    ++at;
    CHECK(at->error_code == ErrorCode::unknown_topic_or_partition);
    ++at;
    CHECK(at->error_code == ErrorCode::none);
    CHECK(at->topic_id.bytes == bench.topics.registry.find("t")->id);
    CHECK(at->topic_authorized_operations == 3576);  // asked or not, as Kafka
    CHECK(bench.topics.registry.find("nobody") == nullptr);
}

TEST_CASE("describe topic partitions: a cursor that leads nowhere is INVALID_REQUEST") {
    ApiBench bench;
    bench.topic("t");
    const std::vector<wire::DescribeTopicPartitionsRequest::TopicRequest> names{{"t"}, {"u"}};
    wire::DescribeTopicPartitionsRequest request;
    request.topics = names;
    request.cursor_mark = 1;
    using Cursor = wire::DescribeTopicPartitionsRequest::Cursor;
    for (const Cursor& cursor : {Cursor{"t", -1}, Cursor{"v", 0}}) {
        request.cursor = cursor;
        const auto response = bench.call<wire::DescribeTopicPartitionsResponse>(request, 0);
        REQUIRE(response.topics.size() == 2);
        for (const auto& topic : response.topics)
            CHECK(topic.error_code == ErrorCode::invalid_request);
    }
    request.topics = {};
    request.cursor = {"a", 0};  // of all topics: one that is gone meanwhile
    CHECK(bench.call<wire::DescribeTopicPartitionsResponse>(request, 0).topics.size() == 1);
}

TEST_CASE("leaders: none is ever elected, and who asks is told so as by a Kafka of one node") {
    ApiBench bench;
    bench.topic("t");
    using Request = wire::ElectLeadersRequest;
    const std::int32_t partitions[] = {0, 9};
    const Request::TopicPartitions asked[] = {{"t", partitions},
                                              {"nothere", std::span(partitions, 1)}};
    for (std::int16_t version = 0; version <= 2; ++version) {
        Request request;
        request.topic_partitions = asked;
        const auto codes = [&] {
            const auto response = bench.call<wire::ElectLeadersResponse>(request, version);
            std::vector<ErrorCode> all{response.error_code};
            for (const auto& topic : response.replica_election_results)
                for (const auto& one : topic.partition_result) all.push_back(one.error_code);
            return all;
        };
        using enum ErrorCode;
        CHECK(codes() == std::vector{none, election_not_needed, unknown_topic_or_partition,
                                     unknown_topic_or_partition});
        if (version > 0) {
            request.election_type = 2;
            CHECK(codes() == std::vector(4, invalid_request));
        }
        request = {};
        request.topic_partitions = nullptr;  // of all: only what was elected is told
        CHECK(codes() == std::vector{none});
    }
}

TEST_CASE("reassignments: a plan with all on this node is carried out, no other is") {
    ApiBench bench;
    bench.topic("t");
    using Request = wire::AlterPartitionReassignmentsRequest;
    using Partition = Request::ReassignableTopic::ReassignablePartition;
    const std::int32_t node = ApiBench::default_settings().node_id, here[] = {node, node};
    const std::int32_t there[] = {77};
    const auto only = std::span(here, 1);
    const Partition partitions[] = {{0, only}, {0, nullptr}, {0, std::span(here, 0)},
                                    {0, here}, {0, there}, {9, only}};
    const Request::ReassignableTopic asked[] = {{"t", partitions},
                                                {"nothere", std::span(partitions, 1)}};
    Request request;
    request.topics = asked;
    request.allow_replication_factor_change = false;
    for (std::int16_t version = 0; version <= 1; ++version) {
        const auto response =
            bench.call<wire::AlterPartitionReassignmentsResponse>(request, version);
        CHECK(response.error_code == ErrorCode::none);
        CHECK(response.allow_replication_factor_change == (version == 0));
        std::vector<ErrorCode> codes;
        for (const auto& topic : response.responses)
            for (const auto& one : topic.partition_result) codes.push_back(one.error_code);
        using enum ErrorCode;
        CHECK(codes == std::vector{none, no_reassignment_in_progress, invalid_replica_assignment,
                                   invalid_replica_assignment, invalid_replica_assignment,
                                   unknown_topic_or_partition, unknown_topic_or_partition});
    }
}

TEST_CASE("what one node has none of is answered empty, or by the error tools expect") {
    ApiBench bench;
    bench.topic("t");
    CHECK(bench
              .call<wire::ListPartitionReassignmentsResponse>(
                  wire::ListPartitionReassignmentsRequest{}, 0)
              .topics.empty());
    wire::DescribeUserScramCredentialsRequest users;
    users.users = nullptr;
    // A text where nothing is wrong is empty in Kafka, and not null.
    const auto is_empty = [](const wire::StringView& text) {
        return !text.is_null() && text.view().empty();
    };
    const auto nobody = bench.call<wire::DescribeUserScramCredentialsResponse>(users, 0);
    CHECK(nobody.results.empty());
    CHECK(is_empty(nobody.error_message));
    const wire::DescribeUserScramCredentialsRequest::UserName alice{"alice"};
    users.users = std::span(&alice, 1);
    CHECK(bench.call<wire::DescribeUserScramCredentialsResponse>(users, 0)
              .results.front()
              .error_code == ErrorCode::resource_not_found);
    const wire::UpdateFeaturesRequest::FeatureUpdateKey feature{.feature = "metadata.version",
                                                                .max_version_level = 1};
    wire::UpdateFeaturesRequest update;
    update.feature_updates = std::span(&feature, 1);
    for (std::int16_t version = 0; version <= 2; ++version) {
        const auto refused = bench.call<wire::UpdateFeaturesResponse>(update, version);
        CHECK(refused.error_code == ErrorCode::invalid_update_version);
        CHECK(refused.results.empty());  // as Kafka: one error for all, in the old versions, too
    }
    const wire::DescribeQuorumRequest::TopicData::PartitionData zero{0};
    const wire::DescribeQuorumRequest::TopicData metadata{"__cluster_metadata",
                                                          std::span(&zero, 1)};
    wire::DescribeQuorumRequest quorum;
    quorum.topics = std::span(&metadata, 1);
    for (std::int16_t version = 0; version <= 2; ++version) {
        const auto response = bench.call<wire::DescribeQuorumResponse>(quorum, version);
        const auto one = response.topics.front().partitions.front();
        CHECK(one.error_code == ErrorCode::none);
        CHECK(one.leader_id == 0);
        CHECK(one.current_voters.size() == 1);
        CHECK(response.nodes.size() == (version >= 2 ? 1 : 0));
        if (version >= 2) CHECK(is_empty(response.error_message));
    }
}

TEST_CASE("config resources: v0 lists client metrics, of which there are none; v1 what is asked") {
    ApiBench bench;
    bench.topic("t");
    wire::ListConfigResourcesRequest request;
    CHECK(bench.call<wire::ListConfigResourcesResponse>(request, 0).config_resources.empty());
    CHECK(bench.call<wire::ListConfigResourcesResponse>(request, 1).config_resources.size() == 2);
    std::vector<std::int8_t> types{2};
    request.resource_types = types;
    const auto topics = bench.call<wire::ListConfigResourcesResponse>(request, 1);
    REQUIRE(topics.config_resources.size() == 1);
    CHECK(topics.config_resources.front().resource_name.view() == "t");
    types = {2, 77};
    request.resource_types = types;
    CHECK(bench.call<wire::ListConfigResourcesResponse>(request, 1).error_code ==
          ErrorCode::unsupported_version);
}
