// Requests that change topics which are there: settings, partitions, the log's start.
#include "tests/api/changes.hpp"
#include "sdk/wire/api/21_delete_records.hpp"
#include "sdk/wire/api/32_describe_configs.hpp"
#include "sdk/wire/api/33_alter_configs.hpp"
#include "sdk/wire/api/37_create_partitions.hpp"

using namespace leat;
using namespace leat::test;
using wire::ErrorCode;

namespace {

const topics::TopicConfig& config(const ApiBench& bench) {
    return bench.topics.registry.find("t")->config;
}

Told raise(ApiBench& bench, std::int32_t count, bool validate_only = false, const char* topic = "t",
           const std::vector<std::vector<std::int32_t>>* brokers = nullptr) {
    std::vector<wire::CreatePartitionsRequest::CreatePartitionsAssignment> assignments;
    wire::CreatePartitionsRequest::CreatePartitionsTopic one;
    one.name = topic;
    one.count = count;
    one.assignments = nullptr;
    if (brokers != nullptr) {
        for (const auto& list : *brokers) assignments.push_back({list});
        one.assignments = assignments;
    }
    wire::CreatePartitionsRequest request;
    request.topics = std::span(&one, 1);
    request.validate_only = validate_only;
    const auto response = bench.call<wire::CreatePartitionsResponse>(request, 3);
    const auto result = response.results.front();
    return {result.error_code, std::string(result.error_message.view())};
}

wire::DeleteRecordsResponse::DeleteRecordsPartitionResult delete_to(ApiBench& bench,
                                                                    std::int64_t offset,
                                                                    std::int32_t partition = 0) {
    wire::DeleteRecordsRequest::DeleteRecordsPartition one;
    one.partition_index = partition;
    one.offset = offset;
    wire::DeleteRecordsRequest::DeleteRecordsTopic topic;
    topic.name = "t";
    topic.partitions = std::span(&one, 1);
    wire::DeleteRecordsRequest request;
    request.topics = std::span(&topic, 1);
    const auto id = bench.open();
    bench.send(id, request_frame(request, 2));
    bench.flush();  // what was acknowledged before it
    bench.flush();
    const auto response = bench.answer<wire::DeleteRecordsResponse>(id, 2);
    return response.topics.front().partitions.front();
}

}  // namespace

TEST_CASE("configs: set and delete take effect at once and are answered when durable") {
    ApiBench bench;
    bench.topic("t");
    bench.log.auto_flush = false;
    const auto id = bench.open();
    bench.send(id, change_frame({{"retention.ms", 0, "5000"}, {"max.message.bytes", 0, "100"}}));
    CHECK(bench.take(id).empty());
    CHECK(config(bench).retention() == milliseconds(5000));
    CHECK(bench.topics
              .append(bench.now, bench.wall, *bench.topics.registry.find("t"), 0,
                      make_batch({.records = 50}), 9)
              .error == ErrorCode::message_too_large);
    bench.flush();
    CHECK(bench.answer<wire::IncrementalAlterConfigsResponse>(id, 1).responses.front().error_code ==
          ErrorCode::none);
    CHECK(change(bench, {{"retention.ms", 1}}).error == ErrorCode::none);
    CHECK(config(bench).retention() == topics::TopicConfig().retention());
    CHECK(config(bench).is_override("max.message.bytes"));
}

TEST_CASE("configs: append and subtract work on lists, and on nothing else") {
    ApiBench bench;
    bench.topic("t");
    CHECK(change(bench, {{"cleanup.policy", 2, "compact"}}).error == ErrorCode::none);
    CHECK(config(bench).compacted());
    CHECK(config(bench).deletes());
    CHECK(config(bench).overrides().at("cleanup.policy") == "delete,compact");
    CHECK(change(bench, {{"cleanup.policy", 2, "compact"}}).error == ErrorCode::none);
    CHECK(config(bench).overrides().at("cleanup.policy") == "delete,compact");
    CHECK(change(bench, {{"cleanup.policy", 3, "delete"}}).error == ErrorCode::none);
    CHECK_FALSE(config(bench).deletes());
    CHECK(change(bench, {{"cleanup.policy", 3, "compact"}}).error == ErrorCode::none);
    CHECK(config(bench).overrides().at("cleanup.policy").empty());  // for ever, and not compacted
    const Told told = change(bench, {{"retention.ms", 2, "1"}});
    CHECK(told.error == ErrorCode::invalid_config);
    CHECK(told.message.find("not LIST") != std::string::npos);
    CHECK(config(bench).overrides().size() == 1);
}

