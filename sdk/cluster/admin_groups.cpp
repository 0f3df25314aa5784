// Requests about one consumer group. They go to the group's coordinator, which is found
// first, and again when it turns out to be another one.
#include <algorithm>
#include <set>

#include "sdk/cluster/admin_operation.hpp"
#include "sdk/cluster/assignor.hpp"
#include "sdk/wire/api/08_offset_commit.hpp"
#include "sdk/wire/api/09_offset_fetch.hpp"
#include "sdk/wire/api/10_find_coordinator.hpp"
#include "sdk/wire/api/15_describe_groups.hpp"
#include "sdk/wire/api/42_delete_groups.hpp"
#include "sdk/wire/api/47_offset_delete.hpp"
#include "sdk/wire/api/69_consumer_group_describe.hpp"

namespace leat::cluster {
namespace {

using Verdict = Admin::Operation::Verdict;
using wire::ErrorCode;

constexpr std::int16_t by_name_last = 9;  // version 10 of offset requests speaks of topic ids

/// What all requests to a coordinator share.
struct OfGroup : Admin::Operation {
    std::string group;
    std::int32_t coordinator = no_broker;
    bool is_finding = false;

    virtual Status send_it(Instant now, Router& router, Admin& admin, const Target& target) = 0;
    virtual Verdict read_it(const client::Event& event) = 0;

    Status send(Instant now, Router& router, Admin& admin) final {
        is_finding = coordinator == no_broker;
        if (!is_finding) {
            if (!router.metadata().broker(coordinator)) {
                router.refresh_metadata(now);
                return fail(Error::would_block);
            }
            return send_it(
                now, router, admin,
                {.kind = Target::Kind::broker, .broker = coordinator, .version_max = by_name_last});
        }
        const wire::StringView key(group);
        wire::FindCoordinatorRequest request;
        request.key = key;
        request.coordinator_keys = std::span(&key, 1);
        return send_one(*this, now, router, admin, {.kind = Target::Kind::any}, request);
    }

    void forget_target() final { coordinator = no_broker; }

    Verdict read(const client::Event& event) final {
        if (!is_finding) return read_it(event);
        const auto response = decoded<wire::FindCoordinatorResponse>(*this, event);
        if (!response) return Verdict::done;
        answer.error = response->error_code;
        std::int32_t node = response->node_id;
        if (event.api_version >= 4) {
            answer.error = ErrorCode::coordinator_not_available;
            for (const auto& found : response->coordinators) {
                if (found.key.view() != group) continue;
                answer.error = found.error_code;
                node = found.node_id;
            }
        }
        if (answer.error == ErrorCode::none && node < 0)
            answer.error = ErrorCode::coordinator_not_available;
        if (answer.error != ErrorCode::none)
            return wire::retriable(answer.error) ? Verdict::again : Verdict::done;
        coordinator = node;
        return Verdict::waiting;
    }

    /// Done, or once more when somebody else is the coordinator by now.
    Verdict judge(ErrorCode error) {
        answer.error = error;
        if (error == ErrorCode::none || !wire::retriable(error) ||
            error == ErrorCode::unknown_topic_or_partition)
            return Verdict::done;
        coordinator = no_broker;
        return Verdict::again;
    }
};

Partitions places_of(const wire::ConsumerGroupDescribeResponse::Assignment& assignment) {
    Partitions places;
    for (const auto& topic : assignment.topic_partitions)
        for (std::int32_t number : topic.partitions)
            places.push_back({owned(topic.topic_name), number});
    return places;
}

/// Which protocol a group speaks is not known beforehand. As Java's admin client: asked as one of
/// the consumer protocol (KIP-848), and if it is none, or the broker knows no such groups, as a
/// classic one.
struct DescribeGroup final : OfGroup {
    bool is_classic = false;

    Status send_it(Instant now, Router& router, Admin& admin, const Target& target) override {
        const wire::StringView name(group);
        if (!is_classic) {
            wire::ConsumerGroupDescribeRequest request;
            request.group_ids = std::span(&name, 1);
            const Status sent = send_one(*this, now, router, admin, target, request);
            if (sent || sent.error() != Error::unsupported) return sent;
            is_classic = true;
        }
        wire::DescribeGroupsRequest request;
        request.groups = std::span(&name, 1);
        return send_one(*this, now, router, admin, target, request);
    }

