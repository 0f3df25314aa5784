// What of a batch is superseded, and what a pass leaves behind.
#include <algorithm>

#include "broker/log/compaction.hpp"

namespace leat::log {

namespace {
constexpr std::int16_t control_bit = 0x20, transactional_bit = 0x10;
}

/// `kept`: what stays of the batch, if that has changed.
Compactor::Superseded Compactor::judge(Part& part, const BatchFields& fields, ByteView batch,
                                       std::vector<std::uint8_t>& kept) {
    const Stream* stream = core_.streams.find(part.id);
    if (stream == nullptr || (fields.attributes & (control_bit | transactional_bit)) != 0)
        return {};
    Superseded gone;
    bool any = false, tombstones = false;
    const bool last = fields.end_offset() >= stream->state.flushed;
    const auto keep = [&](const KeyedRecord& record) {
        if (!record.has_key) return true;
        const Offset newest = map_->find(part.id, record.key);
        bool stays = newest <= record.offset;
        if (stays && !record.has_value) {
            stays = last || record.offset >= part.tombstones_below;
            tombstones = tombstones || stays;
        }
        if (core_.faults.newest_superseded && newest == record.offset && !last) stays = false;
        any = any || !stays;
        if (!stays && record.offset >= stream->state.log_start) ++gone.records;
        return stays;
    };
    kept.clear();
    const Result<std::uint32_t> left = core_.record_filter(batch, keep, &kept);
    if (!left || kept.size() > core_.max_batch_bytes()) {
        part.unjudged = std::min(part.unjudged, fields.base_offset);
        return {};
    }
    part.tombstones = part.tombstones || tombstones;
    if (!any) return {};
    // What lies below the log start was booked when that rose.
    gone.changed = true;
    gone.bytes = static_cast<std::int64_t>(batch.size()) - static_cast<std::int64_t>(kept.size());
    return gone;
}

Compactor::Superseded Compactor::filter(StreamId id, std::uint64_t age_ms, std::uint64_t now_age_ms,
                                        std::vector<std::uint8_t>& batch) {
    Part* part = phase_ == Phase::ready ? part_of(id) : nullptr;
    const Stream* stream = core_.streams.find(id);
    const Result<BatchFields> fields = read_batch_fields(batch);
    if (part == nullptr || stream == nullptr || !fields) return {};
    const auto lag = static_cast<std::uint64_t>(stream->policy.compaction_lag.count());
    if (fields->end_offset() > part->end || (lag > 0 && age_ms + lag > now_age_ms)) {
        part->unjudged = std::min(part->unjudged, fields->base_offset);
        return {};
    }
    std::vector<std::uint8_t> kept;
    const Superseded gone = judge(*part, *fields, batch, kept);
    if (gone.changed) batch.swap(kept);
    return gone;
}

void Compactor::copied_unfiltered(StreamId id, Offset from) {
    if (phase_ == Phase::idle) return;
    if (Part* part = part_of(id)) part->unjudged = std::min(part->unjudged, from);
}

void Compactor::moved(std::uint32_t from, std::uint32_t to) {
    const std::uint64_t generation = core_.segments[to].generation;
    if (segment_ == from && generation_ == core_.segments[from].generation) {
        segment_ = to;
        generation_ = generation;
    }
    for (auto at = gains_.lower_bound({from, 0}); at != gains_.end() && at->first.first == from;) {
        if (at->second.generation == core_.segments[from].generation) {
            Gain gain = at->second;
            gain.generation = generation;
            gains_[{to, at->first.second}] = gain;
        }
        at = gains_.erase(at);
    }
}

std::uint32_t Compactor::gain(std::uint32_t segment) const {
    if (phase_ != Phase::ready) return 0;
    std::uint64_t sum = 0;
    for (auto at = gains_.lower_bound({segment, 0});
         at != gains_.end() && at->first.first == segment; ++at)
        if (at->second.generation == core_.segments[segment].generation) sum += at->second.bytes;
    return static_cast<std::uint32_t>(std::min<std::uint64_t>(sum, UINT32_MAX));
}

bool Compactor::overdue(std::uint32_t segment) const {
    if (phase_ != Phase::ready) return false;
    for (auto at = gains_.lower_bound({segment, 0});
         at != gains_.end() && at->first.first == segment; ++at)
        if (at->second.overdue && at->second.generation == core_.segments[segment].generation)
            return true;
    return false;
}

Compactor::Part* Compactor::part_of(StreamId id) {
    if (phase_ == Phase::keys) {  // not sorted yet
        const auto found = std::find_if(parts_.begin(), parts_.end(),
                                        [id](const Part& part) { return part.id == id; });
        return found == parts_.end() ? nullptr : &*found;
    }
    const auto found =
        std::lower_bound(parts_.begin(), parts_.end(), id,
                         [](const Part& part, StreamId wanted) { return part.id < wanted; });
    return found == parts_.end() || found->id != id ? nullptr : &*found;
}

void Compactor::finish(Instant now) {
    for (const auto& [where, gain] : gains_) {
        const SegmentEntry& entry = core_.segments[where.first];
        if (entry.generation != gain.generation || entry.state != SegmentState::sealed) continue;
        if (Part* part = part_of(where.second))
            part->unjudged = std::min(part->unjudged, gain.first);
    }
    for (const Part& part : parts_) {
        Stream* stream = core_.streams.find(part.id);
        if (stream == nullptr) continue;
        CompactionState& state = stream->compaction;
        const auto retention =
            static_cast<std::uint64_t>(stream->policy.tombstone_retention.count());
        mark(*stream, std::min({part.end, part.unjudged, part.counted}), age(now));
        // What the pass could not take in waits as before; what it might not, from its own time.
        if (state.end() >= stream->state.flushed)
            state.dirty_since_ms = UINT64_MAX;
        else if (part.end >= part.bound)
            state.dirty_since_ms = part.lags ? part.age_ms : redo_age_ms_;
        state.clean_bytes = part.bytes;
        state.redo_place = redo_place_;
        state.resume = part.id == begin_at_ ? part.end : 0;
        state.tombstones_due_ms = UINT64_MAX;
        for (const CompactionState::Mark& mark : state.marks)
            if (part.tombstones && mark.age_ms + retention > age(now))
                state.tombstones_due_ms =
                    std::min(state.tombstones_due_ms, mark.age_ms + retention);
    }
    give_up(now);
}

void Compactor::mark(Stream& stream, Offset end, std::uint64_t age_ms) const {
    auto& marks = stream.compaction.marks;
    const auto retention = static_cast<std::uint64_t>(stream.policy.tombstone_retention.count());
    // Of those whose time is over the last one says it all.
    while (marks.size() > 1 && marks[1].age_ms + retention <= age_ms) marks.erase(marks.begin());
    if (end <= stream.compaction.end()) return;
    if (marks.size() == CompactionState::marks_max) marks.pop_back();
    marks.push_back({end, age_ms});
}

void Compactor::give_up(Instant now) {
    if (ticket_ != 0) reader_.cancel(std::exchange(ticket_, 0));
    map_.reset();
    parts_ = {};
    gains_.clear();
    here_.clear();
    memory_ = {};
    segment_ = no_segment;
    phase_ = Phase::idle;
    look_at_ = now + core_.config.compaction_every;
}

}  // namespace leat::log
