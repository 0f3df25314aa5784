// A newest segment that its footer closed, where those that it names are taken: it goes on, if it
// reads cleanly.
#include <doctest/doctest.h>

#include "tests/log/footed.hpp"

namespace leat::log::test {
namespace {

/// Two records and a fact in one commit; four of these fill a segment.
void step(Rig& rig, std::uint64_t i) {
    REQUIRE(rig.append(1, {.count = 2, .size = 11'000, .salt = i}));
    REQUIRE(rig.log->put_fact(rig.at(), FactKind::config, bytes_of("t" + std::to_string(i)),
                              bytes_of("v")));
    rig.settle();
}

/// A log whose newest segment is closed, and names what holds the checkpoint and so many free ones.
struct Taken {
    SimImage image;
    SegmentHeader tail;
    std::uint64_t steps = 0;
    Offset end = 0;  ///< of stream 1
};
Taken closed_and_taken(std::size_t facts = 0, std::size_t free = 0) {
    Taken taken{.image = SimImage(), .tail = {}};
    const std::uint64_t size = facts > 0 ? 2 * twice_small : twice_small;
    // On until a checkpoint is there, and then to the write that ends a segment.
    const auto before_end = [facts](SimStorage& device, Rig& rig, std::uint64_t steps) {
        REQUIRE(rig.open());
        declare_both(rig);
        (void)fill(rig);
        for (std::size_t i = 0; i < facts; ++i) {
            REQUIRE(rig.log->put_fact(rig.at(), FactKind::config, bytes_of(std::to_string(i)),
                                      std::vector<std::uint8_t>(1'000)));
            rig.settle();
        }
        for (std::uint64_t i = 0; i < steps; ++i) step(rig, i);
        return newest(device.image()).segment;
    };
    taken.steps = 40;
    {
        SimStorage device({.seed = 3, .size = size});
        Rig rig(device);
        const std::uint32_t segment = before_end(device, rig, taken.steps);
        while (newest(device.image()).segment == segment) step(rig, taken.steps++);
        --taken.steps;
    }
    SimStorage made({.seed = 3, .size = size});
    SimRandom random(1);
    Rig first(made);
    const std::uint32_t tail = before_end(made, first, taken.steps);
    taken.end = first.log->stream(1)->log_end;
    taken.image = made.image();
    made.hold(true);
    step(first, taken.steps);
    const SimImage after = made.crash_image(Tear::kept, random);
    SegmentHeader& header = taken.tail = newest(taken.image);
    REQUIRE(header.segment == tail);
    std::uint8_t last[footer_trailer_bytes];
    after.read(segment_at(tail + 1) - sizeof last, last);
    const auto trailer = decode_trailer(last, header.generation, header.salt, small_segment);
    REQUIRE(trailer);
    std::vector<std::uint8_t> bytes(trailer->bytes);
    after.read(segment_at(tail) + trailer->position, bytes);
    auto index = decode_footer(bytes, header.generation, header.salt);
    REQUIRE(index);
    REQUIRE(index->candidates.size() >= free);
    index->candidates.resize(free);
    index->candidates.push_back(newest_superblock(taken.image).checkpoint.segment);
    header.candidates = index->candidates;
    bytes = encode_footer(*index, *decode_commit_header(bytes, header.salt), header.salt, page,
                          small_segment);
    taken.image.write(segment_at(tail + 1) - bytes.size(), bytes);
    bytes.assign(segment_header_bytes, 0);
    encode_segment_header(header, bytes);
    taken.image.write(segment_at(tail), bytes);
    return taken;
}

}  // namespace

TEST_CASE("footer: a closed tail whose named successors are taken goes on") {
    SimStorage device({.seed = 4}, closed_and_taken().image);
    Offset end = -1;
    for (std::uint64_t start = 0; start < 3; ++start) {
        Rig rig(device);
        REQUIRE(rig.open());
        declare_both(rig);
        CHECK_FALSE(rig.log->status().read_only);
        if (end >= 0) CHECK(rig.log->stream(1)->log_end == end);
        for (std::uint64_t i = 0; i < start; ++i)
            REQUIRE(rig.append_durably(1, large(900 + start * 10 + i)));
        CHECK(rig.append_durably(1, {.size = 50, .salt = start}));
        end = rig.log->stream(1)->log_end;
        CHECK(rig.read_all(1, rig.log->stream(1)->log_start).next == end);
    }
}

// Its footer tells of what the commits do not give any more.
TEST_CASE("footer: a closed tail that does not read cleanly stays closed") {
    const Taken taken = closed_and_taken();
    std::vector<std::uint32_t> ends;  // of its commits
    for (std::uint32_t at = page;;) {
        std::uint8_t front[commit_header_bytes];
        taken.image.read(segment_at(taken.tail.segment) + at, front);
        const auto commit = decode_commit_header(front, taken.tail.salt);
        if (!commit || commit->kind != CommitKind::data) break;
        ends.push_back(at += commit->bytes);
    }
    REQUIRE(ends.size() > 2);
    for (const std::uint32_t end : ends) {
        INFO("the commit in front of ", end);
        SimStorage device({.seed = 4}, taken.image);
        const std::vector<std::uint8_t> garbage(page, 0xA5);
        device.image().write(segment_at(taken.tail.segment) + end - page, garbage);
        for (int start = 0; start < 2; ++start) {
            Rig rig(device);
            REQUIRE(rig.open());
            declare_both(rig);
            CHECK(rig.log->stream(1)->log_end == taken.end);
            for (std::uint64_t i = 0; i < taken.steps; ++i)
                CHECK(rig.log->find_fact(FactKind::config, bytes_of("t" + std::to_string(i))));
            std::size_t errors = 0;
            CHECK(read_over(rig, 1, errors).size() == 180 + taken.steps - 1);
        }
    }
}

// Which may take all of them before the first commit that opens one.
TEST_CASE("footer: a closed tail goes on where a checkpoint may take all that it names") {
    for (const std::size_t free : {1u, 2u, 3u}) {
        INFO(free, " free");
        const Taken taken = closed_and_taken(80, free);
        SimStorage device({.seed = 4}, taken.image);
        Rig rig(device);
        REQUIRE(rig.open());
        declare_both(rig);
        REQUIRE(rig.append_durably(1, {.size = 50, .salt = 1}));
        CHECK((newest(device.image()).segment == taken.tail.segment) == (free <= 2));
    }
}

}  // namespace leat::log::test
