// What consumers put into JoinGroup and SyncGroup (protocol type "consumer"): subscription and
// assignment.
//
// Both stand behind an int16 version inside the bytes. A version higher than known is read as the
// highest known, and what follows is ignored: new versions only append.
#pragma once

#include "sdk/wire/codec.hpp"

namespace leat::wire {

struct ConsumerProtocolSubscription {
    struct TopicPartition {
        StringView topic;
        Array<std::int32_t> partitions;

        static void fields(auto& io, auto& m) {
            io("topic", m.topic);
            io("partitions", m.partitions);
        }
    };

    Array<StringView> topics;
    BytesView user_data = nullptr;
    Array<TopicPartition> owned_partitions;
    std::int32_t generation_id = -1;
    StringView rack_id = nullptr;

    static constexpr Versions versions{.first = 0, .last = 3};

    static void fields(auto& io, auto& m) {
        io("topics", m.topics);
        io("user_data", m.user_data, always.nullable());
        io("owned_partitions", m.owned_partitions, since(1));
        io("generation_id", m.generation_id, since(2));
        io("rack_id", m.rack_id, since(3).nullable());
    }
};

struct ConsumerProtocolAssignment {
    struct TopicPartition {
        StringView topic;
        Array<std::int32_t> partitions;

        static void fields(auto& io, auto& m) {
            io("topic", m.topic);
            io("partitions", m.partitions);
        }
    };

    Array<TopicPartition> assigned_partitions;
    BytesView user_data = nullptr;

    static constexpr Versions versions{.first = 0, .last = 3};

    static void fields(auto& io, auto& m) {
        io("assigned_partitions", m.assigned_partitions);
        io("user_data", m.user_data, always.nullable());
    }
};

/// Reads the version and then what it knows of the rest. The views borrow `bytes`.
///
/// fails  unsupported: a version below 0 · truncated, malformed
Result<ConsumerProtocolSubscription> decode_subscription(ByteView bytes);
Result<ConsumerProtocolAssignment> decode_assignment(ByteView bytes);

/// Version and message. Returns the number of bytes written; fails as encode does.
Result<std::size_t> encode_subscription(const ConsumerProtocolSubscription& subscription,
                                        std::int16_t version, MutableBytes out);
Result<std::size_t> encode_assignment(const ConsumerProtocolAssignment& assignment,
                                      std::int16_t version, MutableBytes out);

}  // namespace leat::wire
