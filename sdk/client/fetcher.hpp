// Reads partitions over one connection: offsets by time (ListOffsets), long-polled Fetch, CRC
// check, records one by one. What was fetched and not yet read lies in the caller's memory, whose
// size bounds the prefetch.
//
// Truncation (KIP-320): a position carries the leader epoch of the record before it. When a
// partition is assigned, or its leader's epoch changes, the new leader is asked first how far that
// epoch reaches in its log (OffsetForLeaderEpoch, key 23). If not as far as the position, what was
// read is not what stands there now: `truncated`, and reading goes on where the logs part.
#pragma once

#include <optional>
#include <span>

#include "sdk/client/backoff.hpp"
#include "sdk/client/connection.hpp"
#include "sdk/wire/api/01_fetch.hpp"
#include "sdk/wire/error_code.hpp"
#include "sdk/wire/record_batch.hpp"

namespace leat::client {

constexpr std::int64_t timestamp_latest = -1;  ///< ListOffsets' own words
constexpr std::int64_t timestamp_earliest = -2;

enum class OffsetReset : std::uint8_t { earliest, latest, none };

/// What became of a partition; see FetcherEvent. A later one replaces an earlier one that was not
/// drained yet, but never one that says that the partition stands still.
enum class FetchNews : std::uint8_t {
    nothing,
    leader_unknown,       ///< `error` says why; ask for metadata
    offset_out_of_range,  ///< OffsetReset::none only: the partition stands still until seek
    corrupt,              ///< a batch failed its CRC or its format; fetched again after a back-off
    refused,              ///< any other Kafka error; tried again after a back-off
    too_large,            ///< an answer did not fit the receive buffer; the partition stands still
    truncated,  ///< the log ended before the position, or it is not known where (diverges_at).
                ///< OffsetReset::none: the partition stands still until seek
    end,        ///< the position reached the high watermark
};

/// One assigned partition. Owned by the consumer, lent to the Fetcher of its leader, which alone
/// changes what stands below `position`.
struct FetchPartition {
    std::string_view topic{};  ///< borrowed
    wire::Uuid topic_id{};     ///< zero: unknown, Fetch stays <= 12
    std::int32_t partition = 0;
    std::uint16_t slot = 0;  ///< the consumer's own name for it
    bool paused = false;
    std::int64_t position =
        -1;  ///< offset of the next record that next() returns; -1: being looked up
    std::int64_t lookup = timestamp_latest;  ///< where to start while position is -1
    std::int64_t fetch_offset =
        -1;  ///< offset of the next Fetch: ahead of position by what is prefetched
    std::int64_t high_watermark =
        -1;  ///< as of the last answer; read_committed: the last stable offset
    std::int64_t log_start_offset = -1;
    std::int32_t leader_epoch = -1;    ///< of whom it is lent to; -1: unknown, nothing is checked
    std::int32_t position_epoch = -1;  ///< of the record before `position`; -1: unknown
    std::int64_t diverges_at = -1;     ///< of the last `truncated`; -1: the leader could not tell
    Instant not_before{};          ///< back-off after an error; `never`: stands still until seek
    std::uint32_t generation = 0;  ///< a seek makes older answers and prefetched bytes void
    std::uint32_t asked_generation = 0;
    std::uint16_t failures = 0;
    bool asked = false;  ///< in the request that is in flight
    bool told_end = false;
    bool looked_up = false;  ///< `position` is what a lookup said; no fetch has agreed yet
    bool unchecked = false;  ///< the leader is to be asked for the end of position_epoch first
    FetchNews news = FetchNews::nothing;  ///< not drained yet
    wire::ErrorCode news_error{};
    FetchPartition* next = nullptr;
};

struct FetchedRecord {
    const FetchPartition* from = nullptr;
    std::int64_t offset = -1;
    std::int64_t timestamp = -1;
    bool log_append_time = false;
    wire::RecordView record{};  ///< borrowed until the next call that is not const
};

struct FetcherEvent {
    using Kind = FetchNews;
    Kind kind{};
    FetchPartition* partition = nullptr;
    wire::ErrorCode error{};
};

/// Expands compressed batches; hosted programs bring one.
class BatchDecompressor {
public:
    /// Returned bytes stay valid until the next call. fails: unsupported, corrupt, too_large
    /// (bounded output)
    virtual Result<ByteView> decompress(Codec codec, ByteView records) = 0;

protected:
    ~BatchDecompressor() = default;
};

struct FetcherConfig {
    milliseconds wait_max{500};
    std::uint32_t bytes_min = 1;
    std::uint32_t bytes_max = 1024 * 1024;  ///< also bounded by prefetch room and receive buffer
    std::uint32_t partition_bytes_max = 1024 * 1024;
    OffsetReset reset = OffsetReset::latest;
    /// 0 read_uncommitted; 1 read_committed (KIP-98): nothing of a transaction that was aborted,
    /// and the end is the last stable offset. Control batches are shown in neither.
    std::int8_t isolation_level = 0;
    milliseconds request_timeout{30000};  ///< on top of wait_max
    BackoffConfig retry{};
};

class Fetcher {
public:
    /// A run of batches of one partition in the prefetch memory.
    struct Run {
        FetchPartition* partition = nullptr;
        std::uint32_t generation = 0;
        std::uint32_t begin = 0, end = 0;
    };
    struct Memory {
        MutableBytes prefetch;  ///< the bound on bytes fetched and not yet read
        std::span<Run> runs;    ///< partitions per answer
    };

