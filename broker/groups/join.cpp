// JoinGroup: who may come in, under which id, and what it means for the group.
#include <algorithm>
#include <array>

#include "broker/groups/groups.hpp"

namespace leat::groups {
namespace {
constexpr std::size_t client_id_bytes_in_member_id = 255;
}

ErrorCode Groups::check_join(const Group* group, const JoinRequest& request) const {
    if (request.group.empty() || request.group.size() > config_.group_id_bytes_max)
        return ErrorCode::invalid_group_id;
    if (request.session_timeout < config_.session_timeout_min ||
        request.session_timeout > config_.session_timeout_max)
        return ErrorCode::invalid_session_timeout;
    if (request.member.size() > config_.name_bytes_max)
        return ErrorCode::unknown_member_id;  // none of ours is that long
    if (request.instance &&
        (request.instance->empty() || request.instance->size() > config_.name_bytes_max))
        return ErrorCode::invalid_request;
    const bool oversize = std::any_of(
        request.protocols.begin(), request.protocols.end(),
        [this](const Protocol& one) { return one.name.size() > config_.name_bytes_max; });
    if (request.protocols.size() > config_.protocols_max || oversize ||
        request.protocol_type.size() > config_.name_bytes_max)
        return ErrorCode::inconsistent_group_protocol;
    if (group == nullptr && !request.member.empty()) return ErrorCode::unknown_member_id;
    std::size_t bytes = 2048;
    for (const Protocol& one : request.protocols) bytes += one.name.size() + one.metadata.size();
    if (member_bytes_ + bytes > config_.member_bytes_max ||
        (group == nullptr && groups_.size() >= config_.groups_max))
        return ErrorCode::coordinator_not_available;  // later there may be room
    return ErrorCode::none;
}

bool Groups::accepts(const Group& group, std::string_view member) const {
    const auto known = group.members.find(member);
    switch (group.state) {
        case State::empty:
        case State::dead:
            return true;
        case State::preparing_rebalance:
            return (known != group.members.end() && known->second->join != 0) ||
                   group.awaiting_join < config_.group_size_max;
        case State::completing_rebalance:
        case State::stable:
            return known != group.members.end() || group.members.size() < config_.group_size_max;
    }
    return false;
}

void Groups::join(Instant now, Ticket ticket, JoinRequest request) {
    ++counters_.joins;
    Group* group = find(request.group);
    if (const ErrorCode error = check_join(group, request); error != ErrorCode::none)
        return refuse_join(ticket, error, request.member);
    if (group != nullptr && group->state == State::dead)
        return refuse_join(ticket, ErrorCode::coordinator_not_available, request.member);
    if (group != nullptr && group->consumer != nullptr && !group->consumer->members.empty())
        return join_consumers(now, ticket, *group, request);
    if (group != nullptr && group->consumer != nullptr)
        if (const ErrorCode error = end_consumer(now, *group, request); error != ErrorCode::none)
            return refuse_join(ticket, error);
    if (group != nullptr && !accepts(*group, request.member)) {
        if (Member* member = group->find(request.member))
            remove_member(*group, *member, ErrorCode::group_max_size_reached);
        else
            group->pending.erase(request.member);
        refuse_join(ticket, ErrorCode::group_max_size_reached);
        if (group->state == State::preparing_rebalance) maybe_complete_join(now, *group);
        return;
    }
    if (group == nullptr) group = &create(request.group);
    if (!group->supports(request.protocol_type, request.protocols)) {
        refuse_join(ticket, ErrorCode::inconsistent_group_protocol, request.member);
    } else if (request.member.empty()) {
        join_new(now, ticket, *group, std::move(request));
    } else {
        join_known(now, ticket, *group, std::move(request));
    }
    if (group->state == State::preparing_rebalance) maybe_complete_join(now, *group);
    erase_if_nothing(*group);
    evict_pending(now);
}

// Ids cost whoever asks for them nothing, and may be kept for half an hour: so that a flood of them
// is bounded and yet shuts nobody out, the oldest goes. Its client joins anew if it ever comes.
void Groups::evict_pending(Instant now) {
    for (; pending_.size() > config_.pending_max; pending_.pop_front()) {
        const auto& [group_id, member] = pending_.front();
        Group* group = find(group_id);
        if (group == nullptr || group->pending.erase(member) == 0) continue;
        ++counters_.pending_evicted;
        maybe_complete_join(now, *group);
        erase_if_nothing(*group);
    }
}

void Groups::join_new(Instant now, Ticket ticket, Group& group, JoinRequest request) {
    if (request.instance) {
        if (group.static_members.contains(*request.instance))
            return replace_static(now, ticket, group, std::move(request));
        auto id = make_member_id(*request.instance);
        if (!id) return refuse_join(ticket, ErrorCode::coordinator_not_available);
        return add_member(now, ticket, group, *std::move(id), std::move(request));
    }
    auto id = make_member_id(request.client_id);
    if (!id) return refuse_join(ticket, ErrorCode::coordinator_not_available);
    if (!request.requires_known_member)
        return add_member(now, ticket, group, *std::move(id), std::move(request));
    // KIP-394: a client that lost this answer leaves nothing but an id that soon times out.
    auto pending = std::make_unique<PendingMember>(&group);
    pending->id = *id;
    pending->timer.arm(timers_, now + request.session_timeout);
    group.pending[*id] = std::move(pending);
    pending_.emplace_back(group.id, *id);
    refuse_join(ticket, ErrorCode::member_id_required, *id);
}

void Groups::join_known(Instant now, Ticket ticket, Group& group, JoinRequest request) {
    if (group.pending.contains(request.member)) {
        if (request.instance)  // pending ids are given to dynamic members only
            return refuse_join(ticket, ErrorCode::unknown_member_id, request.member);
        std::string id = request.member;
        return add_member(now, ticket, group, std::move(id), std::move(request));
    }
    std::optional<std::string_view> instance;
    if (request.instance) instance = *request.instance;
    if (const ErrorCode error = group.check(request.member, instance); error != ErrorCode::none)
        return refuse_join(ticket, error, request.member);
    Member& member = *group.find(request.member);
    const bool same = member.protocols == request.protocols;
    switch (group.state) {
        case State::preparing_rebalance:
            return update_member(now, ticket, group, member, std::move(request));
        case State::completing_rebalance:
            // The same words once more: the answer was lost, so it is given again.
            if (!same) return update_member(now, ticket, group, member, std::move(request));
            break;
        case State::stable:
            // A leader that joins again wants a new assignment.
            if (!same || group.leader == member.id)
                return update_member(now, ticket, group, member, std::move(request));
            break;
        case State::empty:
        case State::dead:
            return refuse_join(ticket, ErrorCode::unknown_member_id, request.member);
    }
    touch(now, member);
    JoinAnswer again = joined(group, member, group.leader == member.id);
    again.ticket = ticket;
    answer(std::move(again));
}

void Groups::replace_static(Instant now, Ticket ticket, Group& group, JoinRequest request) {
    const auto known = group.static_members.find(*request.instance);
    auto id = make_member_id(*request.instance);
    if (!id) return refuse_join(ticket, ErrorCode::coordinator_not_available);
    Member& member = *group.find(known->second);
    // From here on whoever uses the old id is told that somebody took its place.
    end_join(group, member, ErrorCode::fenced_instance_id);
    end_sync(member, ErrorCode::fenced_instance_id);
    const std::string leader_before = group.leader;
    if (group.leader == member.id) group.leader = *id;
    auto node = group.members.extract(member.id);
    node.key() = *id;
    group.members.insert(std::move(node));
    member.id = known->second = *id;
    fill(member, request);

    const bool same_choice = group.state == State::stable && group.vote() == group.protocol;
    if (group.state != State::stable || !same_choice) {
        park_join(group, member, ticket);
        if (group.state != State::preparing_rebalance) prepare_rebalance(now, group);
        touch(now, member);
        return;
    }
    touch(now, member);
    // Nothing changes for the others. Below v9 a leader that came back is told the old leader's id,
    // so that it does not assign anew what it may have forgotten (KIP-814).
    const bool leads = group.leader == member.id;
    JoinAnswer told = joined(group, member, leads && request.can_skip_assignment);
    told.ticket = ticket;
    told.skip_assignment = leads && request.can_skip_assignment;
    if (!request.can_skip_assignment) told.leader = leader_before;
    if (save(now, group))
        group.held.emplace_back(group.save_number, std::move(told));
    else
        refuse_join(ticket, ErrorCode::coordinator_not_available, request.member);
}

void Groups::add_member(Instant now, Ticket ticket, Group& group, std::string id,
                        JoinRequest request) {
    if (group.members.empty()) group.protocol_type = request.protocol_type;
    if (group.leader.empty()) group.leader = id;
    if (group.state == State::preparing_rebalance && group.initial) group.member_added = true;
    group.pending.erase(id);
    auto member = std::make_unique<Member>(&group);
    member->id = id;
    member->instance = request.instance;
    member->is_new = true;
    if (request.instance) group.static_members[*request.instance] = id;
    Member& mine = *member;
    group.members[id] = std::move(member);
    ++member_count_;
    member_bytes_ += mine.bytes();
    fill(mine, request);
    park_join(group, mine, ticket);
    touch(now, mine);
    rebalance_or_complete(now, group);
}

void Groups::update_member(Instant now, Ticket ticket, Group& group, Member& member,
                           JoinRequest request) {
    fill(member, request);
    park_join(group, member, ticket);
    touch(now, member);
    rebalance_or_complete(now, group);
}

void Groups::fill(Member& member, JoinRequest& request) {
    member_bytes_ -= member.bytes();
    member.client_id = request.client_id;
    member.client_host = request.client_host;
    member.session_timeout = request.session_timeout;
    member.rebalance_timeout =
        std::clamp(request.rebalance_timeout, milliseconds(0), milliseconds(std::int64_t{1} << 31));
    member.protocols = std::move(request.protocols);
    member.timer.group()->protocols_changed(member);
    member_bytes_ += member.bytes();
}

Result<std::string> Groups::make_member_id(std::string_view stem) {
    std::array<std::uint8_t, 16> uuid;
    if (const Status filled = entropy_.fill(uuid); !filled) return fail(filled.error());
    uuid[6] = static_cast<std::uint8_t>((uuid[6] & 0x0F) | 0x40);
    uuid[8] = static_cast<std::uint8_t>((uuid[8] & 0x3F) | 0x80);
    std::string id(stem.substr(0, client_id_bytes_in_member_id));
    for (std::size_t i = 0; i < uuid.size(); ++i) {
        if (i == 0 || i == 4 || i == 6 || i == 8 || i == 10) id += '-';
        id += "0123456789abcdef"[uuid[i] >> 4];
        id += "0123456789abcdef"[uuid[i] & 15];
    }
    return id;
}

JoinAnswer Groups::joined(const Group& group, const Member& member, bool with_members) const {
    JoinAnswer told;
    told.generation = group.generation;
    told.protocol_type = group.protocol_type;
    told.protocol = group.protocol;
    told.leader = group.leader;
    told.member = member.id;
    if (with_members) {
        told.members.reserve(group.members.size());
        for (const auto& [id, one] : group.members) {
            const std::string* metadata = one->metadata(group.protocol);
            told.members.push_back({id, one->instance, metadata != nullptr ? *metadata : ""});
        }
    }
    return told;
}

void Groups::park_join(Group& group, Member& member, Ticket ticket) {
    // Two joins of one member: the first one's connection is most likely gone.
    end_join(group, member, ErrorCode::rebalance_in_progress);
    member.join = ticket;
    ++group.awaiting_join;
}

Ticket Groups::unpark_join(Group& group, Member& member) {
    if (member.join != 0) --group.awaiting_join;
    return std::exchange(member.join, 0);
}

void Groups::end_join(Group& group, Member& member, ErrorCode error) {
    if (const Ticket ticket = unpark_join(group, member)) refuse_join(ticket, error, member.id);
}

void Groups::end_sync(Member& member, ErrorCode error) {
    if (member.sync != 0) refuse_sync(std::exchange(member.sync, 0), error);
}

}  // namespace leat::groups
