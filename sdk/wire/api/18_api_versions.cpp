#include "sdk/wire/api/18_api_versions.hpp"

#include "sdk/wire/runtime.hpp"

template struct leat::wire::Runtime<leat::wire::ApiVersionsRequest>;
template struct leat::wire::Runtime<leat::wire::ApiVersionsResponse>;

namespace leat::wire {

Result<std::size_t> unsupported_api_versions_body(MutableBytes out) {
    const Versions accepted = find_api(ApiKey::api_versions)->accepted;
    const ApiVersionsResponse::ApiVersion self{
        .api_key = static_cast<std::int16_t>(ApiKey::api_versions),
        .min_version = accepted.first,
        .max_version = accepted.last,
    };
    ApiVersionsResponse response;
    response.error_code = ErrorCode::unsupported_version;
    response.api_keys = std::span(&self, 1);
    return encode(response, 0, out);
}

}  // namespace leat::wire
