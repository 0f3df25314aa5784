// OffsetFetch (key 9): how far groups have read. One group up to v7, many from v8.
#pragma once

#include "sdk/wire/codec.hpp"

namespace leat::wire {

struct OffsetFetchRequest {
    struct OffsetFetchRequestTopic {
        StringView name;
        Array<std::int32_t> partition_indexes;

        static void fields(auto& io, auto& m) {
            io("name", m.name, until(7));
            io("partition_indexes", m.partition_indexes, until(7));
        }
    };

    struct OffsetFetchRequestTopics {
        StringView name;
        Uuid topic_id;
        Array<std::int32_t> partition_indexes;

        static void fields(auto& io, auto& m) {
            io("name", m.name, until(9));
            io("topic_id", m.topic_id, since(10));
            io("partition_indexes", m.partition_indexes);
        }
    };

    struct OffsetFetchRequestGroup {
        StringView group_id;
        StringView member_id = nullptr;
        std::int32_t member_epoch = -1;
        Array<OffsetFetchRequestTopics> topics;

        static void fields(auto& io, auto& m) {
            io("group_id", m.group_id);
            io("member_id", m.member_id, since(9).nullable());
            io("member_epoch", m.member_epoch, since(9));
            io("topics", m.topics, always.nullable());
        }
    };

    StringView group_id;
    Array<OffsetFetchRequestTopic> topics;  ///< null: all (v2)
    Array<OffsetFetchRequestGroup> groups;
    bool require_stable = false;  ///< hold back offsets of open transactions (KIP-447)

    static constexpr ApiKey api_key = ApiKey::offset_fetch;
    static constexpr Versions versions{.first = 1, .last = 10, .flexible = 6};

    static void fields(auto& io, auto& m) {
        io("group_id", m.group_id, until(7));
        io("topics", m.topics, until(7).nullable(2));
        io("groups", m.groups, since(8));
        io("require_stable", m.require_stable, since(7));
    }
};

struct OffsetFetchResponse {
    struct OffsetFetchResponsePartition {
        std::int32_t partition_index = 0;
        std::int64_t committed_offset = 0;  ///< -1: none
        std::int32_t committed_leader_epoch = -1;
        StringView metadata;
        ErrorCode error_code = ErrorCode::none;

        static void fields(auto& io, auto& m) {
            io("partition_index", m.partition_index, until(7));
            io("committed_offset", m.committed_offset, until(7));
            io("committed_leader_epoch", m.committed_leader_epoch, between(5, 7));
            io("metadata", m.metadata, until(7).nullable());
            io("error_code", m.error_code, until(7));
        }
    };

    struct OffsetFetchResponseTopic {
        StringView name;
        Array<OffsetFetchResponsePartition> partitions;

        static void fields(auto& io, auto& m) {
            io("name", m.name, until(7));
            io("partitions", m.partitions, until(7));
        }
    };

    struct OffsetFetchResponsePartitions {
        std::int32_t partition_index = 0;
        std::int64_t committed_offset = 0;
        std::int32_t committed_leader_epoch = -1;
        StringView metadata;
        ErrorCode error_code = ErrorCode::none;

        static void fields(auto& io, auto& m) {
            io("partition_index", m.partition_index);
            io("committed_offset", m.committed_offset);
            io("committed_leader_epoch", m.committed_leader_epoch);
            io("metadata", m.metadata, always.nullable());
            io("error_code", m.error_code);
        }
    };

    struct OffsetFetchResponseTopics {
        StringView name;
        Uuid topic_id;
        Array<OffsetFetchResponsePartitions> partitions;

        static void fields(auto& io, auto& m) {
            io("name", m.name, until(9));
            io("topic_id", m.topic_id, since(10));
            io("partitions", m.partitions);
        }
    };

    struct OffsetFetchResponseGroup {
        StringView group_id;
        Array<OffsetFetchResponseTopics> topics;
        ErrorCode error_code = ErrorCode::none;

        static void fields(auto& io, auto& m) {
            io("group_id", m.group_id);
            io("topics", m.topics);
            io("error_code", m.error_code);
        }
    };

    std::int32_t throttle_time_ms = 0;
    Array<OffsetFetchResponseTopic> topics;
    ErrorCode error_code = ErrorCode::none;
    Array<OffsetFetchResponseGroup> groups;

    static constexpr ApiKey api_key = ApiKey::offset_fetch;
    static constexpr Versions versions{.first = 1, .last = 10, .flexible = 6};

    static void fields(auto& io, auto& m) {
        io("throttle_time_ms", m.throttle_time_ms, since(3));
        io("topics", m.topics, until(7));
        io("error_code", m.error_code, between(2, 7));
        io("groups", m.groups, since(8));
    }
};

}  // namespace leat::wire
