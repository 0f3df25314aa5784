// Delivers batches over one connection: picks from the queues lent to it, makes Produce requests,
// judges the answers. Retry, order, idempotence, back-pressure and throttling exist once, here and
// in PartitionQueue.
//
// A Sender belongs to one Connection; a producer that talks to several brokers has one per broker
// and moves the queues. A queue is lent to another Sender only when every in-flight answer is known
// or its connection is dead: recall() starts that, the event `returned` ends it.
#pragma once

#include <optional>

#include "sdk/client/backoff.hpp"
#include "sdk/client/connection.hpp"
#include "sdk/client/partition_queue.hpp"

namespace leat::client {

enum class Acks : std::int16_t { all = -1, none = 0, leader = 1 };

struct SenderConfig {
    Acks acks = Acks::all;
    /// Idempotence needs acks=all (Kafka says so, and Sender checks it).
    bool idempotent = true;
    milliseconds request_timeout{30000};  ///< also told to the broker
    /// From SourceBatch::created to giving up with REQUEST_TIMED_OUT. A batch in flight is given up
    /// only when its answer is known or its request timed out, so the bound is this plus
    /// request_timeout. zero: never.
    milliseconds delivery_timeout{profile.expires ? 120000 : 0};
    BackoffConfig retry{};
    std::uint32_t request_bytes_max =
        1024 * 1024;  ///< a request that has reached this takes no further batch
    std::uint16_t request_batches_max =
        64;  ///< one batch per partition; at most produce_batches_max()
};

struct SenderEvent {
    enum class Kind : std::uint8_t {
        leader_unknown,    ///< `queue`: the broker is not its leader or does not know it. Ask for
                           ///< metadata; the Sender tries again after a back-off meanwhile
        returned,          ///< `queue` was recalled and is nobody's now
        producer_refused,  ///< InitProducerId was refused with `error`; tried again with the
                           ///< longest back-off
    };
    Kind kind{};
    PartitionQueue* queue = nullptr;
    wire::ErrorCode error{};
};

class Sender {
public:
    /// identity  shared by the Senders of one producer; unused if not idempotent
    /// owner     stamps this Sender's requests: hand it every event that carries it, and ready and
    /// closed seed      for the jitter of back-offs; any number, best another one on each device
    Sender(Connection& connection, ProducerIdentity& identity, const SenderConfig& config,
           Owner owner, std::uint32_t seed);
    /// All zero, and start() comes first. For what has no constructor to run (Profile::memory).
    Sender() = default;
    void start(Connection& connection, ProducerIdentity& identity, const SenderConfig& config,
               Owner owner, std::uint32_t seed);
    Sender(const Sender&) = delete;
    Sender& operator=(const Sender&) = delete;

    // ask
    bool has_ready() const {
        return profile.several_queues ? ready_.first() != nullptr : !queue_->retry_.is_linked();
    }
    Connection& connection() { return *connection_; }
    const Connection& connection() const { return *connection_; }
    ProducerIdentity& identity() { return *identity_; }
    PartitionQueue& only_queue() { return *queue_; }  ///< where there is one (Profile)
    /// The wait after so many failures in a row, of requests or of whatever else is tried again.
    milliseconds backoff(unsigned failures) {
        return backoff_delay(config_.retry, failures, jitter_);
    }
    /// The earliest time at which on_deadline has something to do.
    Instant deadline() const;

    // tell
    void on_event(Instant now, const Event& event);
    void on_deadline(Instant now);

    // want
    /// Instead of the configuration's request_bytes_max, from the next request on. A template: not
    /// every profile has it.
    template <class Bytes>
    void limit_requests(Bytes bytes) {
        config_.request_bytes_max = bytes;
    }
    void lend(Instant now, PartitionQueue& queue);
    /// No more sends from this queue; `returned` follows, at once if nothing is in flight. Twice is
    /// as once.
    void recall(PartitionQueue& queue);
    /// Makes as many requests as queues and connection allow. After events, wake() and written
    /// bytes.
    void pump(Instant now);

    // drain
    std::optional<SenderEvent> poll_event();

private:
    friend class PartitionQueue;
    friend struct Produced;
    void make_ready(PartitionQueue& queue);
    TakenBatch* pick(Instant now);
    PartitionQueue::Next next_of(Instant now, PartitionQueue& queue, TakenBatch*& out);
    PartitionQueue& queue_of(const TakenBatch& batch) {
        PartitionQueue* const queue = batch.queue;
        return profile.several_queues ? *queue : *queue_;
    }
    PartitionQueue* first_due(Instant now, DueList& list, DueLink PartitionQueue::*link);
    void write_request(Instant now, TakenBatch* first);
    void ask_producer_id(Instant now);
    void on_producer_id(Instant now, const Event& event);
    void on_produced(Instant now, const Event& event);
    void on_lost(Instant now, TakenBatch* batch, bool and_wait);
    void on_outcome(Instant now, TakenBatch& batch, const Outcome& outcome);
    void retry_later(Instant now, PartitionQueue& queue);
    void after_answer(Instant now, PartitionQueue& queue);
    void tell(PartitionQueue& queue, wire::ErrorCode error);
    void watch_expiry(Instant now, PartitionQueue& queue);
    [[gnu::noinline]] void pause(Instant now, milliseconds time);
    std::size_t head_bytes(const PartitionQueue& queue) const;

    /// What is asked for of the configuration after start().
    struct Fixed {
        static constexpr Acks acks = Acks::all;
        static constexpr bool idempotent = true;
        static constexpr milliseconds delivery_timeout{0};
        static constexpr std::uint32_t request_bytes_max = 1;
        static constexpr std::uint16_t request_batches_max = 1;
        milliseconds request_timeout{};
        BackoffConfig retry{milliseconds{}, milliseconds{}};
        constexpr Fixed() = default;
        constexpr explicit Fixed(const SenderConfig& config)
            : request_timeout(config.request_timeout), retry(config.retry) {}
    };
    using Config = std::conditional_t<profile.memory.is_fixed(), Fixed, SenderConfig>;

    bool is_paused() const { return paused_until_ != never; }

    static constexpr bool own_parts = profile.memory.is_fixed();
    Config config_{};
    [[no_unique_address]] ReadyList ready_;
    [[no_unique_address]] ReadyList told_;
    [[no_unique_address]] DueList retry_;
    [[no_unique_address]] DueList expiry_;
    Instant paused_until_{};  // throttled, or InitProducerId was refused; else `never`
    Jitter jitter_ = Jitter::unseeded();
    unsigned ask_failures_ = 0;
    [[no_unique_address]] If<any_api, Owner> owner_{};
    wire::ErrorCode refused_{};
    InnerOrLent<ProducerIdentity, own_parts> identity_{};
    InnerOrLent<PartitionQueue, own_parts> queue_{};  // where there is one
    InnerOrLent<Connection, own_parts> connection_{};
};

}  // namespace leat::client
