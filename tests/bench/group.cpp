#include "tests/bench/group.hpp"

#include <algorithm>

#include "sdk/wire/api/11_join_group.hpp"
#include "sdk/wire/api/12_heartbeat.hpp"
#include "sdk/wire/api/13_leave_group.hpp"
#include "sdk/wire/api/14_sync_group.hpp"

namespace leat::bench {
namespace {

using wire::ErrorCode;

// What librdkafka 2 speaks with a broker of today.
constexpr std::int16_t join_version = 5, sync_version = 3, beat_version = 3, leave_version = 3;
constexpr std::chrono::milliseconds put_off_for{100};
constexpr std::int32_t session_timeout_ms = 45'000, rebalance_timeout_ms = 60'000;

ByteView bytes_of(std::string_view text) {
    return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}
// A subscription of version 0 to one topic, which Kafka reads: it answers nobody if it cannot.
const std::string subscription(
    "\0\0"
    "\0\0\0\1"
    "\0\15bench-offsets"
    "\xff\xff\xff\xff",
    25);
const std::string assignment(32, 'a');  // opaque to the broker, as long as that of one partition

}  // namespace

Group::Group(Connections& connections, std::string name, std::chrono::milliseconds beat)
    : connections_(connections), name_(std::move(name)), beat_(beat) {}

Group::Member* Group::find(int connection) {
    const auto at = std::find_if(
        members_.begin(), members_.end(),
        [connection](const Member& member) { return member.connection == connection; });
    return at == members_.end() ? nullptr : &*at;
}

void Group::add(int connection) {
    members_.emplace_back();
    members_.back().connection = connection;
    join(members_.back());
}

void Group::join(Member& member) {
    wire::JoinGroupRequest::JoinGroupRequestProtocol protocol;
    protocol.name = "range";
    protocol.metadata = bytes_of(subscription);
    wire::JoinGroupRequest request;
    request.group_id = name_;
    request.session_timeout_ms = session_timeout_ms;
    request.rebalance_timeout_ms = rebalance_timeout_ms;
    request.member_id = member.id;
    request.protocol_type = "consumer";
    request.protocols = std::span(&protocol, 1);
    if (member.in) ++rejoins_;
    member.in = member.put_off = false;
    member.await = Await::join;
    connections_.send(member.connection, frame_of(request, join_version, 1));
}

void Group::on_join(Member& member, ByteView frame) {
    const auto answer = answer_of<wire::JoinGroupResponse>(frame, join_version);
    if (answer.error_code == ErrorCode::coordinator_load_in_progress ||
        answer.error_code == ErrorCode::coordinator_not_available ||
        answer.error_code == ErrorCode::not_coordinator) {
        // A thousand members that ask again at once would keep it from ever becoming ready.
        member.await = Await::nothing;
        member.put_off = true;
        member.told = Clock::now();
        return;
    }
    if (answer.error_code == ErrorCode::member_id_required ||
        answer.error_code == ErrorCode::unknown_member_id ||
        answer.error_code == ErrorCode::rebalance_in_progress) {
        if (answer.error_code == ErrorCode::member_id_required)
            member.id = std::string(answer.member_id.view());
        if (answer.error_code == ErrorCode::unknown_member_id) member.id.clear();
        return join(member);
    }
    if (answer.error_code != ErrorCode::none)
        die("join: error " + std::to_string(static_cast<int>(answer.error_code)));
    member.generation = answer.generation_id;
    member.id = std::string(answer.member_id.view());
    wire::SyncGroupRequest request;
    request.group_id = name_;
    request.generation_id = member.generation;
    request.member_id = member.id;
    std::vector<wire::SyncGroupRequest::SyncGroupRequestAssignment> parts;
    std::vector<std::string> ids;  // the answer's are decoded one by one
    for (const auto& other : answer.members) ids.emplace_back(other.member_id.view());
    for (const std::string& id : ids) {
        parts.emplace_back();
        parts.back().member_id = id;
        parts.back().assignment = bytes_of(assignment);
    }
    request.assignments = parts;
    member.await = Await::sync;
    connections_.send(member.connection, frame_of(request, sync_version, 2));
}

void Group::on_sync(Member& member, ByteView frame) {
    const auto answer = answer_of<wire::SyncGroupResponse>(frame, sync_version);
    if (answer.error_code == ErrorCode::unknown_member_id) member.id.clear();
    if (answer.error_code != ErrorCode::none) return join(member);
    if (answer.assignment.view().size() != assignment.size()) die("sync: not what was handed in");
    member.in = true;
    member.await = Await::nothing;
    member.told = Clock::now();
}

void Group::beat(Member& member) {
    wire::HeartbeatRequest request;
    request.group_id = name_;
    request.generation_id = member.generation;
    request.member_id = member.id;
    member.await = Await::beat;
    ++beats_;
    connections_.send(member.connection, frame_of(request, beat_version, 3));
}

void Group::on_beat(Member& member, ByteView frame) {
    const auto answer = answer_of<wire::HeartbeatResponse>(frame, beat_version);
    if (answer.error_code == ErrorCode::unknown_member_id) member.id.clear();
    if (answer.error_code != ErrorCode::none) return join(member);
    member.await = Await::nothing;
    member.told = Clock::now();
}

void Group::beat_now() {
    for (Member& member : members_)
        if (member.in && member.await == Await::nothing) beat(member);
}

void Group::tick(Clock::time_point now) {
    for (Member& member : members_) {
        if (member.in && member.await == Await::nothing && member.told + beat_ <= now) beat(member);
        if (member.put_off && member.told + put_off_for <= now) join(member);
    }
}

void Group::remove_last() {
    Member& member = members_.back();
    if (member.await != Await::nothing) die("a member leaves with a question open");
    wire::LeaveGroupRequest::MemberIdentity who;
    who.member_id = member.id;
    wire::LeaveGroupRequest request;
    request.group_id = name_;
    request.members = std::span(&who, 1);
    member.await = Await::leave;
    member.goes = true;
    ++leaving_;
    connections_.send(member.connection, frame_of(request, leave_version, 4));
}

void Group::remove_all() {
    if (members_.empty()) return;
    std::vector<wire::LeaveGroupRequest::MemberIdentity> who(members_.size());
    for (std::size_t i = 0; i < who.size(); ++i) {
        who[i].member_id = members_[i].id;
        members_[i].goes = true;
        members_[i].in = false;
    }
    wire::LeaveGroupRequest request;
    request.group_id = name_;
    request.members = who;
    members_.front().await = Await::leave;
    ++leaving_;
    connections_.send(members_.front().connection, frame_of(request, leave_version, 4));
}

bool Group::take(int connection, ByteView frame) {
    Member* member = find(connection);
    if (member == nullptr) return false;
    switch (member->await) {
        case Await::join:
            on_join(*member, frame);
            break;
        case Await::sync:
            on_sync(*member, frame);
            break;
        case Await::beat:
            on_beat(*member, frame);
            break;
        case Await::leave: {
            const auto answer = answer_of<wire::LeaveGroupResponse>(frame, leave_version);
            if (answer.error_code != ErrorCode::none) die("leave");
            --leaving_;
            std::erase_if(members_, [](const Member& one) { return one.goes; });
            beat_now();
            break;
        }
        case Await::nothing:
            die("an answer to nothing");
    }
    return true;
}

bool Group::quiet() const {
    return std::all_of(members_.begin(), members_.end(), [](const Member& member) {
        return member.await == Await::nothing && !member.put_off;
    });
}

bool Group::stable() const {
    if (leaving_ > 0) return false;
    return std::all_of(members_.begin(), members_.end(), [this](const Member& member) {
        return member.in && member.generation == members_.front().generation;
    });
}

}  // namespace leat::bench
