#include "sdk/wire/api/00_produce.hpp"

#include "sdk/wire/runtime.hpp"

template struct leat::wire::Runtime<leat::wire::ProduceRequest>;
template struct leat::wire::Runtime<leat::wire::ProduceResponse>;
