// SaslHandshake (key 17): which SASL mechanism comes next.
//
// After v0 raw SASL tokens follow on the connection, after v1 SaslAuthenticate requests.
#pragma once

#include "sdk/wire/codec.hpp"

namespace leat::wire {

struct SaslHandshakeRequest {
    StringView mechanism;

    static constexpr ApiKey api_key = ApiKey::sasl_handshake;
    static constexpr Versions versions{.first = 0, .last = 1};

    static void fields(auto& io, auto& m) { io("mechanism", m.mechanism); }
};

struct SaslHandshakeResponse {
    ErrorCode error_code = ErrorCode::none;
    Array<StringView> mechanisms;

    static constexpr ApiKey api_key = ApiKey::sasl_handshake;
    static constexpr Versions versions{.first = 0, .last = 1};

    static void fields(auto& io, auto& m) {
        io("error_code", m.error_code);
        io("mechanisms", m.mechanisms);
    }
};

}  // namespace leat::wire
