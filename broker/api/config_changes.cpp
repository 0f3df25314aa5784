#include "broker/api/config_changes.hpp"

#include <algorithm>

#include "broker/api/answer.hpp"
#include "broker/api/config_entries.hpp"
#include "broker/topics/topic_name.hpp"

namespace leat::api {

using wire::ErrorCode;

log::CommitId ConfigChanges::refuse(std::int8_t type, std::string_view name, ErrorCode error,
                                    std::string message) {
    outcomes_.push_back({type, std::string(name), error, std::move(message)});
    return 0;
}

Result<log::CommitId> ConfigChanges::change(std::int8_t type, std::string_view name,
                                            const Edit& edit) {
    const auto is = [type](ConfigResource resource) {
        return type == static_cast<std::int8_t>(resource);
    };
    if (!is(ConfigResource::topic))
        return refuse(type, name, ErrorCode::invalid_request,
                      "Unsupported resource type: only topics (2) and groups (32) have settings "
                      "to change here");
    if (topics::topic_name_problem(name) != nullptr)
        return refuse(type, name, ErrorCode::invalid_topic_exception, "Topic name is invalid");
    topics::Registry& registry = context_.topics.registry;
    const topics::Topic* topic = registry.find(name);
    if (topic == nullptr)
        return refuse(type, name, ErrorCode::unknown_topic_or_partition,
                      "The topic '" + std::string(name) + "' does not exist.");
    topics::TopicConfig config = topic->config;
    if (std::string problem = edit(config); !problem.empty())
        return refuse(type, name, ErrorCode::invalid_config, std::move(problem));
    if (std::string problem = config.conflict(); !problem.empty())
        return refuse(type, name, ErrorCode::invalid_config, std::move(problem));
    if (std::string problem = registry.reserve_problem(config, topic->partitions.size(), topic);
        !problem.empty())
        return refuse(type, name, ErrorCode::invalid_config, std::move(problem));
    ConfigOutcome& outcome = outcomes_.emplace_back();
    outcome.type = type;
    outcome.name = name;
    if (validate_only_) return 0;
    // What changes nothing is not written: tools set the same again and again. It may still wait
    // for the write that made it so.
    if (config.overrides() == topic->config.overrides()) return registry.durable_at(*topic);
    return note(registry.alter(context_.now, *topic, std::move(config)));
}

Result<log::CommitId> ConfigChanges::note(const Result<log::CommitId>& commit) {
    if (commit) return commit;
    const bool full_now = commit.error() == Error::busy;
    if (commit.error() == Error::would_block || (full_now && may_wait))
        return outcomes_.pop_back(), commit;
    ConfigOutcome& outcome = outcomes_.back();
    outcome.error = full_now                             ? ErrorCode::request_timed_out
                    : commit.error() == Error::too_large ? ErrorCode::invalid_config
                                                         : ErrorCode::kafka_storage_error;
    outcome.message = log_says(commit.error());
    return 0;
}

Result<log::CommitId> ConfigChanges::change_broker(std::string_view name,
                                                   const KeptSettings& settings,
                                                   std::string problem) {
    constexpr auto type = static_cast<std::int8_t>(ConfigResource::broker);
    const std::string node = std::to_string(context_.settings.node_id);
    if (!name.empty() && name != node)
        problem = "Unexpected broker id, expected " + node + " or empty";
    const auto error = problem.empty() ? ErrorCode::none : ErrorCode::invalid_request;
    refuse(type, name, error, std::move(problem));
    if (validate_only_ || error != ErrorCode::none) return 0;
    return note(settings.put(context_.now, context_.log));
}

Result<log::CommitId> ConfigChanges::change_group(std::string_view name, const GroupEdit& edit) {
    constexpr auto type = static_cast<std::int8_t>(ConfigResource::group);
    if (name.empty())
        return refuse(type, name, ErrorCode::invalid_request,
                      "Default group resources are not allowed.");
    groups::GroupSettings& settings = context_.groups.settings();
    if (name.size() > settings.config().group_id_bytes_max)
        return refuse(type, name, ErrorCode::invalid_request, "The group's name is too long.");
    groups::GroupSettings::Values values = settings.of(name);
    std::string problem = edit(values);
    if (problem.empty()) problem = settings.problem(values);
    if (!problem.empty())
        return refuse(type, name, ErrorCode::invalid_config, std::move(problem));
    ConfigOutcome& outcome = outcomes_.emplace_back();
    outcome.type = type;
    outcome.name = name;
    if (validate_only_) return 0;
    return note(settings.put(context_.now, name, values));
}

const std::vector<ConfigOutcome>& ConfigChanges::outcomes(bool durable) {
    for (ConfigOutcome& outcome : outcomes_)
        if (!durable && outcome.error == ErrorCode::none) {
            outcome.error = ErrorCode::kafka_storage_error;
            outcome.message = "the log could not write";
        }
    return outcomes_;
}

}  // namespace leat::api
