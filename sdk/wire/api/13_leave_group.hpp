// LeaveGroup (key 13): members go. One up to v2, many from v3.
#pragma once

#include "sdk/wire/codec.hpp"

namespace leat::wire {

struct LeaveGroupRequest {
    struct MemberIdentity {
        StringView member_id;
        StringView group_instance_id = nullptr;
        StringView reason = nullptr;

        static void fields(auto& io, auto& m) {
            io("member_id", m.member_id);
            io("group_instance_id", m.group_instance_id, always.nullable());
            io("reason", m.reason, since(5).nullable());
        }
    };

    StringView group_id;
    StringView member_id;
    Array<MemberIdentity> members;

    static constexpr ApiKey api_key = ApiKey::leave_group;
    static constexpr Versions versions{.first = 0, .last = 5, .flexible = 4};

    static void fields(auto& io, auto& m) {
        io("group_id", m.group_id);
        io("member_id", m.member_id, until(2));
        io("members", m.members, since(3));
    }
};

struct LeaveGroupResponse {
    struct MemberResponse {
        StringView member_id;
        StringView group_instance_id = nullptr;
        ErrorCode error_code = ErrorCode::none;

        static void fields(auto& io, auto& m) {
            io("member_id", m.member_id);
            io("group_instance_id", m.group_instance_id, always.nullable());
            io("error_code", m.error_code);
        }
    };

    std::int32_t throttle_time_ms = 0;
    ErrorCode error_code = ErrorCode::none;
    Array<MemberResponse> members;

    static constexpr ApiKey api_key = ApiKey::leave_group;
    static constexpr Versions versions{.first = 0, .last = 5, .flexible = 4};

    static void fields(auto& io, auto& m) {
        io("throttle_time_ms", m.throttle_time_ms, since(1));
        io("error_code", m.error_code);
        io("members", m.members, since(3));
    }
};

}  // namespace leat::wire
