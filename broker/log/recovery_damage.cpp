// Recovery where a segment header, or the footer that names what comes next, does not hold: the
// segment is lost at most, and the ring goes on behind it.
#include <algorithm>
#include <set>

#include "broker/log/footer_torn.hpp"
#include "broker/log/mend.hpp"
#include "broker/log/recovery_run.hpp"

namespace leat::log {

namespace {

bool all_zero(ByteView bytes) {
    return std::all_of(bytes.begin(), bytes.end(), [](std::uint8_t byte) { return byte == 0; });
}

}  // namespace

/// The header of a segment of the ring, from the redo point on, as the checkpoint's table knows it:
/// generation, place and salt. Its first commit tells the rest, or its footer makes that needless.
std::optional<SegmentHeader> Recovery::listed_header(std::uint32_t segment, std::uint64_t place) {
    if (segment >= core_.segments.size()) return std::nullopt;
    const SegmentEntry& entry = core_.segments[segment];
    if (entry.area != Area::arrivals || !entry.in_ring() || entry.place != place)
        return std::nullopt;
    SegmentHeader header;
    header.segment = segment;
    header.generation = entry.generation;
    header.place = entry.place;
    header.salt = entry.salt;
    header.page_bytes = core_.page;
    header.predecessor_end = core_.segment_bytes;
    const auto bytes = io_.read(core_.address(segment, core_.page), commit_header_bytes);
    const Result<CommitHeader> first = bytes ? decode_commit_header(*bytes, entry.salt)
                                             : Result<CommitHeader>(fail(Error::storage));
    if (first && first->generation == entry.generation && first->position == core_.page) {
        header.first_sequence = first->sequence;
        header.run = first->run;
    } else if (!footer_of(header)) {
        return std::nullopt;
    }
    cut("segment " + std::to_string(segment) +
        ": its header does not hold, the checkpoint knows it");
    return header;
}

/// What stands at the front of `segment` is no header that holds, and it is not empty either.
bool Recovery::header_lost(std::uint32_t segment) {
    if (segment >= core_.segments.size()) return false;
    auto bytes = io_.read(core_.address(segment, 0), segment_header_bytes);
    if (!bytes) return true;
    const auto header = decode_mended_segment_header(*bytes);
    // One of an earlier life than the table knows of: a write that is lost.
    if (header) return header->generation < core_.segments[segment].generation;
    if (header.error() == Error::unsupported) return false;
    if (!all_zero(*bytes)) return true;
    // The table knows of a life of it: no header that was written once is zeros again.
    if (core_.segments[segment].generation != 0) return true;
    // A page of flash takes the first commit along; something stands behind it, or the footer does.
    for (const std::uint64_t at : {std::uint64_t{core_.page}, std::uint64_t{16 * KiB},
                                   std::uint64_t{core_.segment_bytes} - 32}) {
        bytes = io_.read(core_.address(segment, at), 32);
        if (!bytes || !all_zero(*bytes)) return true;
    }
    return false;
}

/// A segment from its front on, in pieces that grow: a tail that was just begun costs little, a long
/// one is read in few calls, and once for all that look at it.
ByteView Recovery::front_of(std::uint32_t segment, std::uint32_t position, std::uint32_t count) {
    if (pieces_.segment != segment) pieces_ = {segment, {}};
    std::vector<std::uint8_t>& have = pieces_.have;
    const std::uint64_t want =
        std::min<std::uint64_t>(std::uint64_t{position} + count, core_.segment_bytes);
    if (position >= core_.segment_bytes) return {};
    if (want > have.size()) {
        const std::size_t from = have.size();
        const std::size_t to = std::min<std::size_t>(
            core_.segment_bytes,
            std::max<std::size_t>(round_up(want, core_.page),
                                  from + std::clamp<std::size_t>(from, 64 * KiB, 1024 * KiB)));
        have.resize(to);
        (void)io_.read_what_holds(core_.address(segment, from), MutableBytes(have).subspan(from));
    }
    return ByteView(have).subspan(position, want - position);
}

const std::vector<SegmentHeader>& Recovery::all_headers() {
    std::vector<SegmentHeader>& headers = headers_;
    if (!headers.empty()) return headers;
    for (std::uint32_t i = 0; i < core_.segments.size(); ++i)
        if (auto header = header_of(i);
            header && header->area == Area::arrivals && header->place > 0)
            headers.push_back(std::move(*header));
    std::sort(headers.begin(), headers.end(), [](const SegmentHeader& a, const SegmentHeader& b) {
        return a.place != b.place ? a.place < b.place : a.generation > b.generation;
    });
    headers.erase(std::unique(headers.begin(), headers.end(),
                              [](const SegmentHeader& a, const SegmentHeader& b) {
                                  return a.place == b.place;
                              }),
                  headers.end());
    return headers;
}

/// Something of a footer stands in `last`: it was whole, or a power cut tore it. Told by its trailer
/// or by its commit header, either of which may be what is lost. One that is void was torn when this
/// segment was found as the tail before. `named`: whom its first sector names, if that holds; then
/// it is not lost to those that look for the next segment, but where the trailer is another one's.
bool Recovery::footer_lost(const SegmentHeader& last, std::vector<std::uint32_t>& named) {
    const auto end =
        io_.read(core_.address(last.segment, core_.segment_bytes - footer_trailer_bytes),
                 footer_trailer_bytes);
    std::optional<CommitHeader> told;
    if (end) told = header_by_trailer(*end, last.generation, last.salt, core_.segment_bytes);
    if (told && core_.is_void(*told)) told.reset();
    for (std::uint32_t at = core_.page; at < core_.segment_bytes; at += core_.page) {
        const ByteView front = front_of(last.segment, at, 512);
        const Result<CommitHeader> commit = decode_commit_header(front, last.salt);
        if (!commit || commit->generation != last.generation || commit->position != at) continue;
        if (commit->kind == CommitKind::seal && commit->run == core_.super.start_count)
            return false;  // the stop that was the last thing to happen
        if (commit->kind != CommitKind::footer || commit->bytes != core_.segment_bytes - at ||
            core_.is_void(*commit))
            continue;
        const auto candidates = summary_candidates(front, last.salt);
        if (candidates) named = *candidates;
        return !candidates || (told && (told->position != at || told->tie != commit->tie));
    }
    return !end || told;
}

/// No candidate leads on from `last`. Mostly the ring ends there; but where a candidate's header is
/// lost, or the footer that may name others, all headers are asked for what comes behind. So they
/// are when this start knows only an older checkpoint: the successor may have been recycled since.
std::optional<SegmentHeader> Recovery::behind_damage(const SegmentHeader& last,
                                                     const std::vector<std::uint32_t>& candidates,
                                                     bool has_footer) {
    // One that is closed has a successor, but for a power cut at the one moment in between.
    bool damaged = misled_ || candidates.empty() || has_footer;
    for (const std::uint32_t candidate : candidates) damaged = damaged || header_lost(candidate);
    if (!damaged && !has_footer) {
        std::vector<std::uint32_t> named;
        damaged = footer_lost(last, named);
        if (auto next = successor(last, named)) return next;
        for (const std::uint32_t candidate : named) damaged = damaged || header_lost(candidate);
    }
    if (!damaged) return std::nullopt;
    for (const SegmentHeader& header : all_headers()) {
        if (header.place <= last.place || header.generation <= last.generation) continue;
        if (header.place > last.place + 1) {
            core_.facts_lost = true;
            cut("a segment of the ring is lost with its header: what it held is damaged");
        }
        return header;
    }
    return std::nullopt;
}

/// The table says open of what the ring does not reach: nothing of it can be read.
void Recovery::free_lost() {
    for (std::uint32_t i = 0; i < core_.segments.size(); ++i) {
        SegmentEntry& entry = core_.segments[i];
        if (entry.area != Area::arrivals || entry.state != SegmentState::open ||
            i == out_.arrivals.segment)
            continue;
        const std::uint64_t generation = entry.generation;
        entry = {};
        entry.generation = generation;
    }
}

/// Of two values of a fact that with the larger sequence counts, and a checkpoint may know some of
/// commits that are lost: at the end of the tail, behind it, or with it. Then what comes next goes
/// into another segment, since only there sequences may begin anew.
void Recovery::go_on_behind_lost() {
    Arrivals::Tail& tail = out_.arrivals;
    if (tail.segment == no_segment && have_checkpoint_) {
        tail.place = begin_.redo_place;
        tail.next_sequence = begin_.redo_sequence;
    }
    std::uint64_t newest = 0;
    for (const auto& [key, fact] : core_.facts.all()) newest = std::max(newest, fact.sequence);
    if (newest < tail.next_sequence) return;
    if (tail.segment != no_segment && !tail.closed) {
        std::set<std::uint32_t> named(promised_.begin(), promised_.end());
        std::erase_if(named, [this](std::uint32_t one) {
            return one >= core_.segments.size() ||
                   core_.segments[one].state != SegmentState::free;
        });
        // A checkpoint may take as many as it has extents.
        if (named.size() <= std::max<std::size_t>(1, out_.checkpoint.extents.size())) return;
        tail.closed = true;  // as behind a write that failed: its successor says where it ends
        core_.segments[tail.segment].state = SegmentState::sealed;
        out_.checkpoint_wanted = true;
    }
    tail.next_sequence = newest + 2;  // the next one would say that a footer failed
}

}  // namespace leat::log
