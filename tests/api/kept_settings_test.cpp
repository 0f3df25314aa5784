// Settings of the broker itself (resource type 4) that Kafka changes while it runs.
#include "broker/api/kept_settings.hpp"

#include "sdk/wire/api/32_describe_configs.hpp"
#include "sdk/wire/api/33_alter_configs.hpp"
#include "tests/api/changes.hpp"

using namespace leat;
using namespace leat::test;
using wire::ErrorCode;

namespace {

constexpr std::int8_t broker_type = 4;
const char* const threads = "background.threads";

Told set(ApiBench& bench, const char* broker, const char* name, std::int8_t operation,
         wire::StringView value = nullptr, bool validate_only = false) {
    return change(bench, {{name, operation, value}}, validate_only, broker, broker_type);
}

/// "value source/synonyms" of the broker's setting; empty: it is not told
std::string described(ApiBench& bench, const char* broker, const char* name) {
    wire::DescribeConfigsRequest::DescribeConfigsResource resource;
    resource.resource_type = broker_type;
    resource.resource_name = broker;
    const wire::StringView keys[] = {name};
    resource.configuration_keys = keys;
    wire::DescribeConfigsRequest request;
    request.resources = std::span(&resource, 1);
    request.include_synonyms = true;
    const auto response = bench.call<wire::DescribeConfigsResponse>(request, 4);
    std::string text;
    for (const auto& config : response.results.front().configs) {
        CHECK_FALSE(config.read_only);
        text += std::string(config.value.view()) + " " + std::to_string(config.config_source) +
                "/" + std::to_string(config.synonyms.size());
    }
    return text;
}

}  // namespace

TEST_CASE("broker settings: kept in the log, of a node above all, and told until taken away") {
    ApiBench bench;
    CHECK(described(bench, "0", threads) == "10 5/1");
    CHECK(described(bench, "", threads).empty());
    CHECK(set(bench, "0", threads, 0, "12", true).error == ErrorCode::none);
    CHECK(described(bench, "0", threads) == "10 5/1");
    CHECK(set(bench, "", threads, 0, "11").error == ErrorCode::none);
    CHECK(described(bench, "", threads) == "11 3/2");
    CHECK(described(bench, "0", threads) == "11 3/2");
    CHECK(set(bench, "0", threads, 0, "9").error == ErrorCode::none);
    CHECK(described(bench, "0", threads) == "9 2/3");

    std::vector<api::ConfigEntry> again;
    const api::KeptSettings none(bench.log, "other");
    api::KeptSettings(bench.log, "0").tell(again, &none);
    CHECK(again.front().value == "9");
    quotas::Quotas others(bench.log);  // whose facts lie beside them
    others.load();
    CHECK(others.unreadable() == 0);

    CHECK(set(bench, "0", threads, 1).error == ErrorCode::none);
    CHECK(described(bench, "0", threads) == "11 3/2");
    CHECK(set(bench, "", threads, 1).error == ErrorCode::none);
    CHECK(described(bench, "0", threads) == "10 5/1");
    CHECK(bench.log.find_fact(log::FactKind::config, bytes_of("b0"))->empty());
    CHECK(bench.log.find_fact(log::FactKind::config, bytes_of("b"))->empty());
    // Where nothing was ever set nothing is written.
    ApiBench other;
    CHECK(set(other, "0", threads, 1).error == ErrorCode::none);
    CHECK_FALSE(other.log.find_fact(log::FactKind::config, bytes_of("b0")));
}

TEST_CASE("settings: whoever takes away what is going already waits until it is durably gone") {
    ApiBench bench;
    constexpr std::int8_t group_type = 32;
    const char* const session_ms = "consumer.session.timeout.ms";
    const auto removals = [&](const char* name, const char* setting, std::int8_t type) {
        const session::SessionId ids[] = {bench.open(), bench.open()};
        for (const auto id : ids) bench.send(id, change_frame({{setting, 1}}, false, name, type));
        for (const auto id : ids) CHECK(bench.sessions.poll_write(id).empty());
        bench.flush();
        for (const auto id : ids) CHECK_FALSE(bench.take(id).empty());
    };
    CHECK(set(bench, "0", threads, 0, "12").error == ErrorCode::none);
    removals("0", threads, broker_type);
    CHECK(change(bench, {{session_ms, 0, "50000"}}, false, "g", group_type).error ==
          ErrorCode::none);
    removals("g", session_ms, group_type);

    const quotas::Entity entity{.user = {}, .client = {quotas::Part::Is::named, "c"}, .ip = {}};
    quotas::Values values{};
    values[0] = 1'000;
    REQUIRE(bench.quotas.set(bench.now, entity, values));
    bench.flush();
    const auto first = bench.quotas.set(bench.now, entity, {});
    REQUIRE(first);
    CHECK(*first > bench.log.flushed_commit());
    CHECK(bench.quotas.set(bench.now, entity, {}).operator*() >= *first);
}