TEST_CASE("configs: what is refused says key and range, and changes nothing of that topic") {
    ApiBench bench;
    bench.topic("t");
    const Told told = change(bench, {{"segment.ms", 0, "7"}, {"retention.bytes", 0, "-2"}});
    CHECK(told.error == ErrorCode::invalid_config);
    CHECK(told.message.find("retention.bytes") != std::string::npos);
    CHECK(told.message.find("from -1 to") != std::string::npos);
    CHECK(config(bench).overrides().empty());
    CHECK(change(bench, {{"no.such", 0, "1"}}).error == ErrorCode::invalid_config);
    CHECK(change(bench, {{"no.such", 1}}).error == ErrorCode::none);  // it is not set, as asked
    CHECK(change(bench, {{"compression.type", 0, "none"}}).error == ErrorCode::invalid_config);
    CHECK(change(bench, {{"compression.type", 0, "gzip"}}).error == ErrorCode::none);
    CHECK(change(bench, {{"compression.type", 0, "producer"}}).error == ErrorCode::none);
    CHECK(change(bench, {{"retention.ms", 0}}).error == ErrorCode::invalid_request);  // null
    CHECK(change(bench, {{"retention.ms", 9, "1"}}).error == ErrorCode::invalid_request);
    CHECK(change(bench, {{"retention.ms", 0, "1"}, {"retention.ms", 1}}).error ==
          ErrorCode::invalid_request);
    CHECK(change(bench, {{"retention.ms", 0, "1"}}, false, "nobody").error ==
          ErrorCode::unknown_topic_or_partition);
    CHECK(change(bench, {{"retention.ms", 0, "1"}}, false, "a b").error ==
          ErrorCode::invalid_topic_exception);
    CHECK(change(bench, {{"log.retention.ms", 0, "1"}}, false, "0", 4).error ==
          ErrorCode::invalid_request);
    CHECK(change(bench, {{"leader.replication.throttled.rate", 1}}, false, "0", 4).error ==
          ErrorCode::none);  // it is not set either
    CHECK(change(bench, {{"a", 1}, {"log.retention.ms", 2, "1"}}, false, "0", 4).error ==
          ErrorCode::invalid_request);
    CHECK(change(bench, {{"a", 1}}, false, "1", 4).error == ErrorCode::invalid_request);
    CHECK(change(bench, {{"x", 0, "1"}}, false, "g", 32).error == ErrorCode::invalid_config);
    CHECK(change(bench, {{"x", 0, "1"}}, false, "g", 64).error == ErrorCode::invalid_request);
    CHECK(change(bench, {{"retention.ms", 0, "1"}}, true).error == ErrorCode::none);
    CHECK_FALSE(config(bench).is_override("retention.ms"));  // only validated
}

namespace {

/// "value source" of a topic's setting, as DescribeConfigs tells it.
std::string described(ApiBench& bench, const char* name) {
    wire::DescribeConfigsRequest::DescribeConfigsResource resource;
    resource.resource_type = 2;
    resource.resource_name = "t";
    const wire::StringView keys[] = {name};
    resource.configuration_keys = keys;
    wire::DescribeConfigsRequest request;
    request.resources = std::span(&resource, 1);
    const auto response = bench.call<wire::DescribeConfigsResponse>(request, 4);
    std::string text;
    for (const auto& one : response.results.front().configs)
        text += std::string(one.value.view()) + " " + std::to_string(one.config_source);
    return text;
}

}  // namespace

TEST_CASE("configs: what is kept until it is uplinked, and the lags of compaction, are told back") {
    ApiBench bench;
    bench.topic("t");
    CHECK(described(bench, "leat.retention.uplinked") == "false 5");
    CHECK(change(bench, {{"leat.retention.uplinked", 0, "true"}}).error == ErrorCode::none);
    CHECK(described(bench, "leat.retention.uplinked") == "true 1");
    CHECK(config(bench).until_uplinked());
    CHECK(change(bench, {{"leat.retention.uplinked", 1}}).error == ErrorCode::none);
    CHECK_FALSE(config(bench).until_uplinked());

    CHECK(described(bench, "max.compaction.lag.ms") == "9223372036854775807 5");
    CHECK(change(bench, {{"max.compaction.lag.ms", 0, "5000"}, {"min.compaction.lag.ms", 0, "5000"}})
              .error == ErrorCode::none);
    CHECK(described(bench, "max.compaction.lag.ms") == "5000 1");
    // As Kafka: each of them may be, both may not.
    const Told told = change(bench, {{"min.compaction.lag.ms", 0, "5001"}});
    CHECK(told.error == ErrorCode::invalid_config);
    CHECK(told.message ==
          "conflict topic config setting min.compaction.lag.ms (5001) > max.compaction.lag.ms "
          "(5000)");
    CHECK(described(bench, "min.compaction.lag.ms") == "5000 1");
    CHECK(change(bench, {{"min.compaction.lag.ms", 0, "5001"}, {"max.compaction.lag.ms", 1}})
              .error == ErrorCode::none);
}

