// One partition's way out: order, sequence numbers, the in-flight window, retries and epoch bumps
// (KIP-98, KIP-360). The producer owns it and lends it to the Sender of the partition's leader.
//
// Rules that keep "once, in order" (the broker's side is kafka-rules 4.3: it remembers the last 5
// batches):
//   - A sequence is given at the first send and then frozen. Batches are sent in sequence order;
//   one that
//     waits for its retry is sent only when nothing behind it is in flight.
//   - A batch is *doubtful* while some copy of it was sent and no answer said whether it was
//   appended. Only
//     an answer that looked at our producer state ends the doubt: success, or OUT_OF_ORDER_SEQUENCE
//     (it is neither the next nor one of the last 5, so it is not in the log).
//   - A hole (a batch failed or expired after it got a sequence) or OUT_OF_ORDER on the first
//   unsettled
//     batch makes the epoch rise and the waiting batches start again at sequence 0, but never while
//     one of them is in flight or doubtful: those are resent under the old numbers first, which
//     either finds them in the log or proves them absent. So a bump creates no duplicate. (Java
//     bumps at once and may.)
//   - A broker that knows nothing of a producer takes any sequence of it as the first. So until it
//     has acknowledged one batch under the current id and epoch, only one is in flight: else the first
//     could be refused for a moment, the second be taken, and the first never again.
//   - What is behind a batch that failed waits until its source knows: it may send that one again,
//     in parts, or hold the partition up for it (uplink).
//   - The epoch is the partition's own: other partitions of the producer keep theirs.
#pragma once

#include <span>
#include <string_view>

#include "leat/time.hpp"
#include "sdk/base/room.hpp"
#include "sdk/client/accumulator.hpp"
#include "sdk/client/due_list.hpp"
#include "sdk/wire/record_batch.hpp"
#include "sdk/wire/types.hpp"

namespace leat::client {

class PartitionQueue;
class Sender;

/// Kafka brokers recognise a resend among the last 5 batches of a producer and partition, no
/// further back.
constexpr std::size_t in_flight_max = 5;

/// -1; where start() sets it, objects are all zero before.
constexpr std::int8_t unknown_id = profile.memory.is_fixed() ? 0 : -1;

/// The producer's name for its brokers, shared by all its queues and Senders. producer_id -1: not
/// known yet.
struct ProducerIdentity {
    std::int64_t producer_id = unknown_id;
    std::int16_t producer_epoch = 0;  ///< where a partition's epoch starts
    const Sender* asking = nullptr;   ///< the one Sender that has InitProducerId in flight
};

/// A batch between take() and settle().
struct TakenBatch {
    enum class State : std::uint8_t { waiting, in_flight, settled };
    SourceBatch source{};
    /// Once settled: kept until all before it are.
    Outcome outcome{.base_offset = 0, .log_append_time = 0};
    /// Whose it is and what goes with it: nothing to tell where there is one queue.
    [[no_unique_address]] If<profile.several_queues, PartitionQueue*> queue{};
    [[no_unique_address]] If<profile.several_queues, TakenBatch*> next_in_request{};
    std::int32_t base_sequence = 0;  ///< -1: not idempotent
    State state = State::waiting;
    bool doubtful = false;
};

/// What a restart must know to go on under the same name (the spool keeps it).
struct ProducerState {
    std::int64_t producer_id = -1;
    std::int16_t producer_epoch = -1;
    std::int32_t next_sequence = 0;
};

class PartitionQueue {
public:
    /// topic   borrowed for the queue's life
    /// slot    the source's own name for this partition
    /// window  1 to in_flight_max entries; its size is the in-flight window
    PartitionQueue(std::string_view topic, std::int32_t partition, Source& source,
                   std::uint16_t slot, std::span<TakenBatch> window);
    /// With a window of its own (Profile::memory). All zero, and start() comes first.
    constexpr PartitionQueue() = default;
    void start(std::string_view topic, std::int32_t partition, Source& source);
    Source& source() { return *source_; }
    PartitionQueue(const PartitionQueue&) = delete;
    PartitionQueue& operator=(const PartitionQueue&) = delete;

    // ask
    std::string_view topic() const { return topic_; }
    std::int32_t partition() const { return partition_; }
    std::uint16_t slot() const { return profile.memory.is_fixed() ? 0 : slot_; }
    wire::Uuid topic_id() const { return topic_id_; }  ///< zero: unknown, Produce stays <= 12
    void set_topic_id(const wire::Uuid& id) { topic_id_ = id; }
    Sender* lent_to() const { return sender_; }
    std::size_t in_flight_count() const { return in_flight_; }
    std::size_t unsettled_count() const { return count_; }
    /// Under which name it sends, and the sequence of the next batch that has none yet.
    const ProducerState& sending_as() const { return state_; }

