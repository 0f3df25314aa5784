// A member's heartbeats, and the question which topics have the ids it was told.
#include <algorithm>

#include "sdk/cluster/consumer_member.hpp"
#include "sdk/wire/api/03_metadata.hpp"
#include "sdk/wire/api/68_consumer_group_heartbeat.hpp"

namespace leat::cluster {
namespace {

constexpr std::int32_t joins = 0, leaves = -1, leaves_and_comes_back = -2;  // instead of an epoch
constexpr milliseconds beat_min{10};        // whatever interval a broker tells
constexpr std::int16_t ids_since = 12;      // of MetadataRequest
constexpr std::int16_t patterns_since = 1;  // of ConsumerGroupHeartbeat

wire::StringView instance_of(const GroupConfig& config) {
    return config.instance_id ? wire::StringView(*config.instance_id) : wire::StringView(nullptr);
}

}  // namespace

void ConsumerMember::send_heartbeat(Instant now) {
    using Request = wire::ConsumerGroupHeartbeatRequest;
    const bool is_joining = state_ == State::joining;
    const bool all = tell_all_ || is_joining;
    if (state_ == State::departing)  // nothing new: soon it leaves
        sent_ = {told_.topics, told_.pattern, false};
    else
        sent_ = {topics_, pattern_, !is_joining && is_acknowledgeable()};
    if (sent_.acknowledges) {
        held_.clear();
        for (const TopicPartition& place : owned_)
            held_.insert({owned_ids_[place.topic], place.partition});
    }
    Request request;
    request.group_id = config_.group_id;
    request.member_id = member_id_;
    request.member_epoch = is_joining ? joins : generation_;
    request.instance_id = instance_of(config_);
    if (all)
        request.rebalance_timeout_ms = static_cast<std::int32_t>(
            std::min<std::int64_t>(config_.max_poll_interval.count(), INT32_MAX));
    if (all && !config_.remote_assignor.empty()) request.server_assignor = config_.remote_assignor;
    const std::vector<wire::StringView> names(sent_.topics.begin(), sent_.topics.end());
    if (all || sent_.topics != told_.topics) request.subscribed_topic_names = names;
    // An empty one takes back what was subscribed before.
    has_had_pattern_ |= !sent_.pattern.empty();
    if (sent_.pattern != told_.pattern || (all && has_had_pattern_))
        request.subscribed_topic_regex = sent_.pattern;
    std::map<wire::Uuid, std::vector<std::int32_t>> numbers;
    for (const auto& [id, number] : held_) numbers[id].push_back(number);
    std::vector<Request::TopicPartitions> owned;
    for (const auto& [id, list] : numbers) owned.push_back({id, list});
    if (all || sent_.acknowledges) request.topic_partitions = owned;
    sent_or_not(now,
                router_.send(now, *this, context(What::heartbeat), coordinator(), request,
                             config_.request_timeout),
                beating_);
}

void ConsumerMember::send_leave(Instant now) {
    wire::ConsumerGroupHeartbeatRequest request;
    request.group_id = config_.group_id;
    request.member_id = member_id_;
    request.member_epoch = config_.instance_id ? leaves_and_comes_back : leaves;
    request.instance_id = instance_of(config_);
    sent_or_not(now,
                router_.send(now, *this, context(What::leave), coordinator(), request,
                             config_.request_timeout),
                leave_sent_);
}

void ConsumerMember::on_answer(Instant now, Router& router, const client::Event& event,
                               std::uint64_t its_context) {
    const auto what = static_cast<What>(its_context & 15);
    if (what == What::find) {
        on_find(now, event);
    } else if (what == What::offsets) {
        offering_sent_ = false;
        on_offsets(now, event);
    } else if (what == What::leave) {
        // Whatever was answered: there is nothing more that could be done.
        leave_sent_ = leaving_ = false;
    } else if (its_context >> 4 == attempt_) {
        if (what == What::heartbeat) on_heartbeat(now, event);
        if (what == What::resolve) on_resolve(now, event);
    }
    pump(now, router);
}

void ConsumerMember::on_heartbeat(Instant now, const client::Event& event) {
    using wire::ErrorCode;
    beating_ = false;
    beat_at_ = now + interval_;
    const bool is_response = event.kind == client::Event::Kind::response;
    const auto answer =
        is_response
            ? wire::decode<wire::ConsumerGroupHeartbeatResponse>(event.body, event.api_version)
            : Result<wire::ConsumerGroupHeartbeatResponse>(fail(Error::disconnected));
    const bool is_taken = answer && answer->error_code == ErrorCode::none;
    if (!is_taken) {
        // Once more as soon as the back-off allows it, and everything: what it knows is not known.
        tell_all_ = true;
        beat_at_ = now;
    }
    if (!answer || (is_taken && answer->member_epoch <= 0)) {
        lose_coordinator();
        return back_off(now);
    }
    if (!is_taken) return judge(now, answer->error_code);
    if (!sent_.pattern.empty() && event.api_version < patterns_since)
        return fail_for_good(ErrorCode::unsupported_version);
    failures_ = 0;
    unreleased_since_.reset();
    interval_ = std::max(beat_min, milliseconds(answer->heartbeat_interval_ms));
    beat_at_ = now + interval_;
    if (!answer->member_id.empty()) member_id_ = answer->member_id.view();
    if (state_ == State::joining) {
        state_ = State::member;
        ++joins_;
        is_news_to_program_ = true;
    }
    generation_ = answer->member_epoch;
    if (sent_.acknowledges) ack_due_ = false;
    told_ = sent_;
    tell_all_ = false;
    if (answer->assignment_mark < 0) return;
    target_.emplace();
    for (const auto& topic : answer->assignment.topic_partitions) {
        std::vector<std::int32_t>& numbers = (*target_)[topic.topic_id];
        for (std::int32_t number : topic.partitions)
            if (number >= 0) numbers.push_back(number);
    }
    std::erase_if(resolved_, [this](const auto& known) { return !target_->contains(known.first); });
}

void ConsumerMember::send_resolve(Instant now, const std::vector<wire::Uuid>& ids) {
    if (resolving_ || now < resolve_at_) return;
    std::vector<wire::MetadataRequest::MetadataRequestTopic> topics;
    for (const wire::Uuid& id : ids) {
        topics.emplace_back().topic_id = id;
        topics.back().name = nullptr;
    }
    wire::MetadataRequest request;
    request.topics = topics;
    request.allow_auto_topic_creation = false;
    const Status sent = router_.send(now, *this, context(What::resolve),
                                     {.kind = Target::Kind::any}, request, config_.request_timeout);
    resolving_ = bool(sent);
}

void ConsumerMember::on_resolve(Instant now, const client::Event& event) {
    resolving_ = false;
    // What this answer leaves open is asked for again: the broker's picture may be older than the
    // coordinator's. A topic that is gone goes from the target, too.
    resolve_at_ = now + config_.retry.max;
    if (event.kind != client::Event::Kind::response || event.api_version < ids_since) return;
    const auto answer = wire::decode<wire::MetadataResponse>(event.body, event.api_version);
    if (!answer) return;
    for (const auto& topic : answer->topics)
        if (topic.error_code == wire::ErrorCode::none && !topic.name.empty())
            resolved_[topic.topic_id] = topic.name.view();
}

}  // namespace leat::cluster
