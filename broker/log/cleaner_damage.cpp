// What the cleaner does where a source does not hold. It goes by the rules of a reader: a batch
// whose frame holds is stepped over, else the next frame that proves itself by its salted checksum
// is looked for, or the next commit header. What the footer lists and the walk did not find is lost:
// of a stream the offsets between two batches that hold, with damage between them.
//
// Once the sources are recycled nothing shows the damage any more, so the ledger has it first. What
// does not hold is read a second time, in another run: a bit may flip on the way as well.
#include <algorithm>

#include "broker/log/cleaner.hpp"

namespace leat::log {

/// Something of the source does not hold; `batch`: go on behind it.
Cleaner::Walked Cleaner::damaged() {
    if (!core_.segments[plan_[at_].segment].doubted) return Walked::doubt;
    ++walk_.damages;
    walk_.open = false;
    return Walked::batch;
}

Cleaner::Walked Cleaner::frame_damaged() {
    walk_.position += 8;
    walk_.resync = true;
    return damaged();
}

/// No commit that may come next stands here, but frames of it may hold, first of all what a batch
/// goes on with: its `more` says of which stream, and from where, and Kafka's checksum the rest.
Cleaner::Walked Cleaner::without_header() {
    const bool open = walk_.open;
    behind_lost_header();
    walk_.position += commit_header_bytes;
    const Walked at = damaged();
    walk_.first = walk_.open = open;
    return at;
}

/// Its frames are through. Where each holds, but they are not those that its header was made with,
/// they count all the same: what stands between good commits was durable once.
Cleaner::Walked Cleaner::end_of_commit() {
    const bool other = !walk_.headless && walk_.tie != walk_.commit_tie &&
                       walk_.damages == walk_.damages_before;
    walk_.position = walk_.commit_end;
    walk_.commit_end = 0;
    walk_.headless = walk_.resync = false;
    if (!other) return Walked::batch;
    const bool open = walk_.open;
    const Walked at = damaged();
    walk_.open = open;
    return at;
}

/// When the frames were written that come now is not known: like the newest of the segment, so that
/// nothing expires early.
void Cleaner::behind_lost_header() {
    const SegmentEntry& entry = core_.segments[plan_[at_].segment];
    walk_.commit_end = walk_.frames_end = entry.data_end;
    walk_.headless = walk_.resync = true;
    walk_.first = false;
    walk_.sequence = walk_.last_sequence + 1;
    walk_.age_ms = entry.last_age_ms;
}

/// Behind damage. `batch`: a frame that counts stands here; `end`: look again.
Cleaner::Walked Cleaner::between_frames() {
    const bool on_page = walk_.position % core_.page == 0;
    if (walk_.headless && on_page) {
        if (!have(commit_header_bytes)) return fetch();
        if (at_commit()) return Walked::end;
    }
    if (walk_.headless && !walk_.resync) {
        if (!have(1)) return fetch();
        if (block_.data()[walk_.position - block_from_] == 0) {  // padding
            walk_.resync = on_page;
            walk_.position = static_cast<std::uint32_t>(round_up(walk_.position, core_.page));
            return Walked::end;
        }
    }
    if (!walk_.resync) return Walked::batch;
    const std::uint32_t head = std::min(walk_.frames_end - walk_.position,
                                        std::uint32_t{moved_header_bytes + batch_header_bytes});
    if (head >= frame_header_bytes) {
        if (!have(head)) return fetch();
        walk_.resync = !proven({block_.data() + (walk_.position - block_from_), head});
    }
    if (!walk_.resync) return Walked::batch;
    walk_.position += 8;
    return Walked::end;
}

/// The checksum is seeded with the salt, so no payload looks like a frame.
bool Cleaner::proven(ByteView head) const {
    const FrameHeader frame = decode_frame_header(head.data());
    return frame.known() && frame.plain() &&
           frame.padded_bytes() <= walk_.frames_end - walk_.position &&
           frame.header_bytes + frame.covered_bytes() <= head.size() &&
           frame_crc(core_.segments[plan_[at_].segment].salt, head, frame) == frame.crc;
}

/// A batch of walk_.stream holds. What is missing in front of it is lost, if there is damage; of a
/// stream that is compacted only what has damage beside it.
void Cleaner::note_seen(const BatchFields& fields) {
    const auto want = expected_.find(walk_.stream);
    Range& seen = seen_[walk_.stream];
    const Offset from = seen.batches > 0           ? seen.end
                        : want != expected_.end() ? want->second.first
                                                  : fields.base_offset;
    note_gap(walk_.stream, from, fields.base_offset, seen);
    if (seen.first < 0) seen.first = fields.base_offset;
    seen.end = std::max(seen.end, fields.end_offset());
    seen.damages = walk_.damages;
    seen.bytes += fields.total_bytes;
    ++seen.batches;
}

void Cleaner::note_gap(StreamId id, Offset from, Offset to, const Range& seen) {
    const Stream* stream = core_.streams.find(id);
    if (from < to && stream != nullptr && (!stream->has_gaps || walk_.damages > seen.damages))
        lost_here_.push_back({id, from, to});
}

/// The source is walked to its end. `batch`: it can be done without: all that its footer lists was
/// seen, or is lost and known to be.
Cleaner::Walked Cleaner::settle_source() {
    const SegmentEntry& entry = core_.segments[plan_[at_].segment];
    if (walk_.damages == 0 && as_expected()) return Walked::batch;
    if (!entry.doubted) return Walked::doubt;
    for (const auto& [id, seen] : seen_)
        if (!expected_.contains(id)) return Walked::surprise;
    for (const auto& [id, want] : expected_) {
        const auto seen = seen_.find(id);
        if (!settle_lost(id, want, seen == seen_.end() ? Range{} : seen->second))
            return Walked::surprise;
    }
    lost_.insert(lost_.end(), lost_here_.begin(), lost_here_.end());
    follow_ordinals();
    return Walked::batch;
}

bool Cleaner::settle_lost(StreamId id, const Range& want, const Range& seen) {
    if (seen.batches > want.batches) return false;
    const bool all = seen.batches == want.batches;
    note_gap(id, seen.batches > 0 ? seen.end : want.first, want.end, seen);
    const auto mine = [id](const Lost& lost) { return lost.stream == id; };
    const Stream* stream = core_.streams.find(id);
    const bool wanted = stream != nullptr && want.end > stream->state.log_start;
    if (!wanted || (all && stream->has_gaps)) {  // compaction made those gaps
        std::erase_if(lost_here_, mine);
        return true;
    }
    const auto first = std::find_if(lost_here_.begin(), lost_here_.end(), mine);
    if (!all && first == lost_here_.end()) return false;
    if (first != lost_here_.end()) first->bytes = want.bytes - std::min(want.bytes, seen.bytes);
    // Something of it has to stand where its newest anchor leads.
    return stream->anchors.empty() || stream->anchors.back().segment != plan_[at_].segment ||
           moved_ends_.contains(id);
}

/// The copies count with the next checkpoint, and so does this.
void Cleaner::tell_lost(Instant now) {
    for (const Lost& lost : lost_) {
        const Stream* stream = core_.streams.find(lost.stream);
        if (stream == nullptr || !on_lost) continue;
        const Offset from = std::max(lost.from, stream->state.log_start);
        if (from < lost.to)
            on_lost(now, lost.stream, from, lost.to, from == lost.from ? lost.bytes : 0);
    }
}

}  // namespace leat::log
