// CreatePartitions (key 37): raises a topic's number of partitions. `count` is the new total.
#pragma once

#include "sdk/wire/codec.hpp"

namespace leat::wire {

struct CreatePartitionsRequest {
    struct CreatePartitionsAssignment {
        Array<std::int32_t> broker_ids;

        static void fields(auto& io, auto& m) { io("broker_ids", m.broker_ids); }
    };

    struct CreatePartitionsTopic {
        StringView name;
        std::int32_t count = 0;
        Array<CreatePartitionsAssignment> assignments;  ///< null: the broker chooses

        static void fields(auto& io, auto& m) {
            io("name", m.name);
            io("count", m.count);
            io("assignments", m.assignments, always.nullable());
        }
    };

    Array<CreatePartitionsTopic> topics;
    std::int32_t timeout_ms = 0;
    bool validate_only = false;

    static constexpr ApiKey api_key = ApiKey::create_partitions;
    static constexpr Versions versions{.first = 0, .last = 3, .flexible = 2};

    static void fields(auto& io, auto& m) {
        io("topics", m.topics);
        io("timeout_ms", m.timeout_ms);
        io("validate_only", m.validate_only);
    }
};

struct CreatePartitionsResponse {
    struct CreatePartitionsTopicResult {
        StringView name;
        ErrorCode error_code = ErrorCode::none;
        StringView error_message = nullptr;

        static void fields(auto& io, auto& m) {
            io("name", m.name);
            io("error_code", m.error_code);
            io("error_message", m.error_message, always.nullable());
        }
    };

    std::int32_t throttle_time_ms = 0;
    Array<CreatePartitionsTopicResult> results;

    static constexpr ApiKey api_key = ApiKey::create_partitions;
    static constexpr Versions versions{.first = 0, .last = 3, .flexible = 2};

    static void fields(auto& io, auto& m) {
        io("throttle_time_ms", m.throttle_time_ms);
        io("results", m.results);
    }
};

}  // namespace leat::wire
