// The one log of a gateway: record batches of all streams and the broker's own facts, on one block device.
//
// This header is the door of the room; FORMAT.md beside it is the theory: layout, invariants, what a crash
// can leave. Nobody above knows segments, and this room knows no topics: a partition is a StreamId.
//
// One thread. Nothing here waits for the device but open(). What callers are told:
//   append / put_fact   -> a CommitId; it is durable when flushed_commit() has reached it
//   start_read          -> a ticket; poll_read() brings it back, at once when the bytes are in memory
// and one deadline(), at which on_deadline() must be called.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "leat/port/entropy.hpp"
#include "leat/port/storage.hpp"
#include "leat/time.hpp"
#include "sdk/base/bytes.hpp"

namespace leat::log {

using StreamId = std::uint32_t;  ///< given by topics, never used twice in a log's life
using Offset = std::int64_t;     ///< place of a record in its stream
using CommitId = std::uint64_t;  ///< counts what was appended in this run; later is larger; 0 = before everything

/// What to do with a log that another device wrote (a copied or moved card).
enum class ForeignLog : std::uint8_t {
    tell,   ///< open it as it is; LogStatus::foreign_device says so, at every start
    adopt,  ///< it is this device's from now on: the other one is gone
    fork,   ///< a copy that lives on its own: new log_id, the old one becomes parent_log_id
};

struct LogConfig {
    /// 0: the whole device. The superblock is in it. Smaller than what is in use: the pool shrinks to it, in the
    /// background, at least to 16 segments less the superblock.
    std::uint64_t budget_bytes = 0;
    std::uint32_t segment_bytes = 0;         ///< power of two >= 64 KiB; 0: chosen from the budget. Fixed at creation
    std::uint32_t page_bytes = 4096;         ///< a commit is padded to this; 16384 = paranoid
    milliseconds commit_interval{-1};        ///< -1: auto (DESIGN.md section 3); 0: every group at once
    std::uint32_t group_bytes_max = 512 * 1024;
    std::uint32_t recent_bytes = 1024 * 1024;  ///< the newest commits stay in memory
    std::uint32_t cache_bytes = 1024 * 1024;   ///< blocks read back from the device
    std::uint32_t streams_max = 10'000;
    std::uint32_t producers_max = 10'000;    ///< (stream, producer id) pairs remembered; oldest go first
    milliseconds producer_expiry{std::int64_t{30} * 24 * 3600 * 1000};  ///< in log time
    std::uint32_t compaction_map_bytes = 1024 * 1024;  ///< taken while streams are compacted: 24 B x 4/3 per key
    milliseconds scrub_every{std::int64_t{7} * 24 * 3600 * 1000};  ///< all sealed segments are read once in it; 0: never
    milliseconds compaction_every{10'000};   ///< how often it looks whether a stream is worth it
    std::string device_identity;             ///< machine id; another one at open() is a copied card
    ForeignLog foreign = ForeignLog::tell;   ///< this device's own log is never changed by it
    WallTime build_date{};                   ///< wall times before it are not believed
};

/// What happens when the log is full of records that are not delivered yet.
enum class WhenFull : std::uint8_t { reject, drop_oldest };

/// What topics tells the log about one stream.
struct StreamPolicy {
    milliseconds retention{-1};        ///< age in log time (append to now); -1: for ever
    std::int64_t retention_bytes = -1; ///< batch bytes; -1: no bound
    /// What is delivered (before `release`, where a route sets that) goes at once, not only when room is short.
    bool until_delivered = false;
    WhenFull when_full = WhenFull::reject;
    std::uint8_t priority = 5;         ///< 1 to 10; of what may be dropped the lowest goes first
    /// Compaction: of every key the newest record stays (of what lies before `release`). Then records that are
    /// delivered are no room to be made.
    bool compact = false;
    std::uint16_t dirty_permille_min = 500;  ///< so much of its bytes must be new before it is worth a look
    milliseconds compaction_lag{0};          ///< in log time: a younger record is left alone
    /// In log time: a record that lies so long in a full segment, and is in no pass yet, makes one; what that finds
    /// goes even if it frees no segment. -1: no bound.
    milliseconds compaction_lag_max{-1};
    milliseconds tombstone_retention{24 * 3600 * 1000};  ///< a null value stays so long after what it deletes is gone
    /// Batch bytes that find room when others do not any more, and that are never dropped for room.
    std::int64_t reserved_bytes = 0;
};

struct StreamState {
    Offset log_start = 0;
    Offset flushed = 0;      ///< flushed_offset: everything before it is durable
    Offset log_end = 0;
    /// Records before it may be freed by retention (uplinked_offset). 0 until set_release: nothing is freed.
    /// INT64_MAX: no route holds them back; only age, bytes and deletes free them. Else what lies before it is
    /// delivered and is also freed when room is short.
    Offset release = 0;
    std::int64_t bytes = 0;  ///< batch bytes between log_start and log_end
    std::int64_t max_timestamp = -1;  ///< largest maxTimestamp seen, and the offset that has it
    Offset max_timestamp_offset = -1;
};

/// One batch to append. `batch` is whole and validated by the caller (CRC, counts); borrowed for the call.
struct AppendRequest {
    StreamId stream = 0;
    ByteView batch;                            ///< RecordBatch v2, 61 bytes header and on
    std::optional<WallTime> log_append_time;   ///< set: stamped (attribute bit 3, maxTimestamp), CRC made anew
    milliseconds flush_within{-1};             ///< its commit is due this soon, where others may wait longer; -1: as they
};
struct Appended {
    Offset base_offset = 0;
    CommitId commit = 0;
};

/// The last batches of one idempotent producer in one stream (kafka-rules 4.3), oldest first.
struct ProducerBatch {
    std::int32_t first_sequence = 0;
    std::int32_t last_sequence = 0;
    Offset base_offset = 0;
    std::int64_t timestamp = -1;   ///< log append time or -1, as answered to the producer
    CommitId commit = 0;           ///< a duplicate is answered when this is durable
};
struct ProducerState {
    std::int16_t epoch = -1;
    std::uint8_t count = 0;
    ProducerBatch last[5];
};

struct ReadRequest {
    StreamId stream = 0;
    Offset from = 0;        ///< inside a batch: that whole batch comes first
    Offset until = 0;       ///< batches that start here or later are left out (high watermark)
    bool first_may_exceed = true;  ///< the first batch comes even if larger than half of `into`, if it fits at all
};
using ReadTicket = std::uint64_t;
struct ReadDone {
    ReadTicket ticket = 0;
    /// Whole batches in order at the front of the memory handed in; 0: nothing in [from, until).
    /// fails: not_found (from outside [log_start, log_end]) · too_large (first batch needs `needed` bytes) ·
    /// corrupt (damage; `next` is the first offset after it that can be read) · storage
    Result<std::size_t> bytes = std::size_t{0};
    Offset next = 0;
    std::uint32_t needed = 0;
};
struct TimeDone {
    ReadTicket ticket = 0;
    /// The first record whose timestamp is >= the target: its offset and timestamp; not_found if none.
    struct Found { Offset offset; std::int64_t timestamp; };
    Result<Found> found = fail(Error::not_found);
};

/// What became of offsets that are gone, and of some that are not (DESIGN.md, idea 5).
enum class Freed : std::uint8_t { delivered = 0, expired = 1, deleted = 2, superseded = 3 };
constexpr std::size_t freed_kinds = 4;
enum class LossReason : std::uint8_t { no_room = 1, expired = 2, cut = 3, damaged = 4, raised = 5, refused = 6, deleted = 7 /* with its topic, undelivered */ };
struct Loss {
    Offset from = 0, to = 0;
    std::uint64_t records = 0;  ///< at most to - from
    std::uint64_t bytes = 0;    ///< batch bytes, as far as known
    LossReason reason = LossReason::no_room;
    std::uint32_t events = 1;   ///< how often it happened: merged entries
    std::uint64_t first_age_ms = 0, last_age_ms = 0;  ///< age time (FORMAT.md section 8)
    std::int64_t wall_ms = -1;  ///< of the last event; -1: the clock was not trusted
};
/// The books of one stream: all counts are offsets; they add up to log_end exactly.
struct Books {
    struct Count {
        std::uint64_t records = 0, bytes = 0;
    };
    Offset log_start = 0, log_end = 0;
    Count freed[freed_kinds] = {};
    std::uint64_t kept_delivered = 0, kept_buffered = 0;  ///< between log_start and log_end, without losses
    std::vector<Loss> losses;
    std::uint64_t sum() const {
        std::uint64_t all = kept_delivered + kept_buffered;
        for (const Count& count : freed) all += count.records;
        for (const Loss& loss : losses) all += loss.records;
        return all;
    }
    bool balanced() const { return sum() == static_cast<std::uint64_t>(log_end); }
};
constexpr StreamId no_stream = 0;  ///< its books hold what belongs to no stream: cuts, and what went with its topic

/// Facts: what the rooms above want to find again, opaque here. Latest per (kind, key) wins.
enum class FactKind : std::uint8_t { topic = 1, config = 2, group = 3, transaction = 4, cursor = 5, node = 6 };

struct LogCounters {  // bytes unless said; all since open()
    std::uint64_t payload = 0, written_data = 0, written_padding = 0, written_footer = 0,
                  written_checkpoint = 0, written_other = 0, written_cleaner = 0, written_zeros = 0 /* once, ahead of a segment's first use */, read = 0, read_at_open = 0;
    std::uint64_t commits = 0, segments_recycled = 0, write_errors = 0, damaged_batches = 0, expired_records = 0;
    std::uint64_t append_rejected_full = 0;
    std::uint64_t slow_writes = 0;    ///< that took longer than 5 s; the one under way, too
    std::uint64_t scrubbed = 0;       ///< read by the scrubber
    std::uint64_t scrub_damaged = 0;  ///< places that did not hold, counted each time they are met
    std::uint64_t superseded_records = 0;  ///< not copied: their key has a newer record, or was deleted long enough
    std::uint64_t dropped_records = 0;  ///< undelivered, for room (drop_oldest); all of them are in lost_records
    std::uint64_t cleaner_copied = 0;  ///< batch bytes that were moved ...
    std::uint64_t cleaner_freed = 0;   ///< ... and bytes of segments that this freed: the ratio is its cost
    std::uint64_t lost_records = 0;  ///< entered in the ledger
    std::uint64_t moved_bytes = 0;   ///< segments that were copied whole because the pool shrinks
    std::uint64_t given_back = 0;    ///< of the device, after the budget became smaller
    std::uint64_t shrink_changes = 0;  ///< how often LogStatus::shrinking became another
    std::uint64_t unexplained_records = 0;  ///< at open: below a log start that no book explains (logs of older programs)
};

/// A place on the device that does not hold, found by the scrubber.
struct DamagedPlace {
    enum class What : std::uint8_t { header, records, footer, unreadable, superblock, checkpoint };
    What what = What::records;
    std::uint64_t device_position = 0;  ///< of the structure, in bytes
    std::uint32_t segment = 0;
    std::uint64_t age_ms = 0;           ///< age time when it was seen last
};
const char* damaged_text(DamagedPlace::What what);

/// What the log does about a budget that became smaller than its pool.
enum class Shrinking : std::uint8_t {
    no,
    making_room,  ///< more is kept than the budget allows: retention and full policies free it
    waiting,      ///< ... and nothing of it may be freed now
    moving,       ///< what lies at the pool's end is moved into free segments before it
    unreadable,   ///< ... and a segment there cannot be read, or none can be written: tried again
    giving_back,  ///< until the device is as small as it should be
};
const char* shrinking_text(Shrinking what);

struct LogStatus {
    std::string log_id;             ///< uuid text; a new log has a new one
    std::string parent_log_id;
    /// 1 on the first open. A run that went on in a full ring behind a write that failed counts, too.
    std::uint64_t start_count = 0;
    std::int32_t leader_epoch = 0;  ///< rises at every unsealed start
    bool was_sealed = false;        ///< the last run ended with a clean stop
    bool foreign_device = false;    ///< device_identity differs: a copied card
    /// Two writes in a row failed, or one in a full ring; appends answer `storage` until a try of the
    /// device succeeds.
    bool read_only = false;
    bool write_is_slow = false;     ///< the device has not finished a write for more than 5 s
    std::uint32_t page_bytes = 0, segment_bytes = 0, segments = 0, segments_free = 0;
    std::uint32_t segments_target = 0;  ///< what the budget allows; fewer than `segments` while the pool shrinks
    Shrinking shrinking = Shrinking::no;
    std::uint64_t budget_bytes = 0, used_bytes = 0;
    std::vector<DamagedPlace> damaged;  ///< the last eight of this run; records that it cost are in the ledger
    std::uint64_t reserved_bytes = 0;         ///< by all streams together
    std::uint32_t segments_kept = 0;          ///< free ones that stay, for reservations and the log itself
    /// This start has met damage that may have taken facts, or taken them back to older ones.
    bool facts_lost = false;
    std::string cut_text;           ///< what recovery cut or quarantined, for the log line; empty: nothing
};

class Log {
public:
    virtual ~Log() = default;

