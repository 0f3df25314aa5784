#include "sdk/wire/api/60_describe_cluster.hpp"

#include "sdk/wire/runtime.hpp"

template struct leat::wire::Runtime<leat::wire::DescribeClusterRequest>;
template struct leat::wire::Runtime<leat::wire::DescribeClusterResponse>;
