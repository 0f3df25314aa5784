#include "sdk/wire/api/47_offset_delete.hpp"

#include "sdk/wire/runtime.hpp"

template struct leat::wire::Runtime<leat::wire::OffsetDeleteRequest>;
template struct leat::wire::Runtime<leat::wire::OffsetDeleteResponse>;
