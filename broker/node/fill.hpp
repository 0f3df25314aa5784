// How long the log has room for what comes: the rate of the last day, as far as it is known.
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <optional>

#include "leat/time.hpp"

namespace leat::node {

class Fill {
public:
    /// `arrived`: bytes that arrivals took on the device since the start.
    void sample(Instant now, std::uint64_t arrived) {
        if (!samples_.empty() && now - samples_.back().at < every) return;
        samples_.push_back({now, arrived});
        // The first one a day old or older stays: the rate is over the last whole day.
        while (samples_.size() > 2 && now - samples_[1].at >= day) samples_.pop_front();
    }
    /// Whole hours until `room` bytes are taken; null: nothing comes, or too little is known.
    std::optional<std::int64_t> hours(Instant now, std::uint64_t arrived,
                                      std::uint64_t room) const {
        if (samples_.empty() || now - samples_.front().at < every ||
            arrived <= samples_.front().arrived)
            return std::nullopt;
        constexpr double hour_ms = 3'600'000, most = 1'000'000;
        const auto spent = static_cast<double>((now - samples_.front().at).count());
        const auto came = static_cast<double>(arrived - samples_.front().arrived);
        return static_cast<std::int64_t>(
            std::min(static_cast<double>(room) / came * spent / hour_ms, most));
    }
    static constexpr milliseconds every{600'000}, day{24 * 3'600'000};

private:
    struct Sample {
        Instant at{};
        std::uint64_t arrived = 0;
    };
    std::deque<Sample> samples_;
};

}  // namespace leat::node
