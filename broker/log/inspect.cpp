#include "broker/log/inspect.hpp"

#include <algorithm>
#include <tuple>

#include "broker/log/ledger.hpp"
#include "broker/log/recovery.hpp"
#include "sdk/base/crc32c.hpp"

namespace leat::log {

namespace {

/// The device as it is, with what is written kept in RAM.
class UnchangedDevice final : public port::Storage {
public:
    explicit UnchangedDevice(port::Storage& device) : device_(device) {}
    port::StorageGeometry geometry() const override { return device_.geometry(); }
    Status start_write(std::uint64_t ticket, std::uint64_t at,
                       std::span<const std::uint8_t> bytes) override {
        written_.insert_or_assign(at, std::vector<std::uint8_t>(bytes.begin(), bytes.end()));
        done_.push_back({ticket, ok()});
        return ok();
    }
    Status start_read(std::uint64_t ticket, std::uint64_t at,
                      std::span<std::uint8_t> into) override {
        const Status started = device_.start_read(ticket, at, into);
        if (started) reads_.insert_or_assign(ticket, std::pair{at, into});
        return started;
    }
    Status start_erase(std::uint64_t ticket, std::uint64_t, std::uint64_t) override {
        done_.push_back({ticket, ok()});
        return ok();
    }
    std::optional<port::StorageDone> poll_done() override {
        if (!done_.empty()) {
            const port::StorageDone done = done_.front();
            done_.pop_front();
            return done;
        }
        const auto done = device_.poll_done();
        if (!done) return done;
        if (const auto read = reads_.extract(done->ticket)) patch(read.mapped());
        return done;
    }
    void wait_done() override {
        if (done_.empty()) device_.wait_done();
    }

private:
    void patch(const std::pair<std::uint64_t, std::span<std::uint8_t>>& read) const {
        for (const auto& [at, bytes] : written_) {
            const std::uint64_t from = std::max(at, read.first);
            const std::uint64_t to =
                std::min<std::uint64_t>(at + bytes.size(), read.first + read.second.size());
            if (from < to)
                copy_bytes(ByteView(bytes).subspan(from - at, to - from),
                           read.second.subspan(from - read.first, to - from));
        }
    }
    port::Storage& device_;
    std::map<std::uint64_t, std::vector<std::uint8_t>> written_;
    std::map<std::uint64_t, std::pair<std::uint64_t, std::span<std::uint8_t>>> reads_;
    std::deque<port::StorageDone> done_;
};

struct NoEntropy final : port::Entropy {
    Status fill(std::span<std::uint8_t> bytes) override {
        std::fill(bytes.begin(), bytes.end(), std::uint8_t{1});
        return ok();
    }
};

Result<StreamBook> book_of(const Core& core, StreamId id) {
    std::uint8_t key[4];
    store_big<std::uint32_t>(key, id);
    const Fact* fact = core.facts.find(Facts::key_of(ledger_fact_kind, key));
    if (fact == nullptr) return fail(Error::not_found);
    return StreamBook::decode(bytes_of(fact->value));
}

/// Where in the log something stands: the segment's place in its area, then the position.
using Where = std::pair<std::uint64_t, std::uint32_t>;

class Walk {
public:
    Walk(Core& core, Inspection& out, InspectVisitor* visitor)
        : core_(core), out_(out), visitor_(visitor), io_(core) {}

