// ElectLeaders (key 43): one node leads all partitions, so there is never anything to elect. Who
// asks for all of them is told of those that got another leader: none. In turns: topic by topic.
#include "sdk/wire/api/43_elect_leaders.hpp"

#include "broker/api/each_described.hpp"
#include "broker/api/handlers.hpp"

namespace leat::api {
namespace {

using wire::ErrorCode;
using Request = wire::ElectLeadersRequest;
using Response = wire::ElectLeadersResponse;
using Result = Response::ReplicaElectionResult;

class Electing final : public EachDescribed<Request, Request::TopicPartitions, Response, Result> {
public:
    Electing()
        : EachDescribed(&Request::topic_partitions, &Response::replica_election_results, 128) {}
    void begin() {
        if (request.election_type != 0 && request.election_type != 1)
            answer_.response.error_code = ErrorCode::invalid_request;
        EachDescribed::begin();
    }

private:
    void add(Context& context, const Request::TopicPartitions& asked) override;

    std::vector<Result::PartitionResult> partitions_;
};

void Electing::add(Context& context, const Request::TopicPartitions& asked) {
    const topics::Topic* topic = context.topics.registry.find(asked.name.view());
    const ErrorCode for_all = answer_.response.error_code;
    partitions_.clear();
    for (const std::int32_t partition : asked.partition_indexes) {
        auto& one = partitions_.emplace_back();
        one.partition_id = partition;
        one.error_code = ErrorCode::election_not_needed;
        if (topic == nullptr || !topic->has(partition))
            one.error_code = ErrorCode::unknown_topic_or_partition;
        if (for_all != ErrorCode::none) one.error_code = for_all;
    }
    Result result;
    result.topic = asked.name;
    result.partition_result = partitions_;
    answer_.add(address.version, result);
}

}  // namespace

void elect_leaders(Context& context, Call call) {
    describe_each<Electing>(context, std::move(call));
}

}  // namespace leat::api
