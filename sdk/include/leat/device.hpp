// The device front door: a Kafka producer for a microcontroller. It blocks nowhere, throws nothing,
// has no heap, and is made of the same state machines as the hosted one.
//
//     static leat::device::ProducerMemory<4 /*in flight*/, 8 * KiB /*batch*/> memory;
//     leat::device::Producer producer(memory, clock, transport, {.client_id = "pump-7", .topic =
//     "pressure"}); for (;;) {
//         if (sample_is_due()) (void)producer.send({.timestamp = ms, .value = sample});
//         producer.poll();
//         sleep_until_interrupt();
//     }
//
// This needs the profile `device` or `full` (LEAT_PROFILE). In `smallest` the memory is part of the
// producer, and Clock and Transport are classes that ProducerOf names: see sdk/device/README.md.
//
// It talks to one peer over one Transport and needs no Metadata: topic and partition are pinned, as
// a single gateway leads them all. Delivery is idempotent with acks=all, so each record that send()
// took is in the log once, in order, or was counted in failed(); resends after a lost answer, a
// broken pipe or a restart of the gateway included.
#pragma once

#include "leat/config.hpp"
#include "leat/port/clock.hpp"
#include "leat/port/transport.hpp"
#include "leat/record.hpp"
#include "sdk/client/accumulator.hpp"
#include "sdk/client/connection.hpp"
#include "sdk/client/sender.hpp"

namespace leat::device {

struct ProducerConfig {
    std::string_view client_id = "leat";  ///< borrowed, as is topic
    std::string_view topic;
    std::int32_t partition = 0;
    milliseconds linger{0};              ///< wait that long for more records before a batch is sent
    milliseconds request_timeout{5000};  ///< without an answer that long the pipe is taken for dead
    /// Then a batch is given up and counted; zero: never.
    milliseconds delivery_timeout{profile.expires ? 120000 : 0};
    /// An answer that pauses longer in its middle is taken for the halves of two: a UART knows no
    /// disconnect, and Kafka's answers have no checksum, so another answer's bytes could pass for
    /// the rest of this one's, and acknowledge what was refused.
    milliseconds answer_gap_max{500};
    BackoffConfig retry{.min = milliseconds{100},
                        .max = milliseconds{2000}};  ///< requests and reconnects
    std::uint32_t seed = 1;  ///< for jitter: best a number of its own on each device
};

/// What a Producer works in.
///
/// - InFlight: batches that may wait for an answer, 1 to 5
/// - BatchBytes: of records in a batch; the longest record's key and value are about 40 bytes less
/// - Batches: buffers. Those in flight, one that fills up, more to bridge an outage
/// - ReceiveBytes: the longest answer, about 60 bytes and the topic's name, more if it has an error
/// text
/// - SendBytes: heads of requests, about 115 bytes and client_id and topic
template <std::size_t InFlight, std::size_t BatchBytes, std::size_t Batches = InFlight + 1,
          std::size_t ReceiveBytes = 256, std::size_t SendBytes = 256>
struct BroughtMemory {
    static_assert(InFlight >= 1 && InFlight <= client::in_flight_max && Batches >= 1);
    alignas(8) std::uint8_t batches[Batches][BatchBytes];
    std::uint8_t receive[ReceiveBytes];
    std::uint8_t send[SendBytes];
    client::Accumulator::Slot slots[1];
    client::Accumulator::Buffer buffers[Batches];
    client::TakenBatch window[InFlight];
    client::Connection::InFlight in_flight[InFlight];
    ByteView pieces[3 * InFlight];
};
/// Where the profile says what there is (Profile::memory), it is a part of the Producer.
struct OwnMemory {};
template <std::size_t InFlight, std::size_t BatchBytes, std::size_t Batches = InFlight + 1,
          std::size_t ReceiveBytes = 256, std::size_t SendBytes = 256>
using ProducerMemory =
    std::conditional_t<profile.memory.is_fixed(), OwnMemory,
                       BroughtMemory<InFlight, BatchBytes, Batches, ReceiveBytes, SendBytes>>;

/// The state machines of a producer and who knows whom.
class LentParts {
public:
    template <class Memory>
    LentParts(Memory& memory, const ProducerConfig& config)
        : accumulator_(memory.slots,
                       {.linger = config.linger, .batch_bytes = sizeof memory.batches[0]},
                       &counts_),
          connection_({memory.receive, memory.send, memory.pieces, memory.in_flight},
                      config.client_id),
          queue_(config.topic, config.partition, accumulator_, 0, memory.window) {
        accumulator_.add_buffers(memory.buffers, {&memory.batches[0][0], sizeof memory.batches});
        accumulator_.attach(0, queue_);
    }
    client::DeliveryCounts& counts() { return counts_; }
    client::Accumulator& accumulator() { return accumulator_; }
    client::Connection& connection() { return connection_; }
    client::ProducerIdentity& identity() { return identity_; }
    client::PartitionQueue& queue() { return queue_; }
    client::Sender& sender() { return sender_; }

private:
    client::DeliveryCounts counts_{};
    client::Accumulator accumulator_;
    client::Connection connection_;
    client::ProducerIdentity identity_{};
    client::PartitionQueue queue_;
    client::Sender sender_{};
};
/// The same where they are parts of one another (Profile::memory).
template <class Sender>
class OwnParts {
public:
    OwnParts() = default;
    OwnParts(OwnMemory&, const ProducerConfig&) {}
    auto& counts() { return queue().source().reports(); }
    auto& accumulator() { return queue().source(); }
    client::Connection& connection() { return sender_.connection(); }
    client::ProducerIdentity& identity() { return sender_.identity(); }
    client::PartitionQueue& queue() { return sender_.only_queue(); }
    Sender& sender() { return sender_; }

private:
    Sender sender_{};
};

/// Clock and Transport are the ports (leat/port), or final classes of the program's own, which are
/// called without a vtable: include sdk/device/producer_of.hpp for them.
template <class Clock, class Transport>
class ProducerOf {
public:
    template <class Memory>
    ProducerOf(Memory& memory, Clock& clock, Transport& transport, const ProducerConfig& config)
        : parts_(memory, config) {
        start(clock, transport, config);
    }
    /// A producer with memory of its own is all zero before start(), so that a static one takes no
    /// constructor and no flash.
    constexpr ProducerOf() requires(profile.memory.is_fixed()) = default;
    void start(Clock& clock, Transport& transport, const ProducerConfig& config);
    ProducerOf(const ProducerOf&) = delete;
    ProducerOf& operator=(const ProducerOf&) = delete;

