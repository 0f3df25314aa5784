// A member against a coordinator that answers as Kafka's does, with a failure at every step.
#include "sdk/cluster/group_member.hpp"

#include "sdk/wire/api/08_offset_commit.hpp"
#include "sdk/wire/api/09_offset_fetch.hpp"
#include "sdk/wire/api/10_find_coordinator.hpp"
#include "sdk/wire/api/11_join_group.hpp"
#include "sdk/wire/api/12_heartbeat.hpp"
#include "sdk/wire/api/13_leave_group.hpp"
#include "sdk/wire/api/14_sync_group.hpp"
#include "tests/cluster/rig.hpp"

using namespace leat;
using namespace leat::testing;
using cluster::GroupEvent;
using wire::ApiKey;
using wire::ErrorCode;

namespace {

/// One group on one node at a time; moves when told to.
class ModelCoordinator {
public:
    explicit ModelCoordinator(ModelCluster& its_cluster) {
        its_cluster.on_group = [this](std::int32_t asked, const wire::Request& request) {
            return handle(asked, request);
        };
    }
    std::int32_t node = 1;
    std::string member, left;
    std::int32_t generation = 0;
    bool rebalancing = false;
    std::map<std::int32_t, std::int64_t> committed;
    std::map<ApiKey, std::pair<ErrorCode, int>> errors;  ///< and how often it is answered
    int joins = 0, heartbeats = 0, commits = 0, finds = 0;
    ErrorCode second_partition = ErrorCode::none;  ///< what a commit of partition 1 meets

private:
    ErrorCode fault(ApiKey key, std::int32_t asked) {
        auto& [error, times] = errors[key];
        if (times > 0) {
            --times;
            if (error == ErrorCode::unknown_member_id) member.clear();
            return error;
        }
        return key != ApiKey::find_coordinator && asked != node ? ErrorCode::not_coordinator
                                                                : ErrorCode::none;
    }
    ErrorCode check(const wire::StringView& id, std::int32_t of) const {
        if (id.view() != member) return ErrorCode::unknown_member_id;
        return of == generation ? ErrorCode::none : ErrorCode::illegal_generation;
    }
    template <class M>
    static M body(const wire::Request& request) {
        auto message = wire::decode<M>(request.body, request.header.api_version);
        REQUIRE(message);
        return *message;
    }

