#include "sdk/wire/api/13_leave_group.hpp"

#include "sdk/wire/runtime.hpp"

template struct leat::wire::Runtime<leat::wire::LeaveGroupRequest>;
template struct leat::wire::Runtime<leat::wire::LeaveGroupResponse>;
