// Segments of which nothing can be read: in the ledger once, and then room again.
#include "broker/log/checkpoint.hpp"
#include "tests/log/planted.hpp"
#include "tests/log/poor_device.hpp"

using namespace leat;
using namespace leat::log;
using namespace leat::log::test;

namespace {

void spoil(SimImage& image, std::uint64_t segment, std::uint64_t from, std::uint64_t bytes) {
    const std::vector<std::uint8_t> garbage(bytes, 0xA5);
    image.write(32 * KiB + segment * small_segment + from, garbage);
}

/// The place from which on a start reads the ring.
std::uint64_t redo_place(const SimImage& image) {
    const CheckpointPlace place = newest_superblock(image).checkpoint;
    std::vector<std::uint8_t> bytes(place.bytes);
    constexpr std::size_t before = commit_header_bytes + frame_header_bytes;
    image.read(32 * KiB + place.segment * std::uint64_t{small_segment} + place.position, bytes);
    const auto end = decode_end(ByteView(bytes).subspan(before));
    REQUIRE(end);
    const CheckpointExtent& first = end->extents.front();
    image.read(32 * KiB + first.segment * std::uint64_t{small_segment} + first.from, bytes);
    const auto begin = decode_begin(ByteView(bytes).subspan(before));
    REQUIRE(begin);
    return begin->redo_place;
}

/// The sealed arrivals segments that lie in front of it, by place.
std::vector<std::uint64_t> sealed(const SimImage& image) {
    std::map<std::uint64_t, std::uint64_t> by_place;
    for (std::uint64_t segment = 0; segment < 32; ++segment) {
        std::uint8_t page[segment_header_bytes], last[32];
        image.read(32 * KiB + segment * small_segment, page);
        image.read(32 * KiB + (segment + 1) * small_segment - 32, last);
        const auto header = decode_segment_header(page);
        if (header && header->area == Area::arrivals && header->place < redo_place(image) &&
            decode_trailer(last, header->generation, header->salt, small_segment))
            by_place[header->place] = segment;
    }
    std::vector<std::uint64_t> all;
    for (const auto& [place, segment] : by_place) all.push_back(segment);
    REQUIRE(all.size() >= 3);
    return all;
}

/// A device that takes commits, a few.
void write_for_two_minutes(Rig& rig) {
    REQUIRE(rig.log->declare_stream(3, {}));
    for (std::uint64_t i = 0; i < 12; ++i) {
        REQUIRE(rig.append_durably(3, {.count = 1, .size = 100, .salt = 700'000 + i}));
        for (int second = 0; second < 10; ++second) rig.pass(1'000);
    }
}

std::uint64_t lost_in(const Books& books) {
    std::uint64_t lost = 0;
    for (const Loss& loss : books.losses) {
        CHECK(loss.reason == LossReason::damaged);
        lost += loss.records;
    }
    return lost;
}

}  // namespace

TEST_CASE("lost segments: without header and footer the frames tell what is in one") {
    SimStorage made({.seed = 1, .size = twice_small});
    const std::vector<Planted> planted = plant(made);
    for (const std::uint64_t segment : sealed(made.image())) {
        SimStorage device({.seed = 2}, made.image());
        spoil(device.image(), segment, 0, 4096);
        spoil(device.image(), segment, small_segment - 4096, 4096);
        Rig rig(device);
        REQUIRE(rig.open());
        declare_both(rig);
        INFO("segment ", segment);
        std::size_t errors = 0;
        CHECK(read_over(rig, 1, errors).size() + read_over(rig, 2, errors).size() == planted.size());
        CHECK(errors == 0);
        for (int second = 0; second < 120; ++second) rig.pass(1'000);
        CHECK(rig.log->books(1).losses.empty());
        CHECK(rig.log->books(2).losses.empty());
    }
}

TEST_CASE("lost segments: one of which nothing is left is in the ledger once, and is room again") {
    SimStorage made({.seed = 1, .size = twice_small});
    const std::vector<Planted> planted = plant(made);
    std::uint32_t free = 0;
    {
        SimStorage device({.seed = 2}, made.image());
        Rig rig(device);
        REQUIRE(rig.open());
        free = rig.log->status().segments_free;
    }
    for (const std::uint64_t segment : sealed(made.image())) {
        SimStorage device({.seed = 2}, made.image());
        spoil(device.image(), segment, 0, small_segment);
        std::uint64_t lost = 0;
        INFO("segment ", segment);
        {
            Rig rig(device);
            REQUIRE(rig.open());
            declare_both(rig);
            for (int second = 0; second < 30; ++second) rig.pass(1'000);
            CHECK(rig.log->books(1).losses.empty());  // a device may come back
            CHECK(rig.log->status().segments_free == free);
            write_for_two_minutes(rig);
            CHECK(rig.log->counters().segments_recycled == 1);  // and it stays so
            CHECK(!rig.log->status().damaged.empty());
            const Books first = rig.log->books(1), second = rig.log->books(2);
            CHECK(first.balanced());
            CHECK(second.balanced());
            CHECK(first.losses.size() == 1);
            CHECK(second.losses.size() == 1);
            lost = lost_in(first) + lost_in(second);
            std::size_t errors = 0;
            const std::size_t left =
                read_over(rig, 1, errors).size() + read_over(rig, 2, errors).size();
            CHECK(left * 4 + lost == planted.size() * 4);
            CHECK(lost_in(rig.log->books(1)) + lost_in(rig.log->books(2)) == lost);
            rig.close();
        }
        Rig rig(device);
        REQUIRE(rig.open());
        declare_both(rig);
        for (int second = 0; second < 120; ++second) rig.pass(1'000);
        CHECK(lost_in(rig.log->books(1)) + lost_in(rig.log->books(2)) == lost);
        CHECK(rig.log->books(1).balanced());
    }
}

TEST_CASE("lost segments: a device that gives nothing for minutes, and takes nothing, costs nothing") {
    SimStorage made({.seed = 1, .size = twice_small});
    const std::vector<Planted> planted = plant(made);
    SimStorage device({.seed = 2}, made.image());
    Rig rig(device);
    REQUIRE(rig.open());
    declare_both(rig);
    const std::uint32_t free = rig.log->status().segments_free;
    const std::vector<std::uint64_t> away = sealed(device.image());
    std::vector<std::vector<std::uint8_t>> kept;
    for (const std::uint64_t segment : away) {
        device.image().read(32 * KiB + segment * small_segment,
                            kept.emplace_back(small_segment));
        spoil(device.image(), segment, 0, small_segment);
    }
    for (int second = 0; second < 300; ++second) rig.pass(1'000);
    CHECK(rig.log->status().segments_free == free);
    CHECK(rig.log->books(1).losses.empty());
    CHECK(rig.log->books(2).losses.empty());
    for (std::size_t i = 0; i < away.size(); ++i)
        device.image().write(32 * KiB + away[i] * small_segment, kept[i]);
    write_for_two_minutes(rig);
    std::size_t errors = 0;
    CHECK(read_over(rig, 1, errors).size() + read_over(rig, 2, errors).size() == planted.size());
    CHECK(errors == 0);
    CHECK(rig.log->books(1).losses.empty());
    CHECK(rig.log->books(2).losses.empty());
}

TEST_CASE("lost segments: nor does it cost who reads meanwhile, nor move him") {
    SimStorage made({.seed = 1, .size = twice_small});
    const std::vector<Planted> planted = plant(made);
    SimStorage device({.seed = 2}, made.image());
    Poor poor(device);
    Rig rig(device);
    rig.log = make_log(poor, rig.entropy, small_config());
    REQUIRE(rig.open());
    declare_both(rig);
    poor.away_to = twice_small;
    poor.away_reads = SIZE_MAX;
    std::uint64_t refused = 0;
    for (int second = 0; second < 300; ++second) {
        for (const StreamId id : {1u, 2u}) {
            const Offset end = rig.log->stream(id)->log_end;
            for (const Offset from : {Offset{0}, end / 8 * 4, end / 4 * 3 / 4 * 4}) {
                const auto all = rig.read_all(id, from);
                if (!all.error) continue;  // in memory still
                REQUIRE(*all.error == Error::storage);
                if (all.bytes.empty()) CHECK(all.next == from);
                ++refused;
            }
        }
        rig.pass(1'000);
    }
    CHECK(refused >= 1'200);
    CHECK(rig.log->books(1).losses.empty());
    CHECK(rig.log->books(2).losses.empty());
    poor.away_reads = 0;
    write_for_two_minutes(rig);
    std::size_t errors = 0;
    CHECK(read_over(rig, 1, errors).size() + read_over(rig, 2, errors).size() == planted.size());
    CHECK(errors == 0);
    CHECK(rig.log->books(1).losses.empty());
    CHECK(rig.log->books(2).losses.empty());
    rig.log.reset();
}
