// IncrementalAlterConfigs (key 44, KIP-339): set, delete, append, subtract; all of a resource's
// changes or none.
#include "sdk/wire/api/44_incremental_alter_configs.hpp"

#include <set>

#include "broker/api/config_changes.hpp"
#include "broker/api/handlers.hpp"

namespace leat::api {
namespace {

using Request = wire::IncrementalAlterConfigsRequest;
using Response = wire::IncrementalAlterConfigsResponse;

constexpr std::int8_t operation_set = 0, operation_delete = 1, operation_append = 2,
                      operation_subtract = 3;

std::string apply(topics::TopicConfig& config, const Request::AlterableConfig& change) {
    using ListChange = topics::TopicConfig::ListChange;
    const std::string_view name = change.name.view();
    switch (change.config_operation) {
        case operation_set:
            return config.set(name, change.value.view());
        case operation_delete:  // of what is no setting nothing is set
            return topics::find_setting(name) == nullptr ? std::string()
                                                         : config.set(name, std::nullopt);
        case operation_append:
            return config.change_list(name, change.value.view(), ListChange::append);
        case operation_subtract:
            return config.change_list(name, change.value.view(), ListChange::subtract);
    }
    return "operation " + std::to_string(change.config_operation) + " is not known";
}

// Of groups and brokers, which have no lists.
std::string no_list(const Request::AlterableConfig& change) {
    return std::string("Can't ") +
           (change.config_operation == operation_append ? "append" : "subtract") + " to key " +
           std::string(change.name.view()) + " because its type is not LIST.";
}

std::optional<std::string_view> value_of(const Request::AlterableConfig& change) {
    if (change.config_operation == operation_delete) return std::nullopt;
    return change.value.view();
}

std::string apply(groups::GroupSettings::Values& values, const Request::AlterableConfig& change) {
    if (change.config_operation > operation_delete) return no_list(change);
    return groups::GroupSettings::set(values, change.name.view(), value_of(change));
}

std::string apply(KeptSettings& settings, const Request::AlterableConfig& change) {
    if (change.config_operation > operation_delete) return no_list(change);
    return settings.set(change.name.view(), value_of(change));
}

// What is wrong with the request for this resource, whatever its settings are.
const char* malformed(const Request::AlterConfigsResource& resource) {
    std::set<std::string_view> names;
    for (const auto& change : resource.configs) {
        if (!names.insert(change.name.view()).second) return "Error due to duplicate config keys";
        if (change.config_operation < operation_set || change.config_operation > operation_subtract)
            return "Unknown operation";
        if (change.config_operation != operation_delete && change.value.is_null())
            return "Null value not supported";
    }
    return nullptr;
}

}  // namespace

void incremental_alter_configs(Context& context, Call call) {
    alter_resources<Request, Response>(
        context, call, malformed,
        [](const auto& resource, auto& settings) -> std::string {
            for (const auto& change : resource.configs)
                if (std::string problem = apply(settings, change); !problem.empty()) return problem;
            return {};
        });
}

}  // namespace leat::api
