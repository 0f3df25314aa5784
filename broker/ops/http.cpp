#include "broker/ops/http.hpp"

#include <algorithm>
#include <array>
#include <asio/write.hpp>
#include <vector>

namespace leat::ops {
namespace {

using asio::ip::tcp;

const char* reason_of(int status) {
    switch (status) {
        case 200:
            return "OK";
        case 400:
            return "Bad Request";
        case 404:
            return "Not Found";
        case 405:
            return "Method Not Allowed";
        case 431:
            return "Request Header Fields Too Large";
        default:
            return "Service Unavailable";
    }
}

}  // namespace

// Owned by the handlers that wait on its socket and timer; the last one to run ends it.
struct HttpServer::Exchange : std::enable_shared_from_this<Exchange> {
    Exchange(HttpServer& server_in, tcp::socket socket_in)
        : server(server_in),
          alive(server_in.alive_),
          socket(std::move(socket_in)),
          patience(socket.get_executor()) {
        ++server.open_;
    }
    ~Exchange() {
        if (*alive) --server.open_;
    }

    void begin(bool busy) {
        patience.expires_after(server.limits_.exchange_max);
        patience.async_wait([self = shared_from_this()](const std::error_code& code) {
            std::error_code ignored;
            if (!code) self->socket.close(ignored);
        });
        if (busy)
            answer({503, "text/plain; charset=utf-8", "too many connections; try again\n"}, true);
        else
            read_head();
    }

    void read_head() {
        const std::size_t had = head.size();
        head.resize(had + 1024);
        socket.async_read_some(
            asio::buffer(head.data() + had, 1024),
            [self = shared_from_this(), had](const std::error_code& code, std::size_t count) {
                self->head.resize(had + count);
                if (code || !*self->alive) return self->end();
                if (self->head.find("\r\n\r\n") != std::string::npos ||
                    self->head.find("\n\n") != std::string::npos)
                    return self->dispatch();
                if (self->head.size() >= self->server.limits_.request_head_max)
                    return self->answer(
                        {431, "text/plain; charset=utf-8", "the request is too long\n"}, true);
                self->read_head();
            });
    }

    void dispatch() {
        std::string_view line = std::string_view(head).substr(0, head.find_first_of("\r\n"));
        const std::size_t first = line.find(' '), second = line.rfind(' ');
        if (first == std::string_view::npos || second <= first + 1 ||
            !line.substr(second + 1).starts_with("HTTP/1."))
            return answer({400, "text/plain; charset=utf-8",
                           "this port speaks HTTP; Kafka clients use another one\n"},
                          true);
        const std::string_view method = line.substr(0, first);
        std::string_view path = line.substr(first + 1, second - first - 1);
        path = path.substr(0, path.find_first_of("?#"));
        if (method != "GET" && method != "HEAD")
            return answer({405, "text/plain; charset=utf-8", "only GET and HEAD\n"}, true);
        const bool with_body = method == "GET";
        answer(server.handler_(path), with_body);
    }

    void answer(HttpAnswer made, bool with_body) {
        out = "HTTP/1.1 " + std::to_string(made.status) + " " + reason_of(made.status) +
              "\r\nContent-Type: " + made.type +
              "\r\nContent-Length: " + std::to_string(made.body.size()) +
              "\r\nCache-Control: no-store\r\nConnection: close\r\n" +
              (made.status == 405 ? "Allow: GET, HEAD\r\n" : "") + "\r\n";
        if (with_body) out += made.body;
        asio::async_write(socket, asio::buffer(out),
                          [self = shared_from_this()](const std::error_code& code, std::size_t) {
                              std::error_code ignored;
                              self->socket.shutdown(tcp::socket::shutdown_send, ignored);
                              if (code || ignored) return self->end();
                              self->drain();
                          });
    }

    // Closing with unread bytes would reset the connection and could take the answer from the
    // client.
    void drain() {
        head.resize(1024);
        socket.async_read_some(asio::buffer(head), [self = shared_from_this()](
                                                       const std::error_code& code, std::size_t) {
            if (code) return self->end();
            self->drain();
        });
    }

    void end() {
        std::error_code ignored;
        socket.close(ignored);
        patience.cancel();
    }

    HttpServer& server;  // used only while *alive
    std::shared_ptr<bool> alive;
    tcp::socket socket;
    asio::steady_timer patience;
    std::string head, out;
};

HttpServer::HttpServer(asio::io_context& io, tcp::acceptor acceptor, Handler handler,
                       HttpLimits limits)
    : acceptor_(std::move(acceptor)), pause_(io), handler_(std::move(handler)), limits_(limits) {
    await_accept();
}

HttpServer::~HttpServer() { *alive_ = false; }

void HttpServer::await_accept() {
    acceptor_.async_wait(tcp::acceptor::wait_read,
                         [this, alive = alive_](const std::error_code& code) {
                             if (code || !*alive) return;
                             accept_some();
                         });
}

void HttpServer::accept_some() {
    std::error_code code;
    tcp::socket socket(acceptor_.get_executor());
    acceptor_.accept(socket, code);
    if (!code) {
        socket.non_blocking(true, code);
        // Twice the limit are told to come back; beyond that there is only the closed door.
        if (open_ < 2 * limits_.connections_max)
            std::make_shared<Exchange>(*this, std::move(socket))
                ->begin(open_ > limits_.connections_max);
        return await_accept();
    }
    if (code == asio::error::would_block || code == asio::error::try_again ||
        code == asio::error::connection_aborted)
        return await_accept();
    constexpr std::chrono::milliseconds out_of_descriptors{500};
    pause_.expires_after(out_of_descriptors);
    pause_.async_wait([this, alive = alive_](const std::error_code& aborted) {
        if (!aborted && *alive) accept_some();
    });
}

}  // namespace leat::ops
