// Metadata (key 3): brokers, topics, partitions and who leads them.
//
// A null topics array asks for all topics; an empty one does so in v0 only and for none from v1.
#pragma once

#include <limits>

#include "sdk/wire/codec.hpp"

namespace leat::wire {

struct MetadataRequest {
    struct MetadataRequestTopic {
        Uuid topic_id;
        StringView name;  ///< null: by id (v12)

        static void fields(auto& io, auto& m) {
            io("topic_id", m.topic_id, since(10));
            io("name", m.name, always.nullable(10));
        }
    };

    Array<MetadataRequestTopic> topics;  ///< null: all
    bool allow_auto_topic_creation = true;
    bool include_cluster_authorized_operations = false;
    bool include_topic_authorized_operations = false;

    static constexpr ApiKey api_key = ApiKey::metadata;
    static constexpr Versions versions{.first = 0, .last = 13, .flexible = 9};

    static void fields(auto& io, auto& m) {
        io("topics", m.topics, always.nullable(1));
        io("allow_auto_topic_creation", m.allow_auto_topic_creation, since(4));
        io("include_cluster_authorized_operations", m.include_cluster_authorized_operations,
           between(8, 10));
        io("include_topic_authorized_operations", m.include_topic_authorized_operations, since(8));
    }
};

struct MetadataResponse {
    struct MetadataResponseBroker {
        std::int32_t node_id = 0;
        StringView host;
        std::int32_t port = 0;
        StringView rack = nullptr;

        static void fields(auto& io, auto& m) {
            io("node_id", m.node_id);
            io("host", m.host);
            io("port", m.port);
            io("rack", m.rack, since(1).nullable());
        }
    };

    struct MetadataResponsePartition {
        ErrorCode error_code = ErrorCode::none;
        std::int32_t partition_index = 0;
        std::int32_t leader_id = 0;
        std::int32_t leader_epoch = -1;
        Array<std::int32_t> replica_nodes;
        Array<std::int32_t> isr_nodes;
        Array<std::int32_t> offline_replicas;

        static void fields(auto& io, auto& m) {
            io("error_code", m.error_code);
            io("partition_index", m.partition_index);
            io("leader_id", m.leader_id);
            io("leader_epoch", m.leader_epoch, since(7));
            io("replica_nodes", m.replica_nodes);
            io("isr_nodes", m.isr_nodes);
            io("offline_replicas", m.offline_replicas, since(5));
        }
    };

    struct MetadataResponseTopic {
        ErrorCode error_code = ErrorCode::none;
        StringView name;
        Uuid topic_id;
        bool is_internal = false;
        Array<MetadataResponsePartition> partitions;
        std::int32_t topic_authorized_operations = std::numeric_limits<std::int32_t>::min();

        static void fields(auto& io, auto& m) {
            io("error_code", m.error_code);
            io("name", m.name, always.nullable(12));
            io("topic_id", m.topic_id, since(10));
            io("is_internal", m.is_internal, since(1));
            io("partitions", m.partitions);
            io("topic_authorized_operations", m.topic_authorized_operations, since(8));
        }
    };

    std::int32_t throttle_time_ms = 0;
    Array<MetadataResponseBroker> brokers;
    StringView cluster_id = nullptr;
    std::int32_t controller_id = -1;  ///< must be a living broker: admin clients send to it
    Array<MetadataResponseTopic> topics;
    std::int32_t cluster_authorized_operations = std::numeric_limits<std::int32_t>::min();
    ErrorCode error_code = ErrorCode::none;

    static constexpr ApiKey api_key = ApiKey::metadata;
    static constexpr Versions versions{.first = 0, .last = 13, .flexible = 9};

    static void fields(auto& io, auto& m) {
        io("throttle_time_ms", m.throttle_time_ms, since(3));
        io("brokers", m.brokers);
        io("cluster_id", m.cluster_id, since(2).nullable());
        io("controller_id", m.controller_id, since(1));
        io("topics", m.topics);
        io("cluster_authorized_operations", m.cluster_authorized_operations, between(8, 10));
        io("error_code", m.error_code, since(13));
    }
};

}  // namespace leat::wire
