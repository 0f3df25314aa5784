// The life of a member: what happens when. Its requests and answers stand in consumer_requests.cpp.
#include "sdk/cluster/consumer_member.hpp"

#include <algorithm>

namespace leat::cluster {

ConsumerMember::ConsumerMember(Router& router, GroupConfig config)
    : Group(router, std::move(config)) {
    LEAT_CHECK(!config_.member_id.empty());
    member_id_ = config_.member_id;
}

bool ConsumerMember::has_news() const {
    return !events_.empty() || !answers_.empty() ||
           (state_ == State::idle && is_subscribed() && unhandled_ == 0 && !leaving_);
}

// ---- want

void ConsumerMember::subscribe(Instant now, std::vector<std::string> topics) {
    std::sort(topics.begin(), topics.end());
    topics.erase(std::unique(topics.begin(), topics.end()), topics.end());
    matches_ = nullptr;
    pattern_.clear();
    topics_ = std::move(topics);
    change_subscription(now);
}

void ConsumerMember::subscribe_matching(Instant now,
                                        std::function<bool(std::string_view)> matches) {
    matches_ = std::move(matches);
    pattern_.clear();
    topics_.clear();
    seen_metadata_ = 0;
    router_.want_all(now);
    change_subscription(now);
}

Status ConsumerMember::subscribe_pattern(Instant now, std::string pattern) {
    matches_ = nullptr;
    topics_.clear();
    pattern_ = std::move(pattern);
    change_subscription(now);
    return ok();
}

void ConsumerMember::change_subscription(Instant now) {
    if (state_ == State::failed) state_ = State::idle;
    set_wanted(now, {topics_.begin(), topics_.end()});
    last_poll_ = now;
    pump(now, router_);
}

void ConsumerMember::unsubscribe(Instant now) {
    matches_ = nullptr;
    topics_.clear();
    pattern_.clear();
    set_wanted(now, {});
    if (!takes_part()) return;
    state_ = State::departing;
    target_.reset();
    if (!owned_.empty()) tell(GroupEvent::Kind::revoked, {owned_.begin(), owned_.end()});
    owned_.clear();
    pump(now, router_);
}

void ConsumerMember::leave(Instant now) {
    matches_ = nullptr;
    topics_.clear();
    pattern_.clear();
    events_.clear();
    unhandled_ = 0;
    set_wanted(now, {});
    end_membership(now);
}

/// Also when the join is on its way: who leaves before the answer may be a member already.
void ConsumerMember::end_membership(Instant now) {
    const bool tells = (generation_ >= 0 || beating_) && coordinator_ != no_broker;
    forget_membership();
    owned_.clear();
    if (state_ != State::failed) state_ = State::idle;
    leaving_ |= tells;
    pump(now, router_);
}

void ConsumerMember::on_poll(Instant now) {
    last_poll_ = now;
    if (state_ == State::idle && is_subscribed() && unhandled_ == 0) {
        state_ = State::joining;
        beat_at_ = now;
    }
    pump(now, router_);
}

void ConsumerMember::handled(Instant now) {
    if (unhandled_ > 0) --unhandled_;
    if (unhandled_ == 0) pump(now, router_);
}

// ---- what goes wrong

/// Answers that are still on their way are of no use any more.
void ConsumerMember::forget_membership() {
    ++attempt_;
    beating_ = resolving_ = ack_due_ = false;
    generation_ = -1;
    target_.reset();
    held_.clear();
    owned_ids_.clear();
    told_ = {};
    tell_all_ = true;
    unreleased_since_.reset();
}

/// We were put out: what we had is somebody else's by now.
void ConsumerMember::join_again() {
    forget_membership();
    lose_all();
    if (takes_part()) state_ = State::joining;
    beat_at_ = {};
}

void ConsumerMember::fail_for_good(wire::ErrorCode error) {
    lose_all();
    forget_membership();
    state_ = State::failed;
    tell(GroupEvent::Kind::failed, {});
    events_.back().error = error;
}

/// The program hangs. Somebody else shall read its partitions; it joins again when it polls.
void ConsumerMember::evict(Instant now) {
    lose_all();
    end_membership(now);
}

void ConsumerMember::judge(Instant now, wire::ErrorCode error) {
    using wire::ErrorCode;
    if (loses_coordinator(now, error)) return;
    const bool is_joining = state_ == State::joining;
    switch (error) {
        case ErrorCode::none:
            return;
        case ErrorCode::stale_member_epoch:  // of a commit: the next heartbeat brings the new one
            beat_at_ = earlier(beat_at_, now);
            return back_off(now);
        case ErrorCode::group_id_not_found:
            // Who joins is told so by a group of the classic protocol that cannot be converted. A
            // member's group can only have been lost.
            if (is_joining) return fail_for_good(error);
            [[fallthrough]];
        case ErrorCode::fenced_member_epoch:
        case ErrorCode::unknown_member_id:
        case ErrorCode::illegal_generation:
            if (is_joining) back_off(now);
            return join_again();
        case ErrorCode::unreleased_instance_id:
            // The predecessor of a static member that was killed has its session still. Java's
            // consumer gives up here; a program that starts again by itself after a crash would
            // then be down until somebody looks. Two that run at once are found out, too: later.
            if (is_joining && !unreleased_since_) unreleased_since_ = now;
            if (is_joining && now < *unreleased_since_ + config_.session_timeout)
                return back_off(now);
            return fail_for_good(error);
        default:
            if (wire::retriable(error)) return back_off(now);
            return fail_for_good(error);
    }
}

// ---- what the coordinator wants

void ConsumerMember::look_at_metadata(Instant now) {
    const std::uint64_t version = router_.metadata().version();
    if (version == seen_metadata_) return;
    seen_metadata_ = version;
    if (matches_ && match_topics()) set_wanted(now, {topics_.begin(), topics_.end()});
}

std::map<wire::Uuid, std::string> ConsumerMember::names_of(const Wanted& target) const {
    std::map<wire::Uuid, std::string> names;
    for (const auto& [name, info] : router_.metadata().topics())
        if (target.contains(info.id)) names[info.id] = name;
    for (const auto& [id, name] : resolved_)
        if (target.contains(id)) names.emplace(id, name);
    return names;
}

/// One step towards the target: as far as its topics have names.
void ConsumerMember::reconcile(Instant now) {
    if (state_ != State::member || !target_ || unhandled_ > 0 || ack_due_) return;
    const auto names = names_of(*target_);
    std::vector<wire::Uuid> unknown;
    std::map<TopicPartition, wire::Uuid> wanted;
    for (const auto& [id, numbers] : *target_) {
        const auto name = names.find(id);
        if (name == names.end())
            unknown.push_back(id);
        else
            for (std::int32_t number : numbers) wanted[{name->second, number}] = id;
    }
    if (!unknown.empty()) send_resolve(now, unknown);
    Partitions revoked, gone, added;
    for (const TopicPartition& place : owned_) {
        const auto found = wanted.find(place);
        if (found == wanted.end())
            revoked.push_back(place);
        else if (found->second != owned_ids_[place.topic])
            gone.push_back(place);  // another topic has the name now
    }
    for (const TopicPartition& place : revoked) owned_.erase(place);
    for (const TopicPartition& place : gone) owned_.erase(place);
    for (const auto& [place, id] : wanted) {
        if (owned_.insert(place).second) added.push_back(place);
        owned_ids_[place.topic] = id;
    }
    const bool changes = !revoked.empty() || !gone.empty() || !added.empty();
    if (unknown.empty()) target_.reset();
    ack_due_ = changes || unknown.empty();
    if (!revoked.empty()) tell(GroupEvent::Kind::revoked, std::move(revoked));
    if (!gone.empty()) tell(GroupEvent::Kind::lost, std::move(gone));
    if (!added.empty() || (is_news_to_program_ && unknown.empty())) {
        is_news_to_program_ = false;
        tell(GroupEvent::Kind::assigned, std::move(added));
    }
}

// ---- pump

bool ConsumerMember::is_beat_due(Instant now) const {
    if (beating_ || !lives()) return false;
    if (state_ == State::departing) return beat_at_ <= now;
    if (state_ == State::joining)  // not before the program has let go of what it had
        return unhandled_ == 0 && beat_at_ <= now && !(matches_ && seen_metadata_ == 0);
    return beat_at_ <= now || is_acknowledgeable() || topics_ != told_.topics ||
           pattern_ != told_.pattern;
}

void ConsumerMember::pump(Instant now, Router&) {
    pumped_at_ = now;
    look_at_metadata(now);
    watch_time(now);
    if (takes_part() && now >= last_poll_ + config_.max_poll_interval) return evict(now);
    if (state_ == State::departing && unhandled_ == 0 && !has_unanswered_commit())
        return end_membership(now);
    reconcile(now);
    if (coordinator_ == no_broker) leaving_ = false;  // nobody to tell: the session will end
    if (!keep_coordinator(now, !offerings_.empty() || is_beat_due(now))) return;
    if (!offerings_.empty() && !offering_sent_) send_offsets(now);
    if (coordinator_ == no_broker) return;
    if (leaving_ && !leave_sent_ && !offering_sent_) send_leave(now);
    if (leaving_) return;
    if (is_beat_due(now)) send_heartbeat(now);
}

Instant ConsumerMember::deadline() const {
    Instant first = shared_deadline();
    if (takes_part()) first = earlier(first, due(last_poll_ + config_.max_poll_interval));
    if (lives() && !beating_) first = earlier(first, due(beat_at_));
    if (target_ && !resolving_) first = earlier(first, due(resolve_at_));
    return first;
}

}  // namespace leat::cluster
