#include "sdk/client/partition_queue.hpp"

#include "sdk/client/accumulator.hpp"
#include "sdk/client/sender.hpp"
#include "sdk/wire/record_batch.hpp"

namespace leat::client {

namespace {
using wire::ErrorCode;
using State = TakenBatch::State;
constexpr std::int16_t epoch_max = 32767;

/// `auto`: an Accumulator that is no BatchSource has no such question.
bool may_send_again(auto& source, std::uint16_t slot, Instant now) {
    if constexpr (profile.any_source) return source.may_send_again(slot, now);
    return true;
}
bool may_send_renamed(auto& source, std::uint16_t slot) {
    if constexpr (profile.any_source) return source.may_send_renamed(slot);
    return true;
}
}  // namespace

PartitionQueue::PartitionQueue(std::string_view topic, std::int32_t partition, Source& source,
                               std::uint16_t slot, std::span<TakenBatch> window)
    : topic_(topic), partition_(partition), slot_(slot), source_(&source), window_(window) {
    LEAT_CHECK(!window.empty() && window.size() <= in_flight_max);
    ready_.queue = retry_.queue = this;
    if constexpr (profile.expires) expiry_.queue = this;
}

void PartitionQueue::start(std::string_view topic, std::int32_t partition, Source& source) {
    topic_ = topic;
    partition_ = partition;
    source_ = &source;
}

void PartitionQueue::wake() {
    if constexpr (!profile.several_queues) return;
    if (sender_ != nullptr) sender_->make_ready(*this);
}

void PartitionQueue::restore(const ProducerState& state) {
    LEAT_CHECK(count_ == 0);
    state_ = state;
}

void PartitionQueue::restore_in_doubt(const ProducerState& state) {
    restore(state);
    in_doubt_ = state.producer_id >= 0;
    needs_bump_ = established_ = false;
}

void PartitionQueue::renew() {
    LEAT_CHECK(count_ == 0);
    state_ = {};
    in_doubt_ = needs_bump_ = established_ = false;
}

void PartitionQueue::start_after(const ProducerState& state) {
    LEAT_CHECK(count_ == 0);
    state_ = state;
    needs_bump_ = true;
}

PartitionQueue::Next PartitionQueue::next(Instant now, ProducerIdentity* identity,
                                          TakenBatch*& out) {
    TakenBatch* waiting = nullptr;
    bool doubtful = false, after_failed = false;
    for (std::size_t i = 0; i < count_; ++i) {
        TakenBatch& batch = at(i);
        // Its source has not heard of it yet, and may want it to go again before what is behind.
        if constexpr (profile.any_source)
            after_failed |= batch.state == State::settled && batch.outcome.error != ErrorCode::none;
        if (batch.state == State::waiting) {
            if (waiting == nullptr && !after_failed) waiting = &batch;
            doubtful |= batch.doubtful;
        } else if (batch.state == State::in_flight && waiting != nullptr) {
            return Next::blocked;  // sent now, it would arrive behind its successor
        }
    }
    if (waiting != nullptr && waiting->doubtful && !may_send_again(*source_, slot(), now))
        return Next::blocked;
    if (!profile.any_acks || identity != nullptr) {
        if (needs_bump_ && !doubtful) {
            if (in_flight_ > 0) return Next::blocked;
            if (!bump(*identity)) return Next::needs_producer_id;
        } else if (count_ == 0 && !is_in_doubt() && state_.producer_id != identity->producer_id) {
            state_ = {identity->producer_id, identity->producer_epoch, 0};
            established_ = false;
        }
        if (state_.producer_id < 0) return Next::needs_producer_id;
        if (!established_ && in_flight_ > 0) return Next::blocked;
    }
    if (waiting != nullptr && !established_ && !may_send_renamed(*source_, slot()))
        return Next::blocked;
    out = waiting;
    if (waiting != nullptr) return Next::batch;
    // A hole before this batch would make it fail: first the batches in doubt, then the bump.
    if (count_ == window_.size() || needs_bump_ || after_failed) return Next::blocked;
    const Peek peek = take_next(now);
    if (peek != Peek::batch) return peek == Peek::pending ? Next::pending : Next::empty;
    TakenBatch& batch = at(count_ - 1u);
    if (!profile.any_acks || identity != nullptr) {
        batch.base_sequence = state_.next_sequence;
        state_.next_sequence = wire::next_sequence(state_.next_sequence, batch.source.record_count);
    }
    out = &batch;
    return Next::batch;
}

/// The source's next batch into the window, which has room.
Peek PartitionQueue::take_next(Instant now) {
    TakenBatch& batch = at(count_);
    if constexpr (profile.any_source) batch.source = {};
    const Peek peek = source_->peek(slot(), now, batch.source);
    if (peek != Peek::batch) return peek;
    source_->take(slot(), batch.source.ticket);
    batch.queue = this;
    batch.base_sequence = -1;
    batch.state = State::waiting;
    batch.doubtful = false;
    ++count_;
    return peek;
}

/// A new life at sequence 0: the next epoch, or a new id once the epochs are used up.
bool PartitionQueue::bump(ProducerIdentity& identity) {
    if (state_.producer_epoch < epoch_max) {
        ++state_.producer_epoch;
    } else {
        if (identity.producer_id == state_.producer_id) identity.producer_id = -1;
        if (identity.producer_id < 0) return false;
        state_ = {identity.producer_id, identity.producer_epoch, 0};
    }
    state_.next_sequence = 0;
    established_ = false;
    for (std::size_t i = 0; i < count_; ++i) {
        TakenBatch& batch = at(i);
        if (batch.state != State::waiting) continue;
        batch.base_sequence = state_.next_sequence;
        state_.next_sequence = wire::next_sequence(state_.next_sequence, batch.source.record_count);
    }
    needs_bump_ = false;
    return true;
}

void PartitionQueue::mark_sent(TakenBatch& batch) {
    batch.state = State::in_flight;
    ++in_flight_;
}

void PartitionQueue::on_lost(TakenBatch& batch) {
    batch.state = State::waiting;
    be_doubtful(batch);
    --in_flight_;
}

PartitionQueue::Verdict PartitionQueue::on_answer(TakenBatch& batch, const Outcome& outcome) {
    batch.state = State::waiting;
    --in_flight_;
    switch (outcome.error) {
        case ErrorCode::none:
            established_ = true;
            settle(batch, outcome);
            return Verdict::done;
        case ErrorCode::duplicate_sequence_number:  // brokers before 2.0: it is in the log, nobody
                                                    // says where
            settle(batch, {});
            return Verdict::done;
        case ErrorCode::out_of_order_sequence_number:
        case ErrorCode::unknown_producer_id:
        case ErrorCode::invalid_producer_epoch: {
            if (profile.any_acks && batch.base_sequence < 0) break;
            batch.doubtful = false;
            if (is_in_doubt() && !established_) {
                settle(batch, outcome);
                return Verdict::done;
            }
            // Behind a batch that has to be sent again this is what was to be expected. In front,
            // sending it again cannot help: the broker waits for a sequence that we do not have any
            // more.
            bool first = true;
            for (std::size_t i = 0; &at(i) != &batch; ++i) first &= at(i).state == State::settled;
            if (first || outcome.error != ErrorCode::out_of_order_sequence_number)
                needs_bump_ = true;
            return first ? Verdict::retry : Verdict::done;
        }
        case ErrorCode::request_timed_out:
        case ErrorCode::not_enough_replicas_after_append:
        case ErrorCode::network_exception:
            be_doubtful(batch);
            return Verdict::retry;
        default:
            if (profile.several_queues && wire::stale_metadata(outcome.error))
                return Verdict::retry_new_leader;
            if (wire::retriable(outcome.error)) return Verdict::retry;
    }
    if (!profile.any_acks || batch.base_sequence >= 0) needs_bump_ = true;
    settle(batch, outcome);
    return Verdict::done;
}

void PartitionQueue::settle(TakenBatch& batch, const Outcome& outcome) {
    batch.state = State::settled;
    batch.outcome = outcome;
    settle_front();
}

void PartitionQueue::settle_front() {
    while (count_ > 0 && at(0).state == State::settled) {
        const TakenBatch& batch = at(0);
        if (++first_ == window_.size()) first_ = 0;
        --count_;  // first: settle may wake us, though not take anything
        source_->settle(slot(), batch.source.ticket, batch.outcome);
    }
}

Instant PartitionQueue::expire(Instant now, milliseconds delivery_timeout) {
    if (!profile.expires || delivery_timeout.count() == 0) return never;
    for (;;) {
        Instant begun = count_ > 0 ? Instant{at(0).source.created} : source_->oldest(slot());
        // In flight: the answer or the request's own time-out comes first.
        if (begun == never || (count_ > 0 && at(0).state == State::in_flight)) return never;
        begun += delivery_timeout;
        if (begun > now) return begun;
        if (count_ == 0 && take_next(now) != Peek::batch) return never;
        if (at(0).base_sequence >= 0) needs_bump_ = true;
        settle(at(0), {.error = ErrorCode::request_timed_out});
    }
}

bool PartitionQueue::fail_all(Instant now, wire::ErrorCode error) {
    for (std::size_t i = 0; i < count_; ++i) {
        TakenBatch& batch = at(i);
        if (batch.state != State::waiting) continue;
        if (batch.base_sequence >= 0) needs_bump_ = true;
        batch.state = State::settled;
        batch.outcome = {.error = error};
    }
    settle_front();
    while (count_ == 0 && take_next(now) == Peek::batch) settle(at(0), {.error = error});
    return count_ == 0;
}

}  // namespace leat::client
