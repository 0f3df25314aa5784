// AlterPartitionReassignments (key 45): every replica is on this node and stays there. A plan that
// says so is carried out at once, as by a Kafka of one node; any other is refused. In turns: topic
// by topic.
#include "sdk/wire/api/45_alter_partition_reassignments.hpp"

#include "broker/api/each_described.hpp"
#include "broker/api/handlers.hpp"

namespace leat::api {
namespace {

using wire::ErrorCode;
using Request = wire::AlterPartitionReassignmentsRequest;
using Response = wire::AlterPartitionReassignmentsResponse;
using Result = Response::ReassignableTopicResponse;

class Moving final : public EachDescribed<Request, Request::ReassignableTopic, Response, Result> {
public:
    Moving() : EachDescribed(&Request::topics, &Response::responses, 128) {}
    void begin() {
        answer_.response.allow_replication_factor_change = request.allow_replication_factor_change;
        EachDescribed::begin();
    }

private:
    void add(Context& context, const Request::ReassignableTopic& asked) override;

    std::vector<Result::PartitionResult> partitions_;
};

void Moving::add(Context& context, const Request::ReassignableTopic& asked) {
    const topics::Topic* topic = context.topics.registry.find(asked.name.view());
    partitions_.clear();
    for (const auto& move : asked.partitions) {
        auto& one = partitions_.emplace_back();
        one.partition_id = move.partition_index;
        if (topic == nullptr || !topic->has(move.partition_index))
            one.error_code = ErrorCode::unknown_topic_or_partition;
        else if (move.replicas.is_null())
            one.error_code = ErrorCode::no_reassignment_in_progress;
        else if (move.replicas.size() != 1 || *move.replicas.begin() != context.settings.node_id)
            one.error_code = ErrorCode::invalid_replica_assignment;
    }
    Result result;
    result.topic = asked.name;
    result.partition_result = partitions_;
    answer_.add(address.version, result);
}

}  // namespace

void alter_partition_reassignments(Context& context, Call call) {
    describe_each<Moving>(context, std::move(call));
}

}  // namespace leat::api
