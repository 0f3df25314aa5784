// SaslHandshake (key 17): a listener without authentication has nothing to shake hands on. Kafka
// says so, too, and the connection stays: a client that was set up for SASL stops with a reason,
// where it would try again for ever if it were cut off.
#include "sdk/wire/api/17_sasl_handshake.hpp"

#include "broker/api/answer.hpp"
#include "broker/api/handlers.hpp"

namespace leat::api {

void sasl_handshake(Context& context, Call call) {
    const auto request = read<wire::SaslHandshakeRequest>(context, call);
    if (!request) return;
    wire::SaslHandshakeResponse response;
    response.error_code = wire::ErrorCode::illegal_sasl_state;
    answer(context, call, response);
}

}  // namespace leat::api
