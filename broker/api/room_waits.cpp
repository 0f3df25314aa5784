#include "broker/api/room_waits.hpp"

#include <utility>

namespace leat::api {

void RoomWaits::when(Instant until, std::size_t bytes, Turns::Then then) {
    waiting_.push_back(std::move(then));
    bytes_ += bytes + bytes_each;
    deadline_ = earlier(deadline_, until);
}

void RoomWaits::settle(std::uint64_t segments_recycled) {
    if (std::exchange(recycled_, segments_recycled) != segments_recycled) wake();
}

void RoomWaits::stop() {
    stopped_ = true;
    wake();
}

// Whose time is not over may find the log as full as before, and waits again.
void RoomWaits::wake() {
    for (Turns::Then& then : waiting_) turns_.next(std::move(then));
    waiting_.clear();
    bytes_ = 0;
    deadline_ = never;
}

}  // namespace leat::api
