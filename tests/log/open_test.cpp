// What a start refuses, and what it counts.
#include <doctest/doctest.h>

#include "broker/log/superblock.hpp"
#include "tests/log/rig.hpp"

using namespace leat;
using namespace leat::log;
using namespace leat::log::test;

TEST_CASE("open: refusals say why, and change nothing") {
    SUBCASE("not a log") {
        SimStorage device({.seed = 1, .size = small_device});
        const std::vector<std::uint8_t> noise(512, 0x5A);
        device.image().write(0, noise);
        device.image().write(16 * KiB, noise);
        const std::uint64_t before = device.image().hash();
        Rig rig(device);
        CHECK(rig.open().error() == Error::corrupt);
        CHECK(rig.log->open_error_text().find("superblock") != std::string::npos);
        CHECK(device.image().hash() == before);
    }
    SUBCASE("another format version") {
        SimStorage device({.seed = 1, .size = small_device});
        {
            Rig rig(device);
            REQUIRE(rig.open());
            rig.close();
        }
        for (const std::uint32_t version : {0u, 2u}) {  // 0: without ties, it would seem empty
            INFO("version ", version);
            for (std::uint64_t slot : {0ull, 16ull * KiB}) {
                std::uint8_t sector[512];
                device.image().read(slot, sector);
                store_little<std::uint32_t>(sector + 8, version);
                store_little<std::uint32_t>(sector + 508, crc32c(0, ByteView(sector).first(508)));
                device.image().write(slot, sector);
            }
            const std::uint64_t before = device.image().hash();
            Rig rig(device);
            const Status opened = rig.open();
            REQUIRE(!opened);
            CHECK(opened.error() == Error::unsupported);
            CHECK(rig.log->open_error_text().find("format version") != std::string::npos);
            CHECK(device.image().hash() == before);
        }
    }
    SUBCASE("too small") {
        SimStorage device({.seed = 1, .size = 512 * KiB});
        Rig rig(device);
        CHECK(rig.open().error() == Error::too_large);
        CHECK(rig.log->open_error_text().find("16 segments") != std::string::npos);
    }
    SUBCASE("1 MiB in all is enough") {
        SimStorage device({.seed = 1, .size = 1 * MiB});
        Rig rig(device);
        CHECK(rig.open());
        CHECK(rig.log->status().segments == 15);
    }
    SUBCASE("a creation that was cut is done again") {
        for (std::uint64_t cut : {0, 1}) {
            SimStorage device({.seed = cut + 3, .size = small_device, .power_cut_at_write = cut});
            {
                Rig rig(device);
                CHECK_FALSE(rig.open());
            }
            device.power_cycle();
            Rig rig(device);
            CHECK(rig.open());
            CHECK(rig.log->declare_stream(1, {}));
            CHECK(rig.append_durably(1, {}));
        }
    }
    SUBCASE("a copied card is told") {
        SimStorage device({.seed = 1, .size = small_device});
        LogConfig here = small_config();
        here.device_identity = "gateway-a";
        std::string id;
        {
            Rig rig(device, here);
            REQUIRE(rig.open());
            CHECK_FALSE(rig.log->status().foreign_device);
            id = rig.log->status().log_id;
            rig.close();
        }
        here.device_identity = "gateway-b";
        Rig rig(device, here);
        REQUIRE(rig.open());
        CHECK(rig.log->status().foreign_device);
        CHECK(rig.log->status().log_id == id);
        CHECK(id.size() == 36);
    }
}

namespace {

LogConfig on_device(const char* identity, ForeignLog foreign = ForeignLog::tell) {
    LogConfig config = small_config();
    config.device_identity = identity;
    config.foreign = foreign;
    return config;
}

}  // namespace

