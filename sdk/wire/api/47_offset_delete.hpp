// OffsetDelete (key 47): forgets positions of a group. Never became flexible.
#pragma once

#include "sdk/wire/codec.hpp"

namespace leat::wire {

struct OffsetDeleteRequest {
    struct OffsetDeleteRequestPartition {
        std::int32_t partition_index = 0;

        static void fields(auto& io, auto& m) { io("partition_index", m.partition_index); }
    };

    struct OffsetDeleteRequestTopic {
        StringView name;
        Array<OffsetDeleteRequestPartition> partitions;

        static void fields(auto& io, auto& m) {
            io("name", m.name);
            io("partitions", m.partitions);
        }
    };

    StringView group_id;
    Array<OffsetDeleteRequestTopic> topics;

    static constexpr ApiKey api_key = ApiKey::offset_delete;
    static constexpr Versions versions{.first = 0, .last = 0};

    static void fields(auto& io, auto& m) {
        io("group_id", m.group_id);
        io("topics", m.topics);
    }
};

struct OffsetDeleteResponse {
    struct OffsetDeleteResponsePartition {
        std::int32_t partition_index = 0;
        ErrorCode error_code = ErrorCode::none;

        static void fields(auto& io, auto& m) {
            io("partition_index", m.partition_index);
            io("error_code", m.error_code);
        }
    };

    struct OffsetDeleteResponseTopic {
        StringView name;
        Array<OffsetDeleteResponsePartition> partitions;

        static void fields(auto& io, auto& m) {
            io("name", m.name);
            io("partitions", m.partitions);
        }
    };

    ErrorCode error_code = ErrorCode::none;
    std::int32_t throttle_time_ms = 0;
    Array<OffsetDeleteResponseTopic> topics;

    static constexpr ApiKey api_key = ApiKey::offset_delete;
    static constexpr Versions versions{.first = 0, .last = 0};

    static void fields(auto& io, auto& m) {
        io("error_code", m.error_code);
        io("throttle_time_ms", m.throttle_time_ms);
        io("topics", m.topics);
    }
};

}  // namespace leat::wire
