#include "sdk/wire/api/44_incremental_alter_configs.hpp"

#include "sdk/wire/runtime.hpp"

template struct leat::wire::Runtime<leat::wire::IncrementalAlterConfigsRequest>;
template struct leat::wire::Runtime<leat::wire::IncrementalAlterConfigsResponse>;
