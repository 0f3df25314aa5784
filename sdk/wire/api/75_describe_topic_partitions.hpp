// DescribeTopicPartitions (key 75): topics and partitions page by page (KIP-966).
#pragma once

#include <limits>

#include "sdk/wire/codec.hpp"

namespace leat::wire {

struct DescribeTopicPartitionsRequest {
    struct TopicRequest {
        StringView name;

        static void fields(auto& io, auto& m) { io("name", m.name); }
    };

    struct Cursor {
        StringView topic_name;
        std::int32_t partition_index = 0;

        static void fields(auto& io, auto& m) {
            io("topic_name", m.topic_name);
            io("partition_index", m.partition_index);
        }
    };

    Array<TopicRequest> topics;
    std::int32_t response_partition_limit = 2000;
    std::int8_t cursor_mark = -1;  ///< below 0: null, there is no cursor
    Cursor cursor;

    static constexpr ApiKey api_key = ApiKey::describe_topic_partitions;
    static constexpr Versions versions{.first = 0, .last = 0, .flexible = 0};

    static void fields(auto& io, auto& m) {
        io("topics", m.topics);
        io("response_partition_limit", m.response_partition_limit);
        io("cursor_mark", m.cursor_mark);
        if (m.cursor_mark >= 0) io("cursor", m.cursor);
    }
};

struct DescribeTopicPartitionsResponse {
    struct DescribeTopicPartitionsResponseTopic {
        struct DescribeTopicPartitionsResponsePartition {
            ErrorCode error_code = ErrorCode::none;
            std::int32_t partition_index = 0;
            std::int32_t leader_id = 0;
            std::int32_t leader_epoch = -1;
            Array<std::int32_t> replica_nodes;
            Array<std::int32_t> isr_nodes;
            Array<std::int32_t> eligible_leader_replicas;
            Array<std::int32_t> last_known_elr;
            Array<std::int32_t> offline_replicas;

            static void fields(auto& io, auto& m) {
                io("error_code", m.error_code);
                io("partition_index", m.partition_index);
                io("leader_id", m.leader_id);
                io("leader_epoch", m.leader_epoch);
                io("replica_nodes", m.replica_nodes);
                io("isr_nodes", m.isr_nodes);
                io("eligible_leader_replicas", m.eligible_leader_replicas, always.nullable());
                io("last_known_elr", m.last_known_elr, always.nullable());
                io("offline_replicas", m.offline_replicas);
            }
        };

        ErrorCode error_code = ErrorCode::none;
        StringView name = nullptr;
        Uuid topic_id;
        bool is_internal = false;
        Array<DescribeTopicPartitionsResponsePartition> partitions;
        std::int32_t topic_authorized_operations = std::numeric_limits<std::int32_t>::min();

        static void fields(auto& io, auto& m) {
            io("error_code", m.error_code);
            io("name", m.name, always.nullable());
            io("topic_id", m.topic_id);
            io("is_internal", m.is_internal);
            io("partitions", m.partitions);
            io("topic_authorized_operations", m.topic_authorized_operations);
        }
    };

    struct Cursor {
        StringView topic_name;
        std::int32_t partition_index = 0;

        static void fields(auto& io, auto& m) {
            io("topic_name", m.topic_name);
            io("partition_index", m.partition_index);
        }
    };

    std::int32_t throttle_time_ms = 0;
    Array<DescribeTopicPartitionsResponseTopic> topics;
    std::int8_t next_cursor_mark = -1;  ///< below 0: null, there is no next_cursor
    Cursor next_cursor;

    static constexpr ApiKey api_key = ApiKey::describe_topic_partitions;
    static constexpr Versions versions{.first = 0, .last = 0, .flexible = 0};

    static void fields(auto& io, auto& m) {
        io("throttle_time_ms", m.throttle_time_ms);
        io("topics", m.topics);
        io("next_cursor_mark", m.next_cursor_mark);
        if (m.next_cursor_mark >= 0) io("next_cursor", m.next_cursor);
    }
};

}  // namespace leat::wire