    Verdict read_consumer_group(const client::Event& event) {
        const auto response = decoded<wire::ConsumerGroupDescribeResponse>(*this, event);
        if (!response) return Verdict::done;
        GroupPicture& picture = answer.group = {};
        picture.group_id = group;
        picture.coordinator = coordinator;
        picture.type = "Consumer";
        picture.protocol_type = "consumer";
        ErrorCode error = ErrorCode::none;
        for (const auto& described : response->groups) {
            error = described.error_code;
            answer.message = owned(described.error_message);
            picture.state = owned(described.group_state);
            picture.protocol = owned(described.assignor_name);
            picture.epoch = described.group_epoch;
            for (const auto& from : described.members) {
                GroupPicture::Member& member = picture.members.emplace_back();
                member.member_id = owned(from.member_id);
                if (!from.instance_id.is_null()) member.instance_id = owned(from.instance_id);
                member.client_id = owned(from.client_id);
                member.client_host = owned(from.client_host);
                member.epoch = from.member_epoch;
                member.assignment = places_of(from.assignment);
                member.target = places_of(from.target_assignment);
            }
        }
        if (error == ErrorCode::group_id_not_found || error == ErrorCode::unsupported_version) {
            is_classic = true;
            return Verdict::waiting;
        }
        return judge(error);
    }

    Verdict read_it(const client::Event& event) override {
        return is_classic ? read_classic_group(event) : read_consumer_group(event);
    }

    Verdict read_classic_group(const client::Event& event) {
        const auto response = decoded<wire::DescribeGroupsResponse>(*this, event);
        if (!response) return Verdict::done;
        GroupPicture& picture = answer.group = {};
        picture.group_id = group;
        picture.coordinator = coordinator;
        picture.type = "Classic";
        ErrorCode error = ErrorCode::none;
        for (const auto& described : response->groups) {
            error = described.error_code;
            answer.message = owned(described.error_message);
            picture.state = owned(described.group_state);
            picture.protocol_type = owned(described.protocol_type);
            picture.protocol = owned(described.protocol_data);
            for (const auto& from : described.members) {
                GroupPicture::Member& member = picture.members.emplace_back();
                member.member_id = owned(from.member_id);
                if (!from.group_instance_id.is_null())
                    member.instance_id = owned(from.group_instance_id);
                member.client_id = owned(from.client_id);
                member.client_host = owned(from.client_host);
                if (picture.protocol_type != "consumer") continue;
                if (auto partitions = decode_assignment(from.member_assignment.view()))
                    member.assignment = *std::move(partitions);
            }
        }
        if (error == ErrorCode::group_id_not_found) {  // from version 6 on; before it is "Dead"
            picture.state = "Dead";
            error = ErrorCode::none;
        }
        return judge(error);
    }
};

struct DeleteGroup final : OfGroup {
    Status send_it(Instant now, Router& router, Admin& admin, const Target& target) override {
        const wire::StringView name(group);
        wire::DeleteGroupsRequest request;
        request.groups_names = std::span(&name, 1);
        return send_one(*this, now, router, admin, target, request);
    }

    Verdict read_it(const client::Event& event) override {
        const auto response = decoded<wire::DeleteGroupsResponse>(*this, event);
        if (!response) return Verdict::done;
        ErrorCode error = ErrorCode::none;
        for (const auto& result : response->results) error = result.error_code;
        return judge(error);
    }
};

struct GroupOffsets final : OfGroup {
    Status send_it(Instant now, Router& router, Admin& admin, const Target& target) override {
        wire::OffsetFetchRequest::OffsetFetchRequestGroup of_group;
        of_group.group_id = group;
        of_group.topics = nullptr;
        wire::OffsetFetchRequest request;
        request.group_id = group;
        request.topics = nullptr;
        request.groups = std::span(&of_group, 1);
        return send_one(*this, now, router, admin, target, request);
    }

    Verdict read_it(const client::Event& event) override {
        const auto response = decoded<wire::OffsetFetchResponse>(*this, event);
        if (!response) return Verdict::done;
        answer.group_offsets.clear();
        ErrorCode error = response->error_code;
        const auto take = [&](const auto& topic) {
            for (const auto& partition : topic.partitions) {
                if (partition.error_code != ErrorCode::none)
                    error = partition.error_code;
                else if (partition.committed_offset >= 0)
                    answer.group_offsets[{owned(topic.name), partition.partition_index}] = {
                        partition.committed_offset, partition.committed_leader_epoch,
                        owned(partition.metadata)};
            }
        };
        for (const auto& topic : response->topics) take(topic);
        for (const auto& of_group : response->groups) {
            if (of_group.error_code != ErrorCode::none) error = of_group.error_code;
            for (const auto& topic : of_group.topics) take(topic);
        }
        return judge(error);
    }
};

struct AlterGroupOffsets final : OfGroup {
    Offsets offsets;

