// What is left of large requests while others have their turn: one piece of one of them runs each
// time that the loop comes by, and asks for the next. A piece is meant to take less than half a
// millisecond; so long another connection may have to wait for it, however much was asked.
#pragma once

#include <deque>
#include <functional>
#include <utility>

#include "leat/time.hpp"

namespace leat::api {

class Turns {
public:
    using Then = std::function<void(Instant now, WallTime wall)>;

    /// Calls `then` once, from run_one, never from here.
    void next(Then then) { waiting_.push_back(std::move(then)); }
    /// The one that waits longest.
    void run_one(Instant now, WallTime wall) {
        const Then then = std::move(waiting_.front());
        waiting_.pop_front();
        then(now, wall);
    }
    bool empty() const { return waiting_.empty(); }

private:
    std::deque<Then> waiting_;
};

}  // namespace leat::api
