// ConsumerGroupDescribe (key 69, KIP-848).
#include "sdk/wire/api/69_consumer_group_describe.hpp"

#include <deque>
#include <set>

#include "broker/api/group_words.hpp"
#include "broker/api/handlers.hpp"

namespace leat::api {
namespace {

using Response = wire::ConsumerGroupDescribeResponse;
constexpr std::int8_t classic_member = 0, consumer_member = 1;

// What the views of the answer look at; in place while it grows.
struct Kept {
    std::deque<std::vector<Response::Member>> members;
    std::deque<std::vector<wire::StringView>> names;
    std::deque<std::vector<Response::TopicPartitions>> topics;
    std::deque<std::vector<std::int32_t>> partitions;
    std::deque<std::string> texts;
};

Response::Assignment told(const groups::Share& share, const topics::Registry& registry,
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
        one.assignment = told(owned(*member), registry, kept);
        one.target_assignment = told(member->target, registry, kept);
        one.member_type = member->classic ? classic_member : consumer_member;
    }
    to.members = members;
}

}  // namespace

void consumer_group_describe(Context& context, Call call) {
    const auto request =
        wire::decode_front<wire::ConsumerGroupDescribeRequest>(call.body, call.version);
    if (!request) return call.reply.close(session::CloseReason::malformed_request);
    Kept kept;
    std::vector<Response::DescribedGroup> groups;
    std::set<std::string_view> once;  // as in DescribeGroups
    for (const auto& name : request->group_ids) {
        if (!once.insert(name.view()).second) continue;
        const groups::Group* from = context.groups.find_group(name.view());
        auto& to = groups.emplace_back();
        to.group_id = name;
        if (name.view().empty()) {
            to.error_code = wire::ErrorCode::invalid_group_id;
        } else if (from == nullptr || from->consumer == nullptr) {
            to.error_code = wire::ErrorCode::group_id_not_found;
            to.error_message = kept.texts.emplace_back(
                "Group " + std::string(name.view()) +
                (from == nullptr ? " not found." : " is not a consumer group."));
        } else {
            tell(*from->consumer, context.topics.registry, kept, to);
            if (request->include_authorized_operations)
                to.authorized_operations = all_group_operations;
        }
    }
    Response response;
    response.groups = groups;
    answer(context, call, response);
}

}  // namespace leat::api
