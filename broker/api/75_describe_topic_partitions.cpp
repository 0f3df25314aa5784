// DescribeTopicPartitions (key 75, KIP-966): topics by name, so many partitions a page, and a
// cursor for the rest. Never creates a topic.
#include "sdk/wire/api/75_describe_topic_partitions.hpp"

#include <algorithm>
#include <set>

#include "broker/api/answer.hpp"
#include "broker/api/handlers.hpp"
#include "broker/api/operations.hpp"
#include "broker/topics/topic_name.hpp"

namespace leat::api {

void describe_topic_partitions(Context& context, Call call) {
    using wire::ErrorCode;
    using Response = wire::DescribeTopicPartitionsResponse;
    using Topic = Response::DescribeTopicPartitionsResponseTopic;
    const auto request = read<wire::DescribeTopicPartitionsRequest>(context, call);
    if (!request) return;
    const topics::Registry& registry = context.topics.registry;
    const bool continues = request->cursor_mark >= 0;
    std::set<std::string, std::less<>> names;
    for (const auto& asked : request->topics) names.emplace(asked.name.view());
    if (request->topics.empty())
        for (const auto& [name, topic] : registry.all()) names.insert(name);

    std::size_t left = static_cast<std::size_t>(
        std::clamp(request->response_partition_limit, 1, page_partitions_max));
    std::vector<Topic> topics;
    std::vector<std::vector<Topic::DescribeTopicPartitionsResponsePartition>> partitions;
    partitions.reserve(names.size());
    Response response;
    const bool bad_cursor =
        continues &&
        (request->cursor.partition_index < 0 ||
         (!request->topics.empty() && !names.contains(request->cursor.topic_name.view())));
    if (bad_cursor) {  // v0 has no error for all: each topic says it
        for (const auto& asked : request->topics) {
            Topic& one = topics.emplace_back();
            one.name = asked.name;
            one.error_code = ErrorCode::invalid_request;
        }
        response.topics = topics;
        return answer(context, call, response);
    }
    const std::int32_t node = context.settings.node_id;
    auto at = continues ? names.lower_bound(request->cursor.topic_name.view()) : names.begin();
    for (; at != names.end(); ++at) {
        const topics::Topic* topic = registry.find(*at);
        std::size_t first = 0;
        if (continues && *at == request->cursor.topic_name.view())
            first = static_cast<std::size_t>(request->cursor.partition_index);
        // Whether it exists is not looked at: as Kafka, the next page tells.
        if (left == 0) {
            response.next_cursor_mark = 1;
            response.next_cursor = {*at, 0};
            break;
        }
        Topic& one = topics.emplace_back();
        one.name = *at;
        one.topic_authorized_operations = all_topic_operations;
        one.is_internal = topics::is_internal_topic(*at);
        if (topic == nullptr) {
            one.error_code = topics::topic_name_problem(*at) != nullptr
                                 ? ErrorCode::invalid_topic_exception
                                 : ErrorCode::unknown_topic_or_partition;
            continue;
        }
        one.topic_id = {topic->id};
        auto& list = partitions.emplace_back();
        std::size_t index = first;
        for (; index < topic->partitions.size() && left > 0; ++index, --left) {
            auto& to = list.emplace_back();
            to.partition_index = static_cast<std::int32_t>(index);
            to.leader_id = node;
            to.leader_epoch = registry.epochs.current();
            to.replica_nodes = std::span(&context.settings.node_id, 1);
            to.isr_nodes = std::span(&context.settings.node_id, 1);
        }
        one.partitions = list;
        if (index < topic->partitions.size()) {
            response.next_cursor_mark = 1;
            response.next_cursor = {*at, static_cast<std::int32_t>(index)};
            break;
        }
    }
    response.topics = topics;
    answer(context, call, response);
}

}  // namespace leat::api
