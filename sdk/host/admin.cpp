// The admin front door: starts an operation of cluster::Admin and waits for its answer.
#include "leat/admin.hpp"

#include "sdk/cluster/admin.hpp"
#include "sdk/host/client_core.hpp"

namespace leat {

class Admin::Impl final : public host::ClientCore {
public:
    Impl(Loop::Impl& loop, cluster::RouterConfig config, milliseconds timeout)
        : ClientCore(loop, config),
          machine_(router_, config.metadata.retry, host::any_seed()),
          timeout_(timeout) {}
    ~Impl() = default;

    /// `start` begins the operation and returns its id.
    template <class Start>
    Result<cluster::AdminAnswer> ask(Start start) {
        std::unique_lock lock(loop_.mutex);
        cluster::Admin::Options options;
        options.timeout = timeout_;
        const cluster::AdminId id = start(machine_, now(), options);
        wake();
        // The operation ends by its own deadline; the second is for the loop to notice.
        const Instant until = now() + timeout_ + milliseconds(1000);
        loop_.wait(lock, until, [&] {
            while (std::optional<cluster::AdminAnswer> answer = machine_.poll_answer())
                answers_[answer->id] = *std::move(answer);
            return answers_.contains(id);
        });
        const auto found = answers_.find(id);
        if (found == answers_.end()) return fail(Error::timed_out);
        cluster::AdminAnswer answer = std::move(found->second);
        answers_.erase(found);
        if (!answer.status) return fail(answer.status.error());
        return answer;
    }
    /// The same where an error of the whole leaves nothing to return.
    template <class Start>
    Result<cluster::AdminAnswer> ask_or_refuse(Start start) {
        Result<cluster::AdminAnswer> answer = ask(start);
        if (!answer || answer->error == ErrorCode::none) return answer;
        const std::lock_guard lock(loop_.mutex);
        refusal_ = answer->error;
        return fail(Error::refused);
    }
    ErrorCode refusal() {
        const std::lock_guard lock(loop_.mutex);
        return refusal_;
    }
    void close() {
        const std::lock_guard lock(loop_.mutex);
        shut();
    }

private:
    void on_router_event(const cluster::RouterEvent&) override {}

