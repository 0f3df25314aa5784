// Where a group of the consumer protocol (KIP-848) begins and ends.
#include "broker/groups/groups.hpp"

namespace leat::groups {

const Group* Groups::find_group(std::string_view id) const {
    const Group* group = find(id);
    return group == nullptr || group->state == State::dead ? nullptr : group;
}

void Groups::consumer_heartbeat(Instant now, Ticket ticket, ConsumerHeartbeat request) {
    if (request.epoch == epoch_joins) ++counters_.joins;
    ConsumerAnswer wrong = Consumers::check(request, config_);
    if (wrong.error == ErrorCode::none && request.member.empty()) {
        auto id = make_member_id("consumer");
        if (id)
            request.member = *std::move(id);
        else
            wrong.error = ErrorCode::coordinator_not_available;
    }
    if (wrong.error != ErrorCode::none)
        return consumers_.refuse(ticket, wrong.error, std::move(wrong.message));
    Group* group = find(request.group);
    if (group != nullptr && group->state == State::dead)
        return consumers_.refuse(ticket, ErrorCode::coordinator_not_available,
                                 "The group is being deleted.");
    if (group == nullptr || group->consumer == nullptr) {
        if (!may_become_consumer(now, ticket, group, request)) return;
        group = &create(request.group);
        if (group->consumer == nullptr) consumers_.begin(now, *group);
    }
    const std::string id = group->id;
    consumers_.heartbeat(now, ticket, *group, std::move(request));
    mend(now);
    if (Group* after = find(id)) erase_if_nothing(*after);
}

void Groups::assign_some(Instant now) {
    const std::string id = consumers_.take_turn();
    consumers_.turn(now, id, find(id));
    mend(now);
}

bool Groups::may_become_consumer(Instant now, Ticket ticket, Group* group,
                                 const ConsumerHeartbeat& request) {
    std::string why;
    if (request.epoch != epoch_joins)
        why = group == nullptr ? "Consumer group " + request.group + " not found."
                               : "Group " + request.group + " is not a consumer group.";
    else if (group != nullptr && group->state != State::empty)
        why = consumers_.upgrade_problem(*group);
    if (!why.empty()) {
        consumers_.refuse(ticket, ErrorCode::group_id_not_found, std::move(why));
        return false;
    }
    // Whoever is refused leaves the group what it was.
    if (group != nullptr && !consumers_.takes(ticket, *group, request)) return false;
    if (group != nullptr && group->state != State::empty) upgrade(now, *group);
    if (group != nullptr || groups_.size() < config_.groups_max) return true;
    consumers_.refuse(ticket, ErrorCode::coordinator_not_available,
                      "There is no room for more groups.");
    return false;
}

void Groups::drop_members(Group& group, ErrorCode error) {
    for (auto& [save, told] : group.held) refuse_join(told.ticket, error, told.member);
    group.held.clear();
    for (auto& [id, member] : group.members) {
        end_join(group, *member, error);
        end_sync(*member, error);
        member_bytes_ -= member->bytes();
    }
    member_count_ -= group.members.size();
    group.members.clear();
    group.static_members.clear();
    group.pending.clear();
    group.common.clear();
    group.join_timer.disarm();
    group.sync_timer.disarm();
    group.save_wanted = group.initial = false;
    group.assigned_by_save = 0;
    group.protocol.clear();
    group.leader.clear();
    group.subscribed.clear();
    group.subscriptions_known = false;
    group.state = group.previous = State::empty;
}

// Whoever is parked comes again, and ids that were given out are good without being known.
void Groups::upgrade(Instant now, Group& group) {
    consumers_.upgrade(now, group);
    drop_members(group, ErrorCode::rebalance_in_progress);
    group.generation = 0;
    group.state = group.previous = State::stable;
}

void Groups::downgrade(Instant now, Group& group) {
    if (!consumers_.downgrade(now, group)) return;
    for (auto& [id, member] : group.members) {
        ++member_count_;
        member_bytes_ += member->bytes();
        touch(now, *member);
    }
    group.common.clear();  // what others had in common before
    prepare_rebalance(now, group);
}

void Groups::join_consumers(Instant now, Ticket ticket, Group& group, const JoinRequest& request) {
    const auto fresh = make_member_id(request.instance ? *request.instance : request.client_id);
    if (!fresh) return refuse_join(ticket, ErrorCode::coordinator_not_available, request.member);
    const ErrorCode error = consumers_.join(now, ticket, group, request, *fresh);
    if (error == ErrorCode::member_id_required)
        refuse_join(ticket, error, *fresh);
    else if (error != ErrorCode::none)
        refuse_join(ticket, error, request.member);
    mend(now);
}

// A member of the classic protocol asks for a group of the other.
ErrorCode Groups::end_consumer(Instant now, Group& group, const JoinRequest& request) {
    if (!request.member.empty()) return ErrorCode::unknown_member_id;
    // What the classic group writes goes past the queue, and must not overtake a member's end.
    if (consumers_.facts().waits()) return ErrorCode::coordinator_not_available;
    consumers_.end(now, group);
    return ErrorCode::none;
}

ErrorCode Groups::check_fetch(std::string_view id, std::optional<std::string_view> member,
                              std::int32_t epoch) const {
    const Group* group = find_group(id);
    if (group == nullptr || group->consumer == nullptr) return ErrorCode::none;
    if (!member && epoch < 0) return ErrorCode::none;
    return consumers_.check_fetch(*group, member.value_or(std::string_view()), epoch);
}

}  // namespace leat::groups
