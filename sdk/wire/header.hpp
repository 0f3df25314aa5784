// Request and response headers. Their version follows from the API's key and version alone:
// flexible versions have header v2 (requests) and v1 (responses), others v1 and v0. ApiVersions is
// the exception: its response header is always v0, because a client reads it before it knows
// anything.
#pragma once

#include "sdk/wire/api_key.hpp"
#include "sdk/wire/primitives.hpp"

namespace leat::wire {

struct RequestHeader {
    ApiKey api_key{};
    std::int16_t api_version = 0;
    std::int32_t correlation_id = 0;  ///< the response carries it back
    StringView client_id = nullptr;   ///< classic length even in v2
};

/// What a frame holds, cut in two.
struct Request {
    RequestHeader header;
    ByteView body;
};

/// Cuts a request frame into header and body; both borrow the frame.
///
/// The version may be one that nobody here speaks (the caller compares it with the API's ranges):
/// header and correlation id are right as long as the key is known, which the answer to a too new
/// ApiVersions needs.
/// fails  unsupported: an unknown key, whose header cannot be cut · truncated, malformed
Result<Request> decode_request(ByteView frame);

/// The bytes before the body, without the frame's length.
constexpr std::size_t request_header_size(const RequestHeader& header) {
    return 10 + header.client_id.size() + (is_flexible(header.api_key, header.api_version) ? 1 : 0);
}
/// Returns the number of bytes written. `lengths` is compact for header v2.
///
/// fails  full · invalid: a client id above 32,767 bytes
Result<std::size_t> encode_request_header(const RequestHeader& header, Lengths lengths,
                                          MutableBytes out);
inline Result<std::size_t> encode_request_header(const RequestHeader& header, MutableBytes out) {
    bool flexible = is_flexible(header.api_key, header.api_version);
    return encode_request_header(header, flexible ? Lengths::compact : Lengths::classic, out);
}

struct Response {
    std::int32_t correlation_id = 0;
    ByteView body;
};

/// 4 or 5 bytes.
constexpr std::size_t response_header_size(ApiKey key, std::int16_t version) {
    return key != ApiKey::api_versions && is_flexible(key, version) ? 5 : 4;
}
/// `key` and `version` are those of the request that the response answers. The correlation id comes
/// first in every version, so a client may look the request up before it calls this.
Result<Response> decode_response(ByteView frame, ApiKey key, std::int16_t version);
Result<std::size_t> encode_response_header(ApiKey key, std::int16_t version,
                                           std::int32_t correlation_id, MutableBytes out);

}  // namespace leat::wire
