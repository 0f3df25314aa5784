// Requests of thousands, turn by turn (ApiBench::hold_turns).
#pragma once

#include "sdk/wire/api/18_api_versions.hpp"
#include "tests/api/bench.hpp"

namespace leat::test {

/// How many turns it takes until the answer is there, each of which leaves `mine` to be checked;
/// after each of them another connection is answered at once.
template <class Check>
int turns_until_answered(ApiBench& bench, session::SessionId id, Check check) {
    const session::SessionId other = bench.open();
    int turns = 0;
    for (; turns < 10'000 && bench.sessions.poll_write(id).empty(); ++turns) {
        bench.send(other, request_frame(wire::ApiVersionsRequest{}, 0));
        CHECK_FALSE(bench.take(other).empty());
        if (!bench.turn()) bench.flush();
        check();
    }
    return turns;
}

}  // namespace leat::test
