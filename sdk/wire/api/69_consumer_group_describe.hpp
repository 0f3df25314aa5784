// ConsumerGroupDescribe (key 69, KIP-848): members, epochs and assignments of consumer groups, for
// tools.
#pragma once

#include <limits>

#include "sdk/wire/codec.hpp"

namespace leat::wire {

struct ConsumerGroupDescribeRequest {
    Array<StringView> group_ids;
    bool include_authorized_operations = false;

    static constexpr ApiKey api_key = ApiKey::consumer_group_describe;
    static constexpr Versions versions{.first = 0, .last = 1, .flexible = 0};

    static void fields(auto& io, auto& m) {
        io("group_ids", m.group_ids);
        io("include_authorized_operations", m.include_authorized_operations);
    }
};

struct ConsumerGroupDescribeResponse {
    struct TopicPartitions {
        Uuid topic_id;
        StringView topic_name;
        Array<std::int32_t> partitions;

        static void fields(auto& io, auto& m) {
            io("topic_id", m.topic_id);
            io("topic_name", m.topic_name);
            io("partitions", m.partitions);
        }
    };

    struct Assignment {
        Array<TopicPartitions> topic_partitions;

        static void fields(auto& io, auto& m) { io("topic_partitions", m.topic_partitions); }
    };

    struct Member {
        StringView member_id;
        StringView instance_id = nullptr;
        StringView rack_id = nullptr;
        std::int32_t member_epoch = 0;
        StringView client_id;
        StringView client_host;
        Array<StringView> subscribed_topic_names;
        StringView subscribed_topic_regex = nullptr;
        Assignment assignment;
        Assignment target_assignment;
        std::int8_t member_type = -1;  ///< 0: classic protocol, 1: consumer protocol (KIP-1099)

        static void fields(auto& io, auto& m) {
            io("member_id", m.member_id);
            io("instance_id", m.instance_id, always.nullable());
            io("rack_id", m.rack_id, always.nullable());
            io("member_epoch", m.member_epoch);
            io("client_id", m.client_id);
            io("client_host", m.client_host);
            io("subscribed_topic_names", m.subscribed_topic_names);
            io("subscribed_topic_regex", m.subscribed_topic_regex, always.nullable());
            io("assignment", m.assignment);
            io("target_assignment", m.target_assignment);
            io("member_type", m.member_type, since(1));
        }
    };

    struct DescribedGroup {
        ErrorCode error_code = ErrorCode::none;
        StringView error_message = nullptr;
        StringView group_id;
        StringView group_state;
        std::int32_t group_epoch = 0;
        std::int32_t assignment_epoch = 0;
        StringView assignor_name;
        Array<Member> members;
        std::int32_t authorized_operations = std::numeric_limits<std::int32_t>::min();

        static void fields(auto& io, auto& m) {
            io("error_code", m.error_code);
            io("error_message", m.error_message, always.nullable());
            io("group_id", m.group_id);
            io("group_state", m.group_state);
            io("group_epoch", m.group_epoch);
            io("assignment_epoch", m.assignment_epoch);
            io("assignor_name", m.assignor_name);
            io("members", m.members);
            io("authorized_operations", m.authorized_operations);
        }
    };

    std::int32_t throttle_time_ms = 0;
    Array<DescribedGroup> groups;

    static constexpr ApiKey api_key = ApiKey::consumer_group_describe;
    static constexpr Versions versions{.first = 0, .last = 1, .flexible = 0};

    static void fields(auto& io, auto& m) {
        io("throttle_time_ms", m.throttle_time_ms);
        io("groups", m.groups);
    }
};

}  // namespace leat::wire
