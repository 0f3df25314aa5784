// One start, step by step; recovery.cpp holds the ring's steps, recovery_superblock.cpp,
// recovery_checkpoint.cpp, recovery_parity.cpp, recovery_adopt.cpp, recovery_damage.cpp and recovery_identity.cpp what
// their names say.
#pragma once

#include "broker/log/recovery.hpp"

namespace leat::log {

class Recovery {
public:
    Recovery(Core& core, Instant now, WallTime wall, std::string& error_text)
        : core_(core), io_(core), now_(now), wall_(wall), error_text_(error_text) {}
    Result<Recovered> run();

private:
    Status read_superblock();
    Status create();
    /// How many segments the device has room for.
    std::uint32_t segments_that_fit() const {
        return static_cast<std::uint32_t>((core_.geometry.size - core_.super.pool_start) /
                                          core_.super.segment_bytes);
    }
    void fit_budget();
    Status load_checkpoint(const CheckpointPlace& place);
    void forget_checkpoint();
    struct FoundEnd {
        CheckpointEnd end;
        std::uint64_t sequence;  ///< of the commit with the end record
    };
    Result<FoundEnd> end_record(const CheckpointPlace& place);
    Result<FoundEnd> second_end_record(const CheckpointPlace& place);
    Result<std::uint64_t> apply_extents(const CheckpointEnd& end);
    Result<std::uint64_t> apply_restored(const CheckpointEnd& end);
    Result<CommitHeader> checkpoint_commit(ByteView& bytes, const CheckpointPlace& place);
    Status apply_checkpoint_commit(ByteView bytes, const CommitHeader& header);
    Status follow_ring();
    struct Listed {
        std::uint32_t segment;
        std::uint64_t generation, place;
    };
    std::vector<Listed> listed_now();
    std::optional<SegmentIndex> index_of(const SegmentHeader& header);
    void adopt_survivors(const std::vector<Listed>& listed);
    std::optional<SegmentHeader> header_of(std::uint32_t segment);
    std::optional<SegmentHeader> successor(const SegmentHeader& header,
                                           const std::vector<std::uint32_t>& candidates);
    std::optional<SegmentHeader> listed_header(std::uint32_t segment, std::uint64_t place);
    bool header_lost(std::uint32_t segment);
    std::optional<SegmentHeader> behind_damage(const SegmentHeader& last,
                                               const std::vector<std::uint32_t>& candidates,
                                               bool has_footer);
    bool footer_lost(const SegmentHeader& last, std::vector<std::uint32_t>& named);
    ByteView front_of(std::uint32_t segment, std::uint32_t position, std::uint32_t count);
    void free_lost();
    void go_on_behind_lost();
    struct FoundFooter {
        SegmentIndex index;
        std::uint32_t position;
        CommitHeader commit;
    };
    std::optional<FoundFooter> footer_of(const SegmentHeader& header);
    void take_segment(const SegmentHeader& header, std::optional<FoundFooter> footer,
                      std::uint32_t valid_end, bool last);
    void note_holes(const SegmentIndex& index, std::uint32_t segment);
    /// Of arrivals, in order; read once.
    const std::vector<SegmentHeader>& all_headers();
    Status draw_log_id(LogId& id);
    Status take_over();
    Status refuse_foreign_pool();
    Status start_run();
    void cut(const std::string& text) {
        core_.cut_text += (core_.cut_text.empty() ? "" : "; ") + text;
    }

    Core& core_;
    WaitingStorage io_;
    Instant now_;
    WallTime wall_;
    std::string& error_text_;
    Recovered out_;
    /// The front of a segment, as far as it was asked for.
    struct Pieces {
        std::uint32_t segment = no_segment;
        std::vector<std::uint8_t> have;
    } pieces_;
    std::vector<SegmentHeader> headers_;
    std::vector<std::uint8_t> mended_;  ///< a commit of a checkpoint that lost a bit
    std::optional<Superblock> other_super_;
    CheckpointBegin begin_;
    bool have_checkpoint_ = false;
    bool forbidden_ = false;
    bool grown_ = false;          ///< the pool has more segments than any superblock says
    bool misled_ = false;         ///< the newest superblock or its checkpoint does not hold
    std::uint64_t run_seen_ = 0;  ///< the largest: the superblock that knew it may be lost
    std::vector<std::uint32_t> promised_;
    std::optional<CommitHeader> last_commit_;
    std::uint64_t log_time_ms_ = 0, off_time_ms_ = 0;
    std::int64_t trusted_wall_ms_ = -1;
    std::uint64_t trusted_at_ms_ = 0;
};

}  // namespace leat::log
