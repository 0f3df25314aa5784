#include "sdk/wire/api/49_alter_client_quotas.hpp"

#include "sdk/wire/runtime.hpp"

template struct leat::wire::Runtime<leat::wire::AlterClientQuotasRequest>;
template struct leat::wire::Runtime<leat::wire::AlterClientQuotasResponse>;
