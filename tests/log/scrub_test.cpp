// The scrubber: one flipped bit is found wherever it is, told with its place, and costs at most its
// batch.
#include <doctest/doctest.h>

#include <set>

#include "broker/log/scrub.hpp"
#include "tests/log/rig.hpp"
#include "tests/support/storage_over.hpp"

using namespace leat;
using namespace leat::log;
using namespace leat::log::test;

namespace {

constexpr std::uint64_t twice_small = 32 * KiB + 32 * 64 * KiB;
constexpr std::uint64_t pool_start = 32 * KiB;

/// Commits of three batches of two streams and a fact, some batches large enough to span commits.
void fill(Rig& rig) {
    for (std::uint64_t i = 0; i < 90; ++i) {
        for (std::uint64_t j = 0; j < 3; ++j) {
            const std::size_t size = i % 30 == 7 && j == 0 ? 30'000 : 900 + 500 * (i % 5) + j;
            const BatchSpec spec{.count = 4, .size = size, .salt = i * 3 + j};
            if (rig.append(j == 1 ? 2 : 1, spec)) continue;
            rig.settle();  // a group that is full waits for the commit before it
            REQUIRE(rig.append(j == 1 ? 2 : 1, spec));
        }
        const std::string value = std::to_string(i);
        REQUIRE(rig.log->put_fact(rig.at(), FactKind::config, bytes_of("k"), bytes_of(value)));
        rig.settle();
    }
}

enum class Part { header, commit, frame, batch_head, payload, fact, zeros, footer, trailer };
constexpr const char* part_names[] = {"segment header", "commit header", "frame header",
                                      "batch header",   "payload",       "fact",
                                      "padding",        "footer",        "trailer"};
struct Place {
    Part part;
    std::uint64_t from, bytes;  ///< on the device: any bit of it may flip
    std::uint64_t told;         ///< where the scrubber says it is
    StreamId stream = 0;
    Offset first = -1;
};

/// What stands where in the sealed segments.
std::vector<Place> places_of(const SimImage& image) {
    std::vector<Place> places;
    std::vector<std::uint8_t> all(image.size());
    image.read(0, all);
    for (std::uint64_t base = pool_start; base + small_segment <= all.size();
         base += small_segment) {
        const auto header = decode_segment_header(ByteView(all).subspan(base, 512));
        if (!header || header->area != Area::arrivals) continue;
        const std::uint8_t* segment = all.data() + base;
        const auto trailer = decode_trailer({segment + small_segment - 32, 32}, header->generation,
                                            header->salt, small_segment);
        if (!trailer) continue;  // open
        places.push_back({Part::header, base, 512, base});
        const std::uint64_t footer = base + trailer->position;
        const auto last = decode_commit_header({segment + trailer->position, 80}, header->salt);
        REQUIRE(last);
        places.push_back({Part::footer, footer, last->used, footer});  // behind it, no matter
        places.push_back({Part::trailer, base + small_segment - 32, 24, footer});
        std::uint32_t at = 4096;
        while (const auto commit = decode_commit_header({segment + at, 80}, header->salt)) {
            if (commit->kind == CommitKind::footer) break;
            places.push_back({Part::commit, base + at, 80, base + at});
            std::uint32_t position = at + 80;
            while (position < at + commit->used) {
                const FrameHeader frame = decode_frame_header(segment + position);
                Place place{Part::fact, base + position, frame.header_bytes + frame.body_bytes,
                            base + position};
                if (frame.type == FrameType::append && !frame.continues()) {
                    const auto fields =
                        read_batch_fields({segment + position + 24, frame.body_bytes});
                    place.stream = frame.stream;
                    place.first = fields->base_offset;
                    place.part = Part::frame;
                    place.bytes = 24;
                    places.push_back(place);
                    place.part = Part::batch_head;
                    place.from += 24;
                    place.bytes = 61;
                    places.push_back(place);
                    place.part = Part::payload;
                    place.from += 61;
                    place.bytes = frame.body_bytes - 61;
                }
                if (frame.type == FrameType::append ? !frame.continues()
                                                    : frame.type == FrameType::fact)
                    places.push_back(place);
                position += static_cast<std::uint32_t>(frame.padded_bytes());
            }
            if (commit->used + 64 < commit->bytes)
                places.push_back(
                    {Part::zeros, base + position, at + commit->bytes - position, base + position});
            at += commit->bytes;
        }
    }
    return places;
}

LogConfig scrub_config() {
    LogConfig config = small_config();
    config.scrub_every = milliseconds(1);  // as fast as it may
    return config;
}

void scrub_all(Rig& rig) {
    rig.settle();
    rig.pass(60'000);
    for (int i = 0; i < 400; ++i) rig.pass(63);
}

/// Everything of both streams: records that were read, in order, over what is lost.
std::uint64_t read_over(Rig& rig) {
    std::uint64_t records = 0;
    for (const StreamId id : {1u, 2u}) {
        Offset from = rig.log->stream(id)->log_start;
        const Offset end = rig.log->stream(id)->log_end;
        while (from < end) {
            const auto all = rig.read_all(id, from);
            ByteView left = all.bytes;
            while (!left.empty()) {
                const ByteView batch = next_batch(left);
                REQUIRE(!batch.empty());
                REQUIRE(batch_crc_ok(batch));
                records += 4;
            }
            if (!all.error) break;
            REQUIRE(*all.error == Error::corrupt);
            REQUIRE(all.next > from);
            from = all.next;
        }
    }
    return records;
}

}  // namespace

TEST_CASE(
    "scrub: a flipped bit in every structure is found, told where, and costs its batch at most") {
    SimStorage made({.seed = 1, .size = twice_small});
    {
        Rig rig(made);
        REQUIRE(rig.open());
        REQUIRE(rig.log->declare_stream(1, {}));
        REQUIRE(rig.log->declare_stream(2, {}));
        fill(rig);
        rig.close();
    }
    const std::vector<Place> places = places_of(made.image());
    SimRandom random(5);
    for (int part = 0; part <= static_cast<int>(Part::trailer); ++part) {
        std::vector<Place> these;
        for (const Place& place : places)
            if (place.part == static_cast<Part>(part)) these.push_back(place);
        REQUIRE(these.size() >= 3);
        for (int tries = 0; tries < 12; ++tries) {
            const Place& place = these[random.below(these.size())];
            SimStorage device({.seed = 2}, made.image());
            Rig rig(device, scrub_config());
            REQUIRE(rig.open());
            REQUIRE(rig.log->declare_stream(1, {}));
            REQUIRE(rig.log->declare_stream(2, {}));
            const std::uint64_t at = place.from + random.below(place.bytes);
            std::uint8_t byte = 0;
            device.image().read(at, {&byte, 1});
            byte ^= static_cast<std::uint8_t>(1u << random.below(8));
            device.image().write(at, {&byte, 1});
            INFO(part_names[part], " at ", place.from, ", byte ", at - place.from);
            scrub_all(rig);
            const LogStatus status = rig.log->status();
            REQUIRE(status.damaged.size() == 1);
            CHECK(status.damaged[0].device_position == place.told);
            CHECK(rig.log->counters().scrub_damaged >= 1);
            std::uint64_t lost = 0;
            for (const StreamId id : {1u, 2u}) {
                const Books books = rig.log->books(id);
                CHECK(books.balanced());
                for (const Loss& loss : books.losses) {
                    CHECK(loss.reason == LossReason::damaged);
                    CHECK(id == place.stream);
                    CHECK(loss.from == place.first);
                    lost += loss.records;
                }
            }
            CHECK(lost == (place.first >= 0 ? 4u : 0u));
            CHECK(read_over(rig) + lost == 90 * 3 * 4);
        }
    }
}

TEST_CASE("scrub: a whole log raises no alarm, nor does a read that is refused once; reads are spaced") {
    SimStorage made({.seed = 1, .size = twice_small});
    {
        Rig rig(made);
        REQUIRE(rig.open());
        REQUIRE(rig.log->declare_stream(1, {}));
        REQUIRE(rig.log->declare_stream(2, {}));
        fill(rig);
        rig.close();
    }
    std::uint64_t at_open = 0;
    {
        SimStorage device({.seed = 2}, made.image());
        Rig rig(device, scrub_config());
        REQUIRE(rig.open());
        REQUIRE(rig.log->declare_stream(1, {}));
        REQUIRE(rig.log->declare_stream(2, {}));
        rig.settle();
        rig.pass(59'000);
        at_open = device.counts().reads;
        rig.pass(1'000);
        for (int second = 0; second < 30; ++second) {
            const std::uint64_t before = rig.log->counters().scrubbed;
            for (int i = 0; i < 100; ++i) rig.pass(10);
            CHECK(rig.log->counters().scrubbed - before <= MiB + scrub_block_bytes);
        }
        CHECK(rig.log->counters().scrubbed >
              2 * twice_small / 3);  // all that is sealed, more than once
        CHECK(rig.log->status().damaged.empty());
        CHECK(rig.log->counters().scrub_damaged == 0);
    }
    for (std::uint64_t n = 1; n < 12; ++n) {
        SimStorage device({.seed = 2, .fail_read_at = at_open + n}, made.image());
        Rig rig(device, scrub_config());
        REQUIRE(rig.open());
        REQUIRE(rig.log->declare_stream(1, {}));
        REQUIRE(rig.log->declare_stream(2, {}));
        rig.settle();
        rig.pass(59'000);
        rig.pass(1'000);
        const std::uint64_t scrubbed = rig.log->counters().scrubbed;
        for (int i = 0; i < 400; ++i) rig.pass(63);
        INFO("read ", n);
        CHECK(rig.log->counters().scrubbed > scrubbed + 2 * twice_small / 3);
        CHECK(rig.log->status().damaged.empty());  // the second try reads it
        CHECK(rig.log->counters().scrub_damaged == 0);
        CHECK(rig.log->books(1).losses.empty());
    }
}

TEST_CASE("scrub: a trailer that is another footer's is damage, as a start takes it") {
    SimStorage device({.seed = 1, .size = twice_small});
    {
        Rig rig(device);
        REQUIRE(rig.open());
        REQUIRE(rig.log->declare_stream(1, {}));
        REQUIRE(rig.log->declare_stream(2, {}));
        fill(rig);
        rig.close();
    }
    Rig rig(device, scrub_config());
    REQUIRE(rig.open());
    const auto places = places_of(device.image());
    const auto place = std::find_if(places.begin(), places.end(), [](const Place& one) {
        return one.part == Part::trailer;
    });
    REQUIRE(place != places.end());
    std::uint8_t front[segment_header_bytes], trailer[footer_trailer_bytes];
    device.image().read(place->from + footer_trailer_bytes - small_segment, front);
    device.image().read(place->from, trailer);
    const std::uint32_t salt = decode_segment_header(front)->salt;
    trailer[24] ^= 1;  // its tie
    store_little<std::uint32_t>(trailer + 4, crc32c(salt, ByteView(trailer).subspan(8)));
    device.image().write(place->from, trailer);
    scrub_all(rig);
    REQUIRE(rig.log->status().damaged.size() == 1);
    CHECK(rig.log->status().damaged[0].what == DamagedPlace::What::footer);
    CHECK(rig.log->status().damaged[0].device_position == place->told);
}

TEST_CASE("scrub: off when it is told so, and never faster than a week asks for") {
    SimStorage device({.seed = 1, .size = twice_small});
    for (const std::int64_t every : {0, 7 * 24 * 3600 * 1000}) {
        LogConfig config = small_config();
        config.scrub_every = milliseconds(every);
        Rig rig(device, config);
        REQUIRE(rig.open());
        REQUIRE(rig.log->declare_stream(1, {}));
        REQUIRE(rig.log->declare_stream(2, {}));
        if (every == 0) fill(rig);
        for (int i = 0; i < 60; ++i) rig.pass(60'000);
        CHECK((rig.log->counters().scrubbed > 0) == (every != 0));
        CHECK(rig.log->counters().scrubbed <= 60 * scrub_block_bytes);
        rig.close();
    }
}

namespace {

/// Sees which segments the scrubber reads.
class Scrubbed final : public leat::test::StorageOver {
public:
    explicit Scrubbed(SimStorage& below) : StorageOver(below) {}
    Status start_read(std::uint64_t ticket, std::uint64_t at,
                      std::span<std::uint8_t> into) override {
        if (Core::owner_of(ticket) == Owner::scrub)
            segments.insert((at - pool_start) / small_segment);
        return below_.start_read(ticket, at, into);
    }
    std::set<std::uint64_t> segments;
};

}  // namespace

TEST_CASE("scrub: a gateway that loses its power every hour gets round, and writes little for it") {
    SimStorage device({.seed = 1, .size = pool_start + 128 * 64 * KiB});
    Scrubbed scrubbed(device);
    LogConfig config = small_config();
    // An hour and a bit is a sixth of what all of it takes: a block a minute.
    for (int life = 0; life < 8; ++life) {
        Rig rig(device, config, {}, 42 + static_cast<std::uint64_t>(life));
        rig.log = make_faulty_log(scrubbed, rig.entropy, config, {});
        REQUIRE(rig.open());
        REQUIRE(rig.log->declare_stream(1, {}));
        if (life == 0)
            for (std::uint64_t i = 0; i < 300; ++i)  // three to a segment
                REQUIRE(rig.append_durably(1, {.size = 14'000, .salt = i}));
        const std::uint64_t commits = rig.log->counters().commits;
        for (int i = 0; i < 390; ++i) rig.pass(10'000);
        CHECK(rig.log->counters().commits - commits <= 4);  // two of them: a cut is in the books
        CHECK(scrubbed.segments.size() < 30 * static_cast<std::size_t>(life + 1));
        device.power_cycle();
    }
    CHECK(scrubbed.segments.size() >= 300 / 3 - 1);
}
