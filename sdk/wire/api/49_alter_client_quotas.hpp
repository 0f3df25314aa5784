// AlterClientQuotas (key 49): sets or removes bounds on clients' rates (KIP-546).
#pragma once

#include "sdk/wire/codec.hpp"

namespace leat::wire {

struct AlterClientQuotasRequest {
    struct EntryData {
        struct EntityData {
            StringView entity_type;
            StringView entity_name = nullptr;

            static void fields(auto& io, auto& m) {
                io("entity_type", m.entity_type);
                io("entity_name", m.entity_name, always.nullable());
            }
        };

        struct OpData {
            StringView key;
            double value = 0;
            bool remove = false;

            static void fields(auto& io, auto& m) {
                io("key", m.key);
                io("value", m.value);
                io("remove", m.remove);
            }
        };

        Array<EntityData> entity;
        Array<OpData> ops;

        static void fields(auto& io, auto& m) {
            io("entity", m.entity);
            io("ops", m.ops);
        }
    };

    Array<EntryData> entries;
    bool validate_only = false;

    static constexpr ApiKey api_key = ApiKey::alter_client_quotas;
    static constexpr Versions versions{.first = 0, .last = 1, .flexible = 1};

    static void fields(auto& io, auto& m) {
        io("entries", m.entries);
        io("validate_only", m.validate_only);
    }
};

struct AlterClientQuotasResponse {
    struct EntryData {
        struct EntityData {
            StringView entity_type;
            StringView entity_name = nullptr;

            static void fields(auto& io, auto& m) {
                io("entity_type", m.entity_type);
                io("entity_name", m.entity_name, always.nullable());
            }
        };

        ErrorCode error_code = ErrorCode::none;
        StringView error_message = nullptr;
        Array<EntityData> entity;

        static void fields(auto& io, auto& m) {
            io("error_code", m.error_code);
            io("error_message", m.error_message, always.nullable());
            io("entity", m.entity);
        }
    };

    std::int32_t throttle_time_ms = 0;
    Array<EntryData> entries;

    static constexpr ApiKey api_key = ApiKey::alter_client_quotas;
    static constexpr Versions versions{.first = 0, .last = 1, .flexible = 1};

    static void fields(auto& io, auto& m) {
        io("throttle_time_ms", m.throttle_time_ms);
        io("entries", m.entries);
    }
};

}  // namespace leat::wire