    // -- start and stop ---------------------------------------------------------------------------
    /// Recovers or creates the log; the only call that waits for the device.
    /// fails: unsupported (another format version) · busy · corrupt (no superblock readable, yet not empty) ·
    /// too_large (budget below 16 segments) · storage. `open_error_text` says it for people and what to do.
    virtual Status open(Instant now, WallTime wall) = 0;
    virtual const std::string& open_error_text() const = 0;
    /// Flushes what is open and writes the seal; done when closed().
    virtual void close(Instant now, WallTime wall) = 0;
    virtual bool closed() const = 0;

    // -- tell -------------------------------------------------------------------------------------
    virtual void on_storage(Instant now) = 0;             ///< something may have finished: collects it
    virtual void on_deadline(Instant now, WallTime wall) = 0;
    virtual Instant deadline() const = 0;                 ///< `never` if none

    // -- streams ----------------------------------------------------------------------------------
    /// Streams are born from the caller's facts: after open(), topics declares each again.
    virtual Status declare_stream(StreamId stream, StreamPolicy policy) = 0;
    /// Whether so many new ones may be declared: what is remembered of them stays a small share of the budget.
    virtual bool room_for_streams(std::size_t) const { return true; }
    virtual void drop_stream(StreamId stream) = 0;        ///< its bytes become dead; durable with the next commit
    virtual const StreamState* stream(StreamId stream) const = 0;
    /// All that there are, declared or not; nothing may be dropped from within.
    virtual void for_each_stream(const std::function<void(StreamId stream)>& visit) const = 0;
    virtual void set_release(StreamId stream, Offset upto) = 0;
    /// Raises log_start (DeleteRecords); at most to flushed. durable with the returned commit.
    virtual Result<CommitId> set_log_start(Instant now, StreamId stream, Offset offset) = 0;
    /// A log that is behind what is known elsewhere: log_end moves up to `offset`, records before it stay, and
    /// readers step over the gap. An empty stream's log_start follows. If it fails, or its commit is given up, the log tries again, and takes no record of the stream before that.
    virtual Result<CommitId> raise_log_end(Instant now, StreamId stream, Offset offset) = 0;
    /// Records in [from, to) will not get where they should, for a reason that the log cannot see:
    /// an entry in the books, in the same commit as what is put next. Told twice it is one; the
    /// records stay readable. no_stream: so many records of streams that are about to be dropped,
    /// counted each time.
    virtual void enter_loss(Instant now, StreamId stream, LossReason why, Offset from, Offset to,
                            std::uint64_t bytes) = 0;

