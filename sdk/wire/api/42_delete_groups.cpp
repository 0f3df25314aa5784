#include "sdk/wire/api/42_delete_groups.hpp"

#include "sdk/wire/runtime.hpp"

template struct leat::wire::Runtime<leat::wire::DeleteGroupsRequest>;
template struct leat::wire::Runtime<leat::wire::DeleteGroupsResponse>;
