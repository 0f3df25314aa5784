#include "sdk/wire/api/55_describe_quorum.hpp"

#include "sdk/wire/runtime.hpp"

template struct leat::wire::Runtime<leat::wire::DescribeQuorumRequest>;
template struct leat::wire::Runtime<leat::wire::DescribeQuorumResponse>;
