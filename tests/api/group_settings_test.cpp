// Settings of single groups (resource type 32), and the feature that says that the consumer
// protocol is there.
#include "sdk/wire/api/18_api_versions.hpp"
#include "sdk/wire/api/32_describe_configs.hpp"
#include "sdk/wire/api/33_alter_configs.hpp"
#include "sdk/wire/api/68_consumer_group_heartbeat.hpp"
#include "sdk/wire/api/74_list_config_resources.hpp"
#include "tests/api/changes.hpp"

using namespace leat;
using namespace leat::test;
using wire::ErrorCode;

namespace {

constexpr std::int8_t group_type = 32;
const char* const session_ms = "consumer.session.timeout.ms";
const char* const interval_ms = "consumer.heartbeat.interval.ms";

Told set(ApiBench& bench, const char* group, const char* name, std::int8_t operation,
         wire::StringView value = nullptr, bool validate_only = false) {
    return change(bench, {{name, operation, value}}, validate_only, group, group_type);
}

/// "name=value source; ..." of a group
std::string described(ApiBench& bench, const char* group) {
    wire::DescribeConfigsRequest::DescribeConfigsResource resource;
    resource.resource_type = group_type;
    resource.resource_name = group;
    resource.configuration_keys = nullptr;
    wire::DescribeConfigsRequest request;
    request.resources = std::span(&resource, 1);
    request.include_synonyms = true;
    const auto response = bench.call<wire::DescribeConfigsResponse>(request, 4);
    const auto result = response.results.front();
    if (result.error_code != ErrorCode::none)
        return std::to_string(static_cast<int>(result.error_code));
    std::string text;
    for (const auto& config : result.configs) {
        CHECK_FALSE(config.read_only);
        text += std::string(config.name.view()) + "=" + std::string(config.value.view()) + " " +
                std::to_string(config.config_source) + "/" +
                std::to_string(config.synonyms.size()) + "; ";
    }
    return text;
}

wire::ConsumerGroupHeartbeatResponse beat(ApiBench& bench, std::int32_t epoch) {
    static const std::array<wire::StringView, 1> names = {"t"};
    wire::ConsumerGroupHeartbeatRequest request;
    request.group_id = "g";
    request.member_id = "m";
    request.member_epoch = epoch;
    if (epoch == 0) {
        request.rebalance_timeout_ms = 6'000;
        request.subscribed_topic_names = names;
        request.topic_partitions =
            std::span<const wire::ConsumerGroupHeartbeatRequest::TopicPartitions>();
    }
    return bench.call<wire::ConsumerGroupHeartbeatResponse>(request, 1);
}

}  // namespace

