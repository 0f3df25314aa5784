#include "sdk/wire/api/19_create_topics.hpp"
#include "sdk/wire/api/20_delete_topics.hpp"
#include "sdk/wire/api/32_describe_configs.hpp"
#include "tests/api/bench.hpp"

using namespace leat;
using namespace leat::test;
using wire::ErrorCode;

namespace {

struct CreateSpec {
    const char* name = "t";
    std::int32_t partitions = 1;
    std::int16_t replicas = 1;
    const char* key = nullptr;
    const char* value = nullptr;
    bool validate_only = false;
    std::int16_t version = 7;
    std::int32_t timeout_ms = 30'000;
};

struct Created {
    ErrorCode error;
    std::string message;
    wire::Uuid id;
    std::int32_t partitions;
    std::int16_t replicas;
    std::size_t configs;
};

Created create(ApiBench& bench, const CreateSpec& spec) {
    wire::CreateTopicsRequest::CreatableTopicConfig config;
    config.name = spec.key;
    config.value = spec.value;
    wire::CreateTopicsRequest::CreatableTopic topic;
    topic.name = spec.name;
    topic.num_partitions = spec.partitions;
    topic.replication_factor = spec.replicas;
    if (spec.key != nullptr) topic.configs = std::span(&config, 1);
    wire::CreateTopicsRequest request;
    request.topics = std::span(&topic, 1);
    request.validate_only = spec.validate_only;
    request.timeout_ms = spec.timeout_ms;
    const auto response = bench.call<wire::CreateTopicsResponse>(request, spec.version);
    REQUIRE(response.topics.size() == 1);
    const auto one = response.topics.front();
    return {one.error_code,         std::string(one.error_message.view()),
            one.topic_id,           one.num_partitions,
            one.replication_factor, one.configs.size()};
}

}  // namespace

TEST_CASE("create topics: v2 to v7, each with defaults, replicas accepted") {
    for (std::int16_t version = 2; version <= 7; ++version) {
        CAPTURE(version);
        ApiBench bench;
        const auto created = create(bench, {.partitions = 4, .replicas = 3, .version = version});
        CHECK(created.error == ErrorCode::none);
        CHECK(bench.topics.registry.find("t")->partitions.size() == 4);
        if (version >= 5) {
            CHECK(created.partitions == 4);
            CHECK(created.replicas == 1);  // honestly
            CHECK(created.configs == topics::settings().size());
        }
        if (version >= 7) CHECK(created.id.bytes == bench.topics.registry.find("t")->id);
        const auto defaults =
            create(bench, {.name = "d", .partitions = -1, .replicas = -1, .version = version});
        CHECK(defaults.error == ErrorCode::none);
    }
}

