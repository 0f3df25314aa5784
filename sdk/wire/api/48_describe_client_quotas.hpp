// DescribeClientQuotas (key 48): bounds on clients' rates by user and client id (KIP-546).
#pragma once

#include "sdk/wire/codec.hpp"

namespace leat::wire {

struct DescribeClientQuotasRequest {
    struct ComponentData {
        StringView entity_type;
        std::int8_t match_type = 0;
        StringView match = nullptr;

        static void fields(auto& io, auto& m) {
            io("entity_type", m.entity_type);
            io("match_type", m.match_type);
            io("match", m.match, always.nullable());
        }
    };

    Array<ComponentData> components;
    bool strict = false;

    static constexpr ApiKey api_key = ApiKey::describe_client_quotas;
    static constexpr Versions versions{.first = 0, .last = 1, .flexible = 1};

    static void fields(auto& io, auto& m) {
        io("components", m.components);
        io("strict", m.strict);
    }
};

struct DescribeClientQuotasResponse {
    struct EntryData {
        struct EntityData {
            StringView entity_type;
            StringView entity_name = nullptr;

            static void fields(auto& io, auto& m) {
                io("entity_type", m.entity_type);
                io("entity_name", m.entity_name, always.nullable());
            }
        };

        struct ValueData {
            StringView key;
            double value = 0;

            static void fields(auto& io, auto& m) {
                io("key", m.key);
                io("value", m.value);
            }
        };

        Array<EntityData> entity;
        Array<ValueData> values;

        static void fields(auto& io, auto& m) {
            io("entity", m.entity);
            io("values", m.values);
        }
    };

    std::int32_t throttle_time_ms = 0;
    ErrorCode error_code = ErrorCode::none;
    StringView error_message = nullptr;
    Array<EntryData> entries;

    static constexpr ApiKey api_key = ApiKey::describe_client_quotas;
    static constexpr Versions versions{.first = 0, .last = 1, .flexible = 1};

    static void fields(auto& io, auto& m) {
        io("throttle_time_ms", m.throttle_time_ms);
        io("error_code", m.error_code);
        io("error_message", m.error_message, always.nullable());
        io("entries", m.entries, always.nullable());
    }
};

}  // namespace leat::wire
