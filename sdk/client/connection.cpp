#include "sdk/client/connection.hpp"

#include "sdk/client/scan.hpp"

namespace leat::client {

namespace {
constexpr std::size_t length_size = 4;
constexpr std::size_t frame_head = 8;  // length and correlation id
}  // namespace

Connection::Connection(const Memory& memory, std::string_view client_id, Handshake* handshake)
    : client_id_(client_id),
      handshake_(handshake),
      receive_(memory.receive),
      send_(memory.send),
      pieces_(memory.pieces),
      in_flight_(memory.in_flight) {
    LEAT_CHECK(receive_.size() > frame_head && !pieces_.empty() && !memory.in_flight.empty());
}

bool Connection::can_send(std::size_t bytes, std::size_t pieces) const {
    return is_ready() && !is_full() && bytes <= send_room() && pieces <= pieces_room();
}

// ---- what happens outside

void Connection::on_connected(Instant now) {
    LEAT_CHECK(in_flight_count_ == 0);
    received_ = answered_ = skip_ = 0;
    if constexpr (any_api) ready_told_ = false;
    state_ = State::ready;
    if (!profile.negotiates || handshake_ == nullptr) return;
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
    if constexpr (profile.any_acks) written_bytes_ += static_cast<std::uint32_t>(bytes);
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
    if (state_ == State::closing) return;
    const Instant due = deadline();
    if (due != never && due <= now) close(Error::timed_out);
}

Instant Connection::deadline() const {
    // One Sender and nobody else (Profile::memory): one time-out for all, so the oldest is the
    // first.
    if constexpr (!any_api) return in_flight_count_ > 0 ? in_flight_[0].deadline : never;
    Instant first = never;
    for (const InFlight& request : in_flight_.first(in_flight_count_))
        first = earlier(first, request.deadline);
    return first;
}

void Connection::use_receive_memory(MutableBytes longer) {
    receive_room();
    LEAT_CHECK(longer.size() >= received_);
    copy_bytes(receive_.first(received_), longer);
    receive_ = longer;
}

// ---- requests

Status Connection::open_frame(wire::ApiKey key, std::int16_t version, wire::Lengths lengths,
                              std::size_t response_header) {
    LEAT_CHECK(!open_);
    if (!is_ready() && !(profile.negotiates && in_handshake_)) return fail(Error::disconnected);
    // Written here and not by wire's encoder: three numbers and a name, and every device pays for
    // it.
    const bool compact = !any_api || lengths == wire::Lengths::compact;
    const std::size_t head = length_size + 10 + client_id_.size() + (compact ? 1 : 0);
    if (is_full() || pieces_room() == 0 || send_room() < head)
        return fail(send_.size() < head ? Error::too_large : Error::would_block);
    std::uint8_t* at = send_.data() + send_end_ + length_size;
    at = put16(static_cast<std::uint16_t>(key), at);
    at = put16(static_cast<std::uint16_t>(version), at);
    at = put32(static_cast<std::uint32_t>(next_correlation_), at);
    at = put16(static_cast<std::uint16_t>(client_id_.size()), at);
    copy_bytes(bytes_of(client_id_), {at, client_id_.size()});
    if (compact) at[client_id_.size()] = 0;  // no tags
    InFlight& request = in_flight_[in_flight_count_];
    request.correlation_id = next_correlation_;
    request.api_key = static_cast<std::int16_t>(key);
    request.api_version = static_cast<std::int8_t>(version);
    request.response_header = static_cast<std::uint8_t>(response_header);
    open_ = true;
    open_at_ = send_end_;
    open_bytes_ = 0;
    append_own(head);
    return ok();
}

void Connection::append_own(std::size_t bytes) {
    LEAT_CHECK(open_ && bytes <= send_room());
    append_borrowed({send_.data() + send_end_, bytes});
    send_end_ += bytes;
}

void Connection::append_borrowed(ByteView bytes) {
    // Not as one span: GCC 12 would carry it over the stack.
    const std::uint8_t* const data = bytes.data();
    const std::size_t size = bytes.size();
    if (size == 0) return;
    open_bytes_ += static_cast<std::uint32_t>(size);
    if (pieces_end_ > pieces_sealed_) {
        ByteView& last = pieces_[pieces_end_ - 1];
        if (last.data() + last.size() == data) {
            last = {last.data(), last.size() + size};
            return;
        }
    }
    LEAT_CHECK(pieces_room() > 0);
    pieces_[pieces_end_++] = ByteView(data, size);
}

void Connection::seal_request(Instant now, const RequestOptions& options) {
    LEAT_CHECK(open_);
    open_ = false;
    put32(open_bytes_ - static_cast<std::uint32_t>(length_size), send_.data() + open_at_);
    InFlight& request = in_flight_[in_flight_count_++];
    request.deadline = now + options.timeout;
    request.context = options.context;
    request.owner = Owner{options.owner};
    if constexpr (profile.any_acks) {
        sealed_bytes_ += open_bytes_;
        request.answer = options.answer;
        request.written_at = sealed_bytes_;
    }
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

bool Connection::poll_event(Instant now, Event& out) {
    for (;;) {
        if (state_ == State::closing) {
            if (in_flight_count_ == 0) {
                state_ = State::idle;
                out.kind = Event::Kind::closed;
                out.error = why_closed_;
                return true;
            }
            end_front(out, Event::Kind::failed, why_closed_);
            if (profile.negotiates && out.owner == owner_handshake) continue;
            return true;
        }
        if (state_ == State::idle) return false;
        if (any_api && state_ == State::ready && !ready_told_) {
            ready_told_ = true;
            out.kind = Event::Kind::ready;
            return true;
        }
        if (profile.any_acks && in_flight_count_ > 0 && in_flight_[0].answer == Answer::none &&
            static_cast<std::int32_t>(written_bytes_ - in_flight_[0].written_at) >= 0)
            return end_front(out, Event::Kind::written, Error{});
        const State before = state_;
        if (next_answer(now, out)) return true;
        if (state_ == before) return false;
    }
}

/// The next whole frame in the receive buffer, if it is the answer to the oldest request. False:
/// none, or the state has changed.
bool Connection::next_answer(Instant now, Event& out) {
    for (;;) {
        const std::size_t skipped = std::min(skip_, received_ - answered_);
        skip_ -= skipped;
        answered_ += skipped;
        const std::uint8_t* const bytes = receive_.data() + answered_;
        const std::size_t here = received_ - answered_;
        if (here < frame_head) return false;
        const std::uint32_t length = get32(bytes);
        const std::size_t size = length_size + length;
        const std::uint32_t id = get32(bytes + length_size);
        const bool waited = in_flight_count_ > 0;
        const InFlight& front = in_flight_[0];
        const auto expected =
            static_cast<std::uint32_t>(waited ? front.correlation_id : next_correlation_);
        const bool is_it = id == expected;
        if (length < frame_head - length_size || length > 0x7fffffff || id > expected ||
            (is_it && (!waited || (profile.any_acks && front.answer == Answer::none)))) {
            close(Error::malformed);
            return false;
        }
        // The handshake could not go on after a gap: no request would be in flight, so nothing
        // would ever end the wait.
        const bool ends_handshake = profile.negotiates && is_it && front.owner == owner_handshake;
        if (size > receive_.size() && ends_handshake) {
            close(Error::malformed);
            return false;
        }
        if (!is_it || size > receive_.size()) {
            skip_ = size;
            if (is_it) return end_front(out, Event::Kind::failed, Error::too_large);
            continue;
        }
        if (here < size) return false;
        answered_ += size;
        Scan scan({bytes + frame_head, size - frame_head});
        if (!any_api || front.response_header > 4) scan.skip_tags();
        if (scan.is_bad()) {
            close(Error::malformed);
            return false;
        }
        end_front(out, Event::Kind::response, Error{});
        out.body = scan.rest();
        if (!profile.negotiates || out.owner != owner_handshake) return true;
        in_handshake_ = true;
        if (run_handshake(handshake_->on_response(now, *this, out))) return false;
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

bool Connection::end_front(Event& out, Event::Kind kind, Error error) {
    const InFlight& front = in_flight_[0];
    out.kind = kind;
    out.owner = Owner{front.owner};
    out.error = error;
    out.api_key = static_cast<wire::ApiKey>(std::int16_t{front.api_key});
    out.api_version = std::int16_t{front.api_version};
    out.context = front.context;
    --in_flight_count_;
    // All of them where that is a constant.
    const std::size_t others = any_api ? in_flight_count_ : in_flight_.size() - 1;
    if (others > 0) std::memmove(&in_flight_[0], &in_flight_[1], others * sizeof(InFlight));
    return true;
}

[[gnu::noinline]] void Connection::close(Error why) {
    state_ = State::closing;
    why_closed_ = why;
    open_ = false;
    if constexpr (profile.negotiates) in_handshake_ = false;
    received_ = answered_ = skip_ = 0;
    pieces_begin_ = pieces_sealed_ = pieces_end_ = send_end_ = 0;
}

}  // namespace leat::client
