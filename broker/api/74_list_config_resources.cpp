// ListConfigResources (key 74): topics, this broker, and groups that have settings of their own.
// Client metrics (all that v0 knows) have none here, so there are none to list.
#include "sdk/wire/api/74_list_config_resources.hpp"

#include <set>

#include "broker/api/answer.hpp"
#include "broker/api/config_entries.hpp"
#include "broker/api/handlers.hpp"

namespace leat::api {

void list_config_resources(Context& context, Call call) {
    const auto request = read<wire::ListConfigResourcesRequest>(context, call);
    if (!request) return;
    constexpr auto number = [](ConfigResource type) { return static_cast<std::int8_t>(type); };
    const std::set<std::int8_t> known = {
        number(ConfigResource::topic), number(ConfigResource::broker),
        number(ConfigResource::logger), number(ConfigResource::metrics),
        number(ConfigResource::group)};
    std::set<std::int8_t> wanted;
    for (const std::int8_t type : request->resource_types) wanted.insert(type);
    if (call.version == 0)
        wanted = {number(ConfigResource::metrics)};
    else if (wanted.empty())
        wanted = known;  // none named: all
    wire::ListConfigResourcesResponse response;
    std::vector<wire::ListConfigResourcesResponse::ConfigResource> resources;
    const std::string node = std::to_string(context.settings.node_id);
    for (const std::int8_t type : wanted) {
        if (!known.contains(type)) {
            response.error_code = wire::ErrorCode::unsupported_version;
            resources.clear();
            break;
        }
        if (type == number(ConfigResource::topic))
            for (const auto& [name, topic] : context.topics.registry.all())
                resources.push_back({topic->name, type});
        if (type == number(ConfigResource::broker)) resources.push_back({node, type});
        if (type == number(ConfigResource::group))
            for (const auto& [name, values] : context.groups.settings().all())
                resources.push_back({name, type});
    }
    response.config_resources = resources;
    answer(context, call, response);
}

}  // namespace leat::api
