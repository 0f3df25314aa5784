// A clock from a periodic interrupt: SysTick, a timer, an RTOS tick.
#pragma once

#include "leat/port/clock.hpp"

namespace leat::device {

/// `on_tick` runs in the interrupt; the rest in the one thread beside it. 64 bits, so it never
/// wraps.
class TickClock final : public port::Clock {
public:
    explicit TickClock(std::uint32_t ms_per_tick = 1) : step_(ms_per_tick) {}

    void on_tick() {
        const std::uint32_t before = low_;
        low_ = before + step_;
        if (low_ < before) high_ = high_ + 1;
    }
    Instant monotonic() override {
        std::uint32_t high, low;
        do {  // an interrupt between the two reads shows in the high half
            high = high_;
            low = low_;
        } while (high != high_);
        return instant_ms(
            static_cast<std::int64_t>((static_cast<std::uint64_t>(high) << 32) | low));
    }
    /// 1970 plus uptime until somebody who knows the time calls set_wall.
    WallTime wall() override { return WallTime{monotonic().time_since_epoch() + wall_offset_}; }
    void set_wall(WallTime now) {
        wall_offset_ = now.time_since_epoch() - monotonic().time_since_epoch();
    }

private:
    volatile std::uint32_t low_ = 0;
    volatile std::uint32_t high_ = 0;
    std::uint32_t step_;
    milliseconds wall_offset_{0};
};

}  // namespace leat::device
