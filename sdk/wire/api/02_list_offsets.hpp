// ListOffsets (key 2): the offset that belongs to a time.
//
// Times below zero are names: -1 latest, -2 earliest, -3 the largest timestamp (v7), -4 earliest
// local (v8), -5 last tiered (v9), -6 earliest pending upload (v11).
#pragma once

#include "sdk/wire/codec.hpp"

namespace leat::wire {

struct ListOffsetsRequest {
    struct ListOffsetsPartition {
        std::int32_t partition_index = 0;
        std::int32_t current_leader_epoch = -1;
        std::int64_t timestamp = 0;  ///< milliseconds, or a name (see above)

        static void fields(auto& io, auto& m) {
            io("partition_index", m.partition_index);
            io("current_leader_epoch", m.current_leader_epoch, since(4));
            io("timestamp", m.timestamp);
        }
    };

    struct ListOffsetsTopic {
        StringView name;
        Array<ListOffsetsPartition> partitions;

        static void fields(auto& io, auto& m) {
            io("name", m.name);
            io("partitions", m.partitions);
        }
    };

    std::int32_t replica_id = 0;
    std::int8_t isolation_level = 0;
    Array<ListOffsetsTopic> topics;
    std::int32_t timeout_ms = 0;

    static constexpr ApiKey api_key = ApiKey::list_offsets;
    static constexpr Versions versions{.first = 1, .last = 11, .flexible = 6};

    static void fields(auto& io, auto& m) {
        io("replica_id", m.replica_id);
        io("isolation_level", m.isolation_level, since(2));
        io("topics", m.topics);
        io("timeout_ms", m.timeout_ms, since(10));
    }
};

struct ListOffsetsResponse {
    struct ListOffsetsPartitionResponse {
        std::int32_t partition_index = 0;
        ErrorCode error_code = ErrorCode::none;
        std::int64_t timestamp = -1;
        std::int64_t offset = -1;  ///< -1: no record that late
        std::int32_t leader_epoch = -1;

        static void fields(auto& io, auto& m) {
            io("partition_index", m.partition_index);
            io("error_code", m.error_code);
            io("timestamp", m.timestamp);
            io("offset", m.offset);
            io("leader_epoch", m.leader_epoch, since(4));
        }
    };

    struct ListOffsetsTopicResponse {
        StringView name;
        Array<ListOffsetsPartitionResponse> partitions;

        static void fields(auto& io, auto& m) {
            io("name", m.name);
            io("partitions", m.partitions);
        }
    };

    std::int32_t throttle_time_ms = 0;
    Array<ListOffsetsTopicResponse> topics;

    static constexpr ApiKey api_key = ApiKey::list_offsets;
    static constexpr Versions versions{.first = 1, .last = 11, .flexible = 6};

    static void fields(auto& io, auto& m) {
        io("throttle_time_ms", m.throttle_time_ms, since(2));
        io("topics", m.topics);
    }
};

}  // namespace leat::wire
