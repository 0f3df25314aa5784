// Who waits for a commit is told once, in their order, also when telling makes somebody wait again.
#include "broker/api/commits.hpp"

#include <doctest/doctest.h>

using namespace leat;
using api::Commits;

namespace {

struct Waits {
    Commits& commits;
    log::CommitId again;  ///< 0: it does not wait a second time
    std::vector<std::pair<log::CommitId, Commits::End>>& told;

    void wait(log::CommitId commit) {
        commits.when(commit, [waits = *this, commit](Instant, WallTime, Commits::End end) mutable {
            waits.told.emplace_back(commit, end);
            REQUIRE(waits.told.size() < 10);  // this is where it would not end
            if (waits.again != 0) waits.wait(waits.again);
        });
    }
};

}  // namespace

TEST_CASE("commits: those that became durable are told in their order, the others are not") {
    Commits commits;
    std::vector<std::pair<log::CommitId, Commits::End>> told;
    for (const log::CommitId commit : {7u, 5u, 9u}) Waits{commits, 0, told}.wait(commit);
    commits.settle({}, {}, 7);
    CHECK(told == std::vector{std::pair{log::CommitId{5}, Commits::End::durable},
                              std::pair{log::CommitId{7}, Commits::End::durable}});
    commits.rolled_back({}, {}, 8, 9);
    REQUIRE(told.size() == 3);
    CHECK(told.back() == std::pair{log::CommitId{9}, Commits::End::given_up});
    CHECK(commits.empty());
}

TEST_CASE("commits: who waits again while it is told has its turn the next time") {
    // A request that finds no room waits for the commit after the last durable one; when that is
    // given up it tries again, finds no room, and waits for the same one.
    Commits commits;
    std::vector<std::pair<log::CommitId, Commits::End>> told;
    Waits{commits, 5, told}.wait(5);
    commits.rolled_back({}, {}, 4, 6);
    REQUIRE(told.size() == 1);
    CHECK(told.back().second == Commits::End::given_up);
    commits.settle({}, {}, 8);
    CHECK(told.size() == 2);
    CHECK(told.back().second == Commits::End::durable);
}
