// DescribeLogDirs (key 35): one directory with all partitions, and the bytes of their batches.
#include "sdk/wire/api/35_describe_log_dirs.hpp"

#include <algorithm>
#include <map>

#include "broker/api/answer.hpp"
#include "broker/api/handlers.hpp"

namespace leat::api {

void describe_log_dirs(Context& context, Call call) {
    using Result = wire::DescribeLogDirsResponse::DescribeLogDirsResult;
    const auto request = wire::decode_front<wire::DescribeLogDirsRequest>(call.body, call.version);
    if (!request) return call.reply.close(session::CloseReason::malformed_request);
    const topics::Registry& registry = context.topics.registry;
    std::map<const topics::Topic*, std::vector<std::int32_t>> wanted;
    if (request->topics.is_null()) {
        for (const auto& [name, topic] : registry.all())
            for (std::size_t i = 0; i < topic->partitions.size(); ++i)
                wanted[topic.get()].push_back(static_cast<std::int32_t>(i));
    }
    for (const auto& asked : request->topics) {
        const topics::Topic* topic = registry.find(asked.topic.view());
        if (topic == nullptr) continue;  // not in any directory: left out, as Kafka does
        std::vector<std::int32_t>& list = wanted[topic];
        for (const std::int32_t partition : asked.partitions)
            if (partition >= 0 && static_cast<std::size_t>(partition) < topic->partitions.size())
                list.push_back(partition);
        std::sort(list.begin(), list.end());  // the same topic twice is one
        list.erase(std::unique(list.begin(), list.end()), list.end());
    }
    std::vector<Result::DescribeLogDirsTopic> topics;
    std::vector<std::vector<Result::DescribeLogDirsTopic::DescribeLogDirsPartition>> partitions;
    partitions.reserve(wanted.size());
    for (const auto& [topic, list] : wanted) {
        if (list.empty()) continue;
        auto& mine = partitions.emplace_back();
        for (const std::int32_t index : list) {
            auto& one = mine.emplace_back();
            one.partition_index = index;
            const auto* state =
                context.log.stream(topic->partitions[static_cast<std::size_t>(index)]);
            one.partition_size = state == nullptr ? 0 : state->bytes;
        }
        auto& one = topics.emplace_back();
        one.name = topic->name;
        one.partitions = mine;
    }
    const log::LogStatus status = context.log.status();
    Result result;
    result.log_dir = context.settings.log_dir;
    result.topics = topics;
    result.total_bytes = static_cast<std::int64_t>(status.budget_bytes);
    result.usable_bytes = static_cast<std::int64_t>(
        status.budget_bytes - std::min(status.budget_bytes, status.used_bytes));
    wire::DescribeLogDirsResponse response;
    response.results = std::span(&result, 1);
    answer(context, call, response);
}

}  // namespace leat::api
