#include "sdk/wire/api/31_delete_acls.hpp"

#include "sdk/wire/runtime.hpp"

template struct leat::wire::Runtime<leat::wire::DeleteAclsRequest>;
template struct leat::wire::Runtime<leat::wire::DeleteAclsResponse>;
