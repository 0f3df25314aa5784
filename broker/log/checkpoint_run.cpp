// A run that goes on as a start does, behind a write that failed (FORMAT.md section 2).
#include "broker/log/checkpoint.hpp"

namespace leat::log {

/// The ring's tail has met a write that failed, and nothing else is there to go on in. As a start
/// does, the run takes another start counter: what an earlier one left behind the data end is void.
void CheckpointWriter::begin_run(Instant now) {
    ++core_.super.start_count;
    core_.super.void_generation = core_.segments[arrivals_.segment()].generation;
    core_.super.void_from = arrivals_.position();
    place_ = core_.super.checkpoint;
    pool_ = core_.super.segments;
    second_slot_ = false;
    begins_run_ = super_failed_ = true;  // the device did: it is read back
    phase_ = Phase::superblock;
    write_superblock(now);
}

}  // namespace leat::log
