// A page of flash that is lost in the newest checkpoint of a log that is not small.
#include <set>

#include "broker/log/checkpoint_parity.hpp"
#include "tests/log/planted.hpp"
#include "tests/log/poor_device.hpp"

using namespace leat;
using namespace leat::log;
using namespace leat::log::test;

namespace {

constexpr std::uint32_t segment = 256 * KiB;
constexpr std::uint32_t pool = 32 * KiB;
static_assert(carries_parity(256, segment) && !carries_parity(128, segment));

LogConfig config() {
    LogConfig config = small_config();
    config.segment_bytes = segment;
    return config;
}

SimImage make() {
    SimStorage device({.seed = 1, .size = pool + 256 * std::uint64_t{segment}});
    Rig rig(device, config());
    REQUIRE(rig.open());
    for (StreamId id = 1; id <= 60; ++id) {
        REQUIRE(rig.log->declare_stream(id, {}));
        REQUIRE(rig.append_durably(
            id, {.count = id, .salt = id, .producer_id = 7, .epoch = 0, .sequence = 0}));
        REQUIRE(rig.log->put_fact(rig.at(), FactKind::config, bytes_of(std::to_string(id)),
                                  bytes_of(std::string(700, static_cast<char>('a' + id % 26)))));
    }
    rig.settle();
    for (std::uint64_t i = 0; i < 75; ++i) {
        REQUIRE(rig.append_durably(1, {.size = 100'000, .salt = i}));
        rig.pass(10);
    }
    REQUIRE(rig.log->counters().written_checkpoint > 3 * 64 * KiB);
    return device.image();
}

/// Everything that a log tells of itself, in one text.
std::string told(const Log& log) {
    std::string text;
    log.for_each_stream([&](StreamId id) {
        const StreamState& state = *log.stream(id);
        const ProducerState* producer = log.producer(id, 7);
        text += std::to_string(id) + ": " + std::to_string(state.log_start) + " " +
                std::to_string(state.log_end) + " " + std::to_string(state.bytes) + " " +
                std::to_string(producer != nullptr ? producer->count : -1) + "\n";
    });
    log.for_each_fact(FactKind::config, [&](ByteView key, ByteView value) {
        text += std::string(text_of(key)) + "=" + std::string(text_of(value)) + "\n";
    });
    return text;
}

struct Newest {
    std::uint64_t end = 0;                 ///< where the end record lies on the device
    std::vector<std::uint64_t> pages;      ///< of the checkpoint, with it
};
Newest newest_checkpoint(const SimImage& image, std::uint32_t segment_bytes = segment) {
    const CheckpointPlace place = newest_superblock(image).checkpoint;
    const auto at = [&](std::uint64_t number, std::uint64_t position) {
        return pool + number * segment_bytes + position;
    };
    Newest newest{at(place.segment, place.position), {}};
    std::vector<std::uint8_t> bytes(place.bytes);
    image.read(newest.end, bytes);
    const auto end = decode_end(ByteView(bytes).subspan(commit_header_bytes + frame_header_bytes));
    REQUIRE(end);
    REQUIRE(end->parity_bytes == (segment_bytes == segment ? parity_commit_bytes(4096) : 0));
    for (const CheckpointExtent& extent : end->extents)
        for (std::uint32_t page = extent.from; page < extent.to; page += 4096)
            newest.pages.push_back(at(extent.segment, page));
    newest.pages.push_back(newest.end);
    return newest;
}

}  // namespace

TEST_CASE("checkpoint: a page of flash that is lost in it, whichever, costs nothing") {
    const SimImage made = make();
    std::string whole;
    {
        SimStorage device({.seed = 2}, made);
        Rig rig(device, config());
        REQUIRE(rig.open());
        whole = told(*rig.log);
        CHECK(rig.log->status().cut_text.find("checkpoint") == std::string::npos);
    }
    const Newest newest = newest_checkpoint(made);
    CHECK(newest.pages.size() >= 20);
    std::set<std::uint64_t> blocks;
    for (const std::uint64_t page : newest.pages) blocks.insert(page / (16 * KiB) * (16 * KiB));
    std::size_t restored = 0, second = 0;
    for (const std::uint64_t block : blocks)
        for (const std::uint32_t size : {1u, 2u, 4u}) {
            SimStorage device({.seed = 2}, made);
            device.image().write(block + (4 - size) * 4096,
                                 std::vector<std::uint8_t>(size * 4096, 0xA5));
            Rig rig(device, config());
            INFO("block ", block, " pages ", size);
            REQUIRE(rig.open());
            CHECK(told(*rig.log) == whole);
            const std::string text = rig.log->status().cut_text;
            CHECK(text.find("before it") == std::string::npos);
            restored += text.find("good") != std::string::npos;
            second += text.find("second") != std::string::npos;
            // What was good enough once is not waited for to become worse.
            if (text.find("checkpoint") == std::string::npos) continue;
            for (int i = 0; i < 20; ++i) rig.pass(100);
            device.power_cycle();
            Rig again(device, config());
            REQUIRE(again.open());
            CHECK(told(*again.log) == whole);
            CHECK(again.log->status().cut_text.find("checkpoint") == std::string::npos);
        }
    CHECK(restored >= 12);
    CHECK(second >= 1);
}

TEST_CASE("checkpoint: a page of it that the device does not give costs nothing") {
    const SimImage made = make();
    std::string whole;
    {
        SimStorage device({.seed = 2}, made);
        Rig rig(device, config());
        REQUIRE(rig.open());
        whole = told(*rig.log);
    }
    for (const std::uint64_t page : newest_checkpoint(made).pages) {
        SimStorage device({.seed = 2}, made);
        Poor poor(device);
        poor.bad_sector = page;
        SimEntropy entropy(9);
        const auto log = make_log(poor, entropy, config());
        INFO("page ", page);
        REQUIRE(log->open(instant_ms(2'000'000), wall_ms(1'800'000'100'000)));
        CHECK(told(*log) == whole);
        CHECK(log->status().cut_text.find("before it") == std::string::npos);
    }
}

// It is all in RAM: before the next bit is lost, and before a start needs it.
TEST_CASE("scrub: a bit lost in the superblock or the checkpoint is told, and made good at once") {
    SimStorage made({.seed = 1, .size = twice_small});
    (void)plant(made);
    std::vector<std::uint64_t> places{100, 16 * KiB + 100};
    for (const std::uint64_t page : newest_checkpoint(made.image(), small_segment).pages)
        places.push_back(page + 40);
    REQUIRE(places.size() >= 4);
    LogConfig often = small_config();
    often.scrub_every = milliseconds(1);
    for (const std::uint64_t place : places) {
        SimStorage device({.seed = 2}, made.image());
        std::string whole;
        {
            Rig rig(device, often);
            REQUIRE(rig.open());
            declare_both(rig);
            whole = told(*rig.log);
            rig.settle();
            std::uint8_t byte = 0;
            device.image().read(place, {&byte, 1});
            byte ^= 4;
            device.image().write(place, {&byte, 1});
            INFO("place ", place);
            rig.pass(60'000);
            for (int i = 0; i < 60; ++i) rig.pass(63);
            const LogStatus status = rig.log->status();
            REQUIRE(status.damaged.size() == 1);
            CHECK(status.damaged[0].what == (place < pool ? DamagedPlace::What::superblock
                                                          : DamagedPlace::What::checkpoint));
            CHECK(status.damaged[0].device_position / 4096 == place / 4096);
            for (const std::uint64_t slot : {0u, 1u}) {
                std::uint8_t bytes[superblock_bytes];
                device.image().read(slot * 16 * KiB, bytes);
                CHECK(decode_superblock(bytes));
            }
        }
        device.power_cycle();
        Rig rig(device);
        REQUIRE(rig.open());
        CHECK(told(*rig.log) == whole);
        CHECK(rig.log->status().cut_text.find("lost") == std::string::npos);
    }
}