TEST_CASE(
    "copied card: adopted it is this device's, forked it is another log with the same records") {
    SimStorage device({.seed = 1, .size = small_device});
    std::string id;
    {
        Rig rig(device, on_device("a"));
        REQUIRE(rig.open());
        id = rig.log->status().log_id;
        REQUIRE(rig.log->declare_stream(1, {}));
        for (int i = 0; i < 20; ++i) REQUIRE(rig.append_durably(1, {.count = 2}));
        rig.close();
    }
    SUBCASE("adopt") {
        {
            Rig rig(device, on_device("b", ForeignLog::adopt));
            REQUIRE(rig.open());
            CHECK_FALSE(rig.log->status().foreign_device);
            CHECK(rig.log->status().log_id == id);
            CHECK(rig.log->status().parent_log_id.empty());
        }
        device.power_cycle();
        Rig rig(device, on_device("b"));
        REQUIRE(rig.open());
        CHECK_FALSE(rig.log->status().foreign_device);
    }
    SUBCASE("the same device is never forked by a flag that stayed") {
        Rig rig(device, on_device("a", ForeignLog::fork));
        REQUIRE(rig.open());
        CHECK(rig.log->status().log_id == id);
    }
    SUBCASE("fork") {
        std::string forked;
        std::int32_t epoch = 0;
        {
            Rig rig(device, on_device("b", ForeignLog::fork), {}, 43);
            REQUIRE(rig.open());
            forked = rig.log->status().log_id;
            epoch = rig.log->status().leader_epoch;
            CHECK(forked != id);
            CHECK(epoch == 1);
            CHECK(rig.log->status().parent_log_id == id);
            CHECK_FALSE(rig.log->status().foreign_device);
            CHECK(rig.log->stream(1)->log_end == 40);
            CHECK(rig.log->stream(1)->flushed == 40);
            REQUIRE(rig.append_durably(1, {.count = 2}));
        }
        device.power_cycle();
        {
            Rig rig(device, on_device("b"));
            REQUIRE(rig.open());
            CHECK(rig.log->status().log_id == forked);
            CHECK(rig.log->stream(1)->log_end == 42);  // segments of both are read
            rig.close();
        }
        Rig rig(device, on_device("c", ForeignLog::fork), {}, 44);
        CHECK(rig.open().error() == Error::unsupported);
        CHECK(rig.log->open_error_text().find("forked once already") != std::string::npos);
        Rig adopted(device, on_device("c", ForeignLog::adopt));
        CHECK(adopted.open());
    }
}

