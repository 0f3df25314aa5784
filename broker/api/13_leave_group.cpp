// LeaveGroup (key 13): one member up to v2, many from v3; by instance id alone a tool takes a
// static member out. Whoever leaves an empty group behind is answered when that is durable: after a
// power cut nobody waits for a member that was told that it is out.
#include "sdk/wire/api/13_leave_group.hpp"

#include "broker/api/group_words.hpp"
#include "broker/api/handlers.hpp"

namespace leat::api {
namespace {

using wire::ErrorCode;
using Request = wire::LeaveGroupRequest;
using Response = wire::LeaveGroupResponse;
constexpr std::int16_t many_since = 3;

struct Asked {
    std::int16_t version = 0;
    std::optional<Request> request = {};  ///< views the body; set: they have left
    ErrorCode error = ErrorCode::none;
    std::vector<ErrorCode> errors = {};

    std::optional<Ran> run(Context& context, ByteView body);
    void send(Context& context, Address& address, bool durable) const;
};

std::optional<Ran> Asked::run(Context& context, ByteView body) {
    if (!request) {
        const auto decoded = wire::decode_front<Request>(body, version);
        if (!decoded) return std::nullopt;
        request = *decoded;
        std::vector<groups::Leaving> leaving;
        if (version < many_since)
            leaving.push_back({.member = request->member_id.view(), .instance = std::nullopt});
        else
            for (const auto& one : request->members)
                leaving.push_back({.member = one.member_id.view(),
                                   .instance = optional_view(one.group_instance_id)});
        errors = context.groups.leave(context.now, request->group_id.view(), leaving, error);
        context.parked_groups.drain(context);
    }
    return Ran(context.groups.left(request->group_id.view()));
}

void Asked::send(Context& context, Address& address, bool durable) const {
    Response response;
    response.error_code = durable ? error : ErrorCode::coordinator_not_available;
    std::vector<Response::MemberResponse> members;
    if (version < many_since) {
        if (durable && !errors.empty()) response.error_code = errors.front();
    } else {
        auto asked = request->members.begin();
        for (const ErrorCode one : errors) {
            auto& member = members.emplace_back();
            member.member_id = (*asked).member_id;
            member.group_instance_id = (*asked).group_instance_id;
            member.error_code = one;
            ++asked;
        }
        response.members = members;
    }
    answer(context, address, response);
}

}  // namespace

void leave_group(Context& context, Call call) {
    if (!read<Request>(context, call)) return;
    const std::int16_t version = call.version;
    write_groups(context, std::move(call), Asked{.version = version});
}

}  // namespace leat::api