    void superblocks();
    void arrivals();
    void checkpoint(const std::vector<CheckpointExtent>& extents);
    void holes();

private:
    struct Piece {  // offsets of one stream that were seen, and between what they stood
        Offset from, to;
        Where first, last;
    };
    struct Part {  // a batch that goes on in the next commit
        StreamId stream;
        BatchFields fields;
        std::uint32_t crc, have, total, position;
    };
    bool load(std::uint32_t segment);
    bool recycled(std::uint32_t segment);
    bool closed_without_footer();
    void range(std::uint32_t from, std::uint32_t to);
    std::uint32_t frames(std::uint32_t at, std::uint32_t limit, const CommitHeader* commit);
    void frame(std::uint32_t at, const FrameHeader& header, ByteView body, bool first);
    void batch_whole(StreamId stream, const BatchFields& fields, std::uint32_t at, bool good);
    void footer();
    std::uint32_t find_footer(std::uint32_t from) const;
    std::optional<CommitHeader> commit_at(std::uint32_t at, std::uint32_t limit) const;
    std::optional<FrameHeader> frame_at(std::uint32_t at, std::uint32_t limit) const;
    bool wanted(StreamId id, Offset end) const {
        const Stream* stream = core_.streams.find(id);
        return stream != nullptr && end > stream->state.log_start;
    }
    void damage(Damage::Kind kind, std::uint32_t at, std::uint32_t bytes, StreamId stream = 0,
                Offset from = -1, Offset to = -1) {
        found_.push_back({{entry_.place, at}, {kind, segment_, at, bytes, stream, from, to}});
    }

