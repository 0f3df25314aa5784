// What the requests about groups answer where Kafka has its own words for it.
#include "sdk/wire/api/08_offset_commit.hpp"
#include "sdk/wire/api/09_offset_fetch.hpp"
#include "sdk/wire/api/11_join_group.hpp"
#include "sdk/wire/api/13_leave_group.hpp"
#include "sdk/wire/api/14_sync_group.hpp"
#include "sdk/wire/api/15_describe_groups.hpp"
#include "sdk/wire/api/23_offset_for_leader_epoch.hpp"
#include "sdk/wire/api/42_delete_groups.hpp"
#include "sdk/wire/api/61_describe_producers.hpp"
#include "sdk/wire/api/69_consumer_group_describe.hpp"
#include "tests/api/turns.hpp"

namespace leat::test {
namespace {

using wire::ErrorCode;
using Partition = wire::OffsetCommitRequest::OffsetCommitRequestPartition;

/// A position of partition 0 of "t" in group "g", from outside the group.
Bytes commit_frame(std::int64_t offset, const wire::StringView& group = "g") {
    Partition partition;
    partition.committed_offset = offset;
    wire::OffsetCommitRequest::OffsetCommitRequestTopic topic;
    topic.name = "t";
    topic.partitions = std::span(&partition, 1);
    wire::OffsetCommitRequest request;
    request.group_id = group;
    request.topics = std::span(&topic, 1);
    return request_frame(request, 8);
}

Bytes fetch_frame(std::int16_t version, const wire::StringView& name = "g") {
    wire::OffsetFetchRequest::OffsetFetchRequestGroup group;
    group.group_id = name;
    group.topics = nullptr;
    wire::OffsetFetchRequest request;
    request.group_id = name;
    request.topics = nullptr;
    if (version >= 8) request.groups = std::span(&group, 1);
    return request_frame(request, version);
}

/// Positions of all partitions of topics "a", "b" and so on, in group "g".
Bytes long_commit_frame(std::size_t topics, std::size_t partitions, std::int64_t offset) {
    static const std::vector<std::string> names = {"a", "b", "c"};
    std::vector<Partition> places(partitions);
    for (std::size_t i = 0; i < partitions; ++i) {
        places[i].partition_index = static_cast<std::int32_t>(i);
        places[i].committed_offset = offset;
    }
    std::vector<wire::OffsetCommitRequest::OffsetCommitRequestTopic> asked(topics);
    for (std::size_t i = 0; i < topics; ++i) {
        asked[i].name = names[i];
        asked[i].partitions = places;
    }
    wire::OffsetCommitRequest request;
    request.group_id = "g";
    request.topics = asked;
    return request_frame(request, 8);
}

std::size_t accepted(const wire::OffsetCommitResponse& response) {
    std::size_t count = 0;
    for (const auto& topic : response.topics)
        for (const auto& partition : topic.partitions) {
            if (partition.error_code == ErrorCode::none)
                ++count;
            else
                CHECK(partition.error_code == ErrorCode::coordinator_not_available);
        }
    return count;
}

}  // namespace

TEST_CASE("offset commit: of thousands of positions some have their turn, and each is answered once") {
    // A turn ends within a topic, behind one, and in none.
    for (const std::size_t partitions : {1u, 255u, 256u, 257u, 700u}) {
        CAPTURE(partitions);
        ApiBench bench;
        for (const char* name : {"a", "b", "c"})
            bench.topic(name, static_cast<std::int32_t>(partitions));
        bench.hold_turns = true;
        const session::SessionId id = bench.open();
        bench.send(id, long_commit_frame(3, partitions, 42));
        CHECK(turns_until_answered(bench, id, [] {}) >= static_cast<int>(3 * partitions / 256));
        const auto told = bench.answer<wire::OffsetCommitResponse>(id, 8);
        CHECK(accepted(told) == 3 * partitions);
        REQUIRE(told.topics.size() == 3);
        for (const auto& topic : told.topics) {
            REQUIRE(topic.partitions.size() == partitions);
            std::int32_t number = 0;
            for (const auto& partition : topic.partitions)
                CHECK(partition.partition_index == number++);
        }
        bench.send(id, fetch_frame(6));
        std::size_t kept = 0;
        for (const auto& topic : bench.answer<wire::OffsetFetchResponse>(id, 6).topics)
            for (const auto& partition : topic.partitions) kept += partition.committed_offset == 42;
        CHECK(kept == 3 * partitions);
    }
}

TEST_CASE("offset commit: where a part of it is given up all is asked for again") {
    ApiBench bench;
    bench.topic("a", 700);
    bench.log.auto_flush = false;
    bench.hold_turns = true;
    const session::SessionId id = bench.open();
    bench.send(id, long_commit_frame(1, 700, 42));
    bench.log.give_up();
    (void)turns_until_answered(bench, id, [] {});
    CHECK(accepted(bench.answer<wire::OffsetCommitResponse>(id, 8)) == 0);
}

TEST_CASE("offset commit: the next on its connection waits for all of it, not for the device") {
    ApiBench bench;
    bench.topic("a", 700);
    bench.log.auto_flush = false;
    bench.hold_turns = true;
    const session::SessionId id = bench.open();
    bench.send(id, long_commit_frame(1, 700, 42));
    bench.send(id, long_commit_frame(1, 700, 43));
    while (bench.turn()) {
    }
    CHECK(bench.take(id).empty());
    bench.flush();
    bench.hold_turns = false;
    CHECK(accepted(bench.answer<wire::OffsetCommitResponse>(id, 8)) == 700);
    bench.flush();
    CHECK(bench.groups.fetch("g", "a", 0).offset == 43);
    CHECK(bench.groups.fetch("g", "a", 699).offset == 43);
}

TEST_CASE("describe: thousands that are named are looked at in turns") {
    constexpr std::size_t count = 2'000;
    ApiBench bench;
    bench.hold_turns = true;
    const session::SessionId id = bench.open();
    std::vector<std::string> names;
    for (std::size_t i = 0; i < count; ++i) names.push_back("n" + std::to_string(i));
    const std::vector<wire::StringView> views(names.begin(), names.end());
    const auto turns = [&](const auto& request, std::int16_t version) {
        bench.send(id, request_frame(request, version));
        return turns_until_answered(bench, id, [] {});
    };

    wire::DescribeGroupsRequest groups;
    groups.groups = views;
    CHECK(turns(groups, 6) >= int(count) / 64);
    CHECK(bench.answer<wire::DescribeGroupsResponse>(id, 6).groups.size() == count);

    wire::ConsumerGroupDescribeRequest consumers;
    consumers.group_ids = views;
    CHECK(turns(consumers, 0) >= int(count) / 64);
    CHECK(bench.answer<wire::ConsumerGroupDescribeResponse>(id, 0).groups.size() == count);

    const std::vector<std::int32_t> first = {0};
    std::vector<wire::DescribeProducersRequest::TopicRequest> asked(count);
    std::vector<wire::OffsetForLeaderEpochRequest::OffsetForLeaderTopic> epochs_asked(count);
    for (std::size_t i = 0; i < count; ++i) {
        asked[i].name = epochs_asked[i].topic = names[i];
        asked[i].partition_indexes = first;
    }
    wire::DescribeProducersRequest producers;
    producers.topics = asked;
    CHECK(turns(producers, 0) >= int(count) / 64);
    CHECK(bench.answer<wire::DescribeProducersResponse>(id, 0).topics.size() == count);

    wire::OffsetForLeaderEpochRequest epochs;
    epochs.topics = epochs_asked;
    CHECK(turns(epochs, 4) >= int(count) / 128);
    CHECK(bench.answer<wire::OffsetForLeaderEpochResponse>(id, 4).topics.size() == count);
}

TEST_CASE("leave group: of a group that is not there each member is unknown, in every version") {
    ApiBench bench;
    std::vector<wire::LeaveGroupRequest::MemberIdentity> members(2);
    members[0].member_id = "m";
    members[1].group_instance_id = "i";
    wire::LeaveGroupRequest request;
    request.group_id = "g";
    request.member_id = "m";
    for (std::int16_t version = 0; version <= 5; ++version) {
        CAPTURE(version);
        if (version >= 3) request.members = members;
        const auto response = bench.call<wire::LeaveGroupResponse>(request, version);
        CHECK(response.error_code ==
              (version >= 3 ? ErrorCode::none : ErrorCode::unknown_member_id));
        if (version < 3) continue;
        REQUIRE(response.members.size() == 2);
        for (const auto& one : response.members)
            CHECK(one.error_code == ErrorCode::unknown_member_id);
        CHECK(response.members.front().member_id == wire::StringView("m"));
    }
}

TEST_CASE("offset commit: a topic without partitions is not told, as Kafka does not") {
    ApiBench bench;
    bench.topic("t");
    wire::OffsetCommitRequest::OffsetCommitRequestPartition partition;
    std::array<wire::OffsetCommitRequest::OffsetCommitRequestTopic, 2> topics;
    topics[0].name = "u";
    topics[1].name = "t";
    topics[1].partitions = std::span(&partition, 1);
    wire::OffsetCommitRequest request;
    request.group_id = "g";
    request.generation_id_or_member_epoch = -1;
    request.topics = topics;
    const auto told = bench.call<wire::OffsetCommitResponse>(request, 9).topics;
    REQUIRE(told.size() == 1);
    CHECK(told.front().name == wire::StringView("t"));
}

TEST_CASE("sync group: from v5 on protocol type and name must be there") {
    ApiBench bench;
    wire::SyncGroupRequest request;
    request.group_id = "g";
    request.member_id = "m";
    CHECK(bench.call<wire::SyncGroupResponse>(request, 4).error_code ==
          ErrorCode::unknown_member_id);
    CHECK(bench.call<wire::SyncGroupResponse>(request, 5).error_code ==
          ErrorCode::inconsistent_group_protocol);
    request.protocol_type = "consumer";
    CHECK(bench.call<wire::SyncGroupResponse>(request, 5).error_code ==
          ErrorCode::inconsistent_group_protocol);
    request.protocol_name = "range";
    CHECK(bench.call<wire::SyncGroupResponse>(request, 5).error_code ==
          ErrorCode::unknown_member_id);
}

TEST_CASE("delete groups: one that is named twice is answered once") {
    ApiBench bench;
    bench.topic("t");
    const auto id = bench.open();
    bench.send(id, commit_frame(5));
    bench.flush();
    (void)bench.take(id);
    const std::array<wire::StringView, 3> names = {"g", "no", "g"};
    wire::DeleteGroupsRequest request;
    request.groups_names = names;
    const auto response = bench.call<wire::DeleteGroupsResponse>(request, 2);
    REQUIRE(response.results.size() == 2);
    CHECK(response.results.front().error_code == ErrorCode::none);
}

TEST_CASE("delete groups: hundreds that are named go some at a time") {
    ApiBench bench;
    bench.topic("t");
    constexpr int count = 300;
    std::vector<std::string> names;
    for (int i = 0; i < count; ++i) {
        names.push_back("g" + std::to_string(i));
        const auto id = bench.open();
        bench.send(id, commit_frame(5, names.back().c_str()));
        bench.flush();
        (void)bench.take(id);
    }
    REQUIRE(bench.groups.size() == count);
    const std::vector<wire::StringView> views(names.begin(), names.end());
    wire::DeleteGroupsRequest request;
    request.groups_names = views;
    bench.hold_turns = true;
    const auto id = bench.open();
    bench.send(id, request_frame(request, 2));
    CHECK(turns_until_answered(bench, id, [] {}) >= count / 32 - 1);
    const auto told = bench.answer<wire::DeleteGroupsResponse>(id, 2);
    REQUIRE(told.results.size() == count);
    for (const auto& one : told.results) CHECK(one.error_code == ErrorCode::none);
    CHECK(bench.groups.size() == 0);
}

TEST_CASE("a group without a name holds positions, is described and deleted, but has no members") {
    ApiBench bench;
    bench.topic("t");
    const wire::StringView name = "";
    wire::DescribeGroupsRequest describe;
    describe.groups = std::span(&name, 1);
    CHECK(bench.call<wire::DescribeGroupsResponse>(describe, 5).groups.front().error_code ==
          ErrorCode::none);
    CHECK(bench.call<wire::DescribeGroupsResponse>(describe, 6).groups.front().error_code ==
          ErrorCode::group_id_not_found);
    wire::DeleteGroupsRequest remove;
    remove.groups_names = std::span(&name, 1);
    CHECK(bench.call<wire::DeleteGroupsResponse>(remove, 2).results.front().error_code ==
          ErrorCode::group_id_not_found);
    const auto id = bench.open();
    bench.send(id, commit_frame(5, ""));
    bench.flush();
    const auto committed = bench.answer<wire::OffsetCommitResponse>(id, 8);
    const auto topic = committed.topics.front();
    CHECK(topic.partitions.front().error_code == ErrorCode::none);
    const auto found = bench.call<wire::DescribeGroupsResponse>(describe, 6).groups.front();
    CHECK(found.error_code == ErrorCode::none);
    CHECK(found.group_state.view() == "Empty");
    CHECK(bench.call<wire::DeleteGroupsResponse>(remove, 2).results.front().error_code ==
          ErrorCode::none);
}

TEST_CASE("describe groups: below v6 a group that is not there is Dead, and operations are told") {
    ApiBench bench;
    const wire::StringView name = "g";
    wire::DescribeGroupsRequest request;
    request.groups = std::span(&name, 1);
    request.include_authorized_operations = true;
    const auto old = bench.call<wire::DescribeGroupsResponse>(request, 5).groups.front();
    CHECK(old.group_state == wire::StringView("Dead"));
    CHECK(old.authorized_operations == 3400);  // as Kafka 4.3 says
    const auto now = bench.call<wire::DescribeGroupsResponse>(request, 6).groups.front();
    CHECK(now.authorized_operations == INT32_MIN);
}

TEST_CASE("offset fetch: asked behind a commit whose answer is still to come, it tells that one") {
    for (std::int16_t version = 7; version <= 9; ++version) {
        CAPTURE(version);
        ApiBench bench;
        bench.topic("t");
        const auto told = [&](ByteView frame) {
            if (version >= 8) {
                const auto response =
                    ApiBench::decode_answer<wire::OffsetFetchResponse>(frame, version);
                const auto group = response.groups.front();
                REQUIRE(group.topics.size() == 1);
                const auto topic = group.topics.front();
                return topic.partitions.front().committed_offset;
            }
            const auto response =
                ApiBench::decode_answer<wire::OffsetFetchResponse>(frame, version);
            REQUIRE(response.topics.size() == 1);
            const auto topic = response.topics.front();
            return topic.partitions.front().committed_offset;
        };
        const auto first_frame = [](ByteView bytes) {
            return bytes.first(4 + load_big<std::uint32_t>(bytes.data()));
        };
        const auto id = bench.open(), other = bench.open();
        bench.send(id, commit_frame(5));
        bench.flush();
        (void)bench.take(id);
        bench.log.auto_flush = false;
        bench.send(id, commit_frame(6));
        bench.send(id, fetch_frame(version));
        CHECK(bench.take(id).empty());
        bench.send(other, fetch_frame(version, "h"));  // of a group that has nothing to wait for
        CHECK_FALSE(bench.take(other).empty());
        bench.flush();
        const Bytes both = bench.take(id);
        CHECK(told(ByteView(both).subspan(first_frame(both).size())) == 6);

        // One that the log gives up was none.
        bench.send(id, commit_frame(7));
        bench.send(id, fetch_frame(version));
        bench.log.give_up();
        bench.settle();
        const Bytes again = bench.take(id);
        CHECK(told(ByteView(again).subspan(first_frame(again).size())) == 6);
    }
}

TEST_CASE("join group: of two hundred who are answered together others wait for a part only") {
    constexpr int count = 200, per_turn = 64;
    ApiBench bench;
    wire::JoinGroupRequest::JoinGroupRequestProtocol protocol;
    protocol.name = "range";
    const auto join = [&](const wire::StringView& member) {
        wire::JoinGroupRequest request;
        request.group_id = "g";
        request.session_timeout_ms = request.rebalance_timeout_ms = 30'000;
        request.member_id = member;
        request.protocol_type = "consumer";
        request.protocols = std::span(&protocol, 1);
        return request_frame(request, 3);
    };
    // The first is alone; as long as it does not come again, the others wait for it.
    const session::SessionId first = bench.open();
    bench.send(first, join(""));
    bench.flush();
    const std::string leader(bench.answer<wire::JoinGroupResponse>(first, 3).member_id.view());
    std::vector<session::SessionId> others;
    for (int i = 0; i < count; ++i) {
        others.push_back(bench.open());
        bench.send(others.back(), join(""));
    }
    bench.settle();
    const auto answered = [&] {
        int all = 0;
        for (const session::SessionId id : others) all += !bench.sessions.poll_write(id).empty();
        return all;
    };
    REQUIRE(answered() == 0);
    bench.hold_turns = true;
    bench.send(first, join(leader));
    int before = answered(), turns = 0;
    CHECK(before <= per_turn);
    for (; bench.turn(); ++turns) {
        const int now = answered();
        CHECK(now - before <= per_turn);
        before = now;
    }
    CHECK(before == count);
    CHECK(turns >= count / per_turn);
}

}  // namespace leat::test
