// Produce (key 0). Batches are appended partition by partition in the order of the request.
#include "sdk/wire/api/00_produce.hpp"

#include <algorithm>
#include <utility>

#include "broker/api/answer.hpp"
#include "broker/api/asked_topic.hpp"
#include "broker/api/handlers.hpp"
#include "broker/api/judging.hpp"
#include "broker/api/parked_produces.hpp"
#include "broker/api/told.hpp"

namespace leat::api {
namespace {

using wire::ErrorCode;
using Response = wire::ProduceResponse;

topics::Append refused(ErrorCode error, const char* message) {
    topics::Append append;
    append.error = error;
    append.message = message;
    return append;
}

topics::Append append_one(Context& context, Produced& produced, const topics::Topic* topic,
                          const wire::ProduceRequest::PartitionProduceData& data) {
    if (produced.timed_out) {
        if (topic != nullptr && topic->has(data.index))
            context.topics.not_offered(*topic, data.index, data.records.view());
        return refused(ErrorCode::request_timed_out,
                       "the log had no room within the request's timeout");
    }
    if (produced.acks < -1 || produced.acks > 1)
        return refused(ErrorCode::invalid_required_acks, "acks must be -1, 0 or 1");
    if (topic == nullptr)
        return refused(unknown_topic(produced.address.version >= ids_since),
                       "no such topic or partition");
    if (!topic->has(data.index))
        return refused(ErrorCode::unknown_topic_or_partition, "no such topic or partition");
    if (topic->internal)
        return refused(ErrorCode::invalid_topic_exception,
                       "the topic is internal: only this "
                       "broker writes to it");
    const auto verdict =
        std::find_if(produced.verdicts.begin(), produced.verdicts.end(),
                     [&](const Verdict& one) { return one.position == produced.appended; });
    if (verdict != produced.verdicts.end())
        return context.topics.append_judged(context.now, context.wall, *topic, data.index,
                                            data.records.view(), verdict->validated);
    return context.topics.append(context.now, context.wall, *topic, data.index, data.records.view(),
                                 produced.address.version);
}

/// What the log's fill asks of a producer that may not have old records dropped for its new ones.
void slow_down(Context& context, Produced& produced, const topics::Topic& topic,
               std::int32_t partition, const topics::Append& append) {
    milliseconds throttle{0};
    if (append.error == ErrorCode::not_enough_replicas)
        throttle = context.pressure.on_refusal(context.now);
    else if (append.error == ErrorCode::none && !append.duplicate)
        throttle = context.pressure.on_append(
            context.log.room(topic.partitions[static_cast<std::size_t>(partition)]));
    produced.throttle = std::max(produced.throttle, throttle);
}

/// Whether one of our routes leads back to that gateway is not ours to know.
void tell_of_gateway(Context& context, const Call& call, const wire::ProduceRequest& request) {
    const std::string& prefix = context.settings.gateway_prefix;
    const std::string_view client =
        call.client_id.is_null() ? std::string_view() : call.client_id.view();
    if (prefix.empty() || !client.starts_with(prefix)) return;
    for (const auto& data : request.topic_data)
        if (const topics::Topic* topic = asked_topic(
                context.topics.registry, call.version >= ids_since, data.name, data.topic_id))
            context.fed.push_back({topic->name, std::string(client.substr(prefix.size()))});
}

}  // namespace

bool append_rest(Context& context, Produced& produced, ByteView body) {
    const auto request = wire::decode_front<wire::ProduceRequest>(body, produced.address.version);
    LEAT_CHECK(bool(request));  // decoded once before, and unchanged since
    std::size_t position = 0, topic_index = 0;
    for (const auto& data : request->topic_data) {
        const topics::Topic* topic =
            asked_topic(context.topics.registry, produced.address.version >= ids_since, data.name,
                        data.topic_id);
        if (topic_index == produced.topics.size())
            produced.topics.push_back({std::string(data.name.view()), data.topic_id.bytes, {}});
        ProducedTopic& answer = produced.topics[topic_index++];
        for (const auto& partition : data.partition_data) {
            if (position++ < produced.appended) continue;
            topics::Append append = append_one(context, produced, topic, partition);
            if (append.again) return false;
            produced.blocked = append.may_wait && !produced.refuse_when_full;
            if (produced.blocked) {
                produced.soon = append.soon;
                return false;
            }
            if (append.may_wait) context.topics.refused_after_all();
            if (topic != nullptr && !topic->config.drops_oldest())
                slow_down(context, produced, *topic, partition.index, append);
            answer.partitions.push_back({.index = partition.index, .append = std::move(append)});
            ++produced.appended;
        }
    }
    return true;
}

void answer_produce(Context& context, Produced& produced) {
    std::vector<Response::TopicProduceResponse> topics;
    std::vector<std::vector<Response::PartitionProduceResponse>> partitions(produced.topics.size());
    std::vector<std::vector<Response::BatchIndexAndErrorMessage>> problems;
    std::size_t problem_lists = 0;
    for (const ProducedTopic& topic : produced.topics)
        for (const ProducedPartition& partition : topic.partitions)
            problem_lists += !partition.append.record_problems.empty();
    problems.reserve(problem_lists);
    for (std::size_t i = 0; i < produced.topics.size(); ++i) {
        for (const ProducedPartition& partition : produced.topics[i].partitions) {
            const topics::Append& append = partition.append;
            Response::PartitionProduceResponse one;
            one.index = partition.index;
            one.error_code = append.error;
            one.base_offset = append.error == ErrorCode::none ? append.base_offset : -1;
            one.log_append_time_ms = append.error == ErrorCode::none ? append.log_append_time : -1;
            one.log_start_offset = append.log_start;
            one.error_message = told(append.message);
            if (!append.record_problems.empty()) {
                auto& list = problems.emplace_back();
                for (const topics::RecordProblem& problem : append.record_problems) {
                    Response::BatchIndexAndErrorMessage entry;
                    entry.batch_index = problem.index;
                    entry.batch_index_error_message = told(problem.message);
                    list.push_back(entry);
                }
                one.record_errors = list;
            }
            partitions[i].push_back(one);
        }
        Response::TopicProduceResponse topic;
        topic.name = produced.topics[i].name;
        topic.topic_id = {produced.topics[i].id};
        topic.partition_responses = partitions[i];
        topics.push_back(topic);
    }
    Response response;
    response.responses = topics;
    answer(context, produced.address, response);
}

void finish_produce(Context& context, std::unique_ptr<Produced> produced) {
    produced->address.reply.release_session();
    produced->verdicts = {};
    produced->held.take(nullptr, 0);
    throttle_producer(context, produced->address.reply,
                      std::exchange(produced->throttle, milliseconds(0)));
    bool any_error = false;
    log::CommitId last = 0;
    for (const ProducedTopic& topic : produced->topics)
        for (const ProducedPartition& partition : topic.partitions) {
            any_error |= partition.append.error != ErrorCode::none;
            if (partition.append.error == ErrorCode::none)
                last = std::max(last, partition.append.commit);
        }
    if (produced->acks >= 0) context.acknowledged = std::max(context.acknowledged, last);
    if (produced->acks == 0) {
        // No answer exists for acks=0. Closing is how Kafka tells the producer that something was
        // refused.
        if (any_error)
            produced->address.reply.close(session::CloseReason::produce_without_acks);
        else
            produced->address.reply.none();
        return;
    }
    if (produced->acks == 1 || last <= context.log.flushed_commit())
        return answer_produce(context, *produced);
    context.produces.wait_for_commit(std::move(produced));
}

void produce(Context& context, Call call) {
    const auto request = read<wire::ProduceRequest>(context, call);
    if (!request) return;
    tell_of_gateway(context, call, *request);
    auto produced = std::make_unique<Produced>();
    produced->acks = request->acks;
    const milliseconds timeout(std::max(request->timeout_ms, 0));
    produced->give_up = context.now + timeout;
    produced->patience = context.now + std::max(timeout, wait_min);
    const std::size_t body_at = call.request.frame().size() - call.body.size();
    const bool judged_elsewhere = context.judging.concerns(context, *request, call.version);
    produced->address = address_of(call);
    if (judged_elsewhere || context.produces.waiting_for_room() ||
        !append_rest(context, *produced, call.body)) {
        produced->body = call.request.keep();
        produced->body_at = body_at;
        if (judged_elsewhere) return context.judging.add(context, std::move(produced));
        return context.produces.wait_for_room(context, std::move(produced));
    }
    finish_produce(context, std::move(produced));
}

void append_parked(Context& context, std::unique_ptr<Produced> produced) {
    if (context.produces.waiting_for_room() ||
        !append_rest(context, *produced, produced->body.bytes().subspan(produced->body_at)))
        return context.produces.wait_for_room(context, std::move(produced));
    produced->body = session::Buffer();
    finish_produce(context, std::move(produced));
}

}  // namespace leat::api
