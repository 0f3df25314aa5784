#include "sdk/wire/api/22_init_producer_id.hpp"

#include "sdk/wire/runtime.hpp"

template struct leat::wire::Runtime<leat::wire::InitProducerIdRequest>;
template struct leat::wire::Runtime<leat::wire::InitProducerIdResponse>;
