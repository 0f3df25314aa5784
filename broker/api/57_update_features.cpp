// UpdateFeatures (key 57): there are no features to move here, and who asks for one is refused. In
// every version by the one error for all: Kafka gives no feature its own, and sarama looks at none.
#include "sdk/wire/api/57_update_features.hpp"

#include "broker/api/answer.hpp"
#include "broker/api/handlers.hpp"
#include "broker/api/told.hpp"

namespace leat::api {

void update_features(Context& context, Call call) {
    using wire::ErrorCode;
    const auto request = read<wire::UpdateFeaturesRequest>(context, call);
    if (!request) return;
    wire::UpdateFeaturesResponse response;
    std::string text = "The update failed for all features since the following feature had an error: "
                       "the features of this broker are those of its version; asked for: ";
    if (request->feature_updates.empty()) {
        response.error_code = ErrorCode::invalid_request;
        response.error_message = "Can not provide empty FeatureUpdates";
    } else {
        text += (*request->feature_updates.begin()).feature.view();
        response.error_code = ErrorCode::invalid_update_version;
        response.error_message = told(text);
    }
    answer(context, call, response);
}

}  // namespace leat::api
