// Two clocks that never mix: a monotonic one that measures, a wall clock that only stamps.
#pragma once

#include <chrono>
#include <cstdint>

namespace leat {

using std::chrono::milliseconds;

struct MonotonicTag { using duration = milliseconds; using rep = duration::rep; using period = duration::period; };
struct WallTag { using duration = milliseconds; using rep = duration::rep; using period = duration::period; };

/// Milliseconds since an arbitrary start, never stepping back. Milliseconds and not microseconds, so a
/// microcontroller needs no 64-bit division anywhere.
using Instant = std::chrono::time_point<MonotonicTag, milliseconds>;
/// Milliseconds since 1970-01-01 UTC. May jump, may be 1970.
using WallTime = std::chrono::time_point<WallTag, milliseconds>;

constexpr Instant instant_ms(std::int64_t ms) { return Instant{milliseconds{ms}}; }
constexpr WallTime wall_ms(std::int64_t ms) { return WallTime{milliseconds{ms}}; }

/// The earlier of two deadlines that may be absent.
constexpr Instant never = Instant::max();
constexpr Instant earlier(Instant a, Instant b) { return a < b ? a : b; }

}  // namespace leat
