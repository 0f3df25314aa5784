// ElectLeaders (key 43): asks for other leaders of partitions (KIP-460).
#pragma once

#include "sdk/wire/api/61_describe_producers.hpp"
#include "sdk/wire/codec.hpp"

namespace leat::wire {

struct ElectLeadersRequest {
    /// A topic's name and partitions: the same bytes, and so the same code.
    using TopicPartitions = DescribeProducersRequest::TopicRequest;

    std::int8_t election_type = 0;  // 0: the preferred replica, 1: a live one that is not in sync
    Array<TopicPartitions> topic_partitions;
    std::int32_t timeout_ms = 60000;

    static constexpr ApiKey api_key = ApiKey::elect_leaders;
    static constexpr Versions versions{.first = 0, .last = 2, .flexible = 2};

    static void fields(auto& io, auto& m) {
        io("election_type", m.election_type, since(1));
        io("topic_partitions", m.topic_partitions, always.nullable());
        io("timeout_ms", m.timeout_ms);
    }
};

struct ElectLeadersResponse {
    struct ReplicaElectionResult {
        struct PartitionResult {
            std::int32_t partition_id = 0;
            ErrorCode error_code = ErrorCode::none;
            StringView error_message = nullptr;

            static void fields(auto& io, auto& m) {
                io("partition_id", m.partition_id);
                io("error_code", m.error_code);
                io("error_message", m.error_message, always.nullable());
            }
        };

        StringView topic;
        Array<PartitionResult> partition_result;

        static void fields(auto& io, auto& m) {
            io("topic", m.topic);
            io("partition_result", m.partition_result);
        }
    };

    std::int32_t throttle_time_ms = 0;
    ErrorCode error_code = ErrorCode::none;
    Array<ReplicaElectionResult> replica_election_results;

    static constexpr ApiKey api_key = ApiKey::elect_leaders;
    static constexpr Versions versions{.first = 0, .last = 2, .flexible = 2};

    static void fields(auto& io, auto& m) {
        io("throttle_time_ms", m.throttle_time_ms);
        io("error_code", m.error_code, since(1));
        io("replica_election_results", m.replica_election_results);
    }
};

}  // namespace leat::wire
