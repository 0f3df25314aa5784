// DeleteAcls (key 31): removes the rules that match.
#pragma once

#include "sdk/wire/codec.hpp"

namespace leat::wire {

struct DeleteAclsRequest {
    struct DeleteAclsFilter {
        std::int8_t resource_type_filter = 0;
        StringView resource_name_filter = nullptr;
        std::int8_t pattern_type_filter = 3;
        StringView principal_filter = nullptr;
        StringView host_filter = nullptr;
        std::int8_t operation = 0;
        std::int8_t permission_type = 0;

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

    Array<DeleteAclsFilter> filters;

    static constexpr ApiKey api_key = ApiKey::delete_acls;
    static constexpr Versions versions{.first = 1, .last = 3, .flexible = 2};

    static void fields(auto& io, auto& m) { io("filters", m.filters); }
};

struct DeleteAclsResponse {
    struct DeleteAclsFilterResult {
        struct DeleteAclsMatchingAcl {
            ErrorCode error_code = ErrorCode::none;
            StringView error_message = nullptr;
            std::int8_t resource_type = 0;
            StringView resource_name;
            std::int8_t pattern_type = 3;
            StringView principal;
            StringView host;
            std::int8_t operation = 0;
            std::int8_t permission_type = 0;

            static void fields(auto& io, auto& m) {
                io("error_code", m.error_code);
                io("error_message", m.error_message, always.nullable());
                io("resource_type", m.resource_type);
                io("resource_name", m.resource_name);
                io("pattern_type", m.pattern_type);
                io("principal", m.principal);
                io("host", m.host);
                io("operation", m.operation);
                io("permission_type", m.permission_type);
            }
        };

        ErrorCode error_code = ErrorCode::none;
        StringView error_message = nullptr;
        Array<DeleteAclsMatchingAcl> matching_acls;

        static void fields(auto& io, auto& m) {
            io("error_code", m.error_code);
            io("error_message", m.error_message, always.nullable());
            io("matching_acls", m.matching_acls);
        }
    };

    std::int32_t throttle_time_ms = 0;
    Array<DeleteAclsFilterResult> filter_results;

    static constexpr ApiKey api_key = ApiKey::delete_acls;
    static constexpr Versions versions{.first = 1, .last = 3, .flexible = 2};

    static void fields(auto& io, auto& m) {
        io("throttle_time_ms", m.throttle_time_ms);
        io("filter_results", m.filter_results);
    }
};

}  // namespace leat::wire
