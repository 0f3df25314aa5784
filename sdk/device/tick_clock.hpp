// A clock from a periodic interrupt: SysTick, a timer, an RTOS tick.
#pragma once

#include "leat/port/clock.hpp"

namespace leat::device {

/// `on_tick` runs in the interrupt; the rest in the one thread beside it. 64 bits, so the wall
/// clock never wraps.
class TickClock final : public std::conditional_t<profile.any_port, port::Clock, NoBase> {
public:
    constexpr explicit TickClock(std::uint32_t ms_per_tick = 1) : more_(ms_per_tick - 1) {}

    void on_tick() {
        const std::uint32_t before = low_;
        low_ = before + 1 + more_;
        if (low_ < before) high_ = high_ + 1;
    }
    Instant monotonic() {
        if constexpr (!profile.wide_time) return instant_ms(low_);
        return instant_ms(ticks());
    }
    /// 1970 plus uptime until somebody who knows the time calls set_wall.
    WallTime wall() { return wall_ms(ticks() + wall_offset_ms_); }
    void set_wall(WallTime now) { wall_offset_ms_ = now.time_since_epoch().count() - ticks(); }

    /// Milliseconds since the start, modulo 2^32.
    std::uint32_t uptime_ms() const { return low_; }

private:
    std::int64_t ticks() const {
        std::uint32_t high, low;
        do {  // an interrupt between the two reads shows in the high half
            high = high_;
            low = low_;
        } while (high != high_);
        return static_cast<std::int64_t>((static_cast<std::uint64_t>(high) << 32) | low);
    }

    volatile std::uint32_t low_ = 0;
    volatile std::uint32_t high_ = 0;
    std::uint32_t more_;  // than one: so the usual clock is all zero at first
    std::int64_t wall_offset_ms_ = 0;
};

}  // namespace leat::device
