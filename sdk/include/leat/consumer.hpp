// Reads partitions of any Kafka-protocol server: assigned by hand, from any offset or time.
//
//     leat::Loop loop;
//     auto consumer = leat::Consumer::open(loop, {.bootstrap = "127.0.0.1:9092"});
//     (void)consumer->assign({{"temperature", 0}}, leat::StartAt::beginning);
//     for (const leat::ConsumerRecord& record : consumer->poll(leat::milliseconds(1000)))
//     use(record.value);
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "leat/host.hpp"
#include "leat/producer.hpp"
#include "leat/result.hpp"
#include "leat/time.hpp"

namespace leat {

struct TopicPartition {
    std::string topic;
    std::int32_t partition = 0;

    friend bool operator==(const TopicPartition&, const TopicPartition&) = default;
};

enum class StartAt : std::uint8_t { beginning, end };

struct ConsumerConfig {
    std::string bootstrap;
    std::string client_id = "leat";
    std::uint32_t prefetch_bytes =
        4 * 1024 * 1024;  ///< per broker: fetched and not yet polled, at most
    std::uint32_t fetch_bytes_max =
        1024 * 1024;  ///< of one answer; a single longer batch still comes through
    std::uint32_t partition_bytes_max = 1024 * 1024;
    std::uint32_t fetch_bytes_min = 1;
    milliseconds fetch_wait{500};  ///< how long the broker waits for fetch_bytes_min
    /// Where to go on when the position does not exist (any more). none: the partition stands still
    /// and an event tells.
    enum class Reset : std::uint8_t { beginning, end, none } reset = Reset::end;
    bool read_committed = false;  ///< stop at the last stable offset
    milliseconds request_timeout{30'000};
    milliseconds retry_backoff{100}, retry_backoff_max{1000};
    milliseconds reconnect_backoff{50}, reconnect_backoff_max{1000};
    milliseconds metadata_age_max{300'000};
    bool allow_auto_topic_creation = true;
};

struct ConsumerRecord {
    std::string_view topic;  ///< this and the other views live as long as the Records
    std::int32_t partition = 0;
    std::int64_t offset = -1;
    WallTime timestamp{};
    bool log_append_time = false;  ///< the broker's time, not the producer's
    std::optional<std::string_view> key;
    std::optional<std::string_view> value;
    std::span<const Header> headers;
};

/// What one poll brought. Owns the bytes.
class Records {
public:
    Records() = default;
    Records(Records&&) noexcept = default;
    Records& operator=(Records&&) noexcept = default;

    std::size_t size() const { return records_.size(); }
    bool empty() const { return records_.empty(); }
    const ConsumerRecord& operator[](std::size_t i) const { return records_[i]; }
    auto begin() const { return records_.begin(); }
    auto end() const { return records_.end(); }

private:
    friend class Consumer;
    std::vector<ConsumerRecord> records_;
    std::vector<std::unique_ptr<char[]>> blocks_;
    std::vector<std::unique_ptr<Header[]>> headers_;
    std::vector<std::shared_ptr<const std::string>> topics_;
};

/// Something about an assignment that a program may want to act upon.
struct ConsumerEvent {
    enum class Kind : std::uint8_t {
        connected,            ///< a broker answers
        disconnected,         ///< one stopped answering; it is tried again
        topic_error,          ///< `error` for `topic`: not there (yet), or not allowed
        offset_out_of_range,  ///< Reset::none only: the partition waits for a seek
        corrupt,              ///< a batch failed its checks; it is fetched again
        refused,              ///< the broker answered a fetch with `error`; tried again
        too_large,  ///< a batch is longer than this consumer ever takes: the partition stands still
    };
    Kind kind{};
    std::string topic{};
    std::int32_t partition = -1;
    ErrorCode error = ErrorCode::none;
    std::string text{};  ///< one line for people
};

class Consumer {
public:
    /// fails: invalid (bootstrap)
    static Result<Consumer> open(Loop& loop, ConsumerConfig config);
    Consumer(Consumer&&) noexcept;
    Consumer& operator=(Consumer&&) noexcept;
    ~Consumer();

    /// How many partitions the topic has. fails: timed_out · not_found (and the server creates
    /// none) · invalid
    Result<std::int32_t> partition_count(std::string_view topic, milliseconds timeout);
    /// Reads exactly these from now on; those that were assigned before and are again keep their
    /// positions.
    Status assign(const std::vector<TopicPartition>& partitions, StartAt start = StartAt::end);

    // Of an assigned partition. fails: not_found (not assigned)
    Status seek(const TopicPartition& partition, std::int64_t offset);
    Status seek_to(const TopicPartition& partition, StartAt where);
    Status seek_to_time(const TopicPartition& partition,
                        WallTime time);             ///< first record at or after
    Status pause(const TopicPartition& partition);  ///< what was fetched is kept and not returned
    Status resume(const TopicPartition& partition);
    /// Offset of the next record that poll returns. fails: would_block (being looked up)
    Result<std::int64_t> position(const TopicPartition& partition) const;
    /// The end as the last fetch saw it. fails: would_block (not fetched yet)
    Result<std::int64_t> high_watermark(const TopicPartition& partition) const;

    /// Returns as soon as there is something, at most records_max; empty after `timeout`.
    Records poll(milliseconds timeout, std::size_t records_max = 500);
    std::optional<ConsumerEvent> poll_event();

    class Impl;

private:
    explicit Consumer(std::shared_ptr<Impl> impl);
    std::shared_ptr<Impl> impl_;  // owners: this and work of its loop that is still queued
};

}  // namespace leat
