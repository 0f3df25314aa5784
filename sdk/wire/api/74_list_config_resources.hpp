// ListConfigResources (key 74): which resources have settings (KIP-714, KIP-1142).
#pragma once

#include "sdk/wire/codec.hpp"

namespace leat::wire {

struct ListConfigResourcesRequest {
    Array<std::int8_t> resource_types;

    static constexpr ApiKey api_key = ApiKey::list_config_resources;
    static constexpr Versions versions{.first = 0, .last = 1, .flexible = 0};

    static void fields(auto& io, auto& m) { io("resource_types", m.resource_types, since(1)); }
};

struct ListConfigResourcesResponse {
    struct ConfigResource {
        StringView resource_name;
        std::int8_t resource_type = 16;

        static void fields(auto& io, auto& m) {
            io("resource_name", m.resource_name);
            io("resource_type", m.resource_type, since(1));
        }
    };

    std::int32_t throttle_time_ms = 0;
    ErrorCode error_code = ErrorCode::none;
    Array<ConfigResource> config_resources;

    static constexpr ApiKey api_key = ApiKey::list_config_resources;
    static constexpr Versions versions{.first = 0, .last = 1, .flexible = 0};

    static void fields(auto& io, auto& m) {
        io("throttle_time_ms", m.throttle_time_ms);
        io("error_code", m.error_code);
        io("config_resources", m.config_resources);
    }
};

}  // namespace leat::wire
