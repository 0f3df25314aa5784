#include "sdk/host/tcp_link.hpp"

#include <asio/executor_work_guard.hpp>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <set>

#include "doctest/doctest.h"
#include "leat/time.hpp"
#include "tests/host/loopback_broker.hpp"

using namespace leat;
using namespace leat::testing;

namespace {

struct Owner final : host::TcpLink::Owner {
    void on_link_opened(std::uint64_t) override { opened = true; }
    void on_link_received(std::uint64_t, ByteView) override {}
    void on_link_sent(std::uint64_t, std::size_t) override {}
    void on_link_closed(std::uint64_t, Error why) override { closed = why; }
    bool opened = false;
    std::optional<Error> closed;
};

/// What became of an attempt to reach host:port.
Owner outcome_of(const std::string& name, std::uint16_t port) {
    asio::io_context io(1);
    const auto owner = std::make_shared<Owner>();
    const auto link = std::make_shared<host::TcpLink>(io, 1, owner);
    link->connect(name, port);
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (!owner->opened && !owner->closed && std::chrono::steady_clock::now() < end)
        io.run_one_for(std::chrono::milliseconds(50));
    link->close();
    io.run_for(std::chrono::milliseconds(10));
    return *owner;
}

}  // namespace

TEST_CASE("tcp link: a number and a name are reached, a port where nobody listens is refused") {
    std::uint16_t port = 0;
    {
        LoopbackBroker broker;
        port = static_cast<std::uint16_t>(broker.cluster.addresses.at(0).second);
        for (const char* name : {"127.0.0.1", "localhost"}) {
            INFO(name);
            for (int i = 0; i < 5; ++i) CHECK(outcome_of(name, port).opened);
        }
    }
    CHECK(outcome_of("127.0.0.1", port).closed == Error::refused);
    CHECK(outcome_of("localhost", port).closed == Error::refused);
}

// While JoinGroup waits nothing is sent: a router that forgot the connection was noticed after 305 s.
TEST_CASE("tcp link: one at rest is asked for a sign of life after a minute, not after two hours") {
    LoopbackBroker broker;
    const auto port = static_cast<std::uint16_t>(broker.cluster.addresses.at(0).second);
    asio::io_context io(1);
    const auto owner = std::make_shared<Owner>();
    const auto link = std::make_shared<host::TcpLink>(io, 1, owner);
    link->connect("127.0.0.1", port);
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (!owner->opened && std::chrono::steady_clock::now() < end)
        io.run_one_for(std::chrono::milliseconds(50));
    REQUIRE(owner->opened);
    // "sl: local remote st tx:rx tr:when ...", numbers in hexadecimal, when in 1/100 s.
    std::ifstream sockets("/proc/net/tcp");
    std::string line;
    int found = 0;
    while (std::getline(sockets, line)) {
        unsigned local = 0, remote = 0, state = 0, timer = 0, when = 0;
        if (std::sscanf(line.c_str(), " %*d: %*8x:%x %*8x:%x %x %*8x:%*8x %x:%x", &local, &remote,
                        &state, &timer, &when) != 5 ||
            remote != port || state != 1)
            continue;
        ++found;
        CHECK(timer == 2);  // keep-alive
        CHECK(when > 0);
        CHECK(when <= 6'100);
    }
    CHECK(found == 1);
    link->close();
    io.run_for(std::chrono::milliseconds(10));
}

TEST_CASE("tcp link: each address of a name has its turn to be the first, and none is left out") {
    using asio::ip::tcp;
    const std::vector<tcp::endpoint> all{{asio::ip::make_address("2001:db8::1"), 1},
                                         {asio::ip::make_address("192.0.2.1"), 1},
                                         {asio::ip::make_address("192.0.2.2"), 1}};
    std::set<tcp::endpoint> first;
    for (std::size_t by = 0; by < 6; ++by) {
        const auto order = host::turned(all, by);
        first.insert(order.front());
        CHECK(std::set<tcp::endpoint>(order.begin(), order.end()).size() == all.size());
    }
    CHECK(first.size() == all.size());
    CHECK(host::turned({}, 5).empty());
}
