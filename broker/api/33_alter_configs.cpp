// AlterConfigs (key 33): the settings given are all that a topic has afterwards. Old tools only.
#include "sdk/wire/api/33_alter_configs.hpp"

#include "broker/api/config_changes.hpp"
#include "broker/api/handlers.hpp"

namespace leat::api {
namespace {

using GroupValues = groups::GroupSettings::Values;

void fresh(Context& context, topics::TopicConfig& config) {
    config = context.topics.registry.new_config();
}
void fresh(Context&, GroupValues& values) { values.clear(); }

std::string set(topics::TopicConfig& config, std::string_view name, std::string_view value) {
    return config.set(name, value);
}
std::string set(GroupValues& values, std::string_view name, std::string_view value) {
    return groups::GroupSettings::set(values, name, value);
}

}  // namespace

void alter_configs(Context& context, Call call) {
    using Request = wire::AlterConfigsRequest;
    const auto request = wire::decode_front<Request>(call.body, call.version);
    if (!request) return call.reply.close(session::CloseReason::malformed_request);
    alter_resources<Request, wire::AlterConfigsResponse>(
        context, call, *request, [](const auto&) -> const char* { return nullptr; },
        [&](const auto& resource, auto& settings) -> std::string {
            fresh(context, settings);
            for (const auto& entry : resource.configs) {
                if (entry.value.is_null())
                    return "Null value not supported for configs: " +
                           std::string(entry.name.view());
                if (std::string problem = set(settings, entry.name.view(), entry.value.view());
                    !problem.empty())
                    return problem;
            }
            return {};
        });
}

}  // namespace leat::api
