#include "sdk/wire/api/69_consumer_group_describe.hpp"

#include "sdk/wire/runtime.hpp"

template struct leat::wire::Runtime<leat::wire::ConsumerGroupDescribeRequest>;
template struct leat::wire::Runtime<leat::wire::ConsumerGroupDescribeResponse>;
