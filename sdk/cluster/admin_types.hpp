// What admin requests say and answer.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "leat/result.hpp"
#include "sdk/cluster/topic_partition.hpp"
#include "sdk/cluster/topology.hpp"

namespace leat::cluster {

struct NewTopic {
    std::string name;
    std::int32_t partitions = -1;          ///< -1: the broker's default
    std::int16_t replication_factor = -1;  ///< -1: the broker's default
    std::map<std::string, std::string> configs{};
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

/// group: its settings of the consumer protocol (KIP-848), be the group there or not.
enum class ConfigResource : std::int8_t { topic = 2, broker = 4, group = 32 };

struct ConfigChange {
    /// append and subtract are of settings that are lists.
    enum class Kind : std::int8_t { set = 0, unset = 1, append = 2, subtract = 3 } kind{};
    std::string name;
    std::string value{};
};

struct ListedGroup {
    std::string group_id;
    std::string protocol_type;  ///< "consumer", "connect"; empty: it only commits
    std::string state;          ///< empty: the broker is too old to tell
    std::string type;           ///< "Classic", "Consumer"; empty: too old to tell
};

struct GroupPicture {
    std::string group_id;
    std::string state;  ///< "Dead": there is no such group
    std::string type;   ///< "Classic", or "Consumer" (KIP-848)
    std::string protocol_type;
    std::string protocol;     ///< the assignor
    std::int32_t epoch = -1;  ///< of the group; -1: a classic one
    std::int32_t coordinator = no_broker;
    struct Member {
        std::string member_id;
        std::optional<std::string> instance_id;
        std::string client_id, client_host;
        Partitions assignment;    ///< empty also: not a consumer's
        std::int32_t epoch = -1;  ///< of the member; -1: in the classic protocol
        Partitions target;        ///< what it shall have; of the consumer protocol
    };
    std::vector<Member> members;
};

struct PartitionOffset {
    std::int32_t partition = 0;
    wire::ErrorCode error = wire::ErrorCode::none;
    std::int64_t offset = -1;  ///< -1: no record that late
    std::int64_t timestamp = -1;
    std::int32_t leader_epoch = -1;  ///< of the record there; -1: not told
};

/// How far a leader epoch reached in a partition's log (KIP-320).
struct EpochEnd {
    std::int32_t partition = 0;
    wire::ErrorCode error = wire::ErrorCode::none;
    std::int32_t epoch = -1;   ///< the largest known that is not above the one asked for; -1: none
    std::int64_t offset = -1;  ///< the first one behind it; -1: that epoch is yet to come
};

/// The idempotent producers that a partition remembers (KIP-664).
struct PartitionProducers {
    std::int32_t partition = 0;
    wire::ErrorCode error = wire::ErrorCode::none;
    std::string message;  ///< the broker's own words, often empty
    struct Producer {
        std::int64_t producer_id = -1;
        std::int32_t epoch = -1;
        std::int32_t last_sequence = -1;
        std::int64_t last_timestamp = -1;         ///< milliseconds since 1970
        std::int64_t transaction_begins_at = -1;  ///< offset of an open one; -1: none is open
    };
    std::vector<Producer> producers;
};

/// Something that has settings.
struct ListedResource {
    std::int8_t kind = 0;  ///< Kafka's own: 2 topic, 4 broker, 8 its loggers, 16 metrics, 32 group
    std::string name;
};

/// Where a partition's log begins after records were deleted.
struct LogStart {
    std::int32_t partition = 0;
    wire::ErrorCode error = wire::ErrorCode::none;
    std::int64_t offset = -1;  ///< of its first record
};

/// A place where a broker keeps partitions.
struct LogDir {
    std::int32_t broker = no_broker;
    wire::ErrorCode error = wire::ErrorCode::none;
    std::string path;
    std::int64_t total_bytes = -1, usable_bytes = -1;  ///< of its volume; -1: not told
    struct Replica {
        TopicPartition place;
        std::int64_t bytes = 0;
        std::int64_t offset_lag = 0;
        bool is_future = false;  ///< it is being moved here
    };
    std::vector<Replica> replicas;
};

/// Whom a quota binds: "user", "client-id" or "ip", and a name. No name: all that have none of
/// their own.
using QuotaEntity = std::map<std::string, std::optional<std::string>>;
struct Quota {
    QuotaEntity entity;
    std::map<std::string, double> values;  ///< producer_byte_rate, consumer_byte_rate, ...
};
struct QuotaFilter {
    enum class Match : std::int8_t { name = 0, the_default = 1, any = 2 };
    std::string kind;  ///< as in QuotaEntity
    Match match = Match::any;
    std::string name;
};
struct QuotaChange {
    std::string name;
    std::optional<double> value;  ///< none: no bound any more
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
    std::vector<EpochEnd> epoch_ends;
    std::vector<PartitionProducers> producers;
    std::vector<ListedResource> resources;
    std::vector<LogStart> log_starts;
    std::vector<LogDir> log_dirs;
    std::vector<Quota> quotas;
    std::vector<ListedGroup> groups;
    GroupPicture group;
    Offsets group_offsets;
    std::map<TopicPartition, wire::ErrorCode> refused;  ///< of offsets that were to be changed
};

}  // namespace leat::cluster
