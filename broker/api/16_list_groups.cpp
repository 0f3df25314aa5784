// ListGroups (key 16), filtered by state (v4) and type (v5), whatever the case.
#include "sdk/wire/api/16_list_groups.hpp"

#include <algorithm>

#include "broker/api/group_words.hpp"
#include "broker/api/handlers.hpp"
#include "broker/api/long_answer.hpp"
#include "broker/api/slices.hpp"

namespace leat::api {
namespace {

using Response = wire::ListGroupsResponse;

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

/// Group by group, in turns.
class Listing final : public Sliced {
public:
    Listing() { per_turn = 256; }
    Step step(Context& context, log::CommitId&) override {
        const groups::Group* group = context.groups.next_group(last_);
        if (group == nullptr) return Step::end;
        last_ = group->id;  // it may be gone at the next turn
        const bool consumer = group->consumer != nullptr;
        const char* type = consumer ? "consumer" : "classic";
        const char* state = consumer ? group->consumer->state() : groups::state_name(group->state);
        if (!asked_for(request.types_filter, type) || !asked_for(request.states_filter, state))
            return Step::done;
        Response::ListedGroup one;
        one.group_id = group->id;
        one.protocol_type = group->protocol_type;
        one.group_state = state;
        one.group_type = type;
        answer_.add(address.version, one);
        return Step::done;
    }
    void finish(Context& context, bool) override { answer_.send(context, address); }

    session::Buffer frame;  // what the request views
    wire::ListGroupsRequest request;

private:
    std::optional<std::string> last_;
    LongAnswer<Response, Response::ListedGroup> answer_{&Response::groups};
};

}  // namespace

void list_groups(Context& context, Call call) {
    const auto head = static_cast<std::size_t>(call.body.data() - call.request.frame().data());
    auto listing = std::make_shared<Listing>();
    listing->frame = call.request.keep();
    call.body = listing->frame.bytes().subspan(head);
    const auto request = read<wire::ListGroupsRequest>(context, call);
    if (!request) return;
    listing->request = *request;
    listing->address = address_of(call);
    run_slices(context, std::move(listing));
}

}  // namespace leat::api
