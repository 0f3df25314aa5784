// How long to wait before the next try: exponential, with jitter, so that a thousand devices whose
// gateway comes back do not all return in the same millisecond.
#pragma once

#include <cstdint>

#include "leat/time.hpp"

namespace leat::client {

struct BackoffConfig {
    milliseconds min{100};   ///< the first wait, before jitter
    milliseconds max{1000};  ///< no wait is longer, jitter included
};

/// xorshift32: decorrelation only, never secrets. A seed of 0 is taken as 1.
class Jitter {
public:
    constexpr explicit Jitter(std::uint32_t seed = 1) : state_(seed ? seed : 1) {}
    /// All zero, and not to be used before another one is assigned.
    static constexpr Jitter unseeded() {
        Jitter jitter;
        jitter.state_ = 0;
        return jitter;
    }
    std::uint32_t next() {
        state_ ^= state_ << 13;
        state_ ^= state_ >> 17;
        return state_ ^= state_ << 5;
    }

private:
    std::uint32_t state_;
};

/// The wait before try number `failures` + 1: min * 2^(failures-1), at most max, times 3/4 to 5/4
/// (again at most max). 0 failures: no wait.
milliseconds backoff_delay(const BackoffConfig& config, unsigned failures, Jitter& jitter);

}  // namespace leat::client