    /// Copies one record in; poll() sends it.
    /// fails: full (nothing free until something is acknowledged), too_large (longer than a batch)
    Status send(const Record& record);
    /// Moves bytes both ways, keeps time. Call it after send(), after interrupts of the pipe, and
    /// at deadline().
    void poll();
    /// Sends what lingers without waiting for its linger.
    void flush() { parts_.accumulator().flush(clock_->monotonic()); }
    /// When poll() is needed at the latest if nothing else happens. `never` if only the pipe can
    /// wake it.
    Instant deadline() const;

    /// All that was sent is acknowledged or given up.
    bool is_drained() const { return parts().accumulator().is_drained(); }
    /// As far as a UART can know.
    bool is_connected() const { return parts().connection().is_ready(); }
    /// Records acknowledged.
    std::uint32_t delivered() const { return parts().counts().records_delivered; }
    /// Records given up.
    std::uint32_t failed() const { return parts().counts().records_failed; }
    wire::ErrorCode last_error() const { return parts().counts().last_error; }

private:
    static constexpr client::Owner owner_sender = 1;
    void receive(Instant now);
    void drain_events(Instant now);
    void transmit(Instant now);
    void rest(Instant now);

    Clock* clock_ = nullptr;
    Transport* transport_ = nullptr;
    using Parts =
        std::conditional_t<profile.memory.is_fixed(), OwnParts<client::Sender>, LentParts>;
    Parts& parts() const { return const_cast<Parts&>(parts_); }

    milliseconds answer_gap_max_{};
    Instant heard_at_{};
    Instant connect_at_{};
    unsigned failures_ = 0;
    Parts parts_;
};

/// Over any Clock and Transport.
using Producer = ProducerOf<port::Clock, port::Transport>;

}  // namespace leat::device
