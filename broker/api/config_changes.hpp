// What AlterConfigs (33) and IncrementalAlterConfigs (44) have in common: resources that may have
// settings, one outcome for each, and an answer when the accepted changes are durable.
#pragma once

#include <functional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "broker/api/context.hpp"
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
    /// Refused before its settings were looked at.
    void refuse(std::int8_t type, std::string_view name, wire::ErrorCode error,
                std::string message);

    /// Calls `then` with the outcomes, once, when they hold for good.
    using Then = std::function<void(const std::vector<ConfigOutcome>&)>;
    void finish(Then then);

private:
    Context& context_;
    bool validate_only_;
    std::vector<ConfigOutcome> outcomes_;
    log::CommitId last_ = 0;
};

}  // namespace leat::api
