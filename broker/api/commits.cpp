#include "broker/api/commits.hpp"

#include <algorithm>
#include <iterator>
#include <vector>

namespace leat::api {

std::deque<Commits::Waiting>::iterator Commits::behind(log::CommitId commit) {
    if (waiting_.empty() || waiting_.back().first <= commit) return waiting_.end();
    return std::upper_bound(
        waiting_.begin(), waiting_.end(), commit,
        [](log::CommitId one, const Waiting& waiting) { return one < waiting.first; });
}

void Commits::when(log::CommitId commit, Then then) {
    waiting_.emplace(behind(commit), commit, std::move(then));
}

void Commits::end(Instant now, WallTime wall, log::CommitId upto, End how) {
    if (waiting_.empty() || waiting_.front().first > upto) return;
    // Taken out first: one that waits again, for whatever commit, has its turn another time.
    const auto upto_here = behind(upto);
    std::vector<Waiting> ready(std::make_move_iterator(waiting_.begin()),
                               std::make_move_iterator(upto_here));
    waiting_.erase(waiting_.begin(), upto_here);
    for (Waiting& one : ready) one.second(now, wall, how);
}

void Commits::settle(Instant now, WallTime wall, log::CommitId flushed) {
    end(now, wall, flushed, End::durable);
}

void Commits::rolled_back(Instant now, WallTime wall, log::CommitId first, log::CommitId last) {
    settle(now, wall, first);
    end(now, wall, last, End::given_up);
}

}  // namespace leat::api
