// The ports that are nothing but the operating system: clocks and random bytes.
#pragma once

#include "broker/quotas/quotas.hpp"
#include "leat/port/clock.hpp"
#include "leat/port/entropy.hpp"

namespace leat::net {

class SystemClock final : public port::Clock {
public:
    /// LEAT_TEST_WALL="START_MS[,AFTER_MS,JUMP_MS]" in the environment makes the wall clock start
    /// at START_MS and, AFTER_MS later, jump to JUMP_MS: how tests boot a gateway in 1970.
    /// Monotonic time is never touched.
    SystemClock();
    Instant monotonic() override;
    WallTime wall() override;

private:
    bool faked_ = false;
    Instant started_{};
    std::int64_t start_ms_ = 0, after_ms_ = -1, jump_ms_ = 0;
};

/// Time of the thread that asks, not of the machine: who pays for work does not pay for others'.
class ThreadTime final : public quotas::Stopwatch {
public:
    std::int64_t nanoseconds() override;
};

/// The kernel's generator (getrandom); waits for it at boot rather than giving anything
/// predictable.
class SystemEntropy final : public port::Entropy {
public:
    Status fill(std::span<std::uint8_t> into) override;
};

}  // namespace leat::net
