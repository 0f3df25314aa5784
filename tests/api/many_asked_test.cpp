// Requests that name thousands of partitions or topics of which little is to be told: some at a
// time, and in between others have their turn.
#include "sdk/wire/api/13_leave_group.hpp"
#include "sdk/wire/api/43_elect_leaders.hpp"
#include "sdk/wire/api/45_alter_partition_reassignments.hpp"
#include "sdk/wire/api/47_offset_delete.hpp"
#include "sdk/wire/api/75_describe_topic_partitions.hpp"
#include "tests/api/turns.hpp"

namespace leat::test {
namespace {

using wire::ErrorCode;

constexpr std::size_t count = 10'000;

std::vector<std::string> made_up_names() {
    std::vector<std::string> names;
    for (std::size_t i = 0; i < count; ++i) names.push_back("name-" + std::to_string(10'000 + i));
    return names;
}

template <class Request>
int turns_of(ApiBench& bench, session::SessionId id, const Request& request,
             std::int16_t version) {
    bench.hold_turns = true;
    bench.send(id, request_frame(request, version));
    const int turns = turns_until_answered(bench, id, [] {});
    bench.hold_turns = false;
    return turns;
}

groups::JoinAnswer join(ApiBench& bench, groups::Ticket ticket) {
    groups::JoinRequest one;
    one.group = "g";
    one.client_id = "c";
    one.session_timeout = one.rebalance_timeout = milliseconds(10'000);
    one.protocol_type = "consumer";
    one.protocols = {{"range", "m"}};
    bench.groups.join(bench.now, ticket, one);
    const auto told = bench.groups.poll_joined();
    return told ? *told : groups::JoinAnswer{};
}

}  // namespace

TEST_CASE("many asked: elections and moves of thousands of topics are refused in turns") {
    ApiBench bench;
    bench.topic("name-10007");
    const auto names = made_up_names();
    const std::int32_t first = 0;
    std::vector<wire::ElectLeadersRequest::TopicPartitions> topics(count);
    using Moves = wire::AlterPartitionReassignmentsRequest;
    const Moves::ReassignableTopic::ReassignablePartition move;
    std::vector<Moves::ReassignableTopic> moved(count);
    for (std::size_t i = 0; i < count; ++i) {
        topics[i] = {names[i], std::span(&first, 1)};
        moved[i].name = names[i];
        moved[i].partitions = std::span(&move, 1);
    }
    const auto id = bench.open();
    wire::ElectLeadersRequest elections;
    elections.topic_partitions = topics;
    CHECK(turns_of(bench, id, elections, 2) >= int(count) / 128);
    const auto elected = bench.answer<wire::ElectLeadersResponse>(id, 2);
    REQUIRE(elected.replica_election_results.size() == count);
    std::size_t at = 0;
    for (const auto& one : elected.replica_election_results) {
        CHECK(one.topic == wire::StringView(names[at]));
        CHECK(one.partition_result.front().error_code ==
              (at++ == 7 ? ErrorCode::election_not_needed
                         : ErrorCode::unknown_topic_or_partition));
    }
    Moves moves;
    moves.topics = moved;
    CHECK(turns_of(bench, id, moves, 1) >= int(count) / 128);
    const auto told = bench.answer<wire::AlterPartitionReassignmentsResponse>(id, 1);
    REQUIRE(told.responses.size() == count);
    at = 0;
    for (const auto& one : told.responses)
        CHECK(one.partition_result.front().error_code ==
              (at++ == 7 ? ErrorCode::no_reassignment_in_progress
                         : ErrorCode::unknown_topic_or_partition));
    CHECK(bench.pool.counters().response_bytes == 0);
}

TEST_CASE("many asked: partitions of thousands of topics are described in turns") {
    ApiBench bench;
    bench.topic("name-10007", 3);
    const auto names = made_up_names();
    std::vector<wire::DescribeTopicPartitionsRequest::TopicRequest> topics(count);
    for (std::size_t i = 0; i < count; ++i) topics[i].name = names[count - 1 - i];
    wire::DescribeTopicPartitionsRequest request;
    request.topics = topics;
    const auto id = bench.open();
    CHECK(turns_of(bench, id, request, 0) >= 2 * int(count) / 128);
    const auto told = bench.answer<wire::DescribeTopicPartitionsResponse>(id, 0);
    REQUIRE(told.topics.size() == count);
    std::size_t at = 0;
    for (const auto& one : told.topics) {
        CHECK(one.name == wire::StringView(names[at]));
        CHECK(one.partitions.size() == (at++ == 7 ? 3 : 0));
    }
    request.cursor_mark = 1;
    request.cursor = {"name-10000", -1};
    CHECK(turns_of(bench, id, request, 0) >= 2 * int(count) / 128);
    CHECK(bench.answer<wire::DescribeTopicPartitionsResponse>(id, 0).topics.size() == count);
}

TEST_CASE("many asked: thousands of positions are taken away in turns, and when that is durable") {
    ApiBench bench;
    const std::string topic = "t";
    bench.topic("t", count);
    std::vector<groups::Commit> commits;
    std::vector<wire::OffsetDeleteRequest::OffsetDeleteRequestPartition> partitions(count);
    for (std::size_t i = 0; i < count; ++i) {
        const auto partition = static_cast<std::int32_t>(i);
        commits.push_back({.topic = topic, .partition = partition, .offset = 7, .metadata = {}});
        partitions[i].partition_index = partition;
    }
    (void)bench.groups.commit(
        bench.now, {.group = "g", .member = {}, .instance = {}, .generation = -1}, commits);
    bench.flush();
    REQUIRE(bench.groups.fetch("g", topic, count - 1).offset == 7);
    const auto id = bench.open();
    wire::OffsetDeleteRequest::OffsetDeleteRequestTopic asked;
    asked.name = topic;
    asked.partitions = partitions;
    wire::OffsetDeleteRequest request;
    request.group_id = "g";
    request.topics = std::span(&asked, 1);
    CHECK(turns_of(bench, id, request, 0) >= int(count) / 128);
    const auto told = bench.answer<wire::OffsetDeleteResponse>(id, 0);
    CHECK(told.error_code == ErrorCode::none);
    REQUIRE(told.topics.size() == 1);
    CHECK(told.topics.front().partitions.size() == count);
    for (const auto& one : told.topics.front().partitions)
        CHECK(one.error_code == ErrorCode::none);
    CHECK(bench.groups.fetch("g", topic, 0).offset == -1);
    CHECK(bench.groups.fetch("g", topic, count - 1).offset == -1);
    // Of the group itself it is told once, and nothing of its partitions.
    request.group_id = "nothere";
    bench.send(id, request_frame(request, 0));
    bench.flush();
    const auto refused = bench.answer<wire::OffsetDeleteResponse>(id, 0);
    CHECK(refused.error_code == ErrorCode::group_id_not_found);
    CHECK(refused.topics.size() == 0);
}

TEST_CASE("leave group: whoever leaves nobody behind is told so when that is durable") {
    ApiBench bench;
    bench.log.auto_flush = false;
    const auto first = join(bench, 1'000'001);
    REQUIRE(first.error == ErrorCode::none);
    wire::LeaveGroupRequest::MemberIdentity who;
    wire::LeaveGroupRequest request;
    request.group_id = "g";
    request.members = std::span(&who, 1);
    const auto id = bench.open();
    const auto answered = [&] { return !bench.sessions.poll_write(id).empty(); };
    // Who is unknown, or leaves others behind, has nothing to wait for.
    who.member_id = "nobody";
    bench.send(id, request_frame(request, 5));
    CHECK(answered());
    (void)bench.take(id);
    (void)join(bench, 1'000'002);
    for (const auto& one : bench.groups.describe("g").members)
        if (one.id != first.member) who.member_id = one.id;
    const std::string other(who.member_id.view());
    who.member_id = other;
    bench.send(id, request_frame(request, 5));
    CHECK(answered());
    (void)bench.take(id);
    REQUIRE(bench.groups.members() == 1);
    who.member_id = first.member;
    bench.send(id, request_frame(request, 5));
    CHECK(bench.groups.members() == 0);
    CHECK_FALSE(answered());
    bench.flush();
    CHECK(bench.answer<wire::LeaveGroupResponse>(id, 5).members.front().error_code ==
          ErrorCode::none);
    // And so of a group of the other kind, whoever is left.
    groups::ConsumerHeartbeat beat;
    beat.group = "h";
    beat.member = "m";
    beat.names_itself = true;
    beat.rebalance_timeout = milliseconds(5'000);
    beat.topics.emplace();
    beat.owned.emplace();
    bench.groups.consumer_heartbeat(bench.now, 1'000'003, beat);
    bench.flush();
    request.group_id = "h";
    who.member_id = "m";
    bench.send(id, request_frame(request, 5));
    CHECK_FALSE(answered());
    bench.flush();
    CHECK(bench.answer<wire::LeaveGroupResponse>(id, 5).members.front().error_code ==
          ErrorCode::none);
}

}  // namespace leat::test
