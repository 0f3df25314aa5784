// ElectLeaders (key 43): one node leads all partitions, so there is never anything to elect. Who
// asks for all of them is told of those that got another leader: none.
#include "sdk/wire/api/43_elect_leaders.hpp"

#include "broker/api/answer.hpp"
#include "broker/api/handlers.hpp"

namespace leat::api {

void elect_leaders(Context& context, Call call) {
    using wire::ErrorCode;
    using Result = wire::ElectLeadersResponse::ReplicaElectionResult;
    const auto request = read<wire::ElectLeadersRequest>(context, call);
    if (!request) return;
    wire::ElectLeadersResponse response;
    if (request->election_type != 0 && request->election_type != 1)
        response.error_code = ErrorCode::invalid_request;
    std::size_t count = 0;
    for (const auto& asked : request->topic_partitions) count += asked.partition_indexes.size();
    std::vector<Result::PartitionResult> partitions(count);
    std::vector<Result> topics(request->topic_partitions.size());
    Result::PartitionResult* one = partitions.data();
    Result* mine = topics.data();
    for (const auto& asked : request->topic_partitions) {
        const topics::Topic* topic = context.topics.registry.find(asked.name.view());
        mine->topic = asked.name;
        mine++->partition_result = std::span(one, asked.partition_indexes.size());
        for (const std::int32_t partition : asked.partition_indexes) {
            one->partition_id = partition;
            one++->error_code = response.error_code != ErrorCode::none ? response.error_code
                                : topic == nullptr || !topic->has(partition)
                                    ? ErrorCode::unknown_topic_or_partition
                                    : ErrorCode::election_not_needed;
        }
    }
    response.replica_election_results = topics;
    answer(context, call, response);
}

}  // namespace leat::api
