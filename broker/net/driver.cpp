#include "broker/net/driver.hpp"

#include <unistd.h>
#include <asio/post.hpp>
#include <asio/socket_base.hpp>
#include <asio/write.hpp>

#include <algorithm>
#include <array>

namespace leat::net {
namespace {

using asio::ip::tcp;

// After so much others get their turn: what one connection brings or takes at a time is a fraction
// of a millisecond of this thread, and the sockets that are ready come round in order.
constexpr int accepts_per_event = 16;
constexpr int reads_per_event = 16;
constexpr std::size_t read_bytes_per_event = 128 * KiB;
constexpr int writes_per_event = 64;
constexpr std::size_t write_bytes_per_event = 256 * KiB;
constexpr int pumps_per_turn = 32;
constexpr milliseconds accept_pause_min{100};
constexpr milliseconds accept_error_quiet{10'000};  // one line per so long, not one per attempt
constexpr milliseconds flush_max{1000};

}  // namespace

Driver::Driver(asio::io_context& io, node::Node& node, port::Clock& clock, EventSink on_event,
               unsigned worker_threads)
    : io_(io),
      node_(node),
      clock_(clock),
      on_event_(std::move(on_event)),
      acceptor_(io),
      accept_pause_(io),
      timer_(io),
      flush_timer_(io),
      storage_(io),
      links_(io, node, clock, [this] { settle(); }),
      workers_(worker_threads, [this] { asio::post(io_, [this] { collect_work(); }); }) {}

Driver::~Driver() {
    if (storage_.is_open()) storage_.release();  // the eventfd is its owner's to close
}

// ------------------------------------------------------------------------------------------
// connections in

void Driver::accept_on(tcp::acceptor acceptor) {
    acceptor_ = std::move(acceptor);
    await_accept();
}

void Driver::await_accept() {
    acceptor_.async_wait(tcp::acceptor::wait_read, [this](const std::error_code& code) {
        if (code == asio::error::operation_aborted || !acceptor_.is_open()) return;
        accept_some();
        settle();
    });
}

void Driver::accept_some() {
    for (int i = 0; i < accepts_per_event; ++i) {
        std::error_code code;
        tcp::endpoint from;
        tcp::socket socket(io_);
        acceptor_.accept(socket, from, code);
        if (code == asio::error::would_block || code == asio::error::try_again) break;
        // The peer left before we came to it, or a network error that was only its own (see
        // accept(2)).
        if (code == asio::error::connection_aborted || code == asio::error::network_down ||
            code == asio::error::host_unreachable || code == asio::error::network_unreachable ||
            code == std::errc::protocol_error || code == std::errc::operation_not_permitted)
            continue;
        if (code) return accept_failed(code);
        accept_failures_ = 0;
        add_peer(std::move(socket), from);
    }
    await_accept();
}

// Out of descriptors or memory: the connection stays in the backlog and the listener stays
// readable, so waiting for it again at once would spin. Those who are connected free descriptors
// when they go.
void Driver::accept_failed(const std::error_code& code) {
    ++counters_.accept_errors;
    const Instant now = clock_.monotonic();
    if (accept_error_said_ == Instant::min() || now - accept_error_said_ >= accept_error_quiet) {
        accept_error_said_ = now;
        say(node::Event::Level::error, "cannot accept connections: " + code.message() + " (" +
                                           std::to_string(peers_.size()) +
                                           " are open); trying again; raise the limit of open "
                                           "files (ulimit -n) or lower max.connections");
    }
    accept_failures_ = std::min(accept_failures_ + 1, 5);
    accept_pause_.expires_after(accept_pause_min * (1 << (accept_failures_ - 1)));
    accept_pause_.async_wait([this](const std::error_code& aborted) {
        if (aborted || !acceptor_.is_open()) return;
        accept_some();
        settle();
    });
}

void Driver::add_peer(tcp::socket socket, const tcp::endpoint& from) {
    std::error_code ignored;
    socket.non_blocking(true, ignored);
    socket.set_option(tcp::no_delay(true), ignored);  // responses are whole: nothing to wait for
    socket.set_option(asio::socket_base::keep_alive(true),
                      ignored);  // finds peers that lost their power
    const std::string host = from.address().to_string();
    auto session =
        node_.open_session(clock_.monotonic(), (from.address().is_v6() ? "[" + host + "]" : host) +
                                                   ":" + std::to_string(from.port()));
    if (!session) return;  // full: the socket closes here; the node says so in an event of its own
    ++counters_.accepted;
    const auto [place, added] = peers_.try_emplace(*session, std::move(socket));
    LEAT_CHECK(added);
    await_read(*session, place->second);
}

// Handlers name the session by its id: a peer may be gone (and its socket's handlers aborted)
// before they run.
void Driver::await_read(node::SessionId id, Peer& peer) {
    peer.awaits_read = true;
    peer.socket.async_wait(tcp::socket::wait_read, [this, id](const std::error_code& code) {
        const auto found = peers_.find(id);
        if (code == asio::error::operation_aborted || found == peers_.end()) return;
        found->second.awaits_read = false;
        read_some(id, found->second);
        settle();
    });
}

void Driver::await_write(node::SessionId id, Peer& peer) {
    peer.awaits_write = true;
    peer.socket.async_wait(tcp::socket::wait_write, [this, id](const std::error_code& code) {
        const auto found = peers_.find(id);
        if (code == asio::error::operation_aborted || found == peers_.end()) return;
        found->second.awaits_write = false;
        pump(id);
        settle();
    });
}

void Driver::pump(node::SessionId id) {
    const auto found = peers_.find(id);
    if (found == peers_.end()) return;
    Peer& peer = found->second;
    if (!peer.awaits_write && !write_some(id, peer)) return;
    if (node_.wants_close(id)) return drop(id);
    if (!peer.awaits_read) read_some(id, peer);
}

/// false: the peer is gone.
bool Driver::write_some(node::SessionId id, Peer& peer) {
    std::size_t left = write_bytes_per_event;
    for (int i = 0; i < writes_per_event && left > 0; ++i) {
        const ByteView bytes = node_.poll_write(id);
        if (bytes.empty()) return true;
        std::error_code code;
        const std::size_t count = peer.socket.write_some(
            asio::buffer(bytes.data(), std::min(bytes.size(), left)), code);
        if (code == asio::error::would_block || code == asio::error::try_again) break;
        if (code == asio::error::interrupted) continue;
        if (code) {
            drop(id);
            return false;
        }
        left -= count;
        node_.sent(clock_.monotonic(), id, count);
    }
    await_write(id, peer);
    return true;
}

/// false: the peer is gone. Leaves the peer awaiting more, unless its window is empty.
bool Driver::read_some(node::SessionId id, Peer& peer) {
    std::size_t left = read_bytes_per_event;
    for (int i = 0; i < reads_per_event && left > 0; ++i) {
        const Instant now = clock_.monotonic();
        MutableBytes window = node_.receive_window(now, id);
        if (window.empty()) return true;
        window = window.first(std::min(window.size(), left));
        std::error_code code;
        const std::size_t count =
            peer.socket.read_some(asio::buffer(window.data(), window.size()), code);
        if (code == asio::error::would_block || code == asio::error::try_again) break;
        if (code == asio::error::interrupted) continue;
        if (code ||
            count ==
                0) {  // also a peer that only closed its sending half: as Kafka, we hang up then
            drop(id);
            return false;
        }
        left -= count;
        node_.received(now, clock_.wall(), id, count);
        if (count < window.size())
            break;  // the kernel had no more: waiting costs less than asking it again
    }
    await_read(id, peer);
    return true;
}

void Driver::drop(node::SessionId id) {
    ++counters_.closed;
    peers_.erase(id);  // closes the socket
    node_.session_closed(clock_.monotonic(), id);
}

// ------------------------------------------------------------------------------------------ device
// and time

void Driver::watch_storage(int event_fd, std::function<void()> on_done) {
    storage_.assign(event_fd);
    on_storage_done_ = std::move(on_done);
    await_storage();
}

void Driver::await_storage() {
    storage_.async_wait(asio::posix::stream_descriptor::wait_read,
                        [this](const std::error_code& code) {
                            if (code == asio::error::operation_aborted || !storage_.is_open())
                                return;
                            // Cleared before the node collects: a completion that comes in between
                            // wakes us once more.
                            std::uint64_t count;
                            [[maybe_unused]] const ssize_t ignored =
                                ::read(storage_.native_handle(), &count, sizeof count);
                            if (on_storage_done_) on_storage_done_();
                            node_.on_storage(clock_.monotonic(), clock_.wall());
                            await_storage();
                            settle();
                        });
}

void Driver::settle() {
    if (settling_) return;
    settling_ = true;
    int pumps = 0;
    const auto pump_ready = [this, &pumps] {
        for (; pumps < pumps_per_turn; ++pumps) {
            const auto session = node_.session_ready();
            if (!session) return;
            pump(*session);
        }
        go_on_later();
    };
    do {
        pump_ready();
        while (links_.pump_one()) pump_ready();
    } while (give_out_work());
    while (const auto event = node_.poll_event()) on_event_(*event);
    settling_ = false;
    set_timer();
    if (on_stopped_ && node_.stopped() && !going_on_ && !due_) finish_stop();
}

/// Sessions are ready that make others ready, without end if their peers are quick: sockets that
/// are not among them, the device and the timer come first now.
void Driver::go_on_later() {
    if (std::exchange(going_on_, true)) return;
    asio::post(io_, [this] {
        going_on_ = false;
        settle();
    });
}

/// true: some of it was done here and now, so the node may have become ready for more.
bool Driver::give_out_work() {
    bool done_here = false;
    while (auto work = node_.poll_work()) {
        if (workers_.take(*work)) continue;
        work->run();
        node_.work_done(clock_.monotonic(), clock_.wall(), work->id);
        done_here = true;
    }
    return done_here;
}

void Driver::collect_work() {
    for (const node::WorkId id : workers_.collect())
        node_.work_done(clock_.monotonic(), clock_.wall(), id);
    settle();
}

// Rearmed only when the deadline came nearer: one that moved away lets the timer fire once for
// nothing, which is cheaper than a system call for each request that moves it.
void Driver::set_timer() {
    const Instant deadline = node_.deadline();
    if (deadline == never || deadline >= timer_at_ || due_) return;
    const Instant now = clock_.monotonic();
    if (deadline <= now) {
        // A commit that is due at once, so once for each: armed, fired and armed for what comes
        // after it, the timer would cost three system calls. Posted twice, so that whoever is ready
        // by then is heard, too: his records go into the same commit.
        due_ = true;
        asio::post(io_, [this] {
            asio::post(io_, [this] {
                due_ = false;
                on_time();
            });
        });
        return;
    }
    timer_at_ = deadline;
    // Nanoseconds hold less than milliseconds do; after a day it is looked at again.
    const Instant at = std::min(deadline, now + std::chrono::hours(24));
    timer_.expires_at(std::chrono::steady_clock::time_point(at.time_since_epoch()));
    timer_.async_wait([this](const std::error_code& code) {
        if (code == asio::error::operation_aborted) return;
        timer_at_ = never;
        on_time();
    });
}

void Driver::on_time() {
    const Instant now = clock_.monotonic();
    if (node_.deadline() <= now) node_.on_deadline(now, clock_.wall());
    settle();
}

// ------------------------------------------------------------------------------------------ the
// end

void Driver::stop(std::function<void()> done) {
    LEAT_CHECK(!on_stopped_);
    on_stopped_ = std::move(done);
    std::error_code ignored;
    acceptor_.close(ignored);
    accept_pause_.cancel();
    node_.stop(clock_.monotonic(), clock_.wall());
    settle();
}

void Driver::finish_stop() {
    bool unsent = false;
    for (const auto& [id, peer] : peers_) unsent |= peer.awaits_write;
    if (unsent && !flushing_) {
        flushing_ = true;
        flush_timer_.expires_after(flush_max);
        flush_timer_.async_wait([this](const std::error_code& code) {
            if (!code && on_stopped_) std::exchange(on_stopped_, nullptr)();
        });
    }
    if (unsent) return;
    flush_timer_.cancel();
    std::exchange(on_stopped_, nullptr)();
}

void Driver::say(node::Event::Level level, std::string text) {
    on_event_({level, "net", std::move(text)});
}

}  // namespace leat::net
