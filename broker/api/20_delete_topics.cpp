// DeleteTopics (key 20): by name, or by id from v6. In slices, answered when all is
// durable.
#include "sdk/wire/api/20_delete_topics.hpp"

#include <algorithm>
#include <memory>
#include <unordered_map>

#include "broker/api/answer.hpp"
#include "broker/api/handlers.hpp"
#include "broker/api/long_answer.hpp"
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
    bool refuse_malformed();
    /// Where in `outcomes` a name and id came first.
    std::unordered_map<std::string, std::size_t> seen_;
    std::size_t looked_at_ = 0, kept_ = 0, next_ = 0;
    bool paid_ = false;  // for the one at `next_`
};
constexpr std::int16_t quota_strict_since = 5;

// KIP-516: name or id, one of the two. What comes twice is refused, once, and stays. Some at a
// time, before the first is deleted; false: all are looked at.
bool Deletion::refuse_malformed() {
    constexpr int some = 32;
    if (looked_at_ == outcomes.size()) return false;
    for (int i = 0; i < some && looked_at_ < outcomes.size(); ++i) {
        Outcome& one = outcomes[looked_at_++];
        std::string key(one.id.begin(), one.id.end());
        const auto [at, fresh] = seen_.try_emplace(key.append(one.name), kept_);
        const bool both_or_none = one.named == (one.id != topics::TopicId{});
        if (both_or_none) {
            one.error = ErrorCode::invalid_request;
            one.message = one.named ? "You may not specify both topic name and topic id."
                                    : "Neither topic name nor id were specified.";
        }
        if (!fresh && !both_or_none) {
            Outcome& first = outcomes[at->second];
            first.error = ErrorCode::invalid_request;
            first.message = one.named ? "Duplicate topic name." : "Duplicate topic id.";
            continue;
        }
        if (kept_ + 1 < looked_at_) outcomes[kept_] = std::move(one);
        ++kept_;
    }
    if (looked_at_ == outcomes.size()) {
        outcomes.resize(kept_);
        looked_at_ = kept_;
        seen_.clear();
    }
    return true;
}

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
    if (refuse_malformed()) return Step::done;
    if (next_ == outcomes.size()) return Step::end;
    if (!delete_one(context, outcomes[next_], commit)) return Step::blocked;
    ++next_;
    paid_ = false;
    return Step::done;
}

/// What became of them, one after the other.
class Telling final : public Sliced {
public:
    Telling() { per_turn = 256; }
    Step step(Context&, log::CommitId&) override {
        if (next_ == outcomes.size()) return Step::end;
        const Outcome& outcome = outcomes[next_++];
        Response::DeletableTopicResult one;
        one.name = outcome.name;
        if (!outcome.named) one.name = nullptr;
        one.topic_id = {outcome.id};
        one.error_code = outcome.error == ErrorCode::none && !durable
                             ? ErrorCode::kafka_storage_error
                             : outcome.error;
        if (outcome.message != nullptr) one.error_message = outcome.message;
        answer_.add(address.version, one);
        return Step::done;
    }
    void finish(Context& context, bool) override { answer_.send(context, address); }

    std::vector<Outcome> outcomes;
    bool durable = true;

private:
    std::size_t next_ = 0;
    LongAnswer<Response, Response::DeletableTopicResult> answer_{&Response::responses};
};

void Deletion::finish(Context& context, bool durable) {
    auto telling = std::make_shared<Telling>();
    telling->outcomes = std::move(outcomes);
    telling->durable = durable;
    telling->address = std::move(address);
    run_slices(context, std::move(telling));
}

}  // namespace

void delete_topics(Context& context, Call call) {
    const auto request = read<wire::DeleteTopicsRequest>(context, call);
    if (!request) return;
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
