#include "broker/log/scan.hpp"

#include <algorithm>

#include "sdk/base/crc32c.hpp"

namespace leat::log {

namespace {

/// A batch that spans commits is summed as its parts go by.
struct OpenPart {
    std::uint32_t crc = 0, want = 0, have = 0, total = 0;
    StreamId stream = 0;
};

/// Checks every frame. `part` is what the commit before left open, and is left as this one ends.
bool frames_hold(ByteView bytes, const CommitHeader& commit, std::uint32_t salt,
                 std::optional<OpenPart>& part) {
    std::size_t at = commit_header_bytes;
    for (std::uint32_t i = 0; i < commit.frames; ++i) {
        if (at + frame_header_bytes > commit.used) return false;
        const ByteView frame = bytes.subspan(at, commit.used - at);
        const FrameHeader header = decode_frame_header(frame.data());
        if (header.type == FrameType::padding || static_cast<std::uint8_t>(header.type) >= 0x80)
            return false;
        if (header.header_bytes < frame_header_bytes || header.padded_bytes() > frame.size())
            return false;
        if (frame_crc(salt, frame, header) != header.crc) return false;
        const ByteView body = frame.subspan(header.header_bytes, header.body_bytes);
        if (header.holds_batch()) {
            if (body.size() < batch_header_bytes) return false;
            const std::uint32_t want = load_big<std::uint32_t>(body.data() + 17);
            const std::uint32_t crc = crc32c(0, body.subspan(outside_kafka_crc));
            if (header.continues()) {
                if (i + 1 != commit.frames) return false;
                part = OpenPart{crc, want, header.body_bytes, header.total_bytes, header.stream};
            } else if (crc != want) {
                return false;
            }
        } else if (header.type == FrameType::more && part && i == 0) {
            if (header.stream != part->stream || header.before_bytes != part->have) return false;
            part->crc = crc32c(part->crc, body);
            part->have += header.body_bytes;
            if (!header.continues()) {
                if (part->have != part->total || part->crc != part->want) return false;
                part.reset();
            }
        }
        at += header.padded_bytes();
    }
    if (part && !(commit.flags & commit_continues)) part.reset();
    // Readers that come from the middle of a commit take a zero for padding, so torn padding is no
    // padding.
    const ByteView padding = bytes.subspan(commit.used, commit.bytes - commit.used);
    return commit.kind == CommitKind::footer ||
           std::all_of(padding.begin(), padding.end(), [](std::uint8_t byte) { return byte == 0; });
}

/// The frame of a batch holds, the batch does not: it was acknowledged, so its offsets are not
/// given again. Where it ends only its own header says, which is believed if it says so twice.
void take_lost(const FrameHeader& header, ByteView body, SegmentIndex& index) {
    const Result<BatchFields> fields = read_batch_fields(body);
    if (header.type != FrameType::append || !fields || fields->total_bytes != header.total_bytes)
        return;
    const std::int64_t records = load_big<std::int32_t>(body.data() + batch_header_bytes - 4);
    const bool sure = records - 1 == fields->last_offset_delta;
    const Offset end = sure ? fields->end_offset() : fields->base_offset + 1;
    index.on_log_end(header.stream, end);
    if (sure) index.lost.push_back({header.stream, fields->base_offset, end, body.size()});
}

/// A commit that does not hold, between others that do: it was durable once, so each of its frames
/// that proves itself counts. The salt keeps out whatever stood here in an earlier life.
void salvage(const Core& core, const SegmentHeader& segment, std::uint32_t position, ByteView bytes,
             std::uint64_t sequence, std::uint64_t age_ms, SegmentIndex& index,
             FrameReplay& replay) {
    replay.begin_commit(sequence, age_ms);
    for (std::size_t at = 0; at + frame_header_bytes <= bytes.size();) {
        const ByteView here = bytes.subspan(at);
        if (at % core.page == 0 && here.size() >= commit_header_bytes) {
            const auto commit = decode_commit_header(here, segment.salt);
            if (commit && commit->generation == segment.generation &&
                commit->sequence >= sequence) {
                replay.begin_commit(commit->sequence, commit->age_ms());
                at += commit_header_bytes;
                continue;
            }
        }
        const FrameHeader header = decode_frame_header(here.data());
        const bool whole = header.type != FrameType::more && !header.continues();
        const bool holds = header.known() && whole && header.plain() &&
                           header.padded_bytes() <= here.size() &&
                           frame_crc(segment.salt, here, header) == header.crc;
        if (!holds) {
            at += 8;
            continue;
        }
        const ByteView body = here.subspan(header.header_bytes, header.body_bytes);
        if (!header.holds_batch() || batch_crc_ok(body))
            (void)replay.on_frame(header, here, static_cast<std::uint32_t>(position + at));
        else
            take_lost(header, body, index);
        at += header.padded_bytes();
    }
}

}  // namespace

bool commit_holds(ByteView bytes, const CommitHeader& header, std::uint32_t salt,
                  bool ignore_checksums) {
    std::optional<OpenPart> part;
    return bytes.size() >= header.bytes &&
           (ignore_checksums || frames_hold(bytes, header, salt, part));
}

SegmentScan scan_segment(const Core& core, const SegmentHeader& segment, std::uint32_t limit,
                         const SegmentBytes& bytes_at, SegmentIndex& index) {
    SegmentScan scan;
    scan.next_sequence = segment.first_sequence;
    FrameReplay replay(index, segment.area);
    std::uint32_t run = segment.run;
    std::optional<OpenPart> part;
    const bool lax = core.faults.stale_accepted;

    // The commit at `position`, if it holds and may follow.
    const auto commit_at = [&](std::uint32_t position, bool exact,
                               std::optional<OpenPart>& parts) -> std::optional<CommitHeader> {
        const ByteView front = bytes_at(position, commit_header_bytes);
        if (front.size() < commit_header_bytes) return std::nullopt;
        const Result<CommitHeader> header = decode_commit_header(front, segment.salt);
        if (!header || header->position != position || header->bytes % core.page != 0 ||
            header->bytes > limit - position || header->bytes == 0)
            return std::nullopt;
        if (!lax && (header->generation != segment.generation || header->run < run ||
                     (exact ? header->sequence != scan.next_sequence
                            : header->sequence < scan.next_sequence)))
            return std::nullopt;
        // What an earlier run left torn here, and a torn write of this one may have made whole.
        if (segment.generation == core.super.void_generation && position >= core.super.void_from &&
            header->run < core.super.start_count)
            return std::nullopt;
        const ByteView whole = bytes_at(position, header->bytes);
        if (whole.size() < header->bytes) return std::nullopt;
        if (!core.faults.checksums_ignored && !frames_hold(whole, *header, segment.salt, parts))
            return std::nullopt;
        return *header;
    };

    std::uint32_t at = core.page;
    while (at < limit && limit - at >= core.page) {
        std::optional<OpenPart> parts = part;
        std::optional<CommitHeader> header = commit_at(at, true, parts);
        if (!header) {
            // The end, unless a later commit holds: then this is damage, or the unused room before
            // a footer.
            if (scan.last && scan.last->kind == CommitKind::seal &&
                scan.last->run == core.super.start_count)
                break;
            std::uint32_t later = at;
            do {
                later += core.page;
                if (later >= limit) break;
                parts.reset();
                header = commit_at(later, false, parts);
            } while (!header);
            if (!header) break;
            const bool gap =
                header->kind != CommitKind::footer || header->sequence != scan.next_sequence;
            if (gap) {
                ++scan.damaged_commits;
                const ByteView stretch = bytes_at(at, later - at);
                if (!lax && !core.faults.checksums_ignored && stretch.size() >= later - at)
                    salvage(core, segment, at, stretch.first(later - at), scan.next_sequence,
                            index.last_age_ms, index, replay);
            }
            if (header->kind != CommitKind::footer)
                at = later;
            else {
                scan.footer_position = later;
                scan.last = header;
                scan.next_sequence = header->sequence + 1;
                break;
            }
        }
        if (header->kind == CommitKind::footer) {
            scan.footer_position = at;
            scan.last = header;
            scan.next_sequence = header->sequence + 1;
            break;
        }
        part = parts;
        const ByteView bytes = bytes_at(at, header->bytes);
        replay.begin_commit(header->sequence, header->age_ms());
        std::size_t frame = commit_header_bytes;
        for (std::uint32_t i = 0; i < header->frames && frame + frame_header_bytes <= header->used;
             ++i) {
            const FrameHeader frame_header = decode_frame_header(bytes.data() + frame);
            if (frame_header.header_bytes < frame_header_bytes ||
                frame_header.padded_bytes() > header->used - frame)
                break;
            index.forbids_writing = index.forbids_writing || frame_header.forbids_writing();
            if (core.faults.moved_moves_end && frame_header.type == FrameType::moved) {
                FrameHeader forged = frame_header;
                forged.type = FrameType::append;
                (void)replay.on_frame(forged, bytes.subspan(frame),
                                      static_cast<std::uint32_t>(at + frame));
            } else {
                (void)replay.on_frame(frame_header, bytes.subspan(frame),
                                      static_cast<std::uint32_t>(at + frame));
            }
            frame += frame_header.padded_bytes();
        }
        run = std::max(run, header->run);
        scan.next_sequence = header->sequence + 1;
        scan.last = header;
        index.last_sequence = header->sequence;
        index.last_age_ms = header->age_ms();
        at += header->bytes;
    }
    scan.data_end = at;
    index.data_end = at;
    return scan;
}

}  // namespace leat::log
