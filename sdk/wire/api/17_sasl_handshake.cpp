#include "sdk/wire/api/17_sasl_handshake.hpp"

#include "sdk/wire/runtime.hpp"

template struct leat::wire::Runtime<leat::wire::SaslHandshakeRequest>;
template struct leat::wire::Runtime<leat::wire::SaslHandshakeResponse>;
