// One log's superblocks before another one's segments: what a start takes, and what it refuses.
#include <doctest/doctest.h>

#include "broker/log/inspect.hpp"
#include "tests/log/rig.hpp"

using namespace leat;
using namespace leat::log;
using namespace leat::log::test;

namespace {

constexpr std::uint64_t slots_bytes = 32 * KiB;

SimImage log_of(std::uint64_t seed, std::uint64_t records, std::uint64_t size = small_device) {
    SimStorage device({.seed = seed, .size = size});
    Rig rig(device, small_config(), {}, seed);
    REQUIRE(rig.open());
    REQUIRE(rig.log->declare_stream(1, {}));
    for (std::uint64_t i = 0; i < records; ++i)
        REQUIRE(rig.append_durably(1, {.size = 3'000, .salt = i}));
    CHECK((rig.log->counters().written_checkpoint > 0) == (records >= 60));
    return device.image();
}

void copy(const SimImage& from, SimImage& to, std::uint64_t begin, std::uint64_t end) {
    std::vector<std::uint8_t> bytes(end - begin);
    from.read(begin, bytes);
    to.write(begin, bytes);
}

std::string id_at(const SimImage& image, std::uint64_t at) {
    std::uint8_t bytes[512];
    image.read(at, bytes);
    LogId id;
    std::copy_n(bytes + (at < slots_bytes ? 24 : 16), id.size(), id.begin());
    return log_id_text(id);
}

}  // namespace

TEST_CASE("foreign pool: segments of another log behind a log's superblocks are no empty log") {
    for (const std::uint64_t records : {10u, 60u}) {  // without a checkpoint, or with one
        SimImage image = log_of(1, records);
        const SimImage other = log_of(2, records);
        copy(other, image, slots_bytes, small_device);
        SimStorage device({.seed = 3}, image);
        const std::uint64_t before = device.image().hash();
        Rig rig(device);
        const Status opened = rig.open();
        REQUIRE(!opened);
        CHECK(opened.error() == Error::corrupt);
        const std::string text = rig.log->open_error_text();
        INFO(text);
        CHECK(text.find(id_at(image, 0)) != std::string::npos);
        CHECK(text.find(id_at(other, slots_bytes)) != std::string::npos);
        CHECK(text.find("byte 32768") != std::string::npos);
        CHECK(text.find("nothing was changed") != std::string::npos);
        CHECK(text.find("put") != std::string::npos);
        CHECK(device.image().hash() == before);
        std::string why;
        const auto looked = inspect(device, nullptr, why);
        REQUIRE(!looked);
        CHECK(looked.error() == Error::corrupt);
        CHECK(why == text);
    }
}

TEST_CASE("foreign pool: what an older log left behind a new one's front is void") {
    const SimImage old = log_of(1, 120);
    SUBCASE("made anew, and cut before the first record") {
        for (const std::uint64_t records : {0u, 1u, 40u}) {
            SimImage image = old;
            image.write(0, std::vector<std::uint8_t>(slots_bytes + small_segment, 0));
            SimStorage device({.seed = 3}, image);
            {
                Rig rig(device, small_config(), {}, 7);
                REQUIRE(rig.open());
                REQUIRE(rig.log->declare_stream(1, {}));
                for (std::uint64_t i = 0; i < records; ++i)
                    REQUIRE(rig.append_durably(1, {.size = 3'000, .salt = i}));
            }
            device.power_cycle();
            Rig rig(device);
            REQUIRE(rig.open());
            REQUIRE(rig.log->declare_stream(1, {}));
            CHECK(rig.log->stream(1)->log_end == static_cast<Offset>(records));
            std::string why;
            rig.close();
            SimStorage look({.seed = 4}, device.image());
            const auto log = inspect(look, nullptr, why);
            REQUIRE(log);
            CHECK(log->damages.empty());
        }
    }
    SUBCASE("grown over it") {
        constexpr std::uint64_t larger = slots_bytes + 32 * small_segment;
        SimImage image = log_of(2, 60, larger);
        LogConfig config = small_config();
        {  // A log of half of it, in front of what the other one left.
            SimImage half = log_of(5, 60);
            copy(half, image, 0, small_device);
        }
        SimStorage device({.seed = 3}, image);
        Rig rig(device, config);
        REQUIRE(rig.open());
        CHECK(rig.log->status().segments == 32);
        REQUIRE(rig.log->declare_stream(1, {}));
        CHECK(rig.log->stream(1)->log_end == 60);
    }
}
