// The copies take the place of what they were made of, and once that is durable the sources are
// free.
#include <algorithm>

#include "broker/log/cleaner.hpp"

namespace leat::log {

/// Takes superseded records out of the batch that was read; false: nothing of it is left.
bool Cleaner::filter(Instant now) {
    const Compactor::Superseded gone =
        compaction_.filter(walk_.stream, walk_.age_ms, core_.time.age_ms(now), batch_);
    if (!gone.changed) return true;
    std::vector<Gone>& all = superseded_[walk_.stream];
    const Offset end = expected_[walk_.stream].end;
    if (all.empty() || all.back().end != end) {
        const Stream* stream = core_.streams.find(walk_.stream);
        const Offset start = stream == nullptr ? 0 : stream->state.log_start;
        all.push_back({.from = std::max(walk_.fields.base_offset, start), .end = end});
    }
    all.back().records += gone.records;
    all.back().bytes += gone.bytes;
    if (batch_.empty()) return false;
    walk_.fields = *read_batch_fields(batch_);
    return true;
}

/// What a log start has passed since it was counted was booked by whoever moved it. false: that is
/// in the middle of a source, where the two cannot be told apart.
bool Cleaner::settle_superseded() {
    for (auto& [id, all] : superseded_) {
        const Stream* stream = core_.streams.find(id);
        if (stream == nullptr) continue;
        const Offset start = stream->state.log_start;
        std::erase_if(all, [start](const Gone& gone) { return gone.end <= start; });
        if (!all.empty() && all.front().from < start) return false;
    }
    return true;
}

/// A source of which nothing of a stream was left counts as held by the copies in front of it:
/// the segment behind it finds them as its neighbour.
void Cleaner::follow_ordinals() {
    for (const auto& [id, range] : expected_)
        for (auto output = outputs_.rbegin(); output != outputs_.rend(); ++output) {
            const auto link = output->links.find(id);
            if (link == output->links.end()) continue;
            link->second.ordinal = std::max(link->second.ordinal, range.ordinal);
            break;
        }
}

/// Between two checkpoints: streams and table of one checkpoint must tell of the same places.
Cleaner::Step Cleaner::hand_over(Instant now) {
    if (checkpoints_.running()) return Step::wait;
    std::erase_if(plan_, [this](const Source& source) { return !still_there(source); });
    const bool in_vain = gathers_ && plan_.size() < 2;
    if (plan_.size() < outputs_.size() + (frees_nothing_ ? 0 : 1) || plan_.empty() || in_vain) {
        // The estimate was too good: not the same again.
        put_back(plan_.empty() ? no_segment : plan_.front().segment);
        return Step::wait;
    }
    if (!settle_superseded()) {
        put_back(no_segment);
        return Step::wait;
    }
    const std::uint64_t checkpoint = checkpoints_.next_number();
    for (const Source& source : plan_) {
        core_.segments.leave_ring(source.segment);
        replaced_.push_back({source.segment, core_.faults.recycle_uncopied ? 0 : checkpoint});
    }
    for (const Output& output : outputs_) {
        SegmentEntry& entry = core_.segments[output.header.segment];
        entry.state = SegmentState::sealed;
        entry.place = output.header.place;
        entry.data_end = output.data_end;
        entry.footer_position = output.footer_position;
        entry.last_age_ms = output.last_age_ms;
        entry.set_live(output.live_bytes, output.batches, core_.segment_bytes);
        entry.batch_bytes =
            static_cast<std::uint32_t>(std::min<std::uint64_t>(output.batch_bytes, UINT32_MAX));
        core_.segments.enter_ring(output.header.segment);
        // Pushed full: only what is left in the last one is worth another run.
        entry.some_dead = gathers_ && &output == &outputs_.back();
        entry.unmovable = gathers_ && !entry.some_dead;
    }
    for (auto& [id, stream] : core_.streams.all()) repoint(id, stream);
    for (const auto& [id, all] : superseded_) {
        Compactor::Superseded sum;
        for (const Gone& gone : all) {
            sum.records += gone.records;
            sum.bytes += gone.bytes;
        }
        core_.counters.superseded_records += sum.records;
        if (on_superseded && !all.empty()) on_superseded(id, sum.records, sum.bytes);
    }
    tell_lost(now);
    if (!filtering_)
        for (const Output& output : outputs_)
            for (const auto& [id, link] : output.links)
                compaction_.copied_unfiltered(id, link.first_offset);
    core_.counters.cleaner_freed +=
        std::uint64_t{plan_.size() - outputs_.size()} * core_.segment_bytes;
    ++core_.layout;
    outputs_.clear();
    put_back(no_segment);  // nothing: the run is over
    rests_ = false;
    if (on_moved) on_moved();
    checkpoints_.request();
    return Step::wait;
}

/// What pointed to a source points to its copies. The newest anchor stays the newest.
void Cleaner::repoint(StreamId id, Stream& stream) {
    // The last anchor of a stream that has no records left may lie behind the end of a pool that
    // became smaller since.
    const auto gone = [this](const Link& link) {
        return link.segment < core_.segments.size() &&
               core_.segments[link.segment].state == SegmentState::replaced;
    };
    const bool newest = !stream.anchors.empty() && gone(stream.anchors.back());
    const std::size_t removed = std::erase_if(stream.anchors, gone);
    std::vector<Link> fresh;
    for (const Output& output : outputs_) {
        const auto found = output.links.find(id);
        if (found == output.links.end()) continue;
        fresh.push_back(found->second);
    }
    if (newest && !fresh.empty()) fresh.back().ordinal = stream.ordinal;
    const std::size_t limit = core_.anchors_limit();
    std::size_t room = std::max(
        removed, limit > stream.anchors.size() ? limit - stream.anchors.size() : std::size_t{0});
    for (auto link = fresh.rbegin(); link != fresh.rend() && room > 0; ++link, --room) {
        if (link->ordinal == 0) continue;
        stream.anchors.insert(std::upper_bound(stream.anchors.begin(), stream.anchors.end(), *link,
                                               [](const Link& a, const Link& b) {
                                                   return a.first_offset < b.first_offset;
                                               }),
                              *link);
    }
    if (fresh.empty()) return;
    const auto point_anew = [&](auto& links) {
        for (Link& link : links) {
            if (!gone(link)) continue;
            const Link* to = &fresh.front();
            for (const Link& one : fresh)
                if (one.first_offset <= link.first_offset) to = &one;
            link = {to->first_offset, to->max_timestamp, to->segment, link.ordinal};
        }
    };
    point_anew(stream.levels);
    point_anew(stream.newest_links);
}

void Cleaner::release_replaced(Instant now) {
    std::erase_if(replaced_, [&](const Replaced& one) {
        if (core_.checkpoint_number < one.checkpoint) return false;
        core_.segments.release(one.segment);
        ++core_.counters.segments_recycled;
        ++core_.layout;
        if (urgent()) wake(now);
        return true;
    });
}

/// The run ends here. Segments that were begun are free again; `unmovable` is left alone from now
/// on.
void Cleaner::put_back(std::uint32_t unmovable) {
    if (unmovable != no_segment) core_.segments[unmovable].unmovable = true;
    for (const Output& output : outputs_) core_.segments.release(output.header.segment);
    core_.counters.segments_recycled += outputs_.size();  // who waits for a free one hears of them
    outputs_.clear();
    plan_.clear();
    expected_.clear();
    seen_.clear();
    moved_ends_.clear();
    superseded_.clear();
    lost_.clear();
    index_ = {};
    batch_ = {};
    large_front_ = {};
    large_at_ = large_bytes_ = 0;
    piece_.free();
    group_.clear(0);
    block_.free();
    block_size_ = 0;
    by_pages_ = false;
    footer_memory_.free();
    output_open_ = batch_waits_ = false;
    phase_ = Phase::idle;
    rests_ = true;
}

}  // namespace leat::log
