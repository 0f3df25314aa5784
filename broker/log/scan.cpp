#include "broker/log/scan.hpp"

#include <algorithm>

#include "broker/log/mend.hpp"
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
    std::uint32_t tie = 0;
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
        tie = tied(tie, header.crc);
    }
    if (tie != commit.tie) return false;  // frames of another commit at this place
    if (part && !(commit.flags & commit_continues)) part.reset();
    // Readers that come from the middle of a commit take a zero for padding, so torn padding is no
    // padding.
    const ByteView padding = bytes.subspan(commit.used, commit.bytes - commit.used);
    return commit.kind == CommitKind::footer ||
           std::all_of(padding.begin(), padding.end(), [](std::uint8_t byte) { return byte == 0; });
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

    enum class Sequence : std::uint8_t { next, any_later };
    const auto may_follow = [&](const CommitHeader& header, std::uint32_t position,
                                Sequence order) {
        if (header.position != position || header.bytes % core.page != 0 ||
            header.bytes > limit - position || header.bytes == 0)
            return false;
        if (!lax && (header.generation != segment.generation || header.run < run ||
                     (order == Sequence::next ? header.sequence != scan.next_sequence
                                              : header.sequence < scan.next_sequence)))
            return false;
        // What an earlier run left torn here, and a torn write of this one may have made whole.
        return !core.is_void(header);
    };
    // The commit at `position`, if it holds and may follow.
    const auto commit_at = [&](std::uint32_t position, Sequence order,
                               std::optional<OpenPart>& parts) -> std::optional<CommitHeader> {
        const ByteView front = bytes_at(position, commit_header_bytes);
        if (front.size() < commit_header_bytes) return std::nullopt;
        const Result<CommitHeader> header = decode_commit_header(front, segment.salt);
        if (!header || !may_follow(*header, position, order)) return std::nullopt;
        const ByteView whole = bytes_at(position, header->bytes);
        if (whole.size() < header->bytes) return std::nullopt;
        if (!core.faults.checksums_ignored && !frames_hold(whole, *header, segment.salt, parts))
            return std::nullopt;
        return *header;
    };
    // The same of one that lost a bit: it was whole once, so it was acknowledged, perhaps.
    const auto mended_at = [&](std::uint32_t position,
                               std::optional<OpenPart>& parts) -> std::optional<CommitHeader> {
        const ByteView front = bytes_at(position, commit_header_bytes);
        if (front.size() < commit_header_bytes || lax || core.faults.checksums_ignored)
            return std::nullopt;
        std::uint8_t head[commit_header_bytes];
        copy_bytes(front.first(commit_header_bytes), head);
        const Result<CommitHeader> header = mend_commit_header(head, segment.salt);
        if (!header || header->kind == CommitKind::footer ||
            !may_follow(*header, position, Sequence::next))
            return std::nullopt;
        const ByteView whole = bytes_at(position, header->bytes);
        if (whole.size() < header->bytes) return std::nullopt;
        std::vector<std::uint8_t> copy(whole.begin(), whole.begin() + header->bytes);
        if (!mend_commit(copy, segment.salt, Mend::heads) ||
            !frames_hold(copy, *header, segment.salt, parts))
            return std::nullopt;
        return *header;
    };

    const auto take = [&](const CommitHeader& header, std::uint32_t& position) {
        run = std::max(run, header.run);
        scan.next_sequence = header.sequence + 1;
        scan.last = header;
        index.last_sequence = header.sequence;
        index.last_age_ms = header.age_ms();
        position += header.bytes;
    };

    std::uint32_t at = core.page;
    while (at < limit && limit - at >= core.page) {
        std::optional<OpenPart> parts = part;
        std::optional<CommitHeader> header = commit_at(at, Sequence::next, parts);
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
                header = commit_at(later, Sequence::any_later, parts);
            } while (!header);
            if (!header) {
                parts = part;
                header = mended_at(at, parts);
                if (!header) break;
                ++scan.damaged_commits;
                salvage(core, segment, at, bytes_at(at, header->bytes).first(header->bytes),
                        scan.next_sequence, index.last_age_ms, index, replay);
                part = parts;
                take(*header, at);
                continue;
            }
            const bool gap =
                header->kind != CommitKind::footer || header->sequence != scan.next_sequence;
            if (gap) ++scan.damaged_commits;
            // What is missing in front of a footer that footer tells; and what stands behind the
            // end that it tells of may be what a power cut tore.
            Result<SegmentIndex> told = fail(Error::not_found);
            if (gap && header->kind == CommitKind::footer && !lax)
                told = decode_footer(bytes_at(later, header->bytes).first(header->bytes),
                                     segment.generation, segment.salt);
            if (told && told->data_end >= at && told->data_end <= later) {
                told->lost.swap(index.lost);
                index = std::move(*told);
                at = index.data_end;
            } else if (gap) {
                const ByteView stretch = bytes_at(at, later - at);
                if (!lax && !core.faults.checksums_ignored && stretch.size() >= later - at)
                    salvage(core, segment, at, stretch.first(later - at), scan.next_sequence,
                            index.last_age_ms, index, replay);
            }
            if (header->kind != CommitKind::footer)
                at = later;
            else {
                scan.footer_position = later;
                scan.footer_is_next = !gap;
                scan.last = header;
                scan.next_sequence = header->sequence + 1;
                break;
            }
        }
        if (header->kind == CommitKind::footer) {
            scan.footer_position = at;
            scan.footer_is_next = true;
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
        take(*header, at);
    }
    // In front of a valid end nothing was torn: the last commit is damage as any other.
    if (limit < core.segment_bytes && at < limit && scan.footer_position == 0) {
        ++scan.damaged_commits;
        const ByteView stretch = bytes_at(at, limit - at);
        if (!lax && !core.faults.checksums_ignored && stretch.size() >= limit - at)
            salvage(core, segment, at, stretch.first(limit - at), scan.next_sequence,
                    index.last_age_ms, index, replay);
        at = limit;
    }
    scan.data_end = at;
    index.data_end = at;
    return scan;
}

}  // namespace leat::log
