// ListPartitionReassignments (key 46): on one node nothing is ever on the move.
#include "sdk/wire/api/46_list_partition_reassignments.hpp"

#include "broker/api/answer.hpp"
#include "broker/api/handlers.hpp"

namespace leat::api {

void list_partition_reassignments(Context& context, Call call) {
    const auto request =
        wire::decode_front<wire::ListPartitionReassignmentsRequest>(call.body, call.version);
    if (!request) return call.reply.close(session::CloseReason::malformed_request);
    wire::ListPartitionReassignmentsResponse response;
    answer(context, call, response);
}

}  // namespace leat::api
