// ListPartitionReassignments (key 46): moves of replicas that are going on (KIP-455).
#pragma once

#include "sdk/wire/codec.hpp"

namespace leat::wire {

struct ListPartitionReassignmentsRequest {
    struct ListPartitionReassignmentsTopics {
        StringView name;
        Array<std::int32_t> partition_indexes;

        static void fields(auto& io, auto& m) {
            io("name", m.name);
            io("partition_indexes", m.partition_indexes);
        }
    };

    std::int32_t timeout_ms = 60000;
    Array<ListPartitionReassignmentsTopics> topics;

    static constexpr ApiKey api_key = ApiKey::list_partition_reassignments;
    static constexpr Versions versions{.first = 0, .last = 0, .flexible = 0};

    static void fields(auto& io, auto& m) {
        io("timeout_ms", m.timeout_ms);
        io("topics", m.topics, always.nullable());
    }
};

struct ListPartitionReassignmentsResponse {
    struct OngoingTopicReassignment {
        struct OngoingPartitionReassignment {
            std::int32_t partition_index = 0;
            Array<std::int32_t> replicas;
            Array<std::int32_t> adding_replicas;
            Array<std::int32_t> removing_replicas;

            static void fields(auto& io, auto& m) {
                io("partition_index", m.partition_index);
                io("replicas", m.replicas);
                io("adding_replicas", m.adding_replicas);
                io("removing_replicas", m.removing_replicas);
            }
        };

        StringView name;
        Array<OngoingPartitionReassignment> partitions;

        static void fields(auto& io, auto& m) {
            io("name", m.name);
            io("partitions", m.partitions);
        }
    };

    std::int32_t throttle_time_ms = 0;
    ErrorCode error_code = ErrorCode::none;
    StringView error_message = nullptr;
    Array<OngoingTopicReassignment> topics;

    static constexpr ApiKey api_key = ApiKey::list_partition_reassignments;
    static constexpr Versions versions{.first = 0, .last = 0, .flexible = 0};

    static void fields(auto& io, auto& m) {
        io("throttle_time_ms", m.throttle_time_ms);
        io("error_code", m.error_code);
        io("error_message", m.error_message, always.nullable());
        io("topics", m.topics);
    }
};

}  // namespace leat::wire
