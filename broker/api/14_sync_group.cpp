// SyncGroup (key 14): parked until the leader has decided and that is durable.
#include "sdk/wire/api/14_sync_group.hpp"

#include "broker/api/group_words.hpp"
#include "broker/api/handlers.hpp"

namespace leat::api {

void sync_group(Context& context, Call call) {
    const auto from = read<wire::SyncGroupRequest>(context, call);
    if (!from) return;
    groups::SyncRequest request;
    request.who = {.group = from->group_id.view(),
                   .member = from->member_id.view(),
                   .instance = optional_view(from->group_instance_id),
                   .generation = from->generation_id};
    request.protocol_type = optional_view(from->protocol_type);
    request.protocol = optional_view(from->protocol_name);
    for (const auto& one : from->assignments)
        request.assignments.emplace_back(one.member_id.view(), text_of(one.assignment.view()));
    if (call.version >= 5 && !(request.protocol_type && request.protocol)) {  // KIP-559
        wire::SyncGroupResponse refused;
        refused.error_code = wire::ErrorCode::inconsistent_group_protocol;
        return answer(context, call, refused);
    }
    // The views borrow the frame, which lasts for this call; only the address goes to the ticket.
    const groups::Ticket ticket = context.parked_groups.park(address_of(call));
    context.groups.sync(context.now, ticket, request);
    context.parked_groups.drain(context);
}

}  // namespace leat::api
