// A commit's header is tied to its frames: the first sector of one, over what another of the same
// place and length has left behind it, is no commit, though every checksum in it holds.
#include <doctest/doctest.h>

#include "broker/log/inspect.hpp"
#include "broker/log/scan.hpp"
#include "broker/log/scrub.hpp"
#include "tests/log/lone.hpp"
#include "tests/log/planted.hpp"

namespace leat::log::test {
namespace {

constexpr std::uint32_t page = 4096, sector = 512;
constexpr std::uint64_t pool = 32 * KiB;
constexpr std::uint64_t many_segments = pool + 512 * small_segment;  // no checkpoint comes soon

void copy(const SimImage& from, SimImage& to, std::uint64_t at, std::size_t size) {
    std::vector<std::uint8_t> bytes(size);
    from.read(at, bytes);
    to.write(at, bytes);
}
std::vector<std::uint8_t> bytes_at(const SimImage& image, std::uint64_t at, std::size_t size) {
    std::vector<std::uint8_t> bytes(size);
    image.read(at, bytes);
    return bytes;
}

std::size_t damages(const SimImage& image) {
    SimStorage device({.seed = 2}, image);
    std::string why;
    const Result<Inspection> log = inspect(device, nullptr, why);
    REQUIRE(log);
    return log->damages.size();
}

/// All of a stream is there, without a gap.
void check_whole(Rig& rig, StreamId stream, Offset end) {
    REQUIRE(rig.log->stream(stream) != nullptr);
    CHECK(rig.log->stream(stream)->log_end == end);
    const auto all = rig.read_all(stream, 0);
    CHECK(!all.error);
    CHECK(all.next == end);
}

/// What stands on the device in front of the writes of one moment, and behind them.
struct UnderWay {
    SimImage before, after;
};
template <class Write> UnderWay under_way(SimStorage& device, Rig& rig, Write write) {
    SimRandom random(1);
    UnderWay found{.before = device.image(), .after = SimImage()};
    device.hold(true);
    write();
    rig.settle();
    found.after = device.crash_image(Tear::kept, random);
    return found;
}

/// Each of its frames holds for itself.
void require_frames(ByteView bytes, const CommitHeader& commit, std::uint32_t salt) {
    std::uint32_t at = commit_header_bytes;
    for (std::uint32_t i = 0; i < commit.frames; ++i) {
        const ByteView frame = bytes.subspan(at);
        const FrameHeader front = decode_frame_header(frame.data());
        REQUIRE(front.padded_bytes() <= commit.used - at);
        REQUIRE(frame_crc(salt, frame, front) == front.crc);
        at += static_cast<std::uint32_t>(front.padded_bytes());
    }
    REQUIRE(at == commit.used);
}

constexpr StreamId quiet = 15;  ///< of 21 streams: its footer frame is behind the first sector

/// It does not fit into segment 0 any more.
void open_next(Rig& rig) { REQUIRE(rig.append(1, {.size = 30'000, .salt = 9})); }

/// Segment 0 is full of them, and the footer of one run is like that of the next one, but for its
/// head and what it says of the quiet one.
UnderWay footer_of_first_run() {
    SimStorage device({.seed = 3, .size = many_segments});
    {
        Rig rig(device);
        REQUIRE(rig.open());
        for (StreamId id = 1; id <= 21; ++id) {
            REQUIRE(rig.log->declare_stream(id, {}));
            REQUIRE(rig.append(id, {.size = 20, .salt = id}));
        }
        rig.settle();
    }
    // So there is a fact already that says what a start has cut.
    Rig rig(device);
    REQUIRE(rig.open());
    for (std::uint64_t i = 0; i < 2; ++i)
        REQUIRE(rig.append_durably(1, {.size = 11'000, .salt = i}));
    REQUIRE(rig.append_durably(quiet, {.salt = 7}));
    return under_way(device, rig, [&] { open_next(rig); });
}

}  // namespace

// A run tears its footer, the next one acknowledges two records and tears its own: only the head
// is new.
TEST_CASE("ties: the head of a footer does not count with the body of an earlier run's") {
    const std::uint64_t end = pool + small_segment, footer = end - page;
    const UnderWay first = footer_of_first_run();
    REQUIRE(bytes_at(first.before, footer, page) != bytes_at(first.after, footer, page));
    SimImage image = first.before;
    copy(first.after, image, footer + sector, page - sector);
    SimStorage device({.seed = 4}, image);
    UnderWay second;
    {
        Rig rig(device);
        REQUIRE(rig.open());
        check_whole(rig, quiet, 2);
        for (std::uint64_t i = 0; i < 2; ++i)
            REQUIRE(rig.append_durably(quiet, {.salt = 20 + i}));
        second = under_way(device, rig, [&] { open_next(rig); });
    }
    image = second.before;
    copy(first.after, image, footer, page);  // in a first life zeros went over it
    copy(second.after, image, footer, sector);
    // All of its checksums hold, and it is of the run that wrote the last commit.
    const auto header = decode_segment_header(bytes_at(image, pool, 512));
    REQUIRE(header);
    const auto mixed = bytes_at(image, footer, page);
    const auto commit = decode_commit_header(mixed, header->salt);
    REQUIRE((commit && commit->run == 3 && commit->position == small_segment - page));
    require_frames(mixed, *commit, header->salt);
    CHECK_FALSE(check_footer(mixed, header->generation, header->salt));  // as the cleaner reads it
    CHECK_FALSE(commit_holds(mixed, *commit, header->salt, false));
    CHECK(check_footer(bytes_at(second.after, footer, page), header->generation, header->salt));
    for (const bool opened : {false, true}) {
        INFO("opened ", opened);
        if (opened) copy(second.after, image, end, small_segment);
        CHECK(damages(image) == 0);
        SimStorage again({.seed = 5}, image);
        for (int start = 0; start < 3; ++start) {
            Rig rig(again);
            REQUIRE(rig.open());
            check_whole(rig, quiet, 4 + start);
            check_whole(rig, 1, opened ? 4 : 3);
            REQUIRE(rig.append_durably(quiet, {.salt = 30}));
            CHECK(damages(again.image()) == 0);
        }
    }
    // The other way round only the trailer is old: read by its commits, and a checkpoint follows.
    for (const bool old : {false, true}) {
        INFO("old trailer ", old);
        image = second.after;
        if (old) copy(first.after, image, end - sector, sector);
        REQUIRE((bytes_at(image, footer, page) == bytes_at(second.after, footer, page)) != old);
        CHECK(damages(image) == 0);
        SimStorage again({.seed = 5}, image);
        Rig rig(again);
        REQUIRE(rig.open());
        check_whole(rig, quiet, 4);
        check_whole(rig, 1, 4);
        rig.settle();
        CHECK((rig.log->counters().written_checkpoint > 0) == old);
        CHECK(damages(again.image()) == 0);
    }
}

TEST_CASE("ties: the same change in two frames shows, whatever their lengths") {
    constexpr std::uint32_t salt = 7;
    const auto made = [](std::uint8_t changed) {
        std::vector<std::uint8_t> out, crcs;
        std::uint32_t tie = 0;
        for (const std::size_t size : {16, 16, 24}) {
            std::vector<std::uint8_t> body(size, 1);
            if (crcs.size() != 4) body[3] ^= changed;  // not in the second one
            const std::size_t at = out.size();
            put_frame(out, FrameType::dropped, 1, body);
            const std::uint32_t crc = seal_frame(salt, MutableBytes(out).subspan(at));
            tie = tied(tie, crc);
            crcs.resize(crcs.size() + 4);
            store_little<std::uint32_t>(crcs.data() + crcs.size() - 4, crc);
        }
        return std::pair(tie, crc32c(salt, crcs));
    };
    for (int bit = 0; bit < 8; ++bit) {
        const auto changed = static_cast<std::uint8_t>(1 << bit);
        CHECK(made(changed).first != made(0).first);
        CHECK(made(changed).second == made(0).second);  // why it is no checksum of the checksums
    }
}

// A producer sends again what run 1 has cut, and then something else of the same length.
TEST_CASE("ties: the head of a commit brings nothing back that an earlier run has cut") {
    const auto write = [](Rig& rig, std::uint64_t salt) {
        REQUIRE(rig.append(1, {.size = 2'000, .salt = 5}));
        REQUIRE(rig.append(1, {.size = 2'000, .salt = salt}));
    };
    SimStorage made({.seed = 3, .size = many_segments});
    UnderWay first, second;
    {
        Rig rig(made);
        REQUIRE(rig.open());
        REQUIRE(rig.log->declare_stream(1, {}));
        REQUIRE(rig.append_durably(1, {.salt = 1}));
    }
    {
        Rig rig(made);  // each start that finds a power cut has a fact to write first
        REQUIRE(rig.open());
        first = under_way(made, rig, [&] { write(rig, 6); });
    }
    std::uint64_t at = pool;
    while (bytes_at(first.before, at, page) == bytes_at(first.after, at, page)) at += page;
    SimImage image = first.before;
    copy(first.after, image, at + sector, 2 * page - sector);
    {
        SimStorage device({.seed = 4}, image);
        Rig rig(device);
        REQUIRE(rig.open());
        REQUIRE(rig.log->stream(1)->log_end == 1);
        second = under_way(device, rig, [&] { write(rig, 8); });
    }
    image = second.before;
    copy(first.after, image, at, 2 * page);
    copy(second.after, image, at, sector);
    const auto mixed = bytes_at(image, at, 2 * page);
    REQUIRE(mixed != bytes_at(first.after, at, 2 * page));
    REQUIRE(mixed != bytes_at(second.after, at, 2 * page));
    const auto header = decode_segment_header(bytes_at(image, pool, segment_header_bytes));
    REQUIRE(header);
    const auto commit = decode_commit_header(mixed, header->salt);
    REQUIRE((commit && commit->run == 3 && commit->bytes == 2 * page));
    require_frames(mixed, *commit, header->salt);
    CHECK_FALSE(commit_holds(mixed, *commit, header->salt, false));
    CHECK(damages(image) == 0);
    SimStorage again({.seed = 5}, image);
    for (int start = 0; start < 3; ++start) {
        Rig rig(again);
        REQUIRE(rig.open());
        check_whole(rig, 1, 1 + start);
        REQUIRE(rig.append_durably(1, {.size = 3'000, .salt = 30}));
        CHECK(damages(again.image()) == 0);
    }
}

namespace {

/// The tie of the commit at `at` becomes another one, under a checksum that holds.
void untie(SimImage& image, std::uint64_t segment, std::uint32_t at) {
    const auto header = decode_segment_header(bytes_at(image, segment, 512));
    REQUIRE(header);
    auto head = bytes_at(image, segment + at, commit_header_bytes);
    auto commit = decode_commit_header(head, header->salt);
    REQUIRE((commit && commit->kind == CommitKind::data));
    commit->tie ^= 1;
    encode_commit_header(*commit, header->salt, head.data());
    image.write(segment + at, head);
}

}  // namespace

TEST_CASE("ties: between good commits one that does not fit is damage, and its frames count") {
    constexpr std::uint64_t segment = pool + 3 * small_segment;
    constexpr std::uint32_t place = 6 * page;
    SimStorage made({.seed = 1, .size = pool + 32 * 64 * KiB});
    {
        Rig rig(made);
        REQUIRE(rig.open());
        declare_both(rig);
        for (std::uint64_t i = 0; i < 200; ++i) REQUIRE(rig.append_durably(1, lone(i)));
        rig.close();
    }
    SimImage image = made.image();
    untie(image, segment, place);
    CHECK(damages(made.image()) == 0);
    CHECK(damages(image) == 1);

    const auto header = decode_segment_header(bytes_at(image, segment, segment_header_bytes));
    REQUIRE(header);
    SegmentEntry entry;
    entry.generation = header->generation;
    entry.salt = header->salt;
    entry.data_end = 8 * page;
    SegmentCheck good(entry, page), check(entry, page);
    CHECK(good.feed(bytes_at(made.image(), segment + page, 7 * page)));
    CHECK_FALSE(check.feed(bytes_at(image, segment + page, 7 * page)));
    CHECK(check.position() == place);

    // The cleaner reads such a segment twice before it believes that, and copies all of it.
    class Counting final : public leat::test::StorageOver {
    public:
        explicit Counting(SimStorage& device) : StorageOver(device) {}
        Status start_write(std::uint64_t ticket, std::uint64_t at,
                           std::span<const std::uint8_t> bytes) override {
            recycled_ = recycled_ || at == segment;
            return below_.start_write(ticket, at, bytes);
        }
        Status start_read(std::uint64_t ticket, std::uint64_t at,
                          std::span<std::uint8_t> into) override {
            if (Core::owner_of(ticket) == Owner::cleaner && !recycled_ && at <= segment + place &&
                segment + place < at + into.size())
                ++reads;
            return below_.start_read(ticket, at, into);
        }
        int reads = 0;

    private:
        bool recycled_ = false;
    };
    int reads[2] = {};
    for (const bool fits : {false, true}) {
        SimStorage below({.seed = 1}, fits ? made.image() : image);
        Counting device(below);
        Rig rig(below);
        rig.log = make_faulty_log(device, rig.entropy, small_config(), {});
        REQUIRE(rig.open());
        declare_both(rig);
        const std::uint64_t count = fill_up(rig, 200);
        reads[fits] = device.reads;
        check_all(rig, count);
        CHECK(rig.log->counters().cleaner_freed > 0);
        CHECK(rig.log->books(1).losses.empty());
    }
    CHECK(reads[1] > 0);
    CHECK(reads[0] > reads[1]);
}

}  // namespace leat::log::test
