// OffsetForLeaderEpoch (key 23, KIP-320): how far a leader epoch reached. A client whose position
// lies behind that has read records which this log no longer has. In turns: topic by topic.
#include "sdk/wire/api/23_offset_for_leader_epoch.hpp"

#include "broker/api/answer.hpp"
#include "broker/api/each_described.hpp"
#include "broker/api/handlers.hpp"

namespace leat::api {
namespace {

using wire::ErrorCode;
using Request = wire::OffsetForLeaderEpochRequest;
using Response = wire::OffsetForLeaderEpochResponse;

class Looking final : public EachDescribed<Request, Request::OffsetForLeaderTopic, Response,
                                           Response::OffsetForLeaderTopicResult> {
public:
    Looking() : EachDescribed(&Request::topics, &Response::topics, 128) {}

private:
    void add(Context& context, const Request::OffsetForLeaderTopic& asked) override;
};

void Looking::add(Context& context, const Request::OffsetForLeaderTopic& asked) {
    const topics::Registry& registry = context.topics.registry;
    const topics::Topic* topic = registry.find(asked.topic.view());
    std::vector<Response::EpochEndOffset> list;
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
    Response::OffsetForLeaderTopicResult mine;
    mine.topic = asked.topic;
    mine.partitions = list;
    answer_.add(address.version, mine);
}

}  // namespace

void offset_for_leader_epoch(Context& context, Call call) {
    describe_each<Looking>(context, std::move(call));
}

}  // namespace leat::api
