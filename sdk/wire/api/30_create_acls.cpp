#include "sdk/wire/api/30_create_acls.hpp"

#include "sdk/wire/runtime.hpp"

template struct leat::wire::Runtime<leat::wire::CreateAclsRequest>;
template struct leat::wire::Runtime<leat::wire::CreateAclsResponse>;
