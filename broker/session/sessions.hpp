// Connections without sockets: bytes in, whole requests to the handler, answers out in the order of
// the requests.
//
// Reading. A session has a few hundred bytes of its own; a frame that fits there is dispatched from
// there. A longer one is read only after a grant of the byte pool, straight into its own buffer. A
// session that waits for a grant, has pipelined_requests_max answers to come, or too many unsent
// bytes, is not read. Writing. An answer that is ready waits until all earlier ones are; then it is
// sent from where it was made. Time. Whoever holds pool bytes (half a request, an unsent response)
// has crawl_base plus one second per crawl_bytes_per_second to finish; then the connection is
// closed. While others wait for the pool, or unread answers take all of it, whoever moves less than
// a 512th of what it holds (at most 2 KiB) within stalled_max is closed: a few that stand still
// must not stop everybody. The idle are closed as well. A muted session is not read until its time
// comes; that is not held against it.
//
// Nothing is dispatched from inside complete() or sent(): they only mark; pump() dispatches.
#pragma once

#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "broker/session/handler.hpp"
#include "leat/result.hpp"

namespace leat::session {

struct Limits {
    std::uint32_t connections_max = 12'000;
    std::uint32_t request_bytes_max = 8 * 1024 * 1024;
    std::uint32_t pipelined_requests_max = 64;
    std::uint32_t unsent_bytes_max = 256 * 1024;  ///< above it the session's next request waits
    std::uint32_t unsent_all_bytes_max =
        4 * 1024 * 1024;  ///< of all sessions: above it who has any is not read
    milliseconds idle{600'000};
    milliseconds crawl_base{30'000};
    std::uint32_t crawl_bytes_per_second = 8 * 1024;
    milliseconds stalled_max{5000};  ///< without moving on, while somebody waits for the byte
                                     ///< pool, down to a fifth of it when many do; or while
                                     ///< too much is unsent
};

struct Event {
    enum class Kind : std::uint8_t { closed } kind = Kind::closed;
    CloseReason reason = CloseReason::idle;
    SessionId session = 0;
    std::string peer;
    std::int64_t detail = 0;  ///< the length, or key << 16 | version, where that says more
};

struct Counters {
    std::uint64_t opened = 0, refused = 0, requests = 0, responses = 0, bytes_in = 0, bytes_out = 0;
    std::uint64_t closed_by_us = 0;
    std::size_t now_open = 0;
};

class Sessions {
public:
    Sessions(Limits limits, BytePool& pool, Handler& handler);
    ~Sessions();
    Sessions(const Sessions&) = delete;
    Sessions& operator=(const Sessions&) = delete;

    // tell
    /// fails: full (connections_max)
    Result<SessionId> open(Instant now, std::string peer);
    void received(Instant now, WallTime wall, SessionId session, std::size_t count);
    void sent(Instant now, SessionId session, std::size_t count);
    void closed(Instant now, SessionId session);
    void on_deadline(Instant now, WallTime wall);
    /// Dispatches what became possible: grants that arrived, answers that made room. After every
    /// other call.
    void pump(Instant now, WallTime wall);
    bool needs_pump() const { return !pump_.empty(); }
    void close_all(Instant now,
                   CloseReason reason);  ///< after the answers that are already complete

    // drain
    /// Borrowed until received(), closed(), or the next receive_window() of the same session.
    MutableBytes receive_window(Instant now, SessionId session);
    ByteView poll_write(SessionId session);
    bool wants_close(SessionId session) const;
    std::optional<SessionId> poll_ready();
    std::optional<Event> poll_event();
    Instant deadline() const;

    // ask
    const Counters& counters() const { return counters_; }
    std::string_view peer_of(SessionId session) const;  ///< empty: there is no such session
    bool exists(SessionId session) const { return find(session) != nullptr; }
    bool has_unsent() const;  ///< any session still has bytes to send or answers to come

private:
    friend class Reply;
    struct Session;
    struct Slot;

    Session* find(SessionId id) const;
    void mark_ready(Session& session);
    void mark_pump(Session& session);
    void run(Instant now, WallTime wall, Session& session);
    bool take_frame(Instant now, WallTime wall, Session& session);
    void dispatch(Instant now, WallTime wall, Session& session, ByteView frame, Buffer* owner);
    bool may_dispatch(const Session& session) const;
    bool read_late(Session& session);
    void grant_arrived(Instant now, Session& session, Grant grant);
    void close_now(Session& session, CloseReason reason, std::int64_t detail);
    void flush_slots(Session& session);
    void wake_at(Session& session, Instant when);
    Instant next_due(const Session& session) const;
    Instant idle_at(const Session& session) const;
    milliseconds patience(std::size_t bytes) const;
    void begins(Session& session);
    void moves(Session& session, std::size_t count);
    Instant stands_since(const Session& session) const;
    void watch_crowd(Instant now);
    void close_stalled(Instant now);

    // for Reply
    bool slot_open(SessionId session, std::uint64_t slot) const;
    void complete(SessionId session, std::uint64_t slot, Buffer frame, std::vector<Buffer> more);
    void complete_close(SessionId session, std::uint64_t slot, CloseReason reason);
    void hold(SessionId session, bool held);
    void mute(SessionId session, Instant until);
    Instant muted_until(SessionId session) const;
    Asker asker(SessionId session) const;

    Limits limits_;
    BytePool& pool_;
    Handler& handler_;
    Instant now_{};
    std::vector<std::unique_ptr<Session>> sessions_;  // by the low half of the id
    std::vector<std::uint32_t> generations_;
    std::vector<std::uint32_t> free_;
    std::size_t unsent_bytes_ = 0;
    std::vector<SessionId> ready_, pump_;
    std::size_t ready_at_ = 0;
    std::set<std::pair<Instant, SessionId>> wakes_;  // at most one per session
    Instant crowd_look_ = never;  // memory is short: look then for who stands still
    std::vector<Event> events_;
    Counters counters_;
};

}  // namespace leat::session
