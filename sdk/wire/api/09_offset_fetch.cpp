#include "sdk/wire/api/09_offset_fetch.hpp"

#include "sdk/wire/runtime.hpp"

template struct leat::wire::Runtime<leat::wire::OffsetFetchRequest>;
template struct leat::wire::Runtime<leat::wire::OffsetFetchResponse>;
