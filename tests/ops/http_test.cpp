#include "broker/ops/http.hpp"

#include <doctest/doctest.h>

#include <asio/write.hpp>

#include <array>
#include <optional>
#include <vector>

using namespace leat::ops;
using asio::ip::tcp;

namespace {

struct Bench {
    explicit Bench(HttpLimits limits = {}) {
        tcp::acceptor acceptor(io, tcp::endpoint(asio::ip::address_v4::loopback(), 0));
        acceptor.non_blocking(true);
        at = acceptor.local_endpoint();
        server.emplace(
            io, std::move(acceptor),
            [](std::string_view path) {
                return path == "/x" ? HttpAnswer{200, "text/plain", "body"}
                                    : HttpAnswer{404, "text/plain", "no"};
            },
            limits);
    }
    tcp::socket connect() {
        tcp::socket client(client_io);
        client.connect(at);
        client.non_blocking(true);
        return client;
    }
    // Sends and reads until the server closes, or `patience` is over.
    std::string exchange(tcp::socket& client, std::string_view request,
                         std::chrono::milliseconds patience = std::chrono::seconds(10)) {
        std::error_code code;
        client.non_blocking(false);
        asio::write(client, asio::buffer(request), code);
        client.non_blocking(true);
        return rest(client, patience);
    }
    std::string rest(tcp::socket& client, std::chrono::milliseconds patience) {
        std::string text;
        closed = false;
        const auto end = std::chrono::steady_clock::now() + patience;
        while (std::chrono::steady_clock::now() < end) {
            std::array<char, 4096> piece;
            std::error_code code;
            text.append(piece.data(), client.read_some(asio::buffer(piece), code));
            if (code && code != asio::error::would_block) {
                closed = true;
                client.close(code);
                io.poll();
                return text;
            }
            io.run_one_for(std::chrono::milliseconds(1));
        }
        return text;
    }
    std::string ask(std::string_view request) {
        auto client = connect();
        return exchange(client, request);
    }

    asio::io_context io, client_io;
    tcp::endpoint at;
    std::optional<HttpServer> server;
    bool closed = false;
};

}  // namespace

TEST_CASE("GET and HEAD are answered and the connection closes; anything else gets its status") {
    Bench bench;
    const std::string got = bench.ask("GET /x?y=1 HTTP/1.1\r\nHost: a\r\n\r\n");
    CHECK(got.starts_with("HTTP/1.1 200 OK\r\n"));
    CHECK(got.find("Content-Length: 4\r\n") != std::string::npos);
    CHECK(got.ends_with("\r\n\r\nbody"));
    const std::string head = bench.ask("HEAD /x HTTP/1.0\r\n\r\n");
    CHECK(head.find("Content-Length: 4\r\n") != std::string::npos);
    CHECK(head.ends_with("\r\n\r\n"));
    CHECK(bench.ask("GET /nothing HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 404 "));
    CHECK(
        bench.ask("POST /x HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc").starts_with("HTTP/1.1 405 "));
    CHECK(bench.ask("GET /x\r\n\r\n").starts_with("HTTP/1.1 400 "));
    CHECK(bench.ask(std::string_view("\0\0\0\x17\0\x12\0\x03\r\n\r\n", 12))
              .starts_with("HTTP/1.1 400 "));
}

TEST_CASE("a request in pieces is waited for; an endless one is refused at the bound") {
    Bench bench;
    auto client = bench.connect();
    CHECK(bench.exchange(client, "GET /x HT", std::chrono::milliseconds(20)).empty());
    CHECK(bench.exchange(client, "TP/1.1\r\n\r\n").ends_with("body"));
    CHECK(bench.ask("GET /" + std::string(100'000, 'a')).starts_with("HTTP/1.1 431 "));
}

TEST_CASE("a client that says nothing is closed when its time is over") {
    Bench bench({.exchange_max = std::chrono::milliseconds(50)});
    auto client = bench.connect();
    CHECK(bench.exchange(client, "GET ").empty());
    CHECK(bench.closed);
}

TEST_CASE("one more than the limit is told 503, and served once others are gone") {
    Bench bench({.connections_max = 2});
    std::vector<tcp::socket> idle;
    for (int i = 0; i < 2; ++i) idle.push_back(bench.connect());
    for (int i = 0; i < 10; ++i) bench.io.poll();
    CHECK(bench.ask("GET /x HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 503 "));
    idle.clear();
    for (int i = 0; i < 10; ++i) bench.io.poll();
    CHECK(bench.ask("GET /x HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 200 "));
}

TEST_CASE("the server may go while an exchange is open") {
    Bench bench;
    auto client = bench.connect();
    for (int i = 0; i < 10; ++i) bench.io.poll();
    bench.server.reset();
    bench.exchange(client, "GET /x HTTP/1.1\r\n\r\n");
    CHECK(bench.closed);
}
