// DescribeQuorum (key 55): what kafka-metadata-quorum and user interfaces ask. The metadata of a
// single node are the facts of its log: this node is leader and only voter, its epoch is the log's.
#include "sdk/wire/api/55_describe_quorum.hpp"

#include "broker/api/answer.hpp"
#include "broker/api/handlers.hpp"

namespace leat::api {

void describe_quorum(Context& context, Call call) {
    using wire::ErrorCode;
    using Response = wire::DescribeQuorumResponse;
    const auto request = read<wire::DescribeQuorumRequest>(context, call);
    if (!request) return;
    const auto end = static_cast<std::int64_t>(context.log.flushed_commit());
    Response::ReplicaState voter;
    voter.replica_id = context.settings.node_id;
    voter.log_end_offset = end;
    voter.last_caught_up_timestamp = context.wall.time_since_epoch().count();
    std::vector<Response::TopicData> topics;
    std::vector<std::vector<Response::TopicData::PartitionData>> partitions;
    partitions.reserve(request->topics.size());
    for (const auto& asked : request->topics) {
        auto& list = partitions.emplace_back();
        for (const auto& partition : asked.partitions) {
            auto& one = list.emplace_back();
            one.partition_index = partition.partition_index;
            if (asked.topic_name.view() != "__cluster_metadata" || partition.partition_index != 0) {
                one.error_code = ErrorCode::unknown_topic_or_partition;
                continue;
            }
            one.leader_id = context.settings.node_id;
            one.leader_epoch = context.log.status().leader_epoch;
            one.high_watermark = end;
            one.current_voters = std::span(&voter, 1);
        }
        auto& topic = topics.emplace_back();
        topic.topic_name = asked.topic_name;
        topic.partitions = list;
    }
    Response::Node::Listener listener;
    listener.name = "PLAINTEXT";
    listener.host = context.settings.host;
    listener.port = static_cast<std::uint16_t>(context.settings.port);
    Response::Node node;
    node.node_id = context.settings.node_id;
    node.listeners = std::span(&listener, 1);
    Response response;
    response.error_message = "";  // as in Kafka, not null
    response.topics = topics;
    response.nodes = std::span(&node, 1);
    answer(context, call, response);
}

}  // namespace leat::api
