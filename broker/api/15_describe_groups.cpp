// DescribeGroups (key 15). In turns: group by group.
#include "sdk/wire/api/15_describe_groups.hpp"

#include <set>

#include "broker/api/each_described.hpp"
#include "broker/api/group_words.hpp"
#include "broker/api/handlers.hpp"
#include "broker/api/told.hpp"

namespace leat::api {
namespace {

using Request = wire::DescribeGroupsRequest;
using Response = wire::DescribeGroupsResponse;

class Describing final
    : public EachDescribed<Request, wire::StringView, Response, Response::DescribedGroup> {
public:
    Describing() : EachDescribed(&Request::groups, &Response::groups, 64) {}

private:
    void add(Context& context, const wire::StringView& name) override;

    std::set<std::string_view> once_;  // a large group a thousand times is nobody's wish
};

void Describing::add(Context& context, const wire::StringView& name) {
    if (!once_.insert(name.view()).second) return;
    const groups::Description from = context.groups.describe(name.view());
    std::vector<Response::DescribedGroupMember> members;
    for (const groups::DescribedMember& one : from.members) {
        auto& to = members.emplace_back();
        to.member_id = one.id;
        if (one.instance) to.group_instance_id = *one.instance;
        to.client_id = one.client_id;
        to.client_host = one.client_host;
        to.member_metadata = bytes_of(one.metadata);
        to.member_assignment = bytes_of(one.assignment);
    }
    Response::DescribedGroup to;
    std::string text;
    to.group_id = name;
    to.group_state = from.state;
    to.protocol_type = from.protocol_type;
    to.protocol_data = from.protocol;
    to.members = members;
    if (!from.found && address.version >= 6) {
        to.error_code = wire::ErrorCode::group_id_not_found;
        const bool other_kind = context.groups.find_group(name.view()) != nullptr;
        text = "Group " + std::string(name.view()) +
               (other_kind ? " is not a classic group." : " not found.");
        to.error_message = told(text);
    }
    if (request.include_authorized_operations && to.error_code == wire::ErrorCode::none)
        to.authorized_operations = all_group_operations;
    answer_.add(address.version, to);
}

}  // namespace

void describe_groups(Context& context, Call call) {
    describe_each<Describing>(context, std::move(call));
}

}  // namespace leat::api
