// DeleteRecords (key 21): everything before an offset; -1 is the high watermark. Answered with the
// new start when that is durable.
#include "sdk/wire/api/21_delete_records.hpp"

#include <algorithm>
#include <memory>

#include "broker/api/answer.hpp"
#include "broker/api/commits.hpp"
#include "broker/api/handlers.hpp"
#include "broker/api/later.hpp"

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
struct Answer {
    Address address;
    std::vector<std::pair<std::string, std::vector<Deleted>>> topics;
};

log::CommitId delete_one(Context& context, const topics::Topic* topic, log::Offset offset,
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
    if (!topic->config.deletes()) return refuse(ErrorCode::policy_violation);
    const log::StreamId stream = topic->partitions[static_cast<std::size_t>(one.partition)];
    const log::StreamState* state = context.log.stream(stream);
    if (state == nullptr) return refuse(ErrorCode::unknown_topic_or_partition);
    const log::Offset upto = offset == high_watermark ? state->flushed : offset;
    if (upto < 0 || upto > state->flushed) return refuse(ErrorCode::offset_out_of_range);
    const auto commit = context.log.set_log_start(context.now, stream, upto);
    if (!commit) return refuse(ErrorCode::kafka_storage_error);
    one.low_watermark = context.log.stream(stream)->log_start;
    return *commit;
}

void answer_deleted(Context& context, Answer& given) {
    std::vector<Response::DeleteRecordsTopicResult> topics;
    std::vector<std::vector<Response::DeleteRecordsPartitionResult>> partitions(
        given.topics.size());
    for (std::size_t i = 0; i < given.topics.size(); ++i) {
        for (const Deleted& from : given.topics[i].second) {
            auto& to = partitions[i].emplace_back();
            to.partition_index = from.partition;
            to.low_watermark = from.low_watermark;
            to.error_code = from.error;
        }
        auto& topic = topics.emplace_back();
        topic.name = given.topics[i].first;
        topic.partitions = partitions[i];
    }
    Response response;
    response.topics = topics;
    answer(context, given.address, response);
}

void delete_now(Context& context, Address& address, ByteView body) {
    const auto request = wire::decode_front<Request>(body, address.version);
    LEAT_CHECK(bool(request));                // decoded once before, and unchanged since
    auto given = std::make_shared<Answer>();  // shared: the function below is copyable
    log::CommitId commit = 0;
    for (const auto& topic : request->topics) {
        const topics::Topic* found = context.topics.registry.find(topic.name.view());
        auto& mine = given->topics.emplace_back();
        mine.first = topic.name.view();
        for (const auto& partition : topic.partitions) {
            Deleted& one = mine.second.emplace_back();
            one.partition = partition.partition_index;
            commit = std::max(commit, delete_one(context, found, partition.offset, one));
        }
    }
    given->address = std::move(address);
    if (commit <= context.log.flushed_commit()) return answer_deleted(context, *given);
    context.log.flush_soon(context.now);
    context.commits.when(commit, [&context, given](Instant, WallTime, Commits::End end) {
        if (end == Commits::End::given_up)
            for (auto& [name, partitions] : given->topics)
                for (Deleted& one : partitions)
                    if (one.error == ErrorCode::none)
                        one = {one.partition, ErrorCode::kafka_storage_error, -1};
        answer_deleted(context, *given);
    });
}

}  // namespace

void delete_records(Context& context, Call call) {
    if (!wire::decode_front<Request>(call.body, call.version))
        return call.reply.close(session::CloseReason::malformed_request);
    // What was acknowledged (acks 0 and 1) can be deleted, though it is not durable yet.
    run_after(context, std::move(call), context.acknowledged, delete_now);
}

}  // namespace leat::api
