#include "leat/device.hpp"

namespace leat::device {

namespace {
constexpr client::Owner owner_sender = 1;
}

Producer::Producer(const Memory& memory, port::Clock& clock, port::Transport& transport,
                   const ProducerConfig& config)
    : clock_(clock),
      transport_(transport),
      accumulator_({&slot_, 1}, {.linger = config.linger, .batch_bytes = memory.batch_bytes},
                   &counts_),
      connection_(memory.connection, config.client_id),
      queue_(config.topic, config.partition, accumulator_, 0, memory.window),
      sender_(connection_, identity_,
              {.request_timeout = config.request_timeout,
               .delivery_timeout = config.delivery_timeout,
               .retry = config.retry},
              owner_sender, config.seed),
      jitter_(config.seed),
      retry_(config.retry),
      answer_gap_max_(config.answer_gap_max) {
    accumulator_.add_buffers(memory.buffers, memory.batches);
    accumulator_.attach(0, queue_);
    connect_at_ = clock.monotonic();
    sender_.lend(connect_at_, queue_);
}

void Producer::Counts::delivered(const client::DeliveryReport& report) {
    const auto count = static_cast<std::uint32_t>(report.record_count);
    if (report.error == wire::ErrorCode::none) {
        records_delivered += count;
    } else {
        records_failed += count;
        last_error = report.error;
    }
}

Status Producer::send(const Record& record) {
    Result<std::uint64_t> number = accumulator_.append(0, clock_.monotonic(), record);
    if (!number) return fail(number.error());
    return ok();
}

Instant Producer::deadline() const {
    Instant due = earlier(sender_.deadline(), accumulator_.deadline());
    if (connection_.state() == client::Connection::State::idle) return earlier(due, connect_at_);
    return earlier(due, connection_.deadline());
}

void Producer::poll() {
    const Instant now = clock_.monotonic();
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
void Producer::rest(Instant now) {
    if (connect_at_ > now) return;
    transport_.restart();
    connection_.on_connected(now);
}

void Producer::receive(Instant now) {
    for (;;) {
        Result<std::size_t> size = transport_.read(connection_.receive_room());
        if (!size) return connection_.on_disconnected(now, size.error());
        if (*size == 0) return;
        if (connection_.is_in_frame() && heard_at_ + answer_gap_max_ < now)
            return connection_.on_disconnected(now, Error::malformed);
        heard_at_ = now;
        connection_.on_received(now, *size);
        drain_events(now);
    }
}

void Producer::drain_events(Instant now) {
    client::Event event;
    while (connection_.poll_event(now, event)) {
        if (event.kind == client::Event::Kind::response) failures_ = 0;
        if (event.kind == client::Event::Kind::closed) {
            connect_at_ = now + client::backoff_delay(retry_, ++failures_, jitter_);
        }
        sender_.on_event(now, event);
    }
}

void Producer::transmit(Instant now) {
    for (;;) {
        const std::span<const ByteView> pieces = connection_.poll_write();
        if (pieces.empty()) return;
        Result<std::size_t> size = transport_.write(pieces.front());
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
