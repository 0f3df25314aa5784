#include "sdk/cluster/metadata.hpp"

#include <algorithm>
#include <set>

namespace leat::cluster {
namespace {

std::vector<std::int32_t> copy_of(const wire::Array<std::int32_t>& ids) {
    std::vector<std::int32_t> copy;
    copy.reserve(ids.size());
    for (std::int32_t id : ids) copy.push_back(id);
    return copy;
}

/// Old news: the same partition of the same topic under a lower epoch.
bool is_stale(const PartitionInfo& known, std::int32_t leader_epoch) {
    return leader_epoch >= 0 && known.leader_epoch >= 0 && leader_epoch < known.leader_epoch;
}

std::size_t count_partitions(const wire::MetadataResponse& answer) {
    std::size_t count = 0;
    for (const auto& topic : answer.topics) count += topic.partitions.size();
    return count;
}

}  // namespace

Metadata::Metadata(const MetadataConfig& config) : config_(config), jitter_(config.jitter_seed) {}

const TopicInfo* Metadata::find(std::string_view topic) const {
    const auto found = topics_.find(topic);
    return found == topics_.end() ? nullptr : &found->second;
}

const PartitionInfo* Metadata::partition_of(std::string_view topic, std::int32_t partition) const {
    const TopicInfo* info = find(topic);
    if (!info || partition < 0 || static_cast<std::size_t>(partition) >= info->partitions.size())
        return nullptr;
    return &info->partitions[static_cast<std::size_t>(partition)];
}

std::int32_t Metadata::leader(std::string_view topic, std::int32_t partition) const {
    const PartitionInfo* info = partition_of(topic, partition);
    return info ? info->leader : no_broker;
}

std::int32_t Metadata::leader_epoch(std::string_view topic, std::int32_t partition) const {
    const PartitionInfo* info = partition_of(topic, partition);
    return info ? info->leader_epoch : -1;
}

const Endpoint* Metadata::broker(std::int32_t node_id) const {
    const auto found = brokers_.find(node_id);
    return found == brokers_.end() ? nullptr : &found->second;
}

Instant Metadata::ask_at() const {
    if (under_way_ || ask_at_ == never) return never;
    return std::max(ask_at_, not_before_);
}

void Metadata::want(Instant now, std::string_view topic, std::int32_t partition) {
    auto wanted = wanted_.find(topic);
    const bool is_new = wanted == wanted_.end();
    if (is_new) wanted = wanted_.emplace(topic, Wanted{}).first;
    ++wanted->second.times;
    const std::size_t needed = static_cast<std::size_t>(std::max(partition, 0)) + 1;
    if (!is_new && needed <= wanted->second.partitions) return;
    wanted->second.partitions = std::max(wanted->second.partitions, needed);
    // News is worth a question at once: the back-off is about answers that did not help.
    // Of a name that has been asked for and is not known yet there is none.
    const TopicInfo* info = find(topic);
    const std::size_t known = info ? info->partitions.size() : 0;
    if (known < needed && (is_new || known > 0)) {
        asks_in_vain_ = 0;
        not_before_ = now;
        refresh(now);
    }
}

void Metadata::forget(std::string_view topic) {
    const auto wanted = wanted_.find(topic);
    if (wanted == wanted_.end() || --wanted->second.times > 0) return;
    wanted_.erase(wanted);
    if (const auto known = topics_.find(topic); known != topics_.end() && !wants_all_)
        topics_.erase(known);
}

void Metadata::want_all(Instant now) {
    wants_all_ = true;
    refresh(now);
}

void Metadata::refresh(Instant now) {
    if (under_way_) refresh_again_ = true;
    ask_at_ = earlier(ask_at_, now);
}

void Metadata::fill(MetadataAsk& ask) const {
    ask.topics.clear();
    for (const auto& [name, count] : wanted_) {
        auto& topic = ask.topics.emplace_back();
        topic.name = name;
    }
    ask.request = {};
    ask.request.allow_auto_topic_creation = config_.allow_auto_topic_creation;
    if (wants_all_) {
        ask.request.topics = nullptr;
    } else {
        ask.request.topics = ask.topics;
    }
}

void Metadata::on_ask_failed(Instant now) {
    under_way_ = false;
    refresh_again_ = false;
    ask_at_ = now;
    not_before_ = now + backoff_delay(config_.retry, ++asks_in_vain_, jitter_);
}

Status Metadata::on_answer(Instant now, const wire::MetadataResponse& answer) {
    if (count_partitions(answer) > config_.partitions_max) {
        on_ask_failed(now);
        return fail(Error::too_large);
    }
    under_way_ = false;
    ++version_;
    // An answer without brokers comes from one that has just started: keep those we know.
    if (!answer.brokers.empty()) {
        brokers_.clear();
        for (const auto& broker : answer.brokers)
            if (broker.node_id >= 0 && broker.port > 0 && broker.port <= 65535)
                brokers_[broker.node_id] = {std::string(broker.host.view()),
                                            static_cast<std::uint16_t>(broker.port)};
    }
    controller_ = answer.controller_id;
    if (!answer.cluster_id.is_null()) cluster_id_ = answer.cluster_id.view();
    bool all_known = true;
    for (const auto& topic : answer.topics) all_known &= take_topic(topic);
    // A broker that has just started knows neither brokers nor topics.
    if (asked_all_ && !answer.brokers.empty()) all_known &= miss_topics(answer);

    if (all_known && !refresh_again_) {
        asks_in_vain_ = 0;
        not_before_ = now + config_.retry.min;
        ask_at_ = now + config_.age_max;
    } else {
        // Either a leader is missing, or somebody stumbled while this answer was already on its
        // way.
        not_before_ = now + backoff_delay(config_.retry, ++asks_in_vain_, jitter_);
        ask_at_ = now;
    }
    refresh_again_ = false;
    return ok();
}

/// Every topic was asked for. Returns whether each that is wanted is there.
bool Metadata::miss_topics(const wire::MetadataResponse& answer) {
    std::set<std::string_view> there;
    for (const auto& topic : answer.topics)
        if (!topic.name.is_null()) there.insert(topic.name.view());
    std::erase_if(topics_, [&](const auto& entry) {
        return !there.contains(entry.first) && !wanted_.contains(entry.first);
    });
    bool all = true;
    for (const auto& [name, count] : wanted_) {
        if (there.contains(name)) continue;
        topics_[name].error = wire::ErrorCode::unknown_topic_or_partition;
        all = false;
    }
    return all;
}

/// Returns whether each partition that is wanted is there, and has a leader who is a broker.
bool Metadata::take_topic(const wire::MetadataResponse::MetadataResponseTopic& from) {
    if (from.name.is_null()) return true;
    const std::string_view name = from.name.view();
    const auto wanted = wanted_.find(name);
    const bool is_wanted = wanted != wanted_.end();
    if (!is_wanted && !wants_all_) return true;
    TopicInfo& topic = topics_[std::string(name)];
    topic.error = from.error_code;
    if (from.error_code != wire::ErrorCode::none)
        return !is_wanted || !wire::retriable(from.error_code);

    if (topic.id != from.topic_id) topic.partitions.clear();
    topic.id = from.topic_id;
    topic.is_internal = from.is_internal;
    // Brokers list partitions in any order; Kafka never takes one away, so a shorter list is old
    // news.
    std::size_t count = topic.partitions.size();
    for (const auto& partition : from.partitions)
        if (partition.partition_index >= 0 &&
            static_cast<std::size_t>(partition.partition_index) < config_.partitions_max)
            count = std::max(count, static_cast<std::size_t>(partition.partition_index) + 1);
    topic.partitions.resize(count);
    for (const auto& partition : from.partitions) {
        if (partition.partition_index < 0 ||
            static_cast<std::size_t>(partition.partition_index) >= topic.partitions.size())
            continue;
        PartitionInfo& known =
            topic.partitions[static_cast<std::size_t>(partition.partition_index)];
        if (is_stale(known, partition.leader_epoch)) continue;
        known.error = partition.error_code;
        known.leader = partition.leader_id;
        known.leader_epoch = partition.leader_epoch;
        known.replicas = copy_of(partition.replica_nodes);
        known.in_sync = copy_of(partition.isr_nodes);
    }
    if (!is_wanted) return true;
    return topic.partitions.size() >= wanted->second.partitions &&
           std::all_of(topic.partitions.begin(), topic.partitions.end(),
                       [this](const PartitionInfo& p) { return brokers_.contains(p.leader); });
}

}  // namespace leat::cluster
