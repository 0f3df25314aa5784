// Time as the log knows it (FORMAT.md section 8), and the pace of its commits.
//
// Log time is uptime over all runs. A wall clock may be at 1970, jump by 55 years and come back; it
// is believed only at or after both the build date and the newest settled stamp, and only the
// distance of two settled stamps ever counts as time switched off. One that is further ahead of the
// last settled one than the uptime in between, after a boot or a jump, settles when an hour has
// passed in which the clock did not jump again. Until then the older one is what is kept, so a
// clock that was wrong leaves nothing behind, and nothing expires because it jumped.
//
// Bounds on timestamps hold where the clock is known well enough for them: one that waits to settle
// may be ahead, and one that after a start says no more than the last stamp and the uptime since
// may be behind: without an RTC it goes on at a boot where it stopped, until somebody sets it.
#pragma once

#include <algorithm>
#include <cstdint>

#include "broker/log/commit.hpp"
#include "leat/time.hpp"

namespace leat::log {

class LogTime {
public:
    void start(Instant now, std::uint64_t log_time_ms, std::uint64_t off_time_ms,
               std::int64_t trusted_wall_ms, std::uint64_t trusted_at_log_time_ms,
               WallTime build_date) {
        started_ = now;
        base_ms_ = log_time_ms;
        off_ms_ = off_time_ms;
        trusted_wall_ms_ = trusted_wall_ms;
        trusted_at_ms_ = trusted_at_log_time_ms;
        build_ms_ = build_date.time_since_epoch().count();
        fresh_ = trusted_wall_ms < 0;
        may_count_ = !fresh_;
        trusted_ = waits_ = was_set_ = false;
    }
    /// Told whenever the wall clock was looked at.
    void see_wall(Instant now, WallTime wall) {
        wall_ms_ = wall.time_since_epoch().count();
        const std::uint64_t at = log_ms(now);
        trusted_ = wall_ms_ > 0 && wall_ms_ >= build_ms_ &&
                   (fresh_ || wall_ms_ >= trusted_wall_ms_);
        if (!trusted_) {
            waits_ = false;
            return;
        }
        const std::int64_t ahead =
            wall_ms_ - trusted_wall_ms_ - static_cast<std::int64_t>(at - trusted_at_ms_);
        was_set_ = was_set_ || fresh_ || ahead > boot_ms;
        if (fresh_) {
            // Nothing hangs on the first stamps that a log ever saw: they follow the clock.
            if (trusted_wall_ms_ < 0 || ahead > slack_ms || ahead < -slack_ms) since_ms_ = at;
            fresh_ = at - since_ms_ < settles_ms;
        } else if (ahead > slack_ms) {
            if (!waits_) least_ms_ = ahead;
            if (!waits_ || ahead > ahead_ms_ + slack_ms || ahead < ahead_ms_ - slack_ms)
                since_ms_ = at;
            waits_ = true;
            ahead_ms_ = ahead;
            least_ms_ = std::min(least_ms_, ahead);
            // The further ahead, the longer it has to last.
            const auto asked = static_cast<std::uint64_t>(ahead) / 1000;
            const auto asks = std::max<std::uint64_t>(settles_ms, asked);
            if (at - since_ms_ < asks) return;
        }
        // The first settled stamp of this run against the last one of an earlier run: what lies
        // between and was not uptime was spent switched off. Within a run a jump is just a jump.
        const std::int64_t off = waits_ ? std::min(least_ms_, ahead) : ahead;
        if (may_count_ && off > 0) off_ms_ += static_cast<std::uint64_t>(off);
        may_count_ = waits_ = false;
        trusted_wall_ms_ = wall_ms_;
        trusted_at_ms_ = at;
    }
    std::uint64_t log_ms(Instant now) const {
        const std::int64_t run = (now - started_).count();
        return base_ms_ + static_cast<std::uint64_t>(std::max<std::int64_t>(run, 0));
    }
    std::uint64_t off_ms() const { return off_ms_; }
    std::uint64_t age_ms(Instant now) const { return log_ms(now) + off_ms_; }
    std::int64_t wall_ms() const { return wall_ms_; }
    bool trusted() const { return trusted_; }
    bool settled() const { return trusted_ && !waits_; }  ///< the next start may count from it
    bool may_be_behind() const { return !trusted_ || !was_set_; }
    std::int64_t trusted_wall_ms() const { return trusted_wall_ms_; }
    std::uint64_t trusted_at_ms() const { return trusted_at_ms_; }

private:
    Instant started_{};
    std::uint64_t base_ms_ = 0, off_ms_ = 0, trusted_at_ms_ = 0;
    std::int64_t trusted_wall_ms_ = -1, build_ms_ = 0, wall_ms_ = 0;
    static constexpr std::int64_t slack_ms = 60'000;
    static constexpr std::uint64_t settles_ms = 3'600'000;
    static constexpr std::int64_t boot_ms = 600'000;  ///< from the last stamp to the first, at most
    bool trusted_ = false;
    bool fresh_ = false;      ///< no start before this one saw a clock to be believed
    bool may_count_ = false;  ///< no stamp of this run has settled
    bool was_set_ = false;    ///< by what knows the time: in this run it went further than uptime
    bool waits_ = false;      ///< for the hour since since_ms_ to pass
    std::uint64_t since_ms_ = 0;
    std::int64_t ahead_ms_ = 0, least_ms_ = 0;  ///< meanwhile: the last distance, and the least
};

/// The wear knob (DESIGN.md section 3): a commit that fills no 16 KiB costs a whole flash page, so
/// small ones go out at once only while a bucket of tokens lasts: 4 per second in the long run,
/// 60,000 in a burst. What a commit leaves empty of the page is what it spends of a token.
class Governor {
public:
    explicit Governor(milliseconds interval) : interval_(interval) {}
    /// When a group of `used` bytes whose first frame came at `first` must be written.
    Instant due(Instant first, Instant now, std::uint32_t used) {
        if (interval_.count() >= 0) return first + interval_;
        refill(now);
        return tokens_milli_ >= cost_milli(used) ? first : first + milliseconds(stretch_ms);
    }
    /// When a frame that comes now would have had to come to be due in `within`; -1: now.
    Instant came_for(Instant now, milliseconds within) const {
        const milliseconds most(interval_.count() >= 0 ? interval_.count() : stretch_ms);
        return within.count() < 0 ? now : now - std::max(most - within, milliseconds(0));
    }
    void spend(Instant now, std::uint32_t used) {
        if (interval_.count() >= 0) return;
        refill(now);
        tokens_milli_ -= std::min(tokens_milli_, cost_milli(used));
    }
    static constexpr std::int64_t burst = 60'000, per_second = 4, stretch_ms = 100;

private:
    static std::int64_t cost_milli(std::uint32_t used) {
        return 1000 * std::int64_t{cut_bytes - std::min(used, cut_bytes)} / cut_bytes;
    }
    void refill(Instant now) {
        if (last_ == Instant{}) last_ = now;
        const std::int64_t passed = std::max<std::int64_t>((now - last_).count(), 0);
        tokens_milli_ = std::min(burst * 1000, tokens_milli_ + passed * per_second);
        last_ = now;
    }
    milliseconds interval_;
    std::int64_t tokens_milli_ = burst * 1000;
    Instant last_{};
};

}  // namespace leat::log
