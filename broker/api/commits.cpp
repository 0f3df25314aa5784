#include "broker/api/commits.hpp"

namespace leat::api {

void Commits::end(Instant now, WallTime wall, log::CommitId upto, End how) {
    // Taken out first: one that waits again, for whatever commit, has its turn another time.
    decltype(waiting_) ready;
    while (!waiting_.empty() && waiting_.begin()->first <= upto)
        ready.insert(ready.end(), waiting_.extract(waiting_.begin()));
    for (auto& [commit, all] : ready)
        for (Then& then : all) then(now, wall, how);
}

void Commits::settle(Instant now, WallTime wall, log::CommitId flushed) {
    end(now, wall, flushed, End::durable);
}

void Commits::rolled_back(Instant now, WallTime wall, log::CommitId first, log::CommitId last) {
    settle(now, wall, first);
    end(now, wall, last, End::given_up);
}

}  // namespace leat::api
