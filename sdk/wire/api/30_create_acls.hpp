// CreateAcls (key 30): adds rules of who may do what.
#pragma once

#include "sdk/wire/codec.hpp"

namespace leat::wire {

struct CreateAclsRequest {
    struct AclCreation {
        std::int8_t resource_type = 0;
        StringView resource_name;
        std::int8_t resource_pattern_type = 3;
        StringView principal;
        StringView host;
        std::int8_t operation = 0;
        std::int8_t permission_type = 0;

        static void fields(auto& io, auto& m) {
            io("resource_type", m.resource_type);
            io("resource_name", m.resource_name);
            io("resource_pattern_type", m.resource_pattern_type);
            io("principal", m.principal);
            io("host", m.host);
            io("operation", m.operation);
            io("permission_type", m.permission_type);
        }
    };

    Array<AclCreation> creations;

    static constexpr ApiKey api_key = ApiKey::create_acls;
    static constexpr Versions versions{.first = 1, .last = 3, .flexible = 2};

    static void fields(auto& io, auto& m) { io("creations", m.creations); }
};

struct CreateAclsResponse {
    struct AclCreationResult {
        ErrorCode error_code = ErrorCode::none;
        StringView error_message = nullptr;

        static void fields(auto& io, auto& m) {
            io("error_code", m.error_code);
            io("error_message", m.error_message, always.nullable());
        }
    };

    std::int32_t throttle_time_ms = 0;
    Array<AclCreationResult> results;

    static constexpr ApiKey api_key = ApiKey::create_acls;
    static constexpr Versions versions{.first = 1, .last = 3, .flexible = 2};

    static void fields(auto& io, auto& m) {
        io("throttle_time_ms", m.throttle_time_ms);
        io("results", m.results);
    }
};

}  // namespace leat::wire
