// ApiVersions (key 18): what is served. Versions above ours get the fallback (KIP-511).
#include "sdk/wire/api/18_api_versions.hpp"

#include <algorithm>

#include "broker/api/answer.hpp"
#include "broker/api/handlers.hpp"
#include "sdk/wire/frame.hpp"
#include "sdk/wire/header.hpp"

namespace leat::api {
namespace {

// [a-zA-Z0-9](?:[a-zA-Z0-9\-.]*[a-zA-Z0-9])?
bool is_software_text(std::string_view text) {
    const auto plain = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    };
    if (text.empty() || !plain(text.front()) || !plain(text.back())) return false;
    return std::all_of(text.begin(), text.end(),
                       [&](char c) { return plain(c) || c == '-' || c == '.'; });
}

}  // namespace

session::Buffer api_versions_fallback(std::int32_t correlation_id) {
    session::Buffer frame(64);
    const MutableBytes bytes = frame.all();
    store_big(bytes.data() + wire::frame_prefix_size, correlation_id);  // response header 0
    const auto body =
        wire::unsupported_api_versions_body(bytes.subspan(wire::frame_prefix_size + 4));
    LEAT_CHECK(bool(body));
    wire::put_frame_prefix(bytes.data(), 4 + *body);
    frame.narrow(0, wire::frame_prefix_size + 4 + *body);
    return frame;
}

void api_versions(Context& context, Call call) {
    const auto request = read<wire::ApiVersionsRequest>(context, call);
    if (!request) return;
    wire::ApiVersionsResponse response;
    std::vector<wire::ApiVersionsResponse::ApiVersion> keys;
    if (call.version >= 3 && (!is_software_text(request->client_software_name) ||
                              !is_software_text(request->client_software_version))) {
        response.error_code = wire::ErrorCode::invalid_request;
    } else {
        for (const Served& served : served()) {
            const wire::Api& api = *wire::find_api(served.key);
            keys.push_back(
                {static_cast<std::int16_t>(api.key), api.advertised_first, api.accepted.last});
        }
    }
    response.api_keys = keys;
    // The consumer protocol is there (KIP-848): Kafka's tools look at this feature's level. A
    // client that asks below v4 does not understand a range from 0 (KAFKA-17011).
    constexpr const char* feature = "group.version";
    const wire::ApiVersionsResponse::SupportedFeatureKey supported{feature, 0, 1};
    const wire::ApiVersionsResponse::FinalizedFeatureKey finalized{feature, 1, 1};
    if (response.error_code == wire::ErrorCode::none) {
        if (call.version >= 4) response.supported_features = std::span(&supported, 1);
        response.finalized_features = std::span(&finalized, 1);
        response.finalized_features_epoch = 0;
    }
    answer(context, call, response);
}

}  // namespace leat::api
