#include "sdk/cluster/admin.hpp"

#include "tests/cluster/rig.hpp"

using namespace leat;
using namespace leat::testing;

namespace {

struct AdminRig {
    AdminRig() : rig(cluster) {
        for (std::int32_t node : {0, 1, 2}) cluster.add_broker(node);
        cluster.controller = 2;
        cluster.add_topic("old", {0, 1});
    }
    cluster::AdminAnswer answer() {
        std::optional<cluster::AdminAnswer> got;
        REQUIRE(rig.run([&] { return (got = admin.poll_answer()).has_value(); }));
        return *std::move(got);
    }
    ModelCluster cluster;
    Rig rig;
    cluster::Admin admin{rig.router};
};

}  // namespace

TEST_CASE("admin: topics are created at the controller, wherever it moves to") {
    AdminRig at;
    at.admin.create_topics(at.rig.now, {{.name = "new", .partitions = 3, .configs = {}}}, {});
    cluster::AdminAnswer answer = at.answer();
    REQUIRE(answer.status);
    REQUIRE(answer.topics.size() == 1);
    CHECK(answer.topics[0].error == wire::ErrorCode::none);
    CHECK(at.cluster.topics["new"].size() == 3);
    CHECK(at.cluster.trace.back() == std::pair(std::int32_t{2}, wire::ApiKey::create_topics));

    at.cluster.controller = 0;  // what we know is old now
    at.admin.create_topics(at.rig.now, {{.name = "new", .partitions = 1, .configs = {}}}, {});
    answer = at.answer();
    REQUIRE(answer.status);
    CHECK(answer.topics[0].error == wire::ErrorCode::topic_already_exists);
    CHECK(answer.topics[0].message == "it is there");
    CHECK(at.cluster.trace.back() == std::pair(std::int32_t{0}, wire::ApiKey::create_topics));
}

TEST_CASE("admin: validate_only creates nothing") {
    AdminRig at;
    at.admin.create_topics(at.rig.now, {{.name = "new", .partitions = 3, .configs = {}}},
                           {.timeout = milliseconds{5000}, .validate_only = true});
    CHECK(at.answer().topics[0].error == wire::ErrorCode::none);
    CHECK(!at.cluster.topics.contains("new"));
}

TEST_CASE("admin: deletes by name, and tells which was not there") {
    AdminRig at;
    at.admin.delete_topics(at.rig.now, {"old", "never"}, {});
    const cluster::AdminAnswer answer = at.answer();
    REQUIRE(answer.topics.size() == 2);
    CHECK(answer.topics[0].error == wire::ErrorCode::none);
    CHECK(answer.topics[1].error == wire::ErrorCode::unknown_topic_or_partition);
    CHECK(!at.cluster.topics.contains("old"));
}

TEST_CASE("admin: describes every topic, or those that are named, and makes none") {
    AdminRig at;
    at.cluster.auto_create = true;
    at.admin.describe(at.rig.now, std::nullopt, {});
    cluster::AdminAnswer answer = at.answer();
    CHECK(answer.cluster.cluster_id == "model");
    CHECK(answer.cluster.brokers.size() == 3);
    REQUIRE(answer.cluster.topics.contains("old"));
    CHECK(answer.cluster.topics["old"].partitions[1].leader == 1);
    at.admin.describe(at.rig.now, std::vector<std::string>{"none-such"}, {});
    answer = at.answer();
    CHECK(answer.cluster.topics["none-such"].error == wire::ErrorCode::unknown_topic_or_partition);
    CHECK(!at.cluster.topics.contains("none-such"));
}

TEST_CASE("admin: offsets are asked from each partition's leader and answered together, sorted") {
    AdminRig at;
    at.cluster.store.at("old", 0).end = 5;
    at.cluster.store.at("old", 1).end = 9;
    at.admin.list_offsets(at.rig.now, "old", {1, 0}, client::timestamp_latest, {});
    const cluster::AdminAnswer answer = at.answer();
    REQUIRE(answer.status);
    REQUIRE(answer.offsets.size() == 2);
    CHECK(answer.offsets[0].offset == 5);
    CHECK(answer.offsets[1].offset == 9);
    CHECK(at.cluster.asked[wire::ApiKey::list_offsets] == 2);
}

