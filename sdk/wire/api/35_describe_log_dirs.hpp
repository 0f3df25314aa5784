// DescribeLogDirs (key 35): where partitions lie, and how many bytes they take (KIP-113).
#pragma once

#include "sdk/wire/codec.hpp"

namespace leat::wire {

struct DescribeLogDirsRequest {
    struct DescribableLogDirTopic {
        StringView topic;
        Array<std::int32_t> partitions;

        static void fields(auto& io, auto& m) {
            io("topic", m.topic);
            io("partitions", m.partitions);
        }
    };

    Array<DescribableLogDirTopic> topics;

    static constexpr ApiKey api_key = ApiKey::describe_log_dirs;
    static constexpr Versions versions{.first = 1, .last = 5, .flexible = 2};

    static void fields(auto& io, auto& m) { io("topics", m.topics, always.nullable()); }
};

struct DescribeLogDirsResponse {
    struct DescribeLogDirsResult {
        struct DescribeLogDirsTopic {
            struct DescribeLogDirsPartition {
                std::int32_t partition_index = 0;
                std::int64_t partition_size = 0;
                std::int64_t offset_lag = 0;
                bool is_future_key = false;

                static void fields(auto& io, auto& m) {
                    io("partition_index", m.partition_index);
                    io("partition_size", m.partition_size);
                    io("offset_lag", m.offset_lag);
                    io("is_future_key", m.is_future_key);
                }
            };

            StringView name;
            Array<DescribeLogDirsPartition> partitions;

            static void fields(auto& io, auto& m) {
                io("name", m.name);
                io("partitions", m.partitions);
            }
        };

        ErrorCode error_code = ErrorCode::none;
        StringView log_dir;
        Array<DescribeLogDirsTopic> topics;
        std::int64_t total_bytes = -1;
        std::int64_t usable_bytes = -1;
        bool is_cordoned = false;

        static void fields(auto& io, auto& m) {
            io("error_code", m.error_code);
            io("log_dir", m.log_dir);
            io("topics", m.topics);
            io("total_bytes", m.total_bytes, since(4));
            io("usable_bytes", m.usable_bytes, since(4));
            io("is_cordoned", m.is_cordoned, since(5));
        }
    };

    std::int32_t throttle_time_ms = 0;
    ErrorCode error_code = ErrorCode::none;
    Array<DescribeLogDirsResult> results;

    static constexpr ApiKey api_key = ApiKey::describe_log_dirs;
    static constexpr Versions versions{.first = 1, .last = 5, .flexible = 2};

    static void fields(auto& io, auto& m) {
        io("throttle_time_ms", m.throttle_time_ms);
        io("error_code", m.error_code, since(3));
        io("results", m.results);
    }
};

}  // namespace leat::wire
