// A record as an application hands it in. It borrows: nothing is kept after the call that takes it.
#pragma once

#include "sdk/wire/record_batch.hpp"

namespace leat {

using Header = wire::RecordHeader;  ///< {.key = "unit", .value = bytes_of("mbar")}
using Record =
    wire::RecordInput;  ///< {.timestamp = ms since 1970, .key = ..., .value = ..., .headers = ...}

}  // namespace leat
