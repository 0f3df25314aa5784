// AlterConfigs (key 33): the settings given are all that a topic has afterwards. Old tools only.
#include "sdk/wire/api/33_alter_configs.hpp"

#include "broker/api/config_changes.hpp"
#include "broker/api/handlers.hpp"

namespace leat::api {

void alter_configs(Context& context, Call call) {
    using Request = wire::AlterConfigsRequest;
    const auto request = wire::decode_front<Request>(call.body, call.version);
    if (!request) return call.reply.close(session::CloseReason::malformed_request);
    alter_resources<Request, wire::AlterConfigsResponse>(
        context, call, *request, [](const auto&) -> const char* { return nullptr; },
        [&](const auto& resource, topics::TopicConfig& config) -> std::string {
            config = context.topics.registry.new_config();
            for (const auto& entry : resource.configs) {
                if (entry.value.is_null())
                    return "Null value not supported for topic configs: " +
                           std::string(entry.name.view());
                if (std::string problem = config.set(entry.name.view(), entry.value.view());
                    !problem.empty())
                    return problem;
            }
            return {};
        });
}

}  // namespace leat::api
