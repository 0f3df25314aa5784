#include "tests/bench/raw_client.hpp"

#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace leat::bench {
namespace {
constexpr std::size_t read_bytes = 256 * 1024;
constexpr std::size_t answer_bytes_max = 256 * 1024 * 1024;
}  // namespace

void die(const std::string& text) {
    std::fprintf(stderr, "groups_bench: %s\n", text.c_str());
    std::exit(1);
}

Connections::Connections(const std::string& bootstrap) {
    const std::size_t colon = bootstrap.rfind(':');
    if (colon == std::string::npos) die("not HOST:PORT: " + bootstrap);
    host_ = bootstrap.substr(0, colon);
    port_ = bootstrap.substr(colon + 1);
    received_ = std::make_unique_for_overwrite<std::uint8_t[]>(read_bytes);
    epoll_ = epoll_create1(EPOLL_CLOEXEC);
    if (epoll_ < 0) die("epoll");
}

Connections::~Connections() {
    for (const One& one : all_) close(one.fd);
    close(epoll_);
}

int Connections::open() {
    addrinfo hints{}, *found = nullptr;
    hints.ai_family = AF_INET;
    hints.ai_socktype = SOCK_STREAM;
    if (getaddrinfo(host_.c_str(), port_.c_str(), &hints, &found) != 0) die("no such host");
    One one;
    one.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (one.fd < 0 || connect(one.fd, found->ai_addr, found->ai_addrlen) != 0)
        die(std::string("cannot connect: ") + std::strerror(errno));
    freeaddrinfo(found);
    const int on = 1;
    setsockopt(one.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    fcntl(one.fd, F_SETFL, fcntl(one.fd, F_GETFL) | O_NONBLOCK);
    const int number = static_cast<int>(all_.size());
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.u32 = static_cast<std::uint32_t>(number);
    if (epoll_ctl(epoll_, EPOLL_CTL_ADD, one.fd, &event) != 0) die("epoll_ctl");
    all_.push_back(std::move(one));
    return number;
}

void Connections::send(int connection, const Bytes& frame) {
    One& one = all_[static_cast<std::size_t>(connection)];
    if (taking_ && one.out.empty()) asked_.push_back(connection);
    one.out.insert(one.out.end(), frame.begin(), frame.end());
    if (!taking_ && !one.awaits_write) write_some(connection);
}

void Connections::write_some(int connection) {
    One& one = all_[static_cast<std::size_t>(connection)];
    std::size_t at = 0;
    while (at < one.out.size()) {
        const ssize_t count =
            ::send(one.fd, one.out.data() + at, one.out.size() - at, MSG_NOSIGNAL);
        if (count < 0 && errno == EINTR) continue;
        if (count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) break;
        if (count < 0) die("the broker closed a connection that was in order");
        at += static_cast<std::size_t>(count);
    }
    one.out.erase(one.out.begin(), one.out.begin() + static_cast<std::ptrdiff_t>(at));
    if (one.awaits_write == !one.out.empty()) return;
    one.awaits_write = !one.out.empty();
    epoll_event event{};
    event.events = EPOLLIN | (one.awaits_write ? EPOLLOUT : 0u);
    event.data.u32 = static_cast<std::uint32_t>(connection);
    epoll_ctl(epoll_, EPOLL_CTL_MOD, one.fd, &event);
}

// Whole frames are looked at where they were received; what is left of one is kept.
void Connections::read_some(int connection, const OnAnswer& on_answer) {
    One& one = all_[static_cast<std::size_t>(connection)];
    const ssize_t count = recv(one.fd, received_.get(), read_bytes, 0);
    if (count < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (count <= 0) die("the broker closed a connection that was in order");
    ByteView bytes(received_.get(), static_cast<std::size_t>(count));
    const bool halves = !one.in.empty();
    if (halves) {
        one.in.insert(one.in.end(), bytes.begin(), bytes.end());
        bytes = one.in;
    }
    taking_ = true;
    const std::size_t taken = take_frames(connection, bytes, on_answer);
    taking_ = false;
    // The answers may have opened connections, but nothing else touches what is kept of this one.
    Bytes& in = all_[static_cast<std::size_t>(connection)].in;
    if (halves)
        in.erase(in.begin(), in.begin() + static_cast<std::ptrdiff_t>(taken));
    else
        in.assign(bytes.begin() + static_cast<std::ptrdiff_t>(taken), bytes.end());
    for (const int asked : asked_)
        if (!all_[static_cast<std::size_t>(asked)].awaits_write) write_some(asked);
    asked_.clear();
}

std::size_t Connections::take_frames(int connection, ByteView bytes, const OnAnswer& on_answer) {
    std::size_t taken = 0;
    for (;;) {
        const auto body = wire::first_frame(bytes.subspan(taken), answer_bytes_max);
        if (!body && body.error() != Error::would_block) die("not a frame");
        if (!body) return taken;
        taken += wire::frame_prefix_size + body->size();
        on_answer(connection, *body);  // may send, also on this connection
    }
}

void Connections::turn(std::chrono::milliseconds wait, const OnAnswer& on_answer) {
    std::array<epoll_event, 256> events;
    const int count = epoll_wait(epoll_, events.data(), static_cast<int>(events.size()),
                                 static_cast<int>(wait.count()));
    for (int i = 0; i < count; ++i) {
        const epoll_event& event = events[static_cast<std::size_t>(i)];
        const int connection = static_cast<int>(event.data.u32);
        if ((event.events & EPOLLOUT) != 0) write_some(connection);
        if ((event.events & (EPOLLIN | EPOLLERR | EPOLLHUP)) != 0) read_some(connection, on_answer);
    }
}

Bytes Connections::ask(const std::string& bootstrap, const Bytes& frame) {
    Connections connections(bootstrap);
    connections.send(connections.open(), frame);
    Bytes answer;
    const auto begun = Clock::now();
    while (answer.empty()) {
        if (ms_between(begun, Clock::now()) > 30'000) die("no answer within 30 s");
        connections.turn(std::chrono::milliseconds(100),
                         [&](int, ByteView body) { answer.assign(body.begin(), body.end()); });
    }
    return answer;
}

}  // namespace leat::bench
