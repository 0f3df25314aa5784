// The Runner's way with what the upstream refuses: too large goes again in parts, the rest waits or
// is skipped, as the route says.
#include <algorithm>
#include <set>
#include <utility>

#include "broker/uplink/runner.hpp"
#include "broker/uplink/texts.hpp"

namespace leat::uplink {

using Route = config::Route;

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
        if (lane.has_lost_doubt() || !make_way(lane)) {
            // A little longer than the Sender's own pause for this queue, which began when we did:
            // what is read again should not wait in memory.
            const milliseconds pause =
                client::backoff_delay(backoff_of(route_), lane.failures(), jitter_);
            lane.stall_until(now + pause + pause / 2);
        } else {
            lane.go_on(now);
        }
        give_back(lane);
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
/// false: it is in the way, and a person has to do something.
bool Runner::make_way(Lane& lane) {
    if (lane.held().empty() || lane.starts_over()) return true;  // empty: its topic is gone
    const Outgoing& refused = lane.held().front();
    if (is_too_large(lane.error()) && refused.source.record_count > 1 && !refused.whole_only) {
        const std::size_t most = std::min<std::size_t>(refused.bytes(), lane.batch_bytes_max());
        lane.limit_batches(std::max(static_cast<std::uint32_t>(most / 2), 1u));
        tell(Event::Level::info, cut_text(lane.topic(), lane.partition(), refused.bytes()));
        return true;
    }
    if (route_.on_poison == Route::OnPoison::skip && is_poison(lane.error())) {
        skip_refused(lane);
        return true;
    }
    problem(lane_key(lane), Event::Level::error,
            refused_text(lane.topic(), lane.partition(), lane.error()));
    return false;
}

void Runner::skip_refused(Lane& lane) {
    const Outgoing batch = std::move(lane.held().front());
    lane.held().pop_front();
    if (batch.tap == nullptr) return;
    const auto count = static_cast<std::uint64_t>(batch.source.record_count);
    ++counts_.skipped_batches;
    counts_.skipped_records += count;
    // Before the cursor: a loss that no book explains is worse than one that is told twice.
    std::vector<OffsetRange> lost = batch.memory->offsets;
    if (lost.empty()) lost.push_back({batch.base, batch.next});
    tell(Event::Level::error,
         skipped_text(std::to_string(count) + " records of " + batch.tap->topic() + "-" +
                          std::to_string(batch.tap->partition()) + " from offset " +
                          std::to_string(lost.front().from) + " on",
                      lane.error()));
    std::uint64_t bytes = batch.bytes();
    for (const OffsetRange& range : lost)
        shared_.log.enter_loss(now_, batch.tap->stream(), log::LossReason::refused, range.from,
                               range.to, std::exchange(bytes, 0));
    // Under no name: what comes next begins a new one.
    if (batch.tap->part_done(batch.pending))
        shared_.cursors.move(now_, index_, batch.tap->stream(), batch.tap->cursor());
}

/// Memory is for those who can deliver: what waits here is read again then, from the cursor on.
void Runner::give_back(Lane& lane) {
    if (route_.mapping == Route::Mapping::by_key) {
        // Other lanes have parts of the same batches.
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
        tell(Event::Level::warn, doubt_lost_text(lane.topic(), lane.partition(), lane.error()));
        ++counts_.doubts_lost;
        lane.end_doubt();
    } else if (lane.queue().is_established() || lane.tap() == nullptr) {
        lane.end_doubt();  // nothing behind what was refused can be there
    } else {
        lane.doubt(shared_.cursors.sent_as(index_, lane.tap()->stream()).producer,
                   lane.doubt_until());
    }
}

}  // namespace leat::uplink
