#include "tests/sim/world.hpp"

#include <cstdio>

#include "leat/check.hpp"
#include "sdk/base/crc32c.hpp"

namespace leat::sim {

void World::at(Instant when, std::function<void()> what) {
    events_.push({std::max(when, now_), order_++, std::move(what)});
}

void World::run_until(Instant end) {
    drain_all();
    std::uint32_t at_one_time = 0;
    for (;;) {
        Instant next = events_.empty() ? never : events_.top().when;
        for (const Actor* actor : actors_) next = earlier(next, actor->deadline());
        if (next > end) break;
        // A deadline that never moves would stand the clock still: that is a defect, not a slow
        // run.
        at_one_time = next > now_ ? 0 : at_one_time + 1;
        LEAT_CHECK(at_one_time < 100'000);
        now_ = std::max(now_, next);
        if (!events_.empty() && events_.top().when <= now_) {
            auto what = std::move(const_cast<Event&>(events_.top()).what);
            events_.pop();
            what();
        } else {
            for (Actor* actor : actors_)
                if (actor->deadline() <= now_) actor->on_deadline();
        }
        ++events_run_;
        drain_all();
    }
    now_ = end;
}

void World::drain_all() {
    for (Actor* actor : actors_) actor->drain();
}

void World::note(std::string_view what, std::uint64_t who, ByteView bytes) {
    if (trace) {
        std::fprintf(trace, "%lld %.*s %llu %zu %08x\n",
                     static_cast<long long>(now_.time_since_epoch().count()),
                     static_cast<int>(what.size()), what.data(),
                     static_cast<unsigned long long>(who), bytes.size(), crc32c(0, bytes));
    }
    mix(static_cast<std::uint64_t>(now_.time_since_epoch().count()));
    mix(crc32c(0, bytes_of(what)));
    mix(who);
    mix(bytes.size());
    mix(crc32c(0, bytes));
}

void World::mix(std::uint64_t value) {
    hash_ = (hash_ ^ value) * 0x100000001B3ull;
    hash_ ^= hash_ >> 29;
}

}  // namespace leat::sim
