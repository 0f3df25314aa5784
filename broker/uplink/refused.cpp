// The Runner's way with what the upstream refuses: too large goes again in parts, the rest waits or
// is skipped, as the route says.
#include <algorithm>
#include <set>
#include <utility>

#include "broker/uplink/runner.hpp"
#include "broker/uplink/texts.hpp"

namespace leat::uplink {

using Route = config::Route;

namespace {

std::string place_text(const Tap& tap) {
    return tap.topic() + "-" + std::to_string(tap.partition());
}

}  // namespace

void Runner::lane_failing(Lane& lane) {
    failing_.push_back(&lane);
    if (!lane.has_lost_doubt() && !lane.starts_over()) ++counts_.refused_batches;
}

void Runner::lane_retrying(Lane& lane, wire::ErrorCode error) {
    constexpr std::size_t lanes_told_max = 100;  // a whole cluster says it for each partition
    if (problems_.size() >= lanes_told_max) return;
    problem(lane_key(lane), Event::Level::warn,
            retried_text(lane.topic(), lane.partition(), error));
}

void Runner::tend_lanes(Instant now) {
    for (std::size_t i = 0; i < failing_.size();) {
        Lane& lane = *failing_[i];
        if (!lane.finish_failing(now)) {
            ++i;
            continue;
        }
        failing_.erase(failing_.begin() + static_cast<std::ptrdiff_t>(i));
        stalled_.push_back(&lane);
        const Way way = lane.has_lost_doubt() ? Way::blocked : make_way(lane);
        if (way == Way::blocked) {
            // A little longer than the Sender's own pause for this queue, which began when we did:
            // what is read again should not wait in memory.
            const milliseconds pause =
                client::backoff_delay(backoff_of(route_), lane.failures(), jitter_);
            lane.stall_until(now + pause + pause / 2);
        } else {
            lane.go_on(now);
        }
        give_back(lane, way);
    }
    for (std::size_t i = 0; i < stalled_.size();) {
        Lane& lane = *stalled_[i];
        if (lane.retry_at() > now) {
            ++i;
            continue;
        }
        stalled_.erase(stalled_.begin() + static_cast<std::ptrdiff_t>(i));
        lane.resume();
        make_all_hungry();
    }
}

/// The oldest that the lane holds is the one that was refused: all before it are acknowledged.
Runner::Way Runner::make_way(Lane& lane) {
    if (lane.held().empty() || lane.starts_over())  // empty: its topic is gone
        return Way::read_again;
    const Outgoing& refused = lane.held().front();
    if (is_too_large(lane.error()) && refused.source.record_count > 1 && !refused.whole_only) {
        const std::size_t most = std::min<std::size_t>(refused.bytes(), lane.batch_bytes_max());
        lane.limit_batches(std::max(static_cast<std::uint32_t>(most / 2), 1u));
        tell(Event::Level::info, cut_text(lane.topic(), lane.partition(), refused.bytes()));
        return Way::read_again;
    }
    if (route_.on_poison == Route::OnPoison::skip && is_poison(lane.error())) {
        // Again as it was, without the doubt; then it may go in part.
        if (lane.is_in_doubt() && !refused.refused.empty()) return Way::read_again;
        if (leave_out_refused(lane)) return Way::held;
        skip_refused(lane);
        return Way::read_again;
    }
    std::string text = refused_text(lane.topic(), lane.partition(), lane.error());
    if (refused.tap != nullptr && refused.memory) {
        const bool is_named = !refused.refused.empty();
        const OffsetRange from{is_named ? *refused.refused.begin() : 0, INT32_MAX};
        text += (is_named ? ". The first such record is offset " : ". It begins at offset ") +
                std::to_string(offsets_of(refused, {&from, 1}).front().from) + " of " +
                place_text(*refused.tap);
    }
    problem(lane_key(lane), Event::Level::error, std::move(text));
    return Way::blocked;
}

/// Only the records that the upstream named. false: it named none, or all, or they cannot be taken
/// out.
bool Runner::leave_out_refused(Lane& lane) {
    const Outgoing batch = lane.held().front();
    const auto all = static_cast<std::size_t>(batch.source.record_count);
    if (batch.tap == nullptr || batch.whole_only || batch.refused.empty() ||
        batch.refused.size() == all)
        return false;
    std::vector<OffsetRange> places;
    for (const std::int32_t place : batch.refused)
        if (!places.empty() && places.back().to == place)
            ++places.back().to;
        else
            places.push_back({place, place + 1});
    Result<std::vector<Part>> parts = leave_out(batch.source, places);
    if (!parts || parts->empty()) return false;
    enter_refused(lane, batch, offsets_of(batch, places), batch.refused.size());
    batch.tap->add_parts(batch.pending, static_cast<std::uint32_t>(parts->size() - 1));
    lane.held().pop_front();
    for (std::size_t i = parts->size(); i-- > 0;) {
        Part& part = (*parts)[i];
        part.offsets = offsets_of(batch, std::exchange(part.offsets, {}));
        Outgoing piece = outgoing(batch.source.created, *batch.tap, part);
        piece.pending = batch.pending;
        piece.base = batch.base;
        if (i + 1 == parts->size()) piece.next = batch.next;
        lane.held().push_front(std::move(piece));
    }
    return true;
}

void Runner::skip_refused(Lane& lane) {
    const Outgoing batch = std::move(lane.held().front());
    lane.held().pop_front();
    if (batch.tap == nullptr) return;
    ++counts_.skipped_batches;
    std::vector<OffsetRange> lost = batch.memory->offsets;
    if (lost.empty()) lost.push_back({batch.base, batch.next});
    enter_refused(lane, batch, lost, static_cast<std::size_t>(batch.source.record_count));
    // Under no name: what comes next begins a new one.
    if (batch.tap->part_done(batch.pending))
        shared_.cursors.move(now_, index_, batch.tap->stream(), batch.tap->cursor());
}

/// Before the cursor: a loss that no book explains is worse than one that is told twice.
void Runner::enter_refused(const Lane& lane, const Outgoing& batch,
                           std::span<const OffsetRange> lost, std::size_t count) {
    counts_.skipped_records += count;
    tell(Event::Level::error,
         skipped_text(std::to_string(count) + " records of " + place_text(*batch.tap) +
                          " from offset " + std::to_string(lost.front().from) + " on",
                      lane.error()));
    const auto all = static_cast<std::size_t>(batch.source.record_count);
    std::uint64_t bytes = batch.bytes() * count / all;
    for (const OffsetRange& range : lost)
        shared_.log.enter_loss(now_, batch.tap->stream(), log::LossReason::refused, range.from,
                               range.to, std::exchange(bytes, 0));
}

/// Memory is for those who can deliver: what waits here is read again then, from the cursor on.
void Runner::give_back(Lane& lane, Way way) {
    if (route_.mapping == Route::Mapping::by_key || way == Way::held) {
        // By key other lanes have parts of the same batches.
        for (Outgoing& batch : std::exchange(lane.held(), {})) put(lane, std::move(batch));
        if (lane.starts_over()) lane.end_doubt();
        return;
    }
    std::set<Tap*> feeders;
    for (const Outgoing& batch : lane.held())
        if (batch.tap != nullptr) feeders.insert(batch.tap);
    for (const auto& [stream, tap] : taps_)
        if (tap->lane == &lane && tap->reading_into) feeders.insert(tap.get());
    lane.held().clear();
    for (Tap* tap : feeders) tap->rewind();
    if (lane.starts_over()) return lane.end_doubt();
    if (!lane.is_in_doubt()) return;
    if (lane.has_lost_doubt()) {
        doubt_is_lost(lane, lane.error());
        lane.end_doubt();
    } else if (lane.queue().is_established() || lane.tap() == nullptr) {
        lane.end_doubt();  // nothing behind what was refused can be there
    } else {
        lane.doubt(shared_.cursors.sent_as(index_, lane.tap()->stream()).producer,
                   lane.doubt_until());
    }
}

}  // namespace leat::uplink
