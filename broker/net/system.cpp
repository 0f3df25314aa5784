#include "broker/net/system.hpp"

#include <sys/random.h>
#include <time.h>

#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <string_view>

namespace leat::net {
namespace {

std::int64_t clock_ms(clockid_t clock) {
    timespec time{};
    ::clock_gettime(clock, &time);
    return std::int64_t{time.tv_sec} * 1000 + time.tv_nsec / 1'000'000;
}

}  // namespace

SystemClock::SystemClock() : started_(instant_ms(clock_ms(CLOCK_MONOTONIC))) {
    const char* fake = std::getenv("LEAT_TEST_WALL");
    if (!fake) return;
    std::string_view text = fake;
    for (std::int64_t* number : {&start_ms_, &after_ms_, &jump_ms_}) {
        const auto [end, failure] =
            std::from_chars(text.data(), text.data() + text.size(), *number);
        if (failure != std::errc{}) break;
        faked_ = true;
        text.remove_prefix(static_cast<std::size_t>(end - text.data()));
        if (!text.starts_with(',')) break;
        text.remove_prefix(1);
    }
}

// CLOCK_MONOTONIC also underlies std::chrono::steady_clock, so an Instant can be given to Asio's
// timers.
Instant SystemClock::monotonic() { return instant_ms(clock_ms(CLOCK_MONOTONIC)); }

WallTime SystemClock::wall() {
    if (!faked_) return wall_ms(clock_ms(CLOCK_REALTIME));
    const std::int64_t passed = (monotonic() - started_).count();
    const bool jumped = after_ms_ >= 0 && passed >= after_ms_;
    return wall_ms(jumped ? jump_ms_ + passed - after_ms_ : start_ms_ + passed);
}

std::int64_t ThreadTime::nanoseconds() {
    timespec time{};
    ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return std::int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

Status SystemEntropy::fill(std::span<std::uint8_t> into) {
    while (!into.empty()) {
        const ssize_t count = ::getrandom(into.data(), into.size(), 0);
        if (count < 0 && errno == EINTR) continue;
        if (count <= 0) return fail(Error::unsupported);
        into = into.subspan(static_cast<std::size_t>(count));
    }
    return ok();
}

}  // namespace leat::net
