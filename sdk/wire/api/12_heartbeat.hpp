// Heartbeat (key 12): a member tells its group's coordinator that it lives.
#pragma once

#include "sdk/wire/codec.hpp"

namespace leat::wire {

struct HeartbeatRequest {
    StringView group_id;
    std::int32_t generation_id = 0;
    StringView member_id;
    StringView group_instance_id = nullptr;  ///< null: a dynamic member (KIP-345)

    static constexpr ApiKey api_key = ApiKey::heartbeat;
    static constexpr Versions versions{.first = 0, .last = 4, .flexible = 4};

    static void fields(auto& io, auto& m) {
        io("group_id", m.group_id);
        io("generation_id", m.generation_id);
        io("member_id", m.member_id);
        io("group_instance_id", m.group_instance_id, since(3).nullable());
    }
};

struct HeartbeatResponse {
    std::int32_t throttle_time_ms = 0;
    ErrorCode error_code = ErrorCode::none;

    static constexpr ApiKey api_key = ApiKey::heartbeat;
    static constexpr Versions versions{.first = 0, .last = 4, .flexible = 4};

    static void fields(auto& io, auto& m) {
        io("throttle_time_ms", m.throttle_time_ms, since(1));
        io("error_code", m.error_code);
    }
};

}  // namespace leat::wire
