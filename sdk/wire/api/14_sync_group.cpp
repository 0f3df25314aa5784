#include "sdk/wire/api/14_sync_group.hpp"

#include "sdk/wire/runtime.hpp"

template struct leat::wire::Runtime<leat::wire::SyncGroupRequest>;
template struct leat::wire::Runtime<leat::wire::SyncGroupResponse>;
