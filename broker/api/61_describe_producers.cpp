// DescribeProducers (key 61, KIP-664): the idempotent producers that a partition remembers.
#include "sdk/wire/api/61_describe_producers.hpp"

#include <set>

#include "broker/api/answer.hpp"
#include "broker/api/handlers.hpp"

namespace leat::api {

void describe_producers(Context& context, Call call) {
    using wire::ErrorCode;
    using Partition = wire::DescribeProducersResponse::TopicResponse::PartitionResponse;
    const auto request =
        wire::decode_front<wire::DescribeProducersRequest>(call.body, call.version);
    if (!request) return call.reply.close(session::CloseReason::malformed_request);
    std::vector<wire::DescribeProducersResponse::TopicResponse> topics;
    std::vector<std::vector<Partition>> partitions;
    std::vector<std::vector<Partition::ProducerState>> producers;
    std::size_t count = 0;
    for (const auto& asked : request->topics) count += asked.partition_indexes.size();
    partitions.reserve(request->topics.size());
    producers.reserve(count);
    std::set<std::pair<std::string_view, std::int32_t>> once;  // who is named twice is told once
    for (const auto& asked : request->topics) {
        const topics::Topic* topic = context.topics.registry.find(asked.name.view());
        auto& list = partitions.emplace_back();
        for (const std::int32_t index : asked.partition_indexes) {
            if (!once.emplace(asked.name.view(), index).second) continue;
            Partition& one = list.emplace_back();
            one.partition_index = index;
            if (topic == nullptr || index < 0 ||
                static_cast<std::size_t>(index) >= topic->partitions.size()) {
                one.error_code = ErrorCode::unknown_topic_or_partition;
                continue;
            }
            auto& states = producers.emplace_back();
            context.log.for_each_producer(
                topic->partitions[static_cast<std::size_t>(index)],
                [&states](std::int64_t producer_id, const log::ProducerState& state) {
                    if (state.count == 0) return;
                    const log::ProducerBatch& last = state.last[state.count - 1];
                    auto& to = states.emplace_back();
                    to.producer_id = producer_id;
                    to.producer_epoch = state.epoch;
                    to.last_sequence = last.last_sequence;
                    to.last_timestamp = last.timestamp;
                    to.coordinator_epoch = -1;
                });
            one.active_producers = states;
        }
        auto& mine = topics.emplace_back();
        mine.name = asked.name;
        mine.partitions = list;
    }
    wire::DescribeProducersResponse response;
    response.topics = topics;
    answer(context, call, response);
}

}  // namespace leat::api
