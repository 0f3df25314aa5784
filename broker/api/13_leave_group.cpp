// LeaveGroup (key 13): one member up to v2, many from v3; by instance id alone a tool takes a
// static member out.
#include "sdk/wire/api/13_leave_group.hpp"

#include "broker/api/group_words.hpp"
#include "broker/api/handlers.hpp"

namespace leat::api {

void leave_group(Context& context, Call call) {
    using Response = wire::LeaveGroupResponse;
    const auto request = read<wire::LeaveGroupRequest>(context, call);
    if (!request) return;
    std::vector<groups::Leaving> leaving;
    if (call.version < 3)
        leaving.push_back({.member = request->member_id.view(), .instance = std::nullopt});
    else
        for (const auto& one : request->members)
            leaving.push_back({.member = one.member_id.view(),
                               .instance = optional_view(one.group_instance_id)});
    Response response;
    const auto errors = context.groups.leave(context.now, request->group_id.view(), leaving,
                                             response.error_code);
    std::vector<Response::MemberResponse> members;
    if (call.version < 3) {
        if (!errors.empty()) response.error_code = errors.front();
    } else {
        for (std::size_t i = 0; i < errors.size(); ++i) {
            auto& one = members.emplace_back();
            one.member_id = leaving[i].member;
            if (leaving[i].instance) one.group_instance_id = *leaving[i].instance;
            one.error_code = errors[i];
        }
        response.members = members;
    }
    answer(context, call, response);
    context.parked_groups.drain(context);
}

}  // namespace leat::api
