#include "sdk/wire/api/46_list_partition_reassignments.hpp"

#include "sdk/wire/runtime.hpp"

template struct leat::wire::Runtime<leat::wire::ListPartitionReassignmentsRequest>;
template struct leat::wire::Runtime<leat::wire::ListPartitionReassignmentsResponse>;
