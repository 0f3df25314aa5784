#include "sdk/wire/api/15_describe_groups.hpp"

#include "sdk/wire/runtime.hpp"

template struct leat::wire::Runtime<leat::wire::DescribeGroupsRequest>;
template struct leat::wire::Runtime<leat::wire::DescribeGroupsResponse>;
