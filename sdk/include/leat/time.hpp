// Two clocks that never mix: a monotonic one that measures, a wall clock that only stamps.
#pragma once

#include <chrono>
#include <cstdint>
#include <type_traits>

#include "leat/profile.hpp"

namespace leat {

using milliseconds = std::conditional_t<profile.wide_time, std::chrono::milliseconds,
                                        std::chrono::duration<std::int32_t, std::milli>>;

struct MonotonicTag {
    using duration = std::chrono::milliseconds;
    using rep = duration::rep;
    using period = duration::period;
};
struct WallTag {
    using duration = std::chrono::milliseconds;
    using rep = duration::rep;
    using period = duration::period;
};

/// An Instant for small machines: 31 bits of milliseconds, compared around their wrap, so that two
/// of them may lie 12 days apart. `never` is no time of the clock and equals only itself: <, <=, >
/// and >= do not know it (earlier() does).
class WrappingInstant {
public:
    constexpr WrappingInstant() = default;
    constexpr explicit WrappingInstant(milliseconds since_start)
        : twice_(2 * static_cast<std::uint32_t>(since_start.count())) {}
    static constexpr WrappingInstant max() {
        WrappingInstant never;
        never.twice_ = 1;
        return never;
    }
    constexpr milliseconds time_since_epoch() const {
        return milliseconds{static_cast<std::int32_t>(twice_ / 2)};
    }
    constexpr WrappingInstant& operator+=(milliseconds time) {
        twice_ += 2 * static_cast<std::uint32_t>(time.count());
        return *this;
    }
    friend constexpr WrappingInstant operator+(WrappingInstant at, milliseconds time) {
        return at += time;
    }
    friend constexpr milliseconds operator-(WrappingInstant a, WrappingInstant b) {
        return milliseconds{static_cast<std::int32_t>(a.twice_ - b.twice_) / 2};
    }
    friend constexpr bool operator==(WrappingInstant, WrappingInstant) = default;
    friend constexpr bool operator<(WrappingInstant a, WrappingInstant b) {
        return static_cast<std::int32_t>(a.twice_ - b.twice_) < 0;
    }
    friend constexpr bool operator>(WrappingInstant a, WrappingInstant b) { return b < a; }
    friend constexpr bool operator<=(WrappingInstant a, WrappingInstant b) { return !(b < a); }
    friend constexpr bool operator>=(WrappingInstant a, WrappingInstant b) { return !(a < b); }

private:
    std::uint32_t twice_ = 0;  // the lowest bit is left for `never`
};

/// Milliseconds since an arbitrary start, never stepping back. Milliseconds and not microseconds,
/// so a microcontroller needs no 64-bit division anywhere.
using Instant =
    std::conditional_t<profile.wide_time,
                       std::chrono::time_point<MonotonicTag, std::chrono::milliseconds>,
                       WrappingInstant>;
/// Milliseconds since 1970-01-01 UTC. May jump, may be 1970.
using WallTime = std::chrono::time_point<WallTag, std::chrono::milliseconds>;

constexpr Instant instant_ms(std::int64_t ms) {
    return Instant{milliseconds{static_cast<milliseconds::rep>(ms)}};
}
constexpr WallTime wall_ms(std::int64_t ms) { return WallTime{std::chrono::milliseconds{ms}}; }

/// The earlier of two deadlines that may be absent.
constexpr Instant never = Instant::max();
constexpr Instant earlier(Instant a, Instant b) {
    return a == never ? b : b != never && b < a ? b : a;
}

}  // namespace leat