TEST_CASE("configs: a change whose commit is given up is undone and says so") {
    ApiBench bench;
    bench.topic("t");
    REQUIRE(change(bench, {{"retention.ms", 0, "1000"}}).error == ErrorCode::none);
    bench.log.auto_flush = false;
    const auto id = bench.open();
    bench.send(id, change_frame({{"retention.ms", 0, "2000"}}));
    const auto again = bench.open();
    bench.send(again, change_frame({{"retention.ms", 0, "2000"}}));  // waits for the first
    CHECK(bench.take(again).empty());
    bench.log.give_up();
    bench.settle();
    for (const auto session : {id, again})
        CHECK(bench.answer<wire::IncrementalAlterConfigsResponse>(session, 1)
                  .responses.front()
                  .error_code == ErrorCode::kafka_storage_error);
    CHECK(config(bench).retention() == milliseconds(1000));
}

TEST_CASE(
    "configs: the old AlterConfigs replaces all there is; a resource given twice is refused") {
    ApiBench bench;
    bench.topic("t");
    REQUIRE(change(bench, {{"retention.ms", 0, "1000"}}).error == ErrorCode::none);
    for (std::int16_t version = 0; version <= 2; ++version) {
        wire::AlterConfigsRequest::AlterConfigsResource::AlterableConfig one;
        one.name = "retention.bytes";
        one.value = "77";
        std::vector<wire::AlterConfigsRequest::AlterConfigsResource> resources(1);
        resources[0].resource_type = 2;
        resources[0].resource_name = "t";
        resources[0].configs = std::span(&one, 1);
        wire::AlterConfigsRequest request;
        request.resources = resources;
        auto response = bench.call<wire::AlterConfigsResponse>(request, version);
        CHECK(response.responses.front().error_code == ErrorCode::none);
        CHECK(config(bench).retention_bytes() == 77);
        CHECK_FALSE(config(bench).is_override("retention.ms"));
        resources.push_back(resources[0]);
        request.resources = resources;
        response = bench.call<wire::AlterConfigsResponse>(request, version);
        REQUIRE(response.responses.size() == 1);
        CHECK(response.responses.front().error_code == ErrorCode::invalid_request);
        std::vector<wire::AlterConfigsRequest::AlterConfigsResource::AlterableConfig> entries(2,
                                                                                              one);
        resources.resize(1);
        resources[0].configs = entries;
        request.resources = resources;
        response = bench.call<wire::AlterConfigsResponse>(request, version);
        CHECK(response.responses.front().error_code == ErrorCode::invalid_request);
        entries.resize(1);
        entries[0].value = nullptr;
        resources[0].configs = entries;
        response = bench.call<wire::AlterConfigsResponse>(request, version);
        CHECK(response.responses.front().error_code == ErrorCode::invalid_request);
        CHECK(config(bench).retention_bytes() == 77);
    }
}

TEST_CASE("create partitions: raised when durable; every refusal has Kafka's code") {
    ApiBench bench;
    bench.topic("t", 2);
    CHECK(raise(bench, 2).error == ErrorCode::invalid_partitions);
    CHECK(raise(bench, 2).message == "Topic already has 2 partition(s).");
    CHECK(raise(bench, 1).message ==
          "The topic t currently has 2 partition(s); 1 would not be an increase.");
    CHECK(raise(bench, 5, false, "nobody").error == ErrorCode::unknown_topic_or_partition);
    CHECK(raise(bench, 1'000'000).error == ErrorCode::invalid_partitions);
    CHECK(raise(bench, 4, true).error == ErrorCode::none);
    CHECK(bench.topics.registry.find("t")->partitions.size() == 2);
    const std::vector<std::vector<std::int32_t>> one{{0}}, two{{0}, {0}}, other{{0}, {7}};
    CHECK(raise(bench, 4, false, "t", &one).error == ErrorCode::invalid_replica_assignment);
    CHECK(raise(bench, 4, false, "t", &other).error == ErrorCode::invalid_replica_assignment);
    CHECK(raise(bench, 4, false, "t", &two).error == ErrorCode::none);
    const topics::Topic& topic = *bench.topics.registry.find("t");
    REQUIRE(topic.partitions.size() == 4);
    CHECK(bench.topics.append(bench.now, bench.wall, topic, 3, make_batch({}), 9).error ==
          ErrorCode::none);
    CHECK(bench.topics.registry.find_stream(topic.partitions[3])->partition == 3);
}

