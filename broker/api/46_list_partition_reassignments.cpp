// ListPartitionReassignments (key 46): on one node nothing is ever on the move.
#include "sdk/wire/api/46_list_partition_reassignments.hpp"

#include "broker/api/answer.hpp"
#include "broker/api/handlers.hpp"

namespace leat::api {

void list_partition_reassignments(Context& context, Call call) {
    const auto request = read<wire::ListPartitionReassignmentsRequest>(context, call);
    if (!request) return;
    wire::ListPartitionReassignmentsResponse response;
    answer(context, call, response);
}

}  // namespace leat::api
