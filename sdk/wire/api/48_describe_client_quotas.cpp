#include "sdk/wire/api/48_describe_client_quotas.hpp"

#include "sdk/wire/runtime.hpp"

template struct leat::wire::Runtime<leat::wire::DescribeClientQuotasRequest>;
template struct leat::wire::Runtime<leat::wire::DescribeClientQuotasResponse>;
