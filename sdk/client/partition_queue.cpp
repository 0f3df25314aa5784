#include "sdk/client/partition_queue.hpp"

#include "sdk/client/sender.hpp"
#include "sdk/wire/record_batch.hpp"

namespace leat::client {

namespace {
using wire::ErrorCode;
using State = TakenBatch::State;
constexpr std::int16_t epoch_max = 32767;
}  // namespace

PartitionQueue::PartitionQueue(std::string_view topic, std::int32_t partition, BatchSource& source,
                               std::uint16_t slot, std::span<TakenBatch> window)
    : topic_(topic), source_(source), window_(window), partition_(partition), slot_(slot) {
    LEAT_CHECK(!window.empty() && window.size() <= in_flight_max);
    ready_.queue = retry_.queue = expiry_.queue = this;
}

void PartitionQueue::wake() {
    if (sender_ != nullptr) sender_->make_ready(*this);
}

void PartitionQueue::restore(const ProducerState& state) {
    LEAT_CHECK(window_.empty());
    state_ = state;
}

PartitionQueue::Next PartitionQueue::next(Instant now, ProducerIdentity* identity,
                                          TakenBatch*& out) {
    TakenBatch* waiting = nullptr;
    bool doubtful = false;
    for (std::size_t i = 0; i < window_.size(); ++i) {
        TakenBatch& batch = window_[i];
        if (batch.state == State::waiting) {
            if (waiting == nullptr) waiting = &batch;
            doubtful |= batch.doubtful;
        } else if (batch.state == State::in_flight && waiting != nullptr) {
            return Next::blocked;  // sent now, it would arrive behind its successor
        }
    }
    if (identity != nullptr) {
        if (needs_bump_ && !doubtful) {
            if (in_flight_ > 0) return Next::blocked;
            if (!bump(*identity)) return Next::needs_producer_id;
        } else if (window_.empty() && state_.producer_id != identity->producer_id) {
            state_ = {identity->producer_id, identity->producer_epoch, 0};
            established_ = false;
        }
        if (state_.producer_id < 0) return Next::needs_producer_id;
        if (!established_ && in_flight_ > 0) return Next::blocked;
    }
    if (waiting != nullptr) {
        out = waiting;
        return Next::batch;
    }
    // A hole before this batch would make it fail: first the batches in doubt, then the bump.
    if (window_.is_full() || needs_bump_) return Next::blocked;
    SourceBatch source;
    const Peek peek = source_.peek(slot_, now, source);
    if (peek != Peek::batch) return peek == Peek::pending ? Next::pending : Next::empty;
    TakenBatch& batch = take(source);
    if (identity != nullptr) {
        batch.base_sequence = state_.next_sequence;
        state_.next_sequence = wire::next_sequence(state_.next_sequence, source.record_count);
    }
    out = &batch;
    return Next::batch;
}

TakenBatch& PartitionQueue::take(const SourceBatch& source) {
    (void)window_.push({.source = source, .queue = this});
    source_.take(slot_, source.ticket);
    return window_.back();
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
    for (std::size_t i = 0; i < window_.size(); ++i) {
        TakenBatch& batch = window_[i];
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
    batch.doubtful = true;
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
            if (batch.base_sequence < 0) break;
            batch.doubtful = false;
            // Behind a batch that has to be sent again this is what was to be expected. In front,
            // sending it again cannot help: the broker waits for a sequence that we do not have any
            // more.
            bool first = true;
            for (std::size_t i = 0; &window_[i] != &batch; ++i)
                first &= window_[i].state == State::settled;
            if (first || outcome.error != ErrorCode::out_of_order_sequence_number)
                needs_bump_ = true;
            return first ? Verdict::retry : Verdict::done;
        }
        case ErrorCode::request_timed_out:
        case ErrorCode::not_enough_replicas_after_append:
        case ErrorCode::network_exception:
            batch.doubtful = true;
            return Verdict::retry;
        default:
            if (wire::stale_metadata(outcome.error)) return Verdict::retry_new_leader;
            if (wire::retriable(outcome.error)) return Verdict::retry;
    }
    if (batch.base_sequence >= 0) needs_bump_ = true;
    settle(batch, outcome);
    return Verdict::done;
}

void PartitionQueue::settle(TakenBatch& batch, const Outcome& outcome) {
    batch.state = State::settled;
    batch.outcome = outcome;
    settle_front();
}

void PartitionQueue::settle_front() {
    while (!window_.empty() && window_.front().state == State::settled) {
        const std::uint64_t ticket = window_.front().source.ticket;
        const Outcome outcome = window_.front().outcome;
        window_.pop();  // first: settle may wake us
        source_.settle(slot_, ticket, outcome);
    }
}

Instant PartitionQueue::expire(Instant now, milliseconds delivery_timeout) {
    if (delivery_timeout.count() == 0) return never;
    for (;;) {
        if (window_.empty()) {
            const Instant begun = source_.oldest(slot_);
            if (begun == never) return never;
            if (begun + delivery_timeout > now) return begun + delivery_timeout;
            SourceBatch source;
            if (source_.peek(slot_, now, source) != Peek::batch) return never;
            settle(take(source), {.error = ErrorCode::request_timed_out});
            continue;
        }
        TakenBatch& batch = window_.front();
        // In flight: the answer or the request's own time-out comes first.
        if (batch.state == State::in_flight) return never;
        const Instant due = batch.source.created + delivery_timeout;
        if (due > now) return due;
        if (batch.base_sequence >= 0) needs_bump_ = true;
        settle(batch, {.error = ErrorCode::request_timed_out});
    }
}

bool PartitionQueue::fail_all(Instant now, wire::ErrorCode error) {
    for (std::size_t i = 0; i < window_.size(); ++i) {
        TakenBatch& batch = window_[i];
        if (batch.state != State::waiting) continue;
        if (batch.base_sequence >= 0) needs_bump_ = true;
        batch.state = State::settled;
        batch.outcome = {.error = error};
    }
    settle_front();
    SourceBatch source;
    while (window_.empty() && source_.peek(slot_, now, source) == Peek::batch)
        settle(take(source), {.error = error});
    return window_.empty();
}

}  // namespace leat::client
