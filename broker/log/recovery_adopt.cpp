// Recovery after a superblock or checkpoint that does not hold: which copies of moved records
// count.
#include <algorithm>
#include <map>

#include "broker/log/recovery_run.hpp"

namespace leat::log {

namespace {

/// What a whole survivors segment that the checkpoint does not list holds of one stream.
struct Held {
    Offset end;
    Offset reached;        ///< found in the ring up to here
    bool hole = false;     ///< a segment is gone since the one that led here
    bool lacking = false;  ///< ... and what comes next begins behind it
};
struct Copies {
    SegmentHeader header;
    SegmentIndex index;
    std::uint32_t footer_position;
    std::map<StreamId, Held> held;  ///< of live streams, from their log start on

    bool needed() const {
        return std::any_of(held.begin(), held.end(), [](const auto& one) {
            return one.second.lacking || one.second.reached < one.second.end;
        });
    }
};

/// The ring's segments come in order. Between two of them a stream may have a gap that compaction
/// left, so one is a loss only where a segment is gone.
void see(Copies& copies, const SegmentIndex& in_ring) {
    for (auto& [id, held] : copies.held) {
        const StreamInSegment* here = in_ring.streams.find(id);
        if (here == nullptr || !here->holds_batches()) continue;
        if (here->first_offset > held.reached && held.reached < held.end && held.hole)
            held.lacking = true;
        held.reached = std::max(held.reached, here->end_offset);
        held.hole = false;
    }
}

}  // namespace

/// What the checkpoint says of the ring behind its redo point, or, without one, what was found of
/// it: in order.
std::vector<Recovery::Listed> Recovery::listed_now() {
    std::vector<std::uint32_t> ring;
    for (std::uint32_t i = 0; i < core_.segments.size(); ++i) {
        const SegmentEntry& entry = core_.segments[i];
        if (entry.in_ring() &&
            (!have_checkpoint_ || entry.area == Area::survivors || entry.place < begin_.redo_place))
            ring.push_back(i);
    }
    std::sort(ring.begin(), ring.end(),
              [this](std::uint32_t a, std::uint32_t b) { return core_.segments.before(a, b); });
    std::vector<Listed> listed;
    for (const std::uint32_t segment : ring)
        listed.push_back(
            {segment, core_.segments[segment].generation, core_.segments[segment].place});
    return listed;
}

/// What a segment of the ring holds: its footer says it, or, where that is lost, its commits do. One
/// whose footer could not be written is no gap.
std::optional<SegmentIndex> Recovery::index_of(const SegmentHeader& header) {
    const std::uint32_t end = core_.segments[header.segment].data_end;
    if (auto footer = footer_of(header); footer && footer->index.data_end == end)
        return std::move(footer->index);
    std::vector<std::uint8_t> bytes(std::min(end, core_.segment_bytes));
    (void)io_.read_what_holds(core_.address(header.segment, 0), bytes);
    SegmentIndex index;
    const SegmentBytes view = [&bytes](std::uint32_t position, std::uint32_t) {
        return position < bytes.size() ? ByteView(bytes).subspan(position) : ByteView{};
    };
    (void)scan_segment(core_, header, end, view, index);
    if (index.streams.empty()) return std::nullopt;
    return index;
}

/// The checkpoint in force cannot be read: the one that was taken may be older than the moves it
/// knew of, and the segments that records were moved from may be recycled. So every whole survivors
/// segment whose records are nowhere else stands in the ring again. Mostly there is none: what a
/// power cut tore was never in force, and all that records were moved from is still there.
void Recovery::adopt_survivors(const std::vector<Listed>& listed) {
    std::vector<Copies> found;
    for (std::uint32_t i = 0; i < core_.segments.size(); ++i) {
        const auto header = header_of(i);
        if (header) run_seen_ = std::max<std::uint64_t>(run_seen_, header->run);
        if (!header || header->area != Area::survivors || header->kind != SegmentClass::mixed ||
            header->generation <= core_.segments[i].generation)
            continue;
        auto footer = footer_of(*header);
        if (!footer) continue;
        Copies copies{*header, std::move(footer->index), footer->position, {}};
        const bool hole = !have_checkpoint_;  // what the ring was is not known
        bool fits = true;
        for (const auto& [id, here] : copies.index.streams) {
            const Stream* stream = core_.streams.find(id);
            if (stream == nullptr) continue;
            // Never against what the log knows of its end: a card that forgot may have given
            // offsets twice.
            fits = fits && here.end_offset <= stream->state.log_end;
            const Offset from = std::max(here.first_offset, stream->state.log_start);
            if (here.holds_batches() && from < here.end_offset)
                copies.held[id] = {here.end_offset, from, hole};
        }
        if (fits && !copies.held.empty()) found.push_back(std::move(copies));
    }
    if (found.empty()) return;

    for (const Listed& one : listed) {
        // Also one that the open segment names as free is gone, though its bytes are still there.
        const SegmentEntry& entry = core_.segments[one.segment];
        const auto header = header_of(one.segment);
        std::optional<SegmentIndex> index;
        if (entry.in_ring() && entry.generation == one.generation && header &&
            header->generation == one.generation)
            index = index_of(*header);
        for (Copies& copies : found) {
            if (index) see(copies, *index);
            const bool gone = !index && one.place >= copies.header.place;
            if (gone || !have_checkpoint_)
                for (auto& [id, held] : copies.held) held.hole = true;
        }
    }

    for (const Copies& copies : found) {
        if (!copies.needed()) continue;
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
