// A budget that became smaller: the pool follows it, in the background.
//
// First what is kept has to fit. Room counts as low until then, so retention and the full policies
// free segments as in a full log; each of them beyond what producers need is withheld. What may not
// be dropped stays: then this waits, and says so.
//
// Then what lies at the end of the pool goes: a segment is copied byte for byte into a free one that
// stays (its number, generation, and what depends on that, are made anew; damage is copied as it
// is), takes its place in the ring between two checkpoints, and is free once a checkpoint that knows
// this is durable. The open segment and the checkpoint's are closed and go on in front of the end.
//
// Each checkpoint lists the pool up to the last segment that is still of use, and its superblock
// says so many. What lies behind is given back to the device when both superblocks, and so both
// checkpoints that a start may take, know nothing of it any more. Whatever a power cut leaves, a
// start with the same budget goes on here, and one with a larger budget takes the segments back.
//
// One read or write of at most a block is under way at a time, spaced: a commit waits for no more
// than that.
#pragma once

#include "broker/log/cleaner.hpp"

namespace leat::log {

constexpr milliseconds shrink_patience_max{60'000};  ///< between two tries that fail

class Shrinker {
public:
    Shrinker(Core& core, Arrivals& arrivals, CheckpointWriter& checkpoints, Cleaner& cleaner,
             Compactor& compaction)
        : core_(core),
          arrivals_(arrivals),
          checkpoints_(checkpoints),
          cleaner_(cleaner),
          compaction_(compaction),
          block_(core.geometry.align) {}

    void pump(Instant now);
    void on_done(Instant now, std::uint64_t ticket, bool good);
    Instant deadline() const;
    /// Nothing more is begun; what is under way at the device is waited for.
    void stop() { stopped_ = true; }
    bool busy() const { return ticket_ != 0; }

private:
    enum class Stage : std::uint8_t { idle, begin, read, write, seal, hand_over, give_back };

    std::uint64_t bytes_for(std::uint32_t segments) const;
    std::uint64_t device_bytes() const { return std::min(core_.geometry.size, tried_bytes_); }
    bool device_too_large() const { return bytes_for(core_.segments.target()) < device_bytes(); }
    std::uint64_t safe_bytes() const;
    void withhold(Instant now);
    void tell(Shrinking what);
    void go_on(Instant now);
    bool choose();
    bool still_there() const;
    void read(Instant now, std::uint32_t position, std::uint32_t bytes);
    void write(Instant now, std::uint32_t position, std::uint32_t bytes);
    void take_header(Instant now);
    void write_header(Instant now, SegmentClass kind);
    void patch();
    void next_block(Instant now);
    void hand_over(Instant now);
    void repoint(Stream& stream) const;
    void release_moved();
    void put_back(Instant now, bool failed);
    void finish(Instant now);
    void give_back(Instant now);

    Core& core_;
    Arrivals& arrivals_;
    CheckpointWriter& checkpoints_;
    Cleaner& cleaner_;
    Compactor& compaction_;
    Stage stage_ = Stage::idle;
    std::uint64_t ticket_ = 0;
    Instant next_at_{};
    bool stopped_ = false, done_ = false;
    std::uint32_t freed_to_ = 0;  ///< withheld, when that rose last ...
    Instant freed_at_{};          ///< ... and then
    milliseconds patience_{1000};             ///< after a failure
    bool failed_ = false;                     ///< the last try of a segment
    std::uint64_t tried_bytes_ = UINT64_MAX;  ///< what was given back, or tried in vain
    std::uint64_t giving_ = 0;

    // The segment that is copied.
    std::uint32_t from_ = no_segment, to_ = no_segment;
    std::uint64_t from_generation_ = 0, to_generation_ = 0;
    SegmentHeader header_;
    std::uint32_t position_ = 0, bytes_ = 0;
    AlignedBytes block_;

    struct Moved {
        std::uint32_t segment = no_segment;
        std::uint64_t checkpoint = 0;  ///< free once this one, or a later one, is durable
    };
    std::vector<Moved> moved_;
};

}  // namespace leat::log
