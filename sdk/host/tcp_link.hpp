// One outgoing TCP connection: name lookup, connect, a read under way all the time, one gathered
// write at a time. Plain callbacks: GCC 12 destroys some temporaries of coroutines twice, and there
// is nothing here that a coroutine would make shorter.
#pragma once

#include <asio/io_context.hpp>
#include <asio/ip/tcp.hpp>
#include <memory>
#include <string>
#include <vector>

#include "leat/result.hpp"
#include "sdk/base/bytes.hpp"

namespace leat::host {

/// The addresses of a name, `by` places on: another one comes first. Who always began with the same
/// one would wait there for ever where it swallows everything (an IPv6 route that leads nowhere).
std::vector<asio::ip::tcp::endpoint> turned(std::vector<asio::ip::tcp::endpoint> addresses,
                                            std::size_t by);

/// A name is being looked up on this context. That cannot be interrupted, and lasts for half a
/// minute where no name server answers: destroying the context would wait for it.
bool is_looking_up(asio::io_context& io);

class TcpLink : public std::enable_shared_from_this<TcpLink> {
public:
    /// Told from the thread that runs the io_context, never from within a call on the link.
    class Owner {
    public:
        virtual void on_link_opened(std::uint64_t id) = 0;
        virtual void on_link_received(std::uint64_t id, ByteView bytes) = 0;
        virtual void on_link_sent(std::uint64_t id, std::size_t count) = 0;
        /// Once, and the last word; not after close(). Why: not_found (no such name), refused,
        /// timed_out, disconnected.
        virtual void on_link_closed(std::uint64_t id, Error why) = 0;

    protected:
        ~Owner() = default;
    };

    TcpLink(asio::io_context& io, std::uint64_t id, std::weak_ptr<Owner> owner);

    void connect(const std::string& host, std::uint16_t port);
    /// Sends some of `pieces`, in order; on_link_sent says how much. They are borrowed until then,
    /// or until close. One at a time.
    void write(std::span<const ByteView> pieces);
    bool is_writing() const { return is_writing_; }
    /// Nothing is told any more.
    void close();

private:
    using Endpoints = std::vector<asio::ip::tcp::endpoint>;
    void connect_to(const Endpoints& endpoints);
    void on_connected();
    void read();
    void fail_with(const std::error_code& error);
    template <class F>
    void tell(F&& f);

    static constexpr std::size_t read_bytes = 64 * 1024;
    static constexpr std::size_t pieces_max = 64;  // of one write: what Asio hands to one sendmsg

    asio::ip::tcp::socket socket_;
    asio::ip::tcp::resolver resolver_;
    std::weak_ptr<Owner> owner_;
    class LookUps;
    friend bool is_looking_up(asio::io_context& io);
    LookUps& look_ups_;  // of its context
    std::uint64_t id_;
    std::vector<std::uint8_t> received_;
    bool is_writing_ = false;
    bool is_closed_ = false;
};

}  // namespace leat::host
