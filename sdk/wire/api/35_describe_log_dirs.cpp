#include "sdk/wire/api/35_describe_log_dirs.hpp"

#include "sdk/wire/runtime.hpp"

template struct leat::wire::Runtime<leat::wire::DescribeLogDirsRequest>;
template struct leat::wire::Runtime<leat::wire::DescribeLogDirsResponse>;
