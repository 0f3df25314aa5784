// Looks after topics, settings and groups of any Kafka-protocol server. Every call waits for its
// answer.
//
//     leat::Loop loop;
//     auto admin = leat::Admin::open(loop, {.bootstrap = "127.0.0.1:9092"});
//     auto made = admin->create_topics({{.name = "temperature", .partitions = 4}});
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "leat/host.hpp"
#include "leat/result.hpp"
#include "sdk/cluster/admin_types.hpp"

namespace leat {

using cluster::ClusterPicture;
using cluster::CommittedOffset;
using cluster::ConfigChange;
using cluster::ConfigEntry;
using cluster::ConfigResource;
using cluster::EpochEnd;
using cluster::GroupPicture;
using cluster::ListedGroup;
using cluster::ListedResource;
using cluster::LogDir;
using cluster::LogStart;
using cluster::NewTopic;
using cluster::Offsets;
using cluster::PartitionOffset;
using cluster::PartitionProducers;
using cluster::Quota;
using cluster::QuotaChange;
using cluster::QuotaEntity;
using cluster::QuotaFilter;
using cluster::TopicOutcome;
using cluster::TopicPartition;
using wire::ErrorCode;

struct AdminConfig {
    std::string bootstrap;
    std::string client_id = "leat";
    milliseconds timeout{30'000};  ///< of each call
    milliseconds retry_backoff{100}, retry_backoff_max{1000};
    milliseconds reconnect_backoff{50}, reconnect_backoff_max{1000};
};

class Admin {
public:
    /// fails: invalid (bootstrap)
    static Result<Admin> open(Loop& loop, AdminConfig config);
    Admin(Admin&&) noexcept;
    Admin& operator=(Admin&&) noexcept;
    ~Admin();

    // All fail with: timed_out (nobody answered; last_problem says what was tried), unsupported
    // (the server does not serve this request), closed. Kafka's own refusals stand in the results.
    Result<std::vector<TopicOutcome>> create_topics(std::vector<NewTopic> topics,
                                                    bool validate_only = false);
    Result<std::vector<TopicOutcome>> delete_topics(std::vector<std::string> names);
    /// nullopt: every topic.
    Result<ClusterPicture> describe(std::optional<std::vector<std::string>> topics = std::nullopt);
    struct Configs {
        wire::ErrorCode error = wire::ErrorCode::none;
        std::string message;
        std::vector<ConfigEntry> entries;
    };
    Result<Configs> describe_configs(ConfigResource kind, std::string name);
    static constexpr std::int64_t latest = -1, earliest = -2;
    static constexpr std::int64_t max_timestamp = -3;  ///< the record with the largest (KIP-734)
    /// `timestamp` in milliseconds since 1970, or one of these words. fails also: not_found
    Result<std::vector<PartitionOffset>> list_offsets(std::string topic,
                                                      std::vector<std::int32_t> partitions,
                                                      std::int64_t timestamp);

    /// How the server judged a change as a whole.
    struct Outcome {
        wire::ErrorCode error = wire::ErrorCode::none;
        std::string message;  ///< the server's own words, often empty
    };
    /// All of them or none. validate_only: only checks.
    Result<Outcome> alter_configs(ConfigResource kind, std::string name,
                                  std::vector<ConfigChange> changes, bool validate_only = false);
    /// `total`: how many there shall be; never fewer than before.
    Result<Outcome> create_partitions(std::string topic, std::int32_t total,
                                      bool validate_only = false);

    /// Of each partition the records before its offset; before_end: all that may be read. Says
    /// where each begins now. A lost answer is asked for again: before_end may delete what came
    /// meanwhile. fails also: not_found
    static constexpr std::int64_t before_end = -1;
    Result<std::vector<LogStart>> delete_records(std::string topic,
                                                 std::map<std::int32_t, std::int64_t> before);
    /// Of each partition how far its leader epoch reached (KIP-320): where the log parts from what
    /// was read when that epoch was the last. fails also: not_found
    Result<std::vector<EpochEnd>> epoch_ends(std::string topic,
                                             std::map<std::int32_t, std::int32_t> epochs);
    /// fails also: not_found
    Result<std::vector<PartitionProducers>> describe_producers(
        std::string topic, std::vector<std::int32_t> partitions);
    /// What has settings, of these kinds (ListedResource::kind); none: of every kind that the
    /// server lists. fails also: refused
    Result<std::vector<ListedResource>> list_config_resources(std::vector<std::int8_t> kinds = {});
    /// Of every broker. fails also: refused (see last_refusal)
    Result<std::vector<LogDir>> describe_log_dirs();
    /// Quotas that all filters match; none: all there are. fails also: refused
    Result<std::vector<Quota>> describe_quotas(std::vector<QuotaFilter> filters = {});
    Result<Outcome> alter_quotas(QuotaEntity entity, std::vector<QuotaChange> changes,
                                 bool validate_only = false);

    // Groups. fail also: refused (the server said no: last_refusal says what)
    Result<std::vector<ListedGroup>> list_groups();
    /// State "Dead": there is no such group.
    Result<GroupPicture> describe_group(std::string group);
    /// Only a group without members can be deleted; its committed offsets go, too.
    Result<Outcome> delete_group(std::string group);
    /// All that are committed.
    Result<Offsets> group_offsets(std::string group);
    using Refusals = std::map<TopicPartition, wire::ErrorCode>;
    /// Only of a group without members. Returns those that were not changed, and why.
    Result<Refusals> alter_group_offsets(std::string group, Offsets offsets);
    /// Only of topics that no member reads. Returns those that stand as before, and why.
    Result<Refusals> delete_group_offsets(std::string group,
                                          std::vector<TopicPartition> partitions);

    wire::ErrorCode last_refusal() const;
    /// One line for people: the last connection that failed since one was made, or a leader that is
    /// not among the cluster's brokers; else empty.
    std::string last_problem() const;

    class Impl;

private:
    explicit Admin(std::shared_ptr<Impl> impl);
    std::shared_ptr<Impl> impl_;  // owners: this and work of its loop that is still queued
};

}  // namespace leat
