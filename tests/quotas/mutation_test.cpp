// controller_mutation_rate (KIP-599): partitions that a client makes and takes away, per second.
#include "sdk/wire/api/03_metadata.hpp"
#include "sdk/wire/api/19_create_topics.hpp"
#include "sdk/wire/api/20_delete_topics.hpp"
#include "sdk/wire/api/37_create_partitions.hpp"
#include "tests/api/bench.hpp"

using namespace leat;
using namespace leat::test;
using wire::ErrorCode;

namespace {

struct MutationBench : ApiBench {
    /// Two partitions a second; what is saved up is 22 of them.
    MutationBench() {
        quotas::Values values{};
        values[static_cast<std::size_t>(quotas::Kind::mutate)] = 2;
        REQUIRE(quotas.set(now, {.user = {}, .client = {quotas::Part::Is::any, {}}}, values));
        flush();
    }
    struct Told {
        std::vector<ErrorCode> errors;
        std::int32_t throttle_ms = 0;
        bool operator==(const Told&) const = default;
    };
    Told create(const std::vector<wire::StringView>& names, std::int32_t partitions,
                std::int16_t version, bool validate_only = false) {
        std::vector<wire::CreateTopicsRequest::CreatableTopic> asked(names.size());
        for (std::size_t i = 0; i < names.size(); ++i) {
            asked[i].name = names[i];
            asked[i].num_partitions = partitions;
            asked[i].replication_factor = 1;
        }
        wire::CreateTopicsRequest request;
        request.topics = asked;
        request.validate_only = validate_only;
        const auto response = call<wire::CreateTopicsResponse>(request, version);
        Told told;
        told.throttle_ms = response.throttle_time_ms;
        for (const auto& one : response.topics) {
            told.errors.push_back(one.error_code);
            if (one.error_code == ErrorCode::throttling_quota_exceeded)
                CHECK(one.error_message.view() == "The throttling quota has been exceeded.");
        }
        return told;
    }
    Told remove(const wire::StringView& name, std::int16_t version) {
        wire::DeleteTopicsRequest::DeleteTopicState state;
        state.name = name;
        wire::DeleteTopicsRequest request;
        request.topic_names = std::span(&name, 1);
        if (version >= 6) request.topics = std::span(&state, 1);
        const auto response = call<wire::DeleteTopicsResponse>(request, version);
        REQUIRE(response.responses.size() == 1);
        return {{response.responses.front().error_code}, response.throttle_time_ms};
    }
    Told grow(const wire::StringView& name, std::int32_t count, std::int16_t version) {
        wire::CreatePartitionsRequest::CreatePartitionsTopic topic;
        topic.name = name;
        topic.count = count;
        topic.assignments = nullptr;
        wire::CreatePartitionsRequest request;
        request.topics = std::span(&topic, 1);
        const auto response = call<wire::CreatePartitionsResponse>(request, version);
        REQUIRE(response.results.size() == 1);
        return {{response.results.front().error_code}, response.throttle_time_ms};
    }
    bool has(std::string_view name) const { return topics.registry.find(name) != nullptr; }
};
constexpr ErrorCode good = ErrorCode::none, exceeded = ErrorCode::throttling_quota_exceeded;
using Told = MutationBench::Told;

}  // namespace

TEST_CASE("mutations: from v6 on what is beyond the quota is refused, and says for how long") {
    MutationBench bench;
    // The second one goes into debt, which is allowed; the third meets it.
    CHECK(bench.create({"a", "b", "c"}, 12, 6) == Told{{good, good, exceeded}, 1'000});
    CHECK_FALSE(bench.has("c"));
    CHECK(bench.create({"a"}, 12, 7).errors.front() == ErrorCode::topic_already_exists);
    bench.advance(999);
    CHECK(bench.create({"c"}, 1, 7).errors.front() == exceeded);
    bench.advance(1);
    CHECK(bench.create({"c"}, 1, 7) == Told{{good}, 0});
    CHECK(bench.create({"d"}, 1, 7) == Told{{exceeded}, 500});
}

TEST_CASE("mutations: below v6 they are made, and the client is left unread until they are paid") {
    MutationBench bench;
    CHECK(bench.create({"a"}, 22, 5) == Told{{good}, 0});
    CHECK(bench.create({"b"}, 4, 5) == Told{{good}, 2'000});
    CHECK(bench.create({"c"}, 2, 4) == Told{{good}, 3'000});
    CHECK(bench.has("c"));
    const auto id = bench.open();
    wire::CreateTopicsRequest::CreatableTopic topic;
    topic.name = "d";
    topic.num_partitions = 2;
    topic.replication_factor = 1;
    wire::CreateTopicsRequest request;
    request.topics = std::span(&topic, 1);
    bench.send(id, request_frame(request, 5));
    bench.flush();
    CHECK_FALSE(bench.take(id).empty());
    bench.send(id, request_frame(wire::MetadataRequest{}, 5));
    bench.advance(3'999);
    CHECK(bench.take(id).empty());
    bench.advance(1);
    CHECK_FALSE(bench.take(id).empty());
}

TEST_CASE("mutations: deleting and adding are paid by partitions, and so is what is only tried") {
    MutationBench bench;
    bench.topic("t", 10);
    CHECK(bench.grow("t", 32, 3) == Told{{good}, 0});  // 22 more: nothing is left, nothing is owed
    CHECK(bench.create({"a"}, 1, 7, true) == Told{{good}, 0});
    CHECK(bench.grow("t", 33, 3) == Told{{exceeded}, 500});
    CHECK(bench.remove("t", 6) == Told{{exceeded}, 500});
    CHECK(bench.has("t"));
    CHECK(bench.grow("t", 33, 2) == Told{{good}, 1'000});
    CHECK(bench.remove("t", 4) == Told{{good}, 17'500});
    CHECK_FALSE(bench.has("t"));
    CHECK(bench.remove("no", 6).errors.front() == ErrorCode::unknown_topic_or_partition);
}

TEST_CASE("mutations: what a Metadata request makes is within the quota, and nobody is left unread") {
    MutationBench bench;
    const auto ask = [&](const char* name) {
        wire::MetadataRequest::MetadataRequestTopic topic;
        topic.name = name;
        wire::MetadataRequest request;
        request.topics = std::span(&topic, 1);
        const auto response = bench.call<wire::MetadataResponse>(request, 12);
        CHECK(response.throttle_time_ms == 0);
        return response.topics.front().error_code;
    };
    CHECK(bench.create({"a"}, 23, 7).errors.front() == good);
    CHECK(ask("b") == ErrorCode::unknown_topic_or_partition);
    bench.advance(500);
    CHECK(ask("b") == good);
}

TEST_CASE("mutations: what a Metadata request cannot make is paid for once, however often named") {
    MutationBench bench;
    std::vector<wire::MetadataRequest::MetadataRequestTopic> topics(30);
    for (auto& topic : topics) topic.name = "b";
    wire::MetadataRequest request;
    request.topics = topics;
    bench.log.facts_full = true;
    CHECK(bench.call<wire::MetadataResponse>(request, 12).topics.front().error_code ==
          ErrorCode::unknown_topic_or_partition);
    bench.log.facts_full = false;
    CHECK(bench.create({"a"}, 22, 7).errors.front() == good);  // more than was left
    CHECK(bench.create({"c"}, 1, 7).errors.front() == exceeded);
}