    std::optional<Bytes> handle(std::int32_t asked, const wire::Request& request) {
        const ErrorCode error = fault(request.header.api_key, asked);
        const auto send = [&](const auto& response) {
            return ModelBroker::answer(request.header, response, request.header.api_version);
        };
        switch (request.header.api_key) {
            case ApiKey::find_coordinator: {
                ++finds;
                wire::FindCoordinatorResponse::Coordinator found;
                found.key = "g";
                found.node_id = node;
                found.error_code = error;
                wire::FindCoordinatorResponse response;
                response.coordinators = std::span(&found, 1);
                return send(response);
            }
            case ApiKey::join_group: {
                const auto join = body<wire::JoinGroupRequest>(request);
                wire::JoinGroupResponse response;
                response.protocol_type = "consumer";
                wire::JoinGroupResponse::JoinGroupResponseMember self;
                response.error_code = error;
                if (error != ErrorCode::none) return send(response);
                ++joins;
                if (join.member_id.empty()) {
                    member = "m" + std::to_string(joins);
                    response.error_code = ErrorCode::member_id_required;
                    response.member_id = member;
                    return send(response);
                }
                if (join.member_id.view() != member) {
                    response.error_code = ErrorCode::unknown_member_id;
                    return send(response);
                }
                rebalancing = false;
                response.generation_id = ++generation;
                const auto protocol = join.protocols.front();
                response.protocol_name = protocol.name;
                response.leader = response.member_id = member;
                self.member_id = member;
                self.metadata = protocol.metadata;
                response.members = std::span(&self, 1);
                return send(response);
            }
            case ApiKey::sync_group: {
                const auto sync = body<wire::SyncGroupRequest>(request);
                wire::SyncGroupResponse response;
                response.error_code =
                    error != ErrorCode::none ? error : check(sync.member_id, sync.generation_id);
                if (response.error_code == ErrorCode::none && !sync.assignments.empty())
                    response.assignment = sync.assignments.front().assignment;
                return send(response);
            }
            case ApiKey::heartbeat: {
                const auto beat = body<wire::HeartbeatRequest>(request);
                ++heartbeats;
                wire::HeartbeatResponse response;
                response.error_code =
                    error != ErrorCode::none ? error : check(beat.member_id, beat.generation_id);
                if (response.error_code == ErrorCode::none && rebalancing)
                    response.error_code = ErrorCode::rebalance_in_progress;
                return send(response);
            }
            case ApiKey::leave_group: {
                const auto leave = body<wire::LeaveGroupRequest>(request);
                left = leave.members.front().member_id.view();
                return send(wire::LeaveGroupResponse{});
            }
            case ApiKey::offset_commit: {
                const auto commit = body<wire::OffsetCommitRequest>(request);
                ++commits;
                const ErrorCode verdict =
                    error != ErrorCode::none
                        ? error
                        : check(commit.member_id, commit.generation_id_or_member_epoch);
                std::vector<wire::OffsetCommitResponse::OffsetCommitResponsePartition> list;
                for (const auto& topic : commit.topics)
                    for (const auto& partition : topic.partitions) {
                        const bool is_second = partition.partition_index == 1;
                        const ErrorCode its = is_second && second_partition != ErrorCode::none
                                                  ? second_partition
                                                  : verdict;
                        list.push_back({partition.partition_index, its});
                        if (its == ErrorCode::none)
                            committed[partition.partition_index] = partition.committed_offset;
                    }
                wire::OffsetCommitResponse::OffsetCommitResponseTopic topic;
                topic.name = "t";
                topic.partitions = list;
                wire::OffsetCommitResponse response;
                response.topics = std::span(&topic, 1);
                return send(response);
            }
            case ApiKey::offset_fetch: {
                const auto ask = body<wire::OffsetFetchRequest>(request);
                std::vector<wire::OffsetFetchResponse::OffsetFetchResponsePartitions> list;
                for (const auto& group : ask.groups)
                    for (const auto& topic : group.topics)
                        for (std::int32_t partition : topic.partition_indexes) {
                            const auto found = committed.find(partition);
                            list.push_back({partition,
                                            found == committed.end() ? -1 : found->second, -1, "",
                                            ErrorCode::none});
                        }
                wire::OffsetFetchResponse::OffsetFetchResponseTopics topic;
                topic.name = "t";
                topic.partitions = list;
                wire::OffsetFetchResponse::OffsetFetchResponseGroup group;
                group.group_id = "g";
                group.topics = std::span(&topic, 1);
                group.error_code = error;
                wire::OffsetFetchResponse response;
                response.groups = std::span(&group, 1);
                return send(response);
            }
            default:
                return std::nullopt;
        }
    }
};

struct GroupRig {
    explicit GroupRig(std::vector<cluster::Assignor> assignors = {cluster::Assignor::range})
        : coordinator(brokers), rig(brokers), member(rig.router, config_of(std::move(assignors))) {
        for (std::int32_t node : {0, 1}) brokers.add_broker(node);
        brokers.add_topic("t", {0, 1});
        rig.on_idle = [this] { return work(); };
        member.subscribe(rig.now, {"t"});
    }
    static cluster::GroupConfig config_of(std::vector<cluster::Assignor> assignors) {
        cluster::GroupConfig config;
        config.group_id = "g";
        config.assignors = std::move(assignors);
        config.request_timeout = milliseconds{1000};
        return config;
    }
    /// What a consumer does: polls, takes part in rebalances, commits until it is taken.
    bool work() {
        const auto before = member.state();
        if (polls) member.on_poll(rig.now);
        bool any = member.state() != before;
        while (auto event = member.poll_event()) {
            any = true;
            events.push_back(*event);
            if (event->kind == GroupEvent::Kind::failed) continue;
            for (const auto& partition : event->partitions) {
                if (event->kind == GroupEvent::Kind::assigned)
                    CHECK(mine.insert(partition).second);
                else
                    CHECK(mine.erase(partition) == 1);
            }
            member.handled(rig.now);
        }
        while (auto answer = member.poll_answer()) {
            any = true;
            if (answer->id == commit) {
                commit = 0;
                is_committed = bool(answer->status);
            } else {
                asked = 0;
                if (answer->status && answer->offsets.size() == 2) fetched = answer->offsets;
            }
        }
        if (!is_settled()) return any;
        if (!is_committed && commit == 0 && commits) {
            commit = member.commit(rig.now, {{{"t", 0}, {10, 3, "m"}}, {{"t", 1}, {20, -1, ""}}},
                                   milliseconds{20'000});
            return true;
        }
        if (is_committed && fetched.empty() && asked == 0) {
            asked = member.fetch_committed(rig.now, {{"t", 0}, {"t", 1}}, milliseconds{20'000});
            return true;
        }
        return any;
    }
    bool is_settled() const {
        return member.state() == cluster::GroupMember::State::stable && mine.size() == 2;
    }
    bool is_done() const { return is_settled() && fetched.size() == 2; }
    void check_done() {
        CHECK(coordinator.committed[0] == 10);
        CHECK(coordinator.committed[1] == 20);
        CHECK(fetched[{"t", 1}].offset == 20);
        CHECK(member.generation() == coordinator.generation);
    }

    ModelCluster brokers;
    ModelCoordinator coordinator;
    Rig rig;
    cluster::GroupMember member;
    std::set<cluster::TopicPartition> mine;
    std::vector<GroupEvent> events;
    cluster::Offsets fetched;
    cluster::GroupRequestId commit = 0, asked = 0;
    bool is_committed = false, polls = true, commits = true;
};

}  // namespace

TEST_CASE("group: joins, reads everything, commits; a broken connection at any step is got over") {
    using Break = Rig::Break;
    for (Break how :
         {Break::connect, Break::before_request, Break::after_request, Break::half_answer}) {
        int steps = 0;
        for (int at = 0; at < 200; ++at) {
            INFO("kind ", static_cast<int>(how), " step ", at);
            GroupRig group;
            group.rig.how = how;
            group.rig.break_at = at;
            REQUIRE(group.rig.run([&] { return group.is_done(); }));
            group.check_done();
            if (!group.rig.broke) break;
            ++steps;
        }
        CHECK(steps >= (how == Break::connect ? 2 : 8));
    }
}

TEST_CASE("group: each answer that allows another try, to each request, once and three times") {
    using E = ErrorCode;
    const std::map<ApiKey, std::vector<E>> answers{
        {ApiKey::find_coordinator, {E::coordinator_not_available, E::coordinator_load_in_progress}},
        {ApiKey::join_group,
         {E::coordinator_load_in_progress, E::coordinator_not_available, E::not_coordinator,
          E::unknown_member_id, E::rebalance_in_progress}},
        {ApiKey::sync_group,
         {E::coordinator_load_in_progress, E::coordinator_not_available, E::not_coordinator,
          E::unknown_member_id, E::illegal_generation, E::rebalance_in_progress}},
        {ApiKey::offset_commit,
         {E::coordinator_load_in_progress, E::coordinator_not_available, E::not_coordinator,
          E::request_timed_out, E::unknown_member_id, E::illegal_generation,
          E::rebalance_in_progress}},
        {ApiKey::offset_fetch,
         {E::coordinator_load_in_progress, E::not_coordinator, E::unstable_offset_commit}}};
    for (const auto& [key, list] : answers)
        for (E error : list)
            for (int times : {1, 3}) {
                INFO("key ", static_cast<int>(key), " error ", wire::name(error));
                GroupRig group;
                group.coordinator.errors[key] = {error, times};
                REQUIRE(group.rig.run([&] { return group.is_done(); }));
                group.check_done();
            }
}

TEST_CASE("group: what cannot be helped is told once and ends the membership") {
    for (ErrorCode error :
         {ErrorCode::fenced_instance_id, ErrorCode::group_authorization_failed,
          ErrorCode::inconsistent_group_protocol, ErrorCode::invalid_session_timeout,
          ErrorCode::group_max_size_reached}) {
        GroupRig group;
        group.coordinator.errors[ApiKey::join_group] = {error, 1};
        REQUIRE(group.rig.run([&] { return !group.events.empty(); }));
        CHECK(group.events.back().kind == GroupEvent::Kind::failed);
        CHECK(group.events.back().error == error);
        CHECK(group.member.state() == cluster::GroupMember::State::failed);
    }
}

TEST_CASE("group: a rebalance revokes first, then joins again; put out, everything is lost") {
    GroupRig group;
    REQUIRE(group.rig.run([&] { return group.is_done(); }));
    const int joins = group.coordinator.joins;
    group.coordinator.rebalancing = true;
    group.events.clear();
    REQUIRE(group.rig.run([&] { return group.coordinator.joins > joins && group.is_settled(); }));
    REQUIRE(group.events.size() == 2);
    CHECK(group.events[0].kind == GroupEvent::Kind::revoked);
    CHECK(group.events[1].kind == GroupEvent::Kind::assigned);

    group.coordinator.errors[ApiKey::heartbeat] = {ErrorCode::unknown_member_id, 1};
    group.events.clear();
    REQUIRE(group.rig.run([&] { return group.events.size() >= 2 && group.is_settled(); }));
    CHECK(group.events[0].kind == GroupEvent::Kind::lost);
}

TEST_CASE("group: a cooperative rebalance that moves nothing stops nothing") {
    GroupRig group({cluster::Assignor::cooperative_sticky});
    REQUIRE(group.rig.run([&] { return group.is_done(); }));
    const int joins = group.coordinator.joins;
    group.coordinator.rebalancing = true;
    group.events.clear();
    REQUIRE(group.rig.run([&] {
        return group.coordinator.joins > joins && group.is_settled() && !group.events.empty();
    }));
    REQUIRE(group.events.size() == 1);
    CHECK(group.events[0].kind == GroupEvent::Kind::assigned);
    CHECK(group.events[0].partitions.empty());
}

TEST_CASE("group: the coordinator may move, and its broker may go, without a rebalance") {
    GroupRig group;
    REQUIRE(group.rig.run([&] { return group.is_done(); }));
    const int joins = group.coordinator.joins, beats = group.coordinator.heartbeats;
    group.coordinator.node = 0;
    group.rig.kill(1);
    REQUIRE(group.rig.run([&] { return group.coordinator.heartbeats >= beats + 3; }));
    CHECK(group.coordinator.joins == joins);
    CHECK(group.is_settled());
}

TEST_CASE("group: a program that stops polling leaves, loses all, and comes back when it polls") {
    GroupRig group;
    REQUIRE(group.rig.run([&] { return group.is_done(); }));
    const std::string id = group.member.member_id();
    group.polls = false;
    REQUIRE(group.rig.run([&] { return !group.coordinator.left.empty(); }, milliseconds{400'000}));
    CHECK(group.coordinator.left == id);
    REQUIRE(group.rig.run([&] { return group.mine.empty(); }));
    group.polls = true;
    group.member.on_poll(group.rig.now);
    REQUIRE(group.rig.run([&] { return group.is_settled(); }));
    CHECK(group.member.member_id() != id);
}

TEST_CASE("group: leaving tells the coordinator, and more partitions make the leader rebalance") {
    GroupRig group;
    REQUIRE(group.rig.run([&] { return group.is_done(); }));
    group.brokers.topics["t"].push_back({0, 0});
    group.rig.router.refresh_metadata(group.rig.now);
    REQUIRE(group.rig.run([&] { return group.mine.size() == 3; }));
    const std::string id = group.member.member_id();
    group.member.leave(group.rig.now);
    REQUIRE(group.rig.run([&] { return group.member.has_left(); }));
    CHECK(group.coordinator.left == id);
}

TEST_CASE("group: who was put out commits nothing, not even from outside the group") {
    GroupRig group;
    REQUIRE(group.rig.run([&] { return group.is_done(); }));
    group.coordinator.errors[ApiKey::heartbeat] = {ErrorCode::unknown_member_id, 1};
    REQUIRE(group.rig.run([&] { return group.member.generation() < 0; }));
    const int commits = group.coordinator.commits;
    group.rig.on_idle = nullptr;  // as in the callback that tells of the loss
    const auto id =
        group.member.commit(group.rig.now, {{{"t", 0}, {5, -1, ""}}}, milliseconds{500});
    std::optional<cluster::GroupAnswer> answer;
    REQUIRE(group.rig.run([&] { return (answer = group.member.poll_answer()).has_value(); }));
    CHECK(answer->id == id);
    REQUIRE(!answer->status);
    CHECK(answer->status.error() == Error::refused);
    CHECK(answer->error == ErrorCode::illegal_generation);
    CHECK(group.coordinator.commits == commits);
    CHECK(group.coordinator.committed[0] == 10);
}

TEST_CASE("group: a commit that is repeated still tells which partitions were refused for good") {
    GroupRig group;
    group.commits = false;
    REQUIRE(group.rig.run([&] { return group.is_settled(); }));
    group.rig.on_idle = nullptr;
    group.coordinator.second_partition = ErrorCode::topic_authorization_failed;
    group.coordinator.errors[ApiKey::offset_commit] = {ErrorCode::coordinator_load_in_progress, 1};
    (void)group.member.commit(group.rig.now, {{{"t", 0}, {5, -1, ""}}, {{"t", 1}, {6, -1, ""}}},
                              milliseconds{20'000});
    std::optional<cluster::GroupAnswer> answer;
    REQUIRE(group.rig.run([&] { return (answer = group.member.poll_answer()).has_value(); }));
    CHECK(!answer->status);
    CHECK(answer->refused == std::map<cluster::TopicPartition, ErrorCode>{
                                 {{"t", 1}, ErrorCode::topic_authorization_failed}});
    CHECK(group.coordinator.committed[0] == 5);
}

TEST_CASE("group: offsets that are not stable yet are asked of the same coordinator again") {
    GroupRig group;
    group.coordinator.errors[ApiKey::offset_fetch] = {ErrorCode::unstable_offset_commit, 3};
    REQUIRE(group.rig.run([&] { return group.is_done(); }));
    CHECK(group.coordinator.finds == 1);
}

TEST_CASE("group: a pattern lets go of a topic that is deleted") {
    GroupRig group;
    group.brokers.add_topic("u", {0});
    group.member.subscribe_matching(group.rig.now, [](std::string_view) { return true; });
    REQUIRE(group.rig.run([&] { return group.mine.size() == 3; }));
    group.brokers.topics.erase("u");
    group.rig.router.refresh_metadata(group.rig.now);
    REQUIRE(group.rig.run([&] { return group.mine.size() == 2; }));
    CHECK(!group.mine.contains({"u", 0}));
}