// Of records that stay, the copies outlive everything else of the log that was forked first.
TEST_CASE("copied card: none is forked again while it holds copies from before the first fork") {
    constexpr std::uint32_t count = 64;
    SimStorage device({.seed = 1, .size = 32 * KiB + count * std::uint64_t{small_segment}});
    const auto held_by = [&](const std::string& id, Area area) {
        std::uint32_t held = 0;
        std::vector<std::uint8_t> bytes(segment_header_bytes);
        for (std::uint32_t i = 0; i < count; ++i) {
            device.image().read(32 * KiB + i * std::uint64_t{small_segment}, bytes);
            const auto header = decode_segment_header(bytes);
            held += header && header->area == area && log_id_text(header->log_id) == id;
        }
        return held;
    };
    const auto live = [](Rig& rig, std::uint64_t alarm_each, std::uint64_t batches) {
        REQUIRE(rig.log->declare_stream(1, {}));
        REQUIRE(rig.log->declare_stream(2, {.when_full = WhenFull::drop_oldest}));
        for (std::uint64_t i = 0; i < batches; ++i) {
            const StreamId id = alarm_each != 0 && i % alarm_each == 0 ? 1 : 2;
            for (int tries = 0; tries < 100 && !rig.append_durably(id, {.size = 1'500, .salt = i});
                 ++tries)
                rig.pass(50);
            if (i % 4 == 0) rig.pass(50);
        }
        rig.close();
        return rig.log->status().log_id;
    };
    std::string first;
    {
        Rig rig(device, on_device("a"));
        REQUIRE(rig.open());
        first = live(rig, 20, 3'000);
    }
    REQUIRE(held_by(first, Area::survivors) > 0);
    {
        Rig rig(device, on_device("b", ForeignLog::fork), {}, 43);
        REQUIRE(rig.open());
        (void)live(rig, 0, 3'000);
    }
    REQUIRE(held_by(first, Area::arrivals) == 0);
    REQUIRE(held_by(first, Area::survivors) > 0);
    Rig rig(device, on_device("c", ForeignLog::fork), {}, 44);
    CHECK_FALSE(rig.open());
    CHECK(rig.log->open_error_text().find("forked once already") != std::string::npos);
}

TEST_CASE("epoch: rises at a start after an unclean stop only, and is written into batches") {
    SimStorage device({.seed = 1, .size = small_device});
    std::int32_t epoch = 0;
    for (int start = 0; start < 6; ++start) {
        Rig rig(device);
        REQUIRE(rig.open());
        CHECK(rig.log->status().leader_epoch == epoch);
        CHECK(rig.log->status().start_count == static_cast<std::uint64_t>(start + 1));
        REQUIRE(rig.log->declare_stream(1, {}));
        REQUIRE(rig.append_durably(1, {}));
        const auto all = rig.read_all(1, start);
        REQUIRE(all.bytes.size() > 16);
        CHECK(load_big<std::int32_t>(all.bytes.data() + 12) == epoch);
        if (start % 2 == 0)
            rig.close();
        else
            ++epoch;
    }
}

TEST_CASE(
    "open: a full log that the cleaner wants to work on has a deadline that a timer can hold") {
    SimStorage device({.seed = 1, .size = small_device});
    {
        Rig rig(device);
        REQUIRE(rig.open());
        REQUIRE(rig.log->declare_stream(1, {}));
        while (rig.append_durably(1, {.size = 500}))
            ;  // a page each: the segments hold little
    }
    device.power_cycle();
    Rig rig(device);
    REQUIRE(rig.open());
    CHECK(rig.log->deadline() <= rig.at());
    CHECK(rig.log->deadline() >= Instant{});  // Instant::min() is less nanoseconds than there are
}

// The older superblock may be from before the first checkpoint: the ring begins no more where a log
// in its first life does, and what stands there may be recycled, or still look whole.
TEST_CASE("open: without any checkpoint the ring is found by its headers") {
    SimStorage device({.seed = 1, .size = small_device});
    Rig rig(device);
    REQUIRE(rig.open());
    REQUIRE(rig.log->declare_stream(1, {.retention_bytes = 100'000}));
    rig.log->set_release(1, INT64_MAX);
    Offset end = 0;
    for (std::uint64_t i = 0; i < 200; ++i, rig.pass(100)) {
        if (rig.append_durably(1, {.size = 9'000, .salt = i})) ++end;
        if (rig.log->counters().segments_recycled < 2) continue;
        SimImage image = device.image();
        std::vector<std::uint8_t> bytes(superblock_bytes);
        Superblock slots[2];
        for (std::uint64_t slot : {0u, 1u}) {
            image.read(slot * 16 * KiB, bytes);
            slots[slot] = *decode_superblock(bytes);
        }
        const std::uint64_t newest = slots[0].sequence > slots[1].sequence ? 0 : 1;
        Superblock& older = slots[1 - newest];
        older.checkpoint = older.previous = {};
        encode_superblock(older, bytes);
        image.write((1 - newest) * 16 * KiB, bytes);
        image.write(newest * 16 * KiB, std::vector<std::uint8_t>(superblock_bytes, 0x5A));
        SimStorage damaged({.seed = 2}, std::move(image));
        Rig again(damaged);
        REQUIRE(again.open());
        REQUIRE(again.log->declare_stream(1, {}));
        INFO("after ", end, " records");
        CHECK(again.log->stream(1)->log_end == end);
        const Offset start = rig.log->stream(1)->log_start;
        CHECK(base_offsets(again.read_all(1, start).bytes).size() ==
              static_cast<std::size_t>(end - start));
    }
    CHECK(rig.log->counters().segments_recycled >= 10);
}
