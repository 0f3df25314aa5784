#include "sdk/client/connection.hpp"

namespace leat::client {

namespace {
constexpr std::size_t length_size = 4;
constexpr std::size_t frame_head = 8;  // length and correlation id
}  // namespace

Connection::Connection(const Memory& memory, std::string_view client_id, Handshake* handshake)
    : receive_(memory.receive),
      send_(memory.send),
      pieces_(memory.pieces),
      in_flight_(memory.in_flight),
      client_id_(client_id),
      handshake_(handshake) {
    LEAT_CHECK(receive_.size() > frame_head && !pieces_.empty() && !memory.in_flight.empty());
}

bool Connection::can_send(std::size_t bytes, std::size_t pieces) const {
    return is_ready() && !in_flight_.is_full() && bytes <= send_room() && pieces <= pieces_room();
}

// ---- what happens outside

void Connection::on_connected(Instant now) {
    LEAT_CHECK(in_flight_.empty());
    received_ = answered_ = skip_ = 0;
    ready_told_ = false;
    state_ = State::ready;
    if (handshake_ == nullptr) return;
    state_ = State::handshake;
    in_handshake_ = true;
    run_handshake(handshake_->start(now, *this));
}

void Connection::on_disconnected(Instant, Error why) {
    if (state_ != State::idle && state_ != State::closing) close(why);
}

MutableBytes Connection::receive_room() {
    if (answered_ > 0) {
        std::memmove(receive_.data(), receive_.data() + answered_, received_ - answered_);
        received_ -= answered_;
        answered_ = 0;
    }
    return receive_.subspan(received_);
}

void Connection::on_received(Instant, std::size_t bytes) {
    LEAT_CHECK(bytes <= receive_.size() - received_);
    received_ += bytes;
}

std::size_t Connection::on_bytes(Instant now, ByteView bytes) {
    MutableBytes room = receive_room();
    const std::size_t taken = std::min(room.size(), bytes.size());
    copy_bytes(bytes.first(taken), room);
    on_received(now, taken);
    return taken;
}

void Connection::on_written(Instant, std::size_t bytes) {
    for (std::size_t i = 0, left = bytes; i < in_flight_.size() && left > 0; ++i) {
        const auto part = std::min<std::size_t>(in_flight_[i].unwritten, left);
        in_flight_[i].unwritten -= static_cast<std::uint32_t>(part);
        left -= part;
    }
    while (bytes > 0) {
        LEAT_CHECK(pieces_begin_ < pieces_sealed_);
        ByteView& piece = pieces_[pieces_begin_];
        const std::size_t part = std::min(piece.size(), bytes);
        piece = piece.subspan(part);
        bytes -= part;
        if (piece.empty()) ++pieces_begin_;
    }
    if (pieces_begin_ == pieces_end_ && !open_)
        pieces_begin_ = pieces_sealed_ = pieces_end_ = send_end_ = 0;
}

void Connection::on_deadline(Instant now) {
    if (deadline() <= now && state_ != State::closing) close(Error::timed_out);
}

Instant Connection::deadline() const {
    Instant first = never;
    for (std::size_t i = 0; i < in_flight_.size(); ++i)
        first = earlier(first, in_flight_[i].deadline);
    return first;
}

void Connection::use_receive_memory(MutableBytes longer) {
    receive_room();
    LEAT_CHECK(longer.size() >= received_);
    copy_bytes(receive_.first(received_), longer);
    receive_ = longer;
}

// ---- requests

Result<MutableBytes> Connection::open_frame(wire::ApiKey key, std::int16_t version,
                                            wire::Lengths lengths, std::size_t response_header) {
    LEAT_CHECK(!open_);
    if (!is_ready() && !in_handshake_) return fail(Error::disconnected);
    const std::size_t head = length_size + 10 + client_id_.size() + 1;
    if (in_flight_.is_full() || pieces_room() == 0 || send_room() < head)
        return fail(send_.size() < head ? Error::too_large : Error::would_block);
    const wire::RequestHeader header{key, version, next_correlation_, client_id_};
    Result<std::size_t> size =
        wire::encode_request_header(header, lengths, room().subspan(length_size));
    if (!size) return fail(size.error());
    open_request_ = {};
    open_request_.correlation_id = next_correlation_;
    open_request_.api_key = static_cast<std::int16_t>(key);
    open_request_.api_version = version;
    open_request_.response_header = static_cast<std::uint8_t>(response_header);
    open_ = true;
    open_at_ = send_end_;
    append_own(length_size + *size);
    return room();
}

void Connection::append_own(std::size_t bytes) {
    LEAT_CHECK(open_ && bytes <= send_room());
    append_borrowed({send_.data() + send_end_, bytes});
    send_end_ += bytes;
}

void Connection::append_borrowed(ByteView bytes) {
    if (bytes.empty()) return;
    open_request_.unwritten += static_cast<std::uint32_t>(bytes.size());
    if (pieces_end_ > pieces_sealed_) {
        ByteView& last = pieces_[pieces_end_ - 1];
        if (last.data() + last.size() == bytes.data()) {
            last = {last.data(), last.size() + bytes.size()};
            return;
        }
    }
    LEAT_CHECK(pieces_room() > 0);
    pieces_[pieces_end_++] = bytes;
}

void Connection::seal_request(Instant now, const RequestOptions& options) {
    LEAT_CHECK(open_);
    open_ = false;
    store_big(send_.data() + open_at_,
              open_request_.unwritten - static_cast<std::uint32_t>(length_size));
    open_request_.deadline = now + options.timeout;
    open_request_.context = options.context;
    open_request_.owner = options.owner;
    open_request_.answer = options.answer;
    (void)in_flight_.push(open_request_);  // open_frame saw a free slot
    pieces_sealed_ = pieces_end_;
    next_correlation_ = (next_correlation_ + 1) & 0x7fffffff;
}

void Connection::abandon_request() {
    LEAT_CHECK(open_);
    open_ = false;
    send_end_ = open_at_;
    pieces_end_ = pieces_sealed_;
}

Fail Connection::give_back_request(Error error) {
    abandon_request();
    // With everything drained there is no more room to come.
    if (error == Error::full) error = send_end_ == 0 ? Error::too_large : Error::would_block;
    return fail(error);
}

// ---- answers

std::optional<Event> Connection::poll_event(Instant now) {
    if (state_ == State::idle) return std::nullopt;
    if (state_ == State::closing) {
        if (!in_flight_.empty()) {
            Event event = end_front(Event::Kind::failed, why_closed_);
            return event.owner == owner_handshake ? poll_event(now) : std::optional(event);
        }
        state_ = State::idle;
        return Event{.kind = Event::Kind::closed, .error = why_closed_};
    }
    if (state_ == State::ready && !ready_told_) {
        ready_told_ = true;
        return Event{.kind = Event::Kind::ready};
    }
    if (!in_flight_.empty() && in_flight_.front().answer == Answer::none &&
        in_flight_.front().unwritten == 0)
        return end_front(Event::Kind::written, Error{});
    return next_answer(now);
}

/// The next whole frame in the receive buffer, if it is the answer to the oldest request.
std::optional<Event> Connection::next_answer(Instant now) {
    for (;;) {
        const std::size_t skipped = std::min(skip_, received_ - answered_);
        skip_ -= skipped;
        answered_ += skipped;
        const ByteView bytes = ByteView(receive_).subspan(answered_, received_ - answered_);
        if (bytes.size() < frame_head) return std::nullopt;
        const auto length = load_big<std::uint32_t>(bytes.data());
        const std::size_t size = length_size + length;
        const auto id = load_big<std::int32_t>(bytes.data() + length_size);
        const bool waited = !in_flight_.empty();
        const std::int32_t expected =
            waited ? in_flight_.front().correlation_id : next_correlation_;
        if (length < frame_head - length_size || length > 0x7fffffff || id < 0 || id > expected ||
            (id == expected && (!waited || in_flight_.front().answer == Answer::none))) {
            close(Error::malformed);
            return poll_event(now);
        }
        if (id == expected && size <= receive_.size() && bytes.size() < size) return std::nullopt;
        if (id != expected || size > receive_.size()) {
            skip_ = size;
            if (id == expected) return end_front(Event::Kind::failed, Error::too_large);
            continue;
        }
        answered_ += size;
        wire::Reader reader(bytes.subspan(frame_head, size - frame_head));
        if (in_flight_.front().response_header > 4) reader.skip_tags();
        if (reader.failed()) {
            close(Error::malformed);
            return poll_event(now);
        }
        Event event = end_front(Event::Kind::response, Error{});
        event.body = reader.rest();
        if (event.owner != owner_handshake) return event;
        in_handshake_ = true;
        if (run_handshake(handshake_->on_response(now, *this, event))) return poll_event(now);
    }
}

bool Connection::run_handshake(Handshake::Step step) {
    in_handshake_ = false;
    if (step == Handshake::Step::waiting) return false;
    if (step == Handshake::Step::done)
        state_ = State::ready;
    else
        close(Error::refused);
    return true;
}

Event Connection::end_front(Event::Kind kind, Error error) {
    const InFlight& front = in_flight_.front();
    Event event{.kind = kind,
                .owner = front.owner,
                .error = error,
                .api_key = static_cast<wire::ApiKey>(front.api_key),
                .api_version = front.api_version,
                .context = front.context};
    in_flight_.pop();
    return event;
}

void Connection::close(Error why) {
    state_ = State::closing;
    why_closed_ = why;
    in_handshake_ = open_ = false;
    received_ = answered_ = skip_ = 0;
    pieces_begin_ = pieces_sealed_ = pieces_end_ = send_end_ = 0;
}

}  // namespace leat::client
