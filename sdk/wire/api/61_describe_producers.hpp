// DescribeProducers (key 61): the idempotent producers that a partition remembers (KIP-664).
#pragma once

#include "sdk/wire/codec.hpp"

namespace leat::wire {

struct DescribeProducersRequest {
    struct TopicRequest {
        StringView name;
        Array<std::int32_t> partition_indexes;

        static void fields(auto& io, auto& m) {
            io("name", m.name);
            io("partition_indexes", m.partition_indexes);
        }
    };

    Array<TopicRequest> topics;

    static constexpr ApiKey api_key = ApiKey::describe_producers;
    static constexpr Versions versions{.first = 0, .last = 0, .flexible = 0};

    static void fields(auto& io, auto& m) { io("topics", m.topics); }
};

struct DescribeProducersResponse {
    struct TopicResponse {
        struct PartitionResponse {
            struct ProducerState {
                std::int64_t producer_id = 0;
                std::int32_t producer_epoch = 0;
                std::int32_t last_sequence = -1;
                std::int64_t last_timestamp = -1;
                std::int32_t coordinator_epoch = 0;
                std::int64_t current_txn_start_offset = -1;

                static void fields(auto& io, auto& m) {
                    io("producer_id", m.producer_id);
                    io("producer_epoch", m.producer_epoch);
                    io("last_sequence", m.last_sequence);
                    io("last_timestamp", m.last_timestamp);
                    io("coordinator_epoch", m.coordinator_epoch);
                    io("current_txn_start_offset", m.current_txn_start_offset);
                }
            };

            std::int32_t partition_index = 0;
            ErrorCode error_code = ErrorCode::none;
            StringView error_message = nullptr;
            Array<ProducerState> active_producers;

            static void fields(auto& io, auto& m) {
                io("partition_index", m.partition_index);
                io("error_code", m.error_code);
                io("error_message", m.error_message, always.nullable());
                io("active_producers", m.active_producers);
            }
        };

        StringView name;
        Array<PartitionResponse> partitions;

        static void fields(auto& io, auto& m) {
            io("name", m.name);
            io("partitions", m.partitions);
        }
    };

    std::int32_t throttle_time_ms = 0;
    Array<TopicResponse> topics;

    static constexpr ApiKey api_key = ApiKey::describe_producers;
    static constexpr Versions versions{.first = 0, .last = 0, .flexible = 0};

    static void fields(auto& io, auto& m) {
        io("throttle_time_ms", m.throttle_time_ms);
        io("topics", m.topics);
    }
};

}  // namespace leat::wire