    Fetcher(Connection& connection, const Memory& memory, const FetcherConfig& config, Owner owner,
            std::uint32_t seed, BatchDecompressor* decompressor = nullptr);
    Fetcher(const Fetcher&) = delete;
    Fetcher& operator=(const Fetcher&) = delete;

    // want
    void assign(FetchPartition& partition);
    /// At once; an answer under way and prefetched bytes of it become void. It keeps its position.
    void unassign(FetchPartition& partition);
    /// Its leader, which this one stays, is in another epoch: the position is checked, what is
    /// prefetched is fetched again.
    void lead(FetchPartition& partition, std::int32_t leader_epoch);
    /// leader_epoch  of the record before it, as somebody noted it: held against the log first;
    ///               -1: not known, nothing is checked
    void seek(FetchPartition& partition, std::int64_t offset, std::int32_t leader_epoch = -1);
    /// From where it stands, which may be still: there is more memory now.
    void fetch_again(FetchPartition& partition);
    /// To the first record at or after `timestamp` (milliseconds), or timestamp_earliest,
    /// timestamp_latest.
    void seek_to_time(FetchPartition& partition, std::int64_t timestamp);
    void pause(FetchPartition& partition,
               bool paused);  ///< paused: prefetched records wait, nothing is fetched. Where the
                              ///< others need their memory they are fetched again when it resumes
    /// A longer prefetch memory takes over; what the old one holds is copied. The old one stays
    /// readable as long as this Fetcher: a batch may be open in it.
    void use_prefetch_memory(MutableBytes longer) {
        LEAT_CHECK(longer.size() >= used_);
        copy_bytes(memory_.prefetch.first(used_), longer);
        memory_.prefetch = longer;
    }
    /// Sends what is needed next. After events, seeks, and records read.
    void pump(Instant now);

    // tell
    void on_event(Instant now, const Event& event);
    void on_deadline(Instant now) { pump(now); }

    // drain
    /// The next record, of any partition that is not paused; order within a partition is by offset.
    std::optional<FetchedRecord> next(Instant now);
    std::optional<FetcherEvent> poll_event();
    Instant deadline() const;

private:
    /// Of the leader epoch of a prefetched batch, which Kafka's checksum does not cover: its
    /// transaction was aborted. Only read_committed uses it, and clears it in all others.
    static constexpr std::uint32_t aborted_bit = 0x80000000;
    static constexpr std::size_t partitions_max = 256;  // per Fetch; more take turns
    enum class Ask : std::uint8_t { offsets, epochs, records };
    bool is_wanted(const FetchPartition& partition, Ask what, Instant now) const;
    std::size_t collect(Instant now, Ask what, std::span<FetchPartition*> out);
    void ask_offsets(Instant now);
    void ask_epochs(Instant now);
    bool can_check(Instant now);
    void on_epochs(Instant now, const Event& event);
    void on_truncated(FetchPartition& partition, std::int64_t end, std::int32_t epoch);
    std::int32_t epoch_of(const wire::BatchHeader& header) const;
    void ask_records(Instant now);
    void on_offsets(Instant now, const Event& event);
    void on_records(Instant now, const Event& event);
    /// Returns where in the prefetch memory they lie now.
    MutableBytes store(Instant now, FetchPartition& partition, ByteView records);
    static void hide_aborted(MutableBytes batches,
                             const wire::Array<wire::FetchResponse::AbortedTransaction>& aborted);
    std::size_t prefetch_low() const { return memory_.prefetch.size() / 2; }
    bool judge(Instant now, FetchPartition& partition, wire::ErrorCode error);
    FetchPartition* answered(std::string_view topic, const wire::Uuid& id, std::int32_t partition);
    void forget_asked();
    void hold_asked(Instant now);
    void hold(Instant now, FetchPartition& partition);
    bool open_batch(Instant now, Run& run);
    bool next_run();
    void drop_run(Instant now, Run& run, FetcherEvent::Kind why);
    void reset(FetchPartition& partition, std::int64_t position, std::int64_t lookup);
    static void check_position(FetchPartition& partition);
    void tell_end(FetchPartition& partition);
    void tell(FetcherEvent::Kind kind, FetchPartition& partition, wire::ErrorCode error);
    void untell(FetchPartition& partition);

    Connection& connection_;
    Memory memory_;
    FetcherConfig config_;
    BatchDecompressor* decompressor_;
    FetchPartition* partitions_ = nullptr;
    std::size_t names_max_ = partitions_max;  // what the send memory holds of them
    std::size_t run_count_ = 0;
    std::size_t used_ = 0;                      // bytes of prefetch memory in use
    Run* current_ = nullptr;                    // whose batch is open
    std::optional<wire::RecordReader> reader_;  // the open batch
    wire::BatchHeader header_{};
    std::uint32_t batch_bytes_ = 0;
    bool shows_nothing_ = false;  // it is a control batch, or of an aborted transaction
    std::size_t news_count_ = 0;  // partitions with news
    Instant throttled_until_{};
    Jitter jitter_;
    Owner owner_;
    bool in_flight_ = false;
};

}  // namespace leat::client
