// What a session needs from the room above it: somebody who takes requests, and the slot for his
// answer.
#pragma once

#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

#include "broker/session/buffer.hpp"
#include "leat/time.hpp"

namespace leat::session {

class Sessions;
using SessionId = std::uint64_t;

/// Why a connection was closed by us. The text for people is close_text().
enum class CloseReason : std::uint8_t {
    negative_length,       ///< the first four bytes of a frame are below zero
    frame_too_large,       ///< above request_bytes_max
    frame_too_short,       ///< no room for key, version and correlation id
    unknown_api,           ///< key or version that this broker does not have
    malformed_request,     ///< the body contradicts its version's layout
    produce_without_acks,  ///< an acks=0 batch was refused: closing is the only answer there is
    answer_too_large,      ///< asks for more than any answer may have
    crawling,              ///< holds memory of the byte pool and does not move on
    no_memory,             ///< for so large a request or answer
    idle,
    unanswered,  ///< a handler gave its reply up; a later answer must not take its place
    stopping,
};
const char* close_text(CloseReason reason);

/// The place of one answer in its session's ordered queue. It may be completed at once or much
/// later; what was asked afterwards on the same connection waits behind it. Move-only; harmless
/// once the session is gone. Must end before its Sessions. A reply that ends without an answer
/// closes the connection, because no later answer may take its place.
class Reply {
public:
    Reply() = default;
    Reply(Reply&& other) noexcept { *this = std::move(other); }
    Reply& operator=(Reply&& other) noexcept;
    ~Reply();

    bool alive() const;  ///< the session is still there and the slot unanswered
    explicit operator bool() const { return sessions_ != nullptr; }
    SessionId session() const { return session_; }
    std::string_view peer() const;  ///< as the driver named it; empty once the session is gone

    void send(Buffer frame);         ///< a whole frame, length included
    void send(Buffer frame, std::vector<Buffer> more);  ///< the same in pieces, in their order
    void none();                     ///< acks=0: nothing is sent
    void close(CloseReason reason);  ///< after the earlier answers, the connection ends
    /// While any of its replies holds a connection, no further request of it is dispatched: the
    /// order of appends is the order of requests, also when the first has to wait for the log.
    void hold_session();
    void release_session();
    /// Leaves the connection unread until then (KIP-219); answers go out meanwhile. A mute that
    /// lasts longer already stays.
    void mute_until(Instant when);
    Instant muted_until() const;  ///< an instant that has passed, or none: it is read
    Asker asker() const;          ///< known: took its last answer that there was memory for

private:
    friend class Sessions;
    Reply(Sessions* sessions, SessionId session, std::uint64_t slot)
        : sessions_(sessions), session_(session), slot_(slot) {}

    Sessions* sessions_ = nullptr;
    SessionId session_ = 0;
    std::uint64_t slot_ = 0;
    bool holding_ = false;
};

/// One request as it came. `frame` starts at the API key (the length is off) and has at least 8
/// bytes; it is borrowed for the call, unless keep() is called, whose buffer then owns the very
/// same bytes.
class Request {
public:
    Request(SessionId session, ByteView frame, Buffer* owner)
        : session_(session), frame_(frame), owner_(owner) {}
    SessionId session() const { return session_; }
    ByteView frame() const { return frame_; }
    std::int16_t api_key() const { return load_big<std::int16_t>(frame_.data()); }
    std::int16_t api_version() const { return load_big<std::int16_t>(frame_.data() + 2); }
    std::int32_t correlation_id() const { return load_big<std::int32_t>(frame_.data() + 4); }
    /// The frame's bytes beyond the call; `frame()` afterwards views the result. A frame small
    /// enough to have come without a buffer is copied.
    Buffer keep() {
        Buffer kept = owner_ != nullptr ? std::move(*owner_) : Buffer::copy_of(frame_);
        frame_ = kept.bytes();
        return kept;
    }

private:
    SessionId session_;
    ByteView frame_;
    Buffer* owner_;
};

class Handler {
public:
    virtual void handle(Instant now, WallTime wall, Request request, Reply reply) = 0;
    virtual void on_session_closed(SessionId session) = 0;

protected:
    ~Handler() = default;
};

}  // namespace leat::session
