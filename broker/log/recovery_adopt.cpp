// Recovery after a superblock or checkpoint that does not hold: which copies of moved records
// count.
#include <algorithm>
#include <map>

#include "broker/log/recovery_run.hpp"

namespace leat::log {

namespace {

/// A whole survivors segment that the checkpoint does not list, and of each of its live streams the
/// offsets that have not been found in the ring yet: from here on.
struct Copies {
    SegmentHeader header;
    SegmentIndex index;
    std::uint32_t footer_position;
    std::map<StreamId, Offset> missing;
};

/// The ring's segments come in order, so what a stream has there is found from its front.
void find(Copies& copies, const SegmentIndex& in_ring) {
    for (auto at = copies.missing.begin(); at != copies.missing.end();) {
        const auto here = in_ring.streams.find(at->first);
        if (here != in_ring.streams.end() && here->second.holds_batches() &&
            here->second.first_offset <= at->second)
            at->second = std::max(at->second, here->second.end_offset);
        const bool all = at->second >= copies.index.streams.at(at->first).end_offset;
        at = all ? copies.missing.erase(at) : std::next(at);
    }
}

}  // namespace

/// The checkpoint in force cannot be read: the one that was taken may be older than the moves it
/// knew of, and the segments that records were moved from may be recycled. So every whole survivors
/// segment whose records are nowhere else stands in the ring again. Mostly there is none: what a
/// power cut tore was never in force, and all that records were moved from is still there.
void Recovery::adopt_survivors() {
    std::vector<Copies> found;
    for (std::uint32_t i = 0; i < core_.super.segments; ++i) {
        const auto header = header_of(i);
        if (!header || header->area != Area::survivors || header->kind != SegmentClass::mixed ||
            header->generation <= core_.segments[i].generation)
            continue;
        auto footer = footer_of(*header);
        if (!footer) continue;
        Copies copies{*header, std::move(footer->index), footer->position, {}};
        bool fits = true;
        for (const auto& [id, here] : copies.index.streams) {
            const Stream* stream = core_.streams.find(id);
            if (stream == nullptr) continue;
            // Never against what the log knows of its end: a card that forgot may have given
            // offsets twice.
            fits = fits && here.end_offset <= stream->state.log_end;
            const Offset from = std::max(here.first_offset, stream->state.log_start);
            if (here.holds_batches() && from < here.end_offset) copies.missing[id] = from;
        }
        if (fits && !copies.missing.empty()) found.push_back(std::move(copies));
    }
    if (found.empty()) return;

    std::vector<std::uint32_t> ring;
    for (std::uint32_t i = 0; i < core_.super.segments; ++i)
        if (core_.segments[i].in_ring()) ring.push_back(i);
    std::sort(ring.begin(), ring.end(),
              [this](std::uint32_t a, std::uint32_t b) { return core_.segments.before(a, b); });
    for (const std::uint32_t segment : ring) {
        const auto header = header_of(segment);
        if (!header || header->generation != core_.segments[segment].generation) continue;
        const auto footer = footer_of(*header);
        if (!footer) continue;
        for (Copies& copies : found) find(copies, footer->index);
    }

    for (const Copies& copies : found) {
        if (copies.missing.empty()) continue;
        SegmentEntry& entry = core_.segments[copies.header.segment];
        entry = {};
        entry.generation = copies.header.generation;
        entry.place = copies.header.place;
        entry.salt = copies.header.salt;
        entry.area = Area::survivors;
        entry.state = SegmentState::sealed;
        entry.records = true;
        entry.data_end = copies.index.data_end;
        entry.last_age_ms = copies.index.last_age_ms;
        entry.footer_position = copies.footer_position;
        entry.batch_bytes = static_cast<std::uint32_t>(
            std::min<std::uint64_t>(copies.index.batch_bytes, UINT32_MAX));
        entry.live_bytes = entry.batch_bytes + entry.batch_bytes / 4;
    }
}

}  // namespace leat::log
