#include "broker/log/shrink.hpp"

#include <algorithm>

namespace leat::log {

namespace {
constexpr milliseconds look_every{200};
constexpr milliseconds waits_after{10'000};  ///< without a segment that became free
}  // namespace

const char* shrinking_text(Shrinking what) {
    switch (what) {
        case Shrinking::no:
            return "no";
        case Shrinking::making_room:
            return "making_room";
        case Shrinking::waiting:
            return "waiting";
        case Shrinking::moving:
            return "moving";
        case Shrinking::unreadable:
            return "unreadable";
        case Shrinking::giving_back:
            return "giving_back";
    }
    return "?";
}

/// What a device with so many segments takes: no less than a new file would.
std::uint64_t Shrinker::bytes_for(std::uint32_t segments) const {
    const std::uint64_t budget = core_.config.budget_bytes / (64 * KiB) * (64 * KiB);
    return budget == 0 ? UINT64_MAX : std::max(core_.address(segments, 0), budget);
}

/// What no start looks for lies behind this.
std::uint64_t Shrinker::safe_bytes() const {
    if (core_.faults.given_back_early) return bytes_for(core_.segments.end_of_use());
    return core_.pool_before == UINT32_MAX ? UINT64_MAX
                                           : bytes_for(std::max(core_.pool, core_.pool_before));
}

Instant Shrinker::deadline() const {
    if (stopped_ || core_.read_only || busy() || core_.shrinking == Shrinking::no) return never;
    return next_at_;
}

void Shrinker::tell(Shrinking what) {
    if (core_.shrinking == what) return;
    core_.shrinking = what;
    ++core_.counters.shrink_changes;
}

/// At once if all fits; else all that is free beyond what producers need until more is.
void Shrinker::withhold(Instant now) {
    SegmentTable& segments = core_.segments;
    if (segments.all_withheld()) return;
    const std::uint32_t owed = segments.surplus() - segments.withheld();
    const std::uint32_t free = segments.free_count(), kept = core_.segments_kept();
    if (free >= owed + kept + 1)
        segments.withhold(segments.surplus());
    else if (free > kept + 2 * candidates_wanted)
        segments.withhold(segments.withheld() + free - kept - 2 * candidates_wanted);
    if (segments.withheld() > freed_to_ || freed_at_ == Instant{}) {
        freed_to_ = segments.withheld();
        freed_at_ = now;
    }
}

void Shrinker::pump(Instant now) {
    if (done_) return;
    withhold(now);
    release_moved();
    if (busy()) return;
    if (stopped_ || core_.read_only) {
        if (stage_ != Stage::idle) put_back(now, false);
        return;
    }
    if (now >= next_at_) go_on(now);
}

void Shrinker::go_on(Instant now) {
    next_at_ = now + look_every;
    if (stage_ == Stage::hand_over) {
        hand_over(now);
        return;
    }
    if (stage_ != Stage::idle) {
        next_block(now);
        return;
    }
    const bool over = core_.over_budget();
    if (over) {
        next_at_ = now + milliseconds(1000);
        tell(now - freed_at_ < waits_after ? Shrinking::making_room : Shrinking::waiting);
    } else if (core_.segments.promises_leaving() ||
               (arrivals_.place() != 0 && core_.segments.leaving(arrivals_.newest_segment()))) {
        arrivals_.move_on();
    }
    if (!over && choose()) {
        tell(failed_ ? Shrinking::unreadable : Shrinking::moving);
        stage_ = Stage::begin;
        read(now, 0, 2 * core_.page);
        return;
    }
    finish(now);
}

/// Nothing is to be copied now: what would a checkpoint change, and what may be given back?
void Shrinker::finish(Instant now) {
    if (safe_bytes() < device_bytes()) {
        give_back(now);
        return;
    }
    if (core_.over_budget()) return;
    const std::uint32_t target = core_.segments.target();
    const bool gone = core_.segments.end_of_use() == target;
    done_ = gone && core_.pool == target && !device_too_large();
    if (done_) {
        tell(Shrinking::no);
        return;
    }
    if (checkpoints_.running()) return;
    bool helps = gone || !moved_.empty();
    for (std::uint32_t i = target; i < core_.segments.size() && !helps; ++i) {
        const SegmentEntry& entry = core_.segments[i];
        const bool listed = entry.state == SegmentState::sealed || entry.state == SegmentState::open;
        helps = entry.state == SegmentState::replaced ||
                (listed && (entry.area == Area::survivors ? !entry.records
                                                          : entry.place >= core_.redo_place &&
                                                                entry.place < arrivals_.place()));
    }
    tell(gone ? Shrinking::giving_back : failed_ ? Shrinking::unreadable : Shrinking::moving);
    if (helps) checkpoints_.request();
}

void Shrinker::give_back(Instant now) {
    const std::uint64_t to = safe_bytes();
    const std::uint32_t zeroing = core_.segments.zeroing;
    if (zeroing != no_segment && core_.address(zeroing + 1, 0) > to) return;
    stage_ = Stage::give_back;
    tried_bytes_ = to;
    giving_ = core_.geometry.size - to;
    ticket_ = core_.ticket(Owner::shrink);
    if (!core_.storage.start_shrink(ticket_, to)) on_done(now, ticket_, false);
}

void Shrinker::release_moved() {
    std::erase_if(moved_, [this](const Moved& one) {
        if (core_.checkpoint_number < one.checkpoint) return false;
        core_.segments.moved(one.segment);
        ++core_.counters.segments_recycled;
        ++core_.layout;
        return true;
    });
}

}  // namespace leat::log
