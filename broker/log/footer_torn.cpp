#include "broker/log/footer_torn.hpp"

namespace leat::log {

std::optional<std::vector<std::uint32_t>> summary_candidates(ByteView front, std::uint32_t salt) {
    constexpr std::uint32_t body_bytes = 32 + 4 * candidates_max;
    const ByteView frame = front.subspan(commit_header_bytes, frame_header_bytes + body_bytes);
    const FrameHeader header = decode_frame_header(frame.data());
    if (header.type != FrameType::footer_summary || header.header_bytes != frame_header_bytes ||
        header.body_bytes != body_bytes || frame_crc(salt, frame, header) != header.crc)
        return std::nullopt;
    const std::uint8_t* body = frame.data() + frame_header_bytes;
    std::vector<std::uint32_t> candidates;
    for (std::uint32_t i = 0; i < candidates_max && i < load_little<std::uint32_t>(body + 4); ++i)
        candidates.push_back(load_little<std::uint32_t>(body + 32 + 4 * i));
    return candidates;
}

std::optional<CommitHeader> header_by_trailer(ByteView last, std::uint64_t generation,
                                              std::uint32_t salt, std::uint32_t segment_bytes) {
    const auto trailer = decode_trailer(last, generation, salt, segment_bytes);
    if (!trailer) return std::nullopt;
    CommitHeader header;
    header.kind = CommitKind::footer;
    header.generation = generation;
    header.position = trailer->position;
    header.bytes = trailer->bytes;
    header.tie = trailer->tie;
    header.run = load_little<std::uint32_t>(last.data() + 28);
    return header;
}

}  // namespace leat::log
