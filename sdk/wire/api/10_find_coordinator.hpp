// FindCoordinator (key 10): which broker keeps a group or a transactional id.
//
// One key up to v3, many from v4 (KIP-699).
#pragma once

#include "sdk/wire/codec.hpp"

namespace leat::wire {

struct FindCoordinatorRequest {
    StringView key;
    std::int8_t key_type = 0;  ///< 0 group, 1 transactional id, 2 share group
    Array<StringView> coordinator_keys;

    static constexpr ApiKey api_key = ApiKey::find_coordinator;
    static constexpr Versions versions{.first = 0, .last = 6, .flexible = 3};

    static void fields(auto& io, auto& m) {
        io("key", m.key, until(3));
        io("key_type", m.key_type, since(1));
        io("coordinator_keys", m.coordinator_keys, since(4));
    }
};

struct FindCoordinatorResponse {
    struct Coordinator {
        StringView key;
        std::int32_t node_id = 0;
        StringView host;
        std::int32_t port = 0;
        ErrorCode error_code = ErrorCode::none;
        StringView error_message = nullptr;

        static void fields(auto& io, auto& m) {
            io("key", m.key);
            io("node_id", m.node_id);
            io("host", m.host);
            io("port", m.port);
            io("error_code", m.error_code);
            io("error_message", m.error_message, always.nullable());
        }
    };

    std::int32_t throttle_time_ms = 0;
    ErrorCode error_code = ErrorCode::none;
    StringView error_message = nullptr;
    std::int32_t node_id = 0;
    StringView host;
    std::int32_t port = 0;
    Array<Coordinator> coordinators;

    static constexpr ApiKey api_key = ApiKey::find_coordinator;
    static constexpr Versions versions{.first = 0, .last = 6, .flexible = 3};

    static void fields(auto& io, auto& m) {
        io("throttle_time_ms", m.throttle_time_ms, since(1));
        io("error_code", m.error_code, until(3));
        io("error_message", m.error_message, between(1, 3).nullable());
        io("node_id", m.node_id, until(3));
        io("host", m.host, until(3));
        io("port", m.port, until(3));
        io("coordinators", m.coordinators, since(4));
    }
};

}  // namespace leat::wire