TEST_CASE("admin: settings of a topic come from anyone, of a broker from itself") {
    AdminRig at;
    at.admin.describe_configs(at.rig.now, cluster::ConfigResource::topic, "old", {});
    cluster::AdminAnswer answer = at.answer();
    REQUIRE(answer.configs.size() == 1);
    CHECK(answer.configs[0].name == "retention.ms");
    at.admin.describe_configs(at.rig.now, cluster::ConfigResource::broker, "1", {});
    answer = at.answer();
    REQUIRE(answer.status);
    CHECK(at.cluster.trace.back() == std::pair(std::int32_t{1}, wire::ApiKey::describe_configs));
    at.admin.describe_configs(at.rig.now, cluster::ConfigResource::broker, "77", {});
    answer = at.answer();
    REQUIRE(!answer.status);
    CHECK(answer.status.error() == Error::not_found);
}

TEST_CASE("admin: with nobody there the deadline is kept") {
    AdminRig at;
    at.cluster.up.clear();
    const Instant start = at.rig.now;
    at.admin.describe(at.rig.now, std::nullopt, {.timeout = milliseconds{3000}});
    const cluster::AdminAnswer answer = at.answer();
    REQUIRE(!answer.status);
    CHECK(answer.status.error() == Error::timed_out);
    CHECK(at.rig.now - start == milliseconds{3000});
}

TEST_CASE("admin: a break at any step delays the answer and changes nothing else") {
    int swept = 0;
    for (const auto how : {Rig::Break::connect, Rig::Break::before_request,
                           Rig::Break::after_request, Rig::Break::half_answer}) {
        for (int step = 0;; ++step) {
            AdminRig at;
            at.rig.how = how;
            at.rig.break_at = step;
            INFO("how=", static_cast<int>(how), " step=", step);
            at.admin.list_offsets(at.rig.now, "old", {0, 1}, client::timestamp_earliest, {});
            const cluster::AdminAnswer answer = at.answer();
            REQUIRE(answer.status);
            REQUIRE(answer.offsets.size() == 2);
            if (!at.rig.broke) break;
            ++swept;
        }
    }
    CHECK(swept >= 12);
}

TEST_CASE("admin: of many topics only those that may yet come right are asked for again") {
    using E = wire::ErrorCode;
    for (const E first : {E::request_timed_out, E::throttling_quota_exceeded})
        for (const bool creates : {true, false}) {
            CAPTURE(static_cast<int>(first));
            CAPTURE(creates);
            AdminRig at;
            std::vector<std::vector<std::string>> asked;
            at.cluster.on_any = [&](std::int32_t, const wire::Request& request) {
                const std::int16_t version = request.header.api_version;
                const auto judged = [&](const std::string& name) {
                    return name == "slow" && asked.size() == 1 ? first : E::none;
                };
                std::optional<Bytes> none;
                if (request.header.api_key == wire::ApiKey::create_topics) {
                    const auto body =
                        wire::decode<wire::CreateTopicsRequest>(request.body, version);
                    asked.emplace_back();
                    for (const auto& topic : body->topics)
                        asked.back().emplace_back(topic.name.view());
                    std::vector<wire::CreateTopicsResponse::CreatableTopicResult> list(
                        asked.back().size());
                    for (std::size_t i = 0; i < list.size(); ++i) {
                        list[i].name = asked.back()[i];
                        list[i].error_code = judged(asked.back()[i]);
                    }
                    wire::CreateTopicsResponse response;
                    response.topics = list;
                    return std::optional(ModelBroker::answer(request.header, response, version));
                }
                if (request.header.api_key == wire::ApiKey::delete_topics) {
                    const auto body =
                        wire::decode<wire::DeleteTopicsRequest>(request.body, version);
                    asked.emplace_back();
                    for (const auto& topic : body->topics)
                        asked.back().emplace_back(topic.name.view());
                    for (const auto& name : body->topic_names)
                        asked.back().emplace_back(name.view());
                    std::vector<wire::DeleteTopicsResponse::DeletableTopicResult> list(
                        asked.back().size());
                    for (std::size_t i = 0; i < list.size(); ++i) {
                        list[i].name = asked.back()[i];
                        list[i].error_code = judged(asked.back()[i]);
                    }
                    wire::DeleteTopicsResponse response;
                    response.responses = list;
                    return std::optional(ModelBroker::answer(request.header, response, version));
                }
                return none;
            };
            if (creates)
                at.admin.create_topics(
                    at.rig.now,
                    {{.name = "a", .configs = {}}, {.name = "slow", .configs = {}}}, {});
            else
                at.admin.delete_topics(at.rig.now, {"a", "slow"}, {});
            const cluster::AdminAnswer answer = at.answer();
            REQUIRE(answer.status);
            CHECK(answer.error == E::none);
            REQUIRE(answer.topics.size() == 2);
            CHECK(answer.topics[0].name == "a");
            for (const auto& topic : answer.topics) CHECK(topic.error == E::none);
            REQUIRE(asked.size() == 2);
            CHECK(asked[1] == std::vector<std::string>{"slow"});
        }
}
