// Looking after a cluster: topics, settings, offsets, groups. A state machine that sends through a
// Router and tries again where Kafka's own admin client does, until its deadline.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "sdk/cluster/admin_types.hpp"
#include "sdk/cluster/router.hpp"

namespace leat::cluster {

class Admin final : public Requester {
public:
    struct Operation;

    explicit Admin(Router& router, const client::BackoffConfig& retry = {}, std::uint32_t seed = 1);
    ~Admin();
    Admin(const Admin&) = delete;
    Admin& operator=(const Admin&) = delete;

    // want: each answers once, at the latest at its deadline
    struct Options {
        milliseconds timeout{30'000};
        bool validate_only = false;  ///< create_topics, alter_*, create_partitions: only check
    };
    AdminId create_topics(Instant now, std::vector<NewTopic> topics, const Options& options);
    AdminId delete_topics(Instant now, std::vector<std::string> names, const Options& options);
    /// nullopt: every topic. Creates none.
    AdminId describe(Instant now, std::optional<std::vector<std::string>> topics,
                     const Options& options);
    AdminId describe_configs(Instant now, ConfigResource kind, std::string name,
                             const Options& options);
    /// `timestamp` in milliseconds, or one of Kafka's words below zero (timestamp_latest, ...): for
    /// each partition its offset.
    AdminId list_offsets(Instant now, std::string topic, std::vector<std::int32_t> partitions,
                         std::int64_t timestamp, const Options& options);

    /// Where each partition's log parts from one that knew its epoch as the last.
    AdminId epoch_ends(Instant now, std::string topic, std::map<std::int32_t, std::int32_t> epochs,
                       const Options& options);
    AdminId describe_producers(Instant now, std::string topic, std::vector<std::int32_t> partitions,
                               const Options& options);
    /// What has settings, of these kinds; none: of every kind that the broker lists.
    AdminId list_config_resources(Instant now, std::vector<std::int8_t> kinds,
                                  const Options& options);

    /// Of each partition what lies before its offset; before_end: all that may be read now. A lost
    /// answer is asked for again, so before_end may delete what came meanwhile.
    static constexpr std::int64_t before_end = -1;
    AdminId delete_records(Instant now, std::string topic,
                           std::map<std::int32_t, std::int64_t> before, const Options& options);
    /// Of every broker.
    AdminId describe_log_dirs(Instant now, const Options& options);
    /// Those that all filters match; none: all there are.
    AdminId describe_quotas(Instant now, std::vector<QuotaFilter> filters, const Options& options);
    AdminId alter_quotas(Instant now, QuotaEntity entity, std::vector<QuotaChange> changes,
                         const Options& options);

    AdminId alter_configs(Instant now, ConfigResource kind, std::string name,
                          std::vector<ConfigChange> changes, const Options& options);
    /// `total`: how many there shall be afterwards.
    AdminId create_partitions(Instant now, std::string topic, std::int32_t total,
                              const Options& options);
    /// Of every broker.
    AdminId list_groups(Instant now, const Options& options);

    // Of one group, at its coordinator.
    AdminId describe_group(Instant now, std::string group, const Options& options);
    AdminId delete_group(Instant now, std::string group, const Options& options);
    AdminId group_offsets(Instant now, std::string group, const Options& options);
    /// Refused while the group has members.
    AdminId alter_group_offsets(Instant now, std::string group, Offsets offsets,
                                const Options& options);
    AdminId delete_group_offsets(Instant now, std::string group, Partitions partitions,
                                 const Options& options);

    // Requester, for the Router
    void pump(Instant now, Router& router) override;
    void on_answer(Instant now, Router& router, const client::Event& event,
                   std::uint64_t context) override;
    Instant deadline() const override;

    // drain
    std::optional<AdminAnswer> poll_answer();

private:
    AdminId start(Instant now, std::unique_ptr<Operation> operation, const Options& options);
    void finish(AdminId id);

    Router& router_;
    client::BackoffConfig retry_;
    client::Jitter jitter_;
    Instant pumped_at_{};
    AdminId next_id_ = 1;
    std::map<AdminId, std::unique_ptr<Operation>> operations_;
    std::deque<AdminAnswer> answers_;
};

}  // namespace leat::cluster
