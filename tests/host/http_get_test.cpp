#include "sdk/host/http_get.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <thread>

#include "doctest/doctest.h"

using namespace leat;

namespace {

/// Answers one connection with `text`, in two pieces, and hangs up.
class OneAnswer {
public:
    explicit OneAnswer(std::string text) : listener_(::socket(AF_INET, SOCK_STREAM, 0)) {
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = ::htonl(INADDR_LOOPBACK);
        REQUIRE(::bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
        REQUIRE(::listen(listener_, 1) == 0);
        socklen_t size = sizeof address;
        ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size);
        port = ::ntohs(address.sin_port);
        thread_ = std::thread([this, text = std::move(text)] {
            const int peer = ::accept(listener_, nullptr, nullptr);
            char request[4096];
            got.assign(request, static_cast<std::size_t>(std::max<ssize_t>(
                                    0, ::recv(peer, request, sizeof request, 0))));
            const std::size_t half = text.size() / 2;
            (void)!::send(peer, text.data(), half, MSG_NOSIGNAL);
            (void)!::send(peer, text.data() + half, text.size() - half, MSG_NOSIGNAL);
            ::close(peer);
        });
    }
    ~OneAnswer() {
        join();
        ::close(listener_);
    }
    void join() {
        if (thread_.joinable()) thread_.join();
    }
    std::uint16_t port = 0;
    std::string got;

private:
    int listener_;
    std::thread thread_;
};

}  // namespace

TEST_CASE("http_get: status and body of a whole answer") {
    OneAnswer server("HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n{\"a\": 1}");
    const auto answer = host::http_get("127.0.0.1", server.port, "/status", milliseconds(5000));
    REQUIRE(answer);
    CHECK(answer->status == 200);
    CHECK(answer->body == "{\"a\": 1}");
    server.join();
    CHECK(server.got.starts_with("GET /status HTTP/1.1\r\nHost: 127.0.0.1:"));
}

TEST_CASE("http_get: cut short, not HTTP, nobody there") {
    {
        OneAnswer server("HTTP/1.1 200 OK\r\nContent-Length: 80\r\n\r\n{\"a\": 1}");
        CHECK(host::http_get("127.0.0.1", server.port, "/", milliseconds(5000)).error() ==
              Error::disconnected);
    }
    {
        OneAnswer server("\x00\x00\x00\x04 no HTTP at all");
        CHECK(host::http_get("127.0.0.1", server.port, "/", milliseconds(5000)).error() ==
              Error::malformed);
    }
    std::uint16_t gone = 0;
    {
        OneAnswer server("HTTP/1.1 404 Not Found\r\n\r\n");
        gone = server.port;
        CHECK(host::http_get("127.0.0.1", server.port, "/", milliseconds(5000))->status == 404);
    }
    CHECK(host::http_get("127.0.0.1", gone, "/", milliseconds(5000)).error() == Error::refused);
}
