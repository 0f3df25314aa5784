#include "sdk/wire/api/43_elect_leaders.hpp"

#include "sdk/wire/runtime.hpp"

template struct leat::wire::Runtime<leat::wire::ElectLeadersRequest>;
template struct leat::wire::Runtime<leat::wire::ElectLeadersResponse>;
