#include "sdk/wire/api/19_create_topics.hpp"

#include "sdk/wire/runtime.hpp"

template struct leat::wire::Runtime<leat::wire::CreateTopicsRequest>;
template struct leat::wire::Runtime<leat::wire::CreateTopicsResponse>;
