#include "sdk/wire/api/01_fetch.hpp"

#include "sdk/wire/runtime.hpp"

template struct leat::wire::Runtime<leat::wire::FetchRequest>;
template struct leat::wire::Runtime<leat::wire::FetchResponse>;
