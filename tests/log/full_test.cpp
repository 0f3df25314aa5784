// A full log: what goes first, how fast, and who is still served.
#include <doctest/doctest.h>

#include "tests/log/rig.hpp"

using namespace leat;
using namespace leat::log;
using namespace leat::log::test;

namespace {

constexpr std::uint64_t wide_device = 32 * KiB + 160 * std::uint64_t{small_segment};
constexpr std::size_t big = 32'600;  // one to a segment, and nothing to be packed

/// Appends to `stream` until the log refuses.
std::uint64_t fill(Rig& rig, StreamId stream, std::uint64_t most = 1'000) {
    std::uint64_t taken = 0;
    while (taken < most && rig.append_durably(stream, {.size = big, .salt = taken}))
        ++taken;
    return taken;
}

/// Appends `count` more, however long it takes, and says how many milliseconds that was.
std::int64_t press(Rig& rig, StreamId stream, std::uint64_t count) {
    const std::int64_t began = rig.now;
    for (std::uint64_t i = 0; i < count; ++i)
        while (!rig.append_durably(stream, {.size = big, .salt = i})) {
            REQUIRE(rig.now - began < 600'000);
            rig.pass(1);
        }
    return rig.now - began;
}

constexpr StreamPolicy drops(std::uint8_t priority) {
    return {.when_full = WhenFull::drop_oldest, .priority = priority};
}

}  // namespace

TEST_CASE("full: the lowest priority goes first, wherever in the log it lies") {
    SimStorage device({.seed = 1, .size = wide_device});
    Rig rig(device);
    REQUIRE(rig.open());
    REQUIRE(rig.log->declare_stream(1, drops(1)));
    REQUIRE(rig.log->declare_stream(9, drops(9)));
    REQUIRE(fill(rig, 9, 100) == 100);  // more segments than one pass looks at
    REQUIRE(fill(rig, 1, 40) == 40);
    (void)press(rig, 9, 45);
    CHECK(rig.log->books(9).losses.empty());
    CHECK_FALSE(rig.log->books(1).losses.empty());
    CHECK(rig.log->books(9).balanced());
    CHECK(rig.log->books(1).balanced());
}

TEST_CASE("full: nothing is dropped while something delivered is left anywhere in the log") {
    SimStorage device({.seed = 1, .size = wide_device});
    Rig rig(device);
    REQUIRE(rig.open());
    for (const StreamId id : {1u, 2u}) {
        REQUIRE(rig.log->declare_stream(id, drops(5)));
        rig.log->set_release(id, 0);
    }
    REQUIRE(fill(rig, 1, 100) == 100);  // this one's uplink is stuck
    REQUIRE(fill(rig, 2, 40) == 40);
    rig.log->set_release(2, 40);
    (void)press(rig, 1, 40);
    CHECK(rig.log->books(1).losses.empty());
    CHECK(rig.log->books(2).losses.empty());
    CHECK(rig.log->books(2).freed[static_cast<std::size_t>(Freed::delivered)].records >= 20);
}

TEST_CASE("full: a topic that drops its oldest hardly waits for room") {
    SimStorage device({.seed = 1, .size = wide_device});
    Rig rig(device);
    REQUIRE(rig.open());
    REQUIRE(rig.log->declare_stream(1, drops(10)));
    (void)fill(rig, 1);
    CHECK(press(rig, 1, 20) < 4'000);     // until it is clear that packing leads nowhere
    CHECK(press(rig, 1, 1'000) < 5'000);  // a pass every 200 ms for each priority was minutes
    CHECK(rig.log->books(1).balanced());
}

TEST_CASE("full: where nothing may be dropped nobody searches without a pause") {
    SimStorage device({.seed = 1, .size = wide_device});
    Rig rig(device);
    REQUIRE(rig.open());
    REQUIRE(rig.log->declare_stream(1, {}));
    REQUIRE(rig.log->declare_stream(2, drops(5)));  // has nothing
    (void)fill(rig, 1);
    rig.pass(10'000);
    CHECK(rig.log->deadline() - rig.at() >= milliseconds(100));
}
