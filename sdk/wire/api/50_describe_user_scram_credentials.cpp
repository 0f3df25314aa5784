#include "sdk/wire/api/50_describe_user_scram_credentials.hpp"

#include "sdk/wire/runtime.hpp"

template struct leat::wire::Runtime<leat::wire::DescribeUserScramCredentialsRequest>;
template struct leat::wire::Runtime<leat::wire::DescribeUserScramCredentialsResponse>;
