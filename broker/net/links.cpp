#include "broker/net/links.hpp"

namespace leat::net {
namespace {

using asio::ip::tcp;

constexpr std::size_t received_bytes = 64 * KiB;
constexpr int reads_per_event = 16;
constexpr int writes_per_event = 64;
constexpr int lookups_max = 16;                   // wait for the name server at once: see connect()
constexpr milliseconds connect_patience{10'000};  // Linux alone would try for two minutes

Error error_of(const std::error_code& code) {
    if (code == asio::error::connection_refused) return Error::refused;
    if (code == asio::error::timed_out) return Error::timed_out;
    if (code == asio::error::host_not_found || code == asio::error::host_not_found_try_again ||
        code == asio::error::no_data)
        return Error::not_found;
    return Error::disconnected;
}

}  // namespace

Links::Links(asio::io_context& io, node::Node& node, port::Clock& clock,
             std::function<void()> changed)
    : io_(io), node_(node), clock_(clock), changed_(std::move(changed)), resolver_(io) {}

Links::Link* Links::find(node::LinkId id) {
    const auto found = links_.find(id);
    return found == links_.end() ? nullptr : found->second.get();
}

bool Links::pump_one() {
    if (const auto action = node_.poll_link_action()) {
        if (action->kind == node::LinkAction::Kind::connect)
            connect(action->link, action->host, action->port);
        else
            links_.erase(action->link);  // the node knows already
        return true;
    }
    if (const auto ready = node_.link_ready()) {
        Link* link = find(*ready);
        if (link && link->open && !link->awaits_write) write_some(*ready, *link);
        return true;
    }
    return false;
}

void Links::connect(node::LinkId id, const std::string& host, std::uint16_t port) {
    links_[id] = std::make_unique<Link>(io_, host, port);
    Link& link = *links_[id];
    std::error_code code;
    const asio::ip::address numeric = asio::ip::make_address(host, code);
    if (!code) {
        link.endpoints.emplace_back(numeric, port);
        // Posted: the node hears of a failure only after it is done asking.
        asio::post(io_, [this, id] { try_next(id); });
        return;
    }
    be_patient(id, link);
    // They go one after the other, and one whose link is gone stays in the queue: where no name
    // server answers for weeks the queue would grow all the time. This one times out instead.
    if (resolving_ == lookups_max) return;
    ++resolving_;
    resolver_.async_resolve(
        host, std::to_string(port),
        [this, id](const std::error_code& failure, const tcp::resolver::results_type& found) {
            --resolving_;
            Link* waiting = find(id);
            if (!waiting || waiting->open || !waiting->endpoints.empty()) return;
            for (const auto& entry : found) waiting->endpoints.push_back(entry.endpoint());
            waiting->last_error = failure ? error_of(failure) : Error::not_found;
            try_next(id);
        });
}

void Links::be_patient(node::LinkId id, Link& link) {
    link.timed_out = false;
    link.patience.expires_after(connect_patience);
    link.patience.async_wait([this, id](const std::error_code& code) {
        Link* waiting = find(id);
        if (code || !waiting || waiting->open) return;
        waiting->timed_out = true;
        waiting->last_error = Error::timed_out;
        std::error_code ignored;
        if (waiting->socket.is_open())
            waiting->socket.close(ignored);  // its handler goes on
        else
            drop(id, Error::timed_out);
    });
}

void Links::try_next(node::LinkId id) {
    Link* link = find(id);
    if (!link) return;
    std::error_code ignored;
    if (link->socket.is_open()) link->socket.close(ignored);
    if (link->next_endpoint == link->endpoints.size()) return drop(id, link->last_error);
    be_patient(id, *link);
    const tcp::endpoint to = link->endpoints[link->next_endpoint++];
    link->socket.async_connect(to, [this, id](const std::error_code& code) {
        Link* connecting = find(id);
        if (!connecting || connecting->open) return;
        if (!code && connecting->socket.is_open()) return opened(id, *connecting);
        if (!connecting->timed_out) connecting->last_error = error_of(code);
        try_next(id);
    });
}

void Links::opened(node::LinkId id, Link& link) {
    link.open = true;
    link.patience.cancel();
    link.endpoints.clear();
    std::error_code ignored;
    link.socket.non_blocking(true, ignored);
    link.socket.set_option(tcp::no_delay(true), ignored);
    link.socket.set_option(asio::socket_base::keep_alive(true), ignored);
    await_read(id, link);
    node_.link_opened(clock_.monotonic(), id);
    changed_();
}

void Links::await_read(node::LinkId id, Link& link) {
    link.socket.async_wait(tcp::socket::wait_read, [this, id](const std::error_code& code) {
        Link* reading = find(id);
        if (code == asio::error::operation_aborted || !reading) return;
        read_some(id, *reading);
        changed_();
    });
}

void Links::await_write(node::LinkId id, Link& link) {
    link.awaits_write = true;
    link.socket.async_wait(tcp::socket::wait_write, [this, id](const std::error_code& code) {
        Link* writing = find(id);
        if (code == asio::error::operation_aborted || !writing) return;
        writing->awaits_write = false;
        write_some(id, *writing);
        changed_();
    });
}

void Links::read_some(node::LinkId id, Link& link) {
    if (!received_) received_ = std::make_unique_for_overwrite<std::uint8_t[]>(received_bytes);
    for (int i = 0; i < reads_per_event; ++i) {
        std::error_code code;
        const std::size_t count =
            link.socket.read_some(asio::buffer(received_.get(), received_bytes), code);
        if (code == asio::error::would_block || code == asio::error::try_again) break;
        if (code == asio::error::interrupted) continue;
        if (code || count == 0) return drop(id, Error::disconnected);
        node_.link_received(clock_.monotonic(), id, {received_.get(), count});
        if (count < received_bytes) break;
    }
    await_read(id, link);
}

void Links::write_some(node::LinkId id, Link& link) {
    for (int i = 0; i < writes_per_event; ++i) {
        const ByteView bytes = node_.link_poll_write(id);
        if (bytes.empty()) return;
        std::error_code code;
        const std::size_t count =
            link.socket.write_some(asio::buffer(bytes.data(), bytes.size()), code);
        if (code == asio::error::would_block || code == asio::error::try_again) break;
        if (code == asio::error::interrupted) continue;
        if (code) return drop(id, Error::disconnected);
        node_.link_sent(clock_.monotonic(), id, count);
    }
    await_write(id, link);
}

void Links::drop(node::LinkId id, Error why) {
    links_.erase(id);
    node_.link_closed(clock_.monotonic(), id, why);
    changed_();
}

}  // namespace leat::net
