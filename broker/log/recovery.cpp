#include "broker/log/mend.hpp"
#include "broker/log/recovery_run.hpp"

#include <algorithm>

namespace leat::log {

namespace {

constexpr std::uint32_t first_candidates = 8;

}  // namespace

std::optional<SegmentHeader> Recovery::header_of(std::uint32_t segment) {
    if (segment >= core_.segments.size()) return std::nullopt;
    const auto bytes = io_.read(core_.address(segment, 0), segment_header_bytes);
    if (!bytes) return std::nullopt;
    Result<SegmentHeader> header = decode_mended_segment_header(*bytes);
    if (!header || !core_.super.owns(header->log_id) || header->segment != segment ||
        header->page_bytes != core_.page || header->predecessor_end > core_.segment_bytes)
        return std::nullopt;
    // A start that did not find it went on in the segment in front, and gave up what followed.
    if (header->area == Area::arrivals && core_.super.void_generation != 0 &&
        header->predecessor_generation == core_.super.void_generation &&
        header->run < core_.super.start_count)
        return std::nullopt;
    return *header;
}

std::optional<SegmentHeader> Recovery::successor(const SegmentHeader& header,
                                                 const std::vector<std::uint32_t>& candidates) {
    std::optional<SegmentHeader> best;
    for (std::uint32_t candidate : candidates) {
        auto next = header_of(candidate);
        if (!next && (next = listed_header(candidate, header.place + 1))) {
            next->predecessor = header.segment;
            next->predecessor_generation = header.generation;
        }
        if (!next || next->area != Area::arrivals || next->place != header.place + 1 ||
            next->predecessor != header.segment ||
            next->predecessor_generation != header.generation)
            continue;
        if (!best || next->generation > best->generation) best = next;
    }
    return best;
}

std::optional<Recovery::FoundFooter> Recovery::footer_of(const SegmentHeader& header) {
    const auto last =
        io_.read(core_.address(header.segment, core_.segment_bytes - footer_trailer_bytes),
                 footer_trailer_bytes);
    if (!last) return std::nullopt;
    const auto trailer = decode_trailer(*last, header.generation, header.salt, core_.segment_bytes);
    if (!trailer || trailer->position % core_.page != 0) return std::nullopt;
    const auto bytes = io_.read(core_.address(header.segment, trailer->position), trailer->bytes);
    if (!bytes) return std::nullopt;
    auto index = decode_footer(*bytes, header.generation, header.salt);
    if (!index) return std::nullopt;
    const CommitHeader commit = *decode_commit_header(*bytes, header.salt);
    if (commit.tie != trailer->tie) return std::nullopt;
    return FoundFooter{std::move(*index), trailer->position, commit};
}

/// Learns everything that one segment tells.
void Recovery::take_segment(const SegmentHeader& header, std::optional<FoundFooter> footer,
                            std::uint32_t valid_end, bool last) {
    SegmentEntry& entry = core_.segments[header.segment];
    entry = {};
    entry.generation = header.generation;
    entry.place = header.place;
    entry.salt = header.salt;
    entry.area = Area::arrivals;
    entry.state = SegmentState::sealed;

    SegmentIndex index;
    // A footer of an earlier run that was torn, and made whole by what was torn of the right one,
    // knows nothing of the commits in between. In the tail it is void; elsewhere the successor's
    // header says another end.
    bool whole = footer && !core_.is_void(footer->commit) &&
                 (valid_end == core_.segment_bytes || footer->index.data_end == valid_end);
    // A promise may be broken: what was opened in survivors after it was given stays theirs.
    const auto taken = [&](std::uint32_t candidate) {
        if (candidate >= core_.segments.size()) return true;
        const SegmentEntry& named = core_.segments[candidate];
        return named.area == Area::survivors &&
               (!named.records || named.generation > header.generation);
    };
    // A tail that is closed opens only whom it names. Where none is left, or what a checkpoint may
    // take first, it goes on instead, as if its footer were torn: that is void from now on.
    bool goes_on = false;
    if (whole && last) {
        std::vector<std::uint32_t> named = header.candidates;
        named.insert(named.end(), footer->index.candidates.begin(), footer->index.candidates.end());
        std::sort(named.begin(), named.end());
        named.erase(std::unique(named.begin(), named.end()), named.end());
        const std::size_t extents = std::max<std::size_t>(1, out_.checkpoint.extents.size());
        goes_on = named.size() <= extents + static_cast<std::size_t>(std::count_if(
                                                named.begin(), named.end(), taken));
    }
    SegmentScan scan;
    if (!whole || goes_on) {
        const SegmentBytes bytes_at = [&](std::uint32_t position, std::uint32_t count) {
            return front_of(header.segment, position, count);
        };
        const std::uint32_t limit =
            core_.faults.predecessor_end_ignored ? core_.segment_bytes : valid_end;
        scan = scan_segment(core_, header, limit, bytes_at, index);
        pieces_ = {};
        // What goes on while it is read, piece by piece, may have reached a later one only: by now
        // all in front of what was found stands there.
        if (core_.pool_as_it_is && scan.damaged_commits > 0) {
            index = {};
            const std::uint32_t found = scan.footer_position != 0 ? limit : scan.data_end;
            scan = scan_segment(core_, header, std::min(limit, found), bytes_at, index);
            pieces_ = {};
        }
        // Of what its commits do not give only the footer tells: then it stays closed.
        whole = whole && !(scan.footer_is_next && scan.damaged_commits == 0 &&
                           scan.data_end == footer->index.data_end);
    }
    if (whole) {
        index = std::move(footer->index);
        entry.footer_position = footer->position;
        last_commit_ = footer->commit;
    }
    std::uint32_t data_end = index.data_end;
    // By the footer's own: the last sequence of an empty segment is 0.
    std::uint64_t next_sequence = whole ? footer->commit.sequence + 1 : 0;
    if (!whole) {
        core_.facts_lost = core_.facts_lost || scan.damaged_commits > 0;
        if (scan.damaged_commits > 0)
            cut("segment " + std::to_string(header.segment) + ": " +
                std::to_string(scan.damaged_commits) +
                " damaged places between good commits were skipped");
        data_end = scan.data_end;
        next_sequence = scan.next_sequence;
        if (scan.last) last_commit_ = scan.last;
        out_.lost.insert(out_.lost.end(), index.lost.begin(), index.lost.end());
        index.lost.clear();
        // Its trailer is torn, or lost: it ends the segment, but nobody finds it by that. None is
        // known to those that read, so a power cut is no damage to them.
        whole = scan.footer_position != 0;
        // The last segment goes on as if all of its footer were torn: no successor is known, and
        // those that the header names may be taken.
        if (last && scan.footer_is_next) {
            whole = false;
            next_sequence = scan.last->sequence;
        }
    }
    // Read by its commits in front of the tail: the next start had better not have to.
    out_.checkpoint_wanted = out_.checkpoint_wanted || !(whole || last);
    forbidden_ = forbidden_ || index.forbids_writing;
    entry.data_end = data_end;
    entry.last_age_ms = index.last_age_ms;
    entry.batch_bytes =
        static_cast<std::uint32_t>(std::min<std::uint64_t>(index.batch_bytes, UINT32_MAX));
    entry.live_bytes = entry.batch_bytes + entry.batch_bytes / 4;
    note_holes(index, header.segment);
    apply_index(core_, index, header.segment);
    if (!last) return;
    if (!whole) entry.state = SegmentState::open;
    promised_ = header.candidates;
    promised_.insert(promised_.end(), index.candidates.begin(), index.candidates.end());
    // Who is named here was free then, and nobody has taken it since; a checkpoint's table may be
    // older.
    for (std::uint32_t candidate : promised_) {
        if (taken(candidate) || candidate == header.segment) continue;
        SegmentEntry& named = core_.segments[candidate];
        const std::uint64_t generation = named.generation;
        named = {};
        named.generation = generation;
    }
    Arrivals::Tail& tail = out_.arrivals;
    tail.segment = header.segment;
    tail.place = header.place;
    tail.position = data_end;
    tail.next_sequence = next_sequence;
    tail.announced = promised_;
    tail.closed = whole;
    tail.index = std::move(index);
}

/// The cleaner takes nothing from the redo segment on, so there no stream has gaps that compaction
/// left: what lies in front of its first batch here was in a frame that is lost with all it said.
void Recovery::note_holes(const SegmentIndex& index, std::uint32_t segment) {
    if (misled_) return;  // an older checkpoint knows older ends
    for (const auto& [id, here] : index.streams) {
        if (!here.holds_batches() || here.dropped) continue;
        const Stream* stream = core_.streams.find(id);
        Offset end = stream != nullptr ? stream->state.log_end : 0;
        // The checkpoint knew what began here when it was written.
        if (stream != nullptr && !stream->anchors.empty() &&
            stream->anchors.back().segment == segment)
            end = std::min(end, stream->anchors.back().first_offset);
        if (here.raised_end <= here.first_offset) end = std::max(end, here.raised_end);
        if (end < here.first_offset) out_.lost.push_back({id, end, here.first_offset, 0});
    }
}

Status Recovery::follow_ring() {
    std::optional<SegmentHeader> at;
    if (have_checkpoint_) {
        at = header_of(begin_.redo_segment);
        if (!at) at = listed_header(begin_.redo_segment, begin_.redo_place);
        if (at && (at->generation != begin_.redo_generation || at->place != begin_.redo_place))
            at.reset();
    } else {
        std::vector<std::uint32_t> first(first_candidates);
        for (std::uint32_t i = 0; i < first_candidates; ++i) first[i] = i;
        SegmentHeader none;
        none.segment = no_segment;
        at = successor(none, first);
        if (!at && !misled_) at = behind_damage(none, first, true);
    }
    std::vector<SegmentHeader> chain;
    if (have_checkpoint_ ? !at : misled_) {
        // The chain cannot be entered where it should begin, or that may be long recycled, and what
        // it leads to as well: put all headers in order instead.
        cut("the ring was found again by reading every segment header");
        for (const SegmentHeader& header : all_headers())
            if (!have_checkpoint_ || header.place >= begin_.redo_place) chain.push_back(header);
        for (std::size_t i = 0; i < chain.size(); ++i) {
            const bool last = i + 1 == chain.size();
            const bool named = !last && chain[i + 1].place == chain[i].place + 1 &&
                               chain[i + 1].predecessor_generation == chain[i].generation;
            take_segment(chain[i], footer_of(chain[i]),
                         named ? chain[i + 1].predecessor_end : core_.segment_bytes, last);
        }
        return ok();
    }
    std::uint32_t steps = 0;
    while (at && ++steps <= core_.segments.size() + 1) {
        // Its header names candidates; a footer may name more. Footers are small, so look at both.
        std::vector<std::uint32_t> candidates = at->candidates;
        std::optional<FoundFooter> footer = footer_of(*at);
        if (footer && core_.is_void(footer->commit)) footer.reset();
        if (footer)
            candidates.insert(candidates.end(), footer->index.candidates.begin(),
                              footer->index.candidates.end());
        auto next = successor(*at, candidates);
        if (!next) next = behind_damage(*at, candidates, footer.has_value());
        const bool named = next && next->predecessor_generation == at->generation;
        take_segment(*at, std::move(footer), named ? next->predecessor_end : core_.segment_bytes,
                     !next);
        at = next;
    }
    return ok();
}

Status Recovery::start_run() {
    Superblock& super = core_.super;
    const bool unsealed = !out_.fresh && !out_.sealed;
    ++super.sequence;
    super.start_count = std::max(super.start_count, run_seen_) + 1;
    if (unsealed) ++super.leader_epoch;
    super.log_time_ms = log_time_ms_;
    super.off_time_ms = off_time_ms_;
    super.trusted_wall_ms = trusted_wall_ms_;
    super.trusted_at_log_time_ms = trusted_at_ms_;
    const Arrivals::Tail& tail = out_.arrivals;
    const bool goes_on = tail.segment != no_segment && !tail.closed;
    super.void_generation = goes_on ? core_.segments[tail.segment].generation : 0;
    super.void_from = goes_on ? tail.position : 0;
    super.unlisted_copies = misled_;
    core_.run = static_cast<std::uint32_t>(super.start_count);
    std::vector<std::uint8_t> bytes(
        std::max<std::size_t>(superblock_bytes, core_.geometry.write_size));
    // A new log writes both slots, so that later one empty slot always means a creation that was
    // cut; one that has become larger, so that neither knows fewer segments than are in use.
    for (int copies = out_.fresh || grown_ ? 2 : 1; copies > 0; --copies) {
        encode_superblock(super, bytes);
        if (!io_.write((super.sequence & 1) * super.slot_bytes, bytes)) {
            error_text_ = "the superblock cannot be written: check the storage device";
            return fail(Error::storage);
        }
        core_.counters.written_other += superblock_bytes;
        if (copies > 1) ++super.sequence;
    }
    return ok();
}

Result<Recovered> Recovery::run() {
    if (const Status read = read_superblock(); !read) return fail(read.error());
    core_.page = core_.super.page_bytes;
    core_.segment_bytes = core_.super.segment_bytes;
    core_.segments.reset(core_.super.segments);
    log_time_ms_ = core_.super.log_time_ms;
    off_time_ms_ = core_.super.off_time_ms;
    trusted_wall_ms_ = core_.super.trusted_wall_ms;
    trusted_at_ms_ = core_.super.trusted_at_log_time_ms;
    if (!out_.fresh) {
        if (core_.super.checkpoint.is()) {
            Status loaded = load_checkpoint(core_.super.checkpoint);
            misled_ = misled_ || !loaded;
            core_.facts_lost = !loaded;
            // Before it: what the same superblock says, or the other one, if it is older.
            std::vector<CheckpointPlace> others{core_.super.previous};
            if (other_super_) others.push_back(other_super_->checkpoint);
            if (core_.faults.superblock_first) others.clear();  // they would hide that mistake
            for (const CheckpointPlace& other : others) {
                if (loaded || !other.is() || other == core_.super.checkpoint) continue;
                cut("the newest checkpoint does not hold, the one before it was taken");
                loaded = load_checkpoint(other);
                if (!loaded) continue;
                core_.super.checkpoint = other;
                core_.super.previous = {};
                ++core_.super.sequence;  // the new superblock goes over the one that misleads, not
                                         // over the good one
            }
            if (!loaded) {
                cut("no checkpoint holds: what only it knew (facts, offsets of idle streams) is "
                    "lost");
                core_.segments.reset(core_.super.segments);
                core_.streams = {};
                core_.facts = {};
                core_.producers = Producers(core_.config.producers_max);
                out_.checkpoint = {};
            }
        }
        std::vector<Listed> listed;
        if (misled_ && have_checkpoint_) listed = listed_now();
        if (const Status ring = follow_ring(); !ring) return fail(ring.error());
        headers_ = {};
        if (!have_checkpoint_ && out_.arrivals.segment == no_segment)
            if (const Status own = refuse_foreign_pool(); !own)
                return fail(own.error());
        free_lost();
        go_on_behind_lost();
        core_.producers.restored();
        if (misled_) adopt_survivors(have_checkpoint_ ? listed : listed_now());
        if (forbidden_) {
            error_text_ =
                "the log holds records of a newer program that older ones must not write beside: "
                "use the newer one";
            return fail(Error::unsupported);
        }
        if (last_commit_) {
            log_time_ms_ = std::max(log_time_ms_, last_commit_->log_time_ms);
            off_time_ms_ = std::max(off_time_ms_, last_commit_->off_time_ms);
            // The newer one: in a log's first hour a clock that is set back takes its stamps along.
            if ((last_commit_->flags & commit_wall_trusted) &&
                last_commit_->log_time_ms >= trusted_at_ms_) {
                trusted_wall_ms_ = last_commit_->wall_ms;
                trusted_at_ms_ = last_commit_->log_time_ms;
            }
            run_seen_ = std::max<std::uint64_t>(run_seen_, last_commit_->run);
            out_.sealed = last_commit_->kind == CommitKind::seal &&
                          last_commit_->run == core_.super.start_count;
        }
        if (!out_.sealed)
            cut("unclean stop: what was not acknowledged after the last whole commit is cut, "
                "acknowledgement unknown");
    }
    if (io_.away()) {
        error_text_ = "the device refuses reads now: nothing was changed, start again";
        return fail(Error::storage);
    }
    core_.was_sealed = out_.sealed;
    core_.foreign_device =
        !out_.fresh && !core_.super.device_identity.empty() &&
        !core_.config.device_identity.empty() &&
        core_.super.device_identity != core_.config.device_identity.substr(0, identity_bytes_max);
    if (core_.foreign_device)
        if (const Status taken = take_over(); !taken) return fail(taken.error());
    fit_budget();
    core_.producers.limit(core_.producers_allowed());
    if (core_.faults.promises_forgotten)
        std::erase_if(promised_, [this](auto one) { return core_.segments.leaving(one); });
    core_.segments.rebuild(promised_);
    if (out_.arrivals.segment == no_segment)  // all headers will be read, so any is found
        out_.arrivals.announced.assign(core_.segments.promised().begin(),
                                       core_.segments.promised().end());
    if (const Status started = start_run(); !started) return fail(started.error());
    core_.time.start(now_, log_time_ms_, off_time_ms_, trusted_wall_ms_, trusted_at_ms_,
                     core_.config.build_date);
    core_.time.see_wall(now_, wall_);
    return std::move(out_);
}

Result<Recovered> recover(Core& core, Instant now, WallTime wall, std::string& error_text) {
    return Recovery(core, now, wall, error_text).run();
}

}  // namespace leat::log
