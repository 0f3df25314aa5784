// Simulated time: a queue of events, a seeded generator, and a hash of everything that happened.
#pragma once

#include <cstdint>
#include <cstdio>
#include <functional>
#include <queue>
#include <string_view>
#include <vector>

#include "leat/time.hpp"
#include "sdk/base/bytes.hpp"
#include "tests/support/sim_storage.hpp"

namespace leat::sim {

/// Something with a deadline that has to be looked at after every event.
class Actor {
public:
    virtual ~Actor() = default;
    virtual Instant deadline() const = 0;
    virtual void on_deadline() = 0;
    virtual void drain() = 0;  ///< does what its state machines ask for now
};

class World {
public:
    explicit World(std::uint64_t seed) : random(seed) {}

    Instant now() const { return now_; }
    /// Runs `what` at `when`; events of one time run in the order in which they were asked for.
    void at(Instant when, std::function<void()> what);
    void after(milliseconds delay, std::function<void()> what) {
        at(now_ + delay, std::move(what));
    }
    void add(Actor& actor) { actors_.push_back(&actor); }
    void run_until(Instant end);

    /// Goes into the trace hash: what happened, to whom, with which bytes.
    void note(std::string_view what, std::uint64_t who, ByteView bytes = {});
    std::uint64_t trace_hash() const { return hash_; }
    std::uint64_t event_count() const { return events_run_; }

    milliseconds between(std::int64_t least, std::int64_t most) {
        return milliseconds{least + static_cast<std::int64_t>(random.below(
                                        static_cast<std::uint64_t>(most - least + 1)))};
    }

    test::SimRandom random;
    std::FILE* trace = nullptr;  ///< one line per note, to find where two runs part

private:
    struct Event {
        Instant when;
        std::uint64_t order;
        std::function<void()> what;
        bool operator<(const Event& other) const {  // std::priority_queue takes the largest first
            return when != other.when ? when > other.when : order > other.order;
        }
    };
    void drain_all();
    void mix(std::uint64_t value);

    Instant now_ = instant_ms(1000);
    std::priority_queue<Event> events_;
    std::vector<Actor*> actors_;
    std::uint64_t order_ = 0, events_run_ = 0, hash_ = 0xCBF29CE484222325ull;
};

}  // namespace leat::sim
