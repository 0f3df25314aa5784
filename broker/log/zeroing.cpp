#include "broker/log/zeroing.hpp"

#include <algorithm>

namespace leat::log {

void Zeroing::pump() {
    const std::uint32_t open = arrivals_.segment();
    if (core_.segments.zeroing != no_segment || core_.read_only || useless_ ||
        core_.geometry.erase_size != 0 || open == no_segment || !arrivals_.commits_are_small())
        return;
    const std::uint32_t piece = zeroed_ahead_bytes(core_.segment_bytes);
    const std::uint32_t position = arrivals_.position();
    if (arrivals_.first_life()) {
        const std::uint32_t zeroed = std::max(arrivals_.zeroed_to(), arrivals_.write_end());
        // Far enough in front that no small commit gets there before it is done.
        const std::uint32_t to = std::min(zeroed + piece, core_.segment_bytes);
        if (zeroed < position + piece / 2 && to > zeroed) {
            start(open, zeroed, to);
            return;
        }
    }
    const std::uint32_t next = core_.segments.next_promised();
    if (next == no_segment || position < core_.segment_bytes / 2) return;
    const SegmentEntry& entry = core_.segments[next];
    if (entry.generation == 0 && !entry.zeroed) start(next, 0, piece);
}

void Zeroing::start(std::uint32_t segment, std::uint32_t from, std::uint32_t to) {
    const std::uint64_t ticket = core_.ticket(Owner::zeroing);
    if (!core_.storage.start_erase(ticket, core_.address(segment, from), to - from)) return;
    core_.segments.zeroing = segment;
    core_.segments.zeroing_from = from;
    to_ = to;
    core_.counters.written_zeros += to - from;
}

void Zeroing::on_done(bool good) {
    const std::uint32_t segment = std::exchange(core_.segments.zeroing, no_segment);
    if (segment == no_segment) return;
    if (!good) {  // that costs wear, no safety
        ++core_.counters.write_errors;
        useless_ = true;
    } else if (segment == arrivals_.segment()) {
        arrivals_.zeroed(to_);
    } else if (core_.segments[segment].generation == 0) {
        core_.segments[segment].zeroed = true;
    }
}

}  // namespace leat::log