    Core& core_;
    Inspection& out_;
    InspectVisitor* visitor_;
    WaitingStorage io_;
    std::uint32_t segment_ = 0;
    SegmentEntry entry_;
    std::vector<std::uint8_t> bytes_;
    std::optional<Part> part_;
    std::uint64_t last_sequence_ = 0;  ///< of the commits that hold
    std::map<StreamId, std::vector<Piece>> seen_;
    std::vector<std::pair<Where, Damage>> found_;
};

void Walk::superblocks() {
    const std::uint32_t slot_bytes = core_.super.slot_bytes;
    std::optional<Superblock> newest;
    for (std::uint32_t slot = 0; slot < 2; ++slot) {
        const auto bytes = io_.read(std::uint64_t{slot} * slot_bytes, superblock_bytes);
        const Result<Superblock> super =
            bytes ? decode_superblock(*bytes) : Result<Superblock>(fail(Error::storage));
        if (!super) {
            found_.push_back({{0, slot * slot_bytes},
                              {.kind = Damage::Kind::superblock,
                               .position = slot * slot_bytes,
                               .bytes = superblock_bytes}});
        } else if (!newest || super->sequence > newest->sequence) {
            newest = *super;
        }
    }
    if (newest) out_.super = *newest;
}

bool Walk::load(std::uint32_t segment) {
    segment_ = segment;
    entry_ = core_.segments[segment];
    part_.reset();
    bytes_.assign(core_.segment_bytes, 0);
    constexpr std::uint32_t piece = 256 * KiB;
    for (std::uint32_t at = 0; at < core_.segment_bytes; at += piece) {
        const std::uint32_t size = std::min(piece, core_.segment_bytes - at);
        const auto bytes = io_.read(core_.address(segment, at), size);
        if (bytes)
            copy_bytes(*bytes, MutableBytes(bytes_).subspan(at));
        else
            damage(Damage::Kind::unreadable, at, size);
    }
    const Result<SegmentHeader> header = decode_segment_header(ByteView(bytes_).first(512));
    if (header && core_.super.owns(header->log_id) && header->generation > entry_.generation)
        return false;
    if (!header || header->segment != segment || header->generation != entry_.generation ||
        header->salt != entry_.salt)
        damage(Damage::Kind::segment_header, 0, segment_header_bytes);
    if (visitor_ != nullptr) visitor_->on_segment(segment, entry_);
    return true;
}

/// Whether the broker beside us has taken the segment for something new.
bool Walk::recycled(std::uint32_t segment) {
    const auto bytes = io_.read(core_.address(segment, 0), segment_header_bytes);
    const auto header = bytes ? decode_segment_header(*bytes)
                              : Result<SegmentHeader>(fail(Error::storage));
    return header && header->generation > entry_.generation;
}

void Walk::arrivals() {
    for (const std::uint32_t segment : core_.segments.ring()) {
        const std::size_t damages = found_.size();
        if (load(segment)) {
            out_.purposes.segment_headers += core_.page;
            ++out_.segments_live;
            const std::uint32_t end = std::min(entry_.data_end, core_.segment_bytes);
            range(core_.page, end);
            // A start reads a segment anew whose footer does not hold, and then knows of none.
            if (entry_.footer_position == 0 && !closed_without_footer())
                entry_.footer_position = find_footer(end);
            if (entry_.footer_position != 0 && entry_.footer_position >= end) {
                out_.purposes.unused += entry_.footer_position - end;
                footer();
            } else {
                out_.purposes.unused += core_.segment_bytes - end;
            }
            if (damages == found_.size() || !recycled(segment)) continue;
        }
        found_.resize(damages);
        ++out_.segments_recycled_meanwhile;
    }
}

/// The write of its footer failed, so it has none, whatever stands there: the successor's first
/// sequence follows the last commit at once.
bool Walk::closed_without_footer() {
    const auto& ring = core_.segments.ring();
    const auto next = std::upper_bound(
        ring.begin(), ring.end(), segment_,
        [this](std::uint32_t a, std::uint32_t b) { return core_.segments.before(a, b); });
    if (entry_.records || next == ring.end()) return false;
    const auto bytes = io_.read(core_.address(*next, 0), segment_header_bytes);
    const auto header =
        bytes ? decode_segment_header(*bytes) : Result<SegmentHeader>(fail(Error::storage));
    return header && header->area == Area::arrivals && header->predecessor == segment_ &&
           header->predecessor_generation == entry_.generation &&
           header->first_sequence == last_sequence_ + 1;
}

void Walk::checkpoint(const std::vector<CheckpointExtent>& extents) {
    std::set<std::uint32_t> known;
    for (const CheckpointExtent& extent : extents) {
        const std::size_t damages = found_.size();
        if (known.insert(extent.segment).second) {
            out_.purposes.segment_headers += core_.page;
            out_.purposes.unused += core_.segment_bytes - core_.page;
            ++out_.segments_live;
        }
        if (load(extent.segment)) {
            out_.purposes.unused -= extent.to - extent.from;
            range(extent.from, extent.to);
        }
        for (std::size_t i = damages; i < found_.size(); ++i)
            if (found_[i].second.kind != Damage::Kind::segment_header)
                found_[i].second.kind = Damage::Kind::checkpoint;
        if (damages < found_.size() && recycled(extent.segment)) found_.resize(damages);
    }
    out_.segments_free = core_.segments.free_count();
    out_.purposes.free = std::uint64_t{out_.segments_free} * core_.segment_bytes;
}

std::optional<CommitHeader> Walk::commit_at(std::uint32_t at, std::uint32_t limit) const {
    if (limit - at < commit_header_bytes) return std::nullopt;
    const auto header = decode_commit_header(ByteView(bytes_).subspan(at), entry_.salt);
    if (!header || header->position != at || header->generation != entry_.generation ||
        header->bytes == 0 || header->bytes % core_.page != 0 || header->bytes > limit - at ||
        header->used > header->bytes || header->used < commit_header_bytes)
        return std::nullopt;
    return *header;
}

std::optional<FrameHeader> Walk::frame_at(std::uint32_t at, std::uint32_t limit) const {
    if (limit < at + frame_header_bytes) return std::nullopt;
    const FrameHeader header = decode_frame_header(bytes_.data() + at);
    if (header.type == FrameType::padding || static_cast<std::uint8_t>(header.type) >= 0x80 ||
        header.header_bytes < frame_header_bytes || header.padded_bytes() > limit - at ||
        frame_crc(entry_.salt, ByteView(bytes_).subspan(at), header) != header.crc)
        return std::nullopt;
    return header;
}

void Walk::range(std::uint32_t from, std::uint32_t to) {
    for (std::uint32_t at = from; at < to && to - at >= core_.page;) {
        const auto commit = commit_at(at, to);
        if (commit) {
            ++out_.commits;
            out_.purposes.commit_headers += commit_header_bytes;
            last_sequence_ = commit->sequence;
            if (visitor_ != nullptr) visitor_->on_commit(segment_, *commit);
            const std::uint32_t end = frames(at + commit_header_bytes, at + commit->used, &*commit);
            const ByteView padding = ByteView(bytes_).subspan(end, at + commit->bytes - end);
            const bool zeros = std::all_of(padding.begin(), padding.end(),
                                           [](std::uint8_t byte) { return byte == 0; });
            out_.purposes.padding += padding.size();
            if (!zeros) damage(Damage::Kind::commit, end, at + commit->bytes - end);
            if (!(commit->flags & commit_continues)) part_.reset();
            at += commit->bytes;
            continue;
        }
        // Its frames say for themselves whether they hold.
        damage(Damage::Kind::commit, at, commit_header_bytes);
        out_.purposes.damaged += commit_header_bytes;
        const std::uint32_t end = frames(at + commit_header_bytes, to, nullptr);
        const auto next = static_cast<std::uint32_t>(round_up(end, core_.page));
        out_.purposes.padding += std::min(next, to) - end;
        at = next;
    }
}

/// Walks frames; without a commit header until padding or the next commit. Returns where they end.
std::uint32_t Walk::frames(std::uint32_t at, std::uint32_t limit, const CommitHeader* commit) {
    bool first = true;
    while (at < limit) {
        if (commit == nullptr && at % core_.page == 0 && commit_at(at, limit)) return at;
        if (const auto header = frame_at(at, limit)) {
            ++out_.frames;
            const ByteView body =
                ByteView(bytes_).subspan(at + header->header_bytes, header->body_bytes);
            const std::uint64_t padded = header->padded_bytes();
            out_.purposes.frame_headers += header->header_bytes;
            out_.purposes.padding += padded - header->header_bytes - header->body_bytes;
            frame(at, *header, body, first);
            at += static_cast<std::uint32_t>(padded);
            first = false;
            continue;
        }
        if (commit == nullptr && bytes_[at] == 0) return at;
        // The next frame whose checksum holds: they are seeded, so nothing else looks like one.
        std::uint32_t next = at + 8;
        while (next < limit && !frame_at(next, limit) &&
               !(commit == nullptr && next % core_.page == 0 && commit_at(next, limit)))
            next += 8;
        next = std::min(next, limit);
        damage(Damage::Kind::frame, at, next - at);
        out_.purposes.damaged += next - at;
        part_.reset();
        at = next;
        first = false;
    }
    return at;
}

void Walk::frame(std::uint32_t at, const FrameHeader& header, ByteView body, bool first) {
    InspectedFrame inspected{segment_, at, header, body, std::nullopt, false};
    Inspection::Purposes& purposes = out_.purposes;
    bool wanted_here = false;
    if (header.holds_batch()) {
        const Result<BatchFields> fields = read_batch_fields(body);
        if (!fields || fields->total_bytes != header.total_bytes) {
            damage(Damage::Kind::batch, at, header.body_bytes);
        } else {
            inspected.batch = *fields;
            inspected.wanted = wanted_here = wanted(header.stream, fields->end_offset());
            const std::uint32_t crc = crc32c(0, body.subspan(outside_kafka_crc));
            if (header.continues())
                part_ = Part{header.stream, *fields, crc, header.body_bytes, header.total_bytes, at};
            else
                batch_whole(header.stream, *fields, at, crc == fields->crc);
        }
    } else if (header.type == FrameType::more) {
        if (part_ && first && header.stream == part_->stream && header.before_bytes == part_->have) {
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
        auto& pieces = seen_[header.stream];  // a raised end: the gap is no hole
        const Offset end = load_little<std::int64_t>(body.data());
        const Offset from = pieces.empty() ? 0 : pieces.back().to;
        if (end > from) pieces.push_back({from, end, {entry_.place, at}, {entry_.place, at}});
    }
    const auto code = static_cast<std::uint8_t>(header.type);
    if (header.holds_batch() || header.type == FrameType::more)
        (wanted_here ? purposes.batches : purposes.batches_freed) += body.size();
    else if (entry_.area == Area::survivors)
        purposes.checkpoint += body.size();
    else if (code >= 16 && code < 32)
        purposes.footers += body.size();
    else if (header.type == FrameType::fact || header.type == FrameType::fact_erased)
        purposes.facts += body.size();
    else
        purposes.log_starts += body.size();
    if (visitor_ != nullptr) visitor_->on_frame(inspected);
}

void Walk::batch_whole(StreamId stream, const BatchFields& fields, std::uint32_t at, bool good) {
    if (!wanted(stream, fields.end_offset())) return;
    if (!good) {
        damage(Damage::Kind::batch, at, fields.total_bytes, stream, fields.base_offset,
               fields.end_offset());
        return;
    }
    Inspection::Stream& total = out_.streams[stream];
    ++total.batches;
    total.records += static_cast<std::uint64_t>(fields.last_offset_delta) + 1;
    total.bytes += fields.total_bytes;
    auto& pieces = seen_[stream];
    const Where where{entry_.place, at};
    if (!pieces.empty() && pieces.back().to == fields.base_offset) {
        pieces.back().to = fields.end_offset();
        pieces.back().last = where;
    } else {
        pieces.push_back({fields.base_offset, fields.end_offset(), where, where});
    }
}

/// By its first bytes or by its last; 0: none was ever written whole.
std::uint32_t Walk::find_footer(std::uint32_t from) const {
    const auto trailer = decode_trailer(ByteView(bytes_).last(footer_trailer_bytes),
                                        entry_.generation, entry_.salt, core_.segment_bytes);
    if (trailer && trailer->position % core_.page == 0 && trailer->position >= from)
        return trailer->position;
    for (std::uint32_t at = from; at < core_.segment_bytes; at += core_.page) {
        const auto commit = commit_at(at, core_.segment_bytes);
        if (commit && commit->kind == CommitKind::footer) return at;
    }
    return 0;
}

void Walk::footer() {
    const std::uint32_t at = entry_.footer_position;
    const ByteView bytes = ByteView(bytes_).subspan(at);
    const auto commit = commit_at(at, core_.segment_bytes);
    const auto trailer = decode_trailer(ByteView(bytes_).last(footer_trailer_bytes),
                                        entry_.generation, entry_.salt, core_.segment_bytes);
    if (!commit || !trailer || trailer->position != at ||
        !commit_holds(bytes, *commit, entry_.salt, false) ||
        !decode_footer(bytes, entry_.generation, entry_.salt)) {
        damage(Damage::Kind::footer, at, core_.segment_bytes - at);
        out_.purposes.damaged += core_.segment_bytes - at;
        return;
    }
    ++out_.commits;
    out_.purposes.footers += core_.segment_bytes - at;
    if (visitor_ != nullptr) visitor_->on_commit(segment_, *commit);
}

/// Which offsets ought to have been seen and were not, and which damaged place took them.
void Walk::holes() {
    for (const auto& [id, stream] : core_.streams.all()) {
        Inspection::Stream& total = out_.streams[id];
        total.log_start = stream.state.log_start;
        total.log_end = stream.state.log_end;
        auto& pieces = seen_[id];
        for (const auto& [where, damage] : found_)
            if (damage.kind == Damage::Kind::batch && damage.stream == id)
                pieces.push_back({damage.from, damage.to, where, where});
        const auto book = book_of(core_, id);
        const bool has_gaps = book && book->has_superseded();  // compaction made them
        if (book)
            for (const Loss& loss : book->view(total.log_end, 0).losses)
                if (loss.reason == LossReason::raised)
                    pieces.push_back({loss.from, loss.to, {0, 0}, {0, 0}});
        std::sort(pieces.begin(), pieces.end(),
                  [](const Piece& a, const Piece& b) { return a.from < b.from; });
        pieces.push_back({total.log_end, total.log_end, {UINT64_MAX, 0}, {UINT64_MAX, 0}});
        Offset at = total.log_start;
        Where before{0, 0};
        for (const Piece& piece : pieces) {
            if (piece.from > at) {
                const std::size_t count = found_.size();
                bool blamed = false;
                for (std::size_t i = 0; i < count && !blamed; ++i) {
                    auto& [where, damage] = found_[i];
                    if (where < before || where > piece.first || where.first == 0 ||
                        damage.kind == Damage::Kind::batch || damage.kind == Damage::Kind::footer ||
                        damage.kind == Damage::Kind::checkpoint ||
                        (damage.from >= 0 && damage.stream == id))
                        continue;
                    blamed = true;
                    if (damage.from < 0) {
                        std::tie(damage.stream, damage.from, damage.to) =
                            std::tuple(id, at, piece.from);
                    } else {
                        auto another = found_[i];
                        std::tie(another.second.stream, another.second.from, another.second.to) =
                            std::tuple(id, at, piece.from);
                        found_.push_back(another);
                    }
                }
                if (!blamed && !has_gaps)
                    found_.push_back({before,
                                      {.kind = Damage::Kind::missing,
                                       .stream = id,
                                       .from = at,
                                       .to = piece.from}});
            }
            if (piece.to > at) {
                at = piece.to;
                before = piece.last;
            }
        }
    }
    std::stable_sort(found_.begin(), found_.end(),
                     [](const auto& a, const auto& b) { return a.first < b.first; });
    for (auto& [where, damage] : found_) out_.damages.push_back(damage);
}

}  // namespace

const char* damage_text(Damage::Kind kind) {
    switch (kind) {
        case Damage::Kind::superblock:
            return "superblock";
        case Damage::Kind::checkpoint:
            return "checkpoint";
        case Damage::Kind::segment_header:
            return "segment header";
        case Damage::Kind::commit:
            return "commit header or padding";
        case Damage::Kind::frame:
            return "frame";
        case Damage::Kind::batch:
            return "batch";
        case Damage::Kind::footer:
            return "footer";
        case Damage::Kind::missing:
            return "missing records";
        case Damage::Kind::unreadable:
            return "unreadable bytes";
    }
    return "?";
}

Result<Inspection> inspect(port::Storage& device, InspectVisitor* visitor, std::string& why) {
    UnchangedDevice unchanged(device);
    NoEntropy entropy;
    Core core(unchanged, entropy, LogConfig{});
    core.geometry = unchanged.geometry();
    const Result<Recovered> recovered = recover(core, Instant{}, WallTime{}, why);
    if (!recovered) return fail(recovered.error());
    if (recovered->fresh) {
        why = "nothing was ever written here";
        return fail(Error::not_found);
    }
    Inspection out;
    out.sealed = recovered->sealed;
    out.start_text = core.cut_text;
    // Past the view: what a start would write is not what stands there.
    Core plain(device, entropy, LogConfig{});
    plain.geometry = core.geometry;
    plain.super = core.super;
    plain.page = core.page;
    plain.segment_bytes = core.segment_bytes;
    plain.segments = core.segments;
    plain.streams = core.streams;
    // A book may stand alone: a log start that was given up with its commit is told by it only.
    for (const auto& [id, stream] : core.streams.all())
        if (const auto book = book_of(core, id)) {
            StreamState& state = plain.streams.find(id)->state;
            state.log_start = std::max(state.log_start, std::min(book->log_start(), state.log_end));
        }
    plain.facts = core.facts;
    Walk walk(plain, out, visitor);
    walk.superblocks();
    walk.arrivals();
    walk.checkpoint(recovered->checkpoint.extents);
    walk.holes();
    return out;
}

}  // namespace leat::log
