#include "broker/api/commits.hpp"

namespace leat::api {

void Commits::end(Instant now, WallTime wall, log::CommitId upto, End how) {
    while (!waiting_.empty() && waiting_.begin()->first <= upto) {
        std::vector<Then> ready = std::move(waiting_.begin()->second);
        waiting_.erase(waiting_.begin());
        for (Then& then : ready) then(now, wall, how);
    }
}

void Commits::settle(Instant now, WallTime wall, log::CommitId flushed) {
    end(now, wall, flushed, End::durable);
}

void Commits::rolled_back(Instant now, WallTime wall, log::CommitId first, log::CommitId last) {
    settle(now, wall, first);
    end(now, wall, last, End::given_up);
}

}  // namespace leat::api
