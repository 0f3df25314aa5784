// UpdateFeatures (key 57): there are no features to move here, and every one asked for is refused
// by name. Up to v1 each has its own error, from v2 there is one for all.
#include "sdk/wire/api/57_update_features.hpp"

#include "broker/api/answer.hpp"
#include "broker/api/handlers.hpp"

namespace leat::api {

void update_features(Context& context, Call call) {
    using wire::ErrorCode;
    using Response = wire::UpdateFeaturesResponse;
    const auto request = read<wire::UpdateFeaturesRequest>(context, call);
    if (!request) return;
    Response response;
    std::vector<Response::UpdatableFeatureResult> results;
    std::string texts;
    if (request->feature_updates.empty()) {
        response.error_code = ErrorCode::invalid_request;
        response.error_message = "Can not provide empty FeatureUpdates";
    }
    for (const auto& update : request->feature_updates) {
        auto& one = results.emplace_back();
        one.feature = update.feature;
        one.error_code = ErrorCode::invalid_update_version;
        one.error_message = "the features of this broker are those of its version";
        texts += (texts.empty() ? "" : ", ") + std::string(update.feature.view());
    }
    if (!results.empty() && call.version >= 2) {
        response.error_code = ErrorCode::invalid_update_version;
        texts = "the features of this broker are those of its version; asked for: " + texts;
        response.error_message = texts;
        results.clear();
    }
    response.results = results;
    answer(context, call, response);
}

}  // namespace leat::api
