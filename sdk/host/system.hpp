// The ports that a Linux process has anyway: its clocks and the kernel's random bytes.
#pragma once

#include "leat/port/clock.hpp"
#include "leat/port/entropy.hpp"

namespace leat::host {

/// CLOCK_MONOTONIC and CLOCK_REALTIME.
class SystemClock final : public port::Clock {
public:
    Instant monotonic() override;
    WallTime wall() override;
};

/// getrandom(2): waits only in the first moments after boot. fails: unsupported (the kernel has
/// none)
class SystemEntropy final : public port::Entropy {
public:
    Status fill(std::span<std::uint8_t> into) override;
};

/// For jitter and choices, never for secrets: another number in every process, whatever fails.
std::uint32_t any_seed();

}  // namespace leat::host
