// What Sessions keeps per connection; for the files of Sessions only.
#pragma once

#include "broker/session/sessions.hpp"

namespace leat::session {

constexpr std::size_t head_bytes =
    256;  // a session's own: enough for most requests without records

struct Sessions::Slot {
    enum class State : std::uint8_t { open, done, close } state = State::open;
    CloseReason reason = CloseReason::unanswered;
    std::int16_t key = 0, version = 0;  // of its request
    Buffer frame;  // empty when done: acks=0
    std::vector<Buffer> more;  // of a long answer, behind it
};

struct Sessions::Session {
    SessionId id = 0;
    std::string peer;
    std::unique_ptr<std::uint8_t[]> head;  // there while a request comes or waits
    std::uint16_t head_size = 0;
    enum class Reading : std::uint8_t { head, wants_grant, body, off } reading = Reading::head;
    bool in_ready = false, in_pump = false, closing = false, write_lent = false;
    bool quick = false;  // brought the last frame that it had memory for
    bool took = false;   // the last large answer that it had memory for
    std::uint32_t holds = 0;  // of its replies: a fetch that wakes must not end a commit's
    std::uint32_t body_size = 0, body_have = 0;
    Buffer body;
    std::vector<Slot>
        slots;  // open answers, oldest first; a handful, so erasing the front is cheap
    std::uint64_t first_slot = 0;
    std::vector<Buffer> out;  // frames in order, the first partly sent
    std::size_t out_sent = 0, out_bytes = 0;
    Instant last_active{}, read_due = never, write_due = never, registered = never;
    Instant moved_at{};  // since then `moved` bytes came or went of what it holds memory for
    std::uint32_t moved = 0;
    Instant muted_until{};
};

}  // namespace leat::session
