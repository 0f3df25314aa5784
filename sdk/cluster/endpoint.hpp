// A host and a port, and the lists of them that people type.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "leat/result.hpp"

namespace leat::cluster {

struct Endpoint {
    std::string host;  ///< a name or an address, without brackets
    std::uint16_t port = 0;

    friend bool operator==(const Endpoint&, const Endpoint&) = default;
};

constexpr std::uint16_t default_port = 9092;

/// "host", "host:port", "1.2.3.4:9092", "[::1]:9092"; without a port default_port.
/// fails: invalid (empty host, a port that is none, an IPv6 address without brackets)
Result<Endpoint> parse_endpoint(std::string_view text);

/// Several, with commas; spaces around them are allowed. At least one.
Result<std::vector<Endpoint>> parse_endpoints(std::string_view text);

/// As parse_endpoint reads it.
std::string text_of(const Endpoint& endpoint);

}  // namespace leat::cluster
