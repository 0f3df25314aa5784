#include "broker/log/cleaner.hpp"

#include <algorithm>

namespace leat::log {

Cleaner::Cleaner(Core& core, CheckpointWriter& checkpoints, FooterCache& footers,
                 Compactor& compaction)
    : core_(core),
      checkpoints_(checkpoints),
      footers_(footers),
      compaction_(compaction),
      piece_(core.geometry.align),
      block_(core.geometry.align),
      group_(core.page, core.geometry.align),
      footer_memory_(core.geometry.align) {}

bool Cleaner::still_there(const Source& source) const {
    const SegmentEntry& entry = core_.segments[source.segment];
    return entry.generation == source.generation && entry.state == SegmentState::sealed;
}

Instant Cleaner::deadline() const {
    if (stopped_ || core_.read_only || busy()) return never;
    const bool paced =
        phase_ == Phase::copy || (phase_ == Phase::idle && (wanted() || compaction_.ready()));
    return paced ? next_at_ : never;
}

void Cleaner::pump(Instant now) {
    release_replaced(now);
    if (busy()) return;
    if (stopped_ || core_.read_only) {
        if (phase_ != Phase::idle) put_back(no_segment);
        return;
    }
    if (phase_ == Phase::idle) {
        if (now < next_at_ || (!wanted() && !compaction_.ready())) return;
        next_at_ = now + cleaner_rest;
        if (std::exchange(rests_, false)) return;
        if (!choose()) {
            if (ask_again(now)) return;
            if (compaction_.ready()) compaction_.finish(now);
            return;
        }
        filtering_ = compaction_.ready();
        next_at_ = now;
        at_ = 0;
        finishing_ = false;
        phase_ = Phase::look;
    }
    for (Step step = Step::go_on; step == Step::go_on;) {
        switch (phase_) {
            case Phase::idle:
                return;
            case Phase::look:
                step = look();
                break;
            case Phase::copy:
                step = copy(now);
                break;
            case Phase::hand_over:
                step = hand_over(now);
                break;
        }
    }
}

/// What the next source ought to hold, and whether it goes into this run.
Cleaner::Step Cleaner::look() {
    phase_ = Phase::copy;
    finishing_ = at_ == plan_.size();
    if (finishing_) return Step::go_on;
    const Source& source = plan_[at_];
    if (!still_there(source)) {  // all of it died meanwhile
        plan_.erase(plan_.begin() + static_cast<std::ptrdiff_t>(at_));
        phase_ = Phase::look;
        return Step::go_on;
    }
    const Refusals::Place whole{source.segment, Refusals::whole, source.generation};
    if (core_.refusals.due(core_.called_at, whole)) footers_.forget_refused(source.segment);
    const FooterCache::Found footer = footers_.get(source.segment);
    if (footer.state == Fetched::pending) {
        phase_ = Phase::look;
        return Step::wait;
    }
    SegmentEntry& entry = core_.segments[source.segment];
    const Result<SegmentIndex> index =
        footer.state == Fetched::ready && !footer.partial
            ? decode_footer(footer.bytes, entry.generation, entry.salt)
            : Result<SegmentIndex>(fail(Error::corrupt));
    const bool refused = (footer.refused || footer.partial) && !core_.refusals.lost(whole);
    if (!index && !refused) entry.unmovable = true;
    // Into the last segment there is, only what surely fits: a source is copied whole or not at
    // all.
    const bool last = outputs_allowed() == 0 || outputs_.size() >= cleaner_outputs_max;
    const std::uint64_t used = index ? std::uint64_t{group_.used()} + to_copy(source.segment) : 0;
    const std::uint64_t padded = round_up(used, core_.page) + used / cleaner_block_bytes * core_.page;
    const std::uint64_t growth =
        index ? index->streams.size() * 136 + 8 * entry.live_bytes / 4096 : 0;
    finishing_ = !index || !expect(*index, source.segment) ||
                 (last && output_open_ &&
                  position_ + padded + round_up(index_.footer_bytes_bound() + growth, core_.page) >
                      core_.segment_bytes);
    if (finishing_) {
        plan_.resize(at_);
        return Step::go_on;
    }
    walk_ = {};
    walk_.position = core_.page;
    block_size_ = 0;
    by_pages_ = false;
    return Step::go_on;
}

Cleaner::Step Cleaner::copy(Instant now) {
    if (now < next_at_) return Step::wait;
    if (finishing_) return finish(now);
    if (!still_there(plan_[at_])) {  // its last records died while they were copied
        put_back(no_segment);
        return Step::wait;
    }
    if (large_at_ < large_bytes_) {
        if (!write_large()) put_back(no_segment);
        return Step::wait;
    }
    if (batch_waits_) {
        const auto frame =
            static_cast<std::uint32_t>(round_up(moved_header_bytes + batch_.size(), 8));
        if (!output_open_ && !open_output(now)) {
            put_back(outputs_allowed() > 0 ? plan_[at_].segment : no_segment);
            return Step::wait;
        }
        const bool full = !fits(frame);
        if (full && index_.streams.empty()) {
            put_back(plan_[at_].segment);
            return Step::wait;
        }
        if (full || (!group_.empty() && group_.used() + frame > cleaner_block_bytes)) {
            if (!(group_.empty() ? write_footer(now) : write_group(now))) put_back(no_segment);
            return Step::wait;
        }
        if (frame > cleaner_block_bytes) {
            begin_large(now);
            if (!write_large()) put_back(no_segment);
            return Step::wait;
        }
        add_batch();
        batch_waits_ = false;
        return Step::go_on;
    }
    Walked at = walk();
    if (at == Walked::wait) {
        if (!busy()) next_at_ = now + cleaner_pace;  // the device takes no read now, or refused
        return Step::wait;
    }
    if (at == Walked::batch) {
        batch_waits_ = walk_.live && (!filtering_ || filter(now));
        return Step::go_on;
    }
    if (at == Walked::refused) {  // the rest of the log goes on without it
        const bool away = given_ == 0;
        put_back(no_segment);
        rests_ = away;
        return Step::wait;
    }
    if (at == Walked::end) at = settle_source();
    if (at != Walked::batch) {
        core_.segments[plan_[at_].segment].doubted = true;
        put_back(at == Walked::doubt ? no_segment : plan_[at_].segment);
        return Step::wait;
    }
    if (filtering_) follow_ordinals();
    ++at_;
    phase_ = Phase::look;
    return Step::go_on;
}

/// Everything of the run is in the group or written: the rest goes out, then the footer.
Cleaner::Step Cleaner::finish(Instant now) {
    if (output_open_) {
        if (!(group_.empty() ? write_footer(now) : write_group(now))) put_back(no_segment);
        return Step::wait;
    }
    phase_ = Phase::hand_over;
    return Step::go_on;
}

bool Cleaner::open_output(Instant now) {
    if (outputs_.size() >= cleaner_outputs_max || outputs_allowed() == 0) return false;
    const std::uint64_t place = core_.segments[plan_[at_].segment].place;
    if (!outputs_.empty() && outputs_.back().header.place >= place) return false;
    const std::uint32_t segment = core_.segments.take_for_survivors();
    if (segment == no_segment) return false;
    Output& output = outputs_.emplace_back();
    SegmentHeader& header = output.header;
    header.area = Area::survivors;
    header.kind = SegmentClass::mixed;
    header.place = place;
    header.first_sequence = sequence_ = 1;
    SegmentEntry& entry = core_.begin_segment(now, segment, header);
    entry.place = 0;  // it is in the ring when its run is handed over
    entry.records = true;
    output_open_ = true;
    index_ = {};
    position_ = core_.page;
    return true;
}

bool Cleaner::write_group(Instant now) {
    const Output& output = outputs_.back();
    const bool opening = position_ == core_.page;
    CommitHeader header = core_.commit_header(now);
    header.generation = output.header.generation;
    header.sequence = sequence_;
    header.position = position_;
    ByteView bytes;
    if (opening) {
        std::uint8_t page[segment_header_bytes];
        encode_segment_header(output.header, page);
        bytes = group_.finish_opening(header, output.header.salt, page);
    } else {
        bytes = group_.finish(header, output.header.salt);
    }
    flight_bytes_ = static_cast<std::uint32_t>(bytes.size());
    index_.last_sequence = sequence_;
    ticket_ = core_.ticket(Owner::cleaner);
    doing_ = Doing::group;
    const std::uint64_t at = core_.address(output.header.segment, opening ? 0 : position_);
    if (core_.storage.start_write(ticket_, at, bytes)) return true;
    ticket_ = 0;
    return false;
}

bool Cleaner::write_footer(Instant now) {
    Output& output = outputs_.back();
    index_.data_end = position_;
    // The present source goes on in the next segment: this one is not the last that holds it.
    if (batch_waits_)
        for (const auto& [id, seen] : seen_)
            if (const auto link = output.links.find(id); link != output.links.end())
                link->second.ordinal = std::min(
                    link->second.ordinal, expected_[id].ordinal - (expected_[id].ordinal > 0));
    CommitHeader header = core_.commit_header(now);
    header.generation = output.header.generation;
    header.sequence = sequence_;
    const std::vector<std::uint8_t> footer =
        encode_footer(index_, header, output.header.salt, core_.page, core_.segment_bytes);
    if (footer.empty() || position_ + footer.size() > core_.segment_bytes) return false;
    footer_memory_.reserve(footer.size(), 0);
    copy_bytes(footer, {footer_memory_.data(), footer.size()});
    flight_bytes_ = static_cast<std::uint32_t>(footer.size());
    output.data_end = position_;
    output.footer_position = core_.segment_bytes - flight_bytes_;
    output.batch_bytes = index_.batch_bytes;
    output.last_age_ms = index_.last_age_ms;
    output.live_bytes = index_.live_bytes();
    output.batches = index_.batches();
    ticket_ = core_.ticket(Owner::cleaner);
    doing_ = Doing::footer;
    const std::uint64_t at = core_.address(output.header.segment, output.footer_position);
    if (core_.storage.start_write(ticket_, at, {footer_memory_.data(), footer.size()})) return true;
    ticket_ = 0;
    return false;
}

void Cleaner::on_done(Instant now, std::uint64_t ticket, bool good) {
    if (ticket != ticket_) return;
    ticket_ = 0;
    const Doing done = std::exchange(doing_, Doing::nothing);
    const Instant next = urgent() ? now : now + cleaner_pace;
    if (done == Doing::read || done == Doing::ask_header || done == Doing::ask_page) {
        next_at_ = next;
        if (done == Doing::read)
            on_read(good);
        else
            on_asked(done, good);
        return;
    }
    if (!good) {
        // The segment is not written again in this life; what it copied is still where it was.
        ++core_.counters.write_errors;
        put_back(no_segment);
        return;
    }
    next_at_ = next;
    core_.counters.written_cleaner += flight_bytes_;
    if (done == Doing::piece) {
        large_at_ += flight_bytes_;
        if (large_at_ < large_bytes_) return;  // the rest in its turn
        end_large();
        return;
    }
    ++sequence_;
    if (done == Doing::footer) {
        output_open_ = false;
        return;
    }
    position_ += group_.padded();
    group_.clear(core_.page + cleaner_block_bytes);
}

}  // namespace leat::log
