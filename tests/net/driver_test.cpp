#include "broker/net/driver.hpp"

#include <doctest/doctest.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <asio/read.hpp>
#include <asio/write.hpp>
#include <future>
#include <thread>

#include "broker/net/bind.hpp"
#include "broker/net/system.hpp"
#include "tests/net/fake_node.hpp"

using namespace leat;
using asio::ip::tcp;

namespace {

struct Bench {
    explicit Bench(unsigned worker_threads = 0)
        : driver(
              io, node, clock, [this](const node::Event& event) { events.push_back(event); },
              worker_threads) {
        tcp::acceptor acceptor(io);
        std::string why;
        REQUIRE(net::bind_to(acceptor, at, why));
        REQUIRE(net::start_listening(acceptor, at, why));
        driver.accept_on(std::move(acceptor));
    }
    tcp::socket connect() {
        tcp::socket client(client_io);
        client.connect({asio::ip::address_v4::loopback(), at.port});
        return client;
    }
    // Runs the loop until `done` or ten seconds have passed.
    template <class Done>
    bool until(Done done) {
        const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
        while (!done()) {
            if (std::chrono::steady_clock::now() >= end) return false;
            io.run_one_for(
                std::chrono::milliseconds(1));  // a client's socket is no event of this loop
        }
        return true;
    }
    bool open(std::size_t count) {
        return until([&] { return node.open_sessions() == count; });
    }
    // What the client has received once it is `wanted` bytes, or after ten seconds.
    std::string received(tcp::socket& client, std::size_t wanted) {
        std::string text;
        client.non_blocking(true);
        until([&] {
            std::array<char, 65536> piece;
            std::error_code code;
            text.append(piece.data(), client.read_some(asio::buffer(piece), code));
            return text.size() >= wanted;
        });
        return text;
    }
    bool closed_by_us(tcp::socket& client) {
        client.non_blocking(true);
        return until([&] {
            char byte;
            std::error_code code;
            client.read_some(asio::buffer(&byte, 1), code);
            return code && code != asio::error::would_block;
        });
    }

    asio::io_context io, client_io;
    test::FakeNode node;
    net::SystemClock clock;
    std::vector<node::Event> events;
    config::HostPort at{"127.0.0.1", 0};
    net::Driver driver;
};

}  // namespace

