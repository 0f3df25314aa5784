#include "sdk/wire/api/10_find_coordinator.hpp"

#include "sdk/wire/runtime.hpp"

template struct leat::wire::Runtime<leat::wire::FindCoordinatorRequest>;
template struct leat::wire::Runtime<leat::wire::FindCoordinatorResponse>;
