// ConsumerProtocol, and what Java's sticky assignors put into its user data: StickyAssignor the
// previous assignment and its generation, CooperativeStickyAssignor the generation alone.
#include <algorithm>
#include <deque>

#include "sdk/cluster/assignor.hpp"
#include "sdk/wire/api/consumer_protocol.hpp"
#include "sdk/wire/primitives.hpp"

namespace leat::cluster {
namespace {

constexpr std::int16_t protocol_version = 3;  // Java's newest; older readers ignore what they lack

/// The same partitions topic by topic.
std::map<std::string, std::vector<std::int32_t>> by_topic(const Partitions& partitions) {
    std::map<std::string, std::vector<std::int32_t>> topics;
    for (const TopicPartition& partition : partitions)
        topics[partition.topic].push_back(partition.partition);
    for (auto& [topic, numbers] : topics) std::sort(numbers.begin(), numbers.end());
    return topics;
}

template <class Write>
OwnedBytes written(Write write) {
    wire::Writer counting;
    write(counting);
    OwnedBytes bytes(counting.size());
    wire::Writer writer{MutableBytes(bytes)};
    write(writer);
    return bytes;
}

OwnedBytes sticky_user_data(const Partitions& previous, std::int32_t generation) {
    const auto topics = by_topic(previous);
    return written([&](wire::Writer& writer) {
        writer.i32(static_cast<std::int32_t>(topics.size()));
        for (const auto& [topic, numbers] : topics) {
            writer.string(topic, wire::Lengths::classic, wire::Null::refused);
            writer.i32(static_cast<std::int32_t>(numbers.size()));
            for (std::int32_t number : numbers) writer.i32(number);
        }
        writer.i32(generation);
    });
}

/// Version 0 has no generation behind the partitions.
void read_sticky_user_data(ByteView bytes, Subscriber& member) {
    wire::Reader reader(bytes);
    Partitions owned;
    for (std::int32_t topics = reader.i32(); topics > 0 && !reader.failed(); --topics) {
        const std::string topic(reader.string(wire::Lengths::classic, wire::Null::refused).view());
        for (std::int32_t count = reader.i32(); count > 0 && !reader.failed(); --count)
            owned.push_back({topic, reader.i32()});
    }
    if (reader.failed()) return;
    member.generation = reader.left() >= 4 ? reader.i32() : -1;
    member.owned = std::move(owned);
}

}  // namespace

OwnedBytes encode_subscription(Assignor assignor, std::vector<std::string> topics, Partitions owned,
                               const Partitions& previous, std::int32_t generation) {
    using Message = wire::ConsumerProtocolSubscription;
    std::sort(topics.begin(), topics.end());
    const std::vector<wire::StringView> names(topics.begin(), topics.end());
    const auto grouped = by_topic(owned);
    std::vector<Message::TopicPartition> owned_topics;
    for (const auto& [topic, numbers] : grouped) {
        auto& entry = owned_topics.emplace_back();
        entry.topic = topic;
        entry.partitions = numbers;
    }
    OwnedBytes user_data;
    Message message;
    message.topics = names;
    message.owned_partitions = owned_topics;
    message.generation_id = generation;
    if (assignor == Assignor::sticky && generation >= 0) {
        user_data = sticky_user_data(previous, generation);
        message.user_data = user_data;
    } else if (assignor == Assignor::cooperative_sticky) {
        user_data = written([&](wire::Writer& writer) { writer.i32(generation); });
        message.user_data = user_data;
    }
    OwnedBytes bytes(2 + wire::encoded_size(message, protocol_version));
    const auto size = wire::encode_subscription(message, protocol_version, bytes);
    bytes.resize(size ? *size : 0);
    return bytes;
}

Result<Subscriber> decode_subscription(Assignor assignor, ByteView metadata) {
    const auto message = wire::decode_subscription(metadata);
    if (!message) return fail(message.error());
    Subscriber member;
    for (const wire::StringView& topic : message->topics) member.topics.emplace_back(topic.view());
    if (assignor == Assignor::sticky) {
        // Eager members own nothing when they join; what they had stands in the user data.
        read_sticky_user_data(message->user_data.view(), member);
        return member;
    }
    for (const auto& topic : message->owned_partitions)
        for (std::int32_t number : topic.partitions)
            member.owned.push_back({std::string(topic.topic.view()), number});
    member.generation = message->generation_id;
    // Members older than version 2. librdkafka puts what it had before the number, as for `sticky`.
    if (member.generation < 0 && message->user_data.size() >= 4)
        member.generation = wire::Reader(message->user_data.view().last(4)).i32();
    return member;
}

OwnedBytes encode_assignment(Partitions partitions) {
    using Message = wire::ConsumerProtocolAssignment;
    const auto grouped = by_topic(partitions);
    std::vector<Message::TopicPartition> topics;
    for (const auto& [topic, numbers] : grouped) {
        auto& entry = topics.emplace_back();
        entry.topic = topic;
        entry.partitions = numbers;
    }
    Message message;
    message.assigned_partitions = topics;
    OwnedBytes bytes(2 + wire::encoded_size(message, protocol_version));
    const auto size = wire::encode_assignment(message, protocol_version, bytes);
    bytes.resize(size ? *size : 0);
    return bytes;
}

Result<Partitions> decode_assignment(ByteView bytes) {
    Partitions partitions;
    if (bytes.empty()) return partitions;
    const auto message = wire::decode_assignment(bytes);
    if (!message) return fail(message.error());
    for (const auto& topic : message->assigned_partitions)
        for (std::int32_t number : topic.partitions)
            partitions.push_back({std::string(topic.topic.view()), number});
    return partitions;
}

}  // namespace leat::cluster
