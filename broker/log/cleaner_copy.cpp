// The cleaner's walk over the frames of one source. It takes nothing on trust: each commit in
// order, each batch by both of its checksums, and in the end as many as the footer says. What it
// does where something does not hold is in cleaner_damage.cpp.
#include <algorithm>

#include "broker/log/cleaner.hpp"

namespace leat::log {

Cleaner::Walked Cleaner::walk() {
    const std::uint32_t data_end = core_.segments[plan_[at_].segment].data_end;
    for (;;) {
        if (walk_.left > 0) {
            if (!have(1)) return fetch();
            const std::uint32_t at = walk_.position - block_from_;
            const std::uint32_t count = std::min(walk_.left, block_size_ - at);
            batch_.insert(batch_.end(), block_.data() + at, block_.data() + at + count);
            walk_.position += count;
            walk_.have += count;
            walk_.left -= count;
            if (walk_.left > 0) continue;
            walk_.position = walk_.frame_end;
            walk_.open = walk_.continues;
            if (walk_.open) continue;
            if (batch_whole()) return Walked::batch;
            if (damaged() == Walked::doubt) return Walked::doubt;
            continue;
        }
        if (walk_.commit_end != 0 && walk_.position >= walk_.frames_end &&
            end_of_commit() == Walked::doubt)
            return Walked::doubt;
        Walked at = Walked::batch;
        if (walk_.commit_end == 0) {
            if (walk_.position >= data_end) return Walked::end;
            if (!have(commit_header_bytes)) return fetch();
            if (!at_commit()) at = without_header();
        } else {
            if (walk_.headless || walk_.resync) at = between_frames();
            if (at == Walked::batch) at = at_frame();
        }
        if (at != Walked::batch && at != Walked::end) return at;
    }
}

/// The next commit stands here: its frames come next. false: it does not.
bool Cleaner::at_commit() {
    const Source& source = plan_[at_];
    const SegmentEntry& entry = core_.segments[source.segment];
    const Result<CommitHeader> commit = decode_commit_header(
        {block_.data() + (walk_.position - block_from_), commit_header_bytes}, entry.salt);
    if (!commit || commit->generation != source.generation || commit->position != walk_.position ||
        commit->bytes == 0 || commit->bytes % core_.page != 0 ||
        commit->bytes > entry.data_end - walk_.position || commit->used > commit->bytes ||
        (commit->kind != CommitKind::data && commit->kind != CommitKind::seal))
        return false;
    // Behind damage some are missing.
    const std::uint64_t next = walk_.last_sequence + 1;
    if (walk_.headless ? commit->sequence < next
                       : walk_.last_sequence != 0 && commit->sequence != next)
        return false;
    walk_.last_sequence = walk_.sequence = commit->sequence;
    walk_.age_ms = commit->age_ms();
    walk_.commit_end = walk_.position + commit->bytes;
    walk_.frames_end = walk_.position + commit->used;
    walk_.position += commit_header_bytes;
    walk_.commit_tie = commit->tie;
    walk_.tie = 0;
    walk_.damages_before = walk_.damages;
    walk_.first = true;
    walk_.headless = walk_.resync = false;
    return true;
}

/// Steps over a frame, or begins to copy its body; `batch`: go on.
Cleaner::Walked Cleaner::at_frame() {
    constexpr std::uint32_t checked_bytes = frame_header_bytes + batch_header_bytes;
    const SegmentEntry& entry = core_.segments[plan_[at_].segment];
    const std::uint32_t room = walk_.frames_end - walk_.position;
    if (room < frame_header_bytes) return frame_damaged();
    if (!have(frame_header_bytes)) return fetch();
    const std::uint8_t* at = block_.data() + (walk_.position - block_from_);
    const FrameHeader frame = decode_frame_header(at);
    if (frame.type == FrameType::padding || frame.header_bytes < frame_header_bytes ||
        frame.header_bytes % 8 != 0 || frame.padded_bytes() > room)
        return frame_damaged();
    const auto end = walk_.position + static_cast<std::uint32_t>(frame.padded_bytes());
    if (!frame.holds_batch()) {
        // A flipped bit of its type or length would step over its neighbours.
        const std::uint32_t covered = frame.header_bytes + frame.covered_bytes();
        if (covered > checked_bytes) {
            if (frame.known() && (!frame.plain() || frame.body_bytes != frame.total_bytes))
                return frame_damaged();
        } else if (!have(covered)) {
            return fetch();
        } else if (frame_crc(entry.salt, {at, covered}, frame) != frame.crc) {
            return frame_damaged();
        }
    }
    if (frame.type == FrameType::more && walk_.first && walk_.open &&
        frame.stream == walk_.stream && frame.before_bytes == walk_.have &&
        frame.body_bytes <= walk_.fields.total_bytes - walk_.have) {
        walk_.first = false;
        walk_.tie = tied(walk_.tie, frame.crc);
        walk_.continues = frame.continues();
        walk_.frame_end = end;
        walk_.left = frame.body_bytes;
        walk_.position += frame.header_bytes;
        return Walked::batch;
    }
    if (!frame.holds_batch()) {
        // A part that does not go on was never acknowledged.
        walk_.first = walk_.open = false;
        walk_.tie = tied(walk_.tie, frame.crc);
        walk_.position = end;
        return Walked::batch;
    }
    if (!frame.plain() || frame.body_bytes < batch_header_bytes) return frame_damaged();
    const std::uint32_t head = frame.header_bytes + batch_header_bytes;
    if (!have(head)) return fetch();
    if (frame_crc(entry.salt, {at, head}, frame) != frame.crc) return frame_damaged();
    const Result<BatchFields> fields =
        read_batch_fields({at + frame.header_bytes, batch_header_bytes});
    if ((frame.type == FrameType::moved && !entry.records) ||
        frame.total_bytes > core_.max_batch_bytes())
        return Walked::surprise;
    if (!fields || fields->total_bytes != frame.total_bytes ||
        frame.body_bytes > frame.total_bytes) {
        walk_.position = end;
        return damaged();
    }
    if (frame.type == FrameType::moved) {
        walk_.sequence = load_little<std::uint64_t>(at + 24);
        walk_.age_ms = load_little<std::uint64_t>(at + 32);
    }
    walk_.first = walk_.open = false;
    walk_.tie = tied(walk_.tie, frame.crc);
    walk_.fields = *fields;
    walk_.stream = frame.stream;
    walk_.have = 0;
    walk_.continues = frame.continues();
    walk_.frame_end = end;
    walk_.left = frame.body_bytes;
    walk_.position += frame.header_bytes;
    batch_.clear();
    batch_.reserve(frame.total_bytes);
    return Walked::batch;
}

/// A batch is in memory; false: it does not hold.
bool Cleaner::batch_whole() {
    const BatchFields& fields = walk_.fields;
    if (batch_.size() != fields.total_bytes || !batch_crc_ok(batch_)) return false;
    note_seen(fields);
    const Stream* stream = core_.streams.find(walk_.stream);
    const auto moved = moved_ends_.find(walk_.stream);
    // A second copy is in the ring only after damage; one is enough.
    walk_.live = stream != nullptr && fields.end_offset() > stream->state.log_start &&
                 fields.end_offset() <= stream->state.flushed &&
                 (moved == moved_ends_.end() || fields.base_offset >= moved->second);
    return true;
}

bool Cleaner::expect(const SegmentIndex& index, std::uint32_t segment) {
    expected_.clear();
    seen_.clear();
    lost_here_.clear();
    std::uint64_t live = 0, batches = 0;
    for (const auto& [id, here] : index.streams) {
        if (!here.holds_batches()) continue;
        expected_[id] = {here.first_offset, here.end_offset, here.batches, here.ordinal,
                         std::max(here.stream_max_timestamp, here.max_timestamp),
                         here.batch_bytes};
        const Stream* stream = core_.streams.find(id);
        if (stream == nullptr) continue;
        if (here.end_offset > stream->state.log_start) {
            live += here.moved_bytes();
            batches += here.batches;
        }
        if (here.ordinal != 0) continue;
        for (const Link& anchor : stream->anchors)  // survivors, or a footer that is lost
            if (anchor.segment == segment) expected_[id].ordinal = anchor.ordinal;
    }
    core_.segments[segment].set_live(live, batches, core_.segment_bytes);
    return movable(segment);
}

bool Cleaner::as_expected() const {
    return std::equal(expected_.begin(), expected_.end(), seen_.begin(), seen_.end(),
                      [](const auto& a, const auto& b) {
                          return a.first == b.first && a.second.first == b.second.first &&
                                 a.second.end == b.second.end &&
                                 a.second.batches == b.second.batches;
                      });
}

}  // namespace leat::log
