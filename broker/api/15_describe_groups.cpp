// DescribeGroups (key 15). In turns: group by group.
#include "sdk/wire/api/15_describe_groups.hpp"

#include <set>

#include "broker/api/gathered.hpp"
#include "broker/api/group_words.hpp"
#include "broker/api/handlers.hpp"
#include "broker/api/long_answer.hpp"
#include "broker/api/slices.hpp"

namespace leat::api {
namespace {

using Request = wire::DescribeGroupsRequest;
using Response = wire::DescribeGroupsResponse;

class Describing final : public SlicedRequest<Request> {
public:
    Describing() { per_turn = 64; }
    void begin() { at_ = request.groups.begin(); }
    Step step(Context& context, log::CommitId&) override {
        if (at_ == request.groups.end()) return Step::end;
        // A large group a thousand times is nobody's wish.
        if (once_.insert((*at_).view()).second) add(context, *at_);
        ++at_;
        return gathered_.may_grow(context, address.reply, answer_.bytes()) ? Step::done : Step::end;
    }
    void finish(Context& context, bool) override {
        gathered_.release();
        if (address.reply.alive()) answer_.send(context, address);
    }

private:
    void add(Context& context, const wire::StringView& name);

    wire::Array<wire::StringView>::Iterator at_;
    std::set<std::string_view> once_;
    Gathered gathered_;
    LongAnswer<Response, Response::DescribedGroup> answer_{&Response::groups};
};

void Describing::add(Context& context, const wire::StringView& name) {
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
        to.error_message = text;
    }
    if (request.include_authorized_operations && to.error_code == wire::ErrorCode::none)
        to.authorized_operations = all_group_operations;
    answer_.add(address.version, to);
}

}  // namespace

void describe_groups(Context& context, Call call) {
    auto described = std::make_shared<Describing>();
    if (!described->keep(context, call)) return;
    described->begin();
    run_slices(context, std::move(described));
}

}  // namespace leat::api
