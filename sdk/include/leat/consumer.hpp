// Reads partitions of any Kafka-protocol server: as a member of a group, or assigned by hand, from
// any offset or time.
//
//     leat::Loop loop;
//     auto consumer = leat::Consumer::open(loop, {.bootstrap = "127.0.0.1:9092"});
//     (void)consumer->assign({{"temperature", 0}}, leat::StartAt::beginning);
//     for (const leat::ConsumerRecord& record : consumer->poll(leat::milliseconds(1000)))
//     use(record.value);
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "leat/host.hpp"
#include "leat/producer.hpp"
#include "leat/result.hpp"
#include "leat/time.hpp"
#include "sdk/cluster/group.hpp"

namespace leat {

using cluster::Assignor;
using cluster::CommittedOffset;
using cluster::GroupProtocol;
using cluster::TopicPartition;
using Offsets = cluster::Offsets;

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
    /// by_duration: the first record of the last reset_duration (KIP-1106).
    enum class Reset : std::uint8_t { beginning, end, none, by_duration } reset = Reset::end;
    milliseconds reset_duration{86'400'000};
    /// Of transactions (KIP-98): only committed ones, and nothing at or behind one that is still
    /// open. Else everything, as Kafka's default is. Markers are never shown.
    bool read_committed = false;
    milliseconds request_timeout{30'000};
    milliseconds retry_backoff{100}, retry_backoff_max{1000};
    milliseconds reconnect_backoff{50}, reconnect_backoff_max{1000};
    milliseconds metadata_age_max{300'000};
    bool allow_auto_topic_creation = true;

    // Groups. Without a group_id there is no subscribe, commit or committed.
    std::string group_id{};
    std::optional<std::string> group_instance_id{};  ///< a static member (KIP-345)
    /// Kafka's group.protocol. consumer (KIP-848, Kafka 4.0 and leatd): the broker assigns, and
    /// says how often heartbeats come and when a session ends; then session_timeout is only how
    /// long a static member that starts again waits for its predecessor's session, and
    /// heartbeat_interval and assignors mean nothing.
    GroupProtocol group_protocol = GroupProtocol::classic;
    std::string group_remote_assignor{};  ///< "uniform", "range"; empty: as the broker likes
    milliseconds session_timeout{45'000}, heartbeat_interval{3'000};
    milliseconds max_poll_interval{300'000};  ///< without a poll for longer: out of the group
    std::vector<Assignor> assignors{Assignor::range, Assignor::cooperative_sticky};
    /// What polls returned, at a later poll and before it is given up; also of partitions that are
    /// assigned by hand.
    bool auto_commit = true;
    milliseconds auto_commit_interval{5'000};
};

/// Run on the thread that polls, from within poll (the last one from within close). They may
/// commit, subscribe, and of what was just assigned they may seek and pause; not poll.
struct RebalanceCallbacks {
    using Call = std::function<void(const std::vector<TopicPartition>&)>;
    Call assigned{};  ///< these are read from now on, from their committed offsets
    Call revoked{};   ///< these go to somebody else as soon as this returns: commit now
    Call lost{};      ///< these went to somebody else already; empty: `revoked` is called
};

struct GroupMetadata {
    std::string group_id;
    std::string member_id;         ///< empty: not joined (consumer protocol: from the beginning)
    std::int32_t generation = -1;  ///< or the member's epoch; -1: not joined
};

struct ConsumerRecord {
    std::string_view topic;  ///< this and the other views live as long as the Records
    std::int32_t partition = 0;
    std::int64_t offset = -1;
    std::int32_t leader_epoch = -1;  ///< to be noted with offset + 1 (KIP-320); -1: it has none
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
        log_truncated,  ///< what was read up to the position is not what the log holds now, as
                        ///< after the loss of a leader (KIP-320): from `offset` on; -1: it is
                        ///< not known from where on. Reading goes on there, or as `reset` says if
                        ///< it is not known; Reset::none: waits for a seek
        corrupt,        ///< a batch failed its checks; it is fetched again
        refused,        ///< the broker answered a fetch, or a question for committed offsets, with
                        ///< `error`; tried again
        group_failed,   ///< out of the group for good: `error`. subscribe starts over
        commit_failed,  ///< an automatic or asynchronous commit was refused: `error`
        too_large,  ///< a batch is longer than this consumer ever takes: the partition stands still
    };
    Kind kind{};
    std::string topic{};
    std::int32_t partition = -1;
    ErrorCode error = ErrorCode::none;
    std::string text{};        ///< one line for people
    std::int64_t offset = -1;  ///< log_truncated
};

class Consumer {
public:
    /// fails: invalid (bootstrap, no assignor) · unsupported (no random bytes for a member's name)
    static Result<Consumer> open(Loop& loop, ConsumerConfig config);
    Consumer(Consumer&&) noexcept;
    Consumer& operator=(Consumer&&) noexcept;
    /// Without close() before: nothing is committed and nobody is told. What was read since the
    /// last commit is read once more, by whom the group gives it to when this member's session has
    /// ended.
    ~Consumer();

    /// How many partitions the topic has. fails: timed_out · not_found (and the server creates
    /// none) · invalid
    Result<std::int32_t> partition_count(std::string_view topic, milliseconds timeout);
    /// Reads exactly these from now on; those that were assigned before and are again keep their
    /// positions. Ends a subscription: what the group gave is committed if auto_commit says so, and
    /// `revoked` is called by the next poll.
    Status assign(const std::vector<TopicPartition>& partitions, StartAt start = StartAt::end);

    /// Reads what the group gives this member, from the next poll on. Who has assigned by hand
    /// before loses that. fails: invalid (no group_id in the settings, no topic)
    Status subscribe(std::vector<std::string> topics, RebalanceCallbacks callbacks = {});
    /// All topics whose whole name matches (ECMAScript), those to come, too. fails: invalid (also:
    /// no regular expression)
    Status subscribe_matching(const std::string& regex, RebalanceCallbacks callbacks = {});
    /// The same, but the broker decides what matches, in RE2's syntax (KIP-848); internal topics,
    /// too. fails: unsupported (the classic protocol) · invalid. A broker that cannot read it is
    /// told of by `group_failed` with INVALID_REGULAR_EXPRESSION.
    Status subscribe_pattern(std::string regex, RebalanceCallbacks callbacks = {});
    std::vector<TopicPartition> assignment() const;
    GroupMetadata group_metadata() const;

    // Committed offsets. Each is the offset of the next record to be read.
    // fails: invalid (no group_id) · timed_out · refused (the group went on without this member, or
    // the server said no: poll_event tells `commit_failed` with the error)
    /// The positions of all assigned partitions.
    Status commit(milliseconds timeout);
    Status commit(Offsets offsets, milliseconds timeout);
    /// The same without waiting; in order with all other commits.
    Status commit_async();
    Status commit_async(Offsets offsets);
    /// offset -1: none is committed. A topic that was deleted meanwhile may be left out.
    Result<Offsets> committed(const std::vector<TopicPartition>& partitions, milliseconds timeout);
    /// Commits if auto_commit says so and waits for earlier commits, calls `revoked` (or `lost`)
    /// for what the group gave, leaves the group (static members stay), and ends reading. Takes no
    /// longer than `timeout` and that callback. Afterwards poll returns nothing, and what needs a
    /// broker fails with closed. fails: timed_out (the group learns of it when the session ends) ·
    /// refused (the commit: the group had gone on without this member)
    Status close(milliseconds timeout);

    // Of an assigned partition. fails: not_found (not assigned)
    Status seek(const TopicPartition& partition, std::int64_t offset);
    /// To what a program noted itself: the offset behind a record, with that record's leader_epoch.
    /// If the log does not hold that record any more, `log_truncated` tells.
    Status seek(const TopicPartition& partition, const CommittedOffset& where);
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
    /// One line for people: the last connection that failed since one was made, or a leader that is
    /// not among the cluster's brokers; else empty.
    std::string last_problem() const;

    class Impl;

private:
    explicit Consumer(std::shared_ptr<Impl> impl);
    std::shared_ptr<Impl> impl_;  // owners: this and work of its loop that is still queued
};

}  // namespace leat
