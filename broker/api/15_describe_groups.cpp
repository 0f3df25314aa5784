// DescribeGroups (key 15).
#include "sdk/wire/api/15_describe_groups.hpp"

#include <deque>
#include <set>

#include "broker/api/group_words.hpp"
#include "broker/api/handlers.hpp"

namespace leat::api {
void describe_groups(Context& context, Call call) {
    using Response = wire::DescribeGroupsResponse;
    const auto request = wire::decode_front<wire::DescribeGroupsRequest>(call.body, call.version);
    if (!request) return call.reply.close(session::CloseReason::malformed_request);
    std::vector<Response::DescribedGroup> groups;
    std::deque<std::vector<Response::DescribedGroupMember>> members;
    std::deque<std::string> texts;
    std::set<std::string_view> once;  // a large group a thousand times is nobody's wish
    for (const auto& name : request->groups) {
        if (!once.insert(name.view()).second) continue;
        const groups::Description from = context.groups.describe(name.view());
        auto& list = members.emplace_back();
        for (const groups::DescribedMember& one : from.members) {
            auto& to = list.emplace_back();
            to.member_id = one.id;
            if (one.instance) to.group_instance_id = *one.instance;
            to.client_id = one.client_id;
            to.client_host = one.client_host;
            to.member_metadata = bytes_of(one.metadata);
            to.member_assignment = bytes_of(one.assignment);
        }
        auto& to = groups.emplace_back();
        to.group_id = name;
        to.group_state = from.state;
        to.protocol_type = from.protocol_type;
        to.protocol_data = from.protocol;
        to.members = list;
        if (!from.found && call.version >= 6) {
            to.error_code = wire::ErrorCode::group_id_not_found;
            const bool other_kind = context.groups.find_group(name.view()) != nullptr;
            to.error_message =
                texts.emplace_back("Group " + std::string(name.view()) +
                                   (other_kind ? " is not a classic group." : " not found."));
        }
        if (request->include_authorized_operations && to.error_code == wire::ErrorCode::none)
            to.authorized_operations = all_group_operations;
    }
    Response response;
    response.groups = groups;
    answer(context, call, response);
}

}  // namespace leat::api