    Status send_it(Instant now, Router& router, Admin& admin, const Target& target) override {
        using Request = wire::OffsetCommitRequest;
        std::map<std::string, std::vector<Request::OffsetCommitRequestPartition>> by_topic;
        for (const auto& [place, committed] : offsets) {
            auto& partition = by_topic[place.topic].emplace_back();
            partition.partition_index = place.partition;
            partition.committed_offset = committed.offset;
            partition.committed_leader_epoch = committed.leader_epoch;
            partition.committed_metadata = committed.metadata;
        }
        std::vector<Request::OffsetCommitRequestTopic> topics;
        for (const auto& [name, partitions] : by_topic) {
            topics.emplace_back().name = name;
            topics.back().partitions = partitions;
        }
        Request request;
        request.group_id = group;
        request.topics = topics;
        return send_one(*this, now, router, admin, target, request);
    }

    Verdict read_it(const client::Event& event) override {
        const auto response = decoded<wire::OffsetCommitResponse>(*this, event);
        if (!response) return Verdict::done;
        answer.refused.clear();
        ErrorCode again = ErrorCode::none;
        for (const auto& topic : response->topics)
            for (const auto& partition : topic.partitions) {
                const ErrorCode error = partition.error_code;
                if (error == ErrorCode::none) continue;
                answer.refused[{owned(topic.name), partition.partition_index}] = error;
                if (wire::retriable(error) && error != ErrorCode::unknown_topic_or_partition)
                    again = error;
            }
        return judge(again);
    }
};

struct DeleteGroupOffsets final : OfGroup {
    Partitions partitions;

    Status send_it(Instant now, Router& router, Admin& admin, const Target& target) override {
        using Request = wire::OffsetDeleteRequest;
        std::map<std::string, std::vector<Request::OffsetDeleteRequestPartition>> by_topic;
        for (const TopicPartition& place : partitions)
            by_topic[place.topic].emplace_back().partition_index = place.partition;
        std::vector<Request::OffsetDeleteRequestTopic> topics;
        for (const auto& [name, numbers] : by_topic) {
            topics.emplace_back().name = name;
            topics.back().partitions = numbers;
        }
        Request request;
        request.group_id = group;
        request.topics = topics;
        return send_one(*this, now, router, admin, target, request);
    }

    Verdict read_it(const client::Event& event) override {
        const auto response = decoded<wire::OffsetDeleteResponse>(*this, event);
        if (!response) return Verdict::done;
        answer.refused.clear();
        for (const auto& topic : response->topics)
            for (const auto& partition : topic.partitions)
                if (partition.error_code != ErrorCode::none)
                    answer.refused[{owned(topic.name), partition.partition_index}] =
                        partition.error_code;
        return judge(response->error_code);
    }
};

template <class T>
std::unique_ptr<T> of_group(std::string group) {
    auto operation = std::make_unique<T>();
    operation->group = std::move(group);
    return operation;
}

}  // namespace

std::unique_ptr<Admin::Operation> make_describe_group(std::string group) {
    return of_group<DescribeGroup>(std::move(group));
}
std::unique_ptr<Admin::Operation> make_delete_group(std::string group) {
    return of_group<DeleteGroup>(std::move(group));
}
std::unique_ptr<Admin::Operation> make_group_offsets(std::string group) {
    return of_group<GroupOffsets>(std::move(group));
}
std::unique_ptr<Admin::Operation> make_alter_group_offsets(std::string group, Offsets offsets) {
    auto alter = of_group<AlterGroupOffsets>(std::move(group));
    alter->offsets = std::move(offsets);
    return alter;
}
std::unique_ptr<Admin::Operation> make_delete_group_offsets(std::string group,
                                                            Partitions partitions) {
    auto remove = of_group<DeleteGroupOffsets>(std::move(group));
    remove->partitions = std::move(partitions);
    return remove;
}

}  // namespace leat::cluster