TEST_CASE("create partitions: a commit that is given up takes them away again") {
    ApiBench bench;
    bench.topic("t");
    bench.log.auto_flush = false;
    wire::CreatePartitionsRequest::CreatePartitionsTopic one;
    one.name = "t";
    one.count = 3;
    one.assignments = nullptr;
    wire::CreatePartitionsRequest request;
    request.topics = std::span(&one, 1);
    const auto id = bench.open();
    bench.send(id, request_frame(request, 3));
    CHECK(bench.take(id).empty());
    bench.log.give_up();
    bench.settle();
    CHECK(bench.answer<wire::CreatePartitionsResponse>(id, 3).results.front().error_code ==
          ErrorCode::kafka_storage_error);
    CHECK(bench.topics.registry.find("t")->partitions.size() == 1);
}

TEST_CASE("delete records: up to an offset or to the high watermark, never beyond it") {
    ApiBench bench;
    const topics::Topic* topic = bench.topic("t");
    for (int i = 0; i < 3; ++i)
        (void)bench.topics.append(bench.now, bench.wall, *topic, 0, make_batch({.records = 2}), 9);
    bench.flush();
    CHECK(delete_to(bench, 7).error_code == ErrorCode::offset_out_of_range);
    CHECK(delete_to(bench, -2).error_code == ErrorCode::offset_out_of_range);
    CHECK(delete_to(bench, 0, 1).error_code == ErrorCode::unknown_topic_or_partition);
    CHECK(delete_to(bench, 0, 1).low_watermark == -1);
    CHECK(delete_to(bench, 3).low_watermark == 3);
    CHECK(bench.log.stream(topic->partitions[0])->log_start == 3);
    CHECK(delete_to(bench, 1).low_watermark == 3);  // never back
    CHECK(delete_to(bench, -1).low_watermark == 6);
    REQUIRE(change(bench, {{"cleanup.policy", 0, ""}}).error == ErrorCode::none);
    CHECK(delete_to(bench, 6).low_watermark == 6);
    REQUIRE(change(bench, {{"cleanup.policy", 0, "compact"}}).error == ErrorCode::none);
    CHECK(delete_to(bench, 6).error_code == ErrorCode::policy_violation);
}

TEST_CASE("delete records: what was acknowledged can be deleted, as soon as it is durable") {
    ApiBench bench;
    bench.topic("t");
    bench.log.auto_flush = false;
    const auto producer = bench.open();
    bench.send(producer, bench.produce_frame(make_batch({.records = 4}), 1));
    REQUIRE_FALSE(bench.take(producer).empty());
    CHECK(delete_to(bench, 3).low_watermark == 3);
    bench.send(producer, bench.produce_frame(make_batch({.records = 4}), 1));
    CHECK(delete_to(bench, -1).low_watermark == 8);
    // What the log gave up is nothing to wait for.
    bench.send(producer, bench.produce_frame(make_batch({.records = 4}), 0));
    bench.log.give_up();
    bench.settle();
    CHECK(delete_to(bench, 9).error_code == ErrorCode::offset_out_of_range);
}

TEST_CASE("delete records: not of an internal topic") {
    ApiBench bench;
    bench.topic("__consumer_offsets");
    wire::DeleteRecordsRequest::DeleteRecordsPartition one;
    one.offset = -1;
    wire::DeleteRecordsRequest::DeleteRecordsTopic topic;
    topic.name = "__consumer_offsets";
    topic.partitions = std::span(&one, 1);
    wire::DeleteRecordsRequest request;
    request.topics = std::span(&topic, 1);
    const auto response = bench.call<wire::DeleteRecordsResponse>(request, 2);
    const auto told = response.topics.front();
    CHECK(told.partitions.front().error_code == ErrorCode::invalid_topic_exception);
}
