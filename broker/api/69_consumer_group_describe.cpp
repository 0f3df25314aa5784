// ConsumerGroupDescribe (key 69, KIP-848). In turns: group by group.
#include "sdk/wire/api/69_consumer_group_describe.hpp"

#include <deque>
#include <set>

#include "broker/api/each_described.hpp"
#include "broker/api/group_words.hpp"
#include "broker/api/handlers.hpp"
#include "broker/api/told.hpp"

namespace leat::api {
namespace {

using Request = wire::ConsumerGroupDescribeRequest;
using Response = wire::ConsumerGroupDescribeResponse;
constexpr std::int8_t classic_member = 0, consumer_member = 1;

// What the views of the answer look at; in place while it grows.
struct Kept {
    std::deque<std::vector<Response::Member>> members;
    std::deque<std::vector<wire::StringView>> names;
    std::deque<std::vector<Response::TopicPartitions>> topics;
    std::deque<std::vector<std::int32_t>> partitions;
};

Response::Assignment told_share(const groups::Share& share, const topics::Registry& registry,
                                Kept& kept) {
    auto& list = kept.topics.emplace_back();
    for (const auto& [id, partitions] : share) {
        const topics::Topic* topic = registry.find(id);
        if (topic == nullptr) continue;  // deleted, and not yet given up
        auto& numbers = kept.partitions.emplace_back();
        for (const groups::PartitionEpoch& one : partitions) numbers.push_back(one.partition);
        list.push_back({{id}, topic->name, numbers});
    }
    return {list};
}

/// As Kafka: what is to be given up is still its own.
groups::Share owned(const groups::ConsumerMember& member) {
    groups::Share all = member.assigned;
    for (const auto& [id, partitions] : member.revoking)
        all[id].insert(all[id].end(), partitions.begin(), partitions.end());
    return all;
}

void tell(const groups::ConsumerGroup& from, const topics::Registry& registry, Kept& kept,
          Response::DescribedGroup& to) {
    to.group_state = from.state();
    to.group_epoch = from.epoch;
    to.assignment_epoch = from.assignment_epoch;
    to.assignor_name = from.assignor();
    auto& members = kept.members.emplace_back();
    for (const auto& [id, member] : from.members) {
        auto& names = kept.names.emplace_back();
        for (const std::string& name : member->subscription->topics) names.emplace_back(name);
        auto& one = members.emplace_back();
        one.member_id = id;
        if (member->instance) one.instance_id = *member->instance;
        if (member->rack) one.rack_id = *member->rack;
        one.member_epoch = member->epoch;
        one.client_id = member->client_id;
        one.client_host = member->client_host;
        one.subscribed_topic_names = names;
        one.subscribed_topic_regex = member->subscription->pattern;  // empty where there is none
        one.assignment = told_share(owned(*member), registry, kept);
        one.target_assignment = told_share(member->target, registry, kept);
        one.member_type = member->classic ? classic_member : consumer_member;
    }
    to.members = members;
}

class Describing final
    : public EachDescribed<Request, wire::StringView, Response, Response::DescribedGroup> {
public:
    Describing() : EachDescribed(&Request::group_ids, &Response::groups, 64) {}

private:
    void add(Context& context, const wire::StringView& name) override;

    std::set<std::string_view> once_;  // as in DescribeGroups
};

void Describing::add(Context& context, const wire::StringView& name) {
    if (!once_.insert(name.view()).second) return;
    const groups::Group* from = context.groups.find_group(name.view());
    Kept kept;
    std::string text;
    Response::DescribedGroup to;
    to.group_id = name;
    if (name.view().empty()) {
        to.error_code = wire::ErrorCode::invalid_group_id;
    } else if (from == nullptr || from->consumer == nullptr) {
        to.error_code = wire::ErrorCode::group_id_not_found;
        text = "Group " + std::string(name.view()) +
               (from == nullptr ? " not found." : " is not a consumer group.");
        to.error_message = told(text);
    } else {
        tell(*from->consumer, context.topics.registry, kept, to);
        if (request.include_authorized_operations) to.authorized_operations = all_group_operations;
    }
    answer_.add(address.version, to);
}

}  // namespace

void consumer_group_describe(Context& context, Call call) {
    describe_each<Describing>(context, std::move(call));
}

}  // namespace leat::api
