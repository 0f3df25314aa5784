// DeleteTopics (key 20): by name, or by id from v6. In slices, answered when all is
// durable.
#include "sdk/wire/api/20_delete_topics.hpp"

#include <algorithm>
#include <memory>

#include "broker/api/answer.hpp"
#include "broker/api/handlers.hpp"
#include "broker/api/slices.hpp"

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
class Deletion final : public Sliced {
public:
    Step step(Context& context, log::CommitId& commit) override;
    void finish(Context& context, bool durable) override;

    std::vector<Outcome> outcomes;

private:
    std::size_t next_ = 0;
};

// fails: would_block: nothing was done, it is tried again. What is refused is no failure.
Status delete_one(Context& context, Outcome& outcome, log::CommitId& commit) {
    if (outcome.named && outcome.id != topics::TopicId{}) {  // KIP-516: one of the two
        outcome.error = ErrorCode::invalid_request;
        return ok();
    }
    topics::Registry& registry = context.topics.registry;
    const topics::Topic* topic =
        outcome.named ? registry.find(outcome.name) : registry.find(outcome.id);
    if (topic == nullptr) {
        outcome.error =
            outcome.named ? ErrorCode::unknown_topic_or_partition : ErrorCode::unknown_topic_id;
        return ok();
    }
    const topics::TopicId id = topic->id;
    const std::string name = topic->name;
    const auto removed = registry.remove(context.now, *topic);
    if (!removed && removed.error() == Error::would_block) return fail(Error::would_block);
    outcome.id = id;
    outcome.name = name;
    outcome.named = true;
    if (removed)
        commit = std::max(commit, *removed);
    else
        outcome.error = ErrorCode::kafka_storage_error;
    return ok();
}

Sliced::Step Deletion::step(Context& context, log::CommitId& commit) {
    if (next_ == outcomes.size()) return Step::end;
    if (!delete_one(context, outcomes[next_], commit)) return Step::blocked;
    ++next_;
    return Step::done;
}

void Deletion::finish(Context& context, bool durable) {
    std::vector<Response::DeletableTopicResult> results;
    for (Outcome& outcome : outcomes) {
        if (!durable && outcome.error == ErrorCode::none)
            outcome.error = ErrorCode::kafka_storage_error;
        Response::DeletableTopicResult one;
        one.name = outcome.name;
        if (!outcome.named) one.name = nullptr;
        one.topic_id = {outcome.id};
        one.error_code = outcome.error;
        results.push_back(one);
    }
    Response response;
    response.responses = results;
    answer(context, address, response);
}

}  // namespace

void delete_topics(Context& context, Call call) {
    const auto request = wire::decode_front<wire::DeleteTopicsRequest>(call.body, call.version);
    if (!request) return call.reply.close(session::CloseReason::malformed_request);
    auto gone = std::make_shared<Deletion>();
    for (const auto& name : request->topic_names)
        gone->outcomes.push_back({.name = std::string(name.view())});
    for (const auto& topic : request->topics)
        gone->outcomes.push_back({.name = std::string(topic.name.view()),
                                  .named = !topic.name.is_null(),
                                  .id = topic.topic_id.bytes});
    gone->address = address_of(call);
    run_slices(context, std::move(gone));
}

}  // namespace leat::api
