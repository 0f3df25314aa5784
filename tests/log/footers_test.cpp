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
        REQUIRE((found != batches->streams.end()) == stream.holds_batches());
        if (!stream.holds_batches()) continue;
        CHECK(found->second.first_offset == stream.first_offset);
        CHECK(found->second.end_offset == stream.end_offset);
        CHECK(found->second.batch_bytes == stream.batch_bytes);
        CHECK(found->second.batches == stream.batches);
        CHECK(found->second.log_start == stream.log_start);
        CHECK(found->second.last_age_ms == stream.last_age_ms);
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
