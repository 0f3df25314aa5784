// What the tests of a start over footers share: where segments stand, and which one is the last.
#pragma once

#include "broker/log/footer.hpp"
#include "tests/log/planted.hpp"

namespace leat::log::test {

constexpr std::uint32_t page = 4096, sector = 512;
constexpr std::uint64_t pool = 32 * KiB;
constexpr std::uint64_t many_segments = pool + 512 * small_segment;  // no checkpoint comes soon

inline std::uint64_t segment_at(std::uint32_t segment) {
    return pool + std::uint64_t{segment} * small_segment;
}

inline void copy(const SimImage& from, SimImage& to, std::uint64_t at, std::size_t size) {
    std::vector<std::uint8_t> bytes(size);
    from.read(at, bytes);
    to.write(at, bytes);
}

inline std::optional<SegmentHeader> header_of(const SimImage& image, std::uint32_t segment) {
    std::uint8_t bytes[segment_header_bytes];
    image.read(segment_at(segment), bytes);
    const auto header = decode_segment_header(bytes);
    if (!header || header->area != Area::arrivals) return std::nullopt;
    return *header;
}

/// The last segment of the ring.
inline SegmentHeader newest(const SimImage& image) {
    std::optional<SegmentHeader> last;
    for (std::uint32_t i = 0; segment_at(i + 1) <= image.size(); ++i)
        if (const auto header = header_of(image, i);
            header && (!last || last->place < header->place))
            last = header;
    REQUIRE(last);
    return *last;
}

/// Two of these fill a segment.
inline BatchSpec large(std::uint64_t i) { return {.count = 2, .size = 20'000, .salt = i}; }

inline void declare_one(Rig& rig) {
    REQUIRE(rig.open());
    REQUIRE(rig.log->declare_stream(1, {}));
}

inline void check_whole(Rig& rig, Offset end) {
    CHECK(rig.log->stream(1)->log_end == end);
    const auto all = rig.read_all(1, 0);
    CHECK(!all.error);
    CHECK(all.next == end);
}

}  // namespace leat::log::test
