// CreateTopics (key 19): checked topic by topic and made in slices, answered when all that were
// created are durable. Where records fill the log it waits for room, up to the request's time.
#include "sdk/wire/api/19_create_topics.hpp"

#include <algorithm>
#include <map>
#include <memory>
#include <unordered_set>

#include "broker/api/answer.hpp"
#include "broker/api/config_entries.hpp"
#include "broker/api/handlers.hpp"
#include "broker/api/long_answer.hpp"
#include "broker/api/slices.hpp"
#include "broker/api/told.hpp"
#include "broker/topics/topic_name.hpp"

namespace leat::api {
namespace {

using wire::ErrorCode;
using Request = wire::CreateTopicsRequest;
using Response = wire::CreateTopicsResponse;
using Array = wire::Array<Request::CreatableTopic>;

struct Outcome {
    std::string name;
    ErrorCode error = ErrorCode::none;
    std::string message;
    topics::TopicId id{};
    std::int32_t partitions = -1;
    /// Null below v5, which does not tell them. Shared by all topics of the request that were asked
    /// for with the same settings: ten thousand times the whole list would be 50 MB.
    std::shared_ptr<const std::vector<ConfigEntry>> configs;
};
constexpr std::int16_t configs_since = 5, quota_strict_since = 6;

void refuse(Outcome& outcome, ErrorCode error, std::string message) {
    outcome.error = error;
    outcome.message = std::move(message);
}

// Partitions from the count, the default, or a manual assignment; 0: refused, and outcome says why.
std::int32_t partitions_wanted(const Context& context, const Request::CreatableTopic& topic,
                               Outcome& outcome) {
    const auto too_many = [&] {
        const std::uint32_t most = context.settings.partitions_per_topic_max;
        refuse(outcome, ErrorCode::invalid_partitions,
               "a topic has at most " + std::to_string(most) + " partitions");
        return 0;
    };
    if (!topic.assignments.empty()) {
        if (topic.assignments.size() > context.settings.partitions_per_topic_max)
            return too_many();
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
        return too_many();
    return partitions;
}

class Creation final : public SlicedRequest<Request> {
public:
    void begin(Instant now) {
        at_ = looked_at_ = request.topics.begin();
        set_timeout(now, request.timeout_ms);
    }
    Step step(Context& context, log::CommitId& commit) override;
    void finish(Context& context, bool durable) override;

private:
    bool look_for_twice();
    Status create_one(Context& context, const Request::CreatableTopic& topic, Outcome& outcome,
                      log::CommitId& commit);
    std::shared_ptr<const std::vector<ConfigEntry>> entries(const topics::TopicConfig& config);

    Array::Iterator at_, looked_at_;
    std::unordered_set<std::string_view> names_;
    std::map<std::string_view, bool> twice_;  // names that come more than once; true: refused
    std::vector<Outcome> outcomes_;
    bool paid_ = false;  // for the one at `at_`
    std::map<std::string, std::string, std::less<>> last_overrides_;
    std::shared_ptr<const std::vector<ConfigEntry>> last_entries_;
};

std::shared_ptr<const std::vector<ConfigEntry>> Creation::entries(
    const topics::TopicConfig& config) {
    if (address.version < configs_since) return nullptr;
    if (last_entries_ == nullptr || config.overrides() != last_overrides_) {
        last_overrides_ = config.overrides();
        last_entries_ = std::make_shared<const std::vector<ConfigEntry>>(
            topic_config_entries(config, config.message_bytes_max()));
    }
    return last_entries_;
}

// fails: would_block, or busy, if it may wait: nothing was done, it is tried again. What is refused
// is no failure.
Status Creation::create_one(Context& context, const Request::CreatableTopic& topic,
                            Outcome& outcome, log::CommitId& commit) {
    topics::Registry& registry = context.topics.registry;
    if (const char* problem = topics::topic_name_problem(outcome.name))
        return refuse(outcome, ErrorCode::invalid_topic_exception,
                      std::string("Topic name is invalid: ") + problem),
               ok();
    if (registry.find(outcome.name) != nullptr)
        return refuse(outcome, ErrorCode::topic_already_exists,
                      "Topic '" + outcome.name + "' already exists."),
               ok();
    if (const topics::Topic* other = registry.find_collision(outcome.name))
        return refuse(outcome, ErrorCode::invalid_topic_exception,
                      "Topic '" + outcome.name + "' collides with existing topic: " + other->name),
               ok();
    const std::int32_t partitions = partitions_wanted(context, topic, outcome);
    if (partitions == 0) return ok();
    topics::TopicConfig config = registry.new_config();
    for (const auto& entry : topic.configs) {
        if (entry.value.is_null())
            return refuse(outcome, ErrorCode::invalid_config,
                          "Null value not supported for topic configs: " +
                              std::string(entry.name.view())),
                   ok();
        if (std::string problem = config.set(entry.name.view(), entry.value.view());
            !problem.empty())
            return refuse(outcome, ErrorCode::invalid_config, std::move(problem)), ok();
    }
    if (std::string problem = config.conflict(); !problem.empty())
        return refuse(outcome, ErrorCode::invalid_config, std::move(problem)), ok();
    if (std::string problem =
            registry.reserve_problem(config, static_cast<std::size_t>(partitions), nullptr);
        !problem.empty())
        return refuse(outcome, ErrorCode::invalid_config, std::move(problem)), ok();
    // As Kafka: what is only tried is paid, too. Once, though it may be tried again for room.
    if (!paid_ && !may_change(context, address, quota_strict_since,
                              static_cast<std::size_t>(partitions)))
        return refuse(outcome, ErrorCode::throttling_quota_exceeded, quota_exceeded_text), ok();
    paid_ = true;
    outcome.partitions = partitions;
    outcome.configs = entries(config);
    if (request.validate_only) return ok();
    const auto created = registry.create(context.now, outcome.name, partitions, std::move(config));
    if (!created) {
        const bool full_now = created.error() == Error::busy;
        if (created.error() == Error::would_block || (full_now && may_wait(context)))
            return fail(created.error());
        outcome.partitions = -1;
        outcome.configs.reset();
        if (created.error() == Error::full)
            return refuse(outcome, ErrorCode::policy_violation,
                          "the log's bound on partitions, or on what it remembers of them, is reached"),
                   ok();
        if (created.error() == Error::too_large)
            return refuse(outcome, ErrorCode::invalid_partitions,
                          "too many partitions or settings for one topic"),
                   ok();
        return refuse(outcome,
                      full_now ? ErrorCode::request_timed_out : ErrorCode::kafka_storage_error,
                      log_says(created.error())),
               ok();
    }
    outcome.id = (*created)->id;
    commit = std::max(commit, (*created)->created);
    return ok();
}

/// false: it is known which come more than once. Some at a time, before the first is made.
bool Creation::look_for_twice() {
    constexpr int some = 32;
    if (looked_at_ == request.topics.end()) return false;
    for (int i = 0; i < some && looked_at_ != request.topics.end(); ++i, ++looked_at_)
        if (const std::string_view name = looked_at_->name.view(); !names_.insert(name).second)
            twice_.emplace(name, false);
    return true;
}

Sliced::Step Creation::step(Context& context, log::CommitId& commit) {
    if (look_for_twice()) return Step::done;
    if (at_ == request.topics.end()) return Step::end;
    const std::string_view name = at_->name.view();
    Outcome outcome;
    outcome.name = name;
    const auto found = twice_.find(name);
    if (found == twice_.end()) {
        const Status done = create_one(context, *at_, outcome, commit);
        if (!done) return again(done.error());
        outcomes_.push_back(std::move(outcome));
    } else if (!std::exchange(found->second, true)) {
        refuse(outcome, ErrorCode::invalid_request, "Duplicate topic name.");
        outcomes_.push_back(std::move(outcome));
    }
    ++at_;
    paid_ = false;
    return Step::done;
}

/// Ten thousand topics, more than there may be, have less. Behind it settings are not told.
constexpr std::size_t configs_bytes_max = 20 * MiB;

/// What became of them, one after the other.
class Telling final : public Sliced {
public:
    Telling() { per_turn = 64; }
    Step step(Context& context, log::CommitId&) override;
    void finish(Context& context, bool) override { answer_.send(context, address); }

    std::vector<Outcome> outcomes;
    bool made = false;  ///< not only validated
    bool durable = true;

private:
    std::size_t next_ = 0;
    const void* told_entries_ = nullptr;  ///< those that configs_ are
    std::vector<Response::CreatableTopicConfigs> configs_;
    LongAnswer<Response, Response::CreatableTopicResult> answer_{&Response::topics};
};

Sliced::Step Telling::step(Context& context, log::CommitId&) {
    if (next_ == outcomes.size()) return Step::end;
    Outcome& outcome = outcomes[next_++];
    if (!durable && made && outcome.error == ErrorCode::none &&
        context.topics.registry.find(outcome.id) == nullptr)
        refuse(outcome, ErrorCode::kafka_storage_error, "the log could not write");
    Response::CreatableTopicResult one;
    one.name = outcome.name;
    one.error_code = outcome.error;
    one.error_message = told(outcome.message);
    if (outcome.error == ErrorCode::none) {
        one.topic_id = {outcome.id};
        one.num_partitions = outcome.partitions;
        one.replication_factor = 1;
        if (answer_.bytes() > configs_bytes_max) {
            one.configs = nullptr;
        } else if (outcome.configs != nullptr) {
            if (told_entries_ != outcome.configs.get()) {
                told_entries_ = outcome.configs.get();
                configs_.clear();
                for (const ConfigEntry& entry : *outcome.configs) {
                    Response::CreatableTopicConfigs& config = configs_.emplace_back();
                    config.name = entry.name;
                    config.value = entry.value;
                    config.config_source = static_cast<std::int8_t>(entry.source);
                }
            }
            one.configs = configs_;
        }
    } else {
        one.configs = nullptr;
    }
    answer_.add(address.version, one);
    return Step::done;
}

void Creation::finish(Context& context, bool durable) {
    auto telling = std::make_shared<Telling>();
    telling->outcomes = std::move(outcomes_);
    telling->made = !request.validate_only;
    telling->durable = durable;
    telling->address = std::move(address);
    run_slices(context, std::move(telling));
}

}  // namespace

void create_topics(Context& context, Call call) {
    auto made = std::make_shared<Creation>();
    if (!made->keep(context, call)) return;
    made->begin(context.now);
    run_slices(context, std::move(made));
}

}  // namespace leat::api
