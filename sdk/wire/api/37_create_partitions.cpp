#include "sdk/wire/api/37_create_partitions.hpp"

#include "sdk/wire/runtime.hpp"

template struct leat::wire::Runtime<leat::wire::CreatePartitionsRequest>;
template struct leat::wire::Runtime<leat::wire::CreatePartitionsResponse>;
