// A member's requests to its coordinator, and what the answers mean.
#include <algorithm>

#include "sdk/cluster/group_member.hpp"
#include "sdk/wire/api/11_join_group.hpp"
#include "sdk/wire/api/12_heartbeat.hpp"
#include "sdk/wire/api/13_leave_group.hpp"
#include "sdk/wire/api/14_sync_group.hpp"

namespace leat::cluster {
namespace {

constexpr const char* protocol_type = "consumer";
constexpr milliseconds metadata_wait{5'000};  // of a leader, for topics it had not heard of

wire::StringView instance_of(const GroupConfig& config) {
    return config.instance_id ? wire::StringView(*config.instance_id) : wire::StringView(nullptr);
}

template <class M>
std::optional<M> decoded(const client::Event& event) {
    if (event.kind != client::Event::Kind::response) return std::nullopt;
    Result<M> message = wire::decode<M>(event.body, event.api_version);
    if (!message) return std::nullopt;
    return *std::move(message);
}

std::int32_t as_ms(milliseconds time) {
    return static_cast<std::int32_t>(std::min<std::int64_t>(time.count(), INT32_MAX));
}

}  // namespace

void GroupMember::send_join(Instant now) {
    using Request = wire::JoinGroupRequest;
    std::vector<OwnedBytes> metadata;
    const Partitions owned(owned_.begin(), owned_.end());
    for (Assignor assignor : config_.assignors)
        metadata.push_back(
            encode_subscription(assignor, topics_, owned, previous_,
                                assignor == Assignor::sticky ? previous_generation_ : generation_));
    std::vector<Request::JoinGroupRequestProtocol> protocols;
    for (std::size_t i = 0; i < metadata.size(); ++i) {
        auto& protocol = protocols.emplace_back();
        protocol.name = name_of(config_.assignors[i]);
        protocol.metadata = metadata[i];
    }
    Request request;
    request.group_id = config_.group_id;
    request.session_timeout_ms = as_ms(config_.session_timeout);
    request.rebalance_timeout_ms = as_ms(config_.max_poll_interval);
    request.member_id = member_id_;
    request.group_instance_id = instance_of(config_);
    request.protocol_type = protocol_type;
    request.protocols = protocols;
    // The answer comes when everybody has joined: as Java's, 5 s more than that may take. A link
    // that is half open meanwhile is the transport's to notice (keep-alive).
    const milliseconds timeout =
        std::max(config_.request_timeout, config_.max_poll_interval + milliseconds{5000});
    rejoin_wanted_ = false;
    sent_or_not(now, router_.send(now, *this, context(What::join), coordinator(), request, timeout),
                join_sent_);
}

void GroupMember::send_sync(Instant now) {
    using Request = wire::SyncGroupRequest;
    std::vector<Request::SyncGroupRequestAssignment> assignments;
    for (const auto& [id, bytes] : assignments_) {
        auto& assignment = assignments.emplace_back();
        assignment.member_id = id;
        assignment.assignment = bytes;
    }
    Request request;
    request.group_id = config_.group_id;
    request.generation_id = generation_;
    request.member_id = member_id_;
    request.group_instance_id = instance_of(config_);
    request.protocol_type = protocol_type;
    request.protocol_name = protocol_;
    request.assignments = assignments;
    // Not the time that a rebalance may take: everybody is here, only the leader has to assign.
    sent_or_not(now,
                router_.send(now, *this, context(What::sync), coordinator(), request,
                             config_.request_timeout),
                sync_sent_);
}

void GroupMember::send_heartbeat(Instant now) {
    wire::HeartbeatRequest request;
    request.group_id = config_.group_id;
    request.generation_id = generation_;
    request.member_id = member_id_;
    request.group_instance_id = instance_of(config_);
    sent_or_not(now,
                router_.send(now, *this, context(What::heartbeat), coordinator(), request,
                             config_.request_timeout),
                beating_);
}

void GroupMember::send_leave(Instant now) {
    wire::LeaveGroupRequest::MemberIdentity identity;
    identity.member_id = member_id_;
    wire::LeaveGroupRequest request;
    request.group_id = config_.group_id;
    request.member_id = member_id_;
    request.members = std::span(&identity, 1);
    sent_or_not(now,
                router_.send(now, *this, context(What::leave), coordinator(), request,
                             config_.request_timeout),
                leave_sent_);
}

void GroupMember::on_answer(Instant now, Router& router, const client::Event& event,
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
        forget_membership();
    } else if (its_context >> 4 == attempt_) {
        if (what == What::join) on_join(now, event);
        if (what == What::sync) on_sync(now, event);
        if (what == What::heartbeat) on_heartbeat(now, event);
    }
    pump(now, router);
}

void GroupMember::on_join(Instant now, const client::Event& event) {
    join_sent_ = false;
    const auto answer = decoded<wire::JoinGroupResponse>(event);
    if (!answer) {
        lose_coordinator();
        return back_off(now);
    }
    if (answer->error_code == wire::ErrorCode::member_id_required) {
        const bool has_been_named = !member_id_.empty();
        member_id_ = answer->member_id.view();
        if (has_been_named || member_id_.empty()) back_off(now);
        return;  // else joins again at once, with its new name
    }
    if (answer->error_code == wire::ErrorCode::rebalance_in_progress) return back_off(now);
    if (answer->error_code != wire::ErrorCode::none) return judge(now, answer->error_code);
    failures_ = 0;
    member_id_ = answer->member_id.view();
    generation_ = answer->generation_id;
    protocol_ = answer->protocol_name.view();
    is_leader_ = answer->leader.view() == member_id_;
    beat_at_ = now + config_.heartbeat_interval;
    session_ends_ = now + config_.session_timeout;
    members_.clear();
    assignments_.clear();
    state_ = State::syncing;
    if (!is_leader_) {
        set_wanted(now, {topics_.begin(), topics_.end()});
        return;
    }
    const auto assignor = assignor_named(protocol_);
    if (!assignor) return fail_for_good(wire::ErrorCode::inconsistent_group_protocol);
    std::set<std::string> all(topics_.begin(), topics_.end());
    for (const auto& from : answer->members) {
        Result<Subscriber> member = decode_subscription(*assignor, from.metadata.view());
        if (!member) member = Subscriber{};  // it gets nothing, and the others go on
        member->member_id = from.member_id.view();
        if (!from.group_instance_id.is_null())
            member->instance_id = std::string(from.group_instance_id.view());
        all.insert(member->topics.begin(), member->topics.end());
        members_.push_back(*std::move(member));
    }
    set_wanted(now, std::move(all));
    if (answer->skip_assignment) {  // a static leader that came back: the assignment stands
        assigned_counts_ = count_partitions();
        return;
    }
    state_ = State::assigning;
    known_by_ = now + metadata_wait;
}

void GroupMember::on_sync(Instant now, const client::Event& event) {
    sync_sent_ = false;
    const auto answer = decoded<wire::SyncGroupResponse>(event);
    if (!answer) {
        lose_coordinator();
        state_ = State::joining;
        return back_off(now);
    }
    if (answer->error_code != wire::ErrorCode::none) {
        state_ = State::joining;
        return judge(now, answer->error_code);
    }
    const auto partitions = decode_assignment(answer->assignment.view());
    if (!partitions) return fail_for_good(wire::ErrorCode::inconsistent_group_protocol);
    failures_ = 0;
    beat_at_ = now + config_.heartbeat_interval;
    session_ends_ = now + config_.session_timeout;
    take_assignment(now, *partitions);
}

void GroupMember::take_assignment(Instant, Partitions partitions) {
    std::sort(partitions.begin(), partitions.end());
    previous_ = partitions;
    previous_generation_ = generation_;
    const std::set<TopicPartition> now_mine(partitions.begin(), partitions.end());
    Partitions added, revoked;
    std::set_difference(now_mine.begin(), now_mine.end(), owned_.begin(), owned_.end(),
                        std::back_inserter(added));
    std::set_difference(owned_.begin(), owned_.end(), now_mine.begin(), now_mine.end(),
                        std::back_inserter(revoked));
    owned_ = now_mine;
    state_ = State::stable;
    if (!revoked.empty()) {
        tell(GroupEvent::Kind::revoked, std::move(revoked));
        want_rejoin();  // so that its next owner can have it
    }
    tell(GroupEvent::Kind::assigned, std::move(added));
}

void GroupMember::on_heartbeat(Instant now, const client::Event& event) {
    beating_ = false;
    beat_at_ = now + config_.heartbeat_interval;
    const auto answer = decoded<wire::HeartbeatResponse>(event);
    if (!answer) {
        beat_at_ = now + config_.retry.min;
        lose_coordinator();
        return;
    }
    if (answer->error_code == wire::ErrorCode::none ||
        answer->error_code == wire::ErrorCode::rebalance_in_progress)
        session_ends_ = now + config_.session_timeout;
    if (answer->error_code == wire::ErrorCode::none) failures_ = 0;
    if (answer->error_code != wire::ErrorCode::none &&
        answer->error_code != wire::ErrorCode::rebalance_in_progress)
        beat_at_ = now + config_.retry.min;
    judge(now, answer->error_code);
}

}  // namespace leat::cluster
