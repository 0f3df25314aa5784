// SyncGroup (key 14): the leader hands in what each member shall do, each member gets its part.
#pragma once

#include "sdk/wire/codec.hpp"

namespace leat::wire {

struct SyncGroupRequest {
    struct SyncGroupRequestAssignment {
        StringView member_id;
        BytesView assignment;

        static void fields(auto& io, auto& m) {
            io("member_id", m.member_id);
            io("assignment", m.assignment);
        }
    };

    StringView group_id;
    std::int32_t generation_id = 0;
    StringView member_id;
    StringView group_instance_id = nullptr;
    StringView protocol_type = nullptr;
    StringView protocol_name = nullptr;
    Array<SyncGroupRequestAssignment> assignments;  ///< empty for all but the leader

    static constexpr ApiKey api_key = ApiKey::sync_group;
    static constexpr Versions versions{.first = 0, .last = 5, .flexible = 4};

    static void fields(auto& io, auto& m) {
        io("group_id", m.group_id);
        io("generation_id", m.generation_id);
        io("member_id", m.member_id);
        io("group_instance_id", m.group_instance_id, since(3).nullable());
        io("protocol_type", m.protocol_type, since(5).nullable());
        io("protocol_name", m.protocol_name, since(5).nullable());
        io("assignments", m.assignments);
    }
};

struct SyncGroupResponse {
    std::int32_t throttle_time_ms = 0;
    ErrorCode error_code = ErrorCode::none;
    StringView protocol_type = nullptr;
    StringView protocol_name = nullptr;
    BytesView assignment;

    static constexpr ApiKey api_key = ApiKey::sync_group;
    static constexpr Versions versions{.first = 0, .last = 5, .flexible = 4};

    static void fields(auto& io, auto& m) {
        io("throttle_time_ms", m.throttle_time_ms, since(1));
        io("error_code", m.error_code);
        io("protocol_type", m.protocol_type, since(5).nullable());
        io("protocol_name", m.protocol_name, since(5).nullable());
        io("assignment", m.assignment);
    }
};

}  // namespace leat::wire
