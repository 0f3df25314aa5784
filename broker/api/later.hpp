// A request that is judged by what is durable, and comes behind a commit that is not yet.
#pragma once

#include "broker/api/context.hpp"

namespace leat::api {

/// `body` is the call's, and borrowed for this call.
using Run = void (*)(Context& context, Address& address, ByteView body);

/// Runs it now, or when `commit` is durable or given up. Until it is answered the connection's next
/// request waits, as with Kafka.
void run_after(Context& context, Call call, log::CommitId commit, Run run);

}  // namespace leat::api
