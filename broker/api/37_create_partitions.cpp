// CreatePartitions (key 37): raises the number of a topic's partitions, checked topic by topic, in
// slices, answered when durable. Where records fill the log it waits for room, as CreateTopics.
#include "sdk/wire/api/37_create_partitions.hpp"

#include <algorithm>
#include <memory>

#include "broker/api/answer.hpp"
#include "broker/api/handlers.hpp"
#include "broker/api/slices.hpp"
#include "broker/api/told.hpp"

namespace leat::api {
namespace {

using wire::ErrorCode;
using Request = wire::CreatePartitionsRequest;

struct Outcome {
    std::string name;
    ErrorCode error = ErrorCode::none;
    std::string message;
};

void refuse(Outcome& outcome, ErrorCode error, std::string message) {
    outcome.error = error;
    outcome.message = std::move(message);
}

constexpr std::int16_t quota_strict_since = 3;

class Raising final : public SlicedRequest<Request> {
public:
    void begin(Instant now) {
        looked_at_ = at_ = request.topics.begin();
        set_timeout(now, request.timeout_ms);
    }
    Step step(Context& context, log::CommitId& commit) override;
    void finish(Context& context, bool durable) override;

private:
    Result<log::CommitId> raise_one(Context& context, const Request::CreatePartitionsTopic& asked,
                                    Outcome& outcome);

    wire::Array<Request::CreatePartitionsTopic>::Iterator looked_at_, at_;
    Times times_;
    std::vector<Outcome> outcomes_;
    bool paid_ = false;  // for the one at `at_`
};

// fails: would_block, or busy, if it may wait: nothing was done, it is tried again. What is refused
// is no failure.
Result<log::CommitId> Raising::raise_one(Context& context,
                                         const Request::CreatePartitionsTopic& asked,
                                         Outcome& outcome) {
    if (times_.of(outcome.name) > 1)
        return refuse(outcome, ErrorCode::invalid_request, "Duplicate topic name."), 0;
    const topics::Topic* topic = context.topics.registry.find(outcome.name);
    if (topic == nullptr)
        return refuse(outcome, ErrorCode::unknown_topic_or_partition,
                      "The topic '" + outcome.name + "' does not exist."),
               0;
    const auto now = static_cast<std::int32_t>(topic->partitions.size());
    if (asked.count == now)
        return refuse(outcome, ErrorCode::invalid_partitions,
                      "Topic already has " + std::to_string(now) + " partition(s)."),
               0;
    if (asked.count < now)
        return refuse(outcome, ErrorCode::invalid_partitions,
                      "The topic " + outcome.name + " currently has " + std::to_string(now) +
                          " partition(s); " + std::to_string(asked.count) +
                          " would not be an increase."),
               0;
    if (static_cast<std::uint32_t>(asked.count) > context.settings.partitions_per_topic_max)
        return refuse(outcome, ErrorCode::invalid_partitions,
                      "a topic has at most " +
                          std::to_string(context.settings.partitions_per_topic_max) +
                          " partitions"),
               0;
    const std::int32_t more = asked.count - now;
    if (!asked.assignments.is_null()) {
        if (asked.assignments.size() != static_cast<std::size_t>(more))
            return refuse(outcome, ErrorCode::invalid_replica_assignment,
                          "Attempted to add " + std::to_string(more) +
                              " additional partition(s), but only " +
                              std::to_string(asked.assignments.size()) +
                              " assignment(s) were specified."),
                   0;
        for (const auto& assignment : asked.assignments)
            if (assignment.broker_ids.size() != 1 ||
                assignment.broker_ids.front() != context.settings.node_id)
                return refuse(outcome, ErrorCode::invalid_replica_assignment,
                              "the only broker is " + std::to_string(context.settings.node_id)),
                       0;
    }
    if (std::string problem = context.topics.registry.reserve_problem(
            topic->config, static_cast<std::size_t>(asked.count), topic);
        !problem.empty())
        return refuse(outcome, ErrorCode::invalid_config, std::move(problem)), 0;
    if (!paid_ && !may_change(context, address, quota_strict_since, static_cast<std::size_t>(more)))
        return refuse(outcome, ErrorCode::throttling_quota_exceeded, quota_exceeded_text), 0;
    paid_ = true;
    if (request.validate_only) return 0;
    const auto commit = context.topics.registry.add_partitions(context.now, *topic, more);
    const bool full_now = !commit && commit.error() == Error::busy;
    if (commit || commit.error() == Error::would_block || (full_now && may_wait(context)))
        return commit;
    if (commit.error() == Error::full)
        refuse(outcome, ErrorCode::policy_violation,
               "the log's bound on partitions, or on what it remembers of them, is reached");
    else if (commit.error() == Error::too_large)
        refuse(outcome, ErrorCode::invalid_partitions, "too many partitions for one topic");
    else
        refuse(outcome, full_now ? ErrorCode::request_timed_out : ErrorCode::kafka_storage_error,
               log_says(commit.error()));
    return 0;
}

Sliced::Step Raising::step(Context& context, log::CommitId& commit) {
    const auto end = request.topics.end();
    if (looked_at_ != end) {
        for (int i = 0; i < Times::some && looked_at_ != end; ++i, ++looked_at_)
            times_.see(std::string(looked_at_->name.view()));
        return Step::done;
    }
    if (at_ == end) return Step::end;
    Outcome outcome;
    outcome.name = at_->name.view();
    if (times_.of(outcome.name) != 0) {
        const auto raised = raise_one(context, *at_, outcome);
        if (!raised) return again(raised.error());
        commit = std::max(commit, *raised);
        times_.told(outcome.name);
        outcomes_.push_back(std::move(outcome));
    }
    ++at_;
    paid_ = false;
    return Step::done;
}

void Raising::finish(Context& context, bool durable) {
    std::vector<wire::CreatePartitionsResponse::CreatePartitionsTopicResult> results;
    for (Outcome& outcome : outcomes_) {
        if (!durable && outcome.error == ErrorCode::none)
            refuse(outcome, ErrorCode::kafka_storage_error, "the log could not write");
        auto& one = results.emplace_back();
        one.name = outcome.name;
        one.error_code = outcome.error;
        one.error_message = told(outcome.message);
    }
    wire::CreatePartitionsResponse response;
    response.results = results;
    answer(context, address, response);
}

}  // namespace

void create_partitions(Context& context, Call call) {
    auto raised = std::make_shared<Raising>();
    if (!raised->keep(context, call)) return;
    raised->begin(context.now);
    run_slices(context, std::move(raised));
}

}  // namespace leat::api
