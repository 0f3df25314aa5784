// What AlterConfigs (33) and IncrementalAlterConfigs (44) have in common: resources that may have
// settings, one outcome for each, and an answer when the accepted changes are durable.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "broker/api/answer.hpp"
#include "broker/api/config_entries.hpp"
#include "broker/topics/topic_config.hpp"
#include "sdk/wire/error_code.hpp"

namespace leat::api {

struct ConfigOutcome {
    std::int8_t type = 0;
    std::string name;
    wire::ErrorCode error = wire::ErrorCode::none;
    std::string message;
};

class ConfigChanges {
public:
    ConfigChanges(Context& context, bool validate_only)
        : context_(context), validate_only_(validate_only) {}

    /// One resource of the request. `edit` is called for a topic that is there, with its settings
    /// so far, and says why not, or nothing.
    using Edit = std::function<std::string(topics::TopicConfig&)>;
    void change(std::int8_t type, std::string_view name, std::size_t settings, const Edit& edit);
    /// A group of the request, which need not be there.
    using GroupEdit = std::function<std::string(groups::GroupSettings::Values&)>;
    void change_group(std::string_view name, const GroupEdit& edit);
    /// Refused before its settings were looked at.
    void refuse(std::int8_t type, std::string_view name, wire::ErrorCode error,
                std::string message);

    /// Calls `then` with the outcomes, once, when they hold for good.
    using Then = std::function<void(const std::vector<ConfigOutcome>&)>;
    void finish(Then then);

private:
    void note(ConfigOutcome& outcome, const Result<log::CommitId>& commit);

    Context& context_;
    bool validate_only_;
    std::vector<ConfigOutcome> outcomes_;
    log::CommitId last_ = 0;
};

/// A whole request: each resource once, and the answer when the changes are durable.
///
/// malformed: (resource) -> why it is refused whatever its settings are, or null;
/// edit: (resource, TopicConfig&) and (resource, GroupSettings::Values&) -> why not, or nothing.
template <class Request, class Response, class Malformed, class Edit>
void alter_resources(Context& context, Call& call, const Request& request, Malformed malformed,
                     Edit edit) {
    ConfigChanges changes(context, request.validate_only);
    std::map<std::pair<std::int8_t, std::string_view>, int> times;
    for (const auto& resource : request.resources)
        ++times[{resource.resource_type, resource.resource_name.view()}];
    for (const auto& resource : request.resources) {
        const std::string_view name = resource.resource_name.view();
        const int count = std::exchange(times[{resource.resource_type, name}], 0);
        if (count == 0) continue;
        const char* problem =
            count > 1 ? "Each resource must appear at most once." : malformed(resource);
        if (problem != nullptr)
            changes.refuse(resource.resource_type, name, wire::ErrorCode::invalid_request, problem);
        else if (resource.resource_type == static_cast<std::int8_t>(ConfigResource::group))
            changes.change_group(name, [&](groups::GroupSettings::Values& values) {
                return edit(resource, values);
            });
        else
            changes.change(resource.resource_type, name, resource.configs.size(),
                           [&](topics::TopicConfig& config) { return edit(resource, config); });
    }
    // Shared, because a std::function is copyable: in the end the function is the only owner.
    auto address = std::make_shared<Address>(address_of(call));
    changes.finish([&context, address](const std::vector<ConfigOutcome>& outcomes) {
        std::vector<typename Response::AlterConfigsResourceResponse> results;
        for (const ConfigOutcome& outcome : outcomes) {
            auto& one = results.emplace_back();
            one.error_code = outcome.error;
            if (!outcome.message.empty()) one.error_message = outcome.message;
            one.resource_type = outcome.type;
            one.resource_name = outcome.name;
        }
        Response response;
        response.responses = results;
        answer(context, *address, response);
    });
}

}  // namespace leat::api
