// DeleteRecords (key 21): everything before an offset; -1 is the high watermark. In slices,
// answered with the new starts when those are durable.
#include "sdk/wire/api/21_delete_records.hpp"

#include <algorithm>
#include <memory>

#include "broker/api/answer.hpp"
#include "broker/api/handlers.hpp"
#include "broker/api/slices.hpp"

namespace leat::api {
namespace {

using wire::ErrorCode;
using Request = wire::DeleteRecordsRequest;
using Response = wire::DeleteRecordsResponse;
constexpr log::Offset high_watermark = -1;

struct Deleted {
    std::int32_t partition = 0;
    ErrorCode error = ErrorCode::none;
    log::Offset low_watermark = -1;
};
// fails: would_block: nothing was done, it is tried again. What is refused is no failure.
Result<log::CommitId> delete_one(Context& context, const topics::Topic* topic, log::Offset offset,
                                 Deleted& one) {
    const auto refuse = [&one](ErrorCode error) {
        one.error = error;
        return log::CommitId{0};
    };
    if (topic == nullptr || one.partition < 0 ||
        static_cast<std::size_t>(one.partition) >= topic->partitions.size())
        return refuse(ErrorCode::unknown_topic_or_partition);
    if (topic->internal) return refuse(ErrorCode::invalid_topic_exception);
    // A compacted topic's older records are what its newer ones are built on.
    if (topic->config.compacted() && !topic->config.deletes())
        return refuse(ErrorCode::policy_violation);
    const log::StreamId stream = topic->partitions[static_cast<std::size_t>(one.partition)];
    const log::StreamState* state = context.log.stream(stream);
    if (state == nullptr) return refuse(ErrorCode::unknown_topic_or_partition);
    const log::Offset upto = offset == high_watermark ? state->flushed : offset;
    if (upto < 0 || upto > state->flushed) return refuse(ErrorCode::offset_out_of_range);
    const auto commit = context.log.set_log_start(context.now, stream, upto);
    if (!commit && commit.error() == Error::would_block) return commit;
    if (!commit) return refuse(ErrorCode::kafka_storage_error);
    one.low_watermark = context.log.stream(stream)->log_start;
    return *commit;
}

class Deleting final : public SlicedRequest<Request> {
public:
    void begin() { at_ = request.topics.begin(); }
    Step step(Context& context, log::CommitId& commit) override {
        if (at_ == request.topics.end()) return Step::end;
        if (!begun_) {
            topics_.emplace_back();
            partition_ = at_->partitions.begin();
            begun_ = true;
        }
        if (partition_ == at_->partitions.end()) {
            ++at_;
            begun_ = false;
            return Step::done;
        }
        Deleted one;
        one.partition = partition_->partition_index;
        // Looked for each time: it may be gone at the next turn.
        const auto deleted = delete_one(context, context.topics.registry.find(at_->name.view()),
                                        partition_->offset, one);
        if (!deleted) return Step::blocked;
        commit = std::max(commit, *deleted);
        topics_.back().push_back(one);
        ++partition_;
        return Step::done;
    }
    void finish(Context& context, bool durable) override;

private:
    wire::Array<Request::DeleteRecordsTopic>::Iterator at_;
    wire::Array<Request::DeleteRecordsPartition>::Iterator partition_;  // of the topic at `at_`
    bool begun_ = false;                                                // that topic
    std::vector<std::vector<Deleted>> topics_;
};

void Deleting::finish(Context& context, bool durable) {
    std::vector<Response::DeleteRecordsTopicResult> topics(topics_.size());
    std::vector<std::vector<Response::DeleteRecordsPartitionResult>> partitions(topics_.size());
    std::size_t i = 0;
    for (const auto& asked : request.topics) {
        for (Deleted from : topics_[i]) {
            if (!durable && from.error == ErrorCode::none)
                from = {from.partition, ErrorCode::kafka_storage_error, -1};
            auto& to = partitions[i].emplace_back();
            to.partition_index = from.partition;
            to.low_watermark = from.low_watermark;
            to.error_code = from.error;
        }
        topics[i].name = asked.name;
        topics[i].partitions = partitions[i];
        ++i;
    }
    Response response;
    response.topics = topics;
    answer(context, address, response);
}

}  // namespace

void delete_records(Context& context, Call call) {
    auto gone = std::make_shared<Deleting>();
    if (!gone->keep(context, call)) return;
    gone->begin();
    // What was acknowledged (acks 0 and 1) can be deleted, though it is not durable yet.
    run_slices_after(context, context.acknowledged, std::move(gone));
}

}  // namespace leat::api
