// AlterPartitionReassignments (key 45): every replica is on this node and stays there. A plan that
// says so is carried out at once, as by a Kafka of one node; any other is refused.
#include "sdk/wire/api/45_alter_partition_reassignments.hpp"

#include "broker/api/answer.hpp"
#include "broker/api/handlers.hpp"

namespace leat::api {

void alter_partition_reassignments(Context& context, Call call) {
    using wire::ErrorCode;
    using Response = wire::AlterPartitionReassignmentsResponse;
    using Result = Response::ReassignableTopicResponse;
    const auto request = read<wire::AlterPartitionReassignmentsRequest>(context, call);
    if (!request) return;
    std::size_t count = 0;
    for (const auto& asked : request->topics) count += asked.partitions.size();
    std::vector<Result::PartitionResult> partitions(count);
    std::vector<Result> topics(request->topics.size());
    Result::PartitionResult* one = partitions.data();
    Result* mine = topics.data();
    for (const auto& asked : request->topics) {
        const topics::Topic* topic = context.topics.registry.find(asked.name.view());
        mine->topic = asked.name;
        mine++->partition_result = std::span(one, asked.partitions.size());
        for (const auto& move : asked.partitions) {
            one->partition_id = move.partition_index;
            if (topic == nullptr || !topic->has(move.partition_index))
                one->error_code = ErrorCode::unknown_topic_or_partition;
            else if (move.replicas.is_null())
                one->error_code = ErrorCode::no_reassignment_in_progress;
            else if (move.replicas.size() != 1 ||
                     *move.replicas.begin() != context.settings.node_id)
                one->error_code = ErrorCode::invalid_replica_assignment;
            ++one;
        }
    }
    Response response;
    response.allow_replication_factor_change = request->allow_replication_factor_change;
    response.responses = topics;
    answer(context, call, response);
}

}  // namespace leat::api
