// Settings that several front doors share, in Kafka's words.
#pragma once

#include "sdk/client/backoff.hpp"
#include "sdk/client/sender.hpp"

namespace leat {

using client::Acks;           ///< all (default), leader, none
using client::BackoffConfig;  ///< retry.backoff.ms and retry.backoff.max.ms, with jitter

}  // namespace leat
