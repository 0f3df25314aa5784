#include "sdk/wire/api/33_alter_configs.hpp"

#include "sdk/wire/runtime.hpp"

template struct leat::wire::Runtime<leat::wire::AlterConfigsRequest>;
template struct leat::wire::Runtime<leat::wire::AlterConfigsResponse>;