TEST_CASE("group settings: set, shown with source and default, taken away, kept in the log") {
    ApiBench bench;
    CHECK(described(bench, "g") ==
          "consumer.assignment.interval.ms=0 4/1; "
          "consumer.heartbeat.interval.ms=5000 4/1; consumer.session.timeout.ms=45000 4/1; ");
    CHECK(set(bench, "g", session_ms, 0, "50000").error == ErrorCode::none);
    CHECK(set(bench, "g", interval_ms, 0, "7000", true).error == ErrorCode::none);
    const std::string one =
        "consumer.assignment.interval.ms=0 4/1; "
        "consumer.heartbeat.interval.ms=5000 4/1; consumer.session.timeout.ms=50000 8/2; ";
    CHECK(described(bench, "g") == one);
    CHECK(described(bench, "other").find("=45000") != std::string::npos);

    const groups::GroupsConfig config;
    groups::GroupSettings again(bench.log, config);
    again.load();
    CHECK(again.session_timeout("g") == milliseconds(50'000));
    CHECK(again.session_timeout("other") == milliseconds(45'000));
    CHECK(again.unreadable() == 0);
    quotas::Quotas others(bench.log);  // whose facts lie beside them
    others.load();
    CHECK(others.unreadable() == 0);

    wire::ListConfigResourcesRequest list;
    const std::int8_t types[] = {group_type};
    list.resource_types = types;
    auto listed = bench.call<wire::ListConfigResourcesResponse>(list, 1);
    REQUIRE(listed.config_resources.size() == 1);
    CHECK(listed.config_resources.front().resource_name == wire::StringView("g"));
    CHECK(set(bench, "g", session_ms, 1).error == ErrorCode::none);
    CHECK(bench.call<wire::ListConfigResourcesResponse>(list, 1).config_resources.empty());
    again.load();
    CHECK(again.all().empty());
}

TEST_CASE("group settings: AlterConfigs leaves what it names, and nothing else") {
    ApiBench bench;
    REQUIRE(set(bench, "g", session_ms, 0, "50000").error == ErrorCode::none);
    using Request = wire::AlterConfigsRequest;
    Request::AlterConfigsResource::AlterableConfig config{interval_ms, "6000"};
    Request::AlterConfigsResource resource;
    resource.resource_type = group_type;
    resource.resource_name = "g";
    resource.configs = std::span(&config, 1);
    Request request;
    request.resources = std::span(&resource, 1);
    const auto response = bench.call<wire::AlterConfigsResponse>(request, 2);
    CHECK(response.responses.front().error_code == ErrorCode::none);
    CHECK(described(bench, "g") ==
          "consumer.assignment.interval.ms=0 4/1; "
          "consumer.heartbeat.interval.ms=6000 8/2; consumer.session.timeout.ms=45000 4/1; ");
}

TEST_CASE("group settings: what is wrong is refused with a word, and nothing of it holds") {
    ApiBench bench;
    const auto refused = [&](const Told& told, ErrorCode error, const char* word) {
        CHECK(told.error == error);
        CHECK(told.message.find(word) != std::string::npos);
    };
    refused(set(bench, "", session_ms, 0, "50000"), ErrorCode::invalid_request, "not allowed");
    refused(set(bench, "g", "retention.ms", 0, "1"), ErrorCode::invalid_config,
            "Unknown group config name: retention.ms");
    const std::string wrong = "Invalid value x for configuration " + std::string(session_ms);
    refused(set(bench, "g", session_ms, 0, "x"), ErrorCode::invalid_config,
            (wrong + ": Not a number of type INT").c_str());
    for (const char* bad : {"", "5s", "2147483648", "99999999999999999999", "1 "})
        refused(set(bench, "g", session_ms, 0, bad), ErrorCode::invalid_config, "type INT");
    for (const char* bad : {"0", "-1"})
        refused(set(bench, "g", session_ms, 0, bad), ErrorCode::invalid_config,
                "Value must be at least 1");
    refused(set(bench, "g", interval_ms, 0, "3600001"), ErrorCode::invalid_config,
            "Value must be no more than 3600000");
    refused(set(bench, "g", "consumer.assignment.interval.ms", 0, "1000"),
            ErrorCode::invalid_config, "Value must be no more than 0");
    // What Kafka has and is not here is no mistake of who names it.
    refused(set(bench, "g", "share.session.timeout.ms", 0, "45000"), ErrorCode::invalid_config,
            "has no share groups");
    refused(set(bench, "g", "streams.num.standby.replicas", 0, "1"), ErrorCode::invalid_config,
            "has no streams groups");
    refused(set(bench, "g", "consumer.assignor.offload.enable", 0, "true"),
            ErrorCode::invalid_config, "no threads for assignors");
    CHECK(set(bench, "g", "share.session.timeout.ms", 1).error == ErrorCode::none);
    refused(set(bench, "g", session_ms, 2, "1"), ErrorCode::invalid_config, "not LIST");
    refused(set(bench, "g", session_ms, 3, "1"), ErrorCode::invalid_config, "not LIST");
    refused(set(bench, "g", session_ms, 0, "5000"), ErrorCode::invalid_config,
            "consumer.session.timeout.ms must be greater than consumer.heartbeat.interval.ms");
    refused(set(bench, "g", interval_ms, 0, "45000"), ErrorCode::invalid_config, "greater than");
    CHECK(described(bench, "") == std::to_string(static_cast<int>(ErrorCode::invalid_request)));
    CHECK(described(bench, "g").find("8/") == std::string::npos);
}

TEST_CASE("group settings: names and their number are bounded, at their bounds") {
    ApiBench bench;
    const groups::GroupsConfig config;
    const std::string longest(config.group_id_bytes_max, 'g');
    CHECK(set(bench, longest.c_str(), session_ms, 0, "50000").error == ErrorCode::none);
    const Told refused = set(bench, (longest + "g").c_str(), session_ms, 0, "50000");
    CHECK(refused.error == ErrorCode::invalid_request);
    CHECK(refused.message.find("too long") != std::string::npos);

    test::FakeLog log;
    groups::GroupsConfig few;
    few.group_settings_max = 2;
    groups::GroupSettings settings(log, few);
    groups::GroupSettings::Values values;
    REQUIRE(groups::GroupSettings::set(values, session_ms, "50000").empty());
    CHECK(settings.put(bench.now, "a", values));
    CHECK(settings.put(bench.now, "b", values));
    CHECK(settings.put(bench.now, "c", values).error() == Error::full);
    CHECK(settings.put(bench.now, "b", values));  // which has some already
    CHECK(settings.put(bench.now, "b", {}));
    CHECK(settings.put(bench.now, "c", values));
    CHECK(settings.all().size() == 2);
}

TEST_CASE("group settings: members are told the interval, and are gone after the session timeout") {
    ApiBench bench;
    bench.topic("t", 2);
    CHECK(beat(bench, 0).heartbeat_interval_ms == 5'000);
    REQUIRE(set(bench, "g", interval_ms, 0, "250").error == ErrorCode::none);
    REQUIRE(set(bench, "g", session_ms, 0, "1000").error == ErrorCode::none);
    const auto told = beat(bench, 1);
    CHECK(told.error_code == ErrorCode::none);
    CHECK(told.heartbeat_interval_ms == 250);
    bench.advance(900);
    CHECK(beat(bench, 1).error_code == ErrorCode::none);
    bench.advance(1'100);
    CHECK(beat(bench, 1).error_code == ErrorCode::unknown_member_id);
}

TEST_CASE("ApiVersions: group.version 1 is finalized, as the consumer protocol is served") {
    ApiBench bench;
    wire::ApiVersionsRequest request;
    request.client_software_name = "a";
    request.client_software_version = "1";
    for (std::int16_t version = 0; version <= 4; ++version) {
        CAPTURE(version);
        const auto told = bench.call<wire::ApiVersionsResponse>(request, version);
        REQUIRE(told.error_code == ErrorCode::none);
        CHECK(told.supported_features.size() == (version >= 4 ? 1 : 0));
        REQUIRE(told.finalized_features.size() == (version >= 3 ? 1 : 0));
        if (version < 3) continue;
        CHECK(told.finalized_features_epoch >= 0);
        CHECK(told.finalized_features.front().name == wire::StringView("group.version"));
        CHECK(told.finalized_features.front().max_version_level == 1);
    }
}
