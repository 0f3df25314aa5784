#include <doctest/doctest.h>

#include <asio/read.hpp>
#include <asio/write.hpp>

#include "broker/net/bind.hpp"
#include "broker/net/driver.hpp"
#include "broker/net/system.hpp"
#include "tests/net/fake_node.hpp"

using namespace leat;
using asio::ip::tcp;

namespace {

struct Bench {
    Bench()
        : upstream(server_io, tcp::endpoint(asio::ip::address_v4::loopback(), 0)),
          driver(io, node, clock, [](const node::Event&) {}) {}
    template <class Done>
    bool until(Done done) {
        const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
        while (!done()) {
            if (std::chrono::steady_clock::now() >= end) return false;
            if (io.stopped()) io.restart();
            io.run_one_for(std::chrono::milliseconds(1));
        }
        return true;
    }
    std::uint16_t port() { return upstream.local_endpoint().port(); }

    asio::io_context io, server_io;
    tcp::acceptor upstream;
    test::FakeNode node;
    net::SystemClock clock;
    net::Driver driver;
};

}  // namespace

TEST_CASE("a link opens by address and by name, carries bytes both ways, and its end is told") {
    for (const char* host : {"127.0.0.1", "localhost"}) {
        CAPTURE(host);
        Bench bench;
        bench.node.want_link(7, host, bench.port());
        bench.driver.start();
        REQUIRE(bench.until([&] { return bench.node.links[7].opened; }));
        tcp::socket server = bench.upstream.accept();
        const std::string text(1024 * 1024, 'q');
        bench.node.link_send(7, text);
        bench.driver.start();
        server.non_blocking(true);
        std::string got;
        CHECK(bench.until([&] {
            std::array<char, 65536> piece;
            std::error_code code;
            got.append(piece.data(), server.read_some(asio::buffer(piece), code));
            bench.io.poll();
            return got.size() == text.size();
        }));
        server.non_blocking(false);
        asio::write(server, asio::buffer("answer", 6));
        CHECK(bench.until([&] { return bench.node.links[7].in == "answer"; }));
        server.close();
        CHECK(bench.until([&] { return bench.node.links[7].closed; }));
        CHECK(bench.node.links[7].why == Error::disconnected);
    }
}

TEST_CASE("a refused or unknown upstream is told with its reason") {
    Bench bench;
    const std::uint16_t port = bench.port();
    bench.upstream.close();
    bench.node.want_link(1, "127.0.0.1", port);
    bench.node.want_link(2, "no-such-host.invalid", port);
    bench.driver.start();
    CHECK(bench.until([&] { return bench.node.links[1].closed && bench.node.links[2].closed; }));
    CHECK(bench.node.links[1].why == Error::refused);
    CHECK(bench.node.links[2].why == Error::not_found);
    CHECK_FALSE(bench.node.links[1].opened);
}

TEST_CASE(
    "a link closed by the node, connected or still connecting, is closed without another word") {
    Bench bench;
    bench.node.want_link(1, "127.0.0.1", bench.port());
    bench.driver.start();
    REQUIRE(bench.until([&] { return bench.node.links[1].opened; }));
    tcp::socket server = bench.upstream.accept();
    bench.node.close_link(1);
    bench.node.want_link(2, "127.0.0.1", bench.port());
    bench.node.close_link(2);
    bench.driver.start();
    char byte;
    std::error_code code;
    server.read_some(asio::buffer(&byte, 1), code);
    CHECK(code == asio::error::eof);
    for (int i = 0; i < 20; ++i) bench.io.poll();
    CHECK_FALSE(bench.node.links[1].closed);
    CHECK_FALSE(bench.node.links[2].opened);
}
