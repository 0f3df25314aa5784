// A coordinator that answers as Kafka's does, in both group protocols, and a member of either
// before it, doing what a consumer does.
#pragma once

#include "sdk/cluster/consumer_member.hpp"
#include "sdk/cluster/group_member.hpp"
#include "sdk/wire/api/08_offset_commit.hpp"
#include "sdk/wire/api/09_offset_fetch.hpp"
#include "sdk/wire/api/10_find_coordinator.hpp"
#include "sdk/wire/api/11_join_group.hpp"
#include "sdk/wire/api/12_heartbeat.hpp"
#include "sdk/wire/api/13_leave_group.hpp"
#include "sdk/wire/api/14_sync_group.hpp"
#include "sdk/wire/api/68_consumer_group_heartbeat.hpp"
#include "tests/cluster/rig.hpp"

namespace leat::testing {

using cluster::GroupEvent;
using wire::ApiKey;
using wire::ErrorCode;

/// One group on one node at a time; moves when told to.
class ModelCoordinator {
public:
    explicit ModelCoordinator(ModelCluster& its_cluster) : cluster_(its_cluster) {
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
    // The consumer protocol (KIP-848): what the member shall own, by topic; another target comes
    // with another epoch.
    std::string consumer;
    std::map<std::string, std::vector<std::int32_t>> target{{"t", {0, 1}}};
    std::int32_t epoch = 0;
    std::set<std::pair<std::string, std::int32_t>> held;  ///< as it was acknowledged
    std::vector<std::string> subscribed;
    std::string pattern, assignor;
    std::optional<std::string> instance;
    std::int32_t left_with = 0;  ///< epoch -1 or -2
    std::int16_t commit_version = -1;
    int joins = 0, heartbeats = 0, commits = 0, finds = 0;
    ErrorCode second_partition = ErrorCode::none;  ///< what a commit of partition 1 meets

    void change_target(std::map<std::string, std::vector<std::int32_t>> to) {
        target = std::move(to);
        previous_epoch_ = epoch++;
    }

private:
    ModelCluster& cluster_;
    std::int32_t previous_epoch_ = -1, delivered_epoch_ = -1;

    ErrorCode fault(ApiKey key, std::int32_t asked) {
        auto& [error, times] = errors[key];
        if (times > 0) {
            --times;
            if (error == ErrorCode::unknown_member_id || error == ErrorCode::fenced_member_epoch) {
                member.clear();
                consumer.clear();
            }
            return error;
        }
        return key != ApiKey::find_coordinator && asked != node ? ErrorCode::not_coordinator
                                                                : ErrorCode::none;
    }
    ErrorCode check(const wire::StringView& id, std::int32_t of) const {
        if (!consumer.empty()) {
            if (id.view() != consumer) return ErrorCode::unknown_member_id;
            return of == epoch ? ErrorCode::none : ErrorCode::stale_member_epoch;
        }
        if (id.view() != member) return ErrorCode::unknown_member_id;
        return of == generation ? ErrorCode::none : ErrorCode::illegal_generation;
    }
    template <class M>
    static M body(const wire::Request& request) {
        auto message = wire::decode<M>(request.body, request.header.api_version);
        REQUIRE(message);
        return *message;
    }

    std::string name_of(const wire::Uuid& id) const {
        for (const auto& [name, its] : cluster_.ids)
            if (its == id) return name;
        return {};
    }

    void take_told(const wire::ConsumerGroupHeartbeatRequest& beat) {
        if (!beat.subscribed_topic_names.is_null()) {
            subscribed.clear();
            for (const auto& name : beat.subscribed_topic_names) subscribed.emplace_back(name);
        }
        if (!beat.subscribed_topic_regex.is_null()) pattern = beat.subscribed_topic_regex.view();
        if (!beat.server_assignor.is_null()) assignor = beat.server_assignor.view();
        instance.reset();
        if (!beat.instance_id.is_null()) instance = std::string(beat.instance_id.view());
        if (beat.topic_partitions.is_null()) return;
        held.clear();
        for (const auto& topic : beat.topic_partitions)
            for (std::int32_t partition : topic.partitions)
                held.emplace(name_of(topic.topic_id), partition);
    }

    /// Joins, is told what to own when that has changed or it told everything, leaves.
    Bytes beat(const wire::Request& request, ErrorCode error) {
        const auto beat = body<wire::ConsumerGroupHeartbeatRequest>(request);
        std::vector<wire::ConsumerGroupHeartbeatRequest::TopicPartitions> list;
        wire::ConsumerGroupHeartbeatResponse response;
        const auto answer = [&] {
            response.heartbeat_interval_ms = 500;
            return ModelBroker::answer(request.header, response, request.header.api_version);
        };
        ++heartbeats;
        response.error_code = error;
        if (error != ErrorCode::none) return answer();
        if (beat.member_epoch < 0) {
            left = beat.member_id.view();
            left_with = beat.member_epoch;
            consumer.clear();
            return answer();
        }
        bool is_full = beat.rebalance_timeout_ms > 0 && !beat.topic_partitions.is_null() &&
                       !beat.subscribed_topic_names.is_null();
        if (beat.member_epoch == 0) {
            REQUIRE(is_full);
            REQUIRE(beat.topic_partitions.empty());
            if (consumer != beat.member_id.view()) ++joins;
            consumer = beat.member_id.view();
            previous_epoch_ = epoch++;
        } else if (beat.member_id.view() != consumer) {
            response.error_code = ErrorCode::unknown_member_id;
            return answer();
        } else if (beat.member_epoch != epoch && beat.member_epoch != previous_epoch_) {
            consumer.clear();
            response.error_code = ErrorCode::fenced_member_epoch;
            return answer();
        }
        take_told(beat);
        if (request.header.api_version < 1) REQUIRE(pattern.empty());
        response.member_id = beat.member_id;
        response.member_epoch = epoch;
        if (is_full || delivered_epoch_ != epoch) {
            response.assignment_mark = 1;
            for (const auto& [name, numbers] : target)
                list.push_back({cluster_.ids[name], numbers});
            response.assignment.topic_partitions = list;
            delivered_epoch_ = epoch;
        }
        return answer();
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
            case ApiKey::consumer_group_heartbeat:
                return beat(request, error);
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
                const wire::Uuid& id = cluster_.ids["t"];
                for (const auto& topic : commit.topics)
                    for (const auto& partition : topic.partitions) {
                        if (request.header.api_version >= 10 && topic.topic_id != id) {
                            list.push_back(
                                {partition.partition_index, ErrorCode::unknown_topic_id});
                            continue;
                        }
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
                for (const auto& asked_for : commit.topics) topic.topic_id = asked_for.topic_id;
                commit_version = request.header.api_version;
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
                topic.topic_id = cluster_.ids["t"];
                topic.partitions = list;
                wire::OffsetFetchResponse::OffsetFetchResponseGroup group;
                group.group_id = "g";
                group.topics = std::span(&topic, 1);
                group.error_code = error;
                for (const auto& of : ask.groups)
                    if (error == ErrorCode::none && of.member_epoch >= 0)
                        group.error_code = check(of.member_id, of.member_epoch);
                wire::OffsetFetchResponse response;
                response.groups = std::span(&group, 1);
                return send(response);
            }
            default:
                return std::nullopt;
        }
    }
};

inline bool is_stable(const cluster::GroupMember& member) {
    return member.state() == cluster::GroupMember::State::stable;
}
inline bool is_stable(const cluster::ConsumerMember& member) { return member.is_settled(); }

template <class Member>
struct MemberRig {
    explicit MemberRig(cluster::GroupConfig config = config_of())
        : coordinator(brokers), rig(brokers), member(rig.router, std::move(config)) {
        for (std::int32_t node : {0, 1}) brokers.add_broker(node);
        brokers.add_topic("t", {0, 1});
        rig.on_idle = [this] { return work(); };
        member.subscribe(rig.now, {"t"});
    }
    static cluster::GroupConfig config_of(std::vector<cluster::Assignor> assignors = {
                                              cluster::Assignor::range}) {
        cluster::GroupConfig config;
        config.group_id = "g";
        config.member_id = "self";
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
    bool is_settled() const { return is_stable(member) && mine.size() == 2; }
    bool is_done() const { return is_settled() && fetched.size() == 2; }
    void check_done() {
        CHECK(coordinator.committed[0] == 10);
        CHECK(coordinator.committed[1] == 20);
        CHECK(fetched[{"t", 1}].offset == 20);
        CHECK(member.generation() ==
              (coordinator.consumer.empty() ? coordinator.generation : coordinator.epoch));
    }

    ModelCluster brokers;
    ModelCoordinator coordinator;
    Rig rig;
    Member member;
    std::set<cluster::TopicPartition> mine;
    std::vector<GroupEvent> events;
    cluster::Offsets fetched;
    cluster::GroupRequestId commit = 0, asked = 0;
    bool is_committed = false, polls = true, commits = true;
};

}  // namespace leat::testing
