// DeleteRecords (key 21): moves the log start. Offset -1 means the high watermark.
#pragma once

#include "sdk/wire/codec.hpp"

namespace leat::wire {

struct DeleteRecordsRequest {
    struct DeleteRecordsPartition {
        std::int32_t partition_index = 0;
        std::int64_t offset = 0;  ///< -1: the high watermark

        static void fields(auto& io, auto& m) {
            io("partition_index", m.partition_index);
            io("offset", m.offset);
        }
    };

    struct DeleteRecordsTopic {
        StringView name;
        Array<DeleteRecordsPartition> partitions;

        static void fields(auto& io, auto& m) {
            io("name", m.name);
            io("partitions", m.partitions);
        }
    };

    Array<DeleteRecordsTopic> topics;
    std::int32_t timeout_ms = 0;

    static constexpr ApiKey api_key = ApiKey::delete_records;
    static constexpr Versions versions{.first = 0, .last = 2, .flexible = 2};

    static void fields(auto& io, auto& m) {
        io("topics", m.topics);
        io("timeout_ms", m.timeout_ms);
    }
};

struct DeleteRecordsResponse {
    struct DeleteRecordsPartitionResult {
        std::int32_t partition_index = 0;
        std::int64_t low_watermark = 0;
        ErrorCode error_code = ErrorCode::none;

        static void fields(auto& io, auto& m) {
            io("partition_index", m.partition_index);
            io("low_watermark", m.low_watermark);
            io("error_code", m.error_code);
        }
    };

    struct DeleteRecordsTopicResult {
        StringView name;
        Array<DeleteRecordsPartitionResult> partitions;

        static void fields(auto& io, auto& m) {
            io("name", m.name);
            io("partitions", m.partitions);
        }
    };

    std::int32_t throttle_time_ms = 0;
    Array<DeleteRecordsTopicResult> topics;

    static constexpr ApiKey api_key = ApiKey::delete_records;
    static constexpr Versions versions{.first = 0, .last = 2, .flexible = 2};

    static void fields(auto& io, auto& m) {
        io("throttle_time_ms", m.throttle_time_ms);
        io("topics", m.topics);
    }
};

}  // namespace leat::wire