TEST_CASE("create topics: each refusal has Kafka's code and creates nothing") {
    ApiBench bench;
    bench.topic("there");
    bench.topic("a.b");
    const std::size_t before = bench.topics.registry.all().size();
    CHECK(create(bench, {.name = "there"}).error == ErrorCode::topic_already_exists);
    CHECK(create(bench, {.name = "a_b"}).error == ErrorCode::invalid_topic_exception);
    CHECK(create(bench, {.name = "x y"}).error == ErrorCode::invalid_topic_exception);
    CHECK(create(bench, {.name = ""}).error == ErrorCode::invalid_topic_exception);
    CHECK(create(bench, {.partitions = 0}).error == ErrorCode::invalid_partitions);
    CHECK(create(bench, {.partitions = -2}).error == ErrorCode::invalid_partitions);
    CHECK(create(bench, {.partitions = 10'001}).error == ErrorCode::invalid_partitions);
    CHECK(create(bench, {.replicas = 0}).error == ErrorCode::invalid_replication_factor);
    CHECK(create(bench, {.replicas = -2}).error == ErrorCode::invalid_replication_factor);
    CHECK(create(bench, {.key = "no.such.setting", .value = "1"}).error ==
          ErrorCode::invalid_config);
    CHECK(create(bench, {.key = "retention.ms", .value = "soon"}).error ==
          ErrorCode::invalid_config);
    CHECK(create(bench, {.key = "retention.ms", .value = nullptr}).error ==
          ErrorCode::invalid_config);
    CHECK(create(bench, {.validate_only = true}).error == ErrorCode::none);
    bench.log.streams_max = 2;
    const auto full = create(bench, {});
    CHECK(full.error == ErrorCode::policy_violation);
    CHECK_FALSE(full.message.empty());
    bench.log.streams_max = 1'000;
    bench.log.facts_full = true;
    const auto crowded = create(bench, {.timeout_ms = 0});  // else it waits
    CHECK(crowded.error == ErrorCode::request_timed_out);
    CHECK(crowded.message.find("full now") != std::string::npos);
    CHECK(bench.topics.registry.all().size() == before);

    api::Settings settings = ApiBench::default_settings();
    settings.accept_replication_factor = false;
    ApiBench strict(settings);
    CHECK(create(strict, {.replicas = 2}).error == ErrorCode::invalid_replication_factor);
    CHECK(create(strict, {.replicas = 1}).error == ErrorCode::none);
}

TEST_CASE("create topics: a name given twice is refused once, the others are made") {
    ApiBench bench;
    std::vector<wire::CreateTopicsRequest::CreatableTopic> topics(3);
    for (auto& topic : topics) topic.num_partitions = topic.replication_factor = 1;
    topics[0].name = topics[2].name = "twice";
    topics[1].name = "once";
    wire::CreateTopicsRequest request;
    request.topics = topics;
    const auto response = bench.call<wire::CreateTopicsResponse>(request, 7);
    CHECK(response.topics.size() == 2);
    CHECK(response.topics.front().error_code == ErrorCode::invalid_request);
    CHECK(bench.topics.registry.find("once") != nullptr);
    CHECK(bench.topics.registry.find("twice") == nullptr);
}

TEST_CASE("create topics: a manual assignment to this node is taken, others are not") {
    ApiBench bench;
    const std::int32_t here = 0, there = 1;
    std::vector<wire::CreateTopicsRequest::CreatableReplicaAssignment> assignments(2);
    assignments[0].partition_index = 1;
    assignments[1].partition_index = 0;
    assignments[0].broker_ids = assignments[1].broker_ids = std::span(&here, 1);
    wire::CreateTopicsRequest::CreatableTopic topic;
    topic.name = "t";
    topic.num_partitions = topic.replication_factor = -1;
    topic.assignments = assignments;
    wire::CreateTopicsRequest request;
    request.topics = std::span(&topic, 1);
    CHECK(bench.call<wire::CreateTopicsResponse>(request, 7).topics.front().num_partitions == 2);
    topic.name = "u";
    assignments[1].broker_ids = std::span(&there, 1);
    CHECK(bench.call<wire::CreateTopicsResponse>(request, 7).topics.front().error_code ==
          ErrorCode::invalid_replica_assignment);
    assignments[1].broker_ids = std::span(&here, 1);
    assignments[1].partition_index = 2;
    CHECK(bench.call<wire::CreateTopicsResponse>(request, 7).topics.front().error_code ==
          ErrorCode::invalid_replica_assignment);
    bench.log.streams_max = 20'000;
    assignments.resize(10'001);
    for (std::size_t i = 0; i < assignments.size(); ++i) {
        assignments[i].partition_index = static_cast<std::int32_t>(i);
        assignments[i].broker_ids = std::span(&here, 1);
    }
    topic.assignments = assignments;
    CHECK(bench.call<wire::CreateTopicsResponse>(request, 7).topics.front().error_code ==
          ErrorCode::invalid_partitions);
}

TEST_CASE("create and delete are answered when durable, and are storage errors when given up") {
    ApiBench bench;
    bench.log.auto_flush = false;
    wire::CreateTopicsRequest::CreatableTopic topic;
    topic.name = "t";
    topic.num_partitions = topic.replication_factor = 1;
    wire::CreateTopicsRequest request;
    request.topics = std::span(&topic, 1);
    const auto id = bench.open();
    bench.send(id, request_frame(request, 7));
    CHECK(bench.take(id).empty());
    bench.log.give_up();
    bench.settle();
    CHECK(bench.answer<wire::CreateTopicsResponse>(id, 7).topics.front().error_code ==
          ErrorCode::kafka_storage_error);
    CHECK(bench.topics.registry.find("t") == nullptr);
    bench.send(id, request_frame(request, 7));
    bench.flush();
    CHECK(bench.answer<wire::CreateTopicsResponse>(id, 7).topics.front().error_code ==
          ErrorCode::none);

    const wire::StringView name = "t";
    wire::DeleteTopicsRequest remove;
    remove.topic_names = std::span(&name, 1);
    bench.send(id, request_frame(remove, 5));
    CHECK(bench.take(id).empty());
    bench.flush();
    CHECK(bench.answer<wire::DeleteTopicsResponse>(id, 5).responses.front().error_code ==
          ErrorCode::none);
    CHECK(bench.topics.registry.find("t") == nullptr);
}

TEST_CASE("delete topics: by name in every version, by id in v6, unknown ones told apart") {
    for (std::int16_t version = 1; version <= 5; ++version) {
        ApiBench bench;
        bench.topic("t");
        const std::vector<wire::StringView> names{"t", "u"};
        wire::DeleteTopicsRequest request;
        request.topic_names = names;
        const auto response = bench.call<wire::DeleteTopicsResponse>(request, version);
        auto at = response.responses.begin();
        CHECK(at->error_code == ErrorCode::none);
        ++at;
        CHECK(at->error_code == ErrorCode::unknown_topic_or_partition);
    }
    ApiBench bench;
    const auto* made = bench.topic("t");
    std::vector<wire::DeleteTopicsRequest::DeleteTopicState> states(2);
    states[0].name = nullptr;
    states[0].topic_id.bytes = made->id;
    states[1].name = nullptr;
    states[1].topic_id.bytes[0] = 1;
    wire::DeleteTopicsRequest request;
    request.topics = states;
    const auto id = bench.open();
    bench.send(id, request_frame(request, 6));
    bench.flush();
    const auto response = bench.answer<wire::DeleteTopicsResponse>(id, 6);
    auto at = response.responses.begin();
    CHECK(at->error_code == ErrorCode::none);
    CHECK(at->name.view() == "t");
    ++at;
    CHECK(at->error_code == ErrorCode::unknown_topic_id);
    CHECK(at->name.is_null());
    bench.topic("t");
    states.resize(1);
    states[0].name = "t";
    bench.send(id, request_frame(
                       request =
                           [&] {
                               wire::DeleteTopicsRequest both;
                               both.topics = states;
                               return both;
                           }(),
                       6));
    CHECK(bench.answer<wire::DeleteTopicsResponse>(id, 6).responses.front().error_code ==
          ErrorCode::invalid_request);
    CHECK(bench.topics.registry.find("t") != nullptr);
}

TEST_CASE("delete topics: what comes twice is refused once, and stays; so is what has no name") {
    using State = wire::DeleteTopicsRequest::DeleteTopicState;
    ApiBench bench;
    const std::vector<wire::StringView> names{"t", "u", "t"};
    for (std::int16_t version = 1; version <= 6; ++version) {
        CAPTURE(version);
        bench.topic("t");
        bench.topic("u");
        std::vector<State> states(3);
        for (std::size_t i = 0; i < names.size(); ++i) states[i].name = names[i];
        wire::DeleteTopicsRequest request;
        if (version < 6)
            request.topic_names = names;
        else
            request.topics = states;
        const auto response = bench.call<wire::DeleteTopicsResponse>(request, version);
        REQUIRE(response.responses.size() == 2);
        CHECK(response.responses.front().error_code == ErrorCode::invalid_request);
        CHECK(response.responses.front().name.view() == "t");
        if (version >= 5)
            CHECK(response.responses.front().error_message.view() == "Duplicate topic name.");
        CHECK(bench.topics.registry.find("u") == nullptr);
        REQUIRE(bench.topics.registry.find("t") != nullptr);
        REQUIRE(bench.topics.registry.remove(bench.now, *bench.topics.registry.find("t")));
    }
    const topics::TopicId id = bench.topic("t")->id;
    std::vector<State> states(3);
    for (State& one : states) one.name = nullptr;
    states[1].topic_id.bytes = states[2].topic_id.bytes = id;
    wire::DeleteTopicsRequest request;
    request.topics = states;
    const auto response = bench.call<wire::DeleteTopicsResponse>(request, 6);
    REQUIRE(response.responses.size() == 2);
    for (const auto& one : response.responses) CHECK(one.error_code == ErrorCode::invalid_request);
    CHECK(bench.topics.registry.find("t") != nullptr);
}

TEST_CASE("describe configs: an empty list of keys asks for all of them, as null does") {
    ApiBench bench;
    bench.topic("t");
    wire::DescribeConfigsRequest::DescribeConfigsResource resource;
    resource.resource_type = 2;
    resource.resource_name = "t";
    wire::DescribeConfigsRequest request;
    request.resources = std::span(&resource, 1);
    for (const bool null : {false, true}) {
        if (null)
            resource.configuration_keys = nullptr;
        else
            resource.configuration_keys = {};
        const auto told = bench.call<wire::DescribeConfigsResponse>(request, 4).results.front();
        CHECK(told.configs.size() == topics::settings().size());
    }
}

TEST_CASE(
    "describe configs: topics with overrides and effective size, the broker, and what is neither") {
    ApiBench bench;
    REQUIRE(create(bench, {.key = "max.message.bytes", .value = "99999999"}).error ==
            ErrorCode::none);
    const std::vector<wire::StringView> keys{"max.message.bytes", "retention.ms"};
    std::vector<wire::DescribeConfigsRequest::DescribeConfigsResource> resources(6);
    resources[0].resource_type = 2;
    resources[0].resource_name = "t";
    resources[0].configuration_keys = keys;
    resources[1].resource_type = 2;
    resources[1].resource_name = "nobody";
    resources[2].resource_type = 4;
    resources[2].resource_name = "0";
    resources[2].configuration_keys = nullptr;
    resources[3].resource_type = 4;
    resources[3].resource_name = "1";
    resources[4].resource_type = 16;
    resources[5].resource_type = 4;  // of all brokers: nothing was set for them while they run
    for (std::int16_t version = 1; version <= 4; ++version) {
        CAPTURE(version);
        wire::DescribeConfigsRequest request;
        request.resources = resources;
        request.include_synonyms = true;
        request.include_documentation = true;
        const auto id = bench.open();
        bench.send(id, request_frame(request, version));
        const auto response = bench.answer<wire::DescribeConfigsResponse>(id, version);
        REQUIRE(response.results.size() == 6);
        auto at = response.results.begin();
        CHECK(!at->error_message.is_null());  // Kafka's is empty where nothing is wrong
        CHECK(at->error_message.view().empty());
        REQUIRE(at->configs.size() == 2);
        auto config = at->configs.begin();
        CHECK(config->name.view() == "max.message.bytes");
        CHECK(config->value.view() ==
              std::to_string(bench.log.batch_bytes_max));  // what the log can take
        CHECK(config->config_source == 1);
        REQUIRE(config->synonyms.size() == 2);  // the override, and the broker's message.max.bytes
        CHECK(config->synonyms.front().value.view() == "99999999");
        ++config;
        CHECK(config->value.view() == "604800000");
        CHECK(config->config_source == 5);
        if (version >= 3) {
            CHECK(config->config_type == 5);
            CHECK_FALSE(config->documentation.empty());
        }
        ++at;
        CHECK(at->error_code == ErrorCode::unknown_topic_or_partition);
        ++at;
        CHECK(at->error_code == ErrorCode::none);
        CHECK(at->configs.size() > 10);
        std::string protocol;  // kafka-ui reads from it what it may use
        for (const auto& one : at->configs)
            if (one.name.view() == "inter.broker.protocol.version") protocol = one.value.view();
        CHECK(protocol >= "2.6");
        ++at;
        CHECK(at->error_code == ErrorCode::invalid_request);
        ++at;
        CHECK(at->error_code == ErrorCode::invalid_request);
        ++at;
        CHECK(at->error_code == ErrorCode::none);
        CHECK(at->configs.empty());
    }
}

TEST_CASE("describe configs: the broker's settings have Kafka's names, types, texts and sources") {
    api::Settings settings = ApiBench::default_settings();
    settings.num_partitions = 3;
    settings.connections_max = 77;
    ApiBench bench(settings);
    wire::DescribeConfigsRequest::DescribeConfigsResource resource;
    resource.resource_type = 4;
    resource.resource_name = "0";
    resource.configuration_keys = nullptr;
    wire::DescribeConfigsRequest request;
    request.resources = std::span(&resource, 1);
    request.include_documentation = true;
    const auto response = bench.call<wire::DescribeConfigsResponse>(request, 4);
    const auto told = response.results.front();
    std::map<std::string, std::string> found;  // value, source, type
    std::string last;
    for (const auto& one : told.configs) {
        const std::string name(one.name.view());
        CAPTURE(name);
        CHECK(last < name);
        last = name;
        // What comes from the configuration file is told as such.
        CHECK(one.read_only != one.documentation.view().starts_with("Kept for tools"));
        CHECK_FALSE(one.is_sensitive);
        CHECK_FALSE(one.documentation.empty());
        found[name] = std::string(one.value.view()) + " " + std::to_string(one.config_source) +
                      " " + std::to_string(one.config_type);
    }
    const std::pair<const char*, const char*> wanted[] = {
        {"advertised.listeners", "PLAINTEXT://h:9092 4 2"},
        {"auto.create.topics.enable", "true 4 1"},
        {"compression.type", "producer 5 2"},
        {"connections.max.idle.ms", "600000 5 5"},
        {"fetch.max.bytes", "1048576 5 3"},
        {"group.consumer.assignors", "uniform,range 4 7"},
        {"group.consumer.heartbeat.interval.ms", "5000 5 3"},
        {"group.consumer.session.timeout.ms", "45000 5 3"},
        {"group.initial.rebalance.delay.ms", "0 4 3"},
        {"group.max.session.timeout.ms", "1800000 5 3"},
        {"group.min.session.timeout.ms", "6000 5 3"},
        {"log.cleanup.policy", "delete 5 7"},
        {"log.dirs", "leat 4 7"},
        {"log.message.timestamp.after.max.ms", "3600000 5 5"},
        {"log.retention.ms", "604800000 5 5"},
        {"max.connections", "77 4 3"},
        {"max.request.partition.size.limit", "2000 5 3"},
        {"message.max.bytes", "1048576 5 3"},
        {"num.partitions", "3 4 3"},
        {"offset.metadata.max.bytes", "4096 5 3"},
        {"offsets.retention.minutes", "10080 5 3"},
        {"socket.request.max.bytes", "8388608 5 3"},
    };
    for (const auto& [name, what] : wanted) {
        CAPTURE(name);
        CHECK(found[name] == what);
    }
}