TEST_CASE(
    "what a client sends comes back whole, through a window of one byte as through a large one") {
    for (const std::size_t window : {1, 16, 100'000}) {
        CAPTURE(window);
        Bench bench;
        bench.node.window_bytes = window;
        auto client = bench.connect();
        std::string text;
        for (int i = 0; i < 5000; ++i) text += std::to_string(i) + " ";
        asio::write(client, asio::buffer(text));
        CHECK((bench.received(client, text.size()) == text));
        CHECK(bench.node.sessions.at(1).peer ==
              "127.0.0.1:" + std::to_string(client.local_endpoint().port()));
    }
}

TEST_CASE("a response larger than the socket's buffers is sent as the client reads it") {
    Bench bench;
    bench.node.echo = false;
    auto client = bench.connect();
    REQUIRE(bench.open(1));
    const std::string text(8 * 1024 * 1024, 'x');
    bench.node.send(1, text);
    bench.driver.start();
    CHECK(bench.node.sessions.at(1).out.size() > 0);  // more than the kernel takes at once
    CHECK((bench.received(client, text.size()) == text));
    CHECK(bench.node.sessions.at(1).out.empty());
}

TEST_CASE("with the window shut nothing is read and the loop sleeps; opened, everything arrives") {
    Bench bench;
    bench.node.window_shut = true;
    bench.node.echo = false;
    auto client = bench.connect();
    asio::write(client, asio::buffer("hello", 5));
    REQUIRE(bench.open(1));
    // At most: the accept, the first readiness. After that there is nothing to run.
    for (int i = 0; i < 10; ++i) bench.io.poll();
    CHECK(bench.io.poll() == 0);
    CHECK(bench.node.sessions.at(1).in.empty());
    bench.node.open_window();
    bench.driver.start();
    CHECK(bench.until([&] { return bench.node.sessions.at(1).in == "hello"; }));
}

TEST_CASE(
    "a session that wants to be closed is closed after its bytes, and the node hears it once") {
    Bench bench;
    auto client = bench.connect();
    REQUIRE(bench.open(1));
    bench.node.send(1, "bye");
    bench.node.sessions.at(1).wants_close = true;
    bench.driver.start();
    CHECK(bench.node.sessions.at(1).closed);
    CHECK(bench.received(client, 3) == "bye");
    CHECK(bench.closed_by_us(client));
    CHECK(bench.driver.connections() == 0);
}

TEST_CASE("a client that leaves is forgotten; so is one that resets") {
    Bench bench;
    {
        auto leaves = bench.connect();
        auto resets = bench.connect();
        REQUIRE(bench.open(2));
        resets.set_option(asio::socket_base::linger(true, 0));
    }
    CHECK(bench.open(0));
    CHECK(bench.driver.connections() == 0);
}

TEST_CASE(
    "at the limit of connections the next one is closed, and there is room again when one leaves") {
    Bench bench;
    bench.node.sessions_max = 2;
    auto first = bench.connect(), second = bench.connect();
    REQUIRE(bench.open(2));
    auto third = bench.connect();
    CHECK(bench.closed_by_us(third));
    first.close();
    REQUIRE(bench.open(1));
    auto fourth = bench.connect();
    CHECK(bench.open(2));
}

TEST_CASE("out of descriptors: one line, no spinning, and it goes on when some are free") {
    Bench bench;
    auto waits = bench.connect();
    rlimit before{}, low{};
    REQUIRE(::getrlimit(RLIMIT_NOFILE, &before) == 0);
    const int next = ::dup(0);
    low = before;
    low.rlim_cur = static_cast<rlim_t>(next);
    ::close(next);
    REQUIRE(::setrlimit(RLIMIT_NOFILE, &low) == 0);
    int runs = 0;
    CHECK(bench.until([&] { return ++runs, !bench.events.empty(); }));
    const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(250);
    while (bench.io.run_one_until(end) != 0) ++runs;
    CHECK(runs < 10);
    CHECK(bench.events.size() == 1);
    CHECK(bench.events.at(0).text.find("ulimit -n") != std::string::npos);
    REQUIRE(::setrlimit(RLIMIT_NOFILE, &before) == 0);
    CHECK(bench.open(1));
}

TEST_CASE("the deadline is told once, not before its time, also when it moves nearer or away") {
    Bench bench;
    const Instant begin = bench.clock.monotonic();
    bench.node.deadline_at = begin + milliseconds(5000);
    bench.driver.start();
    bench.node.deadline_at = begin + milliseconds(30);
    bench.driver.start();
    CHECK(bench.until([&] { return bench.node.deadlines == 1; }));
    CHECK(bench.node.last_deadline >= begin + milliseconds(30));
    CHECK(bench.node.last_deadline < begin + milliseconds(3000));
    const Instant again = bench.clock.monotonic();
    bench.node.deadline_at = again + milliseconds(10);
    bench.driver.start();
    bench.node.deadline_at = again + milliseconds(60);  // the timer still goes off after 10 ms
    CHECK(bench.until([&] { return bench.node.deadlines == 2; }));
    CHECK(bench.node.last_deadline >= again + milliseconds(60));
}

// In nanoseconds, which the timer counts in, these two are beyond what 64 bits hold: wrapped, the
// first would come back as centuries from now, the second as long ago.
constexpr std::int64_t wraps_ms = INT64_MAX / 1'000'000 + 1;

TEST_CASE("a deadline in the far past is told at once") {
    Bench bench;
    for (const Instant past : {instant_ms(-wraps_ms), Instant::min()}) {
        const int told = bench.node.deadlines;
        bench.node.deadline_at = past;
        bench.driver.start();
        CHECK(bench.until([&] { return bench.node.deadlines == told + 1; }));
    }
}

TEST_CASE("what is due at once waits for those who are ready by then: one commit for all of them") {
    Bench bench;
    tcp::socket first = bench.connect(), second = bench.connect();
    REQUIRE(bench.open(2));
    std::size_t heard = 0;
    bench.node.on_received = [&](node::SessionId) {
        if (++heard > 1) return;
        bench.node.deadline_at = bench.clock.monotonic();
        asio::write(second, asio::buffer("b", 1));
    };
    asio::write(first, asio::buffer("a", 1));
    CHECK(bench.until([&] { return bench.node.deadlines == 1; }));
    CHECK(heard == 2);
}

TEST_CASE("with a deadline in the far future the loop sleeps, and a nearer one is still told") {
    for (const Instant future : {instant_ms(wraps_ms), never - milliseconds(1)}) {
        Bench bench;
        bench.node.deadline_at = future;
        bench.driver.start();
        int runs = 0;
        const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(50);
        while (runs < 100 && bench.io.run_one_until(end) != 0) ++runs;
        CHECK(runs < 3);
        CHECK(bench.node.deadlines == 0);
        bench.node.deadline_at = bench.clock.monotonic() + milliseconds(10);
        bench.driver.start();
        CHECK(bench.until([&] { return bench.node.deadlines == 1; }));
    }
}

TEST_CASE("the device's eventfd reaches the node, and is left open at the end") {
    const int fd = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    {
        Bench bench;
        bench.driver.watch_storage(fd);
        for (int i = 1; i <= 3; ++i) {
            const std::uint64_t one = 1;
            REQUIRE(::write(fd, &one, sizeof one) == sizeof one);
            CHECK(bench.until([&] { return bench.node.storage_events == i; }));
        }
        CHECK(bench.io.poll() == 0);
    }
    std::uint64_t count;
    CHECK(::read(fd, &count, sizeof count) == -1);  // cleared, and still a valid descriptor
    CHECK(::close(fd) == 0);
}

TEST_CASE("stopping closes the listener and waits for unsent bytes of a client that reads") {
    Bench bench;
    auto client = bench.connect();
    REQUIRE(bench.open(1));
    const std::string text(16 * 1024 * 1024, 'y');  // more than two sockets take unread
    bench.node.send(1, text);
    bench.driver.start();
    bool done = false;
    bench.driver.stop([&] { done = true; });
    CHECK(bench.node.stops == 1);
    CHECK_FALSE(done);
    CHECK(bench.received(client, text.size()).size() == text.size());
    CHECK(bench.until([&] { return done; }));
    tcp::socket late(bench.client_io);
    std::error_code code;
    late.connect({asio::ip::address_v4::loopback(), bench.at.port}, code);
    CHECK(code == asio::error::connection_refused);
}

TEST_CASE("stopping does not wait for ever for a client that never reads") {
    Bench bench;
    auto client = bench.connect();
    REQUIRE(bench.open(1));
    bench.node.send(1, std::string(8 * 1024 * 1024, 'z'));
    bench.driver.start();
    bool done = false;
    bench.driver.stop([&] { done = true; });
    CHECK(bench.until([&] { return done; }));
}

TEST_CASE("the node's events come out in order") {
    Bench bench;
    bench.node.events.push_back({node::Event::Level::warn, "log", "one"});
    bench.node.events.push_back({node::Event::Level::info, "log", "two"});
    bench.driver.start();
    REQUIRE(bench.events.size() == 2);
    CHECK(bench.events[1].text == "two");
}

TEST_CASE("work runs beside the loop, or on it, and is told on it, once") {
    for (const unsigned threads : {0u, 2u}) {
        CAPTURE(threads);
        Bench bench(threads);
        const std::thread::id loop = std::this_thread::get_id();
        static constexpr std::size_t count = 200;
        std::vector<std::thread::id> ran_on(count);
        bool told_on_loop = true;
        bench.node.on_work_done = [&](node::WorkId id) {
            told_on_loop &= std::this_thread::get_id() == loop;
            if (id < count / 2)  // an end may bring more
                bench.node.works.push_back({id + count / 2, [&ran_on, id] {
                                                ran_on[id + count / 2] = std::this_thread::get_id();
                                            }});
        };
        for (std::size_t id = 0; id < count / 2; ++id)
            bench.node.works.push_back(
                {id, [&ran_on, id] { ran_on[id] = std::this_thread::get_id(); }});
        bench.driver.start();
        REQUIRE(bench.until([&] { return bench.node.works_done.size() == count; }));
        CHECK(told_on_loop);
        for (const std::thread::id id : ran_on) CHECK((id == loop) == (threads == 0));
        std::sort(bench.node.works_done.begin(), bench.node.works_done.end());
        for (std::size_t id = 0; id < count; ++id) CHECK(bench.node.works_done[id] == id);
    }
}

TEST_CASE("a long work does not hold up a client") {
    std::promise<void> go;
    Bench bench(1);
    auto client = bench.connect();
    REQUIRE(bench.open(1));
    bench.node.works.push_back({1, [may_go = go.get_future().share()] { may_go.wait(); }});
    bench.driver.start();
    asio::write(client, asio::buffer("hello", 5));
    CHECK(bench.received(client, 5) == "hello");
    CHECK(bench.node.works_done.empty());
    go.set_value();
    CHECK(bench.until([&] { return bench.node.works_done.size() == 1; }));
}

TEST_CASE("an answer of megabytes leaves in parts, between which others have their turn") {
    constexpr std::size_t part = 256 * 1024;
    Bench bench;
    bench.node.echo = false;
    auto client = bench.connect();
    client.set_option(asio::socket_base::receive_buffer_size(8 * 1024 * 1024));
    REQUIRE(bench.open(1));
    const std::string text(8 * MiB, 'x');
    bench.node.send(1, text);
    bench.driver.start();
    CHECK(bench.node.sessions.at(1).out.size() >= text.size() - part);
    CHECK((bench.received(client, text.size()) == text));
}

TEST_CASE("sessions that make each other ready without end do not keep a socket unread") {
    Bench bench;
    auto restless = bench.connect(), quiet = bench.connect();
    REQUIRE(bench.open(2));
    asio::write(quiet, asio::buffer("hello", 5));
    bench.node.looked_after = 0;
    bench.node.restless = 1;
    bench.node.restless_left = 100'000;
    bench.driver.start();
    CHECK(bench.node.looked_after < 100);
    const auto heard = [&] {
        const auto& sessions = bench.node.sessions;
        return sessions.at(1).in == "hello" || sessions.at(2).in == "hello";
    };
    CHECK(bench.until(heard));
    CHECK(bench.node.restless_left > 99'000);
    CHECK(bench.until([&] { return bench.node.restless_left == 0; }));
    // Whoever stops waits for those that are ready.
    bench.node.restless_left = 1000;
    bool done = false;
    bench.driver.stop([&] { done = true; });
    CHECK_FALSE(done);
    CHECK(bench.until([&] { return done; }));
    CHECK(bench.node.restless_left == 0);
}
