// CreateTopics (key 19). -1 partitions or replicas mean the broker's default (v4, KIP-464).
#pragma once

#include "sdk/wire/codec.hpp"

namespace leat::wire {

struct CreateTopicsRequest {
    struct CreatableReplicaAssignment {
        std::int32_t partition_index = 0;
        Array<std::int32_t> broker_ids;

        static void fields(auto& io, auto& m) {
            io("partition_index", m.partition_index);
            io("broker_ids", m.broker_ids);
        }
    };

    struct CreatableTopicConfig {
        StringView name;
        StringView value = nullptr;

        static void fields(auto& io, auto& m) {
            io("name", m.name);
            io("value", m.value, always.nullable());
        }
    };

    struct CreatableTopic {
        StringView name;
        std::int32_t num_partitions = 0;      ///< -1: the default, or see assignments
        std::int16_t replication_factor = 0;  ///< -1: the default, or see assignments
        Array<CreatableReplicaAssignment> assignments;
        Array<CreatableTopicConfig> configs;

        static void fields(auto& io, auto& m) {
            io("name", m.name);
            io("num_partitions", m.num_partitions);
            io("replication_factor", m.replication_factor);
            io("assignments", m.assignments);
            io("configs", m.configs);
        }
    };

    Array<CreatableTopic> topics;
    std::int32_t timeout_ms = 60000;
    bool validate_only = false;

    static constexpr ApiKey api_key = ApiKey::create_topics;
    static constexpr Versions versions{.first = 2, .last = 7, .flexible = 5};

    static void fields(auto& io, auto& m) {
        io("topics", m.topics);
        io("timeout_ms", m.timeout_ms);
        io("validate_only", m.validate_only);
    }
};

struct CreateTopicsResponse {
    struct CreatableTopicConfigs {
        StringView name;
        StringView value = nullptr;
        bool read_only = false;
        std::int8_t config_source = -1;
        bool is_sensitive = false;

        static void fields(auto& io, auto& m) {
            io("name", m.name);
            io("value", m.value, always.nullable());
            io("read_only", m.read_only);
            io("config_source", m.config_source);
            io("is_sensitive", m.is_sensitive);
        }
    };

    struct CreatableTopicResult {
        StringView name;
        Uuid topic_id;
        ErrorCode error_code = ErrorCode::none;
        StringView error_message = nullptr;
        std::int16_t topic_config_error_code = 0;
        std::int32_t num_partitions = -1;
        std::int16_t replication_factor = -1;
        Array<CreatableTopicConfigs> configs;

        static void fields(auto& io, auto& m) {
            io("name", m.name);
            io("topic_id", m.topic_id, since(7));
            io("error_code", m.error_code);
            io("error_message", m.error_message, always.nullable());
            io("num_partitions", m.num_partitions, since(5));
            io("replication_factor", m.replication_factor, since(5));
            io("configs", m.configs, since(5).nullable());
        }
        static constexpr void tags(auto& io, auto& m) {
            io(0, "topic_config_error_code", m.topic_config_error_code, since(5));
        }
    };

    std::int32_t throttle_time_ms = 0;
    Array<CreatableTopicResult> topics;

    static constexpr ApiKey api_key = ApiKey::create_topics;
    static constexpr Versions versions{.first = 2, .last = 7, .flexible = 5};

    static void fields(auto& io, auto& m) {
        io("throttle_time_ms", m.throttle_time_ms);
        io("topics", m.topics);
    }
};

}  // namespace leat::wire
