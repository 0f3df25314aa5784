// SaslAuthenticate (key 36): as with SaslHandshake there is nothing to authenticate against.
#include "sdk/wire/api/36_sasl_authenticate.hpp"

#include "broker/api/answer.hpp"
#include "broker/api/handlers.hpp"

namespace leat::api {

void sasl_authenticate(Context& context, Call call) {
    const auto request = read<wire::SaslAuthenticateRequest>(context, call);
    if (!request) return;
    wire::SaslAuthenticateResponse response;
    response.error_code = wire::ErrorCode::illegal_sasl_state;
    response.error_message = "SaslAuthenticate request received after successful authentication";
    answer(context, call, response);
}

}  // namespace leat::api
