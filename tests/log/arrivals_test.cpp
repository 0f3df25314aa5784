// The write path where the last free segments are busy for a moment.
#include <doctest/doctest.h>

#include "broker/log/arrivals.hpp"
#include "tests/log/rig.hpp"

namespace leat::log::test {
namespace {

/// Arrivals alone, on a pool of which all is free.
struct Alone {
    SimStorage device{{.seed = 1, .size = small_device}};
    SimEntropy entropy{1};
    Core core{device, entropy, small_config()};
    Instant now = instant_ms(1'000'000);

    Alone() {
        core.geometry = device.geometry();
        core.segment_bytes = small_segment;
        core.super.pool_start = 32 * KiB;
        core.run = 1;
        core.segments.reset(5);
        core.segments.rebuild({});
        core.time.start(now, 0, 0, -1, 0, core.config.build_date);
    }
    void settle(Arrivals& arrivals) {
        while (const auto done = device.poll_done())
            arrivals.on_write_done(now, done->ticket, static_cast<bool>(done->status));
    }
};

}  // namespace

// Of five free ones one is kept for what a segment that leaves the pool holds.
TEST_CASE("arrivals: a stop waits for zeros in the only segment that its seal may open") {
    Alone alone;
    SegmentTable& segments = alone.core.segments;
    REQUIRE(segments.take_for_move() != no_segment);
    for (int i = 0; i < 3; ++i) REQUIRE(segments.take_promised() != no_segment);
    REQUIRE(segments.promised().size() == 1);
    segments.zeroing = segments.promised().front();
    Arrivals arrivals(alone.core);
    arrivals.seal(alone.now);
    CHECK_FALSE(arrivals.sealed());
    segments.zeroing = no_segment;
    arrivals.pump(alone.now);
    alone.settle(arrivals);
    CHECK(arrivals.sealed());
    CHECK(alone.device.counts().writes == 1);
}

// Whoever takes the last segment but one waits for it.
TEST_CASE("arrivals: a segment that is left needs another one as soon as its footer is under way") {
    Alone alone;
    Arrivals arrivals(alone.core);
    CommitId id = 0;
    const MutableBytes body =
        arrivals.add(alone.now, FrameType::fact, 0, fact_body_bytes, id);
    encode_fact_body({}, body);
    arrivals.flush_soon();
    arrivals.pump(alone.now);
    alone.settle(arrivals);
    REQUIRE(arrivals.segment() != no_segment);
    CHECK_FALSE(arrivals.needs_segment());
    alone.core.segments.set_target(arrivals.segment());
    alone.device.hold(true);
    arrivals.move_on();
    arrivals.pump(alone.now);
    REQUIRE(alone.device.writes_under_way() == 1);
    CHECK(arrivals.needs_segment());
    alone.device.hold(false);
    const std::uint32_t left = arrivals.segment();
    alone.settle(arrivals);
    CHECK(arrivals.segment() != left);
    CHECK_FALSE(arrivals.needs_segment());
}

}  // namespace leat::log::test
