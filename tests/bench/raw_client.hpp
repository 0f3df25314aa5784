// Plain connections to any Kafka broker on one thread: requests out, answers in, no client library
// with timers of its own in between. What is measured is the broker and this file, the same for
// all.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "sdk/wire/codec.hpp"
#include "sdk/wire/frame.hpp"
#include "sdk/wire/header.hpp"

namespace leat::bench {

using Clock = std::chrono::steady_clock;
using Bytes = std::vector<std::uint8_t>;

inline double ms_between(Clock::time_point from, Clock::time_point to) {
    return std::chrono::duration<double, std::milli>(to - from).count();
}
[[noreturn]] void die(const std::string& text);

/// A whole frame, length and header included.
template <class M>
Bytes frame_of(const M& message, std::int16_t version, std::int32_t correlation_id) {
    const wire::RequestHeader header{M::api_key, version, correlation_id, "leat-bench"};
    const std::size_t head = wire::request_header_size(header),
                      size = head + wire::encoded_size(message, version);
    Bytes frame(wire::frame_prefix_size + size);
    wire::put_frame_prefix(frame.data(), size);
    const MutableBytes rest = MutableBytes(frame).subspan(wire::frame_prefix_size);
    if (!wire::encode_request_header(header, rest.first(head)) ||
        !wire::encode(message, version, rest.subspan(head)))
        die("a request that cannot be encoded");
    return frame;
}

/// The message in an answer's frame, which is borrowed.
template <class M>
M answer_of(ByteView frame, std::int16_t version) {
    const auto response = wire::decode_response(frame, M::api_key, version);
    if (!response) die("an answer without a header");
    const auto message = wire::decode<M>(response->body, version);
    if (!message) die("an answer that cannot be decoded");
    return *message;
}

class Connections {
public:
    using OnAnswer = std::function<void(int connection, ByteView frame)>;

    explicit Connections(const std::string& bootstrap);
    ~Connections();
    Connections(const Connections&) = delete;
    Connections& operator=(const Connections&) = delete;

    int open();  ///< a number that names it; dies if the broker refuses
    /// At once, or with all else that the answers of this read ask for.
    void send(int connection, const Bytes& frame);
    /// Waits for answers, at most `wait`, and hands each one in. A connection that the broker
    /// closes ends the program: none of what is measured here is a reason to.
    void turn(std::chrono::milliseconds wait, const OnAnswer& on_answer);
    /// One question on a connection of its own; the answer's frame.
    static Bytes ask(const std::string& bootstrap, const Bytes& frame);

private:
    struct One {
        int fd = -1;
        Bytes in, out;  ///< in: a frame that is not whole yet
        bool awaits_write = false;
    };
    void write_some(int connection);
    void read_some(int connection, const OnAnswer& on_answer);
    std::size_t take_frames(int connection, ByteView bytes, const OnAnswer& on_answer);

    std::string host_;
    std::string port_;
    int epoll_ = -1;
    std::vector<One> all_;
    std::unique_ptr<std::uint8_t[]> received_;  ///< one for all, and never cleared
    bool taking_ = false;                       ///< answers are being looked at
    std::vector<int> asked_;                    ///< connections with something to send meanwhile
};

}  // namespace leat::bench
