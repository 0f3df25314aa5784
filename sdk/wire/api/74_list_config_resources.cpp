#include "sdk/wire/api/74_list_config_resources.hpp"

#include "sdk/wire/runtime.hpp"

template struct leat::wire::Runtime<leat::wire::ListConfigResourcesRequest>;
template struct leat::wire::Runtime<leat::wire::ListConfigResourcesResponse>;
