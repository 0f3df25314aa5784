// SyncGroup, Heartbeat and LeaveGroup: life inside a generation.
#include <map>

#include "broker/groups/groups.hpp"

namespace leat::groups {

void Groups::sync(Instant now, Ticket ticket, const SyncRequest& request) {
    Group* group = find(request.who.group);
    if (request.who.group.empty()) return refuse_sync(ticket, ErrorCode::invalid_group_id);
    if (group == nullptr) return refuse_sync(ticket, ErrorCode::unknown_member_id);
    if (group->state == State::dead)
        return refuse_sync(ticket, ErrorCode::coordinator_not_available);
    if (group->consumer != nullptr) {
        SyncAnswer told = consumers_.sync(now, *group, request);
        told.ticket = ticket;
        return answer(std::move(told));
    }
    if (const ErrorCode error = group->check(request.who.member, request.who.instance);
        error != ErrorCode::none)
        return refuse_sync(ticket, error);
    if (request.who.generation != group->generation)
        return refuse_sync(ticket, ErrorCode::illegal_generation);
    if ((request.protocol_type && *request.protocol_type != group->protocol_type) ||
        (request.protocol && *request.protocol != group->protocol))
        return refuse_sync(ticket, ErrorCode::inconsistent_group_protocol);
    Member& member = *group->find(request.who.member);
    switch (group->state) {
        case State::empty:
        case State::dead:
            return refuse_sync(ticket, ErrorCode::unknown_member_id);
        case State::preparing_rebalance:
            return refuse_sync(ticket, ErrorCode::rebalance_in_progress);
        case State::completing_rebalance:
            end_sync(member, ErrorCode::rebalance_in_progress);  // one that came before on it
            member.sync = ticket;
            member.synced = true;
            touch(now, member);
            if (group->leader == member.id && group->assigned_by_save == 0)
                take_assignment(now, *group, request);
            return;
        case State::stable: {
            member.synced = true;
            touch(now, member);
            SyncAnswer told = synced(*group, member);
            told.ticket = ticket;
            return answer(std::move(told));
        }
    }
}

// The leader has decided. It is written first; everybody is told when that is durable, so no member
// works under an assignment that a power cut could take back.
void Groups::take_assignment(Instant now, Group& group, const SyncRequest& request) {
    std::map<std::string_view, std::string_view> parts(request.assignments.begin(),
                                                       request.assignments.end());
    std::size_t bytes = 0;
    for (const auto& [id, part] : parts) bytes += part.size();
    const bool room = member_bytes_ + bytes <= config_.member_bytes_max;
    for (auto& [id, member] : group.members) {
        const auto part = parts.find(id);
        member_bytes_ -= member->assignment.size();
        member->assignment = room && part != parts.end() ? std::string(part->second) : "";
        member_bytes_ += member->assignment.size();
    }
    if (!room || !save(now, group)) return save_failed(now, group);
    group.assigned_by_save = group.save_number;
}

void Groups::became_stable(Instant now, Group& group) {
    group.state = State::stable;
    group.assigned_by_save = 0;
    for (auto& [id, member] : group.members) {
        if (member->sync == 0) continue;
        touch(now, *member);
        SyncAnswer told = synced(group, *member);
        told.ticket = std::exchange(member->sync, 0);
        answer(std::move(told));
    }
}

SyncAnswer Groups::synced(const Group& group, const Member& member) const {
    SyncAnswer told;
    told.protocol_type = group.protocol_type;
    told.protocol = group.protocol;
    told.assignment = member.assignment;
    return told;
}

ErrorCode Groups::heartbeat(Instant now, const Identity& who) {
    if (who.group.empty()) return ErrorCode::invalid_group_id;
    Group* group = find(who.group);
    if (group == nullptr) return ErrorCode::unknown_member_id;
    if (group->state == State::dead) return ErrorCode::coordinator_not_available;
    if (group->consumer != nullptr) {
        const ErrorCode error = consumers_.classic_heartbeat(now, *group, who);
        mend(now);
        return error;
    }
    if (const ErrorCode error = group->check(who.member, who.instance); error != ErrorCode::none)
        return error;
    if (who.generation != group->generation) return ErrorCode::illegal_generation;
    touch(now, *group->find(who.member));
    return group->state == State::preparing_rebalance ? ErrorCode::rebalance_in_progress
                                                      : ErrorCode::none;
}

std::vector<ErrorCode> Groups::leave(Instant now, std::string_view group_id,
                                     const std::vector<Leaving>& members, ErrorCode& group_error) {
    group_error = ErrorCode::none;
    Group* group = find(group_id);
    if (group_id.empty())
        group_error = ErrorCode::invalid_group_id;
    else if (group != nullptr && group->state == State::dead)
        group_error = ErrorCode::coordinator_not_available;
    if (group_error != ErrorCode::none) return {};
    // As Kafka: of a group that is not there each member is unknown.
    if (group == nullptr)
        return std::vector<ErrorCode>(members.size(), ErrorCode::unknown_member_id);

    std::vector<ErrorCode> errors;
    if (group->consumer != nullptr) {
        for (const Leaving& one : members) errors.push_back(consumers_.take_out(now, *group, one));
        mend(now);
        return errors;
    }
    bool somebody = false;
    for (const Leaving& one : members) {
        if (!one.instance && group->pending.contains(one.member)) {
            group->pending.erase(group->pending.find(one.member));
            somebody = true;
            errors.push_back(ErrorCode::none);
            continue;
        }
        std::string_view id = one.member;
        if (id.empty() && one.instance) {  // a tool takes a static member out
            const auto known = group->static_members.find(*one.instance);
            if (known != group->static_members.end()) id = known->second;
        }
        const ErrorCode error = group->check(id, one.instance);
        errors.push_back(error);
        if (error != ErrorCode::none) continue;
        somebody = true;
        remove_member(*group, *group->find(id), ErrorCode::unknown_member_id);
    }
    if (somebody) {
        if (group->state == State::stable || group->state == State::completing_rebalance)
            prepare_rebalance(now, *group);
        else
            maybe_complete_join(now, *group);
        erase_if_nothing(*group);
    }
    return errors;
}

Groups::Written Groups::left(std::string_view id) const {
    Written written;
    const Group* group = find(id);
    if (group == nullptr) return written;
    if (group->consumer != nullptr) {
        written.commit = consumers_.facts().last_commit(id);
        written.again = consumers_.facts().waits();
    } else if (group->state == State::empty) {
        for (const PendingSave& one : saves_)
            if (one.group == id) written.commit = one.commit;
        written.again = group->save_wanted;
    }
    return written;
}

}  // namespace leat::groups
