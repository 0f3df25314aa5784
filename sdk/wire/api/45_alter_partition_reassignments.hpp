// AlterPartitionReassignments (key 45): puts replicas of partitions on other brokers (KIP-455).
#pragma once

#include "sdk/wire/api/43_elect_leaders.hpp"
#include "sdk/wire/codec.hpp"

namespace leat::wire {

struct AlterPartitionReassignmentsRequest {
    struct ReassignableTopic {
        struct ReassignablePartition {
            std::int32_t partition_index = 0;
            Array<std::int32_t> replicas = nullptr;  // null: a move is called off

            static void fields(auto& io, auto& m) {
                io("partition_index", m.partition_index);
                io("replicas", m.replicas, always.nullable());
            }
        };

        StringView name;
        Array<ReassignablePartition> partitions;

        static void fields(auto& io, auto& m) {
            io("name", m.name);
            io("partitions", m.partitions);
        }
    };

    std::int32_t timeout_ms = 60000;
    bool allow_replication_factor_change = true;
    Array<ReassignableTopic> topics;

    static constexpr ApiKey api_key = ApiKey::alter_partition_reassignments;
    static constexpr Versions versions{.first = 0, .last = 1, .flexible = 0};

    static void fields(auto& io, auto& m) {
        io("timeout_ms", m.timeout_ms);
        io("allow_replication_factor_change", m.allow_replication_factor_change, since(1));
        io("topics", m.topics);
    }
};

struct AlterPartitionReassignmentsResponse {
    /// The same bytes, and so the same code.
    using ReassignableTopicResponse = ElectLeadersResponse::ReplicaElectionResult;

    std::int32_t throttle_time_ms = 0;
    bool allow_replication_factor_change = true;
    ErrorCode error_code = ErrorCode::none;
    StringView error_message = nullptr;
    Array<ReassignableTopicResponse> responses;

    static constexpr ApiKey api_key = ApiKey::alter_partition_reassignments;
    static constexpr Versions versions{.first = 0, .last = 1, .flexible = 0};

    static void fields(auto& io, auto& m) {
        io("throttle_time_ms", m.throttle_time_ms);
        io("allow_replication_factor_change", m.allow_replication_factor_change, since(1));
        io("error_code", m.error_code);
        io("error_message", m.error_message, always.nullable());
        io("responses", m.responses);
    }
};

}  // namespace leat::wire
