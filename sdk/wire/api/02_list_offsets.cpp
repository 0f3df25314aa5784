#include "sdk/wire/api/02_list_offsets.hpp"

#include "sdk/wire/runtime.hpp"

template struct leat::wire::Runtime<leat::wire::ListOffsetsRequest>;
template struct leat::wire::Runtime<leat::wire::ListOffsetsResponse>;
