#include "sdk/wire/api/36_sasl_authenticate.hpp"

#include "sdk/wire/runtime.hpp"

template struct leat::wire::Runtime<leat::wire::SaslAuthenticateRequest>;
template struct leat::wire::Runtime<leat::wire::SaslAuthenticateResponse>;
