// The whole broker without an effect: sessions in, bytes out, one deadline. main.cpp drives it with
// real ports, tests/sim with simulated ones; both run this object.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "broker/api/work.hpp"
#include "broker/config/config.hpp"
#include "broker/log/log.hpp"
#include "broker/quotas/quotas.hpp"
#include "leat/port/entropy.hpp"
#include "leat/port/storage.hpp"
#include "leat/time.hpp"
#include "sdk/cluster/link.hpp"

namespace leat::node {

using SessionId = std::uint64_t;
/// Outgoing connections (uplink).
using LinkId = cluster::LinkId;
using LinkAction = cluster::LinkAction;

/// Processor time that the driver finds: on a thread of its own, later, or at once. See poll_work.
using WorkId = api::WorkId;
using Work = api::Work;

/// Something worth a log line or a metric. Typed where a program reads it, text where a person
/// does.
struct Event {
    enum class Level : std::uint8_t { debug, info, warn, error } level = Level::info;
    const char* room = "";  ///< "log", "session", "uplink", ...
    std::string text;       ///< one line: what happened and, for warn and error, what to do
};

class Node {
public:
    virtual ~Node() = default;

    /// Opens the log and rebuilds every room from its facts. Waits for the device (start only).
    virtual Status start(Instant now, WallTime wall) = 0;
    virtual const std::string& start_error_text() const = 0;
    /// No new sessions; parked requests are answered, the log is sealed; done when stopped().
    virtual void stop(Instant now, WallTime wall) = 0;
    virtual bool stopped() const = 0;

    // -- incoming connections ---------------------------------------------------------------------
    /// fails: full (connections_max) · refused (its ip's quota): the driver closes the socket.
    virtual Result<SessionId> open_session(Instant now, std::string peer) = 0;
    /// Where the next received bytes go; empty: do not read now (no grant from the byte pool, or
    /// too many requests are waiting); session_ready() names it again when that changes.
    virtual MutableBytes receive_window(Instant now, SessionId session) = 0;
    virtual void received(Instant now, WallTime wall, SessionId session, std::size_t count) = 0;
    /// Bytes to send, borrowed until sent(); empty: none.
    virtual ByteView poll_write(SessionId session) = 0;
    virtual void sent(Instant now, SessionId session, std::size_t count) = 0;
    virtual bool wants_close(
        SessionId session) const = 0;  ///< close the socket, then call session_closed
    virtual void session_closed(Instant now, SessionId session) = 0;
    /// Sessions whose receive_window, poll_write or wants_close may have changed; each once until
    /// asked.
    virtual std::optional<SessionId> session_ready() = 0;

    // -- outgoing connections (uplink) ------------------------------------------------------------
    virtual std::optional<LinkAction> poll_link_action() = 0;
    virtual void link_opened(Instant now, LinkId link) = 0;
    virtual void link_received(Instant now, LinkId link, ByteView bytes) = 0;
    virtual ByteView link_poll_write(LinkId link) = 0;
    virtual void link_sent(Instant now, LinkId link, std::size_t count) = 0;
    virtual void link_closed(Instant now, LinkId link,
                             Error why) = 0;  ///< also: could not be opened
    virtual std::optional<LinkId> link_ready() = 0;

    // -- work for other threads ------------------------------------------------------------------
    /// Ask after every other call. `run` may be called on any thread and in any order, several at a
    /// time; work_done says that it returned. A run that was begun must end before the node does.
    virtual std::optional<Work> poll_work() = 0;
    virtual void work_done(Instant now, WallTime wall, WorkId work) = 0;

    // -- time and device --------------------------------------------------------------------------
    virtual void on_storage(Instant now, WallTime wall) = 0;
    virtual void on_deadline(Instant now, WallTime wall) = 0;
    virtual Instant deadline() const = 0;

    // -- ask --------------------------------------------------------------------------------------
    virtual std::optional<Event> poll_event() = 0;
    virtual std::string status_json(Instant now)
        const = 0;  ///< what GET /status and `leat status` show (tests/ops holds its shape)
};

struct Ports {
    port::Storage& storage;
    port::Entropy& entropy;
    quotas::Stopwatch* stopwatch = nullptr;  ///< null: request_percentage is kept, but not measured
};
std::unique_ptr<Node> make_node(const config::Config& config, Ports ports);

}  // namespace leat::node
