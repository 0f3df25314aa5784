// Committed offsets: one request at a time, in the order in which they were asked for, so that an
// older commit that had to be repeated never overtakes a newer one.
#include <algorithm>

#include "sdk/cluster/group_member.hpp"
#include "sdk/wire/api/08_offset_commit.hpp"
#include "sdk/wire/api/09_offset_fetch.hpp"

namespace leat::cluster {
namespace {

constexpr std::int16_t by_name_last = 9;  // version 10 of both speaks of topic ids

template <class Map>
std::map<std::string, std::vector<const typename Map::value_type*>> by_topic(const Map& offsets) {
    std::map<std::string, std::vector<const typename Map::value_type*>> topics;
    for (const auto& entry : offsets) topics[entry.first.topic].push_back(&entry);
    return topics;
}

}  // namespace

GroupRequestId GroupMember::commit(Instant now, Offsets offsets, milliseconds timeout) {
    Offering& offering = offerings_.emplace_back();
    offering.answer.id = next_request_++;
    offering.is_commit = true;
    offering.deadline = now + timeout;
    offering.offsets = std::move(offsets);
    offering.generation = generation_;
    const GroupRequestId id = offering.answer.id;
    pump(now, router_);
    return id;
}

GroupRequestId GroupMember::fetch_committed(Instant now, Partitions partitions,
                                            milliseconds timeout) {
    Offering& offering = offerings_.emplace_back();
    offering.answer.id = next_request_++;
    offering.deadline = now + timeout;
    offering.partitions = std::move(partitions);
    const GroupRequestId id = offering.answer.id;
    pump(now, router_);
    return id;
}

void GroupMember::end_offering(Status status) {
    Offering& offering = offerings_.front();
    offering.answer.status = status;
    answers_.push_back(std::move(offering.answer));
    offerings_.pop_front();
}

void GroupMember::send_offsets(Instant now) {
    // Commits of a generation that is over would be refused, and rightly so.
    const bool is_outside = generation_ < 0 && is_subscribed();
    while (!offerings_.empty() && offerings_.front().is_commit &&
           (is_outside || offerings_.front().generation != generation_)) {
        offerings_.front().answer.error = wire::ErrorCode::illegal_generation;
        end_offering(fail(Error::refused));
    }
    if (offerings_.empty()) return;
    Offering& offering = offerings_.front();
    const std::uint64_t its_context =
        offering.answer.id << 4 | static_cast<std::uint64_t>(What::offsets);
    const milliseconds timeout = std::min(config_.request_timeout, offering.deadline - now);
    Status sent = fail(Error::would_block);
    if (offering.is_commit) {
        using Request = wire::OffsetCommitRequest;
        const auto grouped = by_topic(offering.offsets);
        std::deque<std::vector<Request::OffsetCommitRequestPartition>> partitions;
        std::vector<Request::OffsetCommitRequestTopic> topics;
        for (const auto& [name, entries] : grouped) {
            auto& of_topic = partitions.emplace_back();
            for (const auto* entry : entries) {
                auto& partition = of_topic.emplace_back();
                partition.partition_index = entry->first.partition;
                partition.committed_offset = entry->second.offset;
                partition.committed_leader_epoch = entry->second.leader_epoch;
                partition.committed_metadata = entry->second.metadata;
            }
            auto& topic = topics.emplace_back();
            topic.name = name;
            topic.partitions = of_topic;
        }
        Request request;
        request.group_id = config_.group_id;
        request.generation_id_or_member_epoch = offering.generation;
        if (offering.generation >= 0) {
            request.member_id = member_id_;
            if (config_.instance_id) request.group_instance_id = *config_.instance_id;
        }
        request.topics = topics;
        sent = router_.send(now, *this, its_context, coordinator(by_name_last), request, timeout);
    } else {
        using Request = wire::OffsetFetchRequest;
        std::map<std::string, std::vector<std::int32_t>> grouped;
        for (const TopicPartition& partition : offering.partitions)
            grouped[partition.topic].push_back(partition.partition);
        std::vector<Request::OffsetFetchRequestTopic> old_topics;  // up to version 7
        std::vector<Request::OffsetFetchRequestTopics> topics;
        for (const auto& [name, numbers] : grouped) {
            old_topics.emplace_back().name = name;
            old_topics.back().partition_indexes = numbers;
            topics.emplace_back().name = name;
            topics.back().partition_indexes = numbers;
        }
        Request::OffsetFetchRequestGroup group;
        group.group_id = config_.group_id;
        group.topics = topics;
        Request request;
        request.group_id = config_.group_id;
        request.topics = old_topics;
        request.groups = std::span(&group, 1);
        request.require_stable = true;  // what an open transaction may still take back is not told
        sent = router_.send(now, *this, its_context, coordinator(by_name_last), request, timeout);
    }
    if (sent || sent.error() == Error::would_block || sent.error() == Error::disconnected ||
        sent.error() == Error::not_found)
        return sent_or_not(now, sent, offering_sent_);
    end_offering(sent);
}

void GroupMember::on_offsets(Instant now, const client::Event& event) {
    if (offerings_.empty()) return;
    if (event.kind != client::Event::Kind::response) {
        // Whether a commit was carried out is not known; to repeat it changes nothing.
        lose_coordinator();
        return back_off(now);
    }
    if (offerings_.front().is_commit)
        on_commit(now, event);
    else
        on_committed(now, event);
}

void GroupMember::on_commit(Instant now, const client::Event& event) {
    const auto answer = wire::decode<wire::OffsetCommitResponse>(event.body, event.api_version);
    if (!answer) return end_offering(fail(answer.error()));
    Offering& offering = offerings_.front();
    GroupAnswer& told = offering.answer;
    wire::ErrorCode again = wire::ErrorCode::none;
    wire::ErrorCode of_group = wire::ErrorCode::none;
    for (const auto& topic : answer->topics)
        for (const auto& partition : topic.partitions) {
            using wire::ErrorCode;
            const TopicPartition place{std::string(topic.name.view()), partition.partition_index};
            const ErrorCode error = partition.error_code;
            if (error == ErrorCode::none) {
                offering.offsets.erase(place);
                continue;
            }
            if (error == ErrorCode::unknown_member_id || error == ErrorCode::illegal_generation ||
                error == ErrorCode::rebalance_in_progress || error == ErrorCode::fenced_instance_id)
                of_group = error;
            if (wire::retriable(error) && error != ErrorCode::unknown_topic_or_partition) {
                again = error;
                continue;
            }
            told.refused[place] = error;
            if (told.error == ErrorCode::none) told.error = error;
            offering.offsets.erase(place);
        }
    const bool is_current = offering.generation >= 0 && offering.generation == generation_;
    const bool is_over = again == wire::ErrorCode::none;
    if (is_over) {
        failures_ = 0;
        end_offering(told.error == wire::ErrorCode::none ? ok() : fail(Error::refused));
        if (of_group != wire::ErrorCode::none && is_current) judge(now, of_group);
    } else {
        judge(now, again);  // for the partitions that are left
    }
}

void GroupMember::on_committed(Instant now, const client::Event& event) {
    const auto answer = wire::decode<wire::OffsetFetchResponse>(event.body, event.api_version);
    if (!answer) return end_offering(fail(answer.error()));
    GroupAnswer& told = offerings_.front().answer;
    told.offsets.clear();
    wire::ErrorCode error = answer->error_code;
    const auto take = [&](std::string_view topic, const auto& partition) {
        if (partition.error_code != wire::ErrorCode::none) {
            error = partition.error_code;
            return;
        }
        told.offsets[{std::string(topic), partition.partition_index}] = {
            partition.committed_offset, partition.committed_leader_epoch,
            std::string(partition.metadata.view())};
    };
    for (const auto& topic : answer->topics)
        for (const auto& partition : topic.partitions) take(topic.name.view(), partition);
    for (const auto& group : answer->groups) {
        if (group.error_code != wire::ErrorCode::none) error = group.error_code;
        for (const auto& topic : group.topics)
            for (const auto& partition : topic.partitions) take(topic.name.view(), partition);
    }
    if (wire::retriable(error) && error != wire::ErrorCode::unknown_topic_or_partition)
        return judge(now, error);
    told.error = error;
    failures_ = 0;
    end_offering(error == wire::ErrorCode::none ? ok() : fail(Error::refused));
}

}  // namespace leat::cluster
