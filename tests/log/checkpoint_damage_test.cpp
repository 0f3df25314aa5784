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
static_assert(carries_parity(20, 2 * MiB));

/// What makes a checkpoint long or short: streams with a producer and a fact each.
struct Shape {
    std::uint32_t segments = 256, segment_bytes = segment;
    StreamId streams = 60;
    std::size_t fact_bytes = 700;
};
Shape small(std::size_t fact_bytes) { return {20, 2 * MiB, 4, fact_bytes}; }

LogConfig config(const Shape& shape = {}) {
    LogConfig config = small_config();
    config.segment_bytes = shape.segment_bytes;
    return config;
}

SimImage make(const Shape& shape = {}) {
    SimStorage device(
        {.seed = 1, .size = pool + std::uint64_t{shape.segments} * shape.segment_bytes});
    Rig rig(device, config(shape));
    REQUIRE(rig.open());
    for (StreamId id = 1; id <= shape.streams; ++id) {
        REQUIRE(rig.log->declare_stream(id, {}));
        REQUIRE(rig.append_durably(
            id, {.count = id, .salt = id, .producer_id = 7, .epoch = 0, .sequence = 0}));
        REQUIRE(rig.log->put_fact(
            rig.at(), FactKind::config, bytes_of(std::to_string(id)),
            bytes_of(std::string(shape.fact_bytes, static_cast<char>('a' + id % 26)))));
    }
    rig.settle();
    for (std::uint64_t i = 0; i < 75; ++i) {
        REQUIRE(rig.append_durably(1, {.size = 100'000, .salt = i}));
        rig.pass(10);
    }
    REQUIRE(rig.log->counters().written_checkpoint > 0);
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
    CheckpointPlace place;
    CheckpointEnd record;
    std::uint64_t end = 0;             ///< where the end record lies on the device
    std::vector<std::uint64_t> pages;  ///< of the checkpoint, with it

    std::size_t body_pages() const { return pages.size() - 1 - record.parity_bytes / 4096; }
};
std::uint64_t address(std::uint64_t number, std::uint32_t segment_bytes, std::uint64_t position) {
    return pool + number * segment_bytes + position;
}
Newest newest_checkpoint(const SimImage& image) {
    const Superblock super = newest_superblock(image);
    Newest newest{super.checkpoint, {}, 0, {}};
    const CheckpointPlace& place = newest.place;
    newest.end = address(place.segment, super.segment_bytes, place.position);
    std::vector<std::uint8_t> bytes(place.bytes);
    image.read(newest.end, bytes);
    const auto end = decode_end(ByteView(bytes).subspan(commit_header_bytes + frame_header_bytes));
    REQUIRE(end);
    newest.record = *end;
    for (const CheckpointExtent& extent : end->extents)
        for (std::uint32_t page = extent.from; page < extent.to; page += 4096)
            newest.pages.push_back(address(extent.segment, super.segment_bytes, page));
    newest.pages.push_back(newest.end);
    return newest;
}

std::string told_by(const SimImage& made, const Shape& shape) {
    SimStorage device({.seed = 2}, made);
    Rig rig(device, config(shape));
    REQUIRE(rig.open());
    CHECK(rig.log->status().cut_text.find("checkpoint") == std::string::npos);
    return told(*rig.log);
}

struct Helped {
    std::size_t restored = 0, second = 0;
};
/// Loses each page of flash that the newest checkpoint lies on, or some of the pages on it.
Helped lose_each(const SimImage& made, const Shape& shape) {
    const std::string whole = told_by(made, shape);
    std::set<std::uint64_t> blocks;
    for (const std::uint64_t page : newest_checkpoint(made).pages)
        blocks.insert(page / (16 * KiB) * (16 * KiB));
    struct Lost {
        std::uint32_t first, pages;
    };
    Helped helped;
    for (const std::uint64_t block : blocks)
        for (const Lost lost : {Lost{0, 1}, Lost{0, 2}, Lost{3, 1}, Lost{2, 2}, Lost{0, 4}}) {
            SimStorage device({.seed = 2}, made);
            device.image().write(block + lost.first * 4096,
                                 std::vector<std::uint8_t>(lost.pages * 4096, 0xA5));
            Rig rig(device, config(shape));
            INFO("block ", block, " from page ", lost.first, " pages ", lost.pages);
            REQUIRE(rig.open());
            CHECK(told(*rig.log) == whole);
            const std::string text = rig.log->status().cut_text;
            CHECK(text.find("before it") == std::string::npos);
            helped.restored += text.find("good") != std::string::npos;
            helped.second += text.find("second") != std::string::npos;
            // What was good enough once is not waited for to become worse.
            if (text.find("checkpoint") == std::string::npos) continue;
            for (int i = 0; i < 20; ++i) rig.pass(100);
            device.power_cycle();
            Rig again(device, config(shape));
            REQUIRE(again.open());
            CHECK(told(*again.log) == whole);
            CHECK(again.log->status().cut_text.find("checkpoint") == std::string::npos);
        }
    return helped;
}

/// The newest checkpoint with parity as programs wrote it before it was cut short: 16 KiB whatever
/// the checkpoint's length is, and the end record right behind.
SimImage with_whole_parity(const SimImage& made) {
    SimImage image = made;
    Superblock super = newest_superblock(image);
    Newest newest = newest_checkpoint(image);
    Parity parity(4096);
    parity.clear();
    std::vector<std::uint8_t> page(4096);
    for (std::size_t i = 0; i < newest.body_pages(); ++i) {
        image.read(newest.pages[i], page);
        parity.add(page);
    }
    image.read(newest.end, page);
    CommitHeader header = *decode_commit_header(page, newest.place.salt);
    // The commit with the parity ends the last extent, or is all of it.
    CheckpointEnd& end = newest.record;
    end.extents.back().to -= std::exchange(end.parity_bytes, 0);
    end.frames -= 2;
    end.bytes = newest.body_pages() * 4096;
    if (end.extents.back().to == end.extents.back().from) end.extents.pop_back();
    header.position = static_cast<std::uint32_t>(round_up(newest.place.position + 4096, 16 * KiB));
    const auto put = [&](Group& group) {
        const ByteView bytes = group.finish(header, newest.place.salt);
        image.write(address(newest.place.segment, super.segment_bytes, header.position), bytes);
        header.position += group.padded();
        ++header.sequence;
    };
    Group group(4096, 4096);
    const auto add = [&](FrameType type, const std::vector<std::uint8_t>& body) {
        copy_bytes(body, group.add(type, 0, static_cast<std::uint32_t>(body.size()), 0, Instant{}));
    };
    std::vector<std::uint8_t> body;
    encode_end(body, end);
    add(FrameType::checkpoint_end, body);
    body.clear();
    parity.encode(body);
    body.resize(16 + 16 * KiB);
    store_little<std::uint32_t>(body.data() + 8, 16 * KiB);
    add(FrameType::checkpoint_parity, body);
    CHECK(group.padded() == parity_commit_max(4096));
    end.parity_bytes = group.padded();
    end.frames += 2;
    end.bytes += group.padded();
    end.extents.push_back({newest.place.segment, newest.place.salt, newest.place.generation,
                           header.position, header.position + group.padded()});
    put(group);
    group.clear(0);
    super.checkpoint.position = header.position;
    body.clear();
    encode_end(body, end);
    add(FrameType::checkpoint_end, body);
    put(group);
    for (int slot = 0; slot < 2; ++slot, ++super.sequence) {
        std::uint8_t block[superblock_bytes];
        encode_superblock(super, block);
        image.write((super.sequence & 1) * super.slot_bytes, block);
    }
    return image;
}

}  // namespace

TEST_CASE("checkpoint: a page of flash that is lost in it, whichever, costs nothing") {
    const SimImage made = make();
    const Newest newest = newest_checkpoint(made);
    CHECK(newest.pages.size() >= 20);
    CHECK(newest.record.parity_bytes == parity_commit_max(4096));
    const Helped helped = lose_each(made, {});
    CHECK(helped.restored >= 12);
    CHECK(helped.second >= 1);
}

TEST_CASE("checkpoint: of a short one the parity is as long as it is, and does as much") {
    std::set<std::size_t> lengths;
    for (const std::size_t fact_bytes : {10u, 1'000u, 1'900u, 2'800u, 3'800u}) {
        const Shape shape = small(fact_bytes);
        const SimImage made = make(shape);
        const Newest newest = newest_checkpoint(made);
        INFO("facts of ", fact_bytes, " pages ", newest.body_pages());
        lengths.insert(newest.body_pages());
        CHECK(newest.record.parity_bytes <= (newest.body_pages() + 1) * 4096);
        CHECK(newest.record.parity_bytes <= parity_commit_max(4096));
        const Helped helped = lose_each(made, shape);
        CHECK(helped.restored >= 1);
        CHECK(helped.second >= 1);
    }
    CHECK(*lengths.begin() == 1);
    CHECK(lengths.size() >= 4);
}

TEST_CASE("checkpoint: parity of 16 KiB for a short one, as it was once written, does as much") {
    for (const std::size_t fact_bytes : {10u, 1'900u}) {
        const Shape shape = small(fact_bytes);
        const SimImage written = make(shape);
        const SimImage made = with_whole_parity(written);
        CHECK(newest_checkpoint(made).record.parity_bytes == parity_commit_max(4096));
        CHECK(told_by(made, shape) == told_by(written, shape));
        const Helped helped = lose_each(made, shape);
        CHECK(helped.restored >= 1);
        CHECK(helped.second >= 1);
    }
}

TEST_CASE("checkpoint: a page of it that the device does not give costs nothing") {
    const SimImage made = make();
    const std::string whole = told_by(made, {});
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
    for (const std::uint64_t page : newest_checkpoint(made.image()).pages)
        places.push_back(page + 40);
    REQUIRE(places.size() >= 4);
    REQUIRE(newest_checkpoint(made.image()).record.parity_bytes == 0);
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
