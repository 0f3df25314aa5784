// Drives one node with real sockets, one timer and the device's eventfd, on the one thread of `io`.
//
// An event comes in, the node is told, then settle() does whatever the node has become ready for.
// Sockets are awaited for readiness only: bytes are read straight into the node's receive window
// and written straight from its responses, so a connection at rest owns no buffer, here or there.
//
// What the node wants computed runs on the threads of Workers; the loop is woken by a post.
//
// A session whose window is empty is not awaited for reading: the kernel's buffer fills and TCP
// slows the peer down. The node names the session again when it may be read.
//
// Nobody is served for long at a time: after some bytes, or some sessions, whoever else is ready
// comes first (the bounds stand at the top of driver.cpp).
#pragma once

#include <asio/io_context.hpp>
#include <asio/ip/tcp.hpp>
#include <asio/posix/stream_descriptor.hpp>
#include <asio/steady_timer.hpp>
#include <functional>
#include <memory>
#include <unordered_map>

#include "broker/net/links.hpp"
#include "broker/net/workers.hpp"
#include "broker/node/node.hpp"
#include "leat/port/clock.hpp"

namespace leat::net {

struct DriverCounters {
    std::uint64_t accepted = 0, accept_errors = 0, closed = 0;
};

class Driver {
public:
    using EventSink = std::function<void(const node::Event&)>;

    /// All borrowed, and outliving it. `on_event` gets the node's events and the driver's own.
    /// `worker_threads`: at most so many, begun when first needed; 0: work is run by the loop.
    Driver(asio::io_context& io, node::Node& node, port::Clock& clock, EventSink on_event,
           unsigned worker_threads = 0);
    ~Driver();  ///< waits for the work that was begun
    Driver(const Driver&) = delete;
    Driver& operator=(const Driver&) = delete;

    /// Begins to accept; `acceptor` is listening.
    void accept_on(asio::ip::tcp::acceptor acceptor);
    /// An eventfd that says "the device finished something"; borrowed until the destructor.
    /// on_done: called each time, before the node is told; may be empty.
    void watch_storage(int event_fd, std::function<void()> on_done = {});
    /// After node.start(): does what became ready meanwhile and sets the timer.
    void start() { settle(); }
    /// No new connections; the node parks nothing any more, seals the log; unsent answers have
    /// `flush_max` to leave. Then `done` is called, once.
    void stop(std::function<void()> done);

    /// See Links::resolving: destroying this, or the io_context, would wait for the name server.
    bool resolving() const { return links_.resolving(); }
    std::size_t connections() const { return peers_.size(); }
    const DriverCounters& counters() const { return counters_; }

private:
    struct Peer {
        explicit Peer(asio::ip::tcp::socket socket_in) : socket(std::move(socket_in)) {}
        asio::ip::tcp::socket socket;
        bool awaits_read = false;
        bool awaits_write = false;
    };

    void await_accept();
    void accept_some();
    void accept_failed(const std::error_code& code);
    void add_peer(asio::ip::tcp::socket socket, const asio::ip::tcp::endpoint& from);

    void await_read(node::SessionId id, Peer& peer);
    void await_write(node::SessionId id, Peer& peer);
    /// Write, close or read, whatever the session is ready for. May drop the peer.
    void pump(node::SessionId id);
    bool write_some(node::SessionId id, Peer& peer);
    bool read_some(node::SessionId id, Peer& peer);
    void drop(node::SessionId id);

    bool give_out_work();
    void collect_work();

    void await_storage();
    void settle();
    void go_on_later();
    void set_timer();
    void on_time();
    void finish_stop();
    void say(node::Event::Level level, std::string text);

    asio::io_context& io_;
    node::Node& node_;
    port::Clock& clock_;
    EventSink on_event_;
    asio::ip::tcp::acceptor acceptor_;
    asio::steady_timer accept_pause_, timer_, flush_timer_;
    asio::posix::stream_descriptor storage_;
    std::function<void()> on_storage_done_;
    std::unordered_map<node::SessionId, Peer> peers_;
    Links links_;
    Instant timer_at_ = never;
    bool settling_ = false, going_on_ = false;
    bool due_ = false;  ///< on_time() will be called without the timer
    Instant accept_error_said_ = Instant::min();
    int accept_failures_ = 0;
    std::function<void()> on_stopped_;
    bool flushing_ = false;
    DriverCounters counters_;
    Workers workers_;  // last: joined before anything else ends
};

}  // namespace leat::net
