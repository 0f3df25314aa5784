// DescribeGroups (key 15): state and members of groups, for tools.
#pragma once

#include <limits>

#include "sdk/wire/codec.hpp"

namespace leat::wire {

struct DescribeGroupsRequest {
    Array<StringView> groups;
    bool include_authorized_operations = false;

    static constexpr ApiKey api_key = ApiKey::describe_groups;
    static constexpr Versions versions{.first = 0, .last = 6, .flexible = 5};

    static void fields(auto& io, auto& m) {
        io("groups", m.groups);
        io("include_authorized_operations", m.include_authorized_operations, since(3));
    }
};

struct DescribeGroupsResponse {
    struct DescribedGroupMember {
        StringView member_id;
        StringView group_instance_id = nullptr;
        StringView client_id;
        StringView client_host;
        BytesView member_metadata;
        BytesView member_assignment;

        static void fields(auto& io, auto& m) {
            io("member_id", m.member_id);
            io("group_instance_id", m.group_instance_id, since(4).nullable());
            io("client_id", m.client_id);
            io("client_host", m.client_host);
            io("member_metadata", m.member_metadata);
            io("member_assignment", m.member_assignment);
        }
    };

    struct DescribedGroup {
        ErrorCode error_code = ErrorCode::none;
        StringView error_message = nullptr;
        StringView group_id;
        StringView group_state;
        StringView protocol_type;
        StringView protocol_data;
        Array<DescribedGroupMember> members;
        std::int32_t authorized_operations = std::numeric_limits<std::int32_t>::min();

        static void fields(auto& io, auto& m) {
            io("error_code", m.error_code);
            io("error_message", m.error_message, since(6).nullable());
            io("group_id", m.group_id);
            io("group_state", m.group_state);
            io("protocol_type", m.protocol_type);
            io("protocol_data", m.protocol_data);
            io("members", m.members);
            io("authorized_operations", m.authorized_operations, since(3));
        }
    };

    std::int32_t throttle_time_ms = 0;
    Array<DescribedGroup> groups;

    static constexpr ApiKey api_key = ApiKey::describe_groups;
    static constexpr Versions versions{.first = 0, .last = 6, .flexible = 5};

    static void fields(auto& io, auto& m) {
        io("throttle_time_ms", m.throttle_time_ms, since(1));
        io("groups", m.groups);
    }
};

}  // namespace leat::wire
