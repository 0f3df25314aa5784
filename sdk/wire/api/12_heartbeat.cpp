#include "sdk/wire/api/12_heartbeat.hpp"

#include "sdk/wire/runtime.hpp"

template struct leat::wire::Runtime<leat::wire::HeartbeatRequest>;
template struct leat::wire::Runtime<leat::wire::HeartbeatResponse>;
