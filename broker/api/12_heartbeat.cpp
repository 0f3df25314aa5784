// Heartbeat (key 12).
#include "sdk/wire/api/12_heartbeat.hpp"

#include "broker/api/group_words.hpp"
#include "broker/api/handlers.hpp"

namespace leat::api {

void heartbeat(Context& context, Call call) {
    const auto request = read<wire::HeartbeatRequest>(context, call);
    if (!request) return;
    wire::HeartbeatResponse response;
    response.error_code =
        context.groups.heartbeat(context.now, {.group = request->group_id.view(),
                                               .member = request->member_id.view(),
                                               .instance = optional_view(request->group_instance_id),
                                               .generation = request->generation_id});
    answer(context, call, response);
}

}  // namespace leat::api
