// Outgoing connections: the node asks for them by name, and is told when they open, speak or end.
#pragma once

#include <asio/io_context.hpp>
#include <asio/ip/tcp.hpp>
#include <asio/steady_timer.hpp>
#include <functional>
#include <memory>
#include <unordered_map>
#include <vector>

#include "broker/node/node.hpp"
#include "leat/port/clock.hpp"

namespace leat::net {

class Links {
public:
    /// `changed` is called after each event that told the node something.
    Links(asio::io_context& io, node::Node& node, port::Clock& clock,
          std::function<void()> changed);

    /// Does one thing the node wants of a link; false: nothing to do.
    bool pump_one();
    std::size_t size() const { return links_.size(); }
    /// A name is being looked up, on a thread of Asio's that cannot be interrupted.
    bool resolving() const { return resolving_ > 0; }

private:
    struct Link {
        Link(asio::io_context& io, std::string host_in, std::uint16_t port_in)
            : host(std::move(host_in)), port(port_in), socket(io), patience(io) {}
        std::string host;
        std::uint16_t port;
        asio::ip::tcp::socket socket;
        asio::steady_timer patience;  ///< for resolving and each attempt to connect
        std::vector<asio::ip::tcp::endpoint> endpoints;
        std::size_t next_endpoint = 0;
        bool open = false, awaits_write = false;
        bool timed_out = false;
        Error last_error = Error::not_found;
    };

    Link* find(node::LinkId id);
    void connect(node::LinkId id, const std::string& host, std::uint16_t port);
    void try_next(node::LinkId id);
    void be_patient(node::LinkId id, Link& link);
    void opened(node::LinkId id, Link& link);
    void await_read(node::LinkId id, Link& link);
    void await_write(node::LinkId id, Link& link);
    void read_some(node::LinkId id, Link& link);
    void write_some(node::LinkId id, Link& link);
    void drop(node::LinkId id, Error why);

    asio::io_context& io_;
    node::Node& node_;
    port::Clock& clock_;
    std::function<void()> changed_;
    asio::ip::tcp::resolver resolver_;
    int resolving_ = 0;
    std::unordered_map<node::LinkId, std::unique_ptr<Link>> links_;
    std::unique_ptr<std::uint8_t[]>
        received_;  ///< shared by all links: the node copies what it keeps
};

}  // namespace leat::net
