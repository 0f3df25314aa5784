// DeleteGroups (key 42): empty groups with all their positions; answered when durable.
#include "sdk/wire/api/42_delete_groups.hpp"

#include <algorithm>
#include <set>

#include "broker/api/group_words.hpp"
#include "broker/api/handlers.hpp"

namespace leat::api {
namespace {

using wire::ErrorCode;

struct Asked {
    std::vector<std::pair<std::string, std::optional<ErrorCode>>> named;  // null: not yet
    bool begun = false;  // with the first that is not done

    std::optional<Ran> run(Context& context, ByteView);
    void send(Context& context, Address& address, bool durable) const;
};

// The next ones come in the next turn.
constexpr int groups_per_turn = 32;

std::optional<Ran> Asked::run(Context& context, ByteView) {
    groups::Groups::Written all;
    int left = groups_per_turn;
    for (auto& [name, error] : named) {
        if (error) continue;  // done in an earlier turn, or before the log wanted a pause
        if (left-- == 0) return Ran{std::move(all), true};
        const auto one = begun ? context.groups.go_on_deleting(context.now, name)
                               : context.groups.delete_group(context.now, name);
        all.commit = std::max(all.commit, one.commit);
        all.again = begun = one.again;
        if (all.again) break;
        error = one.error;
    }
    return all;
}

void Asked::send(Context& context, Address& address, bool durable) const {
    using Response = wire::DeleteGroupsResponse;
    std::vector<Response::DeletableGroupResult> results;
    for (const auto& [name, error] : named) {
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
    const auto request = read<wire::DeleteGroupsRequest>(context, call);
    if (!request) return;
    Asked asked;
    std::set<std::string_view> once;
    for (const auto& name : request->groups_names)
        if (once.insert(name.view()).second) asked.named.emplace_back(name.view(), std::nullopt);
    write_groups(context, std::move(call), std::move(asked));
}

}  // namespace leat::api
