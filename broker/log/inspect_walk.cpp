#include "broker/log/inspect_walk.hpp"

#include <algorithm>
#include <set>

#include "sdk/base/crc32c.hpp"

namespace leat::log {

void InspectWalk::superblocks() {
    const std::uint32_t slot_bytes = core_->super.slot_bytes;
    std::optional<Superblock> newest;
    for (std::uint32_t slot = 0; slot < 2; ++slot) {
        const auto bytes = io_.read(std::uint64_t{slot} * slot_bytes, superblock_bytes);
        const Result<Superblock> super =
            bytes ? decode_superblock(*bytes) : Result<Superblock>(fail(Error::storage));
        slots_[slot].clear();
        if (bytes) slots_[slot].assign(bytes->begin(), bytes->end());
        if (!super) {
            seen_.damages.push_back({.where = {0, slot * slot_bytes},
                                     .damage = {.kind = Damage::Kind::superblock,
                                                .position = slot * slot_bytes,
                                                .bytes = superblock_bytes}});
        } else if (!newest || super->sequence > newest->sequence) {
            newest = *super;
        }
    }
    if (newest) out_->super = *newest;
}

bool InspectWalk::load(std::uint32_t segment) {
    segment_ = segment;
    entry_ = core_->segments[segment];
    walked_.emplace(segment, entry_.generation);
    part_.reset();
    hurt_.clear();
    batches_.clear();
    bytes_.assign(core_->segment_bytes, 0);
    const std::vector<std::size_t> lost =
        io_.read_what_holds(core_->address(segment, 0), bytes_);
    for (std::size_t i = 0, from = 0; i < lost.size(); ++i) {
        if (i + 1 < lost.size() && lost[i + 1] == lost[i] + 4 * KiB) continue;
        const std::size_t at = lost[from], size = lost[i] + 4 * KiB - at;
        from = i + 1;
        damage(Damage::Kind::unreadable, static_cast<std::uint32_t>(at),
               static_cast<std::uint32_t>(size));
    }
    const Result<SegmentHeader> header = decode_segment_header(ByteView(bytes_).first(512));
    if (header && core_->super.owns(header->log_id) && header->generation > entry_.generation)
        return false;
    if (!header || header->segment != segment || header->generation != entry_.generation ||
        header->salt != entry_.salt)
        damage(Damage::Kind::segment_header, 0, segment_header_bytes);
    if (visitor_ != nullptr) visitor_->on_segment(segment, entry_);
    return true;
}

/// Whether the broker beside us has taken the segment for something new.
bool InspectWalk::recycled(std::uint32_t segment) {
    const auto bytes = io_.read(core_->address(segment, 0), segment_header_bytes);
    const auto header =
        bytes ? decode_segment_header(*bytes) : Result<SegmentHeader>(fail(Error::storage));
    return header && header->generation > entry_.generation;
}

void InspectWalk::arrivals() {
    for (const std::uint32_t segment : core_->segments.ring()) {
        const std::size_t damages = seen_.damages.size();
        const InspectedCounts before = *out_;
        if (load(segment)) {
            one_of_ring();
            if (damages == seen_.damages.size() || !recycled(segment)) continue;
        }
        seen_.damages.resize(damages);
        static_cast<InspectedCounts&>(*out_) = before;
        out_->purposes.free += core_->segment_bytes;
        ++out_->segments_recycled_meanwhile;
    }
}

void InspectWalk::one_of_ring() {
    out_->purposes.segment_headers += core_->page;
    ++out_->segments_live;
    const std::uint32_t end = std::min(entry_.data_end, core_->segment_bytes);
    range(core_->page, end);
    // A start reads a segment anew whose footer does not hold, and then knows of none.
    const bool known = entry_.footer_position != 0;
    const Told told = known ? Told::was_whole : told_by_successor();
    // It may have been under way when it was read, and what told of it came behind it.
    if (!known && told == Told::was_whole)
        (void)io_.read_what_holds(core_->address(segment_, end),
                                  MutableBytes(bytes_).subspan(end));
    if (!known && told != Told::failed) entry_.footer_position = find_footer(end);
    if (entry_.footer_position != 0 && entry_.footer_position >= end) {
        out_->purposes.unused += entry_.footer_position - end;
        footer(told == Told::was_whole);
    } else {
        out_->purposes.unused += core_->segment_bytes - end;
    }
}

/// A footer that does not hold is damage where it was whole once; else a power cut tore it, or its
/// write failed, and the successor's first sequence follows the last commit at once. The run that
/// wrote the last commit here wrote the footer, too, if it went on behind it; where that may have
/// been in one write, it was whole if more came behind that write.
InspectWalk::Told InspectWalk::told_by_successor() {
    const auto& ring = core_->segments.ring();
    const auto next = std::upper_bound(
        ring.begin(), ring.end(), segment_,
        [this](std::uint32_t a, std::uint32_t b) { return core_->segments.before(a, b); });
    if (entry_.records || next == ring.end()) return Told::nothing;
    const auto bytes = io_.read(core_->address(*next, 0), segment_header_bytes);
    const auto header =
        bytes ? decode_segment_header(*bytes) : Result<SegmentHeader>(fail(Error::storage));
    if (!header || header->area != Area::arrivals || header->predecessor != segment_ ||
        header->predecessor_generation != entry_.generation)
        return Told::nothing;
    if (header->first_sequence == last_sequence_ + 1) return Told::failed;
    if (header->run != last_run_) return Told::nothing;
    if (*next != segment_ + 1) return Told::was_whole;
    std::uint32_t at = core_->page;
    for (int commits = 0; commits < 2; ++commits) {
        if (at > core_->segment_bytes - core_->page) return Told::nothing;
        const auto front = io_.read(core_->address(*next, at), commit_header_bytes);
        const auto commit = front ? decode_commit_header(*front, header->salt)
                                  : Result<CommitHeader>(fail(Error::storage));
        if (!commit || commit->generation != header->generation || commit->position != at ||
            commit->run != header->run || commit->bytes > core_->segment_bytes - at)
            return Told::nothing;
        at += commit->bytes;
    }
    return Told::was_whole;
}

void InspectWalk::checkpoint(const std::vector<CheckpointExtent>& extents) {
    std::set<std::uint32_t> known;
    for (const CheckpointExtent& extent : extents) {
        const std::size_t damages = seen_.damages.size();
        if (known.insert(extent.segment).second) {
            out_->purposes.segment_headers += core_->page;
            out_->purposes.unused += core_->segment_bytes - core_->page;
            ++out_->segments_live;
        }
        if (load(extent.segment)) {
            out_->purposes.unused -= extent.to - extent.from;
            range(extent.from, extent.to);
        }
        for (std::size_t i = damages; i < seen_.damages.size(); ++i)
            if (seen_.damages[i].damage.kind != Damage::Kind::segment_header)
                seen_.damages[i].damage.kind = Damage::Kind::checkpoint;
        if (damages < seen_.damages.size() && recycled(extent.segment))
            seen_.damages.resize(damages);
    }
    out_->segments_free = core_->segments.free_count();
    out_->purposes.free += std::uint64_t{out_->segments_free} * core_->segment_bytes;
}

std::optional<CommitHeader> InspectWalk::commit_at(std::uint32_t at, std::uint32_t limit) const {
    if (limit - at < commit_header_bytes) return std::nullopt;
    const auto header = decode_commit_header(ByteView(bytes_).subspan(at), entry_.salt);
    if (!header || header->position != at || header->generation != entry_.generation ||
        header->bytes == 0 || header->bytes % core_->page != 0 || header->bytes > limit - at ||
        header->used > header->bytes || header->used < commit_header_bytes)
        return std::nullopt;
    return *header;
}

std::optional<FrameHeader> InspectWalk::frame_at(std::uint32_t at, std::uint32_t limit) const {
    if (limit < at + frame_header_bytes) return std::nullopt;
    const FrameHeader header = decode_frame_header(bytes_.data() + at);
    if (header.type == FrameType::padding || static_cast<std::uint8_t>(header.type) >= 0x80 ||
        header.header_bytes < frame_header_bytes || header.padded_bytes() > limit - at ||
        frame_crc(entry_.salt, ByteView(bytes_).subspan(at), header) != header.crc)
        return std::nullopt;
    return header;
}

void InspectWalk::range(std::uint32_t from, std::uint32_t to) {
    for (std::uint32_t at = from; at < to && to - at >= core_->page;) {
        const auto commit = commit_at(at, to);
        if (commit) {
            ++out_->commits;
            out_->purposes.commit_headers += commit_header_bytes;
            last_sequence_ = commit->sequence;
            last_run_ = commit->run;
            if (visitor_ != nullptr) visitor_->on_commit(segment_, *commit);
            const std::size_t damages = seen_.damages.size();
            const std::uint32_t end = frames(at + commit_header_bytes, at + commit->used, &*commit);
            if (tie_ != commit->tie && damages == seen_.damages.size())
                damage(Damage::Kind::commit, at, commit_header_bytes);
            const ByteView padding = ByteView(bytes_).subspan(end, at + commit->bytes - end);
            const bool zeros = std::all_of(padding.begin(), padding.end(),
                                           [](std::uint8_t byte) { return byte == 0; });
            out_->purposes.padding += padding.size();
            if (!zeros) damage(Damage::Kind::commit, end, at + commit->bytes - end);
            if (!(commit->flags & commit_continues)) part_.reset();
            at += commit->bytes;
            continue;
        }
        // Its frames say for themselves whether they hold.
        damage(Damage::Kind::commit, at, commit_header_bytes);
        out_->purposes.damaged += commit_header_bytes;
        const std::uint32_t end = frames(at + commit_header_bytes, to, nullptr);
        const auto next = static_cast<std::uint32_t>(round_up(end, core_->page));
        out_->purposes.padding += std::min(next, to) - end;
        at = next;
    }
}

/// Walks frames; without a commit header until padding or the next commit. Returns where they end.
std::uint32_t InspectWalk::frames(std::uint32_t at, std::uint32_t limit,
                                  const CommitHeader* commit) {
    bool first = true;
    tie_ = 0;
    while (at < limit) {
        if (commit == nullptr && at % core_->page == 0 && commit_at(at, limit)) return at;
        if (const auto header = frame_at(at, limit)) {
            ++out_->frames;
            tie_ = tied(tie_, header->crc);
            const ByteView body =
                ByteView(bytes_).subspan(at + header->header_bytes, header->body_bytes);
            const std::uint64_t padded = header->padded_bytes();
            out_->purposes.frame_headers += header->header_bytes;
            out_->purposes.padding += padded - header->header_bytes - header->body_bytes;
            frame(at, *header, body, first);
            at += static_cast<std::uint32_t>(padded);
            first = false;
            continue;
        }
        if (commit == nullptr && bytes_[at] == 0) return at;
        // The next frame whose checksum holds: they are seeded, so nothing else looks like one.
        std::uint32_t next = at + 8;
        while (next < limit && !frame_at(next, limit) &&
               !(commit == nullptr && next % core_->page == 0 && commit_at(next, limit)))
            next += 8;
        next = std::min(next, limit);
        damage(Damage::Kind::frame, at, next - at);
        out_->purposes.damaged += next - at;
        part_.reset();
        at = next;
        first = false;
    }
    return at;
}

void InspectWalk::frame(std::uint32_t at, const FrameHeader& header, ByteView body, bool first) {
    InspectedFrame inspected{segment_, at, header, body, std::nullopt, false};
    Inspection::Purposes& purposes = out_->purposes;
    bool wanted_here = false;
    if (header.holds_batch()) {
        if (!header.continues()) ++batches_[header.stream];
        const Result<BatchFields> fields = read_batch_fields(body);
        if (!fields && body.size() >= batch_header_bytes && body[16] == 2) {
            batch_hurt(header.stream, load_big<std::int64_t>(body.data()), at, header.total_bytes);
        } else if (!fields || fields->total_bytes != header.total_bytes) {
            damage(Damage::Kind::batch, at, header.body_bytes);
        } else {
            inspected.batch = *fields;
            inspected.wanted = wanted_here = wanted(header.stream, fields->end_offset());
            const std::uint32_t crc = crc32c(0, body.subspan(outside_kafka_crc));
            if (header.continues())
                part_ =
                    Part{header.stream, *fields, crc, header.body_bytes, header.total_bytes, at};
            else
                batch_whole(header.stream, *fields, at, crc == fields->crc);
        }
    } else if (header.type == FrameType::more) {
        if (part_ && first && header.stream == part_->stream &&
            header.before_bytes == part_->have) {
            wanted_here = wanted(header.stream, part_->fields.end_offset());
            part_->crc = crc32c(part_->crc, body);
            part_->have += header.body_bytes;
            if (!header.continues()) {
                const Part part = *part_;
                part_.reset();
                batch_whole(part.stream, part.fields, part.position,
                            part.have == part.total && part.crc == part.fields.crc);
            }
        }
    } else if (header.type == FrameType::log_end && body.size() == 8) {
        auto& pieces = seen_.pieces[header.stream];  // a raised end: the gap is no hole
        const Offset end = load_little<std::int64_t>(body.data());
        const Offset from = pieces.empty() ? 0 : pieces.back().to;
        if (end > from) pieces.push_back({from, end, {entry_.place, at}, {entry_.place, at}});
    }
    const auto code = static_cast<std::uint8_t>(header.type);
    if (header.holds_batch() || header.type == FrameType::more)
        (wanted_here ? purposes.batches : purposes.batches_freed) += body.size();
    else if (entry_.area == Area::survivors && !entry_.records)
        purposes.checkpoint += body.size();
    else if (code >= 16 && code < 32)
        purposes.footers += body.size();
    else if (header.type == FrameType::fact || header.type == FrameType::fact_erased)
        purposes.facts += body.size();
    else
        purposes.log_starts += body.size();
    if (visitor_ != nullptr) visitor_->on_frame(inspected);
}

void InspectWalk::batch_whole(StreamId stream, const BatchFields& fields, std::uint32_t at,
                              bool good) {
    if (!good) return batch_hurt(stream, fields.base_offset, at, fields.total_bytes);
    for (const std::size_t one : hurt_) {
        Damage& hurt = seen_.damages[one].damage;
        if (hurt.stream == stream && hurt.from < fields.base_offset)
            hurt.to = std::min(hurt.to, fields.base_offset);
    }
    if (!wanted(stream, fields.end_offset())) return;
    Inspection::Stream& total = out_->streams[stream];
    ++total.batches;
    total.records += static_cast<std::uint64_t>(fields.last_offset_delta) + 1;
    total.bytes += fields.total_bytes;
    auto& pieces = seen_.pieces[stream];
    const Where where{entry_.place, at};
    if (!pieces.empty() && pieces.back().to == fields.base_offset) {
        pieces.back().to = fields.end_offset();
        pieces.back().last = where;
    } else {
        pieces.push_back({fields.base_offset, fields.end_offset(), where, where});
    }
}

/// Where it begins stands outside Kafka's checksum, in the frame's; where it ends does not: that is
/// where the next one begins, or what judge() finds.
void InspectWalk::batch_hurt(StreamId stream, Offset base, std::uint32_t at, std::uint32_t bytes) {
    if (core_->streams.find(stream) == nullptr || base < 0) return;
    hurt_.push_back(seen_.damages.size());
    damage(Damage::Kind::batch, at, bytes, stream, base, INT64_MAX);
}

/// By its first bytes or by its last; 0: none was ever written whole.
std::uint32_t InspectWalk::find_footer(std::uint32_t from) const {
    const auto trailer = decode_trailer(ByteView(bytes_).last(footer_trailer_bytes),
                                        entry_.generation, entry_.salt, core_->segment_bytes);
    if (trailer && trailer->position % core_->page == 0 && trailer->position >= from)
        return trailer->position;
    for (std::uint32_t at = from; at < core_->segment_bytes; at += core_->page) {
        const auto commit = commit_at(at, core_->segment_bytes);
        if (commit && commit->kind == CommitKind::footer) return at;
    }
    return 0;
}

void InspectWalk::footer(bool was_whole) {
    const std::uint32_t at = entry_.footer_position;
    const ByteView bytes = ByteView(bytes_).subspan(at);
    const auto commit = commit_at(at, core_->segment_bytes);
    const auto trailer = decode_trailer(ByteView(bytes_).last(footer_trailer_bytes),
                                        entry_.generation, entry_.salt, core_->segment_bytes);
    const bool tied = commit && trailer && trailer->position == at && trailer->tie == commit->tie &&
                      commit_holds(bytes, *commit, entry_.salt, false);
    const auto index = tied ? decode_footer(bytes, entry_.generation, entry_.salt)
                            : Result<SegmentIndex>(fail(Error::corrupt));
    if (!index) {
        if (was_whole) damage(Damage::Kind::footer, at, core_->segment_bytes - at);
        (was_whole ? out_->purposes.damaged : out_->purposes.unused) += core_->segment_bytes - at;
        return;
    }
    note_held(*index);
    ++out_->commits;
    out_->purposes.footers += core_->segment_bytes - at;
    if (visitor_ != nullptr) visitor_->on_commit(segment_, *commit);
}

/// Which gaps of its streams the damage in this segment may explain.
void InspectWalk::note_held(const SegmentIndex& index) {
    const auto here = [this](const Inspected::Hurt& hurt) {
        return hurt.damage.segment == segment_ && hurt.generation == entry_.generation;
    };
    if (std::none_of(seen_.damages.begin(), seen_.damages.end(), here)) return;
    auto& held = seen_.held[{segment_, entry_.generation}];
    for (const auto& [id, told] : index.streams) {
        if (!told.holds_batches()) continue;
        const auto found = batches_.find(id);
        const std::uint32_t batches = found == batches_.end() ? 0 : found->second;
        // In arrivals nothing is left out between two batches of one segment.
        held[id] = {told.first_offset, told.end_offset, entry_.records && batches >= told.batches};
    }
}

}  // namespace leat::log
