#include "sdk/wire/api/32_describe_configs.hpp"

#include "sdk/wire/runtime.hpp"

template struct leat::wire::Runtime<leat::wire::DescribeConfigsRequest>;
template struct leat::wire::Runtime<leat::wire::DescribeConfigsResponse>;
