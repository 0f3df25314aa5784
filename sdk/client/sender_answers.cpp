// The Sender's answers: what they say about batches and the producer id, and what is tried again.
#include "sdk/client/accumulator.hpp"
#include "sdk/client/produce_codec.hpp"
#include "sdk/client/sender.hpp"

namespace leat::client {

namespace {
using wire::ErrorCode;

/// Takes the batch that this answer names out of the list. Brokers answer in the order of the
/// request, so it is nearly always the first.
void take_from(auto*& list, std::string_view topic, const wire::Uuid& id, std::int32_t partition,
               auto*& out) {
    for (auto** link = &list; *link != nullptr; link = &(*link)->next_in_request) {
        if (!is_of(*(*link)->queue, topic, id, partition)) continue;
        out = *link;
        *link = out->next_in_request;
        return;
    }
}

}  // namespace

void Sender::on_event(Instant now, const Event& event) {
    switch (event.kind) {
        case Event::Kind::response:
            if (event.context == nullptr)
                on_producer_id(now, event);
            else
                on_produced(now, event);
            break;
        case Event::Kind::written: {
            if constexpr (!profile.any_acks) break;
            auto* batch = static_cast<TakenBatch*>(event.context);
            while (batch != nullptr) {
                TakenBatch* next = batch->next_in_request;
                on_outcome(now, *batch, {});
                batch = next;
            }
            break;
        }
        case Event::Kind::failed:
            // too_large: the answer came, so the connection is fine and only a pause keeps us from
            // asking for the same answer in a loop.
            if (event.context == nullptr) {
                identity_->asking = nullptr;
                if (event.error == Error::too_large) pause(now, config_.retry.max);
            } else {
                on_lost(now, static_cast<TakenBatch*>(event.context),
                        event.error == Error::too_large);
            }
            break;
        case Event::Kind::closed:
        case Event::Kind::ready:
            paused_until_ = never;
    }
    pump(now);
}

void Sender::on_producer_id(Instant now, const Event& event) {
    identity_->asking = nullptr;
    Result<ProducerIdAnswer> answer = read_producer_id(event);
    ErrorCode error = answer ? answer->error : ErrorCode::unknown_server_error;
    if (answer && answer->producer_id < 0 && error == ErrorCode::none)
        error = ErrorCode::unknown_server_error;
    if (answer) pause(now, milliseconds{answer->throttle_ms});
    if (error == ErrorCode::none) {
        identity_->producer_id = answer->producer_id;
        identity_->producer_epoch = answer->producer_epoch;
        ask_failures_ = 0;
        return;
    }
    // Refused or not, there is nothing else to do than to ask again: batches that cannot wait
    // expire.
    ++ask_failures_;
    // One that should pass is told when it does not.
    constexpr unsigned failures_untold = 8;
    if (!wire::retriable(error) || (profile.several_queues && ask_failures_ == failures_untold))
        refused_ = error;
    pause(now, wire::retriable(error) ? backoff(ask_failures_) : config_.retry.max);
}

void Sender::on_produced(Instant now, const Event& event) {
    Produced told{*this, now, static_cast<TakenBatch*>(event.context)};
    Result<std::int32_t> throttled = read_produced(event, told);
    if (throttled) pause(now, milliseconds{*throttled});
    // What an answer leaves out, or an answer that makes no sense, tells nothing about our batches.
    on_lost(now, told.unanswered, true);
}

void Produced::told(std::string_view topic, const wire::Uuid& id, std::int32_t partition,
                    const Outcome& outcome) {
    TakenBatch* batch = nullptr;
    if constexpr (profile.several_queues)
        take_from(unanswered, topic, id, partition, batch);
    else if (is_of(sender.only_queue(), topic, id, partition))
        batch = std::exchange(unanswered, nullptr);
    if (batch != nullptr) sender.on_outcome(now, *batch, outcome);
}

void Sender::on_lost(Instant now, TakenBatch* batch, bool and_wait) {
    while (batch != nullptr) {
        TakenBatch* next = batch->next_in_request;
        PartitionQueue& queue = queue_of(*batch);
        queue.on_lost(*batch);
        if (and_wait) retry_later(now, queue);
        after_answer(now, queue);
        batch = next;
    }
}

void Sender::on_outcome(Instant now, TakenBatch& batch, const Outcome& outcome) {
    PartitionQueue& queue = queue_of(batch);
    const auto verdict = queue.on_answer(batch, outcome);
    if (verdict != PartitionQueue::Verdict::done) {
        retry_later(now, queue);
        queue.source().retrying(queue.slot(), outcome.error, queue.failures_);
        if (verdict == PartitionQueue::Verdict::retry_new_leader && !queue.is_recalled())
            tell(queue, outcome.error);
    } else if (outcome.error == ErrorCode::none) {
        queue.failures_ = 0;
    }
    after_answer(now, queue);
}

void Sender::after_answer(Instant now, PartitionQueue& queue) {
    if (queue.is_recalled()) {
        if (queue.in_flight_ == 0) tell(queue, ErrorCode::none);
        return;
    }
    watch_expiry(now, queue);
    make_ready(queue);
}

}  // namespace leat::client