    // -- write ------------------------------------------------------------------------------------
    /// Gives the batch its offsets and puts it into the open group.
    /// fails: full (nothing may be freed now) · too_large (> max_batch_bytes) · would_block (the open group
    /// and its successor are full: try after the next commit) · storage (read only) · not_found (stream)
    /// cost: one copy, no waiting
    virtual Result<Appended> append(Instant now, WallTime wall, const AppendRequest& request) = 0;
    virtual std::uint32_t max_batch_bytes() const = 0;
    virtual const ProducerState* producer(StreamId stream, std::int64_t producer_id) const = 0;
    /// All that are remembered for `stream`, by rising producer id.
    virtual void for_each_producer(StreamId stream, const std::function<void(std::int64_t producer_id, const ProducerState&)>& visit) const = 0;

    /// fails: full (all facts together may be no larger) · busy (records fill the log: room comes as they may be
    /// freed) · too_large (an eighth of a segment) · would_block, storage as append
    virtual Result<CommitId> put_fact(Instant now, FactKind kind, ByteView key, ByteView value) = 0;
    /// For what may be redone (the uplink cursor): makes no commit due, it rides with the next one; alone it
    /// waits a second at most. A value that is there already is not written again, by neither of the two.
    virtual Result<CommitId> put_fact_lazily(Instant now, FactKind kind, ByteView key, ByteView value) {
        return put_fact(now, kind, key, value);
    }
    virtual Result<CommitId> erase_fact(Instant now, FactKind kind, ByteView key) = 0;
    virtual std::optional<ByteView> find_fact(FactKind kind, ByteView key) const = 0;
    virtual void for_each_fact(FactKind kind, const std::function<void(ByteView key, ByteView value)>& visit) const = 0;
    /// Makes the open group due now (ListOffsets(latest), a Fetch waiting at the high watermark).
    virtual void flush_soon(Instant now) = 0;

