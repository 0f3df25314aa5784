// Fetch (key 1): records from partitions, waited for up to max_wait_ms.
//
// A broker may decline fetch sessions (KIP-227) by answering session_id 0. Topics are named up to
// v12 and identified from v13 (KIP-516).
#pragma once

#include <limits>

#include "sdk/wire/codec.hpp"

namespace leat::wire {

struct FetchRequest {
    struct ReplicaState {
        std::int32_t replica_id = -1;
        std::int64_t replica_epoch = -1;

        static void fields(auto& io, auto& m) {
            io("replica_id", m.replica_id);
            io("replica_epoch", m.replica_epoch);
        }
        bool operator==(const ReplicaState&) const = default;
    };

    struct FetchPartition {
        std::int32_t partition = 0;
        std::int32_t current_leader_epoch = -1;  ///< -1: do not check (KIP-320)
        std::int64_t fetch_offset = 0;
        std::int32_t last_fetched_epoch = -1;
        std::int64_t log_start_offset = -1;
        std::int32_t partition_max_bytes = 0;
        Uuid replica_directory_id;
        std::int64_t high_watermark = std::numeric_limits<std::int64_t>::max();

        static void fields(auto& io, auto& m) {
            io("partition", m.partition);
            io("current_leader_epoch", m.current_leader_epoch, since(9));
            io("fetch_offset", m.fetch_offset);
            io("last_fetched_epoch", m.last_fetched_epoch, since(12));
            io("log_start_offset", m.log_start_offset, since(5));
            io("partition_max_bytes", m.partition_max_bytes);
        }
        static constexpr void tags(auto& io, auto& m) {
            io(0, "replica_directory_id", m.replica_directory_id, since(17));
            io(1, "high_watermark", m.high_watermark, since(18),
               std::numeric_limits<std::int64_t>::max());
        }
    };

    struct FetchTopic {
        StringView topic;
        Uuid topic_id;
        Array<FetchPartition> partitions;

        static void fields(auto& io, auto& m) {
            io("topic", m.topic, until(12));
            io("topic_id", m.topic_id, since(13));
            io("partitions", m.partitions);
        }
    };

    struct ForgottenTopic {
        StringView topic;
        Uuid topic_id;
        Array<std::int32_t> partitions;

        static void fields(auto& io, auto& m) {
            io("topic", m.topic, until(12));
            io("topic_id", m.topic_id, since(13));
            io("partitions", m.partitions);
        }
    };

    StringView cluster_id = nullptr;
    std::int32_t replica_id = -1;  ///< -1: a consumer
    ReplicaState replica_state;
    std::int32_t max_wait_ms = 0;
    std::int32_t min_bytes = 0;
    std::int32_t max_bytes = std::numeric_limits<std::int32_t>::max();
    std::int8_t isolation_level = 0;  ///< 0 read uncommitted, 1 read committed
    std::int32_t session_id = 0;      ///< 0: no session yet or none wanted (KIP-227)
    std::int32_t session_epoch = -1;
    Array<FetchTopic> topics;
    Array<ForgottenTopic> forgotten_topics_data;
    StringView rack_id;

    static constexpr ApiKey api_key = ApiKey::fetch;
    static constexpr Versions versions{.first = 4, .last = 18, .flexible = 12};

    static void fields(auto& io, auto& m) {
        io("replica_id", m.replica_id, until(14));
        io("max_wait_ms", m.max_wait_ms);
        io("min_bytes", m.min_bytes);
        io("max_bytes", m.max_bytes);
        io("isolation_level", m.isolation_level);
        io("session_id", m.session_id, since(7));
        io("session_epoch", m.session_epoch, since(7));
        io("topics", m.topics);
        io("forgotten_topics_data", m.forgotten_topics_data, since(7));
        io("rack_id", m.rack_id, since(11));
    }
    static constexpr void tags(auto& io, auto& m) {
        io(0, "cluster_id", m.cluster_id, since(12).nullable(), StringView(nullptr));
        io(1, "replica_state", m.replica_state, since(15));
    }
};

struct FetchResponse {
    struct EpochEndOffset {
        std::int32_t epoch = -1;
        std::int64_t end_offset = -1;

        static void fields(auto& io, auto& m) {
            io("epoch", m.epoch);
            io("end_offset", m.end_offset);
        }
        bool operator==(const EpochEndOffset&) const = default;
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

    struct SnapshotId {
        std::int64_t end_offset = -1;
        std::int32_t epoch = -1;

        static void fields(auto& io, auto& m) {
            io("end_offset", m.end_offset);
            io("epoch", m.epoch);
        }
        bool operator==(const SnapshotId&) const = default;
    };

    struct AbortedTransaction {
        std::int64_t producer_id = 0;
        std::int64_t first_offset = 0;

        static void fields(auto& io, auto& m) {
            io("producer_id", m.producer_id);
            io("first_offset", m.first_offset);
        }
    };

    struct PartitionData {
        std::int32_t partition_index = 0;
        ErrorCode error_code = ErrorCode::none;
        std::int64_t high_watermark = 0;
        std::int64_t last_stable_offset = -1;
        std::int64_t log_start_offset = -1;  ///< -1 if unknown
        EpochEndOffset diverging_epoch;
        LeaderIdAndEpoch current_leader;
        SnapshotId snapshot_id;
        Array<AbortedTransaction> aborted_transactions;  ///< null unless read committed
        std::int32_t preferred_read_replica = -1;        ///< -1: read here (KIP-392)
        BytesView records;  ///< whole batches but for the last, which may be cut

        static void fields(auto& io, auto& m) {
            io("partition_index", m.partition_index);
            io("error_code", m.error_code);
            io("high_watermark", m.high_watermark);
            io("last_stable_offset", m.last_stable_offset);
            io("log_start_offset", m.log_start_offset, since(5));
            io("aborted_transactions", m.aborted_transactions, always.nullable());
            io("preferred_read_replica", m.preferred_read_replica, since(11));
            io("records", m.records, always.nullable());
        }
        static constexpr void tags(auto& io, auto& m) {
            io(0, "diverging_epoch", m.diverging_epoch, since(12));
            io(1, "current_leader", m.current_leader, since(12));
            io(2, "snapshot_id", m.snapshot_id, since(12));
        }
    };

    struct FetchableTopicResponse {
        StringView topic;
        Uuid topic_id;
        Array<PartitionData> partitions;

        static void fields(auto& io, auto& m) {
            io("topic", m.topic, until(12));
            io("topic_id", m.topic_id, since(13));
            io("partitions", m.partitions);
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

    std::int32_t throttle_time_ms = 0;
    ErrorCode error_code = ErrorCode::none;
    std::int32_t session_id = 0;
    Array<FetchableTopicResponse> responses;
    Array<NodeEndpoint> node_endpoints;

    static constexpr ApiKey api_key = ApiKey::fetch;
    static constexpr Versions versions{.first = 4, .last = 18, .flexible = 12};

    static void fields(auto& io, auto& m) {
        io("throttle_time_ms", m.throttle_time_ms);
        io("error_code", m.error_code, since(7));
        io("session_id", m.session_id, since(7));
        io("responses", m.responses);
    }
    static constexpr void tags(auto& io, auto& m) {
        io(0, "node_endpoints", m.node_endpoints, since(16));
    }
};

}  // namespace leat::wire
