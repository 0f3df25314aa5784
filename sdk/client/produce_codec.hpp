// What the Sender says and hears. Two files implement it and the build picks one: produce_any.cpp
// speaks every version (hosts), produce_pinned.cpp one version and one partition per request
// (devices).
#pragma once

#include "sdk/client/connection.hpp"
#include "sdk/client/partition_queue.hpp"

namespace leat::client {

constexpr std::int16_t produce_pinned = 9;  ///< Kafka 2.8 and newer, kafka-rules 1.1
constexpr std::int16_t init_producer_id_pinned = 4;

/// Batches that one request can carry. Constants behind functions, so that the build can pick them
/// and link-time optimisation folds what they leave out.
std::size_t produce_batches_max();

struct ProduceHead {
    std::int16_t version = produce_pinned;
    std::int16_t acks = -1;
    std::int32_t timeout_ms = 30000;
};

/// Appends a whole Produce request to the open one: the list's batches, each as head and its 61
/// bytes (in `connection`'s send memory) and the source's records (borrowed).
/// queue  the first batch's
Status append_produce(Connection& connection, const ProduceHead& head, const PartitionQueue& queue,
                      TakenBatch* first);

/// An answer's words for a partition are this queue's: the topic's name or its id, as the version
/// has it.
inline bool is_of(const PartitionQueue& queue, std::string_view topic, const wire::Uuid& id,
                  std::int32_t partition) {
    if (queue.partition() != partition) return false;
    return profile.negotiates && topic.empty() ? queue.topic_id() == id : queue.topic() == topic;
}

/// An answer on its way to the Sender. One class and no callback, so that a device's only call is
/// inlined.
struct Produced {
    Sender& sender;
    Instant now;
    TakenBatch* unanswered;
    /// For each partition. `topic` or `topic_id` names it, as the version has it.
    void told(std::string_view topic, const wire::Uuid& topic_id, std::int32_t index,
              const Outcome& outcome);
    /// Before it. produce_any.cpp only.
    void refused(std::string_view topic, const wire::Uuid& topic_id, std::int32_t index,
                 std::int32_t record) const;
};
/// Returns the answer's throttle time in milliseconds. fails: as wire::decode, and nothing was told
/// then.
Result<std::int32_t> read_produced(const Event& answer, Produced& to);

/// What the pinned version's answer says: produce_pinned.cpp only.
struct ProducedAnswer {
    std::string_view topic;
    std::int32_t index = 0;
    Outcome outcome{};
    std::int32_t throttle_ms = 0;
};
/// fails: malformed
Status read_produced(const Event& answer, ProducedAnswer& out);

struct ProducerIdAnswer {
    std::int32_t throttle_ms = 0;
    wire::ErrorCode error{};
    std::int64_t producer_id = -1;
    std::int16_t producer_epoch = 0;
};
Status send_init_producer_id(Connection& connection, Instant now, std::int16_t version,
                             const RequestOptions& options);
Result<ProducerIdAnswer> read_producer_id(const Event& answer);

}  // namespace leat::client
