#include "broker/log/compaction.hpp"

#include <algorithm>

namespace leat::log {

namespace {
constexpr std::int16_t control_bit = 0x20, transactional_bit = 0x10;
constexpr milliseconds poll_wait{100};  ///< a read that finished unseen is looked for

Offset bound_of(const Stream& stream) {
    return std::min(stream.state.flushed, stream.state.release);
}
}  // namespace

Instant Compactor::deadline() const {
    if (stopped_ || core_.read_only || !core_.record_filter) return never;
    if (phase_ == Phase::idle) return look_at_;
    return phase_ == Phase::ready ? never : next_at_;
}

void Compactor::stop() {
    stopped_ = true;
    if (ticket_ != 0) reader_.cancel(ticket_);
    ticket_ = 0;
}

void Compactor::pump(Instant now) {
    if (stopped_ || !core_.record_filter) return;
    if (core_.read_only) {
        if (phase_ != Phase::idle) give_up(now);
        return;
    }
    if (phase_ == Phase::idle) {
        if (now < look_at_) return;
        look_at_ = now + core_.config.compaction_every;
        if (!begin(now)) return;
    }
    for (Step step = Step::go_on; step == Step::go_on;) {
        if (phase_ == Phase::keys)
            step = read_keys(now);
        else if (phase_ == Phase::count)
            step = count(now);
        else
            return;
    }
}

/// Something new lies there for too long.
bool Compactor::overdue(Instant now, const Stream& stream) const {
    const CompactionState& state = stream.compaction;
    const std::int64_t most = stream.policy.compaction_lag_max.count();
    return most >= 0 && state.dirty_since_ms <= age(now) && bound_of(stream) > state.end() &&
           age(now) - state.dirty_since_ms > static_cast<std::uint64_t>(most);
}

/// Where segments are full that the newest one does not let be judged.
void Compactor::want_checkpoint() {
    const auto& ring = core_.segments.ring();
    if (wanted_behind_ == core_.redo_place || ring.size() < 2 ||
        core_.segments[ring[ring.size() - 2]].place < core_.redo_place)
        return;
    wanted_behind_ = core_.redo_place;
    wants_checkpoint_ = true;
}

/// Something new can be judged: segments came behind the redo point, and enough of them is new; or
/// a tombstone's time is over.
bool Compactor::worth_it(Instant now, const Stream& stream) const {
    const CompactionState& state = stream.compaction;
    if (state.tombstones_due_ms <= age(now) || state.resume > 0) return true;
    if (core_.redo_place <= state.redo_place) return false;
    const std::int64_t dirty = stream.state.bytes - state.clean_bytes;
    return overdue(now, stream) ||
           (dirty > 0 && dirty >= stream.state.bytes / 1000 * stream.policy.dirty_permille_min);
}

bool Compactor::begin(Instant now) {
    parts_.clear();
    bool worth = false;
    for (const auto& [id, stream] : core_.streams.all()) {
        if (!stream.declared || !stream.policy.compact ||
            bound_of(stream) <= stream.state.log_start)
            continue;
        const bool due = worth_it(now, stream), late = overdue(now, stream);
        if (late && !due) want_checkpoint();
        if (!due && stream.state.bytes <= stream.compaction.clean_bytes) continue;
        worth = worth || due;
        Part& part = parts_.emplace_back();
        part.id = id;
        part.end = part.bound = bound_of(stream);
        part.overdue = late;
        const Offset clean = stream.compaction.end();
        part.from = std::max({stream.compaction.resume, clean, stream.state.log_start});
        // What lies between was judged against itself before, but not all of it could be copied.
        if (part.from > std::max(clean, stream.state.log_start)) part.unjudged = clean;
        for (const CompactionState::Mark& mark : stream.compaction.marks)
            if (mark.age_ms +
                    static_cast<std::uint64_t>(stream.policy.tombstone_retention.count()) <=
                age(now))
                part.tombstones_below = mark.end;
        if (core_.faults.tombstone_alone) part.tombstones_below = INT64_MAX;
    }
    if (!worth) {
        parts_ = {};
        return false;
    }
    KeyHash secret{core_.make_salt() * 0x1'0000'0001ull ^ core_.make_salt(), core_.make_salt()};
    secret.high = secret.high << 32 | core_.make_salt();
    map_ = std::make_unique<KeyMap>(core_.config.compaction_map_bytes, secret);
    redo_place_ = core_.redo_place;
    redo_age_ms_ = 0;
    for (const std::uint32_t segment : core_.segments.ring())
        if (core_.segments[segment].place < redo_place_)
            redo_age_ms_ = std::max(redo_age_ms_, core_.segments[segment].last_age_ms);
    // Those in front of where the last map was full wait for the end of the round.
    const auto first = std::find_if(parts_.begin(), parts_.end(),
                                    [this](const Part& part) { return part.id >= begin_at_; });
    std::rotate(parts_.begin(), first, parts_.end());
    begin_at_ = 0;
    part_ = 0;
    at_ = parts_.front().from;
    next_at_ = now;
    phase_ = Phase::keys;
    return true;
}

/// Whole batches of the stream from at_ on, in memory_.
Compactor::Got Compactor::read(Instant now, StreamId id, Offset until) {
    const Stream* stream = core_.streams.find(id);
    if (stream == nullptr) return Got::failed;
    if (ticket_ == 0) {
        at_ = std::max(at_, stream->state.log_start);
        if (at_ >= until) return Got::nothing;
        if (now < next_at_) return Got::wait;
        if (memory_.empty()) memory_.resize(compaction_read_bytes);
        const auto ticket = reader_.start_read({.stream = id, .from = at_, .until = until}, memory_,
                                               Reader::Asked::inside);
        if (!ticket) return Got::failed;
        ticket_ = *ticket;
    }
    const std::optional<ReadDone> done = reader_.take_inside(ticket_);
    next_at_ = now + (done ? (urgent() ? milliseconds(0) : compaction_pace) : poll_wait);
    if (!done) return Got::wait;
    ticket_ = 0;
    if (done->bytes) {
        got_ = *done->bytes;
        return got_ == 0 ? Got::nothing : Got::batches;
    }
    if (done->bytes.error() == Error::too_large && done->needed > memory_.size() &&
        done->needed <= core_.max_batch_bytes()) {
        memory_.resize(done->needed);
        return Got::wait;
    }
    if (done->bytes.error() != Error::corrupt && done->bytes.error() != Error::not_found)
        return Got::failed;
    // What cannot be read now may be read later, and hold any key.
    if (Part* part = part_of(id)) part->unjudged = std::min(part->unjudged, at_);
    at_ = std::max(done->next, at_ + 1);
    return Got::wait;
}

Compactor::Step Compactor::read_keys(Instant now) {
    if (part_ == parts_.size()) {
        std::sort(parts_.begin(), parts_.end(),
                  [](const Part& a, const Part& b) { return a.id < b.id; });
        phase_ = Phase::count;
        segment_ = no_segment;
        place_ = 0;
        return Step::go_on;
    }
    Part& part = parts_[part_];
    const Got got = read(now, part.id, part.end);
    if (got == Got::wait) return Step::wait;
    bool full = false;
    if (got == Got::batches) {
        ByteView left{memory_.data(), got_};
        while (!left.empty() && !full) {
            const Result<BatchFields> fields = read_batch_fields(left);
            if (!fields || fields->total_bytes > left.size() || fields->base_offset >= part.end)
                break;
            full = !add_keys(part, *fields, left.first(fields->total_bytes));
            if (full) part.end = fields->base_offset;
            at_ = fields->end_offset();
            left = left.subspan(fields->total_bytes);
        }
        if (!full && at_ < part.end) return Step::go_on;
    }
    // Dropped meanwhile, or the device does not give it now: the others go on, it comes again.
    if (got == Got::failed) part.end = part.from;
    ++part_;
    if (full) {
        begin_at_ = part.id;
        parts_.resize(part.end > part.from ? part_ : part_ - 1);
        part_ = parts_.size();
    }
    if (part_ < parts_.size()) at_ = parts_[part_].from;
    return Step::go_on;
}

bool Compactor::add_keys(Part& part, const BatchFields& fields, ByteView batch) {
    if ((fields.attributes & control_bit) != 0) return true;
    bool full = false;
    const auto put = [&](const KeyedRecord& record) {
        if (core_.faults.tombstone_alone && !record.has_value) return true;
        if (!full && record.has_key) full = !map_->put(part.id, record.key, record.offset);
        return true;
    };
    if ((fields.attributes & transactional_bit) != 0 || !core_.record_filter(batch, put, nullptr))
        part.unjudged = std::min(part.unjudged, fields.base_offset);
    return !full;
}

bool Compactor::next_segment() {
    const auto& ring = core_.segments.ring();
    const auto next = std::upper_bound(
        ring.begin(), ring.end(), place_,
        [this](std::uint64_t place, auto b) { return place < core_.segments[b].place; });
    if (next == ring.end() || gains_.size() >= gains_max) return false;
    const SegmentEntry& entry = core_.segments[*next];
    if (entry.place >= redo_place_ || entry.state != SegmentState::sealed) return false;
    segment_ = *next;
    place_ = entry.place;
    generation_ = entry.generation;
    here_.clear();
    part_ = SIZE_MAX;  // its footer was not looked at yet
    return true;
}

Compactor::Step Compactor::count(Instant now) {
    if (segment_ == no_segment && !next_segment()) {
        memory_ = {};
        phase_ = Phase::ready;
        if (gains_.empty()) finish(now);
        return Step::wait;
    }
    const SegmentEntry& entry = core_.segments[segment_];
    if (entry.generation != generation_ || entry.state != SegmentState::sealed) {
        // Freed, or moved: then copied_unfiltered has told so.
        if (ticket_ != 0) reader_.cancel(std::exchange(ticket_, 0));
        segment_ = no_segment;
        return Step::go_on;
    }
    if (part_ == SIZE_MAX) {
        const FooterCache::Found footer = reader_.footers().get(segment_);
        if (footer.state == Fetched::pending) {
            next_at_ = now + poll_wait;
            return Step::wait;
        }
        for (Part& part : parts_) {
            const Stream* stream = core_.streams.find(part.id);
            if (footer.state == Fetched::failed || footer.partial) {
                part.unjudged = std::min(part.unjudged, part.counted);
                continue;
            }
            Result<StreamInSegment> here = find_in_footer(footer.bytes, part.id);
            if (stream == nullptr || !here || !here->holds_batches() ||
                here->end_offset <= stream->state.log_start)
                continue;
            part.counted = std::max(part.counted, here->end_offset);
            const auto lag = static_cast<std::uint64_t>(stream->policy.compaction_lag.count());
            const bool young = lag > 0 && (lag > age(now) || here->last_age_ms > age(now) - lag);
            part.lags = part.lags || young;
            if (!part.lags) part.age_ms = std::max(part.age_ms, here->last_age_ms);
            if (entry.unmovable || young)
                part.unjudged = std::min(part.unjudged, here->first_offset);
            else
                here_[part.id] = *std::move(here);
        }
        part_ = 0;
        at_ = here_.empty() ? 0 : here_.begin()->second.first_offset;
        gained_ = 0;
    }
    if (!here_.empty()) return count_stream(now);
    segment_ = no_segment;
    return Step::go_on;
}

/// What of the first stream in here_ is superseded in this segment.
Compactor::Step Compactor::count_stream(Instant now) {
    const auto& [id, here] = *here_.begin();
    Part* part = part_of(id);
    const Offset until = std::min(here.end_offset, part->end);
    const Got got = read(now, id, until);
    if (got == Got::wait) return Step::wait;
    if (got == Got::failed) part->unjudged = std::min(part->unjudged, here.first_offset);
    if (got == Got::batches) {
        ByteView left{memory_.data(), got_};
        std::vector<std::uint8_t> kept;
        while (!left.empty()) {
            const Result<BatchFields> fields = read_batch_fields(left);
            if (!fields || fields->total_bytes > left.size() || fields->base_offset >= until) {
                at_ = until;
                break;
            }
            const ByteView batch = left.first(fields->total_bytes);
            at_ = fields->end_offset();
            left = left.subspan(fields->total_bytes);
            const Superseded gone = judge(*part, *fields, batch, kept);
            part->bytes += static_cast<std::int64_t>(batch.size());
            if (!gone.changed) continue;
            gained_ += gone.bytes + (kept.empty() ? moved_header_bytes : 0);
            part->bytes -= gone.bytes;
        }
        if (at_ < until) return Step::go_on;
    }
    if (gained_ > 0)
        gains_[{segment_, id}] = {generation_, static_cast<std::uint32_t>(gained_),
                                  here.first_offset, part->overdue};
    here_.erase(here_.begin());
    at_ = here_.empty() ? 0 : here_.begin()->second.first_offset;
    gained_ = 0;
    return Step::go_on;
}

}  // namespace leat::log
