// What admin requests say and answer.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "leat/result.hpp"
#include "sdk/cluster/topology.hpp"

namespace leat::cluster {

struct NewTopic {
    std::string name;
    std::int32_t partitions = -1;          ///< -1: the broker's default
    std::int16_t replication_factor = -1;  ///< -1: the broker's default
    std::map<std::string, std::string> configs;
};

/// What became of one topic that was to be created or deleted.
struct TopicOutcome {
    std::string name;
    wire::ErrorCode error = wire::ErrorCode::none;
    std::string message;           ///< the broker's own words, often empty
    std::int32_t partitions = -1;  ///< -1: not told
    std::int16_t replication_factor = -1;
};

struct ClusterPicture {
    std::string cluster_id;
    std::int32_t controller = no_broker;
    std::map<std::int32_t, Endpoint> brokers;
    std::map<std::string, TopicInfo> topics;
};

struct ConfigEntry {
    std::string name;
    std::optional<std::string> value;  ///< none: secret, or unset
    std::int8_t source = -1;           ///< Kafka's ConfigSource: 1 topic, 2 to 4 broker, 5 default
    bool read_only = false;
    bool sensitive = false;
};

enum class ConfigResource : std::int8_t { topic = 2, broker = 4 };

struct PartitionOffset {
    std::int32_t partition = 0;
    wire::ErrorCode error = wire::ErrorCode::none;
    std::int64_t offset = -1;  ///< -1: no record that late
    std::int64_t timestamp = -1;
};

using AdminId = std::uint64_t;

/// The end of one operation. Which lists are filled depends on what was asked.
struct AdminAnswer {
    AdminId id = 0;
    Status status =
        ok();  ///< fails: timed_out · unsupported (the broker does not serve it) · not_found
    wire::ErrorCode error = wire::ErrorCode::none;  ///< of the whole, or what the last try was told
    std::string message;
    std::vector<TopicOutcome> topics;
    ClusterPicture cluster;
    std::vector<ConfigEntry> configs;
    std::vector<PartitionOffset> offsets;
};

}  // namespace leat::cluster
