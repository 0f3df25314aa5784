#include "broker/log/mend.hpp"

#include <bit>

#include "sdk/base/crc32c.hpp"

namespace leat::log {

namespace {

void flip(MutableBytes bytes, std::size_t bit) {
    bytes[bit / 8] ^= static_cast<std::uint8_t>(1u << bit % 8);
}

/// `at` holds the checksum of `covered`, which is `made` now.
bool mend_covered(MutableBytes covered, std::uint32_t made, std::uint8_t* at) {
    const std::uint32_t difference = made ^ load_little<std::uint32_t>(at);
    if (difference == 0) return true;
    if (std::has_single_bit(difference)) {
        store_little<std::uint32_t>(at, made);
        return true;
    }
    const auto bit = lost_bit(difference, covered.size());
    if (bit) flip(covered, *bit);
    return bit.has_value();
}

bool sensible(const FrameHeader& frame, std::size_t room) {
    return frame.known() && frame.plain() && frame.padded_bytes() <= room &&
           (!frame.holds_batch() || frame.body_bytes >= batch_header_bytes);
}

}  // namespace

std::optional<std::size_t> lost_bit(std::uint32_t difference, std::size_t bytes) {
    constexpr std::uint32_t polynomial = 0x82F63B78;  // reflected Castagnoli
    std::uint32_t effect = polynomial;                // of the last bit; each before it is a step on
    for (std::size_t bit = bytes * 8; bit-- > 0;) {
        if (effect == difference) return bit;
        effect = effect >> 1 ^ ((effect & 1) != 0 ? polynomial : 0);
    }
    return std::nullopt;
}

bool mend_block(MutableBytes block) {
    const std::size_t covered = segment_header_bytes - 4;
    return block.size() >= segment_header_bytes &&
           mend_covered(block.first(covered), crc32c(0, block.first(covered)),
                        block.data() + covered);
}

Result<SegmentHeader> decode_mended_segment_header(ByteView bytes) {
    Result<SegmentHeader> header = decode_segment_header(bytes);
    if (header || header.error() != Error::corrupt || bytes.size() < segment_header_bytes)
        return header;
    std::uint8_t block[segment_header_bytes];
    copy_bytes(bytes.first(segment_header_bytes), block);
    return mend_block(block) ? decode_segment_header(block) : header;
}

Result<CommitHeader> mend_commit_header(MutableBytes bytes, std::uint32_t salt) {
    if (bytes.size() < commit_header_bytes) return fail(Error::corrupt);
    const std::uint32_t magic = load_little<std::uint32_t>(bytes.data());
    const MutableBytes covered = bytes.subspan(8, commit_header_bytes - 8);
    if (magic == commit_magic) {
        if (!mend_covered(covered, crc32c(salt, covered), bytes.data() + 4))
            return fail(Error::corrupt);
    } else if (std::has_single_bit(magic ^ commit_magic)) {
        store_little<std::uint32_t>(bytes.data(), commit_magic);
    }
    return decode_commit_header(bytes, salt);
}

std::optional<FrameHeader> mend_frame(MutableBytes bytes, std::uint32_t salt, Mend what) {
    if (bytes.size() < frame_header_bytes) return std::nullopt;
    // A bit of the header changes what is covered, so each is tried.
    for (std::size_t bit = 0; bit < frame_header_bytes * 8; ++bit) {
        flip(bytes, bit);
        const FrameHeader frame = decode_frame_header(bytes.data());
        if (sensible(frame, bytes.size()) && frame_crc(salt, bytes, frame) == frame.crc)
            return frame;
        flip(bytes, bit);
    }
    const FrameHeader frame = decode_frame_header(bytes.data());
    if (!sensible(frame, bytes.size()) || (what == Mend::heads && !frame.holds_batch()))
        return std::nullopt;
    const std::size_t covered = frame.header_bytes + frame.covered_bytes();
    const auto bit = lost_bit(frame_crc(salt, bytes, frame) ^ frame.crc, covered);
    if (!bit || *bit < frame_header_bytes * 8) return std::nullopt;  // those were tried
    flip(bytes, *bit);
    return frame;
}

bool mend_commit(MutableBytes bytes, std::uint32_t salt, Mend what) {
    bool mended = !decode_commit_header(bytes, salt);
    const Result<CommitHeader> commit = mend_commit_header(bytes, salt);
    if (!commit || commit->bytes > bytes.size()) return false;
    std::size_t at = commit_header_bytes;
    std::uint32_t tie = 0;
    for (std::uint32_t i = 0; i < commit->frames; ++i) {
        const MutableBytes here = bytes.subspan(at, commit->used - at);
        if (here.size() < frame_header_bytes) return false;
        FrameHeader frame = decode_frame_header(here.data());
        const bool holds = frame.header_bytes >= frame_header_bytes &&
                           frame.padded_bytes() <= here.size() &&
                           frame_crc(salt, here, frame) == frame.crc;
        if (!holds) {
            const auto found = mended ? std::nullopt : mend_frame(here, salt, what);
            if (!found) return false;
            frame = *found;
            mended = true;
        }
        at += frame.padded_bytes();
        tie = tied(tie, frame.crc);
    }
    if (tie != commit->tie) return false;
    if (commit->kind == CommitKind::footer) return true;
    std::size_t bits = 0;
    for (std::uint8_t& byte : bytes.subspan(commit->used, commit->bytes - commit->used))
        bits += static_cast<std::size_t>(std::popcount(byte));
    if (bits > (mended ? 0u : 1u)) return false;
    for (std::uint8_t& byte : bytes.subspan(commit->used, commit->bytes - commit->used)) byte = 0;
    return true;
}

}  // namespace leat::log
