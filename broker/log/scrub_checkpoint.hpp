// The scrubber's other half: reads the superblock's slots and the checkpoint in force now and then.
// What does not hold there is told like any damage, and needs no reader to go over it: all of it is
// in RAM, so a new checkpoint, named in both slots, makes it good. What the device refuses does not
// hold when it is lost (refusals.hpp).
#pragma once

#include "broker/log/checkpoint.hpp"
#include "broker/log/scrub.hpp"

namespace leat::log {

class CheckpointScrubber {
public:
    CheckpointScrubber(Core& core, CheckpointWriter& checkpoints)
        : core_(core), checkpoints_(checkpoints), block_(core.geometry.align) {}

    void pump(Instant now);
    void on_done(Instant now, std::uint64_t ticket, bool good);
    Instant deadline() const;
    void stop() { stopped_ = true; }
    bool busy() const { return ticket_ != 0; }

private:
    bool off() const {
        return stopped_ || core_.read_only || busy() || core_.config.scrub_every.count() <= 0;
    }
    void begin();
    void damaged(Instant now, DamagedPlace::What what, std::uint64_t device_position);
    void end(Instant now);

    Core& core_;
    CheckpointWriter& checkpoints_;
    bool stopped_ = false;
    Instant next_at_{};
    std::uint64_t number_ = 0;           ///< of the checkpoint that is read
    std::uint32_t slots_ = 2;            ///< of them those that were read
    std::vector<CheckpointExtent> left_;
    std::optional<SegmentCheck> check_;  ///< of the first of these
    std::uint32_t reads_ = 0;            ///< bytes under way
    Refusal refusal_;                    ///< of what is read next
    AlignedBytes block_;
    std::uint64_t ticket_ = 0;
};

}  // namespace leat::log
