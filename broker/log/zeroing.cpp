#include "broker/log/zeroing.hpp"

#include <algorithm>

namespace leat::log {

void Zeroing::pump() {
    const std::uint32_t open = arrivals_.segment();
    if (busy() || core_.read_only || useless_ || core_.geometry.erase_size != 0 ||
        open == no_segment || !arrivals_.commits_are_small())
        return;
    if (std::exchange(first_, false) && !arrivals_.first_life()) ask(open);
    if (busy()) return;
    if (segment_ != open && segment_ != core_.segments.next_promised()) segment_ = no_segment;
    if (segment_ == no_segment) choose(open);
    if (segment_ == no_segment ||
        (!arrivals_.idle() && core_.counters.commits < commits_ + zeros_every_commits))
        return;
    if (segment_ == open) at_ = std::max(at_, arrivals_.write_end());
    if (at_ >= to_) {  // commits were faster
        segment_ = no_segment;
        return;
    }
    end_ = std::min(at_ + std::max(zeros_slice_bytes, core_.page), to_);
    if (!core_.storage.start_erase(core_.ticket(Owner::zeroing), core_.address(segment_, at_),
                                   end_ - at_))
        return;
    commits_ = core_.counters.commits;
    core_.segments.zeroing = segment_;
    core_.segments.zeroing_from = at_;
    core_.counters.written_zeros += end_ - at_;
}

/// Begins half a piece ahead, and ends a piece ahead.
void Zeroing::choose(std::uint32_t open) {
    const std::uint32_t piece = zeroed_ahead_bytes(core_.segment_bytes);
    const std::uint32_t position = arrivals_.position();
    if (arrivals_.first_life()) {
        at_ = std::max(arrivals_.zeroed_to(), arrivals_.write_end());
        to_ = std::min(position + piece, core_.segment_bytes);
        if (at_ < position + piece / 2 && at_ < to_) {
            segment_ = open;
            return;
        }
    }
    const std::uint32_t next = core_.segments.next_promised();
    if (next == no_segment || position < core_.segment_bytes / 2) return;
    const SegmentEntry& entry = core_.segments[next];
    if (entry.generation != 0 || entry.zeroed) return;
    segment_ = next;
    at_ = 0;
    to_ = piece;
}

/// The tail that a start found: is this its first life? Only while the pool was not gone through.
void Zeroing::ask(std::uint32_t segment) {
    bool first_pass = false;
    for (std::uint32_t i = 0; i < core_.segments.size() && !first_pass; ++i)
        first_pass = core_.segments[i].generation == 0;
    if (!first_pass) return;
    page_.reserve(core_.page, 0);
    const std::uint64_t at = core_.address(segment, core_.segment_bytes - core_.page);
    if (!core_.storage.start_read(core_.ticket(Owner::zeroing), at, {page_.data(), core_.page}))
        return;
    core_.counters.read += core_.page;
    asked_ = segment;
}

void Zeroing::on_done(bool good) {
    if (const std::uint32_t asked = std::exchange(asked_, no_segment); asked != no_segment) {
        const ByteView page{page_.data(), core_.page};
        if (good && asked == arrivals_.segment() &&
            std::all_of(page.begin(), page.end(), [](std::uint8_t byte) { return byte == 0; }))
            arrivals_.found_in_first_life();
        page_.free();
        return;
    }
    const std::uint32_t segment = std::exchange(core_.segments.zeroing, no_segment);
    if (segment == no_segment) return;
    if (!good) {  // that costs wear, no safety
        ++core_.counters.write_errors;
        useless_ = true;
        return;
    }
    at_ = end_;
    if (segment == arrivals_.segment())
        arrivals_.zeroed(at_);
    else if (at_ >= to_ && core_.segments[segment].generation == 0)
        core_.segments[segment].zeroed = true;
    if (at_ >= to_) segment_ = no_segment;
}

}  // namespace leat::log
