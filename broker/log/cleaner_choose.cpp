// What the next run takes.
#include <algorithm>

#include "broker/log/cleaner.hpp"

namespace leat::log {

bool Cleaner::wanted() const { return core_.low_on_room(); }

/// A checkpoint that cannot be written would hold back everything: it comes first.
std::uint32_t Cleaner::outputs_allowed() const {
    // What facts would open next is lent where nothing else makes room: with one to copy into nothing
    // is packed that fills more than half of its segments. But not what already waits for it: the
    // checkpoint that ends a run would wait for that, and that for the run.
    const bool lends =
        core_.nothing_to_drop && core_.short_of_room() && !checkpoints_.ring_waits();
    const std::uint32_t lent = lends ? 0 : 1;
    const std::uint32_t kept = core_.segments_for_checkpoint() + lent;
    const std::uint32_t free = core_.segments.free_count();
    return free <= kept ? 0 : std::min(cleaner_outputs_max, free - kept);
}

bool Cleaner::movable(std::uint32_t segment) const {
    const SegmentEntry& entry = core_.segments[segment];
    const std::uint32_t bytes = to_copy(segment);
    // A little padding is not worth it, however full the log is: there is some in all that comes.
    const std::uint32_t eighths = !gathers_ ? cleaner_full_eighths : entry.some_dead ? 8 : 6;
    return could_move(entry, bytes, eighths) &&
           entry.data_end > core_.page &&
           !core_.refusals.in_doubt(core_.called_at, segment, entry.generation);
}

/// What is left of it goes into one segment, however little that is less.
bool Cleaner::overdue(std::uint32_t segment) const {
    const SegmentEntry& entry = core_.segments[segment];
    const std::uint32_t bytes = to_copy(segment);
    return compaction_.overdue(segment) && bytes <= capacity() / 32 * 31 &&
           could_move(entry, bytes, 8) && entry.data_end > core_.page &&
           !core_.refusals.in_doubt(core_.called_at, segment, entry.generation);
}

std::uint32_t Cleaner::to_copy(std::uint32_t segment) const {
    const std::uint32_t live = core_.segments[segment].live_bytes;
    return live - std::min(live, compaction_.gain(segment));
}

/// What goes into one segment of batches that take so much of it each.
std::uint32_t Cleaner::filled(std::uint8_t share) const {
    constexpr std::uint32_t many = 8;  // so many fill the gaps
    const std::uint32_t batch = core_.segment_bytes / 256 * share;
    if (batch * many <= capacity()) return capacity();
    return std::max(capacity() / batch, 1u) * batch;
}

/// The neighbours with the most dead bytes x age.
bool Cleaner::choose() {
    const std::uint32_t allowed = outputs_allowed();
    if (allowed == 0 || core_.faults.never_packs) return false;
    const auto& ring = core_.segments.ring();
    const std::uint64_t room = std::uint64_t{capacity()} * allowed / 32 * 31;
    const std::uint64_t newest = core_.segments[ring.empty() ? 0 : ring.back()].place;
    std::size_t best = 0, best_count = 0, end = 0;
    double best_score = 0;
    std::uint64_t sum = 0, gain = 0;
    std::uint64_t whole = 0, empty = 0;  // so many of which nothing is dead; everything is
    std::uint8_t share = 0;              // the largest of these
    const auto untouched = [this](std::uint32_t segment) {
        const SegmentEntry& entry = core_.segments[segment];
        return !entry.some_dead && !entry.records;
    };
    const bool short_of_room = wanted();
    const std::uint64_t cost_max = short_of_room ? cleaner_cost_max : compaction_cost_max;
    gathers_ = false;
    for (std::size_t from = 0; from < ring.size(); ++from) {
        if (end <= from) {
            end = from;
            sum = gain = whole = empty = share = 0;
        }
        while (end < ring.size() && movable(ring[end]) && sum + to_copy(ring[end]) <= room) {
            sum += to_copy(ring[end]);
            share = std::max(share, core_.segments[ring[end]].batch_share);
            whole += untouched(ring[end]) ? 1 : 0;
            empty += core_.segments[ring[end]].live_bytes == 0 ? 1 : 0;
            gain += compaction_.gain(ring[end++]);
        }
        const std::uint64_t count = end - from;
        if (count == 0) continue;
        const std::uint64_t each = filled(share);
        const std::uint64_t into = (sum + each - 1) / each;
        // What is empty is free in a moment, whether it is in a run or not.
        const std::uint64_t full = count - empty;
        const std::uint64_t dead = full > into ? (full - into) * core_.segment_bytes : 0;
        // Where records are dropped all the time, the oldest would be dropped before they are packed.
        const bool in_vain = core_.dropping && whole > 0 && from < ring.size() / dropped_soon;
        const bool worth =
            dead > 0 && sum + gain > 0 && !in_vain && sum <= cost_max * dead &&
            (gain > 0 || (short_of_room && sum > 0 && (urgent() || sum >= capacity() / 16 * 15)));
        const double score = static_cast<double>(dead) *
                             static_cast<double>(newest - core_.segments[ring[from]].place + 1);
        if (worth && score > best_score) {
            best_score = score;
            best = from;
            best_count = count;
        }
        sum -= to_copy(ring[from]);
        gain -= compaction_.gain(ring[from]);
        whole -= untouched(ring[from]) ? 1 : 0;
        empty -= core_.segments[ring[from]].live_bytes == 0 ? 1 : 0;
        if (core_.segments[ring[from]].batch_share == share) {
            share = 0;
            for (std::size_t i = from + 1; i < end; ++i)
                share = std::max(share, core_.segments[ring[i]].batch_share);
        }
    }
    frees_nothing_ = best_count == 0 && !short_of_room;
    if (frees_nothing_) {
        sum = 0;
        while (best < ring.size() && !overdue(ring[best])) ++best;
        for (end = best; end < ring.size() && end - best < allowed && overdue(ring[end]) &&
                         sum + to_copy(ring[end]) <= room;
             ++end)
            sum += to_copy(ring[end]);
        best_count = end - best;
    }
    if (best_count == 0 && core_.nothing_to_drop && urgent()) best_count = gather(allowed, best);
    plan_.clear();
    for (std::size_t i = best; i < best + best_count; ++i)
        plan_.push_back({ring[i], core_.segments[ring[i]].generation});
    return !plan_.empty();
}

/// In a log that has nothing to drop, a few free segments are all there is to copy into, and what is
/// dead among records that stay may be a little of each segment: run by run it is pushed together
/// until it is one. Of the cheapest neighbours that hold a segment's worth of it, as many as there
/// are to copy into; what that leaves of the last copy is the first of the next run.
std::size_t Cleaner::gather(std::uint32_t allowed, std::size_t& from) {
    if (allowed < 2) return 0;
    gathers_ = true;
    const auto& ring = core_.segments.ring();
    std::uint64_t cheapest = cleaner_gather_max * core_.segment_bytes + 1;
    std::size_t best_count = 0;
    for (std::size_t first = 0; first < ring.size(); ++first) {
        std::uint64_t sum = 0;
        std::uint8_t share = 0;
        for (std::size_t end = first; end < ring.size() && movable(ring[end]); ++end) {
            sum += to_copy(ring[end]);
            if (sum >= cheapest) break;
            share = std::max(share, core_.segments[ring[end]].batch_share);
            if (sum > (end - first) * std::uint64_t{filled(share)} / 32 * 31) continue;
            cheapest = sum;
            from = first;
            best_count = end - first + 1;
            break;
        }
    }
    gathers_ = best_count > 0;
    frees_nothing_ = best_count > allowed + 1;
    return frees_nothing_ ? allowed : best_count;
}

bool Cleaner::makes_room() {
    if (stopped_ || core_.read_only) return false;
    if (phase_ != Phase::idle || !replaced_.empty()) return true;
    const bool found = choose();
    plan_.clear();
    return found;
}

}  // namespace leat::log
