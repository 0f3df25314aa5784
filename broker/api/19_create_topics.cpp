// CreateTopics (key 19): checked topic by topic, answered when all that were created are durable.
#include "sdk/wire/api/19_create_topics.hpp"

#include <algorithm>
#include <map>

#include "broker/api/answer.hpp"
#include "broker/api/commits.hpp"
#include "broker/api/config_entries.hpp"
#include "broker/api/handlers.hpp"
#include "broker/topics/topic_name.hpp"

namespace leat::api {
namespace {

using wire::ErrorCode;
using Request = wire::CreateTopicsRequest;
using Response = wire::CreateTopicsResponse;

struct Outcome {
    std::string name;
    ErrorCode error = ErrorCode::none;
    std::string message;
    topics::TopicId id{};
    std::int32_t partitions = -1;
    std::vector<ConfigEntry> configs;
};

struct Answer {
    Address address;
    std::vector<Outcome> outcomes;
};

void refuse(Outcome& outcome, ErrorCode error, std::string message) {
    outcome.error = error;
    outcome.message = std::move(message);
}

// Partitions from the count, the default, or a manual assignment; 0: refused, and outcome says why.
std::int32_t partitions_wanted(const Context& context, const Request::CreatableTopic& topic,
                               Outcome& outcome) {
    if (!topic.assignments.empty()) {
        if (topic.num_partitions != -1 || topic.replication_factor != -1)
            return refuse(outcome, ErrorCode::invalid_request,
                          "with assignments, partitions and replicas must be -1"),
                   0;
        std::vector<bool> seen(topic.assignments.size());
        for (const auto& assignment : topic.assignments) {
            const auto index = static_cast<std::size_t>(assignment.partition_index);
            if (assignment.partition_index < 0 || index >= seen.size() || seen[index])
                return refuse(outcome, ErrorCode::invalid_replica_assignment,
                              "partitions must be numbered from 0 without gaps"),
                       0;
            seen[index] = true;
            const bool here = assignment.broker_ids.size() == 1 &&
                              assignment.broker_ids.front() == context.settings.node_id;
            if (!here)
                return refuse(outcome, ErrorCode::invalid_replica_assignment,
                              "the only broker is " + std::to_string(context.settings.node_id)),
                       0;
        }
        return static_cast<std::int32_t>(topic.assignments.size());
    }
    // -1 asks for the default. KIP-464 ties that to v4, but brokers take it in each version, and
    // KafkaJS sends it in v3.
    if (topic.replication_factor == 0 || topic.replication_factor < -1)
        return refuse(outcome, ErrorCode::invalid_replication_factor,
                      "the replication factor must be above 0"),
               0;
    if (topic.replication_factor > 1 && !context.settings.accept_replication_factor)
        return refuse(outcome, ErrorCode::invalid_replication_factor,
                      "this is a single node: the replication factor must be 1"),
               0;
    std::int32_t partitions = topic.num_partitions;
    if (partitions == -1) partitions = context.settings.num_partitions;
    if (partitions <= 0)
        return refuse(outcome, ErrorCode::invalid_partitions,
                      "the number of partitions must be above 0"),
               0;
    if (static_cast<std::uint32_t>(partitions) > context.settings.partitions_per_topic_max)
        return refuse(outcome, ErrorCode::invalid_partitions,
                      "a topic has at most " +
                          std::to_string(context.settings.partitions_per_topic_max) +
                          " partitions"),
               0;
    return partitions;
}

log::CommitId create_one(Context& context, const Request::CreatableTopic& topic,
                         bool validate_only, Outcome& outcome) {
    topics::Registry& registry = context.topics.registry;
    if (const char* problem = topics::topic_name_problem(outcome.name))
        return refuse(outcome, ErrorCode::invalid_topic_exception,
                      std::string("Topic name is invalid: ") + problem),
               0;
    if (registry.find(outcome.name) != nullptr)
        return refuse(outcome, ErrorCode::topic_already_exists,
                      "Topic '" + outcome.name + "' already exists."),
               0;
    if (const topics::Topic* other = registry.find_collision(outcome.name))
        return refuse(outcome, ErrorCode::invalid_topic_exception,
                      "Topic '" + outcome.name + "' collides with existing topic: " + other->name),
               0;
    const std::int32_t partitions = partitions_wanted(context, topic, outcome);
    if (partitions == 0) return 0;
    topics::TopicConfig config = registry.new_config();
    for (const auto& entry : topic.configs) {
        if (entry.value.is_null())
            return refuse(outcome, ErrorCode::invalid_config,
                          "Null value not supported for topic configs: " +
                              std::string(entry.name.view())),
                   0;
        if (std::string problem = config.set(entry.name.view(), entry.value.view());
            !problem.empty())
            return refuse(outcome, ErrorCode::invalid_config, std::move(problem)), 0;
    }
    outcome.partitions = partitions;
    outcome.configs = topic_config_entries(config, config.message_bytes_max());
    if (validate_only) return 0;
    const auto created = registry.create(context.now, outcome.name, partitions, std::move(config));
    if (!created) {
        outcome.partitions = -1;
        outcome.configs.clear();
        if (created.error() == Error::full)
            return refuse(outcome, ErrorCode::policy_violation,
                          "the log's bound on partitions is reached"),
                   0;
        if (created.error() == Error::too_large)
            return refuse(outcome, ErrorCode::invalid_partitions,
                          "too many partitions or settings for one topic"),
                   0;
        return refuse(outcome, ErrorCode::kafka_storage_error,
                      std::string("the log: ") + error_text(created.error())),
               0;
    }
    outcome.id = (*created)->id;
    return (*created)->created;
}

void answer_created(Context& context, Answer& given) {
    std::vector<Response::CreatableTopicResult> results;
    std::vector<std::vector<Response::CreatableTopicConfigs>> configs(given.outcomes.size());
    for (std::size_t i = 0; i < given.outcomes.size(); ++i) {
        const Outcome& outcome = given.outcomes[i];
        Response::CreatableTopicResult one;
        one.name = outcome.name;
        one.error_code = outcome.error;
        one.error_message = nullptr;
        if (!outcome.message.empty()) one.error_message = outcome.message;
        if (outcome.error == ErrorCode::none) {
            one.topic_id = {outcome.id};
            one.num_partitions = outcome.partitions;
            one.replication_factor = 1;
            for (const ConfigEntry& entry : outcome.configs) {
                Response::CreatableTopicConfigs config;
                config.name = entry.name;
                config.value = entry.value;
                config.config_source = static_cast<std::int8_t>(entry.source);
                configs[i].push_back(config);
            }
            one.configs = configs[i];
        } else {
            one.configs = nullptr;
        }
        results.push_back(one);
    }
    Response response;
    response.topics = results;
    answer(context, given.address, response);
}

}  // namespace

void create_topics(Context& context, Call call) {
    const auto request = wire::decode_front<Request>(call.body, call.version);
    if (!request) return call.reply.close(session::CloseReason::malformed_request);
    auto given =
        std::make_shared<Answer>();  // shared: by this call and the copyable function below
    std::map<std::string_view, int> times;
    for (const auto& topic : request->topics) ++times[topic.name.view()];
    log::CommitId commit = 0;
    std::map<std::string_view, bool> answered;
    for (const auto& topic : request->topics) {
        if (times[topic.name.view()] > 1) {
            if (std::exchange(answered[topic.name.view()], true)) continue;
            Outcome& outcome = given->outcomes.emplace_back();
            outcome.name = topic.name.view();
            refuse(outcome, ErrorCode::invalid_request, "Duplicate topic name.");
            continue;
        }
        Outcome& outcome = given->outcomes.emplace_back();
        outcome.name = topic.name.view();
        commit = std::max(
            commit, create_one(context, topic, request->validate_only, outcome));
    }
    given->address = address_of(call);
    if (commit <= context.log.flushed_commit()) return answer_created(context, *given);
    context.log.flush_soon(context.now);
    context.commits.when(commit, [&context, given](Instant, WallTime, Commits::End end) {
        if (end == Commits::End::given_up)
            for (Outcome& outcome : given->outcomes)
                if (outcome.error == ErrorCode::none &&
                    context.topics.registry.find(outcome.id) == nullptr)
                    refuse(outcome, ErrorCode::kafka_storage_error, "the log could not write");
        answer_created(context, *given);
    });
}

}  // namespace leat::api
