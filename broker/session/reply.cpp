#include "broker/session/sessions.hpp"

namespace leat::session {

Reply& Reply::operator=(Reply&& other) noexcept {
    if (this == &other) return *this;
    if (sessions_ != nullptr) close(CloseReason::unanswered);
    sessions_ = std::exchange(other.sessions_, nullptr);
    session_ = other.session_;
    slot_ = other.slot_;
    holding_ = std::exchange(other.holding_, false);
    return *this;
}

Reply::~Reply() {
    if (sessions_ != nullptr) close(CloseReason::unanswered);
}

bool Reply::alive() const { return sessions_ != nullptr && sessions_->slot_open(session_, slot_); }

std::string_view Reply::peer() const {
    return sessions_ != nullptr ? sessions_->peer_of(session_) : std::string_view();
}

void Reply::send(Buffer frame) { send(std::move(frame), {}); }

void Reply::send(Buffer frame, std::vector<Buffer> more) {
    if (sessions_ == nullptr) return;
    release_session();
    std::exchange(sessions_, nullptr)
        ->complete(session_, slot_, std::move(frame), std::move(more));
}

void Reply::none() { send(Buffer()); }

void Reply::close(CloseReason reason) {
    if (sessions_ == nullptr) return;
    release_session();
    std::exchange(sessions_, nullptr)->complete_close(session_, slot_, reason);
}

void Reply::hold_session() {
    if (sessions_ == nullptr || holding_) return;
    holding_ = true;
    sessions_->hold(session_, true);
}

void Reply::release_session() {
    if (!holding_ || sessions_ == nullptr) return;
    holding_ = false;
    sessions_->hold(session_, false);
}

void Reply::mute_until(Instant when) {
    if (sessions_ != nullptr) sessions_->mute(session_, when);
}

Instant Reply::muted_until() const {
    return sessions_ != nullptr ? sessions_->muted_until(session_) : Instant{};
}

Asker Reply::asker() const {
    return sessions_ != nullptr ? sessions_->asker(session_) : Asker::stranger;
}

const char* close_text(CloseReason reason) {
    switch (reason) {
        case CloseReason::negative_length:
            return "a frame with a negative length";
        case CloseReason::frame_too_large:
            return "a frame larger than request_bytes_max";
        case CloseReason::frame_too_short:
            return "a frame too short for a request header";
        case CloseReason::unknown_api:
            return "an API key or version that this broker does not have";
        case CloseReason::malformed_request:
            return "a request that contradicts its version's layout";
        case CloseReason::produce_without_acks:
            return "a batch sent with acks=0 was refused";
        case CloseReason::answer_too_large:
            return "a request whose answer would be larger than this broker gives";
        case CloseReason::crawling:
            return "too slow while holding memory of the byte pool";
        case CloseReason::no_memory:
            return "a request or answer that there is no memory for";
        case CloseReason::idle:
            return "idle";
        case CloseReason::unanswered:
            return "a request was given up";
        case CloseReason::stopping:
            return "the broker stops";
    }
    return "closed";
}

}  // namespace leat::session
