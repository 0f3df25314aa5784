// ApiVersions: asks what the peer speaks and picks, per API, the newest version that both know.
#pragma once

#include <array>

#include "sdk/client/connection.hpp"

namespace leat::client {

/// Asks with version 3 and, answered UNSUPPORTED_VERSION (35), once more with version 0 (KIP-511).
///
/// Produce and Fetch are held at 12, the last versions that name topics by name, unless limit()
/// says else.
class ApiVersionsHandshake final : public Handshake {
public:
    /// timeout  for the answer: a peer that accepts and then says nothing is given up after it
    explicit ApiVersionsHandshake(milliseconds timeout = milliseconds{10000});
    /// Never picks above `last` for this API.
    void limit(wire::ApiKey key, std::int16_t last);

    Step start(Instant now, Connection& connection) override;
    Step on_response(Instant now, Connection& connection, const Event& event) override;
    std::int16_t version(wire::ApiKey key) const override;

private:
    static constexpr std::size_t keys_max = 96;  // Kafka 4.3.1 ends at 92
    Step ask(Instant now, Connection& connection, std::int16_t version);

    std::array<std::int8_t, keys_max> picked_{};  // -1: not spoken
    std::array<std::int8_t, keys_max> last_{};    // our own end of the range, -1: unknown
    milliseconds timeout_;
    std::int16_t asked_version_ = 3;
};

}  // namespace leat::client
