// What members of both protocols do alike, but for offsets (group_offsets.cpp).
#include "sdk/cluster/group.hpp"

#include <algorithm>

#include "sdk/cluster/consumer_member.hpp"
#include "sdk/cluster/group_member.hpp"
#include "sdk/wire/api/10_find_coordinator.hpp"

namespace leat::cluster {

std::unique_ptr<Group> make_group(Router& router, GroupProtocol protocol, GroupConfig config) {
    if (protocol == GroupProtocol::consumer)
        return std::make_unique<ConsumerMember>(router, std::move(config));
    return std::make_unique<GroupMember>(router, std::move(config));
}

Group::Group(Router& router, GroupConfig config)
    : router_(router), config_(std::move(config)), jitter_(config_.seed) {
    LEAT_CHECK(!config_.group_id.empty());
    router_.add(*this);
}

Group::~Group() {
    for (const std::string& topic : wanted_) router_.forget(topic);
    router_.remove(*this);
}

Status Group::subscribe_pattern(Instant, std::string) { return fail(Error::unsupported); }

bool Group::has_unanswered_commit() const {
    return std::any_of(offerings_.begin(), offerings_.end(),
                       [](const Offering& offering) { return offering.is_commit; });
}

void Group::tell(GroupEvent::Kind kind, Partitions partitions) {
    if (kind != GroupEvent::Kind::failed) ++unhandled_;
    events_.push_back({kind, std::move(partitions), {}});
}

void Group::lose_all() {
    // An assignment that nobody has heard of yet need not be taken back.
    if (owned_.empty()) return;
    tell(GroupEvent::Kind::lost, {owned_.begin(), owned_.end()});
    owned_.clear();
}

void Group::lose_coordinator() {
    coordinator_ = no_broker;
    blocked_since_.reset();
}

bool Group::loses_coordinator(Instant now, wire::ErrorCode error) {
    using wire::ErrorCode;
    if (error != ErrorCode::coordinator_not_available && error != ErrorCode::not_coordinator &&
        error != ErrorCode::request_timed_out)
        return false;
    lose_coordinator();
    back_off(now);
    return true;
}

void Group::back_off(Instant now) {
    not_before_ = now + backoff_delay(config_.retry, ++failures_, jitter_);
}

// ---- metadata

void Group::set_wanted(Instant now, std::set<std::string> topics) {
    for (const std::string& topic : topics)
        if (!wanted_.contains(topic)) router_.want(now, topic);
    for (const std::string& topic : wanted_)
        if (!topics.contains(topic)) router_.forget(topic);
    wanted_ = std::move(topics);
}

/// Of a pattern on our side. True: other topics than before match.
bool Group::match_topics() {
    std::vector<std::string> found;
    for (const auto& [name, info] : router_.metadata().topics())
        if (!info.is_internal && !info.partitions.empty() &&
            info.error != wire::ErrorCode::unknown_topic_or_partition && matches_(name))
            found.push_back(name);
    if (found == topics_) return false;
    topics_ = std::move(found);
    return true;
}

// ---- the coordinator

Target Group::coordinator(std::int16_t version_max) const {
    Target target;
    target.kind = Target::Kind::coordinator;
    target.broker = coordinator_;
    target.version_max = version_max;
    return target;
}

void Group::watch_time(Instant now) {
    if (blocked_since_ && *blocked_since_ + config_.retry.max <= now) {
        // No connection to it for that long: another broker may be the coordinator by now.
        blocked_since_.reset();
        lose_coordinator();
    }
    while (!offerings_.empty() && !offering_sent_ && offerings_.front().deadline <= now)
        end_offering(fail(Error::timed_out));
}

/// False: there is none, or it is not to be asked yet.
bool Group::keep_coordinator(Instant now, bool needed) {
    if (not_before_ > now) return false;
    if (coordinator_ != no_broker) return true;
    if (needed && !finding_) send_find(now);
    return false;
}

// What was due at the last pump and still stands waits for a connection, and hears of that by
// the next pump: to ask for the time again would spin.
Instant Group::shared_deadline() const {
    Instant first = due(not_before_);
    if (!offerings_.empty() && !offering_sent_)
        first = earlier(first, due(offerings_.front().deadline));
    if (blocked_since_) first = earlier(first, due(*blocked_since_ + config_.retry.max));
    return first;
}

/// would_block: the connection is being made, and the next pump tries again.
void Group::sent_or_not(Instant now, const Status& sent, bool& flag) {
    flag = bool(sent);
    if (sent) blocked_since_.reset();
    if (!sent && !blocked_since_ && coordinator_ != no_broker) blocked_since_ = now;
    if (sent || sent.error() == Error::would_block || sent.error() == Error::disconnected) return;
    if (sent.error() == Error::not_found) {  // it left the cluster, or Metadata is older than it
        router_.refresh_metadata(now);
        lose_coordinator();
        back_off(now);
        return;
    }
    fail_for_good(sent.error() == Error::unsupported ? wire::ErrorCode::unsupported_version
                                                     : wire::ErrorCode::invalid_request);
}

void Group::send_find(Instant now) {
    const wire::StringView key(config_.group_id);
    wire::FindCoordinatorRequest request;
    request.key = key;
    request.coordinator_keys = std::span(&key, 1);
    sent_or_not(now,
                router_.send(now, *this, static_cast<std::uint64_t>(What::find),
                             {.kind = Target::Kind::any}, request, config_.request_timeout),
                finding_);
}

void Group::on_find(Instant now, const client::Event& event) {
    finding_ = false;
    if (event.kind != client::Event::Kind::response) return back_off(now);
    const auto answer = wire::decode<wire::FindCoordinatorResponse>(event.body, event.api_version);
    if (!answer) return back_off(now);
    wire::ErrorCode error = answer->error_code;
    std::int32_t node = answer->node_id;
    if (event.api_version >= 4) {
        error = wire::ErrorCode::coordinator_not_available;
        for (const auto& found : answer->coordinators) {
            if (found.key.view() != config_.group_id) continue;
            error = found.error_code;
            node = found.node_id;
        }
    }
    if (error == wire::ErrorCode::none && node < 0)  // nobody: to ask again at once would spin
        error = wire::ErrorCode::coordinator_not_available;
    if (error != wire::ErrorCode::none) {
        if (!wire::retriable(error)) {
            while (!offerings_.empty()) {
                offerings_.front().answer.error = error;
                end_offering(fail(Error::refused));
            }
            if (takes_part()) return fail_for_good(error);
        }
        return back_off(now);
    }
    coordinator_ = node;
    if (!router_.metadata().broker(node)) router_.refresh_metadata(now);
}

// ---- drain

std::optional<GroupEvent> Group::poll_event() {
    if (events_.empty()) return std::nullopt;
    GroupEvent event = std::move(events_.front());
    events_.pop_front();
    return event;
}

std::optional<GroupAnswer> Group::poll_answer() {
    if (answers_.empty()) return std::nullopt;
    GroupAnswer answer = std::move(answers_.front());
    answers_.pop_front();
    return answer;
}

}  // namespace leat::cluster
