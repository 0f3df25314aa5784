#include "sdk/wire/api/21_delete_records.hpp"

#include "sdk/wire/runtime.hpp"

template struct leat::wire::Runtime<leat::wire::DeleteRecordsRequest>;
template struct leat::wire::Runtime<leat::wire::DeleteRecordsResponse>;
