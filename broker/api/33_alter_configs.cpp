// AlterConfigs (key 33): the settings given are all that a topic has afterwards. Old tools only.
#include "sdk/wire/api/33_alter_configs.hpp"

#include <map>
#include <memory>

#include "broker/api/answer.hpp"
#include "broker/api/config_changes.hpp"
#include "broker/api/handlers.hpp"

namespace leat::api {

void alter_configs(Context& context, Call call) {
    using wire::ErrorCode;
    const auto request = wire::decode_front<wire::AlterConfigsRequest>(call.body, call.version);
    if (!request) return call.reply.close(session::CloseReason::malformed_request);
    ConfigChanges changes(context, request->validate_only);
    std::map<std::pair<std::int8_t, std::string_view>, int> times;
    for (const auto& resource : request->resources)
        ++times[{resource.resource_type, resource.resource_name.view()}];
    for (const auto& resource : request->resources) {
        const std::string_view name = resource.resource_name.view();
        int& count = times[{resource.resource_type, name}];
        if (count == 0) continue;
        if (std::exchange(count, 0) > 1) {
            changes.refuse(resource.resource_type, name, ErrorCode::invalid_request,
                           "Each resource must appear at most once.");
            continue;
        }
        changes.change(
            resource.resource_type, name, resource.configs.size(),
            [&](topics::TopicConfig& config) -> std::string {
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
    // Shared, because a std::function is copyable: in the end the function is the only owner.
    auto address = std::make_shared<Address>(address_of(call));
    changes.finish([&context, address](const std::vector<ConfigOutcome>& outcomes) {
        std::vector<wire::AlterConfigsResponse::AlterConfigsResourceResponse> results;
        for (const ConfigOutcome& outcome : outcomes) {
            auto& one = results.emplace_back();
            one.error_code = outcome.error;
            if (!outcome.message.empty()) one.error_message = outcome.message;
            one.resource_type = outcome.type;
            one.resource_name = outcome.name;
        }
        wire::AlterConfigsResponse response;
        response.responses = results;
        answer(context, *address, response);
    });
}

}  // namespace leat::api
