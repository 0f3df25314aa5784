#include "broker/log/scrub_checkpoint.hpp"

#include <algorithm>

namespace leat::log {

Instant CheckpointScrubber::deadline() const { return off() ? never : next_at_; }

void CheckpointScrubber::begin() {
    number_ = core_.checkpoint_number;
    slots_ = 0;
    refusal_ = {};
    left_ = checkpoints_.extents();
    check_.reset();
}

void CheckpointScrubber::pump(Instant now) {
    if (off() || now < next_at_) return;
    if (next_at_ == Instant{}) {  // a start has other things to read
        next_at_ = now + scrub_pace_max;
        return;
    }
    if (checkpoints_.running()) {
        end(now);  // the next one is new
        return;
    }
    if (number_ != core_.checkpoint_number || (slots_ == 2 && left_.empty())) begin();
    std::uint64_t at = std::uint64_t{slots_} * core_.super.slot_bytes;
    reads_ = std::max<std::uint32_t>(4096, core_.geometry.write_size);
    if (slots_ == 2) {
        const CheckpointExtent& extent = left_.front();
        at = core_.address(extent.segment, extent.from);
        reads_ = std::min(scrub_block_bytes, extent.to - extent.from);
    }
    block_.reserve(scrub_block_bytes, 0);
    ticket_ = core_.ticket(Owner::scrub);
    const Status started = core_.storage.start_read(ticket_, at, {block_.data(), reads_});
    if (started) {
        core_.counters.read += reads_;
        core_.counters.scrubbed += reads_;
    } else if (started.error() == Error::full) {
        ticket_ = 0;
        next_at_ = now + scrub_pace_max;
    } else {
        on_done(now, ticket_, false);
    }
}

void CheckpointScrubber::on_done(Instant now, std::uint64_t ticket, bool good) {
    if (ticket != ticket_) return;
    ticket_ = 0;
    next_at_ = now + scrub_pace_min;
    // What was written meanwhile may have been read in part.
    if (stopped_ || checkpoints_.running() || number_ != core_.checkpoint_number) return end(now);
    if (!good && !refusal_.again(now, core_.reads_given)) {
        next_at_ = now + scrub_refused_wait;
        return;
    }
    refusal_ = {};
    const ByteView block(block_.data(), reads_);
    if (slots_ < 2) {
        const std::uint64_t at = std::uint64_t{slots_++} * core_.super.slot_bytes;
        if (!good) return damaged(now, DamagedPlace::What::unreadable, at);
        if (!decode_superblock(block)) return damaged(now, DamagedPlace::What::superblock, at);
    } else {
        CheckpointExtent& extent = left_.front();
        const std::uint64_t at = core_.address(extent.segment, extent.from);
        if (!good) return damaged(now, DamagedPlace::What::unreadable, at);
        if (!check_) {
            SegmentEntry entry;
            entry.generation = extent.generation;
            entry.salt = extent.salt;
            entry.data_end = extent.to;
            check_.emplace(entry, core_.page, extent.from);
        }
        if (!check_->feed(block))
            return damaged(now, DamagedPlace::What::checkpoint,
                           core_.address(extent.segment, check_->position()));
        extent.from += reads_;
        if (extent.from >= extent.to) {
            left_.erase(left_.begin());
            check_.reset();
        }
    }
    if (slots_ == 2 && left_.empty()) end(now);
}

void CheckpointScrubber::damaged(Instant now, DamagedPlace::What what,
                                 std::uint64_t device_position) {
    ++core_.counters.scrub_damaged;
    const std::uint64_t pool = core_.super.pool_start;
    core_.tell_damaged(
        {.what = what,
         .device_position = device_position,
         .segment = device_position < pool
                        ? no_segment
                        : static_cast<std::uint32_t>((device_position - pool) / core_.segment_bytes),
         .age_ms = core_.time.age_ms(now)});
    checkpoints_.request();
    end(now);
}

void CheckpointScrubber::end(Instant now) {
    left_.clear();
    slots_ = 2;
    check_.reset();
    block_.free();
    next_at_ = now + std::max(core_.config.scrub_every, scrub_pace_max);
}

}  // namespace leat::log
