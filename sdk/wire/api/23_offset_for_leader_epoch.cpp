#include "sdk/wire/api/23_offset_for_leader_epoch.hpp"

#include "sdk/wire/runtime.hpp"

template struct leat::wire::Runtime<leat::wire::OffsetForLeaderEpochRequest>;
template struct leat::wire::Runtime<leat::wire::OffsetForLeaderEpochResponse>;
