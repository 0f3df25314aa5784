// Committed offsets: one request at a time, in the order in which they were asked for, so that an
// older commit that had to be repeated never overtakes a newer one.
//
// A member of the consumer protocol says its epoch (version 9, KIP-848). An epoch that has just
// been passed is refused with STALE_MEMBER_EPOCH; the commit is then made once more in the next
// one, which is right as long as what it speaks of is still ours: a member acknowledges that it
// gave partitions up only when no commit waits for its answer. Where the topics' ids are known they
// are used (version 10): what was read of a topic is not committed to another of the same name.
#include <algorithm>

#include "sdk/cluster/group.hpp"
#include "sdk/wire/api/08_offset_commit.hpp"
#include "sdk/wire/api/09_offset_fetch.hpp"

namespace leat::cluster {
namespace {

constexpr std::int16_t by_name_last = 9, by_id_last = 10;

wire::Uuid id_of(const std::map<wire::Uuid, std::string>& names, const std::string& topic) {
    for (const auto& [id, name] : names)
        if (name == topic) return id;
    return {};
}

/// The coordinator may answer otherwise a moment later; a topic that is not there may not.
bool is_worth_a_retry(wire::ErrorCode error) {
    return error == wire::ErrorCode::stale_member_epoch ||
           (wire::retriable(error) && error != wire::ErrorCode::unknown_topic_or_partition &&
            error != wire::ErrorCode::unknown_topic_id);
}

std::string name_of(const std::map<wire::Uuid, std::string>& names, const auto& topic) {
    const auto found = names.find(topic.topic_id);
    return found == names.end() ? std::string(topic.name.view()) : found->second;
}

}  // namespace

GroupRequestId Group::commit(Instant now, Offsets offsets, milliseconds timeout) {
    Offering& offering = offerings_.emplace_back();
    offering.answer.id = next_request_++;
    offering.is_commit = true;
    offering.deadline = now + timeout;
    offering.offsets = std::move(offsets);
    offering.term = term();
    const GroupRequestId id = offering.answer.id;
    pump(now, router_);
    return id;
}

GroupRequestId Group::fetch_committed(Instant now, Partitions partitions, milliseconds timeout) {
    Offering& offering = offerings_.emplace_back();
    offering.answer.id = next_request_++;
    offering.deadline = now + timeout;
    offering.partitions = std::move(partitions);
    const GroupRequestId id = offering.answer.id;
    pump(now, router_);
    return id;
}

void Group::end_offering(Status status) {
    Offering& offering = offerings_.front();
    offering.answer.status = status;
    answers_.push_back(std::move(offering.answer));
    offerings_.pop_front();
}

/// Their ids, if all of them are known. False: they are spoken of by name.
bool Group::name_ids(Offering& offering, const std::set<std::string>& topics) const {
    offering.names.clear();
    if (!knows_epochs()) return false;
    for (const std::string& topic : topics) {
        const TopicInfo* info = router_.metadata().find(topic);
        if (info && !info->id.is_zero()) offering.names[info->id] = topic;
    }
    if (offering.names.size() == topics.size()) return true;
    offering.names.clear();
    return false;
}

void Group::send_offsets(Instant now) {
    // Commits of a term that is over would be refused, and rightly so.
    const bool is_outside = term() < 0 && is_subscribed();
    while (!offerings_.empty() && offerings_.front().is_commit &&
           (is_outside || offerings_.front().term != term())) {
        offerings_.front().answer.error = wire::ErrorCode::illegal_generation;
        end_offering(fail(Error::refused));
    }
    if (offerings_.empty()) return;
    Offering& offering = offerings_.front();
    const milliseconds timeout = std::min(config_.request_timeout, offering.deadline - now);
    const Status sent = offering.is_commit ? send_commit(now, offering, timeout)
                                           : send_question(now, offering, timeout);
    if (sent || sent.error() == Error::would_block || sent.error() == Error::disconnected ||
        sent.error() == Error::not_found)
        return sent_or_not(now, sent, offering_sent_);
    end_offering(sent);
}

Status Group::send_commit(Instant now, Offering& offering, milliseconds timeout) {
    using Request = wire::OffsetCommitRequest;
    std::map<std::string, std::vector<Request::OffsetCommitRequestPartition>> grouped;
    std::set<std::string> names;
    for (const auto& [place, committed] : offering.offsets) {
        names.insert(place.topic);
        auto& partition = grouped[place.topic].emplace_back();
        partition.partition_index = place.partition;
        partition.committed_offset = committed.offset;
        partition.committed_leader_epoch = committed.leader_epoch;
        partition.committed_metadata = committed.metadata;
    }
    const bool by_ids = name_ids(offering, names);
    std::vector<Request::OffsetCommitRequestTopic> topics;
    for (const auto& [name, partitions] : grouped) {
        auto& topic = topics.emplace_back();
        topic.name = name;
        topic.topic_id = id_of(offering.names, name);
        topic.partitions = partitions;
    }
    Request request;
    request.group_id = config_.group_id;
    request.generation_id_or_member_epoch = offering.term < 0 ? -1 : generation_;
    if (offering.term >= 0) {
        request.member_id = member_id_;
        if (config_.instance_id) request.group_instance_id = *config_.instance_id;
    }
    request.topics = topics;
    return router_.send(now, *this,
                        offering.answer.id << 4 | static_cast<std::uint64_t>(What::offsets),
                        coordinator(by_ids ? by_id_last : by_name_last), request, timeout);
}

Status Group::send_question(Instant now, Offering& offering, milliseconds timeout) {
    using Request = wire::OffsetFetchRequest;
    std::map<std::string, std::vector<std::int32_t>> grouped;
    std::set<std::string> names;
    for (const TopicPartition& place : offering.partitions) {
        names.insert(place.topic);
        grouped[place.topic].push_back(place.partition);
    }
    const bool by_ids = name_ids(offering, names);
    std::vector<Request::OffsetFetchRequestTopic> old_topics;  // up to version 7
    std::vector<Request::OffsetFetchRequestTopics> topics;
    for (const auto& [name, numbers] : grouped) {
        old_topics.emplace_back().name = name;
        old_topics.back().partition_indexes = numbers;
        topics.emplace_back().name = name;
        topics.back().topic_id = id_of(offering.names, name);
        topics.back().partition_indexes = numbers;
    }
    Request::OffsetFetchRequestGroup group;
    group.group_id = config_.group_id;
    group.topics = topics;
    if (knows_epochs() && term() >= 0) {
        group.member_id = member_id_;
        group.member_epoch = generation_;
    }
    Request request;
    request.group_id = config_.group_id;
    request.topics = old_topics;
    request.groups = std::span(&group, 1);
    request.require_stable = true;  // what an open transaction may still take back is not told
    return router_.send(now, *this,
                        offering.answer.id << 4 | static_cast<std::uint64_t>(What::offsets),
                        coordinator(by_ids ? by_id_last : by_name_last), request, timeout);
}

void Group::on_offsets(Instant now, const client::Event& event) {
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

void Group::on_commit(Instant now, const client::Event& event) {
    const auto answer = wire::decode<wire::OffsetCommitResponse>(event.body, event.api_version);
    if (!answer) return end_offering(fail(answer.error()));
    Offering& offering = offerings_.front();
    GroupAnswer& told = offering.answer;
    wire::ErrorCode again = wire::ErrorCode::none;
    wire::ErrorCode of_group = wire::ErrorCode::none;
    for (const auto& topic : answer->topics)
        for (const auto& partition : topic.partitions) {
            using wire::ErrorCode;
            const TopicPartition place{name_of(offering.names, topic), partition.partition_index};
            const ErrorCode error = partition.error_code;
            if (error == ErrorCode::none) {
                offering.offsets.erase(place);
                continue;
            }
            if (error == ErrorCode::unknown_member_id || error == ErrorCode::illegal_generation ||
                error == ErrorCode::rebalance_in_progress ||
                error == ErrorCode::fenced_instance_id || error == ErrorCode::fenced_member_epoch)
                of_group = error;
            if (is_worth_a_retry(error)) {
                again = error;
                continue;
            }
            told.refused[place] = error;
            if (told.error == ErrorCode::none) told.error = error;
            offering.offsets.erase(place);
        }
    const bool is_current = offering.term >= 0 && offering.term == term();
    const bool is_over = again == wire::ErrorCode::none;
    if (told.error == wire::ErrorCode::unknown_topic_id) router_.refresh_metadata(now);
    if (is_over) {
        failures_ = 0;
        for (const auto& [place, committed] : offering.offsets) {  // left out: nobody has them
            told.refused[place] = wire::ErrorCode::unknown_server_error;
            if (told.error == wire::ErrorCode::none)
                told.error = wire::ErrorCode::unknown_server_error;
        }
        end_offering(told.error == wire::ErrorCode::none ? ok() : fail(Error::refused));
        if (of_group != wire::ErrorCode::none && is_current) judge(now, of_group);
    } else {
        judge(now, again);  // for the partitions that are left
    }
}

void Group::on_committed(Instant now, const client::Event& event) {
    const auto answer = wire::decode<wire::OffsetFetchResponse>(event.body, event.api_version);
    if (!answer) return end_offering(fail(answer.error()));
    const Offering& offering = offerings_.front();
    GroupAnswer& told = offerings_.front().answer;
    told.offsets.clear();
    told.refused.clear();
    wire::ErrorCode error = answer->error_code;
    const auto take = [&](const std::string& topic, const auto& partition) {
        if (partition.error_code == wire::ErrorCode::unknown_topic_id) {
            // Deleted, or newer than the coordinator's picture: the others' offsets are good.
            told.refused[{topic, partition.partition_index}] = partition.error_code;
            return router_.refresh_metadata(now);
        }
        if (partition.error_code != wire::ErrorCode::none) {
            error = partition.error_code;
            return;
        }
        // As in Java any offset below zero is none: KafkaJS commits -2.
        told.offsets[{topic, partition.partition_index}] = {
            std::max<std::int64_t>(partition.committed_offset, -1),
            partition.committed_leader_epoch, std::string(partition.metadata.view())};
    };
    for (const auto& topic : answer->topics)
        for (const auto& partition : topic.partitions)
            take(std::string(topic.name.view()), partition);
    for (const auto& group : answer->groups) {
        if (group.error_code != wire::ErrorCode::none) error = group.error_code;
        for (const auto& topic : group.topics)
            for (const auto& partition : topic.partitions)
                take(name_of(offering.names, topic), partition);
    }
    if (is_worth_a_retry(error)) return judge(now, error);
    for (const TopicPartition& place : offering.partitions)  // left out: nobody knows them
        if (!told.offsets.contains(place))
            told.refused.try_emplace(place, wire::ErrorCode::unknown_server_error);
    told.error = error;
    failures_ = 0;
    end_offering(error == wire::ErrorCode::none ? ok() : fail(Error::refused));
}

}  // namespace leat::cluster
