// JoinGroup (key 11): parked until the group has all its members.
#include "sdk/wire/api/11_join_group.hpp"

#include "broker/api/group_words.hpp"
#include "broker/api/handlers.hpp"

namespace leat::api {

void join_group(Context& context, Call call) {
    const auto from = read<wire::JoinGroupRequest>(context, call);
    if (!from) return;
    groups::JoinRequest request;
    request.group = from->group_id.view();
    request.member = from->member_id.view();
    if (!from->group_instance_id.is_null()) request.instance = from->group_instance_id.view();
    request.client_id = view_or_empty(call.client_id);
    request.client_host = host_of(call.reply.peer());
    request.session_timeout = milliseconds(from->session_timeout_ms);
    request.rebalance_timeout =
        milliseconds(call.version == 0 ? from->session_timeout_ms : from->rebalance_timeout_ms);
    request.protocol_type = from->protocol_type.view();
    for (const auto& protocol : from->protocols)
        request.protocols.push_back(
            {std::string(protocol.name.view()), std::string(text_of(protocol.metadata.view()))});
    request.requires_known_member = call.version >= 4;
    request.can_skip_assignment = call.version >= 9;
    const groups::Ticket ticket = context.parked_groups.park(address_of(call));
    context.groups.join(context.now, ticket, std::move(request));
    context.parked_groups.drain(context);
}

}  // namespace leat::api
