#include "sdk/wire/api/11_join_group.hpp"

#include "sdk/wire/runtime.hpp"

template struct leat::wire::Runtime<leat::wire::JoinGroupRequest>;
template struct leat::wire::Runtime<leat::wire::JoinGroupResponse>;
