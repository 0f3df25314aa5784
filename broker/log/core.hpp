// What the parts of the log share: the device, the tables in RAM, time and counters. Plain data;
// the parts (arrivals, checkpoint writer, reader, upkeep) each own one job on it.
#pragma once

#include <algorithm>
#include <string>
#include <utility>

#include "broker/log/clockwork.hpp"
#include "broker/log/facts.hpp"
#include "broker/log/footer.hpp"
#include "broker/log/index.hpp"
#include "broker/log/producers.hpp"
#include "broker/log/refusals.hpp"
#include "broker/log/segment.hpp"
#include "broker/log/superblock.hpp"

namespace leat::log {

/// Mistakes that tests switch on to prove that they would be seen. All off in every real log.
struct SeededFaults {
    bool stale_accepted = false;     ///< no generation, no sequence, no run, one salt for all
    bool checksums_ignored = false;  ///< a CRC that covers nothing
    bool acknowledge_early = false;  ///< flushed_commit moves when the write is submitted
    bool superblock_first = false;   ///< names a checkpoint before its end record is durable
    bool recycle_early = false;      ///< frees a segment whose facts are in no newer checkpoint
    bool log_start_undurable =
        false;  ///< frees a segment before the log start that allows it is durable
    bool predecessor_end_ignored = false;  ///< takes bytes behind a predecessor's valid end
    bool book_late = false;    ///< the log start is written before the book that explains it
    bool silent_drop = false;  ///< what is dropped for room is booked as delivered
    bool lost_links_believed =
        false;                      ///< a segment whose footer is lost passes for a stream's first
    bool moved_moves_end = false;   ///< a moved frame is taken for an append
    bool recycle_uncopied = false;  ///< frees a segment before its copies are in a checkpoint
    bool never_packs = false;       ///< segments that hold little stay as they are
    bool newest_superseded =
        false;  ///< compaction drops a key's newest record when an older one is there
    bool tombstone_alone = false;  ///< ... and tombstones, but not what they delete
    bool given_back_early = false;  ///< the pool's end goes before a superblock says so
    bool promises_forgotten =
        false;  ///< a start with a smaller budget forgets what the tail names beyond it
    bool old_headers_kept = false;  ///< a pool that grows believes what stands there
    bool footer_early = false;  ///< a footer leaves beside the last commit that it tells of
    /// No mistake: a test makes it small, so that a small log needs the links in the footers.
    std::uint32_t anchors_max = static_cast<std::uint32_t>(log::anchors_max);
};

constexpr std::uint32_t segments_kept_for_checkpoint = 1;  ///< at least
/// Free ones that stay beside those for a checkpoint, see Urgency.
constexpr std::uint32_t segments_beside_checkpoint = 3;

enum class Owner : std::uint8_t {
    arrivals = 1,
    checkpoint = 2,
    superblock = 3,
    reads = 4,
    zeroing = 5,
    cleaner = 6,
    scrub = 7,
    shrink = 8
};

/// Of pages that the device refuses, asked for one by one: after so many in a row the rest of their
/// 256 KiB is lost unread, and after so many in all of what is left there. Each may take a second.
struct Patience {
    std::size_t row = 8, all = 64;
};

/// So many reads of the reader's are under way at once: a device's queue is for writes, too.
constexpr std::uint32_t reads_max = 64;

struct Core {
    Core(port::Storage& device, port::Entropy& random, LogConfig settings)
        : storage(device),
          entropy(random),
          config(std::move(settings)),
          producers(config.producers_max),
          governor(config.commit_interval) {}

    port::Storage& storage;
    port::Entropy& entropy;
    LogConfig config;
    SeededFaults faults;
    port::StorageGeometry geometry;

