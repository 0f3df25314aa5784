// Sends records to any Kafka-protocol server: batched, compressed, retried, each once and in order.
//
//     leat::Loop loop;
//     auto producer = leat::Producer::open(loop, {.bootstrap = "127.0.0.1:9092"});
//     if (!producer) return 1;
//     (void)producer->send({.topic = "temperature", .key = "boiler", .value = "81.5"});
//     return producer->flush(leat::milliseconds(5000)) ? 0 : 1;
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "leat/host.hpp"
#include "leat/record.hpp"
#include "leat/result.hpp"
#include "leat/time.hpp"
#include "sdk/base/codec.hpp"
#include "sdk/wire/error_code.hpp"

namespace leat {

using wire::ErrorCode;

enum class ProducerAcks : std::int8_t { none = 0, leader = 1, all = -1 };

/// The defaults are those of Kafka's own producer (4.3).
struct ProducerConfig {
    std::string bootstrap;  ///< "host:port", several with commas
    std::string client_id = "leat";
    ProducerAcks acks = ProducerAcks::all;
    bool idempotent = true;  ///< needs acks = all
    milliseconds linger{5};  ///< how long a batch that is not full waits for more records
    std::uint32_t batch_bytes = 16 * 1024;         ///< a batch is closed at this size
    std::uint32_t record_bytes_max = 1024 * 1024;  ///< a longer record is refused
    /// All that waits or is on its way. One record_bytes_max of it, if that is at most half, is
    /// kept for records that are longer than a batch.
    std::uint64_t buffer_bytes = 32 * 1024 * 1024;
    Codec compression = Codec::none;
    milliseconds delivery_timeout{
        120'000};  ///< from send() until a record is given up; zero: never
    milliseconds request_timeout{30'000};
    milliseconds retry_backoff{100}, retry_backoff_max{1000};
    milliseconds reconnect_backoff{50}, reconnect_backoff_max{1000};
    milliseconds metadata_age_max{300'000};
    bool allow_auto_topic_creation = true;
    enum class WhenFull : std::uint8_t {
        block,  ///< send() waits up to block_max for room, and for what it must know of the topic
        fail,   ///< send() answers `full` (or would_block while the topic is not known yet) at once
    } when_full = WhenFull::block;
    milliseconds block_max{60'000};
    std::uint16_t partitions_max = 4096;  ///< of all topics that are produced to
};

struct ProducerRecord {
    std::string_view topic;
    std::optional<std::string_view> key{};    ///< none: spread over the partitions
    std::optional<std::string_view> value{};  ///< none: a tombstone
    std::span<const Header> headers{};
    std::optional<WallTime> timestamp{};      ///< none: now
    std::optional<std::int32_t> partition{};  ///< none: chosen by key, as Kafka's producer does
};

/// What became of one record.
struct Delivery {
    ErrorCode error = ErrorCode::none;  ///< none: acknowledged as `acks` asked
    std::string_view topic;             ///< lives as long as the producer
    std::int32_t partition = -1;
    std::int64_t offset = -1;  ///< -1: not told (acks = none, or a duplicate was recognised)

    explicit operator bool() const { return error == ErrorCode::none; }
};

/// Runs once per record, on the loop's thread, in the order of the partition. May send, must not
/// wait.
using OnDelivery = std::function<void(const Delivery&)>;

/// A delivery to wait for; known at the latest when the producer is closed. Its topic text lives as
/// long as the producer. On a Loop that is polled, polling is what makes it come.
class PendingDelivery {
public:
    struct State;
    explicit PendingDelivery(std::shared_ptr<State> state) : state_(std::move(state)) {}
    bool is_done() const;
    /// fails: timed_out (not known yet)
    Result<Delivery> wait(milliseconds timeout);

private:
    std::shared_ptr<State> state_;  // owners: this and the producer's report queue
};

struct ProducerStats {
    std::uint64_t accepted = 0;  ///< records that send() took
    std::uint64_t acknowledged = 0;
    std::uint64_t failed = 0;        ///< delivered with an error
    std::uint64_t buffered = 0;      ///< accepted - acknowledged - failed
    std::uint64_t buffer_bytes = 0;  ///< memory taken for buffers, free ones too
    std::uint32_t connections = 0;   ///< brokers that answer now
    std::uint64_t connects = 0, disconnects = 0, connect_failures = 0;
    ErrorCode last_error = ErrorCode::none;
};

class Producer {
public:
    /// Connects in the background: a server that is not there yet is no failure.
    /// fails: invalid (bootstrap, or settings that contradict each other), unsupported (codec not
    /// built in)
    static Result<Producer> open(Loop& loop, ProducerConfig config);
    Producer(Producer&&) noexcept;
    Producer& operator=(Producer&&) noexcept;
    /// As close() with no time to wait: records that are not delivered yet are given up.
    ~Producer();

    /// Copies the record and returns. Errors of the delivery come later, by callback.
    /// fails: full · would_block · timed_out (block_max passed) · too_large · not_found (no such
    /// partition)
    ///        refused (the server does not want this topic: stats().last_error) · invalid (no
    ///        topic) · closed
    Status send(const ProducerRecord& record, OnDelivery on_delivery = {});
    /// The same, to be waited for.
    Result<PendingDelivery> send_tracked(const ProducerRecord& record);

    /// Sends all that is buffered without waiting for linger; returns when everything that was
    /// accepted before is delivered or given up and its callbacks have run, whatever others send
    /// meanwhile. fails: timed_out
    Status flush(milliseconds timeout);
    /// Flushes, gives up the rest (its callbacks run with an error), and takes nothing more.
    /// fails: timed_out (something was given up)
    Status close(milliseconds timeout);

    ProducerStats stats() const;
    /// One line for people: the last connection that failed since one was made, or a leader that is
    /// not among the cluster's brokers; else empty.
    std::string last_problem() const;

    class Impl;

private:
    explicit Producer(std::shared_ptr<Impl> impl);
    std::shared_ptr<Impl> impl_;  // owners: this and work of its loop that is still queued
};

}  // namespace leat
