// DescribeProducers (key 61, KIP-664): the idempotent producers that a partition remembers. In
// turns: topic by topic.
#include "sdk/wire/api/61_describe_producers.hpp"

#include <set>

#include "broker/api/answer.hpp"
#include "broker/api/each_described.hpp"
#include "broker/api/handlers.hpp"

namespace leat::api {
namespace {

using wire::ErrorCode;
using Request = wire::DescribeProducersRequest;
using Response = wire::DescribeProducersResponse;
using Partition = Response::TopicResponse::PartitionResponse;

class Describing final
    : public EachDescribed<Request, Request::TopicRequest, Response, Response::TopicResponse> {
public:
    Describing() : EachDescribed(&Request::topics, &Response::topics, 64) {}

private:
    void add(Context& context, const Request::TopicRequest& asked) override;

    /// Who is named twice is told once.
    std::set<std::pair<std::string_view, std::int32_t>> once_;
};

void Describing::add(Context& context, const Request::TopicRequest& asked) {
    const topics::Topic* topic = context.topics.registry.find(asked.name.view());
    std::vector<Partition> list;
    std::vector<std::vector<Partition::ProducerState>> producers;
    producers.reserve(asked.partition_indexes.size());
    for (const std::int32_t index : asked.partition_indexes) {
        if (!once_.emplace(asked.name.view(), index).second) continue;
        Partition& one = list.emplace_back();
        one.partition_index = index;
        if (topic == nullptr || !topic->has(index)) {
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
    Response::TopicResponse mine;
    mine.name = asked.name;
    mine.partitions = list;
    answer_.add(address.version, mine);
}

}  // namespace

void describe_producers(Context& context, Call call) {
    describe_each<Describing>(context, std::move(call));
}

}  // namespace leat::api
