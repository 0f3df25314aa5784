// DeleteTopics (key 20): by name, or by id from v6. Answered when the deletion is durable.
#include "sdk/wire/api/20_delete_topics.hpp"

#include <algorithm>

#include "broker/api/answer.hpp"
#include "broker/api/commits.hpp"
#include "broker/api/handlers.hpp"

namespace leat::api {
namespace {

using wire::ErrorCode;
using Response = wire::DeleteTopicsResponse;

struct Outcome {
    std::string name;
    bool named = true;
    topics::TopicId id{};
    ErrorCode error = ErrorCode::none;
};
struct Answer {
    Address address;
    std::vector<Outcome> outcomes;
};

log::CommitId delete_one(Context& context, Outcome& outcome) {
    if (outcome.named && outcome.id != topics::TopicId{}) {  // KIP-516: one of the two
        outcome.error = ErrorCode::invalid_request;
        return 0;
    }
    topics::Registry& registry = context.topics.registry;
    const topics::Topic* topic =
        outcome.named ? registry.find(outcome.name) : registry.find(outcome.id);
    if (topic == nullptr) {
        outcome.error =
            outcome.named ? ErrorCode::unknown_topic_or_partition : ErrorCode::unknown_topic_id;
        return 0;
    }
    outcome.id = topic->id;
    outcome.name = topic->name;
    outcome.named = true;
    const auto commit = registry.remove(context.now, *topic);
    if (commit) return *commit;
    outcome.error = ErrorCode::kafka_storage_error;
    return 0;
}

void answer_deleted(Context& context, Answer& given) {
    std::vector<Response::DeletableTopicResult> results;
    for (const Outcome& outcome : given.outcomes) {
        Response::DeletableTopicResult one;
        one.name = outcome.name;
        if (!outcome.named) one.name = nullptr;
        one.topic_id = {outcome.id};
        one.error_code = outcome.error;
        results.push_back(one);
    }
    Response response;
    response.responses = results;
    answer(context, given.address, response);
}

}  // namespace

void delete_topics(Context& context, Call call) {
    const auto request = wire::decode_front<wire::DeleteTopicsRequest>(call.body, call.version);
    if (!request) return call.reply.close(session::CloseReason::malformed_request);
    auto given =
        std::make_shared<Answer>();  // shared: by this call and the copyable function below
    for (const auto& name : request->topic_names)
        given->outcomes.push_back({.name = std::string(name.view())});
    for (const auto& topic : request->topics)
        given->outcomes.push_back({.name = std::string(topic.name.view()),
                                   .named = !topic.name.is_null(),
                                   .id = topic.topic_id.bytes});
    log::CommitId commit = 0;
    for (Outcome& outcome : given->outcomes)
        commit = std::max(commit, delete_one(context, outcome));
    given->address = address_of(call);
    if (commit <= context.log.flushed_commit()) return answer_deleted(context, *given);
    context.log.flush_soon(context.now);
    context.commits.when(commit, [&context, given](Instant, WallTime, Commits::End end) {
        if (end == Commits::End::given_up)
            for (Outcome& outcome : given->outcomes)
                if (outcome.error == ErrorCode::none)
                    outcome.error = ErrorCode::kafka_storage_error;
        answer_deleted(context, *given);
    });
}

}  // namespace leat::api
