// What a start makes of a footer that is not whole, or tells of nothing: the segment's successor is
// found, the segment goes on, and no sequence is given again.
#include <doctest/doctest.h>

#include "broker/log/footer.hpp"
#include "tests/log/planted.hpp"

namespace leat::log::test {
namespace {

constexpr std::uint32_t page = 4096, sector = 512;
constexpr std::uint64_t pool = 32 * KiB;
constexpr std::uint64_t many_segments = pool + 512 * small_segment;  // no checkpoint comes soon

std::uint64_t segment_at(std::uint32_t segment) {
    return pool + std::uint64_t{segment} * small_segment;
}

void copy(const SimImage& from, SimImage& to, std::uint64_t at, std::size_t size) {
    std::vector<std::uint8_t> bytes(size);
    from.read(at, bytes);
    to.write(at, bytes);
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

void declare_one(Rig& rig) {
    REQUIRE(rig.open());
    REQUIRE(rig.log->declare_stream(1, {}));
}

void check_whole(Rig& rig, Offset end) {
    CHECK(rig.log->stream(1)->log_end == end);
    const auto all = rig.read_all(1, 0);
    CHECK(!all.error);
    CHECK(all.next == end);
}

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

/// Two records and a fact in one commit; four of these fill a segment.
void step(Rig& rig, std::uint64_t i) {
    REQUIRE(rig.append(1, {.count = 2, .size = 11'000, .salt = i}));
    REQUIRE(rig.log->put_fact(rig.at(), FactKind::config, bytes_of("t" + std::to_string(i)),
                              bytes_of("v")));
    rig.settle();
}

/// A log whose newest segment is closed, and names nothing but what holds the checkpoint.
struct Taken {
    SimImage image;
    SegmentHeader tail;
    std::uint64_t steps = 0;
    Offset end = 0;  ///< of stream 1
};
Taken closed_and_taken() {
    Taken taken{.image = SimImage(), .tail = {}};
    // On until a checkpoint is there, and then to the write that ends a segment.
    const auto before_end = [](SimStorage& device, Rig& rig, std::uint64_t steps) {
        REQUIRE(rig.open());
        declare_both(rig);
        (void)fill(rig);
        for (std::uint64_t i = 0; i < steps; ++i) step(rig, i);
        return newest(device.image()).segment;
    };
    taken.steps = 40;
    {
        SimStorage device({.seed = 3, .size = twice_small});
        Rig rig(device);
        const std::uint32_t segment = before_end(device, rig, taken.steps);
        while (newest(device.image()).segment == segment) step(rig, taken.steps++);
        --taken.steps;
    }
    SimStorage made({.seed = 3, .size = twice_small});
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
    header.candidates = index->candidates = {
        newest_superblock(taken.image).checkpoint.segment};
    bytes = encode_footer(*index, *decode_commit_header(bytes, header.salt), header.salt, page,
                          small_segment);
    taken.image.write(segment_at(tail + 1) - bytes.size(), bytes);
    bytes.assign(segment_header_bytes, 0);
    encode_segment_header(header, bytes);
    taken.image.write(segment_at(tail), bytes);
    return taken;
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
