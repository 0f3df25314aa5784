#include "sdk/host/system.hpp"

#include <sys/random.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <ctime>

namespace leat::host {
namespace {

/// Not std::chrono's clocks: on 32-bit ARM those of Debian's libstdc++ end in 2038.
milliseconds now(clockid_t clock) {
    timespec time{};
    ::clock_gettime(clock, &time);
    return std::chrono::duration_cast<milliseconds>(std::chrono::seconds(time.tv_sec) +
                                                    std::chrono::nanoseconds(time.tv_nsec));
}

}  // namespace

Instant SystemClock::monotonic() { return Instant(now(CLOCK_MONOTONIC)); }

WallTime SystemClock::wall() { return WallTime(now(CLOCK_REALTIME)); }

Status SystemEntropy::fill(std::span<std::uint8_t> into) {
    while (!into.empty()) {
        const ssize_t got = ::getrandom(into.data(), into.size(), 0);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return fail(Error::unsupported);
        into = into.subspan(static_cast<std::size_t>(got));
    }
    return ok();
}

std::uint32_t any_seed() {
    std::uint32_t seed = 0;
    SystemEntropy entropy;
    if (!entropy.fill({reinterpret_cast<std::uint8_t*>(&seed), sizeof seed}))
        seed = static_cast<std::uint32_t>(SystemClock().monotonic().time_since_epoch().count()) ^
               (static_cast<std::uint32_t>(::getpid()) << 16);
    return seed ? seed : 1;
}

}  // namespace leat::host