    // tell
    /// The source has (or may have) a batch now: its linger is over, a read finished. Cheap; any
    /// time.
    void wake();
    /// Continues under an earlier life's numbers. Before the first batch is taken.
    void restore(const ProducerState& state);
    /// The same, for a source that sends again what an earlier life had in doubt. Keeps the numbers
    /// until renew(), whatever the shared identity says. While nothing was acknowledged under them,
    /// an answer that they are wrong (OUT_OF_ORDER_SEQUENCE, UNKNOWN_PRODUCER_ID,
    /// INVALID_PRODUCER_EPOCH) settles its batch with that error and the next batch goes on behind
    /// it: only the source can tell "older than the last five" from "never arrived".
    void restore_in_doubt(const ProducerState& state);
    /// The next batch starts under the shared identity, at sequence 0. Nothing is taken.
    void renew();
    /// Another queue sent to this partition under `state`: begins in the next epoch. Before the
    /// first batch is taken.
    void start_after(const ProducerState& state);
    /// How often it was left open what became of a batch that was sent.
    std::uint32_t losses() const { return losses_; }
    /// A batch was acknowledged under sending_as().
    bool is_established() const { return established_; }
    /// The broker may have forgotten the producer meanwhile: the next batch goes alone. With
    /// nothing taken.
    void prove_again() {
        if (count_ == 0) established_ = false;
    }
    /// The source has looked for what is in doubt (BatchSource::may_send_again), as the broker may
    /// have forgotten the producer: what it says is there is settled as delivered, the next batch
    /// goes alone. With nothing in flight.
    /// is_there  (base_sequence, record_count) -> bool; asked in order, each once
    template <class IsThere>
    void settle_found(const IsThere& is_there) {
        LEAT_CHECK(in_flight_ == 0);
        established_ = false;
        for (std::size_t i = 0; i < count_; ++i) {
            TakenBatch& batch = at(i);
            if (batch.state != TakenBatch::State::waiting || !batch.doubtful) continue;
            if (!is_there(batch.base_sequence, batch.source.record_count)) continue;
            batch.state = TakenBatch::State::settled;
            batch.outcome = {};
        }
        settle_front();
    }
    /// The sequence of the first batch that is not settled, taken or not: what failed behind it has
    /// none any more.
    std::int32_t open_sequence() {
        for (std::size_t i = 0; i < count_; ++i)
            if (at(i).state != TakenBatch::State::settled) return at(i).base_sequence;
        return state_.next_sequence;
    }
    /// The source's next batch, of `records`, is there already: its numbers are used up.
    void skip(std::int32_t records) {
        state_.next_sequence = wire::next_sequence(state_.next_sequence, records);
    }
    /// Gives up what is older than `delivery_timeout` and not in flight. For a queue that is lent
    /// to nobody (no leader known); a Sender does it for the lent ones. Returns when to come again.
    Instant expire(Instant now, milliseconds delivery_timeout);
    /// Gives up everything that is not in flight, with `error`, taken or not. Close without flush;
    /// a topic that was deleted. Returns false while something is in flight: its answer comes
    /// first, then call again.
    bool fail_all(Instant now, wire::ErrorCode error);

private:
    friend class Sender;

    enum class Next : std::uint8_t { batch, blocked, needs_producer_id, pending, empty };
    /// The batch to send next, with its sequence; the Sender sends it at once (mark_sent).
    /// identity  null: not idempotent
    Next next(Instant now, ProducerIdentity* identity, TakenBatch*& out);
    void mark_sent(TakenBatch& batch);
    enum class Verdict : std::uint8_t { done, retry, retry_new_leader };
    Verdict on_answer(TakenBatch& batch, const Outcome& outcome);
    void on_lost(TakenBatch& batch);
    void settle(TakenBatch& batch, const Outcome& outcome);
    void be_doubtful(TakenBatch& batch) {
        batch.doubtful = true;
        losses_ = std::uint32_t{losses_} + 1;
    }
    void settle_front();
    bool bump(ProducerIdentity& identity);
    TakenBatch& at(std::size_t i) {
        i += first_;
        constexpr std::size_t own = profile.memory.in_flight;
        if constexpr (own > 0 && (own & (own - 1)) == 0) return window_[i & (own - 1)];
        return window_[i < window_.size() ? i : i - window_.size()];
    }
    bool is_in_doubt() const { return profile.several_queues && in_doubt_; }
    bool is_recalled() const { return profile.several_queues && recalled_; }
    bool is_told() const { return profile.several_queues && told_; }
    Peek take_next(Instant now);

    std::string_view topic_{};
    ReadyLink ready_;  // in the Sender's ready or told list
    DueLink retry_;    // in its retry list while a back-off runs
    DueLink expiry_;   // in its expiry list while something may expire
    Sender* sender_ = nullptr;
    ProducerState state_{.producer_id = unknown_id, .producer_epoch = unknown_id};
    std::int32_t partition_ = 0;
    std::uint16_t slot_ = 0;
    unsigned failures_ = 0;   // in a row; chooses the back-off
    std::uint8_t first_ = 0;  // of the window, and how many of it are used, and in flight
    std::uint8_t count_ = 0;
    std::uint8_t in_flight_ = 0;
    bool needs_bump_ = false;
    bool established_ = false;  // the broker has acknowledged a batch under state_'s id and epoch
    bool in_doubt_ = false;     // restore_in_doubt, until renew
    bool recalled_ = false;
    bool told_ = false;  // ready_ stands in the told list
    wire::ErrorCode tell_error_{};
    [[no_unique_address]] If<profile.several_queues, std::uint32_t> losses_ = std::uint32_t{0};
    [[no_unique_address]] If<profile.negotiates, wire::Uuid> topic_id_{};
    InnerOrLent<Source, profile.memory.is_fixed()> source_{};
    // A ring: batches stay where they are until they are settled. Last, as what is near the front
    // of an object is reached by shorter instructions.
    Room<TakenBatch, profile.memory.in_flight> window_{};
};

}  // namespace leat::client
