// The cleaner where a bit flipped: what it copies is no less than what a reader finds.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstdio>
#include <optional>

#include "tests/log/planted.hpp"

using namespace leat;
using namespace leat::log;
using namespace leat::log::test;

namespace {

constexpr std::uint64_t pool_start = 32 * KiB;

std::uint64_t generation_of(const SimImage& image, std::uint32_t segment) {
    std::vector<std::uint8_t> bytes(segment_header_bytes);
    image.read(pool_start + std::uint64_t{segment} * small_segment, bytes);
    const auto header = decode_segment_header(bytes);
    return header ? header->generation : 0;
}

/// Lone records of two streams with facts between them, some groups of several, and batches that
/// span commits: 14 segments of it, closed.
std::uint64_t fill_mixed(Rig& rig) {
    std::uint64_t salt = 0;
    for (int i = 0; i < 150; ++i) {
        const StreamId stream = i % 3 == 1 ? 2 : 1;
        REQUIRE(rig.append(stream, {.count = 2, .size = 300, .salt = ++salt}));
        if (i % 10 == 4) {
            const std::string value = std::to_string(i);
            REQUIRE(rig.log->put_fact(rig.at(), FactKind::config, bytes_of("k"), bytes_of(value)));
            REQUIRE(rig.append(3 - stream, {.count = 2, .size = 500, .salt = ++salt}));
        }
        if (i % 25 == 7) {
            rig.device.hold(true);  // a commit is under way: what comes now is cut
            rig.log->on_deadline(rig.at(), wall_ms(rig.wall));
            for (int j = 0; j < 2; ++j)
                REQUIRE(rig.append(1, {.count = 2, .size = 7'000, .salt = ++salt}));
            rig.device.hold(false);
        }
        rig.settle();
    }
    return salt;
}

struct Kept {
    std::vector<Offset> first, second;
    friend bool operator==(const Kept&, const Kept&) = default;
};
/// What of the records that were there can be read.
Kept readable(Rig& rig, Offset end_first, Offset end_second, std::size_t& errors) {
    Kept kept{read_over(rig, 1, errors), read_over(rig, 2, errors)};
    std::erase_if(kept.first, [=](Offset base) { return base >= end_first; });
    std::erase_if(kept.second, [=](Offset base) { return base >= end_second; });
    return kept;
}

/// Sends until the segment has another life, or nothing more goes in.
void send_until_recycled(Rig& rig, std::uint32_t segment, std::uint64_t generation) {
    for (int refused = 0; refused < 200; rig.pass(100)) {
        if (generation_of(rig.device.image(), segment) != generation) return;
        if (!rig.append_durably(1, {.count = 2, .size = 200, .salt = 77})) ++refused;
    }
}

void start_both(Rig& rig) {
    REQUIRE(rig.open());
    declare_both(rig);
}

/// What a flipped bit cost when the cleaner had moved its segment; nothing: its turn never came.
std::optional<std::uint64_t> lost_by_flip(SimImage image, std::uint32_t segment, std::uint64_t at,
                                          int bit) {
    const std::uint64_t generation = generation_of(image, segment);
    REQUIRE(generation != 0);
    std::uint8_t byte = 0;
    image.read(at, {&byte, 1});
    byte ^= static_cast<std::uint8_t>(1u << bit);
    image.write(at, {&byte, 1});
    INFO("segment ", segment, ", byte ", at, ", bit ", bit);

    Kept before, kept;
    Offset end_first = 0, end_second = 0;
    {
        SimStorage device({.seed = 2}, image);
        Rig rig(device);
        start_both(rig);
        end_first = rig.log->stream(1)->log_end;
        end_second = rig.log->stream(2)->log_end;
        std::size_t errors = 0;
        before = readable(rig, end_first, end_second, errors);
    }
    const auto whole = static_cast<std::uint64_t>(end_first + end_second);
    std::uint64_t lost = 0;

    SimStorage device({.seed = 2}, image);
    for (int life = 0; life < 2; ++life) {
        Rig rig(device);
        start_both(rig);
        if (life == 0) {
            send_until_recycled(rig, segment, generation);
            if (generation_of(device.image(), segment) == generation) return std::nullopt;
        }
        std::uint64_t entered = 0;  // before a reader tells it as well
        for (const StreamId id : {1u, 2u}) {
            const Books books = rig.log->books(id);
            CHECK(books.balanced());
            for (const Loss& loss : books.losses) {
                CHECK(loss.reason == LossReason::damaged);
                entered += loss.records;
            }
        }
        std::size_t errors = 0;
        const Kept after = readable(rig, end_first, end_second, errors);
        CHECK(errors == 0);  // nothing of the damage is left
        CHECK(std::includes(after.first.begin(), after.first.end(), before.first.begin(),
                            before.first.end()));
        CHECK(std::includes(after.second.begin(), after.second.end(), before.second.begin(),
                            before.second.end()));
        if (life == 1) CHECK(after == kept);
        kept = after;
        lost = whole - 2 * (after.first.size() + after.second.size());
        CHECK(lost <= 2);  // one batch
        CHECK(entered == lost);
        device.power_cycle();
    }
    return lost;
}

template <class Fill>
SimImage made_by(Fill fill) {
    SimStorage made({.seed = 1, .size = pool_start + 32 * 64 * KiB});
    Rig rig(made);
    start_both(rig);
    fill(rig);
    rig.close();
    return made.image();
}

}  // namespace

TEST_CASE("cleaner: a flipped bit pins no segment, and costs no more than it cost a reader") {
    const SimImage image = made_by([](Rig& rig) { (void)fill_mixed(rig); });
    SimRandom random(11);
    std::uint64_t moved = 0, cost = 0, none = 0;
    for (int tries = 0; tries < 150; ++tries) {
        const auto segment = static_cast<std::uint32_t>(random.below(6));
        // In a page's front half, where the frames are, behind the segment's header.
        const std::uint64_t at = pool_start + std::uint64_t{segment} * small_segment +
                                 (1 + random.below(13)) * 4096 + random.below(500);
        const auto lost = lost_by_flip(image, segment, at, static_cast<int>(random.below(8)));
        if (lost) ++moved;
        ++(lost.value_or(0) > 0 ? cost : none);
    }
    std::printf("%llu of 150 flips: segment moved; %llu cost a batch, %llu nothing\n",
                static_cast<unsigned long long>(moved), static_cast<unsigned long long>(cost),
                static_cast<unsigned long long>(none));
    CHECK(moved >= 140);
    CHECK(cost >= 40);
    CHECK(none >= 10);
}

// A reader steps over that header, and finds the batch by its second frame.
TEST_CASE("cleaner: a bit lost in the header of a batch's second commit costs nothing") {
    const SimImage image = made_by([](Rig& rig) {
        for (std::uint64_t i = 0; i < 100; ++i) {
            if (i % 5 == 2) {  // one commit under way, two large batches behind it: they are cut
                rig.device.hold(true);
                for (const std::size_t size : {300u, 7'000u, 7'000u}) {
                    REQUIRE(rig.append(1, {.count = 2, .size = size, .salt = i}));
                    rig.log->on_deadline(rig.at(), wall_ms(rig.wall));
                }
                rig.device.hold(false);
            }
            REQUIRE(rig.append_durably(1, {.count = 2, .size = 300, .salt = i}));
        }
    });
    std::size_t flips = 0;
    for (std::uint32_t segment = 0; segment < 6; ++segment)
        for (std::uint32_t page = 1; page < small_segment / 4096; ++page) {
            const std::uint64_t at = pool_start + segment * small_segment + page * 4096ull;
            std::uint8_t head[commit_header_bytes + frame_header_bytes];
            image.read(at, head);
            if (decode_frame_header(head + commit_header_bytes).type != FrameType::more) continue;
            for (const std::uint32_t byte : {0u, 5u, 20u, 33u}) {
                const auto lost = lost_by_flip(image, segment, at + byte, 2);
                if (lost) ++flips;
                CHECK(lost.value_or(0) == 0);
            }
        }
    CHECK(flips >= 8);
}
