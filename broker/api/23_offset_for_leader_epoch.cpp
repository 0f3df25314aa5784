// OffsetForLeaderEpoch (key 23, KIP-320): how far a leader epoch reached. A client whose position
// lies behind that has read records which this log no longer has. In turns: topic by topic.
#include "sdk/wire/api/23_offset_for_leader_epoch.hpp"

#include "broker/api/answer.hpp"
#include "broker/api/handlers.hpp"
#include "broker/api/long_answer.hpp"
#include "broker/api/slices.hpp"

namespace leat::api {
namespace {

using wire::ErrorCode;
using Request = wire::OffsetForLeaderEpochRequest;
using Response = wire::OffsetForLeaderEpochResponse;

class Looking final : public SlicedRequest<Request> {
public:
    Looking() { per_turn = 128; }
    void begin() { at_ = request.topics.begin(); }
    Step step(Context& context, log::CommitId&) override {
        if (at_ == request.topics.end() || !address.reply.alive()) return Step::end;
        add(context.topics.registry, *at_);
        ++at_;
        return Step::done;
    }
    void finish(Context& context, bool) override {
        if (address.reply.alive()) answer_.send(context, address);
    }

private:
    void add(const topics::Registry& registry, const Request::OffsetForLeaderTopic& asked);

    wire::Array<Request::OffsetForLeaderTopic>::Iterator at_;
    LongAnswer<Response, Response::OffsetForLeaderTopicResult> answer_{&Response::topics};
};

void Looking::add(const topics::Registry& registry, const Request::OffsetForLeaderTopic& asked) {
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
    auto looking = std::make_shared<Looking>();
    if (!looking->keep(context, call)) return;
    looking->begin();
    run_slices(context, std::move(looking));
}

}  // namespace leat::api
