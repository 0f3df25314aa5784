// A tiny HTTP/1.1 server for status and metrics, on loopback by default: GET and HEAD, one answer
// per connection, then it closes.
//
// Bounded: request_head_max bytes, connections_max at once (one more is told 503), and exchange_max
// of time for all of it, so neither a slow nor a greedy client costs more than that.
#pragma once

#include <asio/io_context.hpp>
#include <asio/ip/tcp.hpp>
#include <asio/steady_timer.hpp>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace leat::ops {

struct HttpAnswer {
    int status = 200;
    const char* type = "text/plain; charset=utf-8";
    std::string body;
};

struct HttpLimits {
    std::size_t request_head_max = 4096;
    std::size_t connections_max = 16;
    std::chrono::milliseconds exchange_max{5000};
};

class HttpServer {
public:
    /// Makes the answer for a path (without its query).
    using Handler = std::function<HttpAnswer(std::string_view path)>;

    /// `acceptor` is listening. The handler is called on the thread of `io`.
    HttpServer(asio::io_context& io, asio::ip::tcp::acceptor acceptor, Handler handler,
               HttpLimits limits = {});
    ~HttpServer();

private:
    struct Exchange;
    void await_accept();
    void accept_some();

    asio::ip::tcp::acceptor acceptor_;
    asio::steady_timer pause_;
    Handler handler_;
    HttpLimits limits_;
    std::size_t open_ = 0;
    std::shared_ptr<bool> alive_ =
        std::make_shared<bool>(true);  ///< owners: this and each Exchange, which may end later
};

}  // namespace leat::ops
