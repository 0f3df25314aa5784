// The device's Producer for a Clock and a Transport of any class: the driver's loop over Connection
// and Sender. Programs that use leat::device::Producer, over the ports, need only leat/device.hpp.
#pragma once

#include "leat/device.hpp"

namespace leat::device {

template <class Clock, class Transport>
void ProducerOf<Clock, Transport>::start(Clock& clock, Transport& transport,
                                         const ProducerConfig& config) {
    clock_ = &clock;
    transport_ = &transport;
    answer_gap_max_ = config.answer_gap_max;
    connect_at_ = clock.monotonic();
    parts_.identity().producer_id = -1;
    if constexpr (profile.memory.is_fixed()) {
        parts_.connection().start(config.client_id);
        parts_.queue().start(config.topic, config.partition, parts_.accumulator());
        parts_.accumulator().start(parts_.counts());
    }
    parts_.sender().start(parts_.connection(), parts_.identity(),
                          {.request_timeout = config.request_timeout,
                           .delivery_timeout = config.delivery_timeout,
                           .retry = config.retry},
                          owner_sender, config.seed);
    parts_.sender().lend(connect_at_, parts_.queue());
}

template <class Clock, class Transport>
Status ProducerOf<Clock, Transport>::send(const Record& record) {
    Result<std::uint64_t> number = parts_.accumulator().append(0, clock_->monotonic(), record);
    if (!number) return fail(number.error());
    return ok();
}

template <class Clock, class Transport>
Instant ProducerOf<Clock, Transport>::deadline() const {
    const client::Connection& connection = parts().connection();
    const Instant due = earlier(parts().sender().deadline(), parts().accumulator().deadline());
    const bool rests = connection.state() == client::Connection::State::idle;
    return earlier(due, rests ? connect_at_ : connection.deadline());
}

template <class Clock, class Transport>
void ProducerOf<Clock, Transport>::poll() {
    const Instant now = clock_->monotonic();
    if (parts_.connection().state() == client::Connection::State::idle)
        rest(now);
    else
        receive(now);
    parts_.connection().on_deadline(now);
    drain_events(now);
    parts_.accumulator().on_deadline(now);
    parts_.sender().on_deadline(now);
    transmit(now);
}

/// Between two conversations. The pipe is given up at the end of the pause, so that what still
/// trickles in belongs to the old one, and a pipe that connects does so only now.
template <class Clock, class Transport>
void ProducerOf<Clock, Transport>::rest(Instant now) {
    if (connect_at_ > now) return;
    transport_->restart();
    parts_.connection().on_connected(now);
}

template <class Clock, class Transport>
void ProducerOf<Clock, Transport>::receive(Instant now) {
    for (;;) {
        Result<std::size_t> size = transport_->read(parts_.connection().receive_room());
        if (!size) return parts_.connection().on_disconnected(now, size.error());
        if (*size == 0) return;
        if (parts_.connection().is_in_frame() && heard_at_ + answer_gap_max_ < now)
            return parts_.connection().on_disconnected(now, Error::malformed);
        heard_at_ = now;
        parts_.connection().on_received(now, *size);
        drain_events(now);
    }
}

template <class Clock, class Transport>
void ProducerOf<Clock, Transport>::drain_events(Instant now) {
    client::Event event;
    while (parts_.connection().poll_event(now, event)) {
        if (event.kind == client::Event::Kind::response) failures_ = 0;
        if (event.kind == client::Event::Kind::closed)
            connect_at_ = now + parts_.sender().backoff(++failures_);
        parts_.sender().on_event(now, event);
    }
}

template <class Clock, class Transport>
void ProducerOf<Clock, Transport>::transmit(Instant now) {
    for (;;) {
        const std::span<const ByteView> pieces = parts_.connection().poll_write();
        if (pieces.empty()) return;
        Result<std::size_t> size = transport_->write(pieces.front());
        if (!size) {
            parts_.connection().on_disconnected(now, size.error());
            return drain_events(now);
        }
        if (*size == 0) return;
        parts_.connection().on_written(now, *size);
        parts_.sender().pump(now);
    }
}

}  // namespace leat::device
