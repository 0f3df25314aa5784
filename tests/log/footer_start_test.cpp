// What a start makes of a footer that is not whole, or tells of nothing: the segment's successor is
// found, the segment goes on, and no sequence is given again.
#include <doctest/doctest.h>

#include "tests/log/footed.hpp"

namespace leat::log::test {
namespace {

/// A log whose first segment is full but for `room` more batches, and the write that ends it.
struct UnderWay {
    SimImage before, after;
};
UnderWay under_way(std::size_t size = 20'000, StreamId more = 0) {
    SimStorage device({.seed = 3, .size = many_segments});
    SimRandom random(1);
    Rig rig(device);
    declare_one(rig);
    for (StreamId id = 2; id <= 1 + more; ++id) {
        REQUIRE(rig.log->declare_stream(id, {}));
        REQUIRE(rig.append(id, {.size = 20, .salt = id}));
    }
    rig.settle();
    for (std::uint64_t i = 0; i < 2; ++i)
        REQUIRE(rig.append_durably(1, {.count = 2, .size = size, .salt = i}));
    UnderWay found{.before = device.image(), .after = SimImage()};
    device.hold(true);
    REQUIRE(rig.append(1, {.count = 2, .size = 32'000, .salt = 2}));
    rig.settle();
    found.after = device.crash_image(Tear::kept, random);
    return found;
}

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

// To be closed it would need a successor that its header names, and those may be taken.
TEST_CASE("footer: where only its trailer is torn the segment goes on") {
    const UnderWay cut = under_way(11'000);
    SimImage image = cut.before;
    copy(cut.after, image, segment_at(1) - page, page - sector);
    SimStorage device({.seed = 4}, image);
    Offset end = 4;
    for (int start = 0; start < 6; ++start) {
        Rig rig(device);
        declare_one(rig);
        check_whole(rig, end);
        if (start % 2 == 1) continue;  // the next one knows as well what is void
        REQUIRE(rig.append_durably(1, {.size = 50, .salt = 9}));
        check_whole(rig, ++end);
        CHECK_FALSE(header_of(device.image(), 1));
    }
    for (int start = 0; start < 3; ++start) {
        Rig rig(device);
        declare_one(rig);
        check_whole(rig, end);
        REQUIRE(rig.append_durably(1, {.count = 2, .size = 32'000, .salt = 9}));
        check_whole(rig, end += 2);
        CHECK(header_of(device.image(), 1));
    }
}

TEST_CASE("footer: a trailer that is lost does not end the ring, whoever names what follows") {
    SimImage made(many_segments);
    {
        SimStorage device({.seed = 3, .size = many_segments});
        Rig rig(device);
        declare_one(rig);
        for (std::uint64_t i = 0; i < 8; ++i) REQUIRE(rig.append_durably(1, large(i)));
        made = device.image();
    }
    // As where a footer goes alone: only that names the successor.
    auto header = header_of(made, 0);
    REQUIRE(header);
    header->candidates = {400};
    std::uint8_t bytes[segment_header_bytes] = {};
    encode_segment_header(*header, bytes);
    made.write(segment_at(0), bytes);
    for (const std::size_t lost : {std::size_t{0}, std::size_t{1}, std::size_t{32}}) {
        INFO(lost, " bytes");
        SimImage image = made;
        std::vector<std::uint8_t> trailer(lost);
        image.read(segment_at(1) - 20, trailer);
        for (std::uint8_t& byte : trailer) byte ^= 4;
        if (lost == 32) image.read(pool + page + 200, trailer);
        image.write(segment_at(1) - (lost == 32 ? 32 : 20), trailer);
        SimStorage device({.seed = 4}, image);
        for (int start = 0; start < 2; ++start) {
            Rig rig(device);
            declare_one(rig);
            check_whole(rig, 16 + start);
            REQUIRE(rig.append_durably(1, {.size = 50, .salt = 9}));
        }
    }
}

// What its commits do not give any more, and whom only it names.
TEST_CASE("footer: without its trailer it tells of what is damaged in front of it") {
    const UnderWay cut = under_way(11'000);
    SimImage made = cut.before;
    copy(cut.after, made, segment_at(1) - page, page - sector);
    auto header = header_of(made, 0);
    REQUIRE(header);
    header->candidates = {600};  // none of the pool
    std::uint8_t bytes[segment_header_bytes] = {};
    encode_segment_header(*header, bytes);
    made.write(segment_at(0), bytes);
    std::uint32_t last = page;
    std::uint8_t front[commit_header_bytes];
    for (std::uint32_t at = page;;) {
        made.read(segment_at(0) + at, front);
        const auto commit = decode_commit_header(front, header->salt);
        if (!commit) break;
        last = at;
        at += commit->bytes;
    }
    REQUIRE(last > page);
    const std::vector<std::uint8_t> garbage(page, 0xA5);
    made.write(segment_at(0) + last, garbage);
    SimStorage device({.seed = 4}, made);
    for (int start = 0; start < 3; ++start) {
        Rig rig(device);
        declare_one(rig);
        CHECK(rig.log->stream(1)->log_end == 4 + start);
        REQUIRE(rig.append_durably(1, {.size = 50, .salt = 9}));
        CHECK_FALSE(rig.log->status().read_only);
        std::size_t errors = 0;
        const auto found = read_over(rig, 1, errors);
        CHECK(found.size() == static_cast<std::size_t>(2 + start));
        CHECK(found.front() == 0);
    }
}

TEST_CASE("footer: many that are lost make a start read every segment header once") {
    SimStorage device({.seed = 3, .size = many_segments});
    {
        Rig rig(device);
        declare_one(rig);
        for (std::uint64_t i = 0; i < 40; ++i) REQUIRE(rig.append_durably(1, large(i)));
    }
    // Nobody names the next one, and only the trailer says that there is one.
    const std::vector<std::uint8_t> nothing(page - sector);
    for (std::uint32_t i = 0; i < newest(device.image()).segment; ++i) {
        auto header = header_of(device.image(), i);
        REQUIRE(header);
        header->candidates = {400};
        std::uint8_t bytes[segment_header_bytes] = {};
        encode_segment_header(*header, bytes);
        device.image().write(segment_at(i), bytes);
        device.image().write(segment_at(i + 1) - page, nothing);
    }
    Rig rig(device);
    declare_one(rig);
    check_whole(rig, 80);
    CHECK(rig.log->counters().read_at_open < (2 * 512 + 20 * 2 * 16) * page);
}

TEST_CASE("footer: of a torn one only the trailer makes a start read every header, and only one") {
    const UnderWay cut = under_way(11'000, 20);
    for (const bool head : {false, true})
        for (const bool trailer : {false, true}) {
            INFO("head ", head, " trailer ", trailer);
            SimImage image = cut.before;
            if (head) copy(cut.after, image, segment_at(1) - page, sector);
            if (trailer) copy(cut.after, image, segment_at(1) - sector, sector);
            SimStorage device({.seed = 4}, image);
            for (int start = 0; start < 3; ++start) {
                Rig rig(device);
                declare_one(rig);
                REQUIRE(rig.append_durably(1, {.size = 50, .salt = 9}));
                const bool asked = rig.log->counters().read_at_open >= 512 * page;
                CHECK(asked == (start == 0 && trailer && !head));
            }
        }
}

// As where a footer went alone: only that names what follows.
TEST_CASE("footer: who only the first sector of a torn one names is found by that") {
    SimStorage device({.seed = 3, .size = many_segments});
    {
        Rig rig(device);
        declare_one(rig);
        for (std::uint64_t i = 0; i < 4; ++i) REQUIRE(rig.append_durably(1, large(i)));
    }
    auto header = header_of(device.image(), 0);
    REQUIRE(header);
    header->candidates = {400};
    std::uint8_t bytes[segment_header_bytes] = {};
    encode_segment_header(*header, bytes);
    device.image().write(segment_at(0), bytes);
    const std::vector<std::uint8_t> nothing(page - sector);
    device.image().write(segment_at(1) - nothing.size(), nothing);
    Rig rig(device);
    declare_one(rig);
    check_whole(rig, 8);
    CHECK(rig.log->counters().read_at_open < 128 * page);
}

// The run that did not find it went on in front of it, and was believed.
TEST_CASE("footer: a successor that is found again later takes nothing back") {
    SimStorage device({.seed = 3, .size = many_segments});
    {
        Rig rig(device);
        declare_one(rig);
        for (std::uint64_t i = 0; i < 3; ++i) REQUIRE(rig.append_durably(1, large(i)));
    }
    const std::uint64_t front = segment_at(newest(device.image()).segment);
    std::vector<std::uint8_t> header(sector);
    device.image().read(front, header);
    const std::vector<std::uint8_t> nothing(page);
    device.image().write(front, ByteView(nothing).first(sector));
    device.image().write(segment_at(1) - page, nothing);
    for (int start = 0; start < 3; ++start) {
        Rig rig(device);
        declare_one(rig);
        check_whole(rig, 4 + start);
        REQUIRE(rig.append_durably(1, {.size = 50, .salt = 9}));
        check_whole(rig, 5 + start);
        if (start == 0) device.image().write(front, header);
    }
}

}  // namespace leat::log::test
