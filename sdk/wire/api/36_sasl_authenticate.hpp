// SaslAuthenticate (key 36): one step of a SASL exchange.
#pragma once

#include "sdk/wire/codec.hpp"

namespace leat::wire {

struct SaslAuthenticateRequest {
    BytesView auth_bytes;

    static constexpr ApiKey api_key = ApiKey::sasl_authenticate;
    static constexpr Versions versions{.first = 0, .last = 2, .flexible = 2};

    static void fields(auto& io, auto& m) { io("auth_bytes", m.auth_bytes); }
};

struct SaslAuthenticateResponse {
    ErrorCode error_code = ErrorCode::none;
    StringView error_message = nullptr;
    BytesView auth_bytes;
    std::int64_t session_lifetime_ms = 0;  ///< 0: for the life of the connection (KIP-368)

    static constexpr ApiKey api_key = ApiKey::sasl_authenticate;
    static constexpr Versions versions{.first = 0, .last = 2, .flexible = 2};

    static void fields(auto& io, auto& m) {
        io("error_code", m.error_code);
        io("error_message", m.error_message, always.nullable());
        io("auth_bytes", m.auth_bytes);
        io("session_lifetime_ms", m.session_lifetime_ms, since(1));
    }
};

}  // namespace leat::wire
