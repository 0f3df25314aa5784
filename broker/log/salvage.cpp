// Damage between commits that hold: what of it still tells something.
#include "broker/log/mend.hpp"
#include "broker/log/scan.hpp"

namespace leat::log {

namespace {

/// Where a batch ends only its own header says, which is believed if it says so twice.
bool end_is_sure(const BatchFields& fields, ByteView body) {
    const std::int64_t records = load_big<std::int32_t>(body.data() + batch_header_bytes - 4);
    return records - 1 == fields.last_offset_delta;
}

/// What the frame says of a batch holds, the batch does not, or cannot be read where it lies: it
/// was acknowledged, so its offsets are not given again.
void take_lost(const FrameHeader& header, ByteView body, SegmentIndex& index) {
    const Result<BatchFields> fields = read_batch_fields(body);
    if (header.type != FrameType::append || !fields || fields->total_bytes != header.total_bytes)
        return;
    const Offset end = end_is_sure(*fields, body) ? fields->end_offset() : fields->base_offset + 1;
    index.on_log_end(header.stream, end);
    index.lost.push_back({header.stream, fields->base_offset, end, body.size()});
}

}  // namespace

void salvage(const Core& core, const SegmentHeader& segment, std::uint32_t position, ByteView bytes,
             std::uint64_t sequence, std::uint64_t age_ms, SegmentIndex& index,
             FrameReplay& replay) {
    replay.begin_commit(sequence, age_ms);
    std::vector<std::uint8_t> copy;
    bool expected = false;  // behind a commit header or a frame that holds
    int tries = 4;          // bits are lost one by one: a place full of garbage costs no time
    for (std::size_t at = 0; at + frame_header_bytes <= bytes.size();) {
        const ByteView here = bytes.subspan(at);
        if (at % core.page == 0 && here.size() >= commit_header_bytes) {
            std::uint8_t head[commit_header_bytes];
            copy_bytes(here.first(commit_header_bytes), head);
            const auto commit = at == 0 ? mend_commit_header(head, segment.salt)
                                        : decode_commit_header(head, segment.salt);
            if (commit && commit->generation == segment.generation &&
                commit->sequence >= sequence) {
                replay.begin_commit(commit->sequence, commit->age_ms());
                at += commit_header_bytes;
                expected = commit->frames > 0;
                continue;
            }
        }
        FrameHeader header = decode_frame_header(here.data());
        ByteView frame = here;
        const bool holds = header.known() && header.plain() &&
                           header.padded_bytes() <= here.size() &&
                           frame_crc(segment.salt, here, header) == header.crc;
        if (!holds && expected) {
            if (tries > 0) copy.assign(here.begin(), here.end());
            const auto mended = tries-- > 0 ? mend_frame(copy, segment.salt, Mend::all) : std::nullopt;
            if (mended) {
                header = *mended;
                frame = copy;
            } else {
                expected = false;
            }
        }
        if (!holds && !expected) {
            at += 8;
            continue;
        }
        expected = true;
        const ByteView body = frame.subspan(header.header_bytes, header.body_bytes);
        bool lost = false;
        if (header.holds_batch() && header.continues()) {
            // It counts if its rest follows; its payload is summed by who reads it.
            const Result<BatchFields> fields = read_batch_fields(body);
            lost = !fields || !end_is_sure(*fields, body);
        } else if (header.holds_batch()) {
            lost = !holds || !batch_crc_ok(body);
            if (lost) take_lost(header, body, index);
        }
        if (!lost) (void)replay.on_frame(header, frame, static_cast<std::uint32_t>(position + at));
        at += header.padded_bytes();
    }
}

}  // namespace leat::log
