// DeleteTopics (key 20): by name, or by id from v6. In slices, answered when all is
// durable.
#include "sdk/wire/api/20_delete_topics.hpp"

#include <algorithm>
#include <map>
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
    ErrorCode error = ErrorCode::none;  ///< set before its turn: it is not looked at
    const char* message = nullptr;      ///< a literal
};
class Deletion final : public Sliced {
public:
    Step step(Context& context, log::CommitId& commit) override;
    void finish(Context& context, bool durable) override;

    std::vector<Outcome> outcomes;

private:
    Status delete_one(Context& context, Outcome& outcome, log::CommitId& commit);

    std::size_t next_ = 0;
    bool paid_ = false;  // for the one at `next_`
};
constexpr std::int16_t quota_strict_since = 5;

// fails: would_block: nothing was done, it is tried again. What is refused is no failure.
Status Deletion::delete_one(Context& context, Outcome& outcome, log::CommitId& commit) {
    if (outcome.error != ErrorCode::none) return ok();
    topics::Registry& registry = context.topics.registry;
    const topics::Topic* topic =
        outcome.named ? registry.find(outcome.name) : registry.find(outcome.id);
    if (topic == nullptr) {
        outcome.error =
            outcome.named ? ErrorCode::unknown_topic_or_partition : ErrorCode::unknown_topic_id;
        outcome.message = outcome.named ? "This server does not host this topic-partition."
                                        : "This server does not host this topic ID.";
        return ok();
    }
    if (!paid_ && !may_change(context, address, quota_strict_since, topic->partitions.size())) {
        outcome.error = ErrorCode::throttling_quota_exceeded;
        outcome.message = quota_exceeded_text;
        return ok();
    }
    paid_ = true;
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
    paid_ = false;
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
        if (outcome.message != nullptr) one.error_message = outcome.message;
        results.push_back(one);
    }
    Response response;
    response.responses = results;
    answer(context, address, response);
}

// KIP-516: name or id, one of the two. What comes twice is refused, once, and stays.
void refuse_malformed(std::vector<Outcome>& outcomes) {
    std::map<std::pair<std::string, topics::TopicId>, std::size_t> seen;
    std::vector<Outcome> once;
    for (Outcome& one : outcomes) {
        const auto [at, fresh] = seen.try_emplace({one.name, one.id}, once.size());
        const bool both_or_none = one.named == (one.id != topics::TopicId{});
        if (both_or_none) {
            one.error = ErrorCode::invalid_request;
            one.message = one.named ? "You may not specify both topic name and topic id."
                                    : "Neither topic name nor id were specified.";
        }
        if (fresh || both_or_none)
            once.push_back(std::move(one));
        else
            once[at->second].error = ErrorCode::invalid_request,
            once[at->second].message =
                one.named ? "Duplicate topic name." : "Duplicate topic id.";
    }
    outcomes.swap(once);
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
    refuse_malformed(gone->outcomes);
    gone->address = address_of(call);
    run_slices(context, std::move(gone));
}

}  // namespace leat::api
