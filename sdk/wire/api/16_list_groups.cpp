#include "sdk/wire/api/16_list_groups.hpp"

#include "sdk/wire/runtime.hpp"

template struct leat::wire::Runtime<leat::wire::ListGroupsRequest>;
template struct leat::wire::Runtime<leat::wire::ListGroupsResponse>;
