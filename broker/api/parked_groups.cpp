#include "broker/api/parked_groups.hpp"

#include "broker/api/answer.hpp"
#include "broker/api/told.hpp"
#include "sdk/wire/api/11_join_group.hpp"
#include "sdk/wire/api/14_sync_group.hpp"
#include "sdk/wire/api/68_consumer_group_heartbeat.hpp"

namespace leat::api {
namespace {

constexpr int answers_per_turn = 64;

template <class View>
View nullable(const std::optional<std::string>& text) {
    return text ? View(*text) : View(nullptr);
}

void send_joined(Context& context, Address& address, const groups::JoinAnswer& from) {
    std::vector<wire::JoinGroupResponse::JoinGroupResponseMember> members;
    members.reserve(from.members.size());
    for (const groups::JoinedMember& one : from.members) {
        auto& to = members.emplace_back();
        to.member_id = one.id;
        to.group_instance_id = nullable<wire::StringView>(one.instance);
        to.metadata = bytes_of(one.metadata);
    }
    wire::JoinGroupResponse response;
    response.error_code = from.error;
    response.generation_id = from.generation;
    response.protocol_type = nullable<wire::StringView>(from.protocol_type);
    if (from.protocol)
        response.protocol_name = *from.protocol;
    else if (address.version >= 7)
        response.protocol_name = nullptr;
    response.leader = from.leader;
    response.skip_assignment = from.skip_assignment;
    response.member_id = from.member;
    response.members = members;
    answer(context, address, response);
}

void send_synced(Context& context, Address& address, const groups::SyncAnswer& from) {
    wire::SyncGroupResponse response;
    response.error_code = from.error;
    response.protocol_type = nullable<wire::StringView>(from.protocol_type);
    response.protocol_name = nullable<wire::StringView>(from.protocol);
    response.assignment = bytes_of(from.assignment);
    answer(context, address, response);
}

void send_beaten(Context& context, Address& address, const groups::ConsumerAnswer& from) {
    using Response = wire::ConsumerGroupHeartbeatResponse;
    Response response;
    std::vector<Response::TopicPartitions> topics;
    response.error_code = from.error;
    response.error_message = told(from.message);
    response.member_id = nullable<wire::StringView>(from.member);
    response.member_epoch = from.epoch;
    response.heartbeat_interval_ms = static_cast<std::int32_t>(from.interval.count());
    if (from.assignment) {
        for (const groups::TopicPartitions& one : *from.assignment)
            topics.push_back({{one.topic}, one.partitions});
        response.assignment_mark = 1;
        response.assignment.topic_partitions = topics;
    }
    answer(context, address, response);
}

}  // namespace

// Large groups share out their partitions in turns of the loop, with all that is left of others'
// requests.
void ParkedGroups::assign(Context& context) {
    if (assigns_ || !context.groups.assigns()) return;
    assigns_ = true;
    context.turns.next([this, &context](Instant now, WallTime wall) {
        context.now = now;
        context.wall = wall;
        assigns_ = false;
        context.groups.assign_some(now);
        drain(context);
    });
}

void ParkedGroups::drain(Context& context) {
    assign(context);
    if (waits_turn_) return;
    int left = answers_per_turn;
    const auto address_of = [&](groups::Ticket ticket) {
        --left;
        auto slot = waiting_.extract(ticket);
        return slot && slot.mapped().reply.alive() ? std::move(slot.mapped()) : Address();
    };
    // Nothing is asked for its answer that is not sent then.
    while (left > 0) {
        const auto joined = context.groups.poll_joined();
        if (!joined) break;
        if (Address to = address_of(joined->ticket); to.reply) send_joined(context, to, *joined);
    }
    while (left > 0) {
        const auto synced = context.groups.poll_synced();
        if (!synced) break;
        if (Address to = address_of(synced->ticket); to.reply) send_synced(context, to, *synced);
    }
    while (left > 0) {
        const auto beaten = context.groups.poll_consumer_answer();
        if (!beaten) break;
        if (Address to = address_of(beaten->ticket); to.reply) send_beaten(context, to, *beaten);
    }
    if (left > 0) return;
    waits_turn_ = true;
    context.turns.next([this, &context](Instant now, WallTime wall) {
        context.now = now;
        context.wall = wall;
        waits_turn_ = false;
        drain(context);
    });
}

}  // namespace leat::api
