// AlterConfigs (key 33): replaces all settings of a resource at once; key 44 took its place
// (KIP-339).
#pragma once

#include "sdk/wire/codec.hpp"

namespace leat::wire {

struct AlterConfigsRequest {
    struct AlterConfigsResource {
        struct AlterableConfig {
            StringView name;
            StringView value = nullptr;

            static void fields(auto& io, auto& m) {
                io("name", m.name);
                io("value", m.value, always.nullable());
            }
        };

        std::int8_t resource_type = 0;
        StringView resource_name;
        Array<AlterableConfig> configs;

        static void fields(auto& io, auto& m) {
            io("resource_type", m.resource_type);
            io("resource_name", m.resource_name);
            io("configs", m.configs);
        }
    };

    Array<AlterConfigsResource> resources;
    bool validate_only = false;

    static constexpr ApiKey api_key = ApiKey::alter_configs;
    static constexpr Versions versions{.first = 0, .last = 2, .flexible = 2};

    static void fields(auto& io, auto& m) {
        io("resources", m.resources);
        io("validate_only", m.validate_only);
    }
};

struct AlterConfigsResponse {
    struct AlterConfigsResourceResponse {
        ErrorCode error_code = ErrorCode::none;
        StringView error_message = nullptr;
        std::int8_t resource_type = 0;
        StringView resource_name;

        static void fields(auto& io, auto& m) {
            io("error_code", m.error_code);
            io("error_message", m.error_message, always.nullable());
            io("resource_type", m.resource_type);
            io("resource_name", m.resource_name);
        }
    };

    std::int32_t throttle_time_ms = 0;
    Array<AlterConfigsResourceResponse> responses;

    static constexpr ApiKey api_key = ApiKey::alter_configs;
    static constexpr Versions versions{.first = 0, .last = 2, .flexible = 2};

    static void fields(auto& io, auto& m) {
        io("throttle_time_ms", m.throttle_time_ms);
        io("responses", m.responses);
    }
};

}  // namespace leat::wire
