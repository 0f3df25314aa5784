// The life of a member: what happens when. Its requests and answers stand in group_requests.cpp.
#include "sdk/cluster/group_member.hpp"

#include <algorithm>

namespace leat::cluster {

GroupMember::GroupMember(Router& router, GroupConfig config) : Group(router, std::move(config)) {
    LEAT_CHECK(!config_.assignors.empty());
}

/// One protocol for all that it offers, as Java's: whoever offers an eager assignor works eagerly.
bool GroupMember::is_cooperative_group() const {
    return std::all_of(config_.assignors.begin(), config_.assignors.end(), is_cooperative);
}

// ---- want

void GroupMember::subscribe(Instant now, std::vector<std::string> topics) {
    std::sort(topics.begin(), topics.end());
    topics.erase(std::unique(topics.begin(), topics.end()), topics.end());
    if (state_ == State::failed) state_ = State::idle;
    matches_ = nullptr;
    topics_ = std::move(topics);
    set_wanted(now, {topics_.begin(), topics_.end()});
    last_poll_ = now;
    want_rejoin();
}

void GroupMember::subscribe_matching(Instant now, std::function<bool(std::string_view)> matches) {
    if (state_ == State::failed) state_ = State::idle;
    matches_ = std::move(matches);
    topics_.clear();
    seen_metadata_ = 0;
    router_.want_all(now);
    last_poll_ = now;
    want_rejoin();
    look_at_metadata(now);
}

void GroupMember::unsubscribe(Instant now) {
    matches_ = nullptr;
    topics_.clear();
    rejoin_wanted_ = false;
    if (state_ == State::idle || state_ == State::failed) return;
    ++attempt_;
    join_sent_ = sync_sent_ = beating_ = false;
    state_ = State::preparing;
    unsubscribing_ = true;
    if (!owned_.empty()) tell(GroupEvent::Kind::revoked, {owned_.begin(), owned_.end()});
    owned_.clear();
    if (unhandled_ == 0) handled(now);
}

void GroupMember::leave(Instant now) {
    matches_ = nullptr;
    topics_.clear();
    depart(now);
}

/// Out of the group. What is subscribed (again, meanwhile) is joined for at the next poll.
void GroupMember::depart(Instant now) {
    const bool tells = !member_id_.empty() && !config_.instance_id && coordinator_ != no_broker &&
                       state_ != State::failed;
    ++attempt_;
    join_sent_ = sync_sent_ = beating_ = unsubscribing_ = false;
    rejoin_wanted_ = is_subscribed();
    owned_.clear();
    events_.clear();
    unhandled_ = 0;
    state_ = State::idle;
    set_wanted(now, {topics_.begin(), topics_.end()});
    leaving_ = tells;
    if (!tells) forget_membership();
    pump(now, router_);
}

void GroupMember::on_poll(Instant now) {
    last_poll_ = now;
    look_at_metadata(now);
    if (rejoin_wanted_ && unhandled_ == 0 && (state_ == State::idle || state_ == State::stable))
        prepare(now);
}

/// Before JoinGroup: who works eagerly gives up everything, others what they have no subscription
/// for any more.
void GroupMember::prepare(Instant now) {
    if (matches_ && seen_metadata_ == 0) return;  // which topics there are is not known yet
    rejoin_wanted_ = false;
    Partitions given_up;
    for (const TopicPartition& partition : owned_)
        if (!is_cooperative_group() ||
            !std::binary_search(topics_.begin(), topics_.end(), partition.topic))
            given_up.push_back(partition);
    for (const TopicPartition& partition : given_up) owned_.erase(partition);
    state_ = State::preparing;
    if (!given_up.empty()) tell(GroupEvent::Kind::revoked, std::move(given_up));
    pump(now, router_);
}

void GroupMember::handled(Instant now) {
    if (unhandled_ > 0) --unhandled_;
    if (unhandled_ > 0) return;
    if (unsubscribing_) return depart(now);
    pump(now, router_);
}

// ---- what goes wrong

void GroupMember::forget_membership() {
    member_id_.clear();
    generation_ = -1;
    is_leader_ = false;
    beat_at_ = session_ends_ = never;
}

void GroupMember::fail_for_good(wire::ErrorCode error) {
    ++attempt_;
    join_sent_ = sync_sent_ = beating_ = rejoin_wanted_ = unsubscribing_ = false;
    lose_all();
    forget_membership();
    state_ = State::failed;
    tell(GroupEvent::Kind::failed, {});
    events_.back().error = error;
}

/// What an error of any group request means for the membership.
void GroupMember::judge(Instant now, wire::ErrorCode error) {
    using wire::ErrorCode;
    if (loses_coordinator(now, error)) return;
    switch (error) {
        case ErrorCode::none:
            return;
        case ErrorCode::illegal_generation:
        case ErrorCode::unknown_member_id: {
            // We were put out: what we had is somebody else's by now.
            ++attempt_;
            join_sent_ = sync_sent_ = beating_ = false;
            // Late by a generation is still a member: under a new name everybody would wait for the
            // end of the old one's session.
            std::string kept;
            if (error == ErrorCode::illegal_generation) kept = std::move(member_id_);
            forget_membership();
            member_id_ = std::move(kept);
            lose_all();
            if (state_ == State::joining || state_ == State::syncing ||
                state_ == State::assigning) {
                state_ = State::joining;
                back_off(now);  // a coordinator that knows nobody would be asked without a pause
            } else if (state_ != State::failed && !unsubscribing_ && state_ != State::idle) {
                state_ = State::idle;
                want_rejoin();
            }
            return;
        }
        case ErrorCode::rebalance_in_progress:
            if (state_ == State::stable) want_rejoin();
            return;
        default:
            if (wire::retriable(error)) return back_off(now);
            return fail_for_good(error);
    }
}

// ---- metadata

PartitionCounts GroupMember::count_partitions() const {
    PartitionCounts counts;
    for (const Subscriber& member : members_)
        for (const std::string& topic : member.topics)
            if (const TopicInfo* info = router_.metadata().find(topic);
                info && !info->partitions.empty())
                counts[topic] = static_cast<std::int32_t>(info->partitions.size());
    return counts;
}

bool GroupMember::topics_are_known() const {
    return std::all_of(wanted_.begin(), wanted_.end(), [this](const std::string& topic) {
        const TopicInfo* info = router_.metadata().find(topic);
        return info && (!info->partitions.empty() || info->error != wire::ErrorCode::none);
    });
}

/// New topics for a pattern, and for a leader more partitions, mean another rebalance.
void GroupMember::look_at_metadata(Instant now) {
    const std::uint64_t version = router_.metadata().version();
    if (version == seen_metadata_) return;
    seen_metadata_ = version;
    if (matches_ && match_topics()) {
        if (!is_leader_) set_wanted(now, {topics_.begin(), topics_.end()});
        want_rejoin();
    }
    if (is_leader_ && state_ == State::stable && count_partitions() != assigned_counts_)
        want_rejoin();
}

// ---- pump

void GroupMember::pump(Instant now, Router&) {
    pumped_at_ = now;
    look_at_metadata(now);
    watch_time(now);
    if (takes_part() && !unsubscribing_ && now >= last_poll_ + config_.max_poll_interval) {
        // The program hangs. Somebody else shall read its partitions; it rejoins when it polls.
        const bool tells = !config_.instance_id && !member_id_.empty();
        ++attempt_;
        join_sent_ = sync_sent_ = beating_ = false;
        lose_all();
        state_ = State::idle;
        want_rejoin();
        leaving_ = tells && coordinator_ != no_broker;
        if (!leaving_) forget_membership();
    }
    if (session_ends_ <= now && !join_sent_ && !sync_sent_) {
        lose_coordinator();  // nobody answers heartbeats: another broker may be it by now
        session_ends_ = now + config_.session_timeout;
    }
    if (state_ == State::preparing && !unsubscribing_ && unhandled_ == 0 && !leaving_)
        state_ = State::joining;
    const bool needs_coordinator = state_ == State::joining || state_ == State::syncing ||
                                   !offerings_.empty() || (is_member() && beat_at_ <= now);
    if (coordinator_ == no_broker && leaving_ && not_before_ <= now) {
        leaving_ = false;  // nobody to tell: the session will end by itself
        forget_membership();
    }
    if (!keep_coordinator(now, needs_coordinator)) return;
    if (!offerings_.empty() && !offering_sent_ && !join_sent_ && !sync_sent_) send_offsets(now);
    if (coordinator_ == no_broker) return;
    if (leaving_ && !leave_sent_ && !offering_sent_) send_leave(now);
    if (leaving_) return;
    if (state_ == State::joining && !join_sent_ && unhandled_ == 0 && !has_unanswered_commit())
        send_join(now);
    if (state_ == State::assigning && (topics_are_known() || known_by_ <= now)) {
        assigned_counts_ = count_partitions();
        const auto assignor = assignor_named(protocol_);
        assignments_.clear();
        for (auto& [id, partitions] :
             assign(assignor.value_or(Assignor::range), assigned_counts_, members_))
            assignments_.emplace_back(id, encode_assignment(partitions));
        state_ = State::syncing;
    }
    if (state_ == State::syncing && !sync_sent_) send_sync(now);
    if (is_member() && state_ != State::idle && beat_at_ <= now && !beating_ && !join_sent_ &&
        !sync_sent_)
        send_heartbeat(now);
}

Instant GroupMember::deadline() const {
    Instant first = shared_deadline();
    const auto at = [&](Instant when) { first = earlier(first, due(when)); };
    if (takes_part() && !unsubscribing_) at(last_poll_ + config_.max_poll_interval);
    if (state_ == State::assigning) at(known_by_);
    if (is_member() && !join_sent_ && !sync_sent_ && state_ != State::idle) {
        at(session_ends_);
        if (!beating_) at(beat_at_);
    }
    return first;
}

}  // namespace leat::cluster
