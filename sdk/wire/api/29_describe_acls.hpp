// DescribeAcls (key 29): who may do what. Without an authorizer: SECURITY_DISABLED.
#pragma once

#include "sdk/wire/codec.hpp"

namespace leat::wire {

struct DescribeAclsRequest {
    std::int8_t resource_type_filter = 0;
    StringView resource_name_filter = nullptr;
    std::int8_t pattern_type_filter = 3;
    StringView principal_filter = nullptr;
    StringView host_filter = nullptr;
    std::int8_t operation = 0;
    std::int8_t permission_type = 0;

    static constexpr ApiKey api_key = ApiKey::describe_acls;
    static constexpr Versions versions{.first = 1, .last = 3, .flexible = 2};

    static void fields(auto& io, auto& m) {
        io("resource_type_filter", m.resource_type_filter);
        io("resource_name_filter", m.resource_name_filter, always.nullable());
        io("pattern_type_filter", m.pattern_type_filter);
        io("principal_filter", m.principal_filter, always.nullable());
        io("host_filter", m.host_filter, always.nullable());
        io("operation", m.operation);
        io("permission_type", m.permission_type);
    }
};

struct DescribeAclsResponse {
    struct DescribeAclsResource {
        struct AclDescription {
            StringView principal;
            StringView host;
            std::int8_t operation = 0;
            std::int8_t permission_type = 0;

            static void fields(auto& io, auto& m) {
                io("principal", m.principal);
                io("host", m.host);
                io("operation", m.operation);
                io("permission_type", m.permission_type);
            }
        };

        std::int8_t resource_type = 0;
        StringView resource_name;
        std::int8_t pattern_type = 3;
        Array<AclDescription> acls;

        static void fields(auto& io, auto& m) {
            io("resource_type", m.resource_type);
            io("resource_name", m.resource_name);
            io("pattern_type", m.pattern_type);
            io("acls", m.acls);
        }
    };

    std::int32_t throttle_time_ms = 0;
    ErrorCode error_code = ErrorCode::none;
    StringView error_message = nullptr;
    Array<DescribeAclsResource> resources;

    static constexpr ApiKey api_key = ApiKey::describe_acls;
    static constexpr Versions versions{.first = 1, .last = 3, .flexible = 2};

    static void fields(auto& io, auto& m) {
        io("throttle_time_ms", m.throttle_time_ms);
        io("error_code", m.error_code);
        io("error_message", m.error_message, always.nullable());
        io("resources", m.resources);
    }
};

}  // namespace leat::wire
