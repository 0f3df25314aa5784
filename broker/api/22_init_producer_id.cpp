// InitProducerId (key 22), for idempotence. Transactional ids are refused until there is a
// coordinator.
#include "sdk/wire/api/22_init_producer_id.hpp"

#include "broker/api/answer.hpp"
#include "broker/api/handlers.hpp"

namespace leat::api {

void init_producer_id(Context& context, Call call) {
    const auto request = read<wire::InitProducerIdRequest>(context, call);
    if (!request) return;
    wire::InitProducerIdResponse response;
    response.producer_id = -1;
    response.producer_epoch = -1;
    // A transactional id: fatal in every client, and says what it is. KIP-360: id and epoch go
    // together.
    if (!request->transactional_id.is_null() ||
        (request->producer_id == -1) != (request->producer_epoch == -1)) {
        response.error_code = wire::ErrorCode::invalid_request;
    } else if (const auto id = context.topics.producer_ids.next()) {
        response.producer_id = *id;
        response.producer_epoch = 0;
    } else {
        response.error_code =
            wire::ErrorCode::coordinator_not_available;  // no entropy yet: the client asks again
    }
    answer(context, call, response);
}

}  // namespace leat::api
