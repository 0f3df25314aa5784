#include "broker/log/lost_segments.hpp"

#include <algorithm>

namespace leat::log {

LostSegments::Told LostSegments::unreadable(Instant now, std::uint32_t segment) {
    const SegmentEntry& entry = core_.segments[segment];
    Lost& lost = lost_[segment];
    if (lost.generation != entry.generation)
        lost = {.generation = entry.generation, .asked = segment};
    if (lost.told) return Told::done;
    if (!lost.refusal.again(now, core_.well())) return Told::not_yet;
    if (!ask_those_behind(segment, lost)) return Told::pending;
    ask_anchors(segment, lost);
    for (const auto& [id, range] : lost.ranges) {
        const Stream* stream = core_.streams.find(id);
        if (stream == nullptr || stream->has_gaps) continue;
        ledger_.lost(now, id, LossReason::damaged, std::max(range.first, stream->state.log_start),
                     std::min(range.second, stream->state.flushed), 0);
    }
    lost.ranges.clear();
    lost.told = true;
    ++core_.counters.damaged_batches;
    core_.tell_damaged({.what = DamagedPlace::What::header,
                        .device_position = core_.address(segment, 0),
                        .segment = segment,
                        .age_ms = core_.time.age_ms(now)});
    return Told::done;
}

/// false: goes on when a footer is there.
bool LostSegments::ask_those_behind(std::uint32_t segment, Lost& lost) {
    // A link in front of survivors leads to what they were made of, whatever has its number now.
    if (core_.segments[segment].records) return true;
    const auto& ring = core_.segments.ring();
    const auto take = [&](const SegmentIndex& index) {
        for (const auto& [id, here] : index.streams) {
            if (!here.holds_batches() || here.links.empty()) continue;
            const Link& before = here.links.front();
            if (before.segment == segment && before.ordinal + 1 == here.ordinal)
                lost.ranges[id] = {before.first_offset, here.first_offset};
        }
    };
    for (;;) {
        const auto next = std::upper_bound(
            ring.begin(), ring.end(), lost.asked,
            [this](std::uint32_t a, std::uint32_t b) { return core_.segments.before(a, b); });
        if (next == ring.end()) return true;
        if (*next == arrivals_.segment()) {
            take(arrivals_.index());
        } else {
            const FooterCache::Found footer = footers_.get(*next);
            if (footer.state == Fetched::pending) return false;
            const SegmentEntry& entry = core_.segments[*next];
            if (footer.state == Fetched::ready)
                if (const auto index = decode_footer(footer.bytes, entry.generation, entry.salt))
                    take(*index);
        }
        lost.asked = *next;
    }
}

void LostSegments::ask_anchors(std::uint32_t segment, Lost& lost) const {
    for (const auto& [id, stream] : core_.streams.all())
        for (std::size_t i = 0; i < stream.anchors.size(); ++i) {
            const Link& here = stream.anchors[i];
            if (here.segment != segment) continue;
            if (i + 1 == stream.anchors.size())
                lost.ranges[id] = {here.first_offset, stream.state.flushed};
            else if (stream.anchors[i + 1].ordinal == here.ordinal + 1)
                lost.ranges[id] = {here.first_offset, stream.anchors[i + 1].first_offset};
        }
}

}  // namespace leat::log
