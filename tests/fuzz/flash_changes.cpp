#include "tests/fuzz/flash_changes.hpp"

#include <algorithm>
#include <cstring>
#include <vector>

#include "broker/log/checkpoint.hpp"
#include "broker/log/superblock.hpp"
#include "sdk/base/crc32c.hpp"

namespace leat::log::fuzz {
namespace {

constexpr std::uint32_t page = 4096, sector = 512;
constexpr std::uint64_t slot = 16 * KiB, pool = 2 * slot;
constexpr std::uint32_t frames_max = 4096;

std::uint32_t salt_of(ByteView segment) { return load_little<std::uint32_t>(segment.data() + 64); }

bool is_segment(const SimImage& image, std::uint64_t at) {
    std::uint8_t front[4];
    image.read(at, front);
    return std::memcmp(front, "LEAT", 4) == 0;
}

/// Shows each commit that stands at a page, and its frames, as far as their lengths make sense.
/// `visit(position)`; false ends the walk.
template <class Visit>
void for_each_structure(ByteView segment, Visit visit) {
    for (std::uint32_t at = page; at + commit_header_bytes <= segment.size(); at += page) {
        if (load_little<std::uint32_t>(segment.data() + at) != commit_magic) continue;
        if (!visit(at)) return;
        const auto room = static_cast<std::uint32_t>(segment.size()) - at;
        const std::uint32_t used =
            std::min(load_little<std::uint32_t>(segment.data() + at + 28), room);
        std::uint32_t frames = 0;
        for (std::uint32_t frame = commit_header_bytes;
             frame + frame_header_bytes <= used && frames < frames_max; ++frames) {
            const FrameHeader header = decode_frame_header(segment.data() + at + frame);
            if (header.header_bytes < frame_header_bytes || header.padded_bytes() > used - frame)
                break;
            if (!visit(at + frame)) return;
            frame += static_cast<std::uint32_t>(header.padded_bytes());
        }
    }
}

void seal_commit(MutableBytes bytes, std::uint32_t salt) {
    const auto room = static_cast<std::uint32_t>(bytes.size());
    const std::uint32_t used = std::min(load_little<std::uint32_t>(bytes.data() + 28), room);
    std::uint32_t tie = 0, frames = 0;
    for (std::size_t frame = commit_header_bytes;
         frame + frame_header_bytes <= used && frames < frames_max; ++frames) {
        const FrameHeader header = decode_frame_header(bytes.data() + frame);
        if (header.header_bytes < frame_header_bytes || header.padded_bytes() > used - frame) break;
        if (header.type == FrameType::append && header.body_bytes >= batch_header_bytes &&
            !header.continues())
            store_big<std::uint32_t>(
                bytes.data() + frame + header.header_bytes + 17,
                crc32c(0, ByteView(bytes).subspan(frame + header.header_bytes + outside_kafka_crc,
                                                  header.body_bytes - outside_kafka_crc)));
        tie = tied(tie, seal_frame(salt, bytes.subspan(frame)));
        frame += header.padded_bytes();
    }
    store_little<std::uint32_t>(bytes.data() + 72, tie);
    store_little<std::uint32_t>(bytes.data() + 4,
                                crc32c(salt, ByteView(bytes).subspan(8, commit_header_bytes - 8)));
}

void seal_block(MutableBytes block) {
    store_little<std::uint32_t>(block.data() + 508, crc32c(0, ByteView(block).first(508)));
}

void seal_everything(SimImage& image, std::uint32_t segment_bytes) {
    for (const std::uint64_t at : {std::uint64_t{0}, slot}) {
        std::uint8_t block[sector];
        if (at + sector > image.size() || !is_segment(image, at)) continue;
        image.read(at, block);
        seal_block(block);
        image.write(at, block);
    }
    std::vector<std::uint8_t> before(segment_bytes), bytes;
    for (std::uint64_t at = pool; at + segment_bytes <= image.size(); at += segment_bytes) {
        if (!is_segment(image, at)) continue;
        image.read(at, before);
        bytes = before;
        seal_block(MutableBytes(bytes).first(sector));
        const std::uint32_t salt = salt_of(bytes);
        for (std::uint32_t one = page; one < segment_bytes; one += page)
            if (load_little<std::uint32_t>(bytes.data() + one) == commit_magic)
                seal_commit(MutableBytes(bytes).subspan(one), salt);
        std::uint8_t* const trailer = bytes.data() + segment_bytes - footer_trailer_bytes;
        store_little<std::uint32_t>(
            trailer + 4, crc32c(salt, ByteView(trailer, footer_trailer_bytes).subspan(8)));
        for (std::uint32_t one = 0; one < segment_bytes; one += page)
            if (std::memcmp(bytes.data() + one, before.data() + one, page) != 0)
                image.write(at + one, ByteView(bytes).subspan(one, page));
    }
}

/// Where the structure of that number begins.
std::uint64_t place_of(const SimImage& image, std::uint32_t segment_bytes, std::uint8_t segment,
                       std::uint8_t which) {
    if (which == 1 || which == 2) return (which - 1) * slot;
    const std::uint64_t count = image.size() > pool ? (image.size() - pool) / segment_bytes : 0;
    if (count == 0) return 0;
    const std::uint64_t at = pool + segment % count * segment_bytes;
    if (which == 0) return at;
    if (which == 3) return at + segment_bytes - footer_trailer_bytes;
    std::vector<std::uint8_t> bytes(segment_bytes);
    image.read(at, bytes);
    int left = which - 4;
    std::uint32_t found = 0;
    for_each_structure(bytes, [&](std::uint32_t position) {
        found = position;
        return left-- > 0;
    });
    return at + found;
}

void put(SimImage& image, std::uint64_t at, ByteView bytes) {
    if (at >= image.size()) return;
    image.write(at, bytes.first(static_cast<std::size_t>(
                        std::min<std::uint64_t>(bytes.size(), image.size() - at))));
}

}  // namespace

bool change(SimImage& image, const Written& base, ByteView program) {
    bool sealed = false;
    for (int steps = 0; program.size() >= 6 && steps < steps_max && image.size() >= page;
         program = program.subspan(6), ++steps) {
        const std::uint64_t where =
            (program[1] | program[2] << 8 | program[3] << 16) % image.size();
        const std::uint64_t here = std::min(where / page * page, image.size() - page);
        const std::uint16_t value = load_little<std::uint16_t>(program.data() + 4);
        std::uint8_t bytes[page] = {};
        switch (program[0] % 8) {
            case 0:
                put(image, where, program.subspan(4, 2));
                break;
            case 1:
                std::fill_n(bytes, sector, static_cast<std::uint8_t>(value));
                put(image, where / sector * sector, ByteView(bytes).first(sector));
                break;
            case 2:
                image.read(here, bytes);
                image.write(std::uint64_t{value} * page % (image.size() / page * page), bytes);
                break;
            case 3:
                image.write(here, bytes);
                break;
            case 4:
                seal_everything(image, base.segment_bytes);
                sealed = true;
                break;
            case 5:
                if (value & 1) image.resize(where / sector * sector);
                break;
            case 6:
                put(image,
                    place_of(image, base.segment_bytes, program[1], program[2]) + program[3],
                    program.subspan(4, 2));
                break;
            default:
                for (std::uint32_t i = 0; i < page / sector; ++i) {
                    const std::uint64_t at = here + std::uint64_t{i} * sector;
                    if ((value & 0xFF) != 0 && (value >> i & 1) == 0) continue;
                    if (at + sector > base.older.size()) continue;
                    base.older.read(at, std::span(bytes).first(sector));
                    put(image, at, ByteView(bytes).first(sector));
                }
                break;
        }
    }
    return sealed;
}

}  // namespace leat::log::fuzz
