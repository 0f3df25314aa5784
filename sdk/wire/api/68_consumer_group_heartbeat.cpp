#include "sdk/wire/api/68_consumer_group_heartbeat.hpp"

#include "sdk/wire/runtime.hpp"

template struct leat::wire::Runtime<leat::wire::ConsumerGroupHeartbeatRequest>;
template struct leat::wire::Runtime<leat::wire::ConsumerGroupHeartbeatResponse>;
