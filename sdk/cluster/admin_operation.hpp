// One kind of admin request: how it is sent and how its answer is read. Only admin*.cpp see it.
#pragma once

#include "sdk/cluster/admin.hpp"

namespace leat::cluster {

struct Admin::Operation {
    enum class Verdict : std::uint8_t { done, again, waiting };

    virtual ~Operation() = default;
    /// Sends what is to be sent next.
    virtual Status send(Instant now, Router& router, Admin& admin) = 0;
    virtual Verdict read(const client::Event& event) = 0;
    /// Nothing more is to be sent; asked when `read` said waiting.
    virtual bool is_complete(const Router&) const { return false; }
    /// Whom it goes to may be the wrong one by now: an answer was lost, or there is no connection.
    virtual void forget_target() {}
    /// The operation is over, with or without success.
    virtual void end(Router&) {}

    AdminAnswer answer;
    Instant deadline{};
    Instant not_before{};
    std::optional<Instant> blocked_since;  ///< no connection to whom it goes to
    unsigned failures = 0;
    unsigned in_flight = 0;
    bool is_backing_off = false;  ///< else it waits for a connection, and hears of that by pump
};

inline std::string owned(const wire::StringView& text) { return std::string(text.view()); }

/// Try again: the wrong broker was asked, or the right one was not ready.
inline bool is_worth_a_retry(wire::ErrorCode error) {
    return error == wire::ErrorCode::not_controller ||
           error == wire::ErrorCode::request_timed_out ||
           error == wire::ErrorCode::coordinator_load_in_progress;
}

template <class M>
Status send_one(Admin::Operation& operation, Instant now, Router& router, Admin& admin,
                const Target& target, const M& message) {
    const milliseconds left = operation.deadline - now;
    const Status sent = router.send(now, admin, operation.answer.id, target, message, left);
    if (sent) ++operation.in_flight;
    return sent;
}

template <class M>
std::optional<M> decoded(Admin::Operation& operation, const client::Event& event) {
    Result<M> message = wire::decode<M>(event.body, event.api_version);
    if (message) return *std::move(message);
    operation.answer.status = fail(message.error());
    return std::nullopt;
}

std::unique_ptr<Admin::Operation> make_create(std::vector<NewTopic> topics,
                                              const Admin::Options& options);
std::unique_ptr<Admin::Operation> make_delete(std::vector<std::string> names,
                                              const Admin::Options& options);
std::unique_ptr<Admin::Operation> make_describe(std::optional<std::vector<std::string>> topics);
std::unique_ptr<Admin::Operation> make_describe_configs(ConfigResource kind, std::string name);
std::unique_ptr<Admin::Operation> make_list_offsets(std::string topic,
                                                    const std::vector<std::int32_t>& partitions,
                                                    std::int64_t timestamp);
std::unique_ptr<Admin::Operation> make_epoch_ends(std::string topic,
                                                  std::map<std::int32_t, std::int32_t> epochs);
std::unique_ptr<Admin::Operation> make_describe_producers(
    std::string topic, const std::vector<std::int32_t>& partitions);
std::unique_ptr<Admin::Operation> make_list_config_resources(std::vector<std::int8_t> kinds);
std::unique_ptr<Admin::Operation> make_delete_records(std::string topic,
                                                      std::map<std::int32_t, std::int64_t> before);
std::unique_ptr<Admin::Operation> make_describe_log_dirs();
std::unique_ptr<Admin::Operation> make_describe_quotas(std::vector<QuotaFilter> filters);
std::unique_ptr<Admin::Operation> make_alter_quotas(QuotaEntity entity,
                                                    std::vector<QuotaChange> changes,
                                                    const Admin::Options& options);

std::unique_ptr<Admin::Operation> make_alter_configs(ConfigResource kind, std::string name,
                                                     std::vector<ConfigChange> changes,
                                                     const Admin::Options& options);
std::unique_ptr<Admin::Operation> make_create_partitions(std::string topic, std::int32_t total,
                                                         const Admin::Options& options);
std::unique_ptr<Admin::Operation> make_list_groups();
std::unique_ptr<Admin::Operation> make_describe_group(std::string group);
std::unique_ptr<Admin::Operation> make_delete_group(std::string group);
std::unique_ptr<Admin::Operation> make_group_offsets(std::string group);
std::unique_ptr<Admin::Operation> make_alter_group_offsets(std::string group, Offsets offsets);
std::unique_ptr<Admin::Operation> make_delete_group_offsets(std::string group,
                                                            Partitions partitions);

}  // namespace leat::cluster
