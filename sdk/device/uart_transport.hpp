// A UART as a byte pipe. It knows no disconnect: a lost peer is found by the request time-out
// above.
#pragma once

#include "leat/port/transport.hpp"
#include "sdk/base/bytes.hpp"

namespace leat::device {

/// Uart  has `bool can_read(); std::uint8_t read(); bool can_write(); void write(std::uint8_t);`,
/// none of
///       which waits, and is called from the interrupt and the thread: read only from the
///       interrupt, write only from the thread.
/// Size  of the receive ring, a power of two. Bytes that find it full are lost, as on any UART; the
/// frame
///       that lacks them makes no sense, and the connection starts anew.
template <class Uart, std::size_t Size>
class UartTransport final : public std::conditional_t<profile.any_port, port::Transport, NoBase> {
    static_assert(Size >= 2 && (Size & (Size - 1)) == 0);

public:
    constexpr explicit UartTransport(Uart uart = {}) : uart_(uart) {}

    /// In the receive interrupt.
    void on_interrupt() {
        std::uint32_t end = end_;
        while (uart_.can_read()) {
            const std::uint8_t byte = uart_.read();
            if (end - begin_ < Size) ring_[end++ % Size] = byte;
        }
        end_ = end;
    }

    Result<std::size_t> read(std::span<std::uint8_t> into) {
        std::size_t count = 0;
        std::uint32_t begin = begin_;
        for (const std::uint32_t end = end_; begin != end && count < into.size(); ++begin)
            into[count++] = ring_[begin % Size];
        begin_ = begin;
        return count;
    }
    Result<std::size_t> write(std::span<const std::uint8_t> bytes) {
        std::size_t count = 0;
        while (count < bytes.size() && uart_.can_write()) uart_.write(bytes[count++]);
        return count;
    }
    void restart() { begin_ = end_; }

private:
    Uart uart_;
    volatile std::uint32_t begin_ = 0;  // moved by the thread
    volatile std::uint32_t end_ = 0;    // moved by the interrupt
    std::uint8_t ring_[Size]{};
};

}  // namespace leat::device
