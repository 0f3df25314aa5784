// DeleteTopics (key 20): by name up to v5, by name or id from v6 (KIP-516).
#pragma once

#include "sdk/wire/codec.hpp"

namespace leat::wire {

struct DeleteTopicsRequest {
    struct DeleteTopicState {
        StringView name = nullptr;  ///< null: by id
        Uuid topic_id;

        static void fields(auto& io, auto& m) {
            io("name", m.name, always.nullable());
            io("topic_id", m.topic_id);
        }
    };

    Array<DeleteTopicState> topics;
    Array<StringView> topic_names;
    std::int32_t timeout_ms = 0;

    static constexpr ApiKey api_key = ApiKey::delete_topics;
    static constexpr Versions versions{.first = 1, .last = 6, .flexible = 4};

    static void fields(auto& io, auto& m) {
        io("topics", m.topics, since(6));
        io("topic_names", m.topic_names, until(5));
        io("timeout_ms", m.timeout_ms);
    }
};

struct DeleteTopicsResponse {
    struct DeletableTopicResult {
        StringView name;
        Uuid topic_id;
        ErrorCode error_code = ErrorCode::none;
        StringView error_message = nullptr;

        static void fields(auto& io, auto& m) {
            io("name", m.name, always.nullable(6));
            io("topic_id", m.topic_id, since(6));
            io("error_code", m.error_code);
            io("error_message", m.error_message, since(5).nullable());
        }
    };

    std::int32_t throttle_time_ms = 0;
    Array<DeletableTopicResult> responses;

    static constexpr ApiKey api_key = ApiKey::delete_topics;
    static constexpr Versions versions{.first = 1, .last = 6, .flexible = 4};

    static void fields(auto& io, auto& m) {
        io("throttle_time_ms", m.throttle_time_ms);
        io("responses", m.responses);
    }
};

}  // namespace leat::wire
