#include "broker/uplink/lane.hpp"

#include <algorithm>
#include <iterator>

namespace leat::uplink {

void Lane::add(Outgoing batch) {
    if (state_ == State::leaving) return;
    batch.source.ticket = next_ticket_++;
    waiting_.push_back(std::move(batch));
    if (state_ == State::flowing) queue_.wake();
}

client::Peek Lane::peek(std::uint16_t, Instant now, client::SourceBatch& out) {
    now_ = now;
    if (state_ != State::flowing || waiting_.empty()) return client::Peek::empty;
    out = waiting_.front().source;
    return client::Peek::batch;
}

void Lane::take(std::uint16_t, std::uint64_t ticket) {
    LEAT_CHECK(!waiting_.empty() && waiting_.front().source.ticket == ticket);
    taken_.push_back(std::move(waiting_.front()));
    waiting_.pop_front();
}

void Lane::settle(std::uint16_t, std::uint64_t ticket, const client::Outcome& outcome) {
    LEAT_CHECK(!taken_.empty() && taken_.front().source.ticket == ticket);
    const Outgoing batch = std::move(taken_.front());
    taken_.pop_front();
    if (state_ == State::leaving) return;
    if (outcome.error == wire::ErrorCode::none) {
        failures_ = 0;
        owner_.delivered(*this, batch);
        return;
    }
    returned_.push_back(batch);
    if (state_ == State::failing) return;
    state_ = State::failing;
    error_ = outcome.error;
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
    state_ = State::stalled;
    return true;
}

void Lane::resume() {
    if (state_ != State::stalled) return;
    // New tickets: held() may have changed, and the queue has seen the old ones settled.
    for (Outgoing& batch : waiting_) batch.source.ticket = next_ticket_++;
    state_ = State::flowing;
    retry_at_ = never;
    queue_.wake();
}

void Lane::leave() {
    state_ = State::leaving;
    waiting_.clear();
    returned_.clear();
}

void Lane::forget(const Tap& tap) {
    const auto is_its = [&](const Outgoing& batch) { return batch.tap == &tap; };
    std::erase_if(waiting_, is_its);
    std::erase_if(returned_, is_its);
    for (Outgoing& batch : taken_)
        if (is_its(batch)) batch.tap = nullptr;
}

}  // namespace leat::uplink
