// What a driver must do next for an outgoing connection.
#pragma once

#include <cstdint>
#include <string>

namespace leat::cluster {

/// One attempt at one TCP connection; never used twice.
using LinkId = std::uint64_t;

/// close: whatever is on its way is dropped; the id is dead already, link_closed need not be called
/// (and is ignored).
struct LinkAction {
    enum class Kind : std::uint8_t { connect, close } kind = Kind::connect;
    LinkId link = 0;
    std::string host;
    std::uint16_t port = 0;
};

}  // namespace leat::cluster
