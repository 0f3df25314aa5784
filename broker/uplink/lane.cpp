#include "broker/uplink/lane.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

#include "broker/uplink/texts.hpp"

namespace leat::uplink {
namespace {

// A broker that has forgotten a producer takes any sequence of it as the first, and so proves
// nothing about those before. It forgets after hours; what was passed is proved within this.
constexpr milliseconds proof_within{60'000};
// Nor does it remember one who is quiet (producer.id.expiration.ms, a day): of several batches in
// flight it could refuse the first for a moment and take the second, and then never the first.
constexpr milliseconds remembered_for{600'000};
// What a recall said holds for a moment.
constexpr milliseconds recall_holds_for{10'000};
// An election or a broker's start is over before: with the usual back-offs after half a minute.
constexpr unsigned retries_untold = 8;

}  // namespace

void Lane::add(Outgoing batch) {
    if (state_ == State::leaving) return;
    batch.source.ticket = next_ticket_++;
    waiting_.push_back(std::move(batch));
    if (state_ == State::flowing) queue_.wake();
}

void Lane::set_exact(Tap& tap) {
    exact_ = true;
    tap_ = &tap;
}

void Lane::doubt(const client::ProducerState& as, log::Offset until) {
    queue_.restore_in_doubt(as);
    named_ = as;
    doubt_until_ = until;
}

void Lane::limit_doubt(log::Offset until) {
    if (is_in_doubt()) doubt_until_ = std::min(doubt_until_, until);
}

void Lane::trust(std::uint32_t place, SentBatches there) {
    trusted_ = true;
    there_ = std::move(there);
    place_ = place;
    queue_.wake();
}

void Lane::end_doubt() {
    LEAT_CHECK(passed_.empty());
    doubt_until_ = -1;
    lost_doubt_ = starts_over_ = false;
    there_.clear();
    named_ = {};  // another cluster may give the same id
    queue_.renew();
    queue_.wake();
}

void Lane::name(const client::ProducerState& as, std::uint32_t place) {
    named_ = as;
    place_ = place;
    name_waits_since_ = never;
    queue_.wake();
}

client::ProducerState Lane::name_wanted() {
    client::ProducerState as = queue_.sending_as();
    as.next_sequence = queue_.open_sequence();
    return as;
}

bool Lane::may_send(const Outgoing& batch) const {
    if (!exact_) return true;
    if (is_in_doubt() && !(trusted_ && batch.base < doubt_until_)) return false;
    return is_named();
}

bool Lane::may_send_renamed(std::uint16_t) {
    if (!exact_ || is_named()) return true;
    if (state_ == State::flowing) ask_for_name();
    return false;
}

void Lane::ask_for_name() {
    if (!std::exchange(asked_for_name_, true)) owner_.wants_name(*this);
}

client::Peek Lane::peek(std::uint16_t, Instant now, client::SourceBatch& out) {
    now_ = now;
    while (state_ == State::flowing && take_found()) {
    }
    if (state_ != State::flowing || waiting_.empty()) return client::Peek::empty;
    if (!may_send(waiting_.front())) {
        ask_for_name();
        return client::Peek::empty;
    }
    if (!is_in_doubt() && now - settled_at_ >= remembered_for) queue_.prove_again();
    out = waiting_.front().source;
    return client::Peek::batch;
}

/// The next batch, if it is there already.
bool Lane::take_found() {
    if (there_.empty() || waiting_.empty() || !may_send(waiting_.front())) return false;
    const std::int32_t count = waiting_.front().source.record_count;
    const std::int32_t first = queue_.sending_as().next_sequence;
    const auto at = there_.find({first, wire::next_sequence(first, count - 1)});
    if (at == there_.end()) return false;
    Outgoing batch = std::move(waiting_.front());
    waiting_.pop_front();
    queue_.skip(count);
    batch.sequence_after = queue_.sending_as().next_sequence;
    upstream_end_ = at->second;
    confirm(batch);
    return true;
}

void Lane::take(std::uint16_t, std::uint64_t ticket) {
    LEAT_CHECK(!waiting_.empty() && waiting_.front().source.ticket == ticket);
    taken_.push_back(std::move(waiting_.front()));
    waiting_.pop_front();
}

void Lane::settle(std::uint16_t, std::uint64_t ticket, const client::Outcome& outcome) {
    LEAT_CHECK(!taken_.empty() && taken_.front().source.ticket == ticket);
    Outgoing batch = std::move(taken_.front());
    taken_.pop_front();
    settled_at_ = now_;
    if (state_ == State::leaving) return;
    if (exact_) batch.sequence_after = queue_.open_sequence();
    if (outcome.error == wire::ErrorCode::none) {
        failures_ = 0;
        retrying_ = false;
        if (!passed_.empty() && now_ - passed_since_ > proof_within) {
            returned_.push_back(std::move(batch));
            lose_doubt(wire::ErrorCode::out_of_order_sequence_number);
            return;
        }
        if (outcome.base_offset >= 0 && outcome.base_offset < upstream_offset_max)
            upstream_end_ = outcome.base_offset + batch.source.record_count;
        confirm(batch);
        return;
    }
    if (state_ == State::flowing && is_in_doubt() && settle_doubtful(batch, outcome.error)) return;
    returned_.push_back(std::move(batch));
    if (state_ == State::failing) return;
    begin_failing(outcome.error);
}

void Lane::confirm(const Outgoing& batch) {
    for (const Outgoing& earlier : std::exchange(passed_, {})) owner_.delivered(*this, earlier);
    owner_.delivered(*this, batch);
}

bool Lane::may_send_again(std::uint16_t, Instant now) {
    if (recalled_losses_ == queue_.losses() && now - recalled_at_ < recall_holds_for) return true;
    std::int64_t oldest = INT64_MAX;
    for (const Outgoing& batch : taken_) oldest = std::min(oldest, batch.source.max_timestamp);
    if (!owner_.may_be_forgotten(oldest)) return true;
    wants_recall_ = true;
    ask_for_name();
    return false;
}

bool Lane::recalled(Instant now, const SentBatches& there) {
    now_ = now;
    wants_recall_ = false;
    recalled_losses_ = queue_.losses();
    recalled_at_ = now;
    bool all = true;
    queue_.settle_found([&](std::int32_t first, std::int32_t count) {
        const auto at = there.find({first, wire::next_sequence(first, count - 1)});
        all = all && at != there.end();
        if (at == there.end()) return false;
        upstream_end_ = at->second;
        return true;
    });
    queue_.wake();
    return all;
}

void Lane::retrying(std::uint16_t, wire::ErrorCode error, unsigned times) {
    if (times != retries_untold || state_ == State::leaving) return;
    retrying_ = true;
    owner_.lane_retrying(*this, error);
}

void Lane::record_refused(std::uint16_t, std::uint64_t ticket, std::int32_t record) {
    for (Outgoing& batch : taken_)
        if (batch.source.ticket == ticket && record >= 0 && record < batch.source.record_count)
            batch.refused.insert(record);
}

/// true: passed.
bool Lane::settle_doubtful(Outgoing& batch, wire::ErrorCode error) {
    if (queue_.is_established()) return false;  // the doubt is over up to here; refused as any
    // Not about numbers, nor about the batch: it says nothing of what is there (no permission).
    const bool is_about_numbers = error == wire::ErrorCode::out_of_order_sequence_number ||
                                  error == wire::ErrorCode::unknown_producer_id ||
                                  error == wire::ErrorCode::invalid_producer_epoch;
    if (!is_about_numbers && !is_poison(error)) return false;
    // The last one that an earlier life can have sent is among the last five, if it arrived.
    const bool last = batch.next >= doubt_until_;
    if (error != wire::ErrorCode::out_of_order_sequence_number || last) {
        lost_doubt_ = true;
        return false;
    }
    owner_.passed(*this, batch);
    ask_for_name();  // it may be that nothing comes behind it
    if (passed_.empty()) passed_since_ = now_;
    batch.memory = nullptr;
    batch.source.records = {};
    passed_.push_back(std::move(batch));
    return true;
}

void Lane::lose_doubt(wire::ErrorCode error) {
    if (state_ != State::flowing) return;
    lost_doubt_ = true;
    begin_failing(error);
}

void Lane::start_over() {
    upstream_end_ = 0;
    if (state_ == State::stalled) return end_doubt();
    if (state_ == State::leaving) return;
    starts_over_ = true;
    if (state_ == State::flowing) begin_failing(wire::ErrorCode::unknown_producer_id);
}

void Lane::begin_failing(wire::ErrorCode error) {
    state_ = State::failing;
    error_ = error;
    ++failures_;
    // At once, and not when the owner comes: what waits in the queue behind this batch would be
    // sent right after this answer, under a new epoch, and so arrive before it.
    (void)queue_.fail_all(now_, error_);
    owner_.lane_failing(*this);
}

bool Lane::finish_failing(Instant now) {
    if (state_ != State::failing) return true;
    now_ = now;
    if (!queue_.fail_all(now, error_)) return false;
    waiting_.insert(waiting_.begin(), std::make_move_iterator(returned_.begin()),
                    std::make_move_iterator(returned_.end()));
    returned_.clear();
    waiting_.insert(waiting_.begin(), std::make_move_iterator(passed_.begin()),
                    std::make_move_iterator(passed_.end()));
    passed_.clear();
    state_ = State::stalled;
    return true;
}

void Lane::resume() {
    if (state_ != State::stalled) return;
    // New tickets: held() may have changed, and the queue has seen the old ones settled.
    for (Outgoing& batch : waiting_) batch.source.ticket = next_ticket_++;
    state_ = State::flowing;
    retry_at_ = name_waits_since_ = never;
    queue_.wake();
}

void Lane::leave() {
    state_ = State::leaving;
    waiting_.clear();
    returned_.clear();
    passed_.clear();
}

void Lane::forget(const Tap& tap) {
    if (tap_ == &tap) tap_ = nullptr;
    const auto is_its = [&](const Outgoing& batch) { return batch.tap == &tap; };
    std::erase_if(waiting_, is_its);
    std::erase_if(returned_, is_its);
    std::erase_if(passed_, is_its);
    for (Outgoing& batch : taken_)
        if (is_its(batch)) batch.tap = nullptr;
}

}  // namespace leat::uplink
