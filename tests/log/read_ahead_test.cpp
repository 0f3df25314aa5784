// How often a reader waits for a device that is far away, and how much it asks of it.
#include <array>

#include "tests/log/far_device.hpp"

using namespace leat;
using namespace leat::log;
using namespace leat::log::test;

TEST_CASE("read ahead: who reads on in order waits once for a megabyte, across segments, too") {
    for (const std::size_t batch : {4'000, 100'000, 1'000'000}) {
        SimStorage device({.seed = 1, .size = far_size(16)});
        const std::uint64_t own = fill_far(device, 1, batch);
        Far far(device);
        const auto drained = far.drain(1 * MiB);
        INFO("batches of ", batch, ": ", drained.reads, " reads, ", drained.turns, " turns, ",
             drained.for_each_byte(), " read for each byte");
        CHECK(drained.bytes == own);
        CHECK(drained.turns <= drained.reads + drained.reads / 2 + 4);
        CHECK(drained.for_each_byte() < 1.05);
    }
}

TEST_CASE("read ahead: while a reader takes an answer the next one comes into memory whole") {
    for (const std::size_t batch : {4'000, 100'000, 1'000'000}) {
        SimStorage device({.seed = 1, .size = far_size(16)});
        (void)fill_far(device, 1, batch);
        Far far(device);
        std::vector<std::uint8_t> into(1 * MiB);
        Offset at = 0;
        (void)far.read(1, at, into);
        std::uint64_t waits = 0;
        for (int i = 0; i < 5; ++i) {
            (void)far.read(1, at, into);
            for (int takes = 0; takes < 3; ++takes) far.turn();  // a footer, then blocks
            const std::uint64_t before = far.turns;
            (void)far.read(1, at, into);
            waits += far.turns - before;
        }
        INFO("batches of ", batch);
        CHECK(waits <= 2);  // for a footer on the way from an anchor, once each
    }
}

TEST_CASE("read ahead: who reads in small steps is ahead of the device as well") {
    SimStorage device({.seed = 1, .size = far_size(16)});
    const std::uint64_t own = fill_far(device, 1, 4'000);
    Far far(device);
    const auto drained = far.drain(16 * KiB);
    INFO(drained.turns, " turns");
    CHECK(drained.bytes == own);
    CHECK(drained.turns <= own / (64 * KiB) / 2);
    CHECK(drained.for_each_byte() < 1.05);
}

TEST_CASE("read ahead: of one stream among many those blocks are read in which its batches are") {
    for (const std::size_t batch : {60'000, 200'000}) {
        SimStorage device({.seed = 1, .size = far_size(64)});
        const std::uint64_t own = fill_far(device, 8, batch);
        Far far(device);
        const auto drained = far.drain(1 * MiB);
        INFO("batches of ", batch, ": ", drained.reads, " reads, ", drained.turns, " turns, ",
             drained.for_each_byte(), " read for each byte");
        CHECK(drained.bytes == own);
        CHECK(drained.turns <= 6 * drained.reads);
        CHECK(drained.for_each_byte() < (batch == 60'000 ? 2.2 : 1.6));
    }
}

TEST_CASE("read ahead: readers in different places take nothing from each other") {
    SimStorage device({.seed = 1, .size = far_size(16)});
    const std::uint64_t own = fill_far(device, 1, 10'000);
    Far far(device);
    std::vector<std::uint8_t> into(256 * KiB);
    const Offset end = far.log->stream(1)->flushed;
    std::array<Offset, 4> at{0, end / 4, end / 2, end / 4 * 3};
    const std::uint64_t asked = device.counts().bytes_read;
    std::uint64_t bytes = 0;
    while (at[3] < end)
        for (Offset& one : at) bytes += far.read(1, one, into);
    const std::uint64_t given = device.counts().bytes_read - asked;
    INFO(given, " read for ", bytes);
    CHECK(bytes > own / 10 * 9);
    CHECK(given < bytes + bytes / 10);
}

TEST_CASE("read ahead: what is read for somebody who does not come back gives way in time") {
    SimStorage device({.seed = 1, .size = far_size(16)});
    const std::uint64_t own = fill_far(device, 1, 10'000);
    Far far(device);
    std::vector<std::uint8_t> into(512 * KiB);
    for (int leaves = 1; leaves < 8; ++leaves) {
        Offset at = far.log->stream(1)->flushed / 8 * leaves;
        (void)far.read(1, at, into);
        (void)far.read(1, at, into);
    }
    const auto drained = far.drain(512 * KiB);
    INFO(drained.turns, " turns for ", drained.reads, " reads");
    CHECK(drained.bytes == own);
    CHECK(drained.turns <= 2 * drained.reads);
    CHECK(drained.for_each_byte() < 1.1);
}

TEST_CASE("read ahead: with hardly a cache everything is read all the same") {
    SimStorage device({.seed = 1, .size = far_size(32)});
    const std::uint64_t own = fill_far(device, 2, 150'000);
    Far far(device, 0);
    CHECK(far.drain(1 * MiB).bytes == own);
}

TEST_CASE("read ahead: footers of many streams come once for those that are read in turn") {
    SimStorage device({.seed = 1, .size = far_size(16)});
    constexpr StreamId streams = 8'000;
    constexpr int rounds = 3;  // in several segments, with footers larger than the cache's share
    {
        Rig rig(device, far_config());
        REQUIRE(rig.open());
        for (StreamId id = 1; id <= streams; ++id) REQUIRE(rig.log->declare_stream(id, {}));
        for (int round = 0; round < rounds; ++round)
            for (StreamId id = 1; id <= streams; ++id)
                while (!rig.append(id, {.size = 139, .salt = id})) rig.settle();
        rig.settle();
        rig.close();
    }
    Far far(device, 1 * MiB);
    std::vector<StreamId> wanted;
    for (StreamId id = 1; wanted.size() < 50; id += 150) wanted.push_back(id);
    const std::uint64_t before = device.counts().bytes_read;
    std::vector<std::uint8_t> into(16 * KiB);
    for (const StreamId id : wanted)
        for (Offset at = 0; at < rounds;) (void)far.read(id, at, into);
    const std::uint64_t asked = device.counts().bytes_read - before;
    INFO(asked, " bytes for ", wanted.size(), " streams");
    CHECK(asked < 8 * MiB);
}
