// A segment's footer leaves in one write with the opening of the segment behind it: what a power
// cut leaves of that write, and what a device that fails makes of it.
#include <doctest/doctest.h>

#include "broker/log/inspect.hpp"
#include "tests/log/rig.hpp"

namespace leat::log::test {
namespace {

constexpr std::uint32_t page = 4096, sector = 512;
constexpr std::uint64_t pool = 32 * KiB;
constexpr std::uint64_t many_segments = pool + 512 * small_segment;  // no checkpoint comes soon

std::uint64_t segment_at(std::uint32_t segment) {
    return pool + std::uint64_t{segment} * small_segment;
}

/// Two of these fill a segment.
BatchSpec large(std::uint64_t i, std::size_t size = 20'000) {
    return {.count = 2, .size = size, .salt = i};
}

void copy(const SimImage& from, SimImage& to, std::uint64_t at, std::size_t size) {
    std::vector<std::uint8_t> bytes(size);
    from.read(at, bytes);
    to.write(at, bytes);
}

bool same(const SimImage& a, const SimImage& b, std::uint64_t at, std::size_t size) {
    std::vector<std::uint8_t> x(size), y(size);
    a.read(at, x);
    b.read(at, y);
    return x == y;
}

/// Stream 1 ends at `end`, and all of it is read.
void check_whole(Rig& rig, Offset end) {
    REQUIRE(rig.log->stream(1) != nullptr);
    CHECK(rig.log->stream(1)->log_end == end);
    const auto all = rig.read_all(1, 0);
    CHECK(!all.error);
    CHECK(all.next == end);
    Offset at = 0;
    for (ByteView left = all.bytes; !left.empty();) {
        const auto fields = read_batch_fields(next_batch(left));
        REQUIRE(fields);
        CHECK(fields->base_offset == at);
        at = fields->end_offset();
    }
    CHECK(at == end);
}

std::size_t damages(const SimImage& image) {
    SimStorage device({.seed = 2}, image);
    std::string why;
    const Result<Inspection> log = inspect(device, nullptr, why);
    REQUIRE(log);
    return log->damages.size();
}

/// Segment 0 is full, and what was to follow is under way. In front of it `more` streams have a
/// record each, and stream 1 has `small` ones, each a commit of its own.
struct UnderWay {
    SimImage before, after;
};
UnderWay under_way(StreamId more = 0, std::uint64_t small = 0, std::size_t size = 20'000) {
    SimStorage device({.seed = 3, .size = many_segments});
    SimRandom random(1);
    Rig rig(device);
    REQUIRE(rig.open());
    for (StreamId id = 1; id <= 1 + more; ++id) REQUIRE(rig.log->declare_stream(id, {}));
    for (StreamId id = 2; id <= 1 + more; ++id) REQUIRE(rig.append(id, {.size = 20, .salt = id}));
    rig.settle();
    for (std::uint64_t i = 0; i < 2; ++i) REQUIRE(rig.append_durably(1, large(i, size)));
    for (std::uint64_t i = 0; i < small; ++i) REQUIRE(rig.append_durably(1, {.salt = 7}));
    UnderWay found{.before = device.image(), .after = SimImage()};
    device.hold(true);
    REQUIRE(rig.append(1, large(2, 24'000)));
    rig.settle();
    found.after = device.crash_image(Tear::kept, random);
    return found;
}

}  // namespace

TEST_CASE("footer: it takes no write of its own where the next segment lies behind it") {
    SimStorage device({.seed = 3, .size = many_segments});
    Rig rig(device);
    REQUIRE(rig.open());
    REQUIRE(rig.log->declare_stream(1, {}));
    const std::uint64_t before = device.counts().writes;
    for (std::uint64_t i = 0; i < 20; ++i) REQUIRE(rig.append_durably(1, large(i)));
    CHECK(device.counts().writes - before == 20);
    CHECK(rig.log->counters().written_footer == 9 * page);
    Rig again(device);
    REQUIRE(again.open());
    REQUIRE(again.log->declare_stream(1, {}));
    check_whole(again, 40);
    // Headers, footers and the tail: with as many segments to be read it would be twice that.
    CHECK(again.log->counters().read_at_open < 10 * small_segment);
    CHECK(damages(device.image()) == 0);
}

TEST_CASE("footer: torn in front of an opening that is whole it costs one reading of its segment") {
    const UnderWay cut = under_way();
    const std::uint64_t footer = segment_at(1) - page;
    REQUIRE_FALSE(same(cut.before, cut.after, footer, page));
    REQUIRE_FALSE(same(cut.before, cut.after, segment_at(1), page));
    for (std::uint32_t lost = 0; lost <= page / sector; ++lost) {
        SimImage image = cut.after;
        if (lost < page / sector)
            copy(cut.before, image, footer + lost * sector, sector);
        else
            copy(cut.before, image, footer, page);
        INFO("sector ", lost);
        const bool torn = !same(image, cut.after, footer, page);
        CHECK(damages(image) == 0);
        SimStorage device({.seed = 4}, image);
        std::uint64_t read = 0;
        {
            Rig rig(device);
            REQUIRE(rig.open());
            REQUIRE(rig.log->declare_stream(1, {}));
            check_whole(rig, 6);
            read = rig.log->counters().read_at_open;
            rig.settle();  // where it was torn a checkpoint follows
        }
        CHECK(damages(device.image()) == 0);
        Rig rig(device);
        REQUIRE(rig.open());
        REQUIRE(rig.log->declare_stream(1, {}));
        check_whole(rig, 6);
        if (torn) CHECK(rig.log->counters().read_at_open + 32 * KiB < read);
    }
}

TEST_CASE(
    "footer: with an opening that is torn its segment is the last one, and goes on or is closed") {
    const UnderWay cut = under_way();
    const std::uint64_t footer = segment_at(1) - page;
    for (const bool whole : {false, true})
        for (std::uint32_t front = 0; front < 2; ++front) {
            SimImage image = cut.before;
            copy(cut.after, image, footer, whole ? page : front * sector);
            if (front == 1) copy(cut.after, image, segment_at(1) + page, 3 * page);  // no header
            INFO("footer ", whole, " front ", front);
            CHECK(damages(image) == 0);
            SimStorage device({.seed = 4}, image);
            for (Offset end = 4; end < 10; end += 2) {
                Rig rig(device);
                REQUIRE(rig.open());
                REQUIRE(rig.log->declare_stream(1, {}));
                check_whole(rig, end);
                REQUIRE(rig.append_durably(1, large(static_cast<std::uint64_t>(end) + 1)));
            }
            CHECK(damages(device.image()) == 0);
        }
}

TEST_CASE("footer: where its write fails the batch goes elsewhere, and the segment has none") {
    for (const std::uint64_t failures : {1u, 2u, 5u}) {
        INFO(failures, " in a row");
        SimStorage device({.seed = 3, .size = many_segments});
        std::size_t kept = 3;
        {
            Rig rig(device);
            REQUIRE(rig.open());
            REQUIRE(rig.log->declare_stream(1, {}));
            for (std::uint64_t i = 0; i < 2; ++i) REQUIRE(rig.append_durably(1, large(i)));
            device.fail_next(0, failures);
            if (!rig.append_durably(1, large(2))) --kept;
            CHECK(rig.log->status().read_only == (failures > 1));
            CHECK(kept == (failures > 1 ? 2 : 3));
            for (int i = 0; i < 20 && rig.log->status().read_only; ++i) rig.pass(10'000);
            REQUIRE_FALSE(rig.log->status().read_only);
            for (std::uint64_t i = 3; i < 9; ++i) REQUIRE(rig.append_durably(1, large(i)));
            check_whole(rig, static_cast<Offset>(2 * (kept + 6)));
        }
        CHECK(damages(device.image()) == 0);
        Rig rig(device);
        REQUIRE(rig.open());
        REQUIRE(rig.log->declare_stream(1, {}));
        check_whole(rig, static_cast<Offset>(2 * (kept + 6)));
    }
}

TEST_CASE("footer: a stop and a start between segments find it as well") {
    SimStorage device({.seed = 3, .size = many_segments});
    for (std::uint64_t i = 0; i < 12; ++i) {
        Rig rig(device);
        REQUIRE(rig.open());
        REQUIRE(rig.log->declare_stream(1, {}));
        check_whole(rig, static_cast<Offset>(2 * i));
        REQUIRE(rig.append_durably(1, large(i)));
        if (i % 3 != 0) rig.close();
        CHECK(damages(device.image()) == 0);
    }
}

// It ends the segment by its first bytes, but the last ones, by which a start finds it, are torn.
TEST_CASE("footer: one whose trailer is torn is no damage, nor does it hide anything") {
    const UnderWay cut = under_way();
    SimImage image = cut.before;
    copy(cut.after, image, segment_at(1) - page, page - sector);
    CHECK(damages(image) == 0);
    SimStorage device({.seed = 4}, image);
    for (Offset end = 4; end < 10; end += 2) {
        Rig rig(device);
        REQUIRE(rig.open());
        REQUIRE(rig.log->declare_stream(1, {}));
        check_whole(rig, end);
        REQUIRE(rig.append_durably(1, large(static_cast<std::uint64_t>(end) + 1)));
        CHECK(damages(device.image()) == 0);
    }
}

TEST_CASE("footer: torn, it is no damage either when the segment behind it is gone") {
    SimImage image(small_device);
    SimRandom random(1);
    const auto declare = [](Rig& rig) {
        REQUIRE(rig.open());
        REQUIRE(rig.log->declare_stream(1, {}));
        REQUIRE(rig.log->declare_stream(2, {.retention_bytes = 100'000}));
        rig.log->set_release(2, INT64_MAX);
    };
    {
        SimStorage first({.seed = 3, .size = small_device});
        Rig rig(first);
        declare(rig);
        for (std::uint64_t i = 0; i < 2; ++i) REQUIRE(rig.append_durably(1, large(i)));
        image = first.image();
        first.hold(true);
        REQUIRE(rig.append(2, large(2)));
        rig.settle();
        const SimImage after = first.crash_image(Tear::kept, random);
        copy(after, image, segment_at(1) - page + sector, small_segment);
        REQUIRE_FALSE(same(image, after, segment_at(1) - page, page));
    }
    SimStorage again({.seed = 4}, image);
    const auto opened = [&] {
        std::vector<std::uint8_t> header(segment_header_bytes);
        again.image().read(segment_at(1), header);
        return header;
    };
    const auto first_life = opened();
    Rig rig(again);
    declare(rig);
    for (std::uint64_t i = 0; i < 100 && opened() == first_life; ++i, rig.pass(1'000))
        REQUIRE(rig.append_durably(2, large(3 + i)));
    CHECK(opened() != first_life);
    CHECK(damages(again.image()) == 0);
    check_whole(rig, 4);
}

// The run that wrote it went on behind it, so it was whole: what has become of it since is damage.
TEST_CASE("footer: one that lost a bit when it was durable is damage") {
    SimStorage device({.seed = 3, .size = many_segments});
    Rig rig(device);
    REQUIRE(rig.open());
    REQUIRE(rig.log->declare_stream(1, {}));
    for (std::uint64_t i = 0; i < 6; ++i) REQUIRE(rig.append_durably(1, large(i)));
    for (std::uint32_t segment = 1; segment <= 2; ++segment) {
        SimImage image = device.image();
        std::uint8_t byte = 0;
        image.read(segment_at(segment) - page + 300, {&byte, 1});
        byte ^= 4;
        image.write(segment_at(segment) - page + 300, {&byte, 1});
        CHECK(damages(image) == 1);
    }
}

// Run 1 tears its footer, run 2 goes on in the segment and tears its own: where a sector is the
// same in both, the two make the first one whole. It knows nothing of what run 2 acknowledged.
TEST_CASE("footer: one of an earlier run that a torn one makes whole is not believed") {
    const std::uint64_t end = segment_at(1), footer = end - page;
    std::uint32_t found = 0;
    for (std::uint32_t lost = 0; lost < page / sector; ++lost) {
        const UnderWay first = under_way(20, 1, 11'000);
        SimImage image = first.after;
        copy(first.before, image, footer + lost * sector, sector);
        copy(first.before, image, end, small_segment);
        if (same(image, first.after, footer, page)) continue;
        SimStorage device({.seed = 4}, image);
        SimRandom random(1);
        UnderWay second;
        {
            Rig rig(device);
            REQUIRE(rig.open());
            check_whole(rig, 5);
            REQUIRE(rig.append_durably(1, {.salt = 9}));
            second.before = device.image();
            // Closed by its first bytes: run 2 has opened the next one.
            if (!same(second.before, first.before, end, page)) continue;
            device.hold(true);
            REQUIRE(rig.append(1, large(2, 24'000)));
            rig.settle();
            second.after = device.crash_image(Tear::kept, random);
        }
        REQUIRE_FALSE(same(second.after, first.after, footer, sector));
        if (!same(second.after, first.after, footer + lost * sector, sector)) continue;
        for (const bool opened : {false, true}) {
            INFO("sector ", lost, " opened ", opened);
            image = second.before;
            // Of these sectors run 2 has written one. (In a first life zeros went over the others.)
            copy(first.after, image, footer, page);
            if (opened) copy(second.after, image, end, small_segment);
            CHECK(damages(image) == 0);
            for (const int starts : {1, 2}) {  // the last one may not know any more what is void
                SimStorage again({.seed = 5}, image);
                for (int start = 1; start < starts; ++start) REQUIRE(Rig(again).open());
                Rig rig(again);
                REQUIRE(rig.open());
                check_whole(rig, opened ? 8 : 6);
            }
            ++found;
        }
    }
    CHECK(found >= 4);
}

}  // namespace leat::log::test
