#include "broker/api/pressure.hpp"

#include <algorithm>
#include <cmath>

namespace leat::api {

milliseconds throttle_of(log::Log::Room room) {
    if (room.left >= room.low) return milliseconds(0);
    const double taken = 1 - static_cast<double>(room.left) / static_cast<double>(room.low);
    const auto most = static_cast<double>(throttle_filling_max.count());
    return milliseconds(std::llround(most * taken * taken));
}

milliseconds Pressure::on_refusal(Instant now) {
    if (refused_at_ == never || now - refused_at_ > full_again) full_since_ = now;
    refused_at_ = now;
    const auto lasted = std::chrono::duration_cast<milliseconds>(now - full_since_);
    return std::min(throttle_filling_max + lasted / 4, throttle_full_max);
}

}  // namespace leat::api
