// What is read ahead of its reader from a device that refuses some of it, or is slow.
#include <cstdio>

#include "tests/log/far_device.hpp"

using namespace leat;
using namespace leat::log;
using namespace leat::log::test;

TEST_CASE("read ahead: what a device did not give ahead is asked for again by who wants it") {
    SimStorage device({.seed = 1, .size = far_size(16)});
    (void)fill_far(device, 1, 10'000);
    Far far(device, 1 * MiB);
    std::vector<std::uint8_t> into(256 * KiB);
    Offset at = 0;
    for (int i = 0; i < 2; ++i) (void)far.read(1, at, into);
    // It goes away while an answer comes that nobody has asked for yet.
    far.distant.dead_to = far_size(1) - 64 * KiB;
    while (far.distant.refused == 0) (void)far.read(1, at, into);
    for (int i = 0; i < 5; ++i) far.turn();
    far.distant.dead_to = 0;
    while (at < far.log->stream(1)->flushed)  // a batch at a time: one begins in each block
        (void)far.read(1, at, MutableBytes(into).first(12'000));
    CHECK(far.log->books(1).losses.empty());
}

TEST_CASE("read: of a device that was away nothing is missing once it gives everything again") {
    SimStorage device({.seed = 1, .size = far_size(16)});
    (void)fill_far(device, 1, 10'000);
    for (int turns = 1; turns < 200; turns += 9) {
        INFO("it comes back after ", turns, " turns");
        Far far(device, 1 * MiB);
        std::vector<std::uint8_t> into(256 * KiB);
        Offset at = 0;
        (void)far.read(1, at, into);
        far.distant.dead_to = far_size(16);
        REQUIRE(far.log->start_read(far.now, {.stream = 1, .from = at, .until = INT64_MAX}, into));
        for (int i = 0; i < turns; ++i) far.turn();
        far.distant.dead_to = 0;
        for (int i = 0; i < 200; ++i) far.turn();
        (void)far.log->poll_read();
        far.now += milliseconds(1'000);
        REQUIRE(far.log->append(far.now, wall_ms(1'800'000'000'000),
                                {.stream = 1, .batch = make_batch({}), .log_append_time = {}}));
        for (int i = 0; i < 5; ++i) far.turn();
        for (int tries = 0; at < far.log->stream(1)->flushed && tries < 500; ++tries) {
            const ReadDone done = far.ask(1, at, into);
            REQUIRE((done.bytes || done.bytes.error() == Error::storage));
            at = done.next;
            if (!done.bytes) far.now += milliseconds(1'000);
        }
        CHECK(at == far.log->stream(1)->flushed);
        CHECK(far.log->books(1).losses.empty());
    }
}

TEST_CASE("read ahead: a stretch that is dead is asked for in pieces, seldom, and not ahead") {
    SimStorage device({.seed = 1, .size = far_size(16)});
    (void)fill_far(device, 1, 10'000);
    Far far(device, 1 * MiB);
    constexpr std::uint64_t stretch = 1 * MiB, blocks = stretch / (16 * KiB);
    far.distant.dead_from = far_size(1) + 512 * KiB;
    far.distant.dead_to = far.distant.dead_from + stretch;
    std::vector<std::uint8_t> into(256 * KiB);
    std::uint64_t bytes = 0;
    std::uint64_t seconds = 0;
    for (Offset at = 0; at < far.log->stream(1)->flushed && seconds < 1'000;) {
        const ReadDone done = far.ask(1, at, into);
        if (done.bytes) bytes += *done.bytes;
        REQUIRE((done.next > at || done.bytes.error() == Error::storage));
        at = done.next;
        if (!done.bytes && done.bytes.error() == Error::storage) {
            ++seconds;
            far.now += milliseconds(1'000);
            far.turn();
        }
    }
    INFO(far.distant.refused, " refused, ", bytes, " read, ", seconds, " seconds");
    CHECK(bytes > 12 * MiB - stretch - 5 * 16 * KiB);
    // Page by page, a dozen times over a minute and more, and a quarter of a megabyte at once:
    // where nothing else is read and written only the scrubber shows that the device is there.
    CHECK(far.distant.refused <= 30 * 5 * (blocks + 8));
    CHECK(seconds < 5 * 150);
}

TEST_CASE("read ahead: a footer that is not given is asked for once before it is needed") {
    SimStorage device({.seed = 1, .size = far_size(16)});
    (void)fill_far(device, 1, 10'000);
    Far far(device, 1 * MiB);
    far.distant.dead_from = far_size(1);
    far.distant.dead_to = far_size(2);
    for (int i = 0; i < 300; ++i) far.turn();  // retention looks at it, too
    const std::uint64_t before = far.distant.refused;
    std::vector<std::uint8_t> into(64 * KiB);
    std::uint64_t bytes = 0;
    for (Offset at = 0; bytes < far_segment - 128 * KiB;) bytes += far.read(1, at, into);
    for (int i = 0; i < 300; ++i) far.turn();
    CHECK(far.distant.refused - before <= 1);
}

TEST_CASE("read ahead: what is begun for who is away leaves others room to be ahead") {
    SimStorage device({.seed = 1, .size = far_size(16)});
    (void)fill_far(device, 1, 10'000);
    Far far(device, 1 * MiB);
    std::vector<std::uint8_t> into(1 * MiB);
    Offset at = 0;
    for (int i = 0; i < 2; ++i) (void)far.read(1, at, into);
    for (int i = 0; i < 5; ++i) far.turn();
    Offset other = far.log->stream(1)->flushed / 2;
    const std::uint64_t before = far.turns;
    (void)far.read(1, other, MutableBytes(into).first(512 * KiB));
    const std::uint64_t waited = far.turns - before;
    INFO(waited, " turns for 32 blocks");
    CHECK(waited <= 12);
}

TEST_CASE("read ahead: an eMMC gives a stream in order at its speed, one of many at a quarter") {
    double in_order = 0;
    for (const std::size_t batch : {1'000, 16'000, 60'000}) {
        SimStorage device({.seed = 1, .size = far_size(16)});
        (void)fill_far(device, 1, batch);
        in_order = Far(device, 1 * MiB).drain(1 * MiB).mb_per_s();
        std::printf("batches of %zu B in order: %.1f MB/s of 20\n", batch, in_order);
        CHECK(in_order > 0.9 * 20);
    }
    for (const std::size_t batch : {16'000, 60'000}) {
        for (const StreamId streams : {8u, 64u}) {
            SimStorage device({.seed = 1, .size = far_size(64)});
            (void)fill_far(device, streams, batch, streams == 8 ? 3 * MiB : 1 * MiB);
            const auto drained = Far(device, 1 * MiB).drain(1 * MiB);
            std::printf("batches of %zu B, one in %u: %.1f MB/s, %.2f read for each byte\n",
                        batch, streams, drained.mb_per_s(), drained.for_each_byte());
            CHECK(drained.mb_per_s() > in_order / 4);
        }
    }
}
