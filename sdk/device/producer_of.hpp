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
    jitter_ = client::Jitter(config.seed);
    retry_ = config.retry;
    answer_gap_max_ = config.answer_gap_max;
    connect_at_ = clock.monotonic();
    identity_.producer_id = -1;
    if constexpr (profile.memory.is_fixed()) {
        connection_.start(config.client_id);
        queue_.start(config.topic, config.partition, accumulator_);
        accumulator_.start(counts_, queue_);
    }
    sender_.start(connection_, identity_,
                  {.request_timeout = config.request_timeout,
                   .delivery_timeout = config.delivery_timeout,
                   .retry = config.retry},
                  owner_sender, config.seed);
    sender_.lend(connect_at_, queue_);
}

template <class Clock, class Transport>
Status ProducerOf<Clock, Transport>::send(const Record& record) {
    Result<std::uint64_t> number = accumulator_.append(0, clock_->monotonic(), record);
    if (!number) return fail(number.error());
    return ok();
}

template <class Clock, class Transport>
Instant ProducerOf<Clock, Transport>::deadline() const {
    Instant due = earlier(sender_.deadline(), accumulator_.deadline());
    if (connection_.state() == client::Connection::State::idle) return earlier(due, connect_at_);
    return earlier(due, connection_.deadline());
}

template <class Clock, class Transport>
void ProducerOf<Clock, Transport>::poll() {
    const Instant now = clock_->monotonic();
    if (connection_.state() == client::Connection::State::idle)
        rest(now);
    else
        receive(now);
    connection_.on_deadline(now);
    drain_events(now);
    accumulator_.on_deadline(now);
    sender_.on_deadline(now);
    transmit(now);
}

/// Between two conversations. The pipe is given up at the end of the pause, so that what still
/// trickles in belongs to the old one, and a pipe that connects does so only now.
template <class Clock, class Transport>
void ProducerOf<Clock, Transport>::rest(Instant now) {
    if (connect_at_ > now) return;
    transport_->restart();
    connection_.on_connected(now);
}

template <class Clock, class Transport>
void ProducerOf<Clock, Transport>::receive(Instant now) {
    for (;;) {
        Result<std::size_t> size = transport_->read(connection_.receive_room());
        if (!size) return connection_.on_disconnected(now, size.error());
        if (*size == 0) return;
        if (connection_.is_in_frame() && heard_at_ + answer_gap_max_ < now)
            return connection_.on_disconnected(now, Error::malformed);
        heard_at_ = now;
        connection_.on_received(now, *size);
        drain_events(now);
    }
}

template <class Clock, class Transport>
void ProducerOf<Clock, Transport>::drain_events(Instant now) {
    client::Event event;
    while (connection_.poll_event(now, event)) {
        if (event.kind == client::Event::Kind::response) failures_ = 0;
        if (event.kind == client::Event::Kind::closed) {
            connect_at_ = now + client::backoff_delay(retry_, ++failures_, jitter_);
        }
        sender_.on_event(now, event);
    }
}

template <class Clock, class Transport>
void ProducerOf<Clock, Transport>::transmit(Instant now) {
    for (;;) {
        const std::span<const ByteView> pieces = connection_.poll_write();
        if (pieces.empty()) return;
        Result<std::size_t> size = transport_->write(pieces.front());
        if (!size) {
            connection_.on_disconnected(now, size.error());
            return drain_events(now);
        }
        if (*size == 0) return;
        connection_.on_written(now, *size);
        sender_.pump(now);
    }
}

}  // namespace leat::device