    Superblock super;
    std::uint32_t page = 4096, segment_bytes = 0;
    std::uint32_t run = 0, opened = 0;  ///< a generation is run << 32 | opened
    SegmentTable segments;
    Streams streams;
    std::uint32_t anchors_limit() const {
        return std::min(streams.anchors_limit(), faults.anchors_max);
    }
    Facts facts;
    Producers producers;
    LogTime time;
    Governor governor;
    LogCounters counters;
    Instant called_at{};  ///< from outside, the last time
    Refusals refusals;
    std::uint64_t reads_given = 0;       ///< that the device did not refuse
    bool writes_fail = false;            ///< the last one did, of arrivals or of a checkpoint
    /// An opening failed: whether that is held against the segment, and not against the device.
    bool blame_segment() { return !std::exchange(writes_fail, true); }
    std::uint32_t reads_under_way = 0;   ///< Owner::reads; at most reads_max
    /// Rises when commits and reads both went well since it was asked for last.
    std::uint64_t well() {
        if (counters.commits > well_commits && reads_given > well_reads) {
            well_commits = counters.commits;
            well_reads = reads_given;
            ++well_times;
        }
        return well_times;
    }
    std::uint64_t well_commits = 0, well_reads = 0, well_times = 0;
    void refused(const Refusals::Place& place) {
        refusals.refused(called_at, reads_given, place);
    }
    /// Room is short, and retention has searched everything for what it may drop, in vain: what is
    /// dead among records that stay is all there is.
    bool nothing_to_drop = false;
    /// Records are dropped for room, now and in the last seconds.
    bool dropping = false;
    bool facts_lost = false;  ///< damage may have taken some, or taken them back to older ones
    std::string cut_text;
    std::vector<DamagedPlace> damaged;
    void tell_damaged(const DamagedPlace& place);  ///< the last eight of them are kept
    bool was_sealed = false, foreign_device = false, read_only = false;

    CommitId next_id = 1, flushed_id = 0;
    CommitId dropped_id = 0;      ///< with it every stream that was dropped so far is gone for ever
    std::uint64_t rollbacks = 0;  ///< a checkpoint that was begun before one of them is void
    /// How many segments the durable superblock says there are, and the one before it may say.
    std::uint32_t pool = 0, pool_before = UINT32_MAX;
    bool pool_as_it_is = false;  ///< whatever the budget is: for a look from outside
    Shrinking shrinking = Shrinking::no;
    std::uint64_t redo_place =
        1;  ///< of the durable checkpoint: segments of the ring before it are not needed to recover
    std::uint64_t checkpoint_number = 0;  ///< of that checkpoint
    std::uint64_t checkpoint_bytes = 0;   ///< of the last one
    std::uint32_t checkpoint_taken = 0;   ///< segments that the one under way has opened
    std::uint64_t streams_bytes = 0;      ///< as a checkpoint tells them, at the last pass
    void weigh_streams();
    /// What a checkpoint of now takes, at most.
    std::uint64_t checkpoint_bytes_soon() const;
    /// Free segments that a checkpoint of now may still need. Without one nothing more is recycled,
    /// so who writes anything else leaves them to it.
    std::uint32_t segments_for_checkpoint() const;
    /// Of the budget so much may be remembered: a sixteenth for partitions and one for facts, half
    /// of one for producers.
    bool room_for_streams(std::size_t more) const;
    std::uint32_t producers_allowed() const;
    std::uint64_t last_ticket = 0;
    RecordFilter record_filter;  ///< null: nothing is compacted
    std::uint64_t layout = 0;    ///< rises when records moved: who has planned a way plans it again

    std::vector<StreamId> reserving;  ///< streams with a reservation
    /// Free segments that are left to them: what of their reservations is not filled yet.
    std::uint32_t segments_reserved() const;
    /// A reservation is a segment longer than asked for: what a stream drops of itself goes by
    /// segments, and what was asked for stays.
    std::int64_t reservation(const Stream& stream) const {
        return stream.policy.reserved_bytes > 0 ? stream.policy.reserved_bytes + segment_bytes : 0;
    }
    std::uint64_t reserved_bytes() const;

    // Room runs low, then short, then out. Low: what is expired or delivered goes, sparse segments
    // are packed, producers that may not be dropped for are slowed down. Short: records are dropped
    // that may be. Out: unreserved records are refused.
    std::uint32_t segments_kept_free() const {
        return segments_beside_checkpoint + segments_for_checkpoint();
    }
    std::uint32_t segments_kept() const { return segments_kept_free() + segments_reserved(); }
    std::uint32_t segments_low() const {
        constexpr std::uint32_t smallest = 16;  // has none to spare
        return segments_kept() + candidates_wanted / 2 +
               (std::max(segments.target(), smallest) - smallest) / 8;
    }
    /// The budget is smaller than what is in use: room is to be made until it fits.
    bool over_budget() const { return !segments.all_withheld(); }
    std::uint64_t droppable_bytes = 0;  ///< of batches, at the last pass of retention: room, too
    bool low_on_room() const { return over_budget() || segments.free_count() <= segments_low(); }
    /// `more`: as if so many segments more were free.
    bool short_of_room(std::uint32_t more = 0) const {
        return over_budget() ||
               segments.free_count() + more <= segments_kept() + candidates_wanted / 2;
    }

