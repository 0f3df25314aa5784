// DescribeQuorum (key 55): voters and observers of the metadata log (KIP-595, KIP-853).
#pragma once

#include "sdk/wire/codec.hpp"

namespace leat::wire {

struct DescribeQuorumRequest {
    struct TopicData {
        struct PartitionData {
            std::int32_t partition_index = 0;

            static void fields(auto& io, auto& m) { io("partition_index", m.partition_index); }
        };

        StringView topic_name;
        Array<PartitionData> partitions;

        static void fields(auto& io, auto& m) {
            io("topic_name", m.topic_name);
            io("partitions", m.partitions);
        }
    };

    Array<TopicData> topics;

    static constexpr ApiKey api_key = ApiKey::describe_quorum;
    static constexpr Versions versions{.first = 0, .last = 2, .flexible = 0};

    static void fields(auto& io, auto& m) { io("topics", m.topics); }
};

struct DescribeQuorumResponse {
    struct ReplicaState {
        std::int32_t replica_id = 0;
        Uuid replica_directory_id;
        std::int64_t log_end_offset = 0;
        std::int64_t last_fetch_timestamp = -1;
        std::int64_t last_caught_up_timestamp = -1;

        static void fields(auto& io, auto& m) {
            io("replica_id", m.replica_id);
            io("replica_directory_id", m.replica_directory_id, since(2));
            io("log_end_offset", m.log_end_offset);
            io("last_fetch_timestamp", m.last_fetch_timestamp, since(1));
            io("last_caught_up_timestamp", m.last_caught_up_timestamp, since(1));
        }
    };

    struct TopicData {
        struct PartitionData {
            std::int32_t partition_index = 0;
            ErrorCode error_code = ErrorCode::none;
            StringView error_message = nullptr;
            std::int32_t leader_id = 0;
            std::int32_t leader_epoch = 0;
            std::int64_t high_watermark = 0;
            Array<ReplicaState> current_voters;
            Array<ReplicaState> observers;

            static void fields(auto& io, auto& m) {
                io("partition_index", m.partition_index);
                io("error_code", m.error_code);
                io("error_message", m.error_message, since(2).nullable());
                io("leader_id", m.leader_id);
                io("leader_epoch", m.leader_epoch);
                io("high_watermark", m.high_watermark);
                io("current_voters", m.current_voters);
                io("observers", m.observers);
            }
        };

        StringView topic_name;
        Array<PartitionData> partitions;

        static void fields(auto& io, auto& m) {
            io("topic_name", m.topic_name);
            io("partitions", m.partitions);
        }
    };

    struct Node {
        struct Listener {
            StringView name;
            StringView host;
            std::uint16_t port = 0;

            static void fields(auto& io, auto& m) {
                io("name", m.name, since(2));
                io("host", m.host, since(2));
                io("port", m.port, since(2));
            }
        };

        std::int32_t node_id = 0;
        Array<Listener> listeners;

        static void fields(auto& io, auto& m) {
            io("node_id", m.node_id, since(2));
            io("listeners", m.listeners, since(2));
        }
    };

    ErrorCode error_code = ErrorCode::none;
    StringView error_message = nullptr;
    Array<TopicData> topics;
    Array<Node> nodes;

    static constexpr ApiKey api_key = ApiKey::describe_quorum;
    static constexpr Versions versions{.first = 0, .last = 2, .flexible = 0};

    static void fields(auto& io, auto& m) {
        io("error_code", m.error_code);
        io("error_message", m.error_message, since(2).nullable());
        io("topics", m.topics);
        io("nodes", m.nodes, since(2));
    }
};

}  // namespace leat::wire
