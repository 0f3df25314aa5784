// OffsetForLeaderEpoch (key 23, KIP-320): how far a leader epoch reached. A client whose position
// lies behind that has read records which this log no longer has.
#include "sdk/wire/api/23_offset_for_leader_epoch.hpp"

#include "broker/api/answer.hpp"
#include "broker/api/handlers.hpp"

namespace leat::api {

void offset_for_leader_epoch(Context& context, Call call) {
    using wire::ErrorCode;
    using Response = wire::OffsetForLeaderEpochResponse;
    const auto request =
        wire::decode_front<wire::OffsetForLeaderEpochRequest>(call.body, call.version);
    if (!request) return call.reply.close(session::CloseReason::malformed_request);
    const topics::Registry& registry = context.topics.registry;
    std::vector<Response::OffsetForLeaderTopicResult> topics;
    std::vector<std::vector<Response::EpochEndOffset>> partitions;
    partitions.reserve(request->topics.size());
    for (const auto& asked : request->topics) {
        const topics::Topic* topic = registry.find(asked.topic.view());
        auto& list = partitions.emplace_back();
        for (const auto& partition : asked.partitions) {
            auto& one = list.emplace_back();
            one.partition = partition.partition;
            if (topic == nullptr || !topic->has(partition.partition)) {
                one.error_code = ErrorCode::unknown_topic_or_partition;
                continue;
            }
            one.error_code = registry.epochs.check(partition.current_leader_epoch);
            if (one.error_code != ErrorCode::none) continue;
            const auto end = registry.epochs.end_of(
                topic->partitions[static_cast<std::size_t>(partition.partition)],
                partition.leader_epoch);
            one.leader_epoch = end.epoch;
            one.end_offset = end.end;
        }
        auto& mine = topics.emplace_back();
        mine.topic = asked.topic;
        mine.partitions = list;
    }
    Response response;
    response.topics = topics;
    answer(context, call, response);
}

}  // namespace leat::api
