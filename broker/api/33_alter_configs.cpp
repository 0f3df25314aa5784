// AlterConfigs (key 33): the settings given are all that a topic has afterwards. Old tools only.
#include "sdk/wire/api/33_alter_configs.hpp"

#include <set>

#include "broker/api/config_changes.hpp"
#include "broker/api/handlers.hpp"

namespace leat::api {
namespace {

using Request = wire::AlterConfigsRequest;
using GroupValues = groups::GroupSettings::Values;

void fresh(Context& context, topics::TopicConfig& config) {
    config = context.topics.registry.new_config();
}
void fresh(Context&, GroupValues& values) { values.clear(); }
void fresh(Context&, KeptSettings& settings) { settings.clear(); }

std::string set(topics::TopicConfig& config, std::string_view name, std::string_view value) {
    return config.set(name, value);
}
std::string set(KeptSettings& settings, std::string_view name, std::string_view value) {
    return settings.set(name, value);
}
std::string set(GroupValues& values, std::string_view name, std::string_view value) {
    return groups::GroupSettings::set(values, name, value);
}

// What is wrong with the request for this resource, whatever its settings are.
const char* malformed(const Request::AlterConfigsResource& resource) {
    std::set<std::string_view> names;
    for (const auto& entry : resource.configs) {
        if (!names.insert(entry.name.view()).second) return "Error due to duplicate config keys";
        if (entry.value.is_null()) return "Null value not supported";
    }
    return nullptr;
}

}  // namespace

void alter_configs(Context& context, Call call) {
    alter_resources<Request, wire::AlterConfigsResponse>(
        context, call, malformed,
        [&context](const auto& resource, auto& settings) -> std::string {
            fresh(context, settings);
            for (const auto& entry : resource.configs) {
                if (std::string problem = set(settings, entry.name.view(), entry.value.view());
                    !problem.empty())
                    return problem;
            }
            return {};
        });
}

}  // namespace leat::api
