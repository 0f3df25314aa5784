// A log that fills up slows its producers down, long before it is full (KIP-219: the answer says
// how long, and the connection is left unread until then). Not those of topics that drop their
// oldest: for them there is always room, and the newest counts.
//
// From the fill mark on the throttle grows from nothing, slowly at first, to throttle_filling_max
// where the room ends. While producers are refused it grows further with the time that this lasts,
// to throttle_full_max: short against every client's request timeout, and soon over when there is
// room again.
#pragma once

#include "broker/log/log.hpp"
#include "leat/time.hpp"

namespace leat::api {

constexpr milliseconds throttle_filling_max{1'000}, throttle_full_max{5'000};
/// Refusals that lie further apart are two times that the log was full.
constexpr milliseconds full_again{30'000};

/// The throttle of an accepted batch.
milliseconds throttle_of(log::Log::Room room);

class Pressure {
public:
    /// After a batch was appended.
    milliseconds on_append(log::Log::Room room) const { return throttle_of(room); }
    /// After one was refused because the log is full.
    milliseconds on_refusal(Instant now);

    struct Counters {
        std::uint64_t throttled = 0, throttled_ms = 0;  ///< answers, and what they told together
    };
    void count(milliseconds throttle) {
        ++counters_.throttled;
        counters_.throttled_ms += static_cast<std::uint64_t>(throttle.count());
    }
    const Counters& counters() const { return counters_; }

private:
    Instant full_since_ = never, refused_at_ = never;
    Counters counters_;
};

}  // namespace leat::api