TEST_CASE("broker settings: a throttle is told while set; AlterConfigs leaves what it names") {
    ApiBench bench;
    const char* const rate = "leader.replication.throttled.rate";
    CHECK(described(bench, "0", rate).empty());
    CHECK(set(bench, "0", rate, 0, "1000").error == ErrorCode::none);
    CHECK(described(bench, "0", rate) == "1000 2/1");

    using Request = wire::AlterConfigsRequest;
    Request::AlterConfigsResource::AlterableConfig config{threads, "9"};
    Request::AlterConfigsResource resource;
    resource.resource_type = broker_type;
    resource.resource_name = "0";
    resource.configs = std::span(&config, 1);
    Request request;
    request.resources = std::span(&resource, 1);
    const auto response = bench.call<wire::AlterConfigsResponse>(request, 2);
    CHECK(response.responses.front().error_code == ErrorCode::none);
    CHECK(described(bench, "0", rate).empty());
    CHECK(described(bench, "0", threads) == "9 2/2");
}

TEST_CASE("broker settings: a number is kept as one, however long it was written") {
    ApiBench bench;
    const std::string long_seven = std::string(32'766, '0') + "7";
    for (const char* name : {threads, "log.cleaner.backoff.ms"}) {
        CHECK(set(bench, "0", name, 0, long_seven).error == ErrorCode::none);
        CHECK(described(bench, "0", name) == "7 2/2");
    }
    CHECK(set(bench, "0", "log.preallocate", 0, "true").error == ErrorCode::none);
    CHECK(described(bench, "0", "log.preallocate") == "true 2/2");
    CHECK(bench.log.find_fact(log::FactKind::config, bytes_of("b0"))->size() < 100);
}

TEST_CASE("broker settings: each number has the least that Kafka has for it; blanks do not count") {
    ApiBench bench;
    const auto least = [&](const char* name, const char* good, const char* bad) {
        CAPTURE(name);
        CHECK(set(bench, "0", name, 0, good).error == ErrorCode::none);
        const Told told = set(bench, "0", name, 0, bad);
        CHECK(told.error == ErrorCode::invalid_request);
        CHECK(told.message.ends_with(std::string("Value must be at least ") + good));
    };
    least(threads, "1", "0");
    for (const char* name :
         {"leader.replication.throttled.rate", "follower.replication.throttled.rate",
          "replica.alter.log.dirs.io.max.bytes.per.second", "log.cleaner.backoff.ms",
          "log.cleaner.io.buffer.size", "log.index.interval.bytes"})
        least(name, "0", "-1");
    least("log.index.size.max.bytes", "4", "3");
    least("log.cleaner.dedupe.buffer.size", "1048576", "1048575");
    CHECK(set(bench, "0", "sasl.kerberos.min.time.before.relogin", 0, "-1").error ==
          ErrorCode::none);
    CHECK(set(bench, "0", threads, 0, " 7 ").error == ErrorCode::none);
    CHECK(described(bench, "0", threads) == "7 2/2");
    CHECK(set(bench, "0", "log.preallocate", 0, "TRUE").error == ErrorCode::none);
    CHECK(described(bench, "0", "log.preallocate") == "true 2/2");
}

TEST_CASE("broker settings: what the configuration file rules, and bad values, are refused") {
    ApiBench bench;
    const auto refused = [&](const char* name, std::int8_t operation, const char* value) {
        const Told told = set(bench, "0", name, operation, value);
        CHECK(told.error == ErrorCode::invalid_request);
        return told.message;
    };
    CHECK(refused("broker.id", 0, "3").starts_with(
        "Cannot update these configs dynamically: [broker.id]"));
    refused("log.retention.ms", 0, "1000");
    refused("no.such.setting", 0, "1");
    CHECK(refused(threads, 0, "abc") ==
          "Invalid value abc for configuration background.threads: Not a number of type INT");
    CHECK(refused(threads, 0, "0").ends_with("Value must be at least 1"));
    CHECK(refused(threads, 0, "2147483648").ends_with("Not a number of type INT"));
    refused("log.cleaner.backoff.ms", 0, "-1");
    refused("log.cleaner.backoff.ms", 0, "");
    refused("log.preallocate", 0, "maybe");
    refused(threads, 2, "1");
    CHECK(described(bench, "0", threads) == "10 5/1");
    CHECK(set(bench, "7", threads, 0, "9").error == ErrorCode::invalid_request);
}
