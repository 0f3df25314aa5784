#include "sdk/wire/api/29_describe_acls.hpp"

#include "sdk/wire/runtime.hpp"

template struct leat::wire::Runtime<leat::wire::DescribeAclsRequest>;
template struct leat::wire::Runtime<leat::wire::DescribeAclsResponse>;
