#include "broker/node/fill.hpp"

#include <doctest/doctest.h>

using namespace leat;
using node::Fill;

namespace {
constexpr std::int64_t minute = 60'000, hour = 60 * minute;
}

TEST_CASE("fill: the hours left are the room over the last day's rate") {
    Fill fill;
    CHECK_FALSE(fill.hours(instant_ms(0), 0, 1'000));
    fill.sample(instant_ms(0), 500);
    CHECK_FALSE(fill.hours(instant_ms(9 * minute), 1'000, 1'000));   // too little is known
    CHECK_FALSE(fill.hours(instant_ms(20 * minute), 500, 1'000));    // nothing comes
    CHECK(fill.hours(instant_ms(hour), 600, 1'050) == 10);           // 100 in an hour
    CHECK(fill.hours(instant_ms(hour), 600, 0) == 0);
    CHECK(fill.hours(instant_ms(hour), 501, UINT64_MAX) == 1'000'000);
}

TEST_CASE("fill: what came more than a day ago does not count") {
    Fill fill;
    std::uint64_t arrived = 0;
    const auto pass = [&](int hours, std::uint64_t per_minute) {
        static std::int64_t now = 0;
        for (int i = 0; i < hours * 60; ++i)
            fill.sample(instant_ms(now += minute), arrived += per_minute);
        return instant_ms(now);
    };
    pass(10, 1'000);
    const Instant now = pass(26, 10);
    CHECK(fill.hours(now, arrived, 6'000) == 10);
}
