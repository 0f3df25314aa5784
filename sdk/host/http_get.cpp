#include "sdk/host/http_get.hpp"

#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cctype>
#include <cerrno>
#include <charconv>
#include <memory>
#include <string_view>

#include "sdk/host/system.hpp"

namespace leat::host {
namespace {

constexpr std::size_t answer_bytes_max = 16 * 1024 * 1024;

class Socket {
public:
    explicit Socket(int file) : file_(file) {}
    ~Socket() {
        if (file_ >= 0) ::close(file_);
    }
    Socket(const Socket&) = delete;
    Socket& operator=(const Socket&) = delete;
    int file() const { return file_; }

private:
    int file_;
};

Status wait_for(int file, short events, Instant until) {
    for (;;) {
        const milliseconds left = until - SystemClock().monotonic();
        if (left.count() <= 0) return fail(Error::timed_out);
        pollfd wanted{file, events, 0};
        const int ready = ::poll(&wanted, 1, static_cast<int>(left.count()));
        if (ready > 0) return ok();
        if (ready < 0 && errno != EINTR) return fail(Error::disconnected);
    }
}

Status connect_to(const Socket& socket, const addrinfo& address, Instant until) {
    if (::connect(socket.file(), address.ai_addr, address.ai_addrlen) == 0) return ok();
    if (errno != EINPROGRESS)
        return fail(errno == ECONNREFUSED ? Error::refused : Error::disconnected);
    if (const Status done = wait_for(socket.file(), POLLOUT, until); !done) return done;
    int error = 0;
    socklen_t size = sizeof error;
    if (::getsockopt(socket.file(), SOL_SOCKET, SO_ERROR, &error, &size) != 0)
        return fail(Error::disconnected);
    if (error == 0) return ok();
    return fail(error == ECONNREFUSED ? Error::refused : Error::disconnected);
}

Status send_all(const Socket& socket, std::string_view text, Instant until) {
    while (!text.empty()) {
        const ssize_t sent = ::send(socket.file(), text.data(), text.size(), MSG_NOSIGNAL);
        if (sent > 0) {
            text.remove_prefix(static_cast<std::size_t>(sent));
        } else if (errno == EAGAIN || errno == EINTR) {
            if (const Status ready = wait_for(socket.file(), POLLOUT, until); !ready) return ready;
        } else {
            return fail(Error::disconnected);
        }
    }
    return ok();
}

Result<std::string> read_all(const Socket& socket, Instant until) {
    std::string answer;
    char part[16 * 1024];
    for (;;) {
        const ssize_t got = ::recv(socket.file(), part, sizeof part, 0);
        if (got == 0) return answer;
        if (got > 0) {
            answer.append(part, static_cast<std::size_t>(got));
            if (answer.size() > answer_bytes_max) return fail(Error::too_large);
        } else if (errno == EAGAIN || errno == EINTR) {
            if (const Status ready = wait_for(socket.file(), POLLIN, until); !ready)
                return fail(ready.error());
        } else {
            return fail(Error::disconnected);
        }
    }
}

/// "connection: close" was asked for, so the body ends with the connection; a length, if told, has
/// to match.
Result<HttpAnswer> parse(const std::string& answer) {
    const std::size_t head_end = answer.find("\r\n\r\n");
    if (head_end == std::string::npos || !answer.starts_with("HTTP/1.") || answer.size() < 12)
        return fail(Error::malformed);
    HttpAnswer parsed;
    const char* digits = answer.data() + 9;
    if (std::from_chars(digits, digits + 3, parsed.status).ec != std::errc{})
        return fail(Error::malformed);
    parsed.body = answer.substr(head_end + 4);
    std::string head = answer.substr(0, head_end);
    for (char& c : head) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    const std::size_t length_at = head.find("\r\ncontent-length:");
    if (length_at == std::string::npos) return parsed;
    const char* from = head.data() + length_at + 17;
    while (*from == ' ') ++from;
    std::size_t length = 0;
    std::from_chars(from, head.data() + head.size(), length);
    if (parsed.body.size() < length) return fail(Error::disconnected);
    return parsed;
}

}  // namespace

Result<HttpAnswer> http_get(const std::string& host, std::uint16_t port, const std::string& path,
                            milliseconds timeout) {
    const Instant until = SystemClock().monotonic() + timeout;
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    addrinfo* found = nullptr;
    if (::getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found) != 0)
        return fail(Error::not_found);
    const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> addresses(found, &::freeaddrinfo);
    Status connected = fail(Error::not_found);
    for (const addrinfo* address = found; address; address = address->ai_next) {
        const Socket socket(
            ::socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
        if (socket.file() < 0) continue;
        connected = connect_to(socket, *address, until);
        if (!connected) continue;
        const std::string request = "GET " + path + " HTTP/1.1\r\nHost: " + host + ":" +
                                    std::to_string(port) +
                                    "\r\nAccept: application/json\r\nConnection: close\r\n\r\n";
        if (const Status sent = send_all(socket, request, until); !sent) return fail(sent.error());
        const Result<std::string> answer = read_all(socket, until);
        if (!answer) return fail(answer.error());
        return parse(*answer);
    }
    return fail(connected.error());
}

}  // namespace leat::host
