// Who waits for room in a log that records fill: until a segment of it is free, of which no commit
// tells, or until their time is over. Then each has its turn, in the order of their coming. What
// they hold of the byte pool is bounded, so that consumers and the uplink, who make the room, are
// served meanwhile.
#pragma once

#include <vector>

#include "broker/api/turns.hpp"

namespace leat::api {

class RoomWaits {
public:
    static constexpr std::size_t bytes_max = 256 * 1024, bytes_each = 1024;

    explicit RoomWaits(Turns& turns) : turns_(turns) {}

    /// Whether one more, that holds `bytes`, may wait.
    bool takes(std::size_t bytes) const {
        return !stopped_ && bytes_ + bytes + bytes_each <= bytes_max;
    }
    /// Calls `then` once, never from here.
    void when(Instant until, std::size_t bytes, Turns::Then then);
    /// segments_recycled: the log's counter
    void settle(std::uint64_t segments_recycled);
    void on_deadline(Instant now) {
        if (deadline_ <= now) wake();
    }
    Instant deadline() const { return deadline_; }
    /// Nobody waits any more.
    void stop();

private:
    void wake();

    Turns& turns_;
    std::vector<Turns::Then> waiting_;
    std::size_t bytes_ = 0;
    Instant deadline_ = never;  ///< of the first
    std::uint64_t recycled_ = 0;
    bool stopped_ = false;
};

}  // namespace leat::api
