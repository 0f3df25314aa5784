// ListGroups (key 16), filtered by state (v4) and type (v5), whatever the case.
#include "sdk/wire/api/16_list_groups.hpp"

#include <algorithm>

#include "broker/api/group_words.hpp"
#include "broker/api/handlers.hpp"

namespace leat::api {
namespace {

bool same(std::string_view a, std::string_view b) {
    const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? char(c - 'A' + 'a') : c; };
    return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                      [&](char x, char y) { return lower(x) == lower(y); });
}

bool asked_for(const wire::Array<wire::StringView>& filter, std::string_view value) {
    if (filter.is_null() || filter.size() == 0) return true;
    for (const auto& one : filter)
        if (same(one.view(), value)) return true;
    return false;
}

}  // namespace

void list_groups(Context& context, Call call) {
    using Response = wire::ListGroupsResponse;
    const auto request = wire::decode_front<wire::ListGroupsRequest>(call.body, call.version);
    if (!request) return call.reply.close(session::CloseReason::malformed_request);
    std::vector<Response::ListedGroup> groups;
    context.groups.for_each([&](const groups::Group& group) {
        const bool consumer = group.consumer != nullptr;
        const char* type = consumer ? "consumer" : "classic";
        const char* state = consumer ? group.consumer->state() : groups::state_name(group.state);
        if (!asked_for(request->types_filter, type) || !asked_for(request->states_filter, state)) return;
        auto& one = groups.emplace_back();
        one.group_id = group.id;
        one.protocol_type = group.protocol_type;
        one.group_state = state;
        one.group_type = type;
    });
    Response response;
    response.groups = groups;
    answer(context, call, response);
}

}  // namespace leat::api
