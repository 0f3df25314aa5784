#include "sdk/host/tcp_link.hpp"

#include <algorithm>
#include <array>
#include <asio/connect.hpp>
#include <asio/post.hpp>

#include <netinet/tcp.h>
#include <sys/socket.h>

#include "sdk/host/system.hpp"

namespace leat::host {
namespace {

Error error_of(const std::error_code& code) {
    if (code == asio::error::connection_refused) return Error::refused;
    if (code == asio::error::timed_out) return Error::timed_out;
    if (code == asio::error::host_not_found || code == asio::error::no_data ||
        code == asio::error::host_not_found_try_again)
        return Error::not_found;
    return Error::disconnected;
}

/// A JoinGroup waits for minutes, and where a router has forgotten the connection meanwhile nobody
/// would notice for as long. Linux alone asks after two hours: here it is two minutes.
void keep_alive(asio::ip::tcp::socket& socket) {
    constexpr int idle_s = 60, between_s = 15, probes = 4;
    std::error_code ignored;
    socket.set_option(asio::socket_base::keep_alive(true), ignored);
    const auto set = [&socket](int option, int value) {
        (void)::setsockopt(socket.native_handle(), IPPROTO_TCP, option, &value, sizeof value);
    };
    set(TCP_KEEPIDLE, idle_s);
    set(TCP_KEEPINTVL, between_s);
    set(TCP_KEEPCNT, probes);
}

}  // namespace

std::vector<asio::ip::tcp::endpoint> turned(std::vector<asio::ip::tcp::endpoint> addresses,
                                            std::size_t by) {
    if (addresses.empty()) return addresses;
    const auto first = addresses.begin() + static_cast<std::ptrdiff_t>(by % addresses.size());
    std::rotate(addresses.begin(), first, addresses.end());
    return addresses;
}

/// How many are under way. Only the context's own thread counts.
class TcpLink::LookUps final : public asio::execution_context::service {
public:
    static inline asio::execution_context::id id;
    explicit LookUps(asio::execution_context& context) : service(context) {}
    int under_way = 0;

private:
    void shutdown() override {}
};

bool is_looking_up(asio::io_context& io) {
    return asio::use_service<TcpLink::LookUps>(io).under_way > 0;
}

TcpLink::TcpLink(asio::io_context& io, std::uint64_t id, std::weak_ptr<Owner> owner)
    : socket_(io),
      resolver_(io),
      owner_(std::move(owner)),
      look_ups_(asio::use_service<LookUps>(io)),
      id_(id) {}

template <class F>
void TcpLink::tell(F&& f) {
    // close() may come from another thread just now; the owner knows which ids are dead.
    if (is_closed_) return;
    if (const std::shared_ptr<Owner> owner = owner_.lock()) f(*owner);
}

void TcpLink::connect(const std::string& host, std::uint16_t port) {
    std::error_code not_numeric;
    const asio::ip::address address = asio::ip::make_address(host, not_numeric);
    if (!not_numeric) return connect_to({{address, port}});
    ++look_ups_.under_way;
    resolver_.async_resolve(
        host, std::to_string(port),
        [self = shared_from_this()](const std::error_code& error, const auto& found) {
            --self->look_ups_.under_way;
            if (self->is_closed_) return;
            if (error) return self->fail_with(error);
            Endpoints addresses;
            for (const auto& entry : found) addresses.push_back(entry.endpoint());
            self->connect_to(turned(std::move(addresses), any_seed()));
        });
}

void TcpLink::connect_to(const Endpoints& endpoints) {
    asio::async_connect(socket_, endpoints,
                        [self = shared_from_this()](const std::error_code& error, const auto&) {
                            if (self->is_closed_) return;
                            if (error) return self->fail_with(error);
                            self->on_connected();
                        });
}

void TcpLink::on_connected() {
    std::error_code ignored;
    socket_.set_option(asio::ip::tcp::no_delay(true), ignored);
    keep_alive(socket_);
    received_.resize(read_bytes);
    tell([this](Owner& owner) { owner.on_link_opened(id_); });
    if (!is_closed_) read();
}

void TcpLink::read() {
    socket_.async_read_some(
        asio::buffer(received_),
        [self = shared_from_this()](const std::error_code& error, std::size_t count) {
            if (self->is_closed_) return;
            if (error) return self->fail_with(error);
            self->tell([&](Owner& owner) {
                owner.on_link_received(self->id_, ByteView(self->received_).first(count));
            });
            if (!self->is_closed_) self->read();
        });
}

void TcpLink::write(std::span<const ByteView> pieces) {
    LEAT_CHECK(!is_writing_);
    std::array<asio::const_buffer, pieces_max> buffers;
    const std::size_t count = std::min(pieces.size(), pieces_max);
    for (std::size_t i = 0; i < count; ++i)
        buffers[i] = asio::buffer(pieces[i].data(), pieces[i].size());
    is_writing_ = true;
    socket_.async_write_some(
        buffers, [self = shared_from_this()](const std::error_code& error, std::size_t sent) {
            self->is_writing_ = false;
            if (self->is_closed_) return;
            // The read that is always under way reports the end of the connection, with whatever
            // came before it.
            if (error == asio::error::broken_pipe || error == asio::error::connection_reset) return;
            if (error) return self->fail_with(error);
            self->tell([&](Owner& owner) { owner.on_link_sent(self->id_, sent); });
        });
}

void TcpLink::fail_with(const std::error_code& error) {
    if (is_closed_) return;
    const Error why = error_of(error);
    tell([&](Owner& owner) { owner.on_link_closed(id_, why); });
    close();
}

void TcpLink::close() {
    if (is_closed_) return;
    is_closed_ = true;
    std::error_code ignored;
    resolver_.cancel();
    socket_.close(ignored);
}

}  // namespace leat::host
