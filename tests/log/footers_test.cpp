// A footer carries the links that lead to older segments; without it nothing may become unfindable.
#include <doctest/doctest.h>

#include "broker/log/footer.hpp"
#include "tests/log/rig.hpp"

namespace leat::log::test {
namespace {

constexpr std::uint32_t segments = 180;  // far more than anchors
constexpr std::uint64_t first_segment = 32 * KiB;

struct Filled {
    SimImage image;
    std::map<StreamId, std::vector<Offset>> bases;
};

Filled fill() {
    Filled filled{SimImage(first_segment + segments * 64 * KiB), {}};
    SimStorage device({.seed = 3, .size = filled.image.size()}, filled.image);
    Rig rig(device);
    REQUIRE(rig.open());
    for (StreamId stream : {1u, 2u}) REQUIRE(rig.log->declare_stream(stream, {}));
    for (std::size_t i = 0; i < 600; ++i) {
        const StreamId stream = i % 25 == 7 ? 2 : 1;
        const auto appended = rig.append(
            stream,
            {.count = 3, .size = 9'000, .salt = i, .timestamp = static_cast<std::int64_t>(i)});
        REQUIRE(appended);
        filled.bases[stream].push_back(appended->base_offset);
        rig.settle();
    }
    rig.close();
    filled.image = device.image();
    return filled;
}

/// A page that a power cut tore.
void spoil(SimImage& image, std::uint64_t at) {
    const std::vector<std::uint8_t> garbage(4096, 0xA5);
    image.write(at, garbage);
}

}  // namespace

TEST_CASE("streams: those that are there are found, in order, whatever their numbers are") {
    // In one run, all at one place of the table, and at its end: from there it goes on in front.
    const auto number = [](SimRandom& random) {
        const auto some = static_cast<StreamId>(random.below(300));
        switch (random.below(3)) {
            case 0:
                return some;
            case 1:
                return some * 4096 + 1023;
            default:
                return UINT32_MAX - some;
        }
    };
    SimRandom random(5);
    Streams streams;
    std::map<StreamId, Offset> there;
    for (Offset i = 0; i < 20'000; ++i) {
        const StreamId id = number(random);
        if (random.below(5) < (i / 4'000 % 2 == 0 ? 3u : 2u)) {
            streams.make(id).state.log_end = i;
            there[id] = i;
        } else {
            streams.erase(id);
            there.erase(id);
        }
        if (i % 100 != 0) continue;
        if (i % 300 == 0) {
            Streams moved = std::move(streams);
            streams = std::move(moved);
        }
        REQUIRE(streams.size() == there.size());
        auto in_order = there.begin();
        for (const auto& [known, stream] : streams.all()) CHECK(known == (in_order++)->first);
        for (int k = 0; k < 900; ++k) {
            const StreamId asked = number(random);
            const Stream* found = streams.find(asked);
            const auto wanted = there.find(asked);
            REQUIRE((found != nullptr) == (wanted != there.end()));
            if (found != nullptr) REQUIRE(found->state.log_end == wanted->second);
        }
    }
}

TEST_CASE("footers: streams that came in any order stand in the order of their numbers, with all") {
    constexpr std::uint32_t salt = 7, page = 4096, size = 4096 * KiB;
    SegmentIndex index;
    constexpr std::uint32_t count = 3000;
    for (std::uint32_t i = 0; i < count; ++i) {
        const StreamId id = 1 + i * 1'009 % count;
        StreamInSegment& here = index.on_batch(id,
                                               {.base_offset = id,
                                                .total_bytes = 100,
                                                .last_offset_delta = 1,
                                                .max_timestamp = 5},
                                               4096 + i, 1);
        CHECK(&here == index.streams.find(id));
        std::vector<Link> links;
        for (std::uint32_t k = 0; k < id % 6; ++k) links.push_back({id + k, 7, k, id});
        here.links = links;
        for (std::uint32_t k = 1; k < id % 5; ++k)
            (void)index.on_batch(id,
                                 {.base_offset = id + 2 * k,
                                  .total_bytes = 100,
                                  .last_offset_delta = 1,
                                  .max_timestamp = 5},
                                 4096 + i + k * point_block_bytes, 1);
    }
    CHECK(index.streams.size() == count);
    CHECK(index.batches() == count + count / 5 * (0 + 0 + 1 + 2 + 3));
    CommitHeader header;
    header.generation = 9;
    const auto footer = encode_footer(index, header, salt, page, size);
    REQUIRE_FALSE(footer.empty());
    auto whole = decode_footer(footer, 9, salt);
    REQUIRE(whole);
    const SegmentIndex moved = *std::move(whole);
    StreamId last = 0;
    for (const auto& [id, stream] : moved.streams) {
        REQUIRE(id == ++last);
        REQUIRE(stream.links.size() == id % 6);
        REQUIRE(stream.points.size() == std::max(1u, id % 5));
        const StreamInSegment copy = stream;
        for (std::uint32_t k = 0; k < id % 6; ++k) {
            CHECK(copy.links[k].first_offset == id + k);
            CHECK(copy.links[k].segment == k);
        }
        for (std::uint32_t k = 0; k < copy.points.size(); ++k)
            CHECK(copy.points[k].offset_delta == 2 * k);
    }
    CHECK(last == count);
    // What nobody needs goes piece by piece.
    for (int i = 0; i < 20; ++i) index.shed(512);
    CHECK(index.streams.empty());
}

TEST_CASE("footers: what retention takes of one are the streams that hold batches, as they are") {
    constexpr std::uint32_t salt = 7, page = 4096, size = 1024 * KiB;
    SegmentIndex index;
    for (std::uint32_t i = 0; i < 40; ++i)
        index.on_batch(2 + 3 * (i % 10),
                       {.base_offset = 100 * i, .total_bytes = 80 + i, .last_offset_delta = 9,
                        .max_timestamp = 1000 + i, .producer_id = i % 2 ? 5 : -1,
                        .producer_epoch = 0, .base_sequence = 0},
                       page + 128 * i, 50 + i);
    for (std::uint32_t i = 0; i < 1000; ++i) {
        index.on_dropped(100 + i);
        const std::string key = "key " + std::to_string(i);
        index.on_fact({.kind = 3, .sequence = 0, .key = bytes_of(key), .value = bytes_of(key)},
                      i % 3 == 0, i);
    }
    index.on_log_start(5, 17);  // of one that holds batches
    index.on_log_end(90, 17);   // and of one that holds none
    CommitHeader header;
    header.generation = 9;
    const auto footer = encode_footer(index, header, salt, page, size);
    REQUIRE_FALSE(footer.empty());
    CHECK(check_footer(footer, 9, salt));
    CHECK_FALSE(check_footer(footer, 8, salt));
    const auto whole = decode_footer(footer, 9, salt);
    const auto batches = decode_footer_batches(footer);
    REQUIRE(whole);
    REQUIRE(batches);
    CHECK(whole->streams.size() == 1011);
    CHECK(batches->facts.empty());
    CHECK(batches->streams.size() == 10);
    for (const auto& [id, stream] : whole->streams) {
        const auto found = batches->streams.find(id);
        REQUIRE((found != nullptr) == stream.holds_batches());
        if (!stream.holds_batches()) continue;
        CHECK(found->first_offset == stream.first_offset);
        CHECK(found->end_offset == stream.end_offset);
        CHECK(found->batch_bytes == stream.batch_bytes);
        CHECK(found->batches == stream.batches);
        CHECK(found->log_start == stream.log_start);
        CHECK(found->last_age_ms == stream.last_age_ms);
    }
    auto spoilt = footer;
    spoilt[footer.size() / 2] ^= 1;
    CHECK_FALSE(check_footer(spoilt, 9, salt));
}

TEST_CASE("footers: a lost one costs no record of any other segment") {
    const Filled filled = fill();
    for (std::uint32_t segment = 0; segment < 90; segment += 3) {
        for (const std::uint32_t run : {1u, 2u}) {
            SimImage image = filled.image;
            for (std::uint32_t i = 0; i < run; ++i)
                spoil(image, first_segment + (segment + i + 1) * 64 * KiB - 4096);
            SimStorage device({.seed = 3, .size = image.size()}, image);
            Rig rig(device);
            REQUIRE(rig.open());
            for (StreamId stream : {1u, 2u}) REQUIRE(rig.log->declare_stream(stream, {}));
            INFO("segment ", segment, ", ", run, " in a row");
            for (const auto& [stream, bases] : filled.bases)
                REQUIRE(base_offsets(rig.read_all(stream, 0).bytes) == bases);
        }
    }
}

TEST_CASE("footers: a segment that cannot be read at all costs its own records only, and is told") {
    const Filled filled = fill();
    std::size_t costly = 0;
    for (std::uint32_t segment = 1; segment < 90; segment += 9) {
        SimImage image = filled.image;
        for (std::uint32_t page = 0; page < 16; ++page)
            spoil(image, first_segment + segment * 64 * KiB + page * 4096);
        SimStorage device({.seed = 3, .size = image.size()}, image);
        Rig rig(device);
        REQUIRE(rig.open());
        REQUIRE(rig.log->declare_stream(1, {}));
        const auto& bases = filled.bases.at(1);
        std::size_t missing = 0;
        bool told = false;
        std::vector<Offset> seen;
        for (Offset from = 0; from < rig.log->stream(1)->log_end;) {
            const auto all = rig.read_all(1, from);
            for (const Offset base : base_offsets(all.bytes)) seen.push_back(base);
            if (all.error) {
                CHECK(*all.error == Error::corrupt);
                told = true;
            }
            REQUIRE(all.next > from);
            from = all.next;
        }
        std::size_t at = 0;
        for (const Offset base : bases) {
            if (at < seen.size() && seen[at] == base)
                ++at;
            else
                ++missing;
        }
        INFO("segment ", segment);
        CHECK(at == seen.size());
        CHECK(missing <= 6);
        if (missing > 0) CHECK((told || rig.log->counters().damaged_batches > 0));
        costly += missing > 0;
    }
    CHECK(costly >= 8);  // of ten; a checkpoint holds no record
}

}  // namespace leat::log::test
