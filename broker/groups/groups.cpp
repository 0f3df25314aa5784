#include "broker/groups/groups.hpp"

namespace leat::groups {

Group* Groups::find(std::string_view group) const {
    const auto at = groups_.find(group);
    return at == groups_.end() ? nullptr : at->second.get();
}

Group& Groups::create(std::string_view id) {
    if (Group* group = find(id)) return *group;
    auto group = std::make_unique<Group>();
    group->id = id;
    return *groups_.emplace(id, std::move(group)).first->second;
}

// A name that somebody only asked with leaves nothing behind.
void Groups::erase_if_nothing(Group& group) {
    if (group.state == State::empty && group.members.empty() && group.pending.empty() &&
        group.offsets.empty() && group.chunks_saved == 0 && !group.save_wanted && !group.emptied &&
        (group.consumer == nullptr || !group.consumer->saved))
        groups_.erase(groups_.find(group.id));
}

void Groups::answer(JoinAnswer answer) { joined_.push_back(std::move(answer)); }
void Groups::answer(SyncAnswer answer) { synced_.push_back(std::move(answer)); }

void Groups::refuse_join(Ticket ticket, ErrorCode error, std::string_view member) {
    JoinAnswer told;
    told.ticket = ticket;
    told.error = error;
    told.member = member;
    answer(std::move(told));
}

void Groups::refuse_sync(Ticket ticket, ErrorCode error) {
    SyncAnswer told;
    told.ticket = ticket;
    told.error = error;
    answer(std::move(told));
}

std::optional<JoinAnswer> Groups::poll_joined() {
    if (joined_.empty()) return consumers_.poll_joined();
    JoinAnswer answer = std::move(joined_.front());
    joined_.pop_front();
    return answer;
}

std::optional<SyncAnswer> Groups::poll_synced() {
    if (synced_.empty()) return std::nullopt;
    SyncAnswer answer = std::move(synced_.front());
    synced_.pop_front();
    return answer;
}

log::CommitId Groups::last_commit(std::string_view group) const {
    for (auto at = writes_.rbegin(); at != writes_.rend(); ++at)
        if (at->group == group) return at->commit;
    return 0;
}

Description Groups::describe(std::string_view id) const {
    Description told;
    told.id = id;
    const Group* group = find(id);
    if (group == nullptr || group->state == State::dead || group->consumer != nullptr) return told;
    told.found = true;
    told.id = group->id;
    told.state = state_name(group->state);
    told.protocol_type = group->protocol_type;
    const bool stable = group->state == State::stable;
    if (stable) told.protocol = group->protocol;
    for (const auto& [member_id, member] : group->members) {
        DescribedMember one{.id = member_id,
                            .instance = std::nullopt,
                            .client_id = member->client_id,
                            .client_host = member->client_host,
                            .metadata = {},
                            .assignment = {}};
        if (member->instance) one.instance = *member->instance;
        if (stable)
            if (const std::string* metadata = member->metadata(group->protocol))
                one.metadata = *metadata;
        // As Kafka, also in a rebalance: it is what the member works under until it joins again.
        if (group->assigned_by_save == 0) one.assignment = member->assignment;
        told.members.push_back(one);
    }
    return told;
}

void Groups::for_each(const GroupVisitor& visit) const {
    for (const auto& [id, group] : groups_)
        if (group->state != State::dead) visit(*group);
}

const Group* Groups::next_group(std::optional<std::string_view> after) const {
    auto at = after ? groups_.upper_bound(*after) : groups_.begin();
    while (at != groups_.end() && at->second->state == State::dead) ++at;
    return at == groups_.end() ? nullptr : at->second.get();
}

}  // namespace leat::groups
