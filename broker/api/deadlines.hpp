#pragma once
#include <cstdint>
#include <set>
#include <utility>

#include "leat/time.hpp"

namespace leat::api {

/// When which parked request gives up. Ordered, so nothing is scanned; exact, so a request that is
/// answered leaves nothing behind (thousands a second, each with a timeout of half a minute).
class Deadlines {
public:
    void add(Instant when, std::uint64_t id) {
        if (when != never) set_.emplace(when, id);
    }
    void remove(Instant when, std::uint64_t id) { set_.erase({when, id}); }
    Instant next() const { return set_.empty() ? never : set_.begin()->first; }
    /// The next id whose time has come, 0: none. Ids are above 0.
    std::uint64_t take_due(Instant now) {
        if (set_.empty() || set_.begin()->first > now) return 0;
        const std::uint64_t id = set_.begin()->second;
        set_.erase(set_.begin());
        return id;
    }

private:
    std::set<std::pair<Instant, std::uint64_t>> set_;
};

}  // namespace leat::api
