// A budget that became smaller on a device that fails, on damage, and on a tail that a power cut
// left: nothing that counts is lost.
#include <doctest/doctest.h>

#include "tests/log/shrink_rig.hpp"

using namespace leat;
using namespace leat::log;
using namespace leat::log::test;

TEST_CASE("shrink: a device that fails at any write, read or at giving back costs nothing") {
    Records full;
    const SimImage image = filled(32, full, 150, 140, 30);
    std::uint64_t writes = 0;
    for (std::uint64_t fails = 0; fails == 0 || fails <= writes; ++fails) {
        Records records = full;
        SimStorage device({}, image);
        Rig rig(device, config_for(16));
        REQUIRE(rig.open());
        declare(rig);
        const std::uint64_t before = device.counts().writes;
        if (fails > 0) device.fail_next(fails - 1, 1 + fails % 2);
        INFO("write ", fails);
        if (fails % 5 == 1) device.fail_next_shrink();
        REQUIRE(shrinks(rig, 400'000));
        CHECK(rig.log->status().segments == 16);
        if (fails == 0) writes = device.counts().writes - before;
        if (fails > 0) CHECK(rig.log->counters().write_errors > 0);
        device.fail_next(std::uint64_t{1} << 40, 1);
        records.check(rig, 140);
        CHECK_FALSE(rig.log->status().read_only);
        records.put(rig, 3);
        records.check(rig, 140);
    }
    CHECK(writes > 20);
    for (std::uint64_t read = 0; read < 60; ++read) {
        Records records = full;
        SimStorage device({}, image);
        Rig rig(device, config_for(16));
        REQUIRE(rig.open());
        declare(rig);
        device.fail_next_read(read);
        REQUIRE(shrinks(rig, 400'000));
        CHECK(device.image().size() == bytes_for(16));
        device.fail_next_read(std::uint64_t{1} << 40);
        records.check(rig, 140);
    }
}

// What is damaged is copied as it is: the records around it are still read.
TEST_CASE("shrink: damage moves along, and costs its batch") {
    Records records;
    SimImage image = filled(32, records, 150, 110);
    // A byte in the body of record 130: its bytes are in the image once.
    const std::vector<std::uint8_t> batch = make_batch(spec_of(130));
    bool found = false;
    for (std::uint64_t at = bytes_for(16); at + batch.size() <= image.size() && !found; at += 8) {
        std::uint8_t bytes[64];
        image.read(at, bytes);
        if (!equal(bytes, ByteView(batch).subspan(1'000, 64))) continue;
        found = true;
        bytes[20] ^= 4;
        image.write(at, bytes);
    }
    REQUIRE(found);
    SimStorage device({}, image);
    Rig rig(device, config_for(16));
    REQUIRE(rig.open());
    declare(rig);
    REQUIRE(shrinks(rig));
    CHECK(device.image().size() == bytes_for(16));
    const auto before = rig.read_all(1, 110);
    CHECK(before.error == Error::corrupt);
    CHECK(before.next == 131);
    const auto after = rig.read_all(1, 131);
    CHECK(!after.error);
    CHECK(after.next == 150);
    CHECK(rig.log->books(1).balanced());
}

/// A client that is refused for want of room comes again.
static bool put_soon(Records& records, Rig& rig) {
    for (int tries = 0; tries < 10; ++tries, rig.pass(100))
        if (records.put(rig)) return true;
    return false;
}

/// What was under way is lost, but for a footer: the tail is closed.
static SimImage with_footer(const SimStorage& device, SimImage image) {
    SimRandom random(3);
    const SimImage kept = device.crash_image(Tear::kept, random);
    std::vector<std::uint8_t> page(4096);
    for (std::uint64_t at = bytes_for(1); at <= image.size(); at += small_segment) {
        kept.read(at - page.size(), page);
        image.write(at - page.size(), page);
    }
    return image;
}

// The tail names where the ring goes on, all of it beyond the new end: the one commit behind it
// goes there, and nothing stands still, whatever a power cut left of the tail.
TEST_CASE("shrink: the ring goes on where the tail says, though that is to leave the pool") {
    std::vector<std::pair<std::uint64_t, SimImage>> images;
    {
        Records records;
        SimStorage device({.size = bytes_for(40)});
        Rig rig(device, config_for(40));
        REQUIRE(rig.open());
        declare(rig);
        SimRandom random(3);
        device.on_write = [&] {
            if (records.next < 100) return;  // then tail and what it names are behind segment 15
            images.emplace_back(records.next, device.crash_image(Tear::dropped, random));
            if (!device.newest_write_crosses(bytes_for(0), small_segment)) return;
            images.emplace_back(records.next, with_footer(device, images.back().second));
        };
        records.put(rig, 90);
        REQUIRE(rig.log->set_log_start(rig.at(), 1, 70));  // the first ten are free again
        for (int i = 0; i < 40; ++i) rig.pass(1'000);
        records.put(rig, 34);
        device.on_write = {};
    }
    REQUIRE(images.size() >= 24);
    std::size_t stuck = 0;
    for (const bool forgotten : {false, true})
        for (const auto& [count, image] : images) {
            Records records;
            SimStorage device({}, image);
            Rig rig(device, config_for(15), {.promises_forgotten = forgotten});
            REQUIRE(rig.open());
            declare(rig);
            records.next = static_cast<std::uint64_t>(rig.log->stream(1)->log_end);
            REQUIRE(records.next >= count);
            rig.log->set_release(1, static_cast<Offset>(count) - 10);
            if (forgotten) {
                stuck += put_soon(records, rig) ? 0 : 1;
                continue;
            }
            for (int i = 0; i < 9; ++i) REQUIRE(put_soon(records, rig));
            REQUIRE(shrinks(rig));
            CHECK_FALSE(rig.log->status().read_only);
            records.put(rig, 5);
            CHECK(device.image().size() == bytes_for(15));
            records.check(rig, rig.log->stream(1)->log_start);
        }
    CHECK(stuck > 0);  // that mistake would be seen
}