    virtual CommitId open_commit() const = 0;     ///< the id that an append now would get
    virtual CommitId flushed_commit() const = 0;  ///< everything up to it is durable
    /// Commits in (first, last] were given up after two failed writes: their offsets and producer state are
    /// rolled back. Whoever waits for one of them answers KAFKA_STORAGE_ERROR. Polled after on_storage.
    struct RolledBack { CommitId first; CommitId last; };
    virtual std::optional<RolledBack> poll_rolled_back() = 0;

    // -- read -------------------------------------------------------------------------------------
    /// `into` is borrowed until the ticket comes back from poll_read.
    virtual Result<ReadTicket> start_read(Instant now, const ReadRequest& request, MutableBytes into) = 0;
    virtual void cancel_read(ReadTicket ticket) = 0;   ///< `into` is free again once it comes back (error closed)
    virtual std::optional<ReadDone> poll_read() = 0;
    /// First record of `stream` in [log_start, flushed) with timestamp >= target.
    virtual Result<ReadTicket> start_find_time(Instant now, StreamId stream, std::int64_t target) = 0;
    virtual std::optional<TimeDone> poll_find_time() = 0;

    // -- ask --------------------------------------------------------------------------------------
    /// What became of every record of the stream; no_stream: cuts whose extent is not known.
    virtual Books books(StreamId stream) const = 0;
    virtual LogStatus status() const = 0;
    /// How much more room there is, and how much is so little that producers are to be slowed down.
    struct Room {
        std::uint64_t left = 0, low = 0;  ///< bytes on the device
    };
    /// For records of `stream`; no_stream: of one without a reservation.
    virtual Room room(StreamId stream) const = 0;
    virtual const LogCounters& counters() const = 0;
    virtual milliseconds log_time(Instant now) const = 0;  ///< uptime summed over all runs
    virtual bool wall_trusted() const = 0;
    /// What wall time is not known well enough for (FORMAT.md section 8): it may have jumped ahead,
    /// or go on, after a boot without an RTC, where it stopped.
    virtual bool wall_may_be_ahead() const = 0;
    virtual bool wall_may_be_behind() const = 0;
};

/// The log on `storage`. Compressed batches need no codec here: only headers are looked at, except in
/// start_find_time, which takes `record_times` to look into a batch (topics brings it; null: batch granularity).
/// Records before `from` are gone: a log start may lie inside a batch.
using RecordTimes = std::function<std::optional<TimeDone::Found>(ByteView batch, std::int64_t target, Offset from)>;
/// What compaction looks at. The key is borrowed for the call.
struct KeyedRecord {
    Offset offset = 0;
    ByteView key;
    bool has_key = false, has_value = false;
};
using KeepRecord = std::function<bool(const KeyedRecord& record)>;
/// Shows every record of a batch to `keep`; returns how many it wants. `kept` (null: only looked at): the batch
/// with those alone, same offsets, same codec, new CRC; empty if there are none, untouched if it is all of them.
/// fails: too_large (expands to more than it takes in) · corrupt and others: as they were, such a batch stays whole.
/// Without it (topics brings it) nothing is compacted.
using RecordFilter = std::function<Result<std::uint32_t>(ByteView batch, const KeepRecord& keep, std::vector<std::uint8_t>* kept)>;
std::unique_ptr<Log> make_log(port::Storage& storage, port::Entropy& entropy, LogConfig config, RecordTimes record_times = {}, RecordFilter record_filter = {});

}  // namespace leat::log
