// CreatePartitions (key 37): raises the number of a topic's partitions, checked topic by topic,
// answered when durable.
#include "sdk/wire/api/37_create_partitions.hpp"

#include <algorithm>
#include <map>
#include <memory>

#include "broker/api/answer.hpp"
#include "broker/api/commits.hpp"
#include "broker/api/handlers.hpp"

namespace leat::api {
namespace {

using wire::ErrorCode;
using Request = wire::CreatePartitionsRequest;

struct Outcome {
    std::string name;
    ErrorCode error = ErrorCode::none;
    std::string message;
};
struct Answer {
    Address address;
    std::vector<Outcome> outcomes;
};

void refuse(Outcome& outcome, ErrorCode error, std::string message) {
    outcome.error = error;
    outcome.message = std::move(message);
}

constexpr std::int16_t quota_strict_since = 3;

log::CommitId raise_one(Context& context, Address& address,
                        const Request::CreatePartitionsTopic& asked, bool validate_only,
                        Outcome& outcome) {
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
    if (!may_change(context, address, quota_strict_since, static_cast<std::size_t>(more)))
        return refuse(outcome, ErrorCode::throttling_quota_exceeded, quota_exceeded_text), 0;
    if (validate_only) return 0;
    const auto commit = context.topics.registry.add_partitions(context.now, *topic, more);
    if (commit) return *commit;
    if (commit.error() == Error::full)
        refuse(outcome, ErrorCode::policy_violation,
               "the log's bound on partitions, or on what it remembers of them, is reached");
    else if (commit.error() == Error::too_large)
        refuse(outcome, ErrorCode::invalid_partitions, "too many partitions for one topic");
    else
        refuse(outcome, ErrorCode::kafka_storage_error, log_says(commit.error()));
    return 0;
}

void answer_raised(Context& context, Answer& given) {
    std::vector<wire::CreatePartitionsResponse::CreatePartitionsTopicResult> results;
    for (const Outcome& outcome : given.outcomes) {
        auto& one = results.emplace_back();
        one.name = outcome.name;
        one.error_code = outcome.error;
        if (!outcome.message.empty()) one.error_message = outcome.message;
    }
    wire::CreatePartitionsResponse response;
    response.results = results;
    answer(context, given.address, response);
}

}  // namespace

void create_partitions(Context& context, Call call) {
    const auto request = wire::decode_front<Request>(call.body, call.version);
    if (!request) return call.reply.close(session::CloseReason::malformed_request);
    auto given = std::make_shared<Answer>();  // shared: the function below is copyable
    given->address = address_of(call);
    std::map<std::string_view, int> times;
    for (const auto& topic : request->topics) ++times[topic.name.view()];
    log::CommitId commit = 0;
    for (const auto& topic : request->topics) {
        int& count = times[topic.name.view()];
        if (count == 0) continue;
        Outcome& outcome = given->outcomes.emplace_back();
        outcome.name = topic.name.view();
        if (std::exchange(count, 0) > 1)
            refuse(outcome, ErrorCode::invalid_request, "Duplicate topic name.");
        else
            commit = std::max(commit, raise_one(context, given->address, topic,
                                                request->validate_only, outcome));
    }
    if (commit <= context.log.flushed_commit()) return answer_raised(context, *given);
    context.log.flush_soon(context.now);
    context.commits.when(commit, [&context, given](Instant, WallTime, Commits::End end) {
        if (end == Commits::End::given_up)
            for (Outcome& outcome : given->outcomes)
                if (outcome.error == ErrorCode::none)
                    refuse(outcome, ErrorCode::kafka_storage_error, "the log could not write");
        answer_raised(context, *given);
    });
}

}  // namespace leat::api
