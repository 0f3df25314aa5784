// Produce (key 0): records to partitions, and their base offsets back.
//
// `records` is one RecordBatch v2 per partition. acks 0 has no response at all.
#pragma once

#include "sdk/wire/codec.hpp"

namespace leat::wire {

struct ProduceRequest {
    struct PartitionProduceData {
        std::int32_t index = 0;
        BytesView records;  ///< null or one whole RecordBatch

        static void fields(auto& io, auto& m) {
            io("index", m.index);
            io("records", m.records, always.nullable());
        }
    };

    struct TopicProduceData {
        StringView name;
        Uuid topic_id;
        Array<PartitionProduceData> partition_data;

        static void fields(auto& io, auto& m) {
            io("name", m.name, until(12));
            io("topic_id", m.topic_id, since(13));
            io("partition_data", m.partition_data);
        }
    };

    StringView transactional_id = nullptr;  ///< null: not transactional
    std::int16_t acks = 0;  ///< 0 none, 1 leader, -1 all in sync; nothing else is valid
    std::int32_t timeout_ms = 0;
    Array<TopicProduceData> topic_data;

    static constexpr ApiKey api_key = ApiKey::produce;
    static constexpr Versions versions{.first = 3, .last = 13, .flexible = 9};

    static void fields(auto& io, auto& m) {
        io("transactional_id", m.transactional_id, always.nullable());
        io("acks", m.acks);
        io("timeout_ms", m.timeout_ms);
        io("topic_data", m.topic_data);
    }
};

struct ProduceResponse {
    struct BatchIndexAndErrorMessage {
        std::int32_t batch_index = 0;
        StringView batch_index_error_message = nullptr;

        static void fields(auto& io, auto& m) {
            io("batch_index", m.batch_index);
            io("batch_index_error_message", m.batch_index_error_message, always.nullable());
        }
    };

    struct LeaderIdAndEpoch {
        std::int32_t leader_id = -1;
        std::int32_t leader_epoch = -1;

        static void fields(auto& io, auto& m) {
            io("leader_id", m.leader_id);
            io("leader_epoch", m.leader_epoch);
        }
        bool operator==(const LeaderIdAndEpoch&) const = default;
    };

    struct PartitionProduceResponse {
        std::int32_t index = 0;
        ErrorCode error_code = ErrorCode::none;
        std::int64_t base_offset = 0;          ///< -1 on error
        std::int64_t log_append_time_ms = -1;  ///< -1 for CreateTime
        std::int64_t log_start_offset = -1;
        /// which records made the batch fail (KIP-467)
        Array<BatchIndexAndErrorMessage> record_errors;
        StringView error_message = nullptr;
        LeaderIdAndEpoch current_leader;

        static void fields(auto& io, auto& m) {
            io("index", m.index);
            io("error_code", m.error_code);
            io("base_offset", m.base_offset);
            io("log_append_time_ms", m.log_append_time_ms);
            io("log_start_offset", m.log_start_offset, since(5));
            io("record_errors", m.record_errors, since(8));
            io("error_message", m.error_message, since(8).nullable());
        }
        static constexpr void tags(auto& io, auto& m) {
            io(0, "current_leader", m.current_leader, since(10));
        }
    };

    struct TopicProduceResponse {
        StringView name;
        Uuid topic_id;
        Array<PartitionProduceResponse> partition_responses;

        static void fields(auto& io, auto& m) {
            io("name", m.name, until(12));
            io("topic_id", m.topic_id, since(13));
            io("partition_responses", m.partition_responses);
        }
    };

    struct NodeEndpoint {
        std::int32_t node_id = 0;
        StringView host;
        std::int32_t port = 0;
        StringView rack = nullptr;

        static void fields(auto& io, auto& m) {
            io("node_id", m.node_id);
            io("host", m.host);
            io("port", m.port);
            io("rack", m.rack, always.nullable());
        }
    };

    Array<TopicProduceResponse> responses;
    std::int32_t throttle_time_ms = 0;
    Array<NodeEndpoint> node_endpoints;  ///< of the leaders named above (KIP-951)

    static constexpr ApiKey api_key = ApiKey::produce;
    static constexpr Versions versions{.first = 3, .last = 13, .flexible = 9};

    static void fields(auto& io, auto& m) {
        io("responses", m.responses);
        io("throttle_time_ms", m.throttle_time_ms);
    }
    static constexpr void tags(auto& io, auto& m) {
        io(0, "node_endpoints", m.node_endpoints, since(10));
    }
};

}  // namespace leat::wire
