// Idempotent producers: the last five batches of each in each stream (KIP-98, kafka-rules 4.3).
// Bounded: who wrote once only, and that ten minutes ago or longer, goes first, then who wrote
// longest ago; nobody stays longer than the expiry in age time.
#pragma once

#include <deque>
#include <list>
#include <map>
#include <vector>

#include "broker/log/frame.hpp"
#include "broker/log/log.hpp"

namespace leat::log {

struct ProducerKey {
    StreamId stream = 0;
    std::int64_t producer_id = -1;
    auto operator<=>(const ProducerKey&) const = default;
};

constexpr std::size_t producer_batches_max = 5;
/// A client that has not come back by then sends nothing again (delivery.timeout.ms: two minutes).
constexpr std::uint64_t once_is_over_ms = 600'000;
/// Pushes a batch; a new epoch forgets the older ones, a sixth pushes the oldest out.
void push_producer_batch(ProducerState& state, std::int16_t epoch, const ProducerBatch& batch);
ProducerBatch producer_batch_of(const BatchFields& fields, CommitId id);

struct Producer {
    ProducerState state;
    std::uint64_t age_ms = 0;  ///< age time of its last batch
};

/// As a frame body (FORMAT.md section 6).
void encode_producer(std::vector<std::uint8_t>& out, std::int64_t producer_id,
                     const Producer& producer);
struct DecodedProducer {
    std::int64_t producer_id = -1;
    Producer producer;
};
Result<DecodedProducer> decode_producer(ByteView body);
constexpr std::size_t producer_body_bytes(std::size_t batches) { return 24 + 24 * batches; }

class Producers {
public:
    explicit Producers(std::uint32_t count_max) : count_max_(count_max) {}
    const ProducerState* find(StreamId stream, std::int64_t producer_id) const;
    void on_batch(StreamId stream, const BatchFields& fields, CommitId id, std::uint64_t age_ms);
    /// What recovery reads, in the order it was written: batches already known are not taken twice.
    void restore(StreamId stream, std::int64_t producer_id, const Producer& producer);
    /// After that: who is longest unused goes first again.
    void restored();
    void expire(std::uint64_t before_age_ms);
    /// No more than these from now on; the longest unused are forgotten.
    void limit(std::uint32_t count_max);
    void forget_stream(StreamId stream);
    /// Commits up to `flushed` will not be taken back.
    void durable(CommitId flushed);
    /// Takes back every batch whose commit is after `flushed`: what it pushed out is there again.
    void roll_back(CommitId flushed);

    struct Slot {
        Producer producer;
        std::list<ProducerKey>::iterator used;
        bool in_once = true;
    };
    using Map = std::map<ProducerKey, Slot>;
    const Map& all() const { return producers_; }

private:
    Slot& touch(const ProducerKey& key, std::uint64_t age_ms);
    void used(Slot& slot);  ///< it is the last to go now
    void erase(Map::iterator found);
    void make_room(std::uint64_t age_ms);
    std::uint64_t age_of(const std::list<ProducerKey>& order) const;
    Map producers_;
    // Longest unused first: of those with one batch, and of the others.
    std::list<ProducerKey> once_, order_;
    std::uint32_t count_max_;
    struct Undo {
        CommitId id;
        ProducerKey key;
        ProducerState before;
    };
    std::deque<Undo> undo_;  ///< of what is not durable
};

}  // namespace leat::log
