// OffsetForLeaderEpoch (key 23, KIP-320): where a leader epoch ends, so that clients detect
// truncation.
#pragma once

#include "sdk/wire/codec.hpp"

namespace leat::wire {

struct OffsetForLeaderEpochRequest {
    struct OffsetForLeaderPartition {
        std::int32_t partition = 0;
        std::int32_t current_leader_epoch = -1;
        std::int32_t leader_epoch = 0;

        static void fields(auto& io, auto& m) {
            io("partition", m.partition);
            io("current_leader_epoch", m.current_leader_epoch);
            io("leader_epoch", m.leader_epoch);
        }
    };

    struct OffsetForLeaderTopic {
        StringView topic;
        Array<OffsetForLeaderPartition> partitions;

        static void fields(auto& io, auto& m) {
            io("topic", m.topic);
            io("partitions", m.partitions);
        }
    };

    std::int32_t replica_id = -2;
    Array<OffsetForLeaderTopic> topics;

    static constexpr ApiKey api_key = ApiKey::offset_for_leader_epoch;
    static constexpr Versions versions{.first = 2, .last = 4, .flexible = 4};

    static void fields(auto& io, auto& m) {
        io("replica_id", m.replica_id, since(3));
        io("topics", m.topics);
    }
};

struct OffsetForLeaderEpochResponse {
    struct EpochEndOffset {
        ErrorCode error_code = ErrorCode::none;
        std::int32_t partition = 0;
        std::int32_t leader_epoch = -1;
        std::int64_t end_offset = -1;

        static void fields(auto& io, auto& m) {
            io("error_code", m.error_code);
            io("partition", m.partition);
            io("leader_epoch", m.leader_epoch);
            io("end_offset", m.end_offset);
        }
        bool operator==(const EpochEndOffset&) const = default;
    };

    struct OffsetForLeaderTopicResult {
        StringView topic;
        Array<EpochEndOffset> partitions;

        static void fields(auto& io, auto& m) {
            io("topic", m.topic);
            io("partitions", m.partitions);
        }
    };

    std::int32_t throttle_time_ms = 0;
    Array<OffsetForLeaderTopicResult> topics;

    static constexpr ApiKey api_key = ApiKey::offset_for_leader_epoch;
    static constexpr Versions versions{.first = 2, .last = 4, .flexible = 4};

    static void fields(auto& io, auto& m) {
        io("throttle_time_ms", m.throttle_time_ms);
        io("topics", m.topics);
    }
};

}  // namespace leat::wire
