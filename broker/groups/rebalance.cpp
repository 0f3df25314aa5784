// How a group gets from one generation to the next, and what time does to it.
#include <algorithm>

#include "broker/groups/groups.hpp"

namespace leat::groups {
namespace {
// A new member that is parked cannot heartbeat, and a client that gave up its join comes again
// under another id: such ids are kept so long, not for ever (Kafka's bound).
constexpr milliseconds new_member_timeout{300'000};
}  // namespace

void Groups::touch(Instant now, Member& member) {
    member.expires = now + (member.is_new ? new_member_timeout : member.session_timeout);
    // A heartbeat only moves `expires`: the timer rings at its old time, sees that, and goes on.
    if (!member.timer.armed() || member.timer.when() > member.expires)
        member.timer.arm(timers_, member.expires);
}

void Groups::rebalance_or_complete(Instant now, Group& group) {
    if (group.state == State::preparing_rebalance)
        maybe_complete_join(now, group);
    else
        prepare_rebalance(now, group);
}

void Groups::prepare_rebalance(Instant now, Group& group) {
    ++counters_.rebalances;
    if (group.state == State::completing_rebalance) {
        drop_syncs(group, ErrorCode::rebalance_in_progress);
        group.assigned_by_save = 0;
        for (auto& [id, member] : group.members) {
            member_bytes_ -= member->assignment.size();
            member->assignment.clear();
        }
    }
    if (std::exchange(group.save_wanted, false)) refuse_held(group);
    group.sync_timer.disarm();
    group.previous = group.state;
    group.state = State::preparing_rebalance;
    group.initial = group.previous == State::empty;
    group.member_added = false;
    if (!group.initial) {
        group.join_timer.arm(timers_, now + group.rebalance_timeout());
        return maybe_complete_join(now, group);
    }
    const milliseconds delay = config_.initial_rebalance_delay;
    if (delay <= milliseconds(0)) return complete_join(now, group);
    group.initial_left = std::max(group.rebalance_timeout() - delay, milliseconds(0));
    group.join_timer.arm(timers_, now + delay);
}

void Groups::maybe_complete_join(Instant now, Group& group) {
    if (group.state != State::preparing_rebalance || group.initial) {
        // In the initial rebalance only the timer decides; but nobody is left to wait for.
        if (group.state == State::preparing_rebalance && group.members.empty())
            complete_join(now, group);
        return;
    }
    if (group.all_joined()) complete_join(now, group);
}

void Groups::on_join_timer(Instant now, Group& group) {
    if (group.state != State::preparing_rebalance) return;
    if (group.initial && group.member_added && group.initial_left > milliseconds(0)) {
        group.member_added = false;
        const milliseconds delay = std::min(config_.initial_rebalance_delay, group.initial_left);
        group.initial_left = std::max(group.initial_left - delay, milliseconds(0));
        group.join_timer.arm(timers_, now + delay);
        return;
    }
    complete_join(now, group);
}

void Groups::complete_join(Instant now, Group& group) {
    group.join_timer.disarm();
    std::vector<Member*> late;
    for (auto& [id, member] : group.members)
        if (member->join == 0 && !member->instance) late.push_back(member.get());
    for (Member* member : late) remove_member(group, *member, ErrorCode::unknown_member_id);
    if (group.members.empty()) return become_empty(now, group);
    if (!elect_leader(group)) {
        // Only static members, none of which is here: they have their session to come back.
        group.join_timer.arm(timers_, now + std::max(group.rebalance_timeout(), milliseconds(1)));
        return;
    }
    ++group.generation;
    group.initial = false;
    group.protocol = group.vote();
    group.learn_subscriptions();
    group.previous = group.state;
    group.state = State::completing_rebalance;
    group.assigned_by_save = 0;
    for (auto& [id, member] : group.members) {
        member->synced = false;
        const bool was_parked = member->join != 0;
        const Ticket ticket = unpark_join(group, *member);
        member->is_new = false;
        touch(now, *member);
        if (!was_parked) continue;
        JoinAnswer told = joined(group, *member, group.leader == id);
        told.ticket = ticket;
        answer(std::move(told));
    }
    group.sync_timer.arm(timers_, now + std::max(group.rebalance_timeout(), milliseconds(1)));
}

bool Groups::elect_leader(Group& group) {
    if (const Member* leader = group.find(group.leader); leader != nullptr && leader->join != 0)
        return true;
    for (auto& [id, member] : group.members)
        if (member->join != 0) {
            group.leader = id;
            return true;
        }
    return false;
}

void Groups::become_empty(Instant now, Group& group) {
    group.join_timer.disarm();
    group.sync_timer.disarm();
    ++group.generation;
    group.initial = false;
    group.protocol.clear();
    group.leader.clear();
    group.subscribed.clear();
    group.subscriptions_known = false;
    group.state = group.previous = State::empty;
    group.empty_since_ms = log_now(now);
    (void)save(now, group);  // nobody waits for it: if it is lost, the members time out once more
}

void Groups::drop_syncs(Group& group, ErrorCode error) {
    for (auto& [id, member] : group.members) end_sync(*member, error);
}

void Groups::remove_member(Group& group, Member& member, ErrorCode error) {
    end_join(group, member, error);
    end_sync(member, error);
    member_bytes_ -= member.bytes();
    --member_count_;
    if (member.instance) group.static_members.erase(*member.instance);
    const std::string id = member.id;
    group.members.erase(id);
    if (group.leader == id)
        group.leader = group.members.empty() ? std::string() : group.members.begin()->first;
}

void Groups::remove_and_update(Instant now, Group& group, Member& member) {
    remove_member(group, member, ErrorCode::unknown_member_id);
    if (group.state == State::stable || group.state == State::completing_rebalance)
        prepare_rebalance(now, group);
    else
        maybe_complete_join(now, group);
}

// Members that took part in the join but never asked for their assignment are out.
void Groups::on_sync_timer(Instant now, Group& group) {
    if (group.state != State::completing_rebalance && group.state != State::stable) return;
    std::vector<Member*> silent;
    for (auto& [id, member] : group.members)
        if (!member->synced) silent.push_back(member.get());
    if (silent.empty()) return;
    for (Member* member : silent) remove_member(group, *member, ErrorCode::unknown_member_id);
    prepare_rebalance(now, group);
}

void Groups::on_timer(Instant now, Timer& timer) {
    Group& group = *timer.group();
    if (timer.consumer() != nullptr) {
        consumers_.on_timer(now, group, timer);
        return mend(now);
    }
    if (PendingMember* pending = timer.pending()) {
        const std::string id = pending->id;
        group.pending.erase(id);
        maybe_complete_join(now, group);
        return erase_if_nothing(group);
    }
    if (Member* member = timer.member()) {
        if (member->expires > now) return timer.arm(timers_, member->expires);
        // Whoever is parked cannot heartbeat; only a new member may not be parked for ever.
        if (!member->is_new && (member->join != 0 || member->sync != 0)) return touch(now, *member);
        ++counters_.members_timed_out;
        return remove_and_update(now, group, *member);
    }
    if (&timer == &group.join_timer)
        on_join_timer(now, group);
    else
        on_sync_timer(now, group);
}

void Groups::on_deadline(Instant now) {
    while (Timer* timer = timers_.take_due(now)) on_timer(now, *timer);
    if (retention_due_ <= now) check_retention(now);
}

}  // namespace leat::groups