    /// What the budget allows, whatever is still in use.
    std::uint64_t budget_bytes() const {
        return std::uint64_t{segments.target()} * segment_bytes;
    }
    std::uint64_t address(std::uint32_t segment, std::uint64_t position) const {
        return super.pool_start + std::uint64_t{segment} * segment_bytes + position;
    }
    std::uint64_t ticket(Owner owner) {
        return std::uint64_t{static_cast<std::uint8_t>(owner)} << 56 | ++last_ticket;
    }
    static Owner owner_of(std::uint64_t ticket) { return static_cast<Owner>(ticket >> 56); }
    std::uint64_t next_generation() { return std::uint64_t{run} << 32 | ++opened; }
    std::uint32_t make_salt() {
        if (faults.stale_accepted) return 0x5A17;
        std::uint8_t bytes[4] = {};
        if (!entropy.fill(bytes)) {  // without entropy the generation and the sequence still hold
            store_little<std::uint32_t>(
                bytes, static_cast<std::uint32_t>(run * 2654435761u + opened * 40503u));
        }
        return load_little<std::uint32_t>(bytes);
    }
    /// What an earlier run left torn in the tail that the newest one found: a torn write of that
    /// one may have made it whole.
    bool is_void(const CommitHeader& commit) const {
        return commit.generation == super.void_generation && commit.position >= super.void_from &&
               commit.run < super.start_count;
    }
    CommitHeader commit_header(Instant now) const {
        CommitHeader header;
        header.run = run;
        header.log_time_ms = time.log_ms(now);
        header.off_time_ms = time.off_ms();
        header.wall_ms = time.wall_ms();
        if (time.settled()) header.flags |= commit_wall_trusted;
        return header;
    }
    /// `segment` begins another life, with this header. Of its own the caller sets area, kind,
    /// place, first_sequence and what the header says of others, before; everything else is set
    /// here, and the table's entry, of whose last life only the failures stay.
    SegmentEntry& begin_segment(Instant now, std::uint32_t segment, SegmentHeader& header);
    std::uint32_t group_bytes_max() const {
        return std::max<std::uint32_t>(16 * KiB,
                                       std::min(config.group_bytes_max, segment_bytes / 4));
    }
    /// Half a segment; of the smallest with the largest pages what lies beside a header and a
    /// footer.
    std::uint32_t max_batch_bytes() const {
        return std::min(segment_bytes / 2, segment_bytes - 2 * page - 128);
    }
};

/// Turns the frames of commits into a SegmentIndex; the parts of a batch that spans commits come
/// together here.
class FrameReplay {
public:
    struct Batch {
        StreamId stream;
        BatchFields fields;
        std::uint32_t position;
        StreamInSegment* here = nullptr;  ///< of the index; known when the batch is whole
    };
    explicit FrameReplay(SegmentIndex& index, Area area = Area::arrivals)
        : index_(&index), area_(area) {}
    void reset(SegmentIndex& index) {
        index_ = &index;
        part_.reset();
    }
    /// A commit begins: a part that its first frame does not continue is void.
    void begin_commit(std::uint64_t sequence, std::uint64_t age_ms) {
        sequence_ = sequence;
        age_ms_ = age_ms;
        first_ = true;
    }
    /// `frame` is checked. Returns a batch when its last byte is in.
    std::optional<Batch> on_frame(const FrameHeader& header, ByteView frame,
                                  std::uint32_t position);
    bool has_part() const { return part_.has_value(); }

private:
    struct Part {
        Batch batch;
        std::uint32_t have;
    };
    SegmentIndex* index_;
    Area area_;
    std::optional<Part> part_;
    std::uint64_t sequence_ = 0, age_ms_ = 0;
    bool first_ = true;
};

/// A batch of the open segment has become durable.
void apply_durable_batch(Core& core, SegmentIndex& index, std::uint32_t segment,
                         const FrameReplay::Batch& batch);
/// Recovery: everything that `segment` tells, from its footer or from its frames.
void apply_index(Core& core, SegmentIndex& index, std::uint32_t segment);
/// Takes streams, facts and producers back to what is durable.
void roll_back(Core& core);

}  // namespace leat::log
