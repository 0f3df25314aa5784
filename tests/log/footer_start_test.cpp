// What a start makes of a footer that tells of nothing: no sequence is given again.
#include <doctest/doctest.h>

#include "broker/log/footer.hpp"
#include "tests/log/planted.hpp"

namespace leat::log::test {
namespace {

constexpr std::uint32_t page = 4096;
constexpr std::uint64_t pool = 32 * KiB;

std::uint64_t segment_at(std::uint32_t segment) {
    return pool + std::uint64_t{segment} * small_segment;
}

std::optional<SegmentHeader> header_of(const SimImage& image, std::uint32_t segment) {
    std::uint8_t bytes[segment_header_bytes];
    image.read(segment_at(segment), bytes);
    const auto header = decode_segment_header(bytes);
    if (!header || header->area != Area::arrivals) return std::nullopt;
    return *header;
}

/// The last segment of the ring.
SegmentHeader newest(const SimImage& image) {
    std::optional<SegmentHeader> last;
    for (std::uint32_t i = 0; segment_at(i + 1) <= image.size(); ++i)
        if (const auto header = header_of(image, i);
            header && (!last || last->place < header->place))
            last = header;
    REQUIRE(last);
    return *last;
}

/// Two of these fill a segment.
BatchSpec large(std::uint64_t i) { return {.count = 2, .size = 20'000, .salt = i}; }

}  // namespace

// Its last sequence is 0, of no commit; what follows it is not 2.
TEST_CASE("footer: that of an empty segment takes no sequence back") {
    SimImage image(twice_small);
    {
        SimStorage device({.seed = 3, .size = twice_small});
        SimRandom random(1);
        Rig rig(device);
        REQUIRE(rig.open());
        declare_both(rig);
        (void)fill(rig);
        REQUIRE(rig.log->put_fact(rig.at(), FactKind::config, bytes_of("k"), bytes_of("old")));
        // On until a checkpoint has the fact, and then to a write that opens a segment.
        for (std::uint64_t i = 0; i < 20; ++i) REQUIRE(rig.append_durably(1, large(i)));
        const SegmentHeader before = newest(device.image());
        for (std::uint64_t i = 0; newest(image = device.image()).segment == before.segment; ++i)
            REQUIRE(rig.append_durably(1, large(i)));
    }
    // The opening commit is torn, and the next run closed the segment as it was.
    const SegmentHeader header = newest(image);
    std::uint8_t front[commit_header_bytes];
    image.read(segment_at(header.segment) + page, front);
    Result<CommitHeader> commit = decode_commit_header(front, header.salt);
    REQUIRE(commit);
    CHECK(commit->sequence > 90);
    const std::vector<std::uint8_t> nothing(small_segment - page);
    image.write(segment_at(header.segment) + page, nothing);
    SegmentIndex index;
    index.data_end = page;
    index.candidates = header.candidates;
    const auto footer = encode_footer(index, *commit, header.salt, page, small_segment);
    image.write(segment_at(header.segment + 1) - footer.size(), footer);

    SimStorage device({.seed = 4}, image);
    const auto fact = [](Rig& rig) {
        const auto value = rig.log->find_fact(FactKind::config, bytes_of("k"));
        REQUIRE(value);
        return std::string(value->begin(), value->end());
    };
    {
        Rig rig(device);
        REQUIRE(rig.open());
        CHECK(fact(rig) == "old");
        rig.settle();  // the checkpoint that a start may write
        REQUIRE(rig.log->put_fact(rig.at(), FactKind::config, bytes_of("k"), bytes_of("new")));
        rig.settle();
        CHECK(newest(device.image()).first_sequence == commit->sequence + 1);
    }
    Rig rig(device);
    REQUIRE(rig.open());
    CHECK(fact(rig) == "new");
}

}  // namespace leat::log::test