    cluster::Admin machine_;
    milliseconds timeout_;
    ErrorCode refusal_ = ErrorCode::none;
    std::map<cluster::AdminId, cluster::AdminAnswer> answers_;  // for the threads that wait
};

Result<Admin> Admin::open(Loop& loop, AdminConfig settings) {
    Result<cluster::RouterConfig> config = host::router_config({
        .bootstrap = settings.bootstrap,
        .client_id = settings.client_id,
        .request_timeout = settings.timeout,
        .retry_backoff = settings.retry_backoff,
        .retry_backoff_max = settings.retry_backoff_max,
        .reconnect_backoff = settings.reconnect_backoff,
        .reconnect_backoff_max = settings.reconnect_backoff_max,
        .allow_auto_topic_creation = false,
    });
    if (!config) return fail(config.error());
    config->send_bytes = 1024 * 1024;  // many topics with many settings are one request
    return Admin(std::make_shared<Impl>(loop.impl(), *std::move(config), settings.timeout));
}

Admin::Admin(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}
Admin::Admin(Admin&&) noexcept = default;

Admin& Admin::operator=(Admin&& other) noexcept {
    if (impl_) impl_->close();
    impl_ = std::move(other.impl_);
    return *this;
}

Admin::~Admin() {
    if (impl_) impl_->close();
}

Result<std::vector<TopicOutcome>> Admin::create_topics(std::vector<NewTopic> topics,
                                                       bool validate_only) {
    Result<cluster::AdminAnswer> answer = impl_->ask([&](auto& machine, Instant now, auto options) {
        options.validate_only = validate_only;
        return machine.create_topics(now, std::move(topics), options);
    });
    if (!answer) return fail(answer.error());
    return std::move(answer->topics);
}

Result<std::vector<TopicOutcome>> Admin::delete_topics(std::vector<std::string> names) {
    Result<cluster::AdminAnswer> answer =
        impl_->ask([&](auto& machine, Instant now, const auto& options) {
            return machine.delete_topics(now, std::move(names), options);
        });
    if (!answer) return fail(answer.error());
    return std::move(answer->topics);
}

Result<ClusterPicture> Admin::describe(std::optional<std::vector<std::string>> topics) {
    Result<cluster::AdminAnswer> answer =
        impl_->ask([&](auto& machine, Instant now, const auto& options) {
            return machine.describe(now, std::move(topics), options);
        });
    if (!answer) return fail(answer.error());
    return std::move(answer->cluster);
}

Result<Admin::Configs> Admin::describe_configs(ConfigResource kind, std::string name) {
    Result<cluster::AdminAnswer> answer =
        impl_->ask([&](auto& machine, Instant now, const auto& options) {
            return machine.describe_configs(now, kind, std::move(name), options);
        });
    if (!answer) return fail(answer.error());
    return Configs{answer->error, std::move(answer->message), std::move(answer->configs)};
}

Result<std::vector<PartitionOffset>> Admin::list_offsets(std::string topic,
                                                         std::vector<std::int32_t> partitions,
                                                         std::int64_t timestamp) {
    Result<cluster::AdminAnswer> answer =
        impl_->ask([&](auto& machine, Instant now, const auto& options) {
            return machine.list_offsets(now, std::move(topic), std::move(partitions), timestamp,
                                        options);
        });
    if (!answer) return fail(answer.error());
    return std::move(answer->offsets);
}

Result<Admin::Outcome> Admin::alter_configs(ConfigResource kind, std::string name,
                                            std::vector<ConfigChange> changes, bool validate_only) {
    Result<cluster::AdminAnswer> answer = impl_->ask([&](auto& machine, Instant now, auto options) {
        options.validate_only = validate_only;
        return machine.alter_configs(now, kind, std::move(name), std::move(changes), options);
    });
    if (!answer) return fail(answer.error());
    return Outcome{answer->error, std::move(answer->message)};
}

Result<Admin::Outcome> Admin::create_partitions(std::string topic, std::int32_t total,
                                                bool validate_only) {
    Result<cluster::AdminAnswer> answer = impl_->ask([&](auto& machine, Instant now, auto options) {
        options.validate_only = validate_only;
        return machine.create_partitions(now, std::move(topic), total, options);
    });
    if (!answer) return fail(answer.error());
    return Outcome{answer->error, std::move(answer->message)};
}

Result<std::vector<LogStart>> Admin::delete_records(std::string topic,
                                                    std::map<std::int32_t, std::int64_t> before) {
    Result<cluster::AdminAnswer> answer =
        impl_->ask([&](auto& machine, Instant now, const auto& options) {
            return machine.delete_records(now, std::move(topic), std::move(before), options);
        });
    if (!answer) return fail(answer.error());
    return std::move(answer->log_starts);
}

Result<std::vector<LogDir>> Admin::describe_log_dirs() {
    Result<cluster::AdminAnswer> answer =
        impl_->ask_or_refuse([&](auto& machine, Instant now, const auto& options) {
            return machine.describe_log_dirs(now, options);
        });
    if (!answer) return fail(answer.error());
    return std::move(answer->log_dirs);
}

Result<std::vector<Quota>> Admin::describe_quotas(std::vector<QuotaFilter> filters) {
    Result<cluster::AdminAnswer> answer =
        impl_->ask_or_refuse([&](auto& machine, Instant now, const auto& options) {
            return machine.describe_quotas(now, std::move(filters), options);
        });
    if (!answer) return fail(answer.error());
    return std::move(answer->quotas);
}

Result<Admin::Outcome> Admin::alter_quotas(QuotaEntity entity, std::vector<QuotaChange> changes,
                                           bool validate_only) {
    Result<cluster::AdminAnswer> answer = impl_->ask([&](auto& machine, Instant now, auto options) {
        options.validate_only = validate_only;
        return machine.alter_quotas(now, std::move(entity), std::move(changes), options);
    });
    if (!answer) return fail(answer.error());
    return Outcome{answer->error, std::move(answer->message)};
}

Result<std::vector<EpochEnd>> Admin::epoch_ends(std::string topic,
                                                std::map<std::int32_t, std::int32_t> epochs) {
    Result<cluster::AdminAnswer> answer =
        impl_->ask([&](auto& machine, Instant now, const auto& options) {
            return machine.epoch_ends(now, std::move(topic), std::move(epochs), options);
        });
    if (!answer) return fail(answer.error());
    return std::move(answer->epoch_ends);
}

Result<std::vector<PartitionProducers>> Admin::describe_producers(
    std::string topic, std::vector<std::int32_t> partitions) {
    Result<cluster::AdminAnswer> answer = impl_->ask([&](auto& machine, Instant now,
                                                         const auto& options) {
        return machine.describe_producers(now, std::move(topic), std::move(partitions), options);
    });
    if (!answer) return fail(answer.error());
    return std::move(answer->producers);
}

Result<std::vector<ListedResource>> Admin::list_config_resources(std::vector<std::int8_t> kinds) {
    Result<cluster::AdminAnswer> answer =
        impl_->ask_or_refuse([&](auto& machine, Instant now, const auto& options) {
            return machine.list_config_resources(now, std::move(kinds), options);
        });
    if (!answer) return fail(answer.error());
    return std::move(answer->resources);
}

Result<std::vector<ListedGroup>> Admin::list_groups() {
    Result<cluster::AdminAnswer> answer =
        impl_->ask_or_refuse([&](auto& machine, Instant now, const auto& options) {
            return machine.list_groups(now, options);
        });
    if (!answer) return fail(answer.error());
    return std::move(answer->groups);
}

Result<GroupPicture> Admin::describe_group(std::string group) {
    Result<cluster::AdminAnswer> answer =
        impl_->ask_or_refuse([&](auto& machine, Instant now, const auto& options) {
            return machine.describe_group(now, std::move(group), options);
        });
    if (!answer) return fail(answer.error());
    return std::move(answer->group);
}

Result<Admin::Outcome> Admin::delete_group(std::string group) {
    Result<cluster::AdminAnswer> answer =
        impl_->ask([&](auto& machine, Instant now, const auto& options) {
            return machine.delete_group(now, std::move(group), options);
        });
    if (!answer) return fail(answer.error());
    return Outcome{answer->error, std::move(answer->message)};
}

Result<Offsets> Admin::group_offsets(std::string group) {
    Result<cluster::AdminAnswer> answer =
        impl_->ask_or_refuse([&](auto& machine, Instant now, const auto& options) {
            return machine.group_offsets(now, std::move(group), options);
        });
    if (!answer) return fail(answer.error());
    return std::move(answer->group_offsets);
}

Result<Admin::Refusals> Admin::alter_group_offsets(std::string group, Offsets offsets) {
    Result<cluster::AdminAnswer> answer =
        impl_->ask_or_refuse([&](auto& machine, Instant now, const auto& options) {
            return machine.alter_group_offsets(now, std::move(group), std::move(offsets), options);
        });
    if (!answer) return fail(answer.error());
    return std::move(answer->refused);
}

Result<Admin::Refusals> Admin::delete_group_offsets(std::string group,
                                                    std::vector<TopicPartition> partitions) {
    Result<cluster::AdminAnswer> answer = impl_->ask_or_refuse([&](auto& machine, Instant now,
                                                                   const auto& options) {
        return machine.delete_group_offsets(now, std::move(group), std::move(partitions), options);
    });
    if (!answer) return fail(answer.error());
    return std::move(answer->refused);
}

ErrorCode Admin::last_refusal() const { return impl_->refusal(); }
std::string Admin::last_problem() const { return impl_->problem(); }

}  // namespace leat
