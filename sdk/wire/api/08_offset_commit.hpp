// OffsetCommit (key 8): a group stores how far it has read.
#pragma once

#include "sdk/wire/codec.hpp"

namespace leat::wire {

struct OffsetCommitRequest {
    struct OffsetCommitRequestPartition {
        std::int32_t partition_index = 0;
        std::int64_t committed_offset = 0;
        std::int32_t committed_leader_epoch = -1;
        StringView committed_metadata;

        static void fields(auto& io, auto& m) {
            io("partition_index", m.partition_index);
            io("committed_offset", m.committed_offset);
            io("committed_leader_epoch", m.committed_leader_epoch, since(6));
            io("committed_metadata", m.committed_metadata, always.nullable());
        }
    };

    struct OffsetCommitRequestTopic {
        StringView name;
        Uuid topic_id;
        Array<OffsetCommitRequestPartition> partitions;

        static void fields(auto& io, auto& m) {
            io("name", m.name, until(9));
            io("topic_id", m.topic_id, since(10));
            io("partitions", m.partitions);
        }
    };

    StringView group_id;
    std::int32_t generation_id_or_member_epoch = -1;  ///< -1: a commit from outside the group
    StringView member_id;
    StringView group_instance_id = nullptr;  ///< null: a dynamic member (KIP-345)
    std::int64_t retention_time_ms = -1;
    Array<OffsetCommitRequestTopic> topics;

    static constexpr ApiKey api_key = ApiKey::offset_commit;
    static constexpr Versions versions{.first = 2, .last = 10, .flexible = 8};

    static void fields(auto& io, auto& m) {
        io("group_id", m.group_id);
        io("generation_id_or_member_epoch", m.generation_id_or_member_epoch);
        io("member_id", m.member_id);
        io("group_instance_id", m.group_instance_id, since(7).nullable());
        io("retention_time_ms", m.retention_time_ms, until(4));
        io("topics", m.topics);
    }
};

struct OffsetCommitResponse {
    struct OffsetCommitResponsePartition {
        std::int32_t partition_index = 0;
        ErrorCode error_code = ErrorCode::none;

        static void fields(auto& io, auto& m) {
            io("partition_index", m.partition_index);
            io("error_code", m.error_code);
        }
    };

    struct OffsetCommitResponseTopic {
        StringView name;
        Uuid topic_id;
        Array<OffsetCommitResponsePartition> partitions;

        static void fields(auto& io, auto& m) {
            io("name", m.name, until(9));
            io("topic_id", m.topic_id, since(10));
            io("partitions", m.partitions);
        }
    };

    std::int32_t throttle_time_ms = 0;
    Array<OffsetCommitResponseTopic> topics;

    static constexpr ApiKey api_key = ApiKey::offset_commit;
    static constexpr Versions versions{.first = 2, .last = 10, .flexible = 8};

    static void fields(auto& io, auto& m) {
        io("throttle_time_ms", m.throttle_time_ms, since(3));
        io("topics", m.topics);
    }
};

}  // namespace leat::wire
