// DeleteGroups (key 42): empty groups with all their positions; answered when durable.
#include "sdk/wire/api/42_delete_groups.hpp"

#include <algorithm>
#include <set>

#include "broker/api/group_words.hpp"
#include "broker/api/handlers.hpp"

namespace leat::api {
namespace {

using wire::ErrorCode;

struct Outcome {
    std::vector<std::pair<std::string, std::optional<ErrorCode>>> groups;  // null: not yet
    log::CommitId commit = 0;
};

groups::Groups::Written run(Context& context, Outcome& outcome) {
    groups::Groups::Written all;
    for (auto& [name, error] : outcome.groups) {
        if (error) continue;  // done before the log wanted a pause
        const auto one = context.groups.delete_group(context.now, name);
        if (one.again) {
            all.again = true;
            return all;
        }
        error = one.error;
        outcome.commit = std::max(outcome.commit, one.commit);
    }
    all.commit = outcome.commit;
    return all;
}

void send(Context& context, Address& address, const Outcome& outcome, bool durable) {
    using Response = wire::DeleteGroupsResponse;
    std::vector<Response::DeletableGroupResult> results;
    for (const auto& [name, error] : outcome.groups) {
        auto& one = results.emplace_back();
        one.group_id = name;
        one.error_code =
            *error == ErrorCode::none && !durable ? ErrorCode::coordinator_not_available : *error;
    }
    Response response;
    response.results = results;
    answer(context, address, response);
}

}  // namespace

void delete_groups(Context& context, Call call) {
    const auto request = wire::decode_front<wire::DeleteGroupsRequest>(call.body, call.version);
    if (!request) return call.reply.close(session::CloseReason::malformed_request);
    auto outcome = std::make_shared<Outcome>();  // shared by the two functions below
    std::set<std::string_view> once;
    for (const auto& name : request->groups_names)
        if (once.insert(name.view()).second)
            outcome->groups.emplace_back(name.view(), std::nullopt);
    write_groups(
        context, std::move(call),
        [outcome](Context& where, ByteView) { return run(where, *outcome); },
        [outcome](Context& where, Address& address, bool durable) {
            send(where, address, *outcome, durable);
        });
}

}  // namespace leat::api
