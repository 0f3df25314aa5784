#include "sdk/wire/api/03_metadata.hpp"

#include "sdk/wire/runtime.hpp"

template struct leat::wire::Runtime<leat::wire::MetadataRequest>;
template struct leat::wire::Runtime<leat::wire::MetadataResponse>;
