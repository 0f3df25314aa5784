// Looks after topics of any Kafka-protocol server. Every call waits for its answer.
//
//     leat::Loop loop;
//     auto admin = leat::Admin::open(loop, {.bootstrap = "127.0.0.1:9092"});
//     auto made = admin->create_topics({{.name = "temperature", .partitions = 4}});
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "leat/host.hpp"
#include "leat/result.hpp"
#include "sdk/cluster/admin_types.hpp"

namespace leat {

using cluster::ClusterPicture;
using cluster::ConfigEntry;
using cluster::ConfigResource;
using cluster::NewTopic;
using cluster::PartitionOffset;
using cluster::TopicOutcome;

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
    /// `timestamp` in milliseconds since 1970, or latest, earliest. fails also: not_found
    Result<std::vector<PartitionOffset>> list_offsets(std::string topic,
                                                      std::vector<std::int32_t> partitions,
                                                      std::int64_t timestamp);

    /// One line for people about the last connection that failed; empty if none did.
    std::string last_problem() const;

    class Impl;

private:
    explicit Admin(std::shared_ptr<Impl> impl);
    std::shared_ptr<Impl> impl_;  // owners: this and work of its loop that is still queued
};

}  // namespace leat
