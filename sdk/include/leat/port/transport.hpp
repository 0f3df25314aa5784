#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include "leat/result.hpp"

namespace leat::port {

/// One byte pipe to one peer: a TCP connection, a TLS session, a UART. It never blocks.
///
/// A UART knows no disconnect: there `read` and `write` just move bytes, and the state machine above
/// finds a lost peer by its request time-out and then calls `restart`.
class Transport {
public:
    /// Moves at most into.size() received bytes out; 0 = none now. fails: disconnected.
    virtual Result<std::size_t> read(std::span<std::uint8_t> into) = 0;
    /// Takes at most bytes.size() bytes; 0 = no room now. fails: disconnected.
    virtual Result<std::size_t> write(std::span<const std::uint8_t> bytes) = 0;
    /// Gives up the pipe as it is (drops received bytes, reconnects where that means something), so that
    /// the next write is the first byte of a new conversation.
    virtual void restart() = 0;

protected:
    ~Transport() = default;
};

}  // namespace leat::port
