#include "broker/net/bind.hpp"

#include <doctest/doctest.h>
#include <stdlib.h>

#include <asio/io_context.hpp>

#include "broker/net/system.hpp"

using namespace leat;
using asio::ip::tcp;

TEST_CASE("port 0 becomes the real one; the same port again is busy, with what to do") {
    asio::io_context io;
    tcp::acceptor first(io), second(io);
    config::HostPort at{"localhost", 0};
    std::string why;
    REQUIRE(net::bind_to(first, at, why));
    CHECK(at.port != 0);
    CHECK(first.local_endpoint().address().is_v4());
    REQUIRE(net::start_listening(first, at, why));
    const Status again = net::bind_to(second, at, why);
    REQUIRE_FALSE(again);
    CHECK(again.error() == Error::busy);
    CHECK(why.find(std::to_string(at.port)) != std::string::npos);
    CHECK(why.find("--listen") != std::string::npos);
}

TEST_CASE("an address that is not ours and a host that does not exist are told apart") {
    asio::io_context io;
    tcp::acceptor acceptor(io);
    std::string why;
    config::HostPort foreign{"192.0.2.1", 0}, unknown{"no-such-host.invalid", 0};
    const Status not_ours = net::bind_to(acceptor, foreign, why);
    REQUIRE_FALSE(not_ours);
    CHECK(not_ours.error() == Error::invalid);
    const Status nobody = net::bind_to(acceptor, unknown, why);
    REQUIRE_FALSE(nobody);
    CHECK(nobody.error() == Error::not_found);
}

TEST_CASE("the test clock starts in 1970 and jumps; monotonic time does not") {
    ::setenv("LEAT_TEST_WALL", "5,0,1790000000000", 1);
    net::SystemClock jumped;
    ::setenv("LEAT_TEST_WALL", "5", 1);
    net::SystemClock early;
    ::unsetenv("LEAT_TEST_WALL");
    net::SystemClock real;
    CHECK(jumped.wall() >= wall_ms(1790000000000));
    CHECK(early.wall() < wall_ms(60'000));
    CHECK(real.wall() > wall_ms(1'600'000'000'000));
    CHECK(early.monotonic() - real.monotonic() < milliseconds(1000));
}

TEST_CASE("random bytes are not all alike") {
    net::SystemEntropy entropy;
    std::uint8_t a[32] = {}, b[32] = {};
    REQUIRE(entropy.fill(a));
    REQUIRE(entropy.fill(b));
    CHECK(std::memcmp(a, b, sizeof a) != 0);
}
