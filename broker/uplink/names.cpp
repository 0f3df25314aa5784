// The Runner's names: under which producer id, epoch and sequence an exact lane sends, so that a
// restart sends the same records under the same numbers, and the upstream sees what it has already.
// The rules stand in lane.hpp; what is kept, in cursor.hpp.
#include <algorithm>
#include <utility>

#include "broker/uplink/runner.hpp"
#include "broker/uplink/texts.hpp"
#include "sdk/base/crc32c.hpp"

namespace leat::uplink {
namespace {

// The longest log.commit.interval.ms, and a write.
constexpr milliseconds commit_within{15'000};

}  // namespace

/// Where the cuts are the same at every start. Merged runs depend on what had arrived when they
/// were made, and lanes with several streams on who came first.
bool Runner::is_exact() const {
    return route_.mapping == config::Route::Mapping::same_partition && route_.merge_bytes == 0 &&
           route_.upstream_topic.find("{topic}") != std::string::npos;
}

/// The numbers of another cluster, another topic or other cuts are worse than none: the upstream
/// might take a record for one that it has.
std::uint32_t Runner::place_of(const Lane& lane) const {
    const std::string text = router_.metadata().cluster_id() + '\n' + lane.topic() + '\n' +
                             (route_.headers ? "headers" : "whole");
    return crc32c(0, bytes_of(text));
}

void Runner::begin_lane(Instant now, Tap& tap, bool cursor_is_as_kept) {
    if (!is_exact()) return;
    tap.lane->set_exact(tap);
    SentAs as = shared_.cursors.sent_as(index_, tap.stream());
    if (!cursor_is_as_kept || as.producer.producer_id < 0) return;
    if (tap.lane->queue().sending_as().producer_id >= 0) return;  // a past in this run comes first
    const log::StreamState* state = shared_.log.stream(tap.stream());
    if (state == nullptr) return;  // just deleted: topics_changed is to come
    as.until = std::min(as.until, state->flushed);
    if (tap.cursor() >= as.until) return;
    tap.lane->doubt(as.producer, as.until);
    tap.lane->limit_batches(
        as.batch_bytes_max);  // the same cuts; forgotten when nothing hangs on it
    // Not waited for: the older fact says the same of what is sent under this name.
    (void)shared_.cursors.set_name(now, index_, tap.stream(), as);
}

SentAs Runner::sent_as(const Lane& lane, const Outgoing& batch) const {
    if (!lane.is_exact()) return {};
    const client::ProducerState& as = lane.queue().sending_as();
    SentAs sent{.producer = {.producer_id = as.producer_id,
                             .producer_epoch = as.producer_epoch,
                             .next_sequence = batch.sequence_after},
                .place = lane.place(),
                .batch_bytes_max = lane.batch_bytes_max(),
                .upstream_end = lane.upstream_end()};
    if (lane.is_in_doubt()) sent.until = lane.doubt_until();
    return sent;
}

void Runner::passed(Lane&, const Outgoing& batch) {
    if (batch.tap == nullptr) return;
    batch.tap->part_waits(batch.pending);
    make_hungry(*batch.tap);
}

void Runner::wants_name(Lane& lane) { naming_.push_back(&lane); }

/// true: something may be sent now that could not before.
bool Runner::tend_names(Instant now) {
    bool moved = false;
    std::vector<Lane*> later;
    for (Lane* lane : std::exchange(naming_, {})) {
        lane->name_is_tended();
        // Nobody waits for a lane without a tap; one that fails asks again when it flows.
        if (lane->state() != Lane::State::flowing) continue;
        switch (tend(now, *lane, moved)) {
            case Tended::done:
                break;
            case Tended::later:
                later.push_back(lane);
                break;
            case Tended::waits:
                unkept_.push_back(lane);
                break;
        }
    }
    for (Lane* lane : later) lane->ask_for_name();
    return moved;
}

Runner::Tended Runner::tend(Instant now, Lane& lane, bool& moved) {
    if (lane.wants_recall()) return later_unless(tend_recall(now, lane, moved));
    if (lane.tap() == nullptr) return Tended::done;
    if (!lane.is_named()) return tend_name(now, lane, moved);
    if (!lane.is_in_doubt()) return Tended::done;
    return later_unless(lane.queue().unsettled_count() == 0 && tend_doubt(lane, moved));
}

Runner::Tended Runner::tend_name(Instant now, Lane& lane, bool& moved) {
    if (lane.queue().in_flight_count() > 0) return Tended::later;
    const client::ProducerState as = lane.name_wanted();
    if (as.producer_id < 0) return Tended::done;  // it asks again when it has one
    const Kept kept = keep_name(now, lane, as);
    const log::CommitId flushed = shared_.log.flushed_commit();
    if (kept == Kept::yes) {
        told_unkept_ = false;
    } else {
        // Records at once and perhaps twice are better than none, and make room for the fact.
        const bool in_vain = now - lane.wait_for_name(now) >= commit_within;
        if (kept == Kept::soon && !in_vain && flushed != commit_missed_) {
            // Who joins others may have seen the commit that those are still to be told of.
            if (unkept_.empty()) commit_seen_ = flushed;
            name_with_it(now, as);
            return Tended::waits;
        }
        lane.name_is_tended();
        if (in_vain) commit_missed_ = flushed;
        if (!std::exchange(told_unkept_, true)) tell(Event::Level::warn, name_unkept_text());
    }
    lane.name(as, place_of(lane));
    moved = true;
    return Tended::done;
}

Kept Runner::keep_name(Instant now, Lane& lane, const client::ProducerState& as) {
    const std::uint32_t place = place_of(lane);
    const SentAs before = shared_.cursors.sent_as(index_, lane.tap()->stream());
    if (lane.upstream_end() == 0 && before.place == place)
        lane.set_upstream_end(before.upstream_end);
    SentAs sent{.producer = as,
                .place = place,
                .batch_bytes_max = lane.batch_bytes_max(),
                .upstream_end = lane.upstream_end()};
    if (lane.is_in_doubt()) sent.until = lane.doubt_until();
    return shared_.cursors.set_name(now, index_, lane.tap()->stream(), sent);
}

/// One commit for all that are about to send under this producer id for the first time, and not one
/// for as many as have room in memory together.
void Runner::name_with_it(Instant now, const client::ProducerState& as) {
    const client::ProducerIdentity& own = router_.identity();
    if (as.producer_id != own.producer_id || as.producer_epoch != own.producer_epoch ||
        std::exchange(named_ahead_, as.producer_id) == as.producer_id)
        return;
    for (const auto& [key, lane] : lanes_) {
        const Tap* tap = lane->tap();
        const client::ProducerState& sends = lane->queue().sending_as();
        if (tap == nullptr || lane->is_in_doubt() || sends.next_sequence != 0) continue;
        // In an epoch of its own already: the fact about that may be durable, and not used yet.
        if (sends.producer_id == own.producer_id && sends.producer_epoch != own.producer_epoch)
            continue;
        const log::StreamState* state = shared_.log.stream(tap->stream());
        if (state != nullptr && tap->cursor() < state->flushed)
            (void)keep_name(now, *lane, {as.producer_id, as.producer_epoch, 0});
    }
}

Instant Runner::names_due() const {
    if (unkept_.empty()) return never;
    // never: it failed meanwhile (another cluster) and flows again. What it waited for is nothing.
    const Instant since = unkept_.front()->name_waits_since();
    return since == never ? now_ : since + commit_within;
}

void Runner::look_at_names_again() {
    naming_.insert(naming_.begin(), unkept_.begin(), unkept_.end());
    unkept_.clear();
}

void Runner::on_commit(Instant now) {
    if (unkept_.empty() || shared_.log.flushed_commit() == commit_seen_) return;
    look_at_names_again();
    pump(now);
}

bool Runner::tend_doubt(Lane& lane, bool& moved) {
    const Tap& tap = *lane.tap();
    if (!lane.is_trusted()) {
        const SentAs as = shared_.cursors.sent_as(index_, tap.stream());
        const std::uint32_t place = place_of(lane);
        if (as.place != place) {
            moved = true;
            lane.end_doubt();
            return true;
        }
        bool unknown = false;
        std::optional<SentBatches> there = recall(lane,
                                                  {.producer_id = as.producer.producer_id,
                                                   .producer_epoch = as.producer.producer_epoch,
                                                   .from = as.upstream_end},
                                                  moved, unknown);
        if (!there) return false;
        if (unknown) doubt_is_lost(lane, wire::ErrorCode::unknown_producer_id);
        lane.set_upstream_end(as.upstream_end);
        lane.trust(place, std::move(*there));
        return true;
    }
    if (lane.has_doubtful_waiting()) return true;
    if (lane.is_empty() && tap.read_from() < lane.doubt_until()) return !lane.has_passed();
    moved = true;
    if (lane.has_passed())
        lane.lose_doubt(wire::ErrorCode::out_of_order_sequence_number);
    else
        lane.end_doubt();
    return true;
}

/// Kafka drops a producer by the time stamp of its last record against its own wall clock. Where
/// ours is far from that, a clock is wrong, and nobody knows whose.
bool Runner::may_be_forgotten(std::int64_t timestamp) {
    constexpr milliseconds remembered_for{600'000};  // a day, or what the upstream's owner thinks
    if (!shared_.wall || !shared_.log.wall_trusted() || timestamp < 0) return true;
    const auto age = shared_.wall() - wall_ms(timestamp);
    return age >= remembered_for || age <= -remembered_for;
}

/// What was sent in this life and not answered.
bool Runner::tend_recall(Instant now, Lane& lane, bool& moved) {
    const client::PartitionQueue& queue = lane.queue();
    if (queue.in_flight_count() > 0) return false;
    std::optional<SentBatches> there = SentBatches();
    bool unknown = false;
    const client::ProducerState& as = queue.sending_as();
    if (queue.unsettled_count() > 0)  // else it failed meanwhile
        there = recall(lane,
                       {.producer_id = as.producer_id,
                        .producer_epoch = as.producer_epoch,
                        .from = lane.upstream_end(),
                        .last_sequence = (as.next_sequence - 1) & INT32_MAX},
                       moved, unknown);
    if (!there) return false;
    moved = true;
    if (!lane.recalled(now, *there) && unknown)
        doubt_is_lost(lane, wire::ErrorCode::unknown_producer_id);
    return true;
}

void Runner::doubt_is_lost(const Lane& lane, wire::ErrorCode error) {
    tell(Event::Level::warn, doubt_lost_text(lane.topic(), lane.partition(), error));
    ++counts_.doubts_lost;
}

/// What of it is there; nothing: no answer yet. unknown: what is not among it may be, too.
std::optional<SentBatches> Runner::recall(const Lane& lane, Recall::Question question, bool& moved,
                                          bool& unknown) {
    using Knows = Recall::Knows;
    question.topic = lane.topic();
    question.partition = lane.partition();
    SentBatches there;
    const Knows knows = recall_.knows(question, there);
    moved = moved || knows != Knows::asked;
    if (knows == Knows::begun || knows == Knows::asked) return std::nullopt;
    // It takes the first of them whatever its number, as if it had none of them.
    unknown = knows == Knows::no;
    return there;
}

}  // namespace leat::uplink
