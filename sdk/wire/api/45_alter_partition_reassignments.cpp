#include "sdk/wire/api/45_alter_partition_reassignments.hpp"

#include "sdk/wire/runtime.hpp"

template struct leat::wire::Runtime<leat::wire::AlterPartitionReassignmentsRequest>;
template struct leat::wire::Runtime<leat::wire::AlterPartitionReassignmentsResponse>;
