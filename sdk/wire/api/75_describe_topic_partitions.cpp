#include "sdk/wire/api/75_describe_topic_partitions.hpp"

#include "sdk/wire/runtime.hpp"

template struct leat::wire::Runtime<leat::wire::DescribeTopicPartitionsRequest>;
template struct leat::wire::Runtime<leat::wire::DescribeTopicPartitionsResponse>;
