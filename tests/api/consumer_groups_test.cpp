// Keys 68 and 69, and what the older requests about groups say of a group of the consumer protocol
// (KIP-848).
#include "sdk/wire/api/08_offset_commit.hpp"
#include "sdk/wire/api/09_offset_fetch.hpp"
#include "sdk/wire/api/15_describe_groups.hpp"
#include "sdk/wire/api/16_list_groups.hpp"
#include "sdk/wire/api/68_consumer_group_heartbeat.hpp"
#include "sdk/wire/api/69_consumer_group_describe.hpp"
#include "tests/api/bench.hpp"

namespace leat::test {
namespace {

using wire::ErrorCode;
using Beat = wire::ConsumerGroupHeartbeatRequest;
using Beaten = wire::ConsumerGroupHeartbeatResponse;

const std::array<wire::StringView, 1> names = {"t"};

Beat joining(std::string_view group) {
    Beat beat;
    beat.group_id = group;
    beat.member_id = "m";
    beat.rebalance_timeout_ms = 6'000;
    beat.subscribed_topic_names = names;
    beat.topic_partitions = std::span<const Beat::TopicPartitions>();
    return beat;
}

}  // namespace

TEST_CASE("consumer groups: a heartbeat in both versions is answered when it is durable") {
    for (std::int16_t version = 0; version <= 1; ++version) {
        CAPTURE(version);
        ApiBench bench;
        const topics::Topic* topic = bench.topic("t", 3);
        const auto id = bench.open();
        bench.log.auto_flush = false;
        bench.send(id, request_frame(joining("g"), version));
        CHECK(bench.take(id).empty());
        bench.flush();
        const auto told = bench.answer<Beaten>(id, version);
        CHECK(told.error_code == ErrorCode::none);
        CHECK(told.member_id == wire::StringView("m"));
        CHECK(told.member_epoch == 1);
        CHECK(told.heartbeat_interval_ms == 5'000);
        REQUIRE(told.assignment_mark >= 0);
        REQUIRE(told.assignment.topic_partitions.size() == 1);
        CHECK(told.assignment.topic_partitions.front().topic_id.bytes == topic->id);
        CHECK(told.assignment.topic_partitions.front().partitions.size() == 3);

        Beat next;
        next.group_id = "g";
        next.member_id = "m";
        next.member_epoch = 1;
        bench.send(id, request_frame(next, version));
        const auto again = bench.answer<Beaten>(id, version);  // without a flush
        CHECK(again.error_code == ErrorCode::none);
        CHECK(again.assignment_mark < 0);
    }
}

TEST_CASE("consumer groups: errors carry a word and neither member nor epoch") {
    ApiBench bench;
    bench.topic("t");
    Beat beat = joining("g");
    beat.subscribed_topic_regex = "(";
    const auto told = bench.call<Beaten>(beat, 1);
    CHECK(told.error_code == ErrorCode::invalid_regular_expression);
    CHECK(!told.error_message.is_null());
    CHECK(told.member_id.is_null());
    CHECK(told.assignment_mark < 0);
    beat = joining("g");
    beat.member_id = "";
    CHECK(bench.call<Beaten>(beat, 1).error_code == ErrorCode::invalid_request);
    CHECK(bench.call<Beaten>(beat, 0).error_code == ErrorCode::none);  // is given an id
}

TEST_CASE("consumer groups: described by 69, listed with their type, unknown to 15") {
    ApiBench bench;
    bench.topic("t", 2);
    REQUIRE(bench.call<Beaten>(joining("g"), 1).error_code == ErrorCode::none);

    const std::array<wire::StringView, 3> asked = {"g", "nobody", ""};
    wire::ConsumerGroupDescribeRequest describe;
    describe.group_ids = asked;
    describe.include_authorized_operations = true;
    for (std::int16_t version = 0; version <= 1; ++version) {
        const auto told = bench.call<wire::ConsumerGroupDescribeResponse>(describe, version);
        REQUIRE(told.groups.size() == 3);
        auto at = told.groups.begin();
        const auto group = *at++;
        CHECK(group.error_code == ErrorCode::none);
        CHECK(group.group_state == wire::StringView("Stable"));
        CHECK(group.group_epoch == 1);
        CHECK(group.assignment_epoch == 1);
        CHECK(group.assignor_name == wire::StringView("uniform"));
        CHECK(group.authorized_operations == (1 << 3 | 1 << 6 | 1 << 8 | 1 << 10 | 1 << 11));
        REQUIRE(group.members.size() == 1);
        const auto member = group.members.front();
        CHECK(member.member_id == wire::StringView("m"));
        CHECK(member.client_host == wire::StringView("/peer"));
        CHECK(member.member_type == (version == 1 ? 1 : -1));
        CHECK(member.subscribed_topic_names.front() == wire::StringView("t"));
        CHECK(member.subscribed_topic_regex == wire::StringView(""));  // Kafka: never null
        CHECK(member.assignment.topic_partitions.front().topic_name == wire::StringView("t"));
        CHECK(member.assignment.topic_partitions.front().partitions.size() == 2);
        CHECK(member.target_assignment.topic_partitions.size() == 1);
        CHECK((*at++).error_code == ErrorCode::group_id_not_found);
        CHECK((*at++).error_code == ErrorCode::invalid_group_id);
    }

    const auto types = [&](const char* filter) {
        const std::array<wire::StringView, 1> one = {filter};
        wire::ListGroupsRequest list;
        list.types_filter = one;
        std::string all;
        for (const auto& group : bench.call<wire::ListGroupsResponse>(list, 5).groups)
            all += std::string(group.group_id.view()) + ":" + std::string(group.group_type.view()) +
                   ":" + std::string(group.group_state.view());
        return all;
    };
    CHECK(types("Consumer") == "g:consumer:Stable");
    CHECK(types("classic").empty());

    wire::DescribeGroupsRequest old;
    old.groups = std::span(asked).first(1);
    const auto as_old = bench.call<wire::DescribeGroupsResponse>(old, 6).groups.front();
    CHECK(as_old.error_code == ErrorCode::group_id_not_found);
    CHECK(as_old.group_state == wire::StringView("Dead"));
    CHECK(bench.call<wire::DescribeGroupsResponse>(old, 5).groups.front().error_code ==
          ErrorCode::none);
}

TEST_CASE("consumer groups: what a member is to give up is shown as its own until it has") {
    ApiBench bench;
    const topics::Topic* topic = bench.topic("t", 4);
    REQUIRE(bench.call<Beaten>(joining("g"), 1).error_code == ErrorCode::none);
    Beat second = joining("g");
    second.member_id = "n";
    REQUIRE(bench.call<Beaten>(second, 1).error_code == ErrorCode::none);
    const std::array<wire::StringView, 1> asked = {"g"};
    wire::ConsumerGroupDescribeRequest describe;
    describe.group_ids = asked;
    const auto shown = [&] {
        const auto told = bench.call<wire::ConsumerGroupDescribeResponse>(describe, 1);
        const auto member = told.groups.front().members.front();
        REQUIRE(member.member_id == wire::StringView("m"));
        return member.assignment.topic_partitions.front().partitions.size();
    };
    const std::array<std::int32_t, 4> all = {0, 1, 2, 3};
    Beat::TopicPartitions owned;
    owned.topic_id.bytes = topic->id;
    owned.partitions = all;
    Beat beat;
    beat.group_id = "g";
    beat.member_id = "m";
    beat.member_epoch = 1;
    beat.topic_partitions = std::span(&owned, 1);
    const auto wanted = bench.call<Beaten>(beat, 1);
    REQUIRE(wanted.assignment.topic_partitions.front().partitions.size() == 2);
    std::vector<std::int32_t> kept;
    for (const std::int32_t one : wanted.assignment.topic_partitions.front().partitions)
        kept.push_back(one);
    CHECK(shown() == 4);  // which takes the memory of the answer before
    owned.partitions = kept;
    CHECK(bench.call<Beaten>(beat, 1).member_epoch == 2);
    CHECK(shown() == 2);
}

TEST_CASE("consumer groups: commits and fetches are judged by member epoch") {
    ApiBench bench;
    bench.topic("t");
    REQUIRE(bench.call<Beaten>(joining("g"), 1).error_code == ErrorCode::none);
    const auto commit = [&](std::int32_t epoch, std::int16_t version) {
        wire::OffsetCommitRequest::OffsetCommitRequestPartition partition;
        partition.committed_offset = 5;
        wire::OffsetCommitRequest::OffsetCommitRequestTopic topic;
        topic.name = "t";
        topic.partitions = std::span(&partition, 1);
        wire::OffsetCommitRequest request;
        request.group_id = "g";
        request.member_id = "m";
        request.generation_id_or_member_epoch = epoch;
        request.topics = std::span(&topic, 1);
        const auto told = bench.call<wire::OffsetCommitResponse>(request, version);
        return told.topics.front().partitions.front().error_code;
    };
    CHECK(commit(1, 8) == ErrorCode::unsupported_version);
    CHECK(commit(2, 9) == ErrorCode::stale_member_epoch);
    CHECK(commit(1, 9) == ErrorCode::none);

    const auto fetch = [&](wire::StringView member, std::int32_t epoch) {
        wire::OffsetFetchRequest::OffsetFetchRequestGroup group;
        group.group_id = "g";
        group.member_id = member;
        group.member_epoch = epoch;
        group.topics = nullptr;
        wire::OffsetFetchRequest request;
        request.groups = std::span(&group, 1);
        const auto told = bench.call<wire::OffsetFetchResponse>(request, 9).groups.front();
        if (told.error_code == ErrorCode::none)
            CHECK(told.topics.front().partitions.front().committed_offset == 5);
        return told.error_code;
    };
    CHECK(fetch(nullptr, -1) == ErrorCode::none);
    CHECK(fetch("m", 1) == ErrorCode::none);
    CHECK(fetch("m", 0) == ErrorCode::stale_member_epoch);
    CHECK(fetch("x", 1) == ErrorCode::unknown_member_id);
}

}  // namespace leat::test
