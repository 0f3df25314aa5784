// The room's door: topics, their partitions, and what may be appended to and asked of them.
//
// A partition has no object of its own: its offsets and producer state are a stream of the log, its
// settings its topic's. high_watermark is the log's flushed offset, so what is readable is durable.
#pragma once

#include <deque>
#include <string>
#include <vector>

#include "broker/topics/producer_ids.hpp"
#include "broker/topics/registry.hpp"
#include "broker/topics/validate.hpp"
#include "sdk/wire/error_code.hpp"

namespace leat::topics {

/// What became of one batch.
struct Append {
    wire::ErrorCode error = wire::ErrorCode::none;
    /// The log's open group and its successor are full: nothing happened; ask again after the next
    /// commit.
    bool again = false;
    /// With NOT_ENOUGH_REPLICAS: the log is full, and by the topic's policy the producer waits, or
    /// its oldest records make room: `soon`, if they may.
    bool may_wait = false, soon = false;
    bool duplicate = false;  ///< recognised as sent before: the offsets are the original's
    log::Offset base_offset = -1;
    std::int64_t log_append_time = -1;  ///< for LogAppendTime topics
    log::Offset log_start = -1;
    log::CommitId commit = 0;  ///< acks=all is answered when this is durable
    std::string message;       ///< for people, on errors
    std::vector<RecordProblem> record_problems;
};

/// A stream's high watermark moved up.
struct Advance {
    log::StreamId stream = 0;
    std::uint32_t bytes = 0;  ///< of the batches that became readable
};

enum class ListOffsetsKind : std::uint8_t { latest, earliest, max_timestamp };

struct TopicsCounters {
    std::uint64_t batches = 0, records = 0, bytes = 0, duplicates = 0, refused = 0;
};

class Topics {
public:
    Topics(log::Log& log, port::Entropy& entropy, TopicDefaults defaults)
        : registry(log, entropy, defaults), producer_ids(entropy), log_(log) {}

    Registry registry;
    ProducerIds producer_ids;

    /// One partition's records of a Produce request, version `version` of which it came in.
    /// `partition` is inside the topic. The bytes are borrowed for the call.
    Append append(Instant now, WallTime wall, const Topic& topic, std::int32_t partition,
                  ByteView records, std::int16_t version);
    /// The same in two halves: `judged` is what validate(records, rules(...)) said, elsewhere or
    /// earlier. Its texts are moved from when the batch is refused; with `again` it stays whole.
    BatchRules rules(WallTime wall, const Topic& topic, std::int16_t version) const;
    Append append_judged(Instant now, WallTime wall, const Topic& topic, std::int32_t partition,
                         ByteView records, Validated& judged);

    /// Partition's records of a Produce request that were refused without being offered (they
    /// waited for room in vain), and come again: nothing overtakes a producer's first batch.
    /// Borrowed.
    void not_offered(const Topic& topic, std::int32_t partition, ByteView records);
    /// One that may wait for room (Append::may_wait) does not, or no more.
    void refused_after_all() { ++counters_.refused; }

    struct OffsetAnswer {
        log::Offset offset = -1;
        std::int64_t timestamp = -1;
        std::int32_t leader_epoch = -1;
        bool again = false;  ///< max_timestamp only: the record is not durable yet; ask after the
                             ///< open commit
    };
    /// For max_timestamp: the last offset of the batch that has it, which may be expired meanwhile.
    /// Which record it is, and what is the largest of those that are left, log.start_find_time
    /// says.
    OffsetAnswer list_offset(Instant now, log::StreamId stream, ListOffsetsKind kind);

    /// Streams whose high watermark moved since the last call; after log.on_storage.
    std::optional<Advance> poll_advance();
    /// Commits in (first, last] were given up by the log.
    void rolled_back(log::CommitId first, log::CommitId last);

    /// message bytes in force: the topic's setting, at most what the log can take
    std::uint32_t message_bytes_max(const Topic& topic) const;
    const TopicsCounters& counters() const { return counters_; }

private:
    struct Unflushed {
        log::CommitId commit;
        Advance advance;
    };
    /// A producer's first batch for a stream.
    struct First {
        log::StreamId stream;
        std::int64_t producer_id;
        std::int16_t epoch;
        std::int32_t sequence;
        log::CommitId commit = 0;  ///< of `unflushed_firsts_`
    };
    std::deque<First>::iterator find_awaited(log::StreamId stream, std::int64_t producer_id,
                                             std::int16_t epoch);
    void await(std::deque<First>::iterator found, const First& first);
    log::Log& log_;
    /// Refused because the log was full or could not write, or taken back by it: they come again.
    std::deque<First> awaited_;  // the oldest are forgotten
    // in commit order; bounded by the log's two open groups
    std::deque<First> unflushed_firsts_;
    std::deque<Unflushed> unflushed_;
    TopicsCounters counters_;
};

}  // namespace leat::topics
