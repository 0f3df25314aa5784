#include "sdk/base/bounded.hpp"

#include <doctest/doctest.h>

using namespace leat;

TEST_CASE("Ring: first in is first out through every wrap, and push fails only at the bound") {
    Ring<int, 3> ring;
    int pushed = 0, popped = 0;
    for (int round = 0; round < 10; ++round) {
        while (ring.push(pushed)) ++pushed;
        CHECK(ring.is_full());
        CHECK(ring.size() == 3);
        CHECK(ring.back() == pushed - 1);
        for (int take = 0; take < 2; ++take, ++popped) {
            CHECK(ring.front() == popped);
            ring.pop();
        }
    }
    CHECK(pushed - popped == 1);
}
