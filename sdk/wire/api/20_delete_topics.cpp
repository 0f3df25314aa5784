#include "sdk/wire/api/20_delete_topics.hpp"

#include "sdk/wire/runtime.hpp"

template struct leat::wire::Runtime<leat::wire::DeleteTopicsRequest>;
template struct leat::wire::Runtime<leat::wire::DeleteTopicsResponse>;
