// DescribeConfigs (key 32): topics (type 2), this broker (type 4) and groups (type 32).
#include "sdk/wire/api/32_describe_configs.hpp"

#include <memory>

#include "broker/api/answer.hpp"
#include "broker/api/config_entries.hpp"
#include "broker/api/each_described.hpp"
#include "broker/api/handlers.hpp"
#include "broker/api/kept_settings.hpp"
#include "broker/api/told.hpp"
#include "broker/topics/topic_name.hpp"

namespace leat::api {
namespace {

using wire::ErrorCode;
using Request = wire::DescribeConfigsRequest;
using Response = wire::DescribeConfigsResponse;
constexpr std::int8_t resource_topic = 2, resource_broker = 4, resource_group = 32;

struct Described {
    ErrorCode error = ErrorCode::none;
    std::string message;
    std::vector<ConfigEntry> entries;
};

Described describe(Context& context, std::int8_t type, std::string_view name) {
    if (type == resource_topic) {
        if (topics::topic_name_problem(name) != nullptr)
            return {ErrorCode::invalid_topic_exception, "Topic name is invalid", {}};
        const topics::Topic* topic = context.topics.registry.find(name);
        if (topic == nullptr) return {ErrorCode::unknown_topic_or_partition, "No such topic", {}};
        return {ErrorCode::none,
                {},
                topic_config_entries(topic->config, context.topics.message_bytes_max(*topic))};
    }
    if (type == resource_broker) {
        if (!name.empty() && name != std::to_string(context.settings.node_id))
            return {ErrorCode::invalid_request,
                    "Unexpected broker id, expected " + std::to_string(context.settings.node_id) +
                        " or empty",
                    {}};
        // Of no broker in particular: what was set for all of them while they ran.
        Described told;
        if (name.empty())
            KeptSettings(context.log, name).tell(told.entries, nullptr);
        else
            told.entries = broker_config_entries(context);
        return told;
    }
    if (type == resource_group) {
        if (name.empty()) return {ErrorCode::invalid_request, "Group name must not be empty", {}};
        return {ErrorCode::none, {}, group_config_entries(context.groups.settings(), name)};
    }
    return {ErrorCode::invalid_request,
            "Unsupported resource type: only topics (2), brokers (4) and groups (32) have settings "
            "here",
            {}};
}

using Resource = Request::DescribeConfigsResource;

class Describing final
    : public EachDescribed<Request, Resource, Response, Response::DescribeConfigsResult> {
public:
    Describing()  // each takes some 45 us
        : EachDescribed(&Request::resources, &Response::results, 8) {}

private:
    void add(Context& context, const Resource& resource) override;
    /// All topics once (10,000 are 22 MB with synonyms), and something else. What is asked for
    /// again and again, seven bytes for some kilobytes, has no bound of its own.
    std::size_t bytes_max(const Context& context) const override {
        return context.pool.counters().size + context.topics.registry.all().size() * 8 * KiB;
    }
};

void Describing::add(Context& context, const Resource& resource) {
    const Described from =
        describe(context, resource.resource_type, resource.resource_name.view());
    std::vector<Response::DescribeConfigsResourceResult> list;
    std::vector<std::vector<Response::DescribeConfigsSynonym>> synonyms;
    synonyms.reserve(from.entries.size());  // viewed by `list`
    for (const ConfigEntry& entry : from.entries) {
        const auto wanted = [&] {
            if (resource.configuration_keys.empty()) return true;  // null or not, as Kafka
            for (const auto& key : resource.configuration_keys)
                if (key.view() == entry.name) return true;
            return false;
        };
        if (!wanted()) continue;
        Response::DescribeConfigsResourceResult one;
        one.name = entry.name;
        one.value = entry.value;
        one.read_only = entry.read_only;
        one.config_source = static_cast<std::int8_t>(entry.source);
        one.config_type = static_cast<std::int8_t>(entry.type);
        one.documentation = nullptr;
        if (request.include_documentation) one.documentation = entry.documentation;
        if (request.include_synonyms) {
            auto& names = synonyms.emplace_back();
            if (entry.synonyms.empty())
                names.push_back({entry.name, entry.value, one.config_source});
            for (const ConfigEntry::Synonym& synonym : entry.synonyms)
                names.push_back(
                    {synonym.name, synonym.value, static_cast<std::int8_t>(synonym.source)});
            one.synonyms = names;
        }
        list.push_back(one);
    }
    Response::DescribeConfigsResult result;
    result.error_code = from.error;
    // As in Kafka empty, not null, where nothing is wrong.
    result.error_message = from.message.empty() ? "" : told(from.message);
    result.resource_type = resource.resource_type;
    result.resource_name = resource.resource_name;
    result.configs = list;
    answer_.add(address.version, result);
}

}  // namespace

void describe_configs(Context& context, Call call) {
    describe_each<Describing>(context, std::move(call));
}

}  // namespace leat::api
