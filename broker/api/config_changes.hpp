// What AlterConfigs (33) and IncrementalAlterConfigs (44) have in common: resources that may have
// settings, one outcome for each, and an answer when the accepted changes are durable.
#pragma once

#include <algorithm>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "broker/api/answer.hpp"
#include "broker/api/config_entries.hpp"
#include "broker/api/kept_settings.hpp"
#include "broker/api/slices.hpp"
#include "broker/api/told.hpp"
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

    /// A topic of the request. `edit` is called for one that is there, with its settings so far:
    /// says why not, or nothing.
    /// returns the commit with which it is durable; 0: there is nothing to wait for
    /// fails: would_block, or busy, if it may wait: nothing was done, it is tried again. What is
    /// refused is no failure.
    using Edit = std::function<std::string(topics::TopicConfig&)>;
    Result<log::CommitId> change(std::int8_t type, std::string_view name, const Edit& edit);
    /// A group of the request, which need not be there.
    using GroupEdit = std::function<std::string(groups::GroupSettings::Values&)>;
    Result<log::CommitId> change_group(std::string_view name, const GroupEdit& edit);
    /// This broker or all of them, to what was edited. problem: why that failed, or nothing
    Result<log::CommitId> change_broker(std::string_view name, const KeptSettings& settings,
                                        std::string problem);
    /// Refused before its settings were looked at.
    log::CommitId refuse(std::int8_t type, std::string_view name, wire::ErrorCode error,
                         std::string message);

    const std::vector<ConfigOutcome>& outcomes(bool durable);

    bool may_wait = false;  ///< where records fill the log

private:
    Result<log::CommitId> note(const Result<log::CommitId>& commit);

    Context& context_;
    bool validate_only_;
    std::vector<ConfigOutcome> outcomes_;
};

/// A whole request, in turns: each resource once, and the answer when the changes are durable.
///
/// malformed: (resource) -> why it is refused whatever its settings are, or null;
/// edit: (resource, TopicConfig&), (resource, GroupSettings::Values&) and (resource, KeptSettings&)
///       -> why not, or nothing.
template <class Request, class Response, class Malformed, class Edit>
class Alteration final : public SlicedRequest<Request> {
public:
    Alteration(Malformed malformed, Edit edit) : malformed_(malformed), edit_(edit) {}
    void begin(Context& context) {
        changes_.emplace(context, this->request.validate_only);
        this->set_timeout(context.now, change_timeout_ms);
        looked_at_ = at_ = this->request.resources.begin();
    }
    Sliced::Step step(Context& context, log::CommitId& commit) override {
        const auto end = this->request.resources.end();
        if (looked_at_ != end) {
            for (int i = 0; i < Times::some && looked_at_ != end; ++i, ++looked_at_)
                times_.see(key(*looked_at_));
            return Sliced::Step::done;
        }
        if (at_ == end) return Sliced::Step::end;
        const std::string mine = key(*at_);
        if (const int times = times_.of(mine); times != 0) {
            changes_->may_wait = this->may_wait(context);
            const auto changed = change(context, *at_, times);
            if (!changed) return Sliced::again(changed.error());
            commit = std::max(commit, *changed);
            times_.told(mine);
        }
        ++at_;
        return Sliced::Step::done;
    }
    void finish(Context& context, bool durable) override {
        std::vector<typename Response::AlterConfigsResourceResponse> results;
        for (const ConfigOutcome& outcome : changes_->outcomes(durable)) {
            auto& one = results.emplace_back();
            one.error_code = outcome.error;
            one.error_message = told(outcome.message);
            one.resource_type = outcome.type;
            one.resource_name = outcome.name;
        }
        Response response;
        response.responses = results;
        answer(context, this->address, response);
    }

private:
    using Resource = typename Request::AlterConfigsResource;
    static std::string key(const Resource& resource) {
        return static_cast<char>(resource.resource_type) +
               std::string(resource.resource_name.view());
    }
    Result<log::CommitId> change(Context& context, const Resource& resource, int times) {
        const std::string_view name = resource.resource_name.view();
        const char* problem =
            times > 1 ? "Each resource must appear at most once." : malformed_(resource);
        if (problem != nullptr)
            return changes_->refuse(resource.resource_type, name, wire::ErrorCode::invalid_request,
                                    problem);
        if (resource.resource_type == static_cast<std::int8_t>(ConfigResource::group))
            return changes_->change_group(name, [&](groups::GroupSettings::Values& values) {
                return edit_(resource, values);
            });
        if (resource.resource_type == static_cast<std::int8_t>(ConfigResource::broker)) {
            KeptSettings settings(context.log, name);
            std::string wrong = edit_(resource, settings);
            return changes_->change_broker(name, settings, std::move(wrong));
        }
        return changes_->change(resource.resource_type, name, [&](topics::TopicConfig& config) {
            return edit_(resource, config);
        });
    }

    Malformed malformed_;
    Edit edit_;
    std::optional<ConfigChanges> changes_;
    Times times_;
    typename wire::Array<Resource>::Iterator looked_at_, at_;
};

template <class Request, class Response, class Malformed, class Edit>
void alter_resources(Context& context, Call& call, Malformed malformed, Edit edit) {
    auto altered =
        std::make_shared<Alteration<Request, Response, Malformed, Edit>>(malformed, edit);
    if (!altered->keep(context, call)) return;
    altered->begin(context);
    run_slices(context, std::move(altered));
}

}  // namespace leat::api
