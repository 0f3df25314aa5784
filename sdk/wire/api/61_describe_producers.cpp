#include "sdk/wire/api/61_describe_producers.hpp"

#include "sdk/wire/runtime.hpp"

template struct leat::wire::Runtime<leat::wire::DescribeProducersRequest>;
template struct leat::wire::Runtime<leat::wire::DescribeProducersResponse>;
