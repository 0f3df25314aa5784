// Checkpoints (FORMAT.md section 7): everything that the ring would otherwise have to be read for,
// written in bounded pieces while work goes on.
//
// begin -> streams, producers, facts, segments (a cursor each) -> wait until every commit that a
// value came from is durable -> end record -> superblock, one slot after the other -> the
// predecessor's segments are free. A crash before the superblock leaves the old checkpoint in force; what was written of the new one
// is never looked at.
#pragma once

#include "broker/log/arrivals.hpp"

namespace leat::log {

constexpr std::uint32_t checkpoint_gap_factor =
    33;  ///< the next one comes after so many times its bytes

/// And not before so many bytes: a checkpoint is five writes, each with a flush, so one per segment
/// would take more of the device's time than the records. A start reads a footer for each segment
/// in between, 16 at most.
constexpr std::uint64_t checkpoint_gap_min(std::uint32_t segments, std::uint32_t segment_bytes) {
    const std::uint32_t count = segments / 32;
    return std::uint64_t{count < 1 ? 1 : count > 16 ? 16 : count} * segment_bytes;
}

/// So many bytes of arrivals lie between two checkpoints.
std::uint64_t checkpoint_gap(const Core& core);

struct CheckpointExtent {
    std::uint32_t segment = 0, salt = 0;
    std::uint64_t generation = 0;
    std::uint32_t from = 0, to = 0;
};
struct CheckpointBegin {
    std::uint64_t number = 0;
    std::uint32_t redo_segment = no_segment;
    std::uint64_t redo_generation = 0, redo_place = 0, redo_sequence = 0, survivors_place = 0;
    std::uint64_t log_time_ms = 0, off_time_ms = 0;
    std::int64_t trusted_wall_ms = -1;
    std::uint64_t trusted_at_ms = 0;
};
struct CheckpointEnd {
    std::uint64_t number = 0, frames = 0, bytes = 0;
    std::uint32_t parity_bytes = 0;  ///< so many of the last extent are its parity
    std::vector<CheckpointExtent> extents;
};
void encode_begin(std::vector<std::uint8_t>& out, const CheckpointBegin& begin);
Result<CheckpointBegin> decode_begin(ByteView body);
void encode_end(std::vector<std::uint8_t>& out, const CheckpointEnd& end);
Result<CheckpointEnd> decode_end(ByteView body);
void encode_stream(std::vector<std::uint8_t>& out, const Stream& stream);
Result<Stream> decode_stream(ByteView body);
void encode_segments(std::vector<std::uint8_t>& out, const SegmentTable& table, std::uint32_t first,
                     std::uint32_t count);
/// Fills the table's entries, and makes it as long as it has to be, up to `most`; false: malformed.
bool decode_segments(ByteView body, SegmentTable& table, std::uint32_t most);

class Parity;

class CheckpointWriter {
public:
    CheckpointWriter(Core& core, Arrivals& arrivals);
    ~CheckpointWriter();

    /// Asks for a checkpoint whose redo point is as new as can be now.
    void request() { wanted_ = true; }
    void pump(Instant now);
    void on_write_done(Instant now, std::uint64_t ticket, bool good);
    void on_superblock_done(Instant now, std::uint64_t ticket, bool good);
    bool running() const { return phase_ != Phase::idle; }
    bool writing() const { return writing_ || super_writing_; }
    /// What waits in the ring needs the next segment, and a checkpoint ends behind it.
    bool ring_waits() const { return arrivals_.needs_segment(); }
    std::uint64_t next_number() const { return number_ + 1; }  ///< of one that is not begun yet
    /// Where the checkpoint in force lies.
    const std::vector<CheckpointExtent>& extents() const { return durable_extents_; }

    /// Recovery: what is durable now, and where the survivors area goes on.
    struct Tail {
        std::uint32_t segment = no_segment;
        std::uint32_t position = 0;
        std::uint64_t place = 0, next_sequence = 1, number = 0, bytes = 0;
        std::vector<CheckpointExtent> extents;
    };
    void resume(Tail tail);

private:
    enum class Phase : std::uint8_t {
        idle,
        streams,
        producers,
        facts,
        segments,
        wait_durable,
        parity,
        end,
        superblock
    };

    void begin(Instant now);
    bool collect(Instant now);  ///< fills the group; true: the last phase is through
    void add(FrameType type, StreamId stream);
    bool finish_collecting();  ///< parity, then the end record; false: waits for arrivals
    bool waits_for_arrivals() const;
    bool write(Instant now);
    /// In a segment's first life a small write takes some of the blocks behind it along, as zeros,
    /// which they hold already: else each later one costs a journal commit (zeroing.hpp).
    ByteView with_zeros_behind(std::uint32_t from, ByteView bytes);
    void write_superblock(Instant now);
    void begin_run(Instant now);
    void finish();
    void abandon(Instant now);
    void free_unused();
    std::uint32_t chunk_max() const {
        return std::min<std::uint32_t>(64 * KiB, core_.segment_bytes / 4);
    }

    Core& core_;
    Arrivals& arrivals_;
    Group group_;
    std::vector<std::uint8_t> body_;
    AlignedBytes super_memory_, zeros_memory_;
    Phase phase_ = Phase::idle;
    bool wanted_ = false, writing_ = false, super_writing_ = false;
    bool super_failed_ = false;  ///< its slot is written again, and read back, until it holds
    bool super_verifying_ = false;
    bool second_slot_ = false;  ///< the first one names the checkpoint already
    bool begins_run_ = false;   ///< they name the one that they did, and a new run
    milliseconds super_wait_{1000};
    std::uint64_t ticket_ = 0, super_ticket_ = 0;
    std::uint64_t begun_at_bytes_ = 0;
    std::uint64_t before_ = 0;  ///< behind the redo point already when this run began
    std::uint64_t begun_at_rollback_ = 0;
    Instant retry_at_{Instant::min()};

    std::unique_ptr<Parity> parity_;  ///< null: too small a log
    CheckpointBegin begin_;
    CheckpointEnd end_;
    CheckpointPlace place_;
    std::uint32_t pool_ = 0;  ///< so many segments it knows: those behind them are not used any more
    CommitId barrier_ = 0;
    // cursors: the next key to take
    StreamId next_stream_ = 0;
    bool streams_left_ = true;
    ProducerKey next_producer_;
    std::string next_fact_;
    std::uint32_t next_segment_ = 0;

    // the survivors area
    std::uint32_t segment_ = no_segment, position_ = 0;
    bool first_life_ = false;  ///< of it, and up to where it is zeroed
    std::uint32_t zeroed_to_ = 0;
    std::uint64_t survivors_place_ = 0, sequence_ = 1;
    bool opening_ = false;
    SegmentHeader header_;
    std::uint32_t flight_position_ = 0, flight_bytes_ = 0;
    std::vector<CheckpointExtent>
        durable_extents_;  ///< of the checkpoint in force, its last commit too
    std::uint64_t number_ = 0;
};

}  // namespace leat::log
