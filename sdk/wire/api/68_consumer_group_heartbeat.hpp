// ConsumerGroupHeartbeat (key 68, KIP-848): the one request of a member of a consumer group. It
// joins, tells what it reads and owns, is told what to own, and leaves.
#pragma once

#include "sdk/wire/codec.hpp"

namespace leat::wire {

struct ConsumerGroupHeartbeatRequest {
    struct TopicPartitions {
        Uuid topic_id;
        Array<std::int32_t> partitions;

        static void fields(auto& io, auto& m) {
            io("topic_id", m.topic_id);
            io("partitions", m.partitions);
        }
    };

    StringView group_id;
    StringView member_id;           ///< made by the client since version 1 (KIP-1082)
    std::int32_t member_epoch = 0;  ///< 0: joins; -1: leaves; -2: leaves and will be back (static)
    StringView instance_id = nullptr;
    StringView rack_id = nullptr;
    // From here on null and -1 mean: as it was in the last heartbeat.
    std::int32_t rebalance_timeout_ms = -1;
    Array<StringView> subscribed_topic_names = nullptr;
    StringView subscribed_topic_regex = nullptr;
    StringView server_assignor = nullptr;
    Array<TopicPartitions> topic_partitions = nullptr;  ///< what the member owns

    static constexpr ApiKey api_key = ApiKey::consumer_group_heartbeat;
    static constexpr Versions versions{.first = 0, .last = 1, .flexible = 0};

    static void fields(auto& io, auto& m) {
        io("group_id", m.group_id);
        io("member_id", m.member_id);
        io("member_epoch", m.member_epoch);
        io("instance_id", m.instance_id, always.nullable());
        io("rack_id", m.rack_id, always.nullable());
        io("rebalance_timeout_ms", m.rebalance_timeout_ms);
        io("subscribed_topic_names", m.subscribed_topic_names, always.nullable());
        io("subscribed_topic_regex", m.subscribed_topic_regex, since(1).nullable());
        io("server_assignor", m.server_assignor, always.nullable());
        io("topic_partitions", m.topic_partitions, always.nullable());
    }
};

struct ConsumerGroupHeartbeatResponse {
    using TopicPartitions = ConsumerGroupHeartbeatRequest::TopicPartitions;

    struct Assignment {
        Array<TopicPartitions> topic_partitions;

        static void fields(auto& io, auto& m) { io("topic_partitions", m.topic_partitions); }
    };

    std::int32_t throttle_time_ms = 0;
    ErrorCode error_code = ErrorCode::none;
    StringView error_message = nullptr;
    StringView member_id = nullptr;
    std::int32_t member_epoch = 0;
    std::int32_t heartbeat_interval_ms = 0;
    std::int8_t assignment_mark = -1;  ///< below 0: null, the assignment is as it was
    Assignment assignment;

    static constexpr ApiKey api_key = ApiKey::consumer_group_heartbeat;
    static constexpr Versions versions{.first = 0, .last = 1, .flexible = 0};

    static void fields(auto& io, auto& m) {
        io("throttle_time_ms", m.throttle_time_ms);
        io("error_code", m.error_code);
        io("error_message", m.error_message, always.nullable());
        io("member_id", m.member_id, always.nullable());
        io("member_epoch", m.member_epoch);
        io("heartbeat_interval_ms", m.heartbeat_interval_ms);
        io("assignment_mark", m.assignment_mark);
        if (m.assignment_mark >= 0) io("assignment", m.assignment);
    }
};

}  // namespace leat::wire
