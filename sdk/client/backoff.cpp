#include "sdk/client/backoff.hpp"

namespace leat::client {

milliseconds backoff_delay(const BackoffConfig& config, unsigned failures, Jitter& jitter) {
    if (failures == 0) return milliseconds{0};
    // 32 bits on purpose: a microcontroller divides them in hardware.
    const auto longest = static_cast<std::uint32_t>(config.max.count());
    auto delay = static_cast<std::uint32_t>(config.min.count());
    for (; failures > 1 && delay < longest; --failures) delay *= 2;
    if (delay > longest) delay = longest;
    delay = delay - delay / 4 + jitter.next() % (delay / 2 + 1);
    return milliseconds{delay > longest ? longest : delay};
}

}  // namespace leat::client
