// A segment moves into another one, byte for byte but for what its number and generation are in.
#include <algorithm>

#include "broker/log/shrink.hpp"
#include "sdk/base/crc32c.hpp"

namespace leat::log {

/// From the end: the last ones first. After a failure another one.
bool Shrinker::choose() {
    const auto& ring = core_.segments.ring();
    std::uint32_t best = no_segment, other = no_segment;
    for (std::size_t i = 0; i < ring.size(); ++i) {
        const std::uint32_t segment = ring[i];
        const SegmentEntry& entry = core_.segments[segment];
        if (!core_.segments.leaving(segment) || entry.state != SegmentState::sealed ||
            entry.place >= core_.redo_place || cleaner_.plans(segment))
            continue;
        // After damage copies and their sources may both be live: their order is not to change.
        const auto same = [&](std::size_t at) {
            return at < ring.size() && core_.segments[ring[at]].place == entry.place;
        };
        if (same(i - 1) || same(i + 1)) continue;
        std::uint32_t& choice = failed_ && segment >= from_ ? other : best;
        if (choice == no_segment || segment > choice) choice = segment;
    }
    if (best == no_segment) best = other;
    if (best == no_segment) return false;
    to_ = core_.segments.take_for_move();
    if (to_ == no_segment) return false;
    from_ = best;
    from_generation_ = core_.segments[best].generation;
    block_.reserve(cleaner_block_bytes, 0);
    return true;
}

bool Shrinker::still_there() const {
    const SegmentEntry& entry = core_.segments[from_];
    return entry.generation == from_generation_ && entry.state == SegmentState::sealed;
}

void Shrinker::read(Instant now, std::uint32_t position, std::uint32_t bytes) {
    position_ = position;
    bytes_ = bytes;
    ticket_ = core_.ticket(Owner::shrink);
    core_.counters.read += bytes;
    if (!core_.storage.start_read(ticket_, core_.address(from_, position), {block_.data(), bytes}))
        on_done(now, ticket_, false);
}

void Shrinker::write(Instant now, std::uint32_t position, std::uint32_t bytes) {
    ticket_ = core_.ticket(Owner::shrink);
    core_.counters.written_cleaner += bytes;
    if (!core_.storage.start_write(ticket_, core_.address(to_, position), {block_.data(), bytes}))
        on_done(now, ticket_, false);
}

/// What the new header says. Of one that does not hold the first commit tells what counts.
void Shrinker::take_header(Instant now) {
    const SegmentEntry& entry = core_.segments[from_];
    const ByteView block{block_.data(), bytes_};
    const auto found = decode_segment_header(block.first(segment_header_bytes));
    const auto commit =
        decode_commit_header(block.subspan(core_.page, commit_header_bytes), entry.salt);
    header_ = {};
    if (found && found->generation == from_generation_) {
        header_.first_sequence = found->first_sequence;
        header_.run = found->run;
    } else if (commit && commit->generation == from_generation_) {
        header_.first_sequence = commit->sequence;
        header_.run = commit->run;
    }
    const std::uint32_t run = header_.run;
    header_.area = Area::survivors;
    header_.place = entry.place;
    const std::uint32_t salt = entry.salt;
    SegmentEntry& to = core_.begin_segment(now, to_, header_);
    header_.run = run;
    header_.salt = to.salt = salt;
    to.place = 0;  // it is in the ring when it is handed over
    to.records = true;
    to_generation_ = header_.generation;
}

/// Until all of it is there the header says that it is nothing to be found.
void Shrinker::write_header(Instant now, SegmentClass kind) {
    header_.kind = kind;
    std::fill_n(block_.data(), core_.page, std::uint8_t{0});
    encode_segment_header(header_, {block_.data(), core_.page});
    write(now, 0, core_.page);
}

/// Commits and trailer bear the generation: each that holds gets the new one.
void Shrinker::patch() {
    const std::uint32_t salt = header_.salt;
    for (std::uint32_t at = 0; at + commit_header_bytes <= bytes_; at += core_.page) {
        auto commit = decode_commit_header({block_.data() + at, commit_header_bytes}, salt);
        if (!commit || commit->generation != from_generation_ || commit->position != position_ + at)
            continue;
        commit->generation = to_generation_;
        encode_commit_header(*commit, salt, block_.data() + at);
    }
    if (position_ + bytes_ != core_.segment_bytes) return;
    std::uint8_t* last = block_.data() + bytes_ - footer_trailer_bytes;
    if (!decode_trailer({last, footer_trailer_bytes}, from_generation_, salt, core_.segment_bytes))
        return;
    store_little<std::uint64_t>(last + 8, to_generation_);
    store_little<std::uint32_t>(last + 4, crc32c(salt, {last + 8, footer_trailer_bytes - 8}));
}

/// Reads what comes behind position_, or writes the header when that was all.
void Shrinker::next_block(Instant now) {
    if (!still_there()) {  // all of it died, or was packed
        put_back(now, false);
        return;
    }
    const SegmentEntry& entry = core_.segments[from_];
    const auto end = static_cast<std::uint32_t>(
        std::min<std::uint64_t>(round_up(entry.data_end, core_.page), core_.segment_bytes));
    const std::uint32_t footer =
        entry.footer_position != 0 ? entry.footer_position : core_.segment_bytes;
    std::uint32_t at = position_ + bytes_, until = end;
    if (at >= end) {
        at = std::max(at, footer);
        until = core_.segment_bytes;
    }
    if (at >= core_.segment_bytes) {
        stage_ = Stage::seal;
        write_header(now, SegmentClass::mixed);
        return;
    }
    stage_ = Stage::read;
    read(now, at, std::min(cleaner_block_bytes, until - at));
}

void Shrinker::on_done(Instant now, std::uint64_t ticket, bool good) {
    if (ticket != ticket_) return;
    ticket_ = 0;
    if (stage_ == Stage::give_back) {
        if (!good) ++core_.counters.write_errors;
        if (good) core_.counters.given_back += giving_;
        core_.geometry = core_.storage.geometry();
        stage_ = Stage::idle;
        return;
    }
    next_at_ = now + cleaner_pace;
    const bool writing = stage_ == Stage::write || stage_ == Stage::seal;
    if (!good) {
        if (writing) ++core_.counters.write_errors;
        put_back(now, true);
    } else if (stopped_ || !still_there()) {
        put_back(now, false);
    } else if (stage_ == Stage::begin) {
        take_header(now);
        stage_ = Stage::write;
        position_ = 0;
        bytes_ = core_.page;  // what was copied so far
        write_header(now, SegmentClass::facts);
    } else if (stage_ == Stage::read) {
        patch();
        stage_ = Stage::write;
        write(now, position_, bytes_);
    } else if (stage_ == Stage::seal) {
        stage_ = Stage::hand_over;
        hand_over(now);
    }
}

/// Between two checkpoints: streams and table of one checkpoint must tell of the same places.
void Shrinker::hand_over(Instant now) {
    if (!still_there()) {
        put_back(now, false);
        return;
    }
    if (checkpoints_.running() || cleaner_.plans(from_)) return;
    SegmentEntry copy = core_.segments[from_];
    copy.generation = to_generation_;
    copy.area = Area::survivors;
    copy.records = true;
    copy.failures = 0;
    // At the same place of the ring: whoever goes through it goes on there.
    core_.segments.leave_ring(from_);
    core_.segments[to_] = copy;
    core_.segments.enter_ring(to_);
    for (auto& [id, stream] : core_.streams.all()) repoint(stream);
    compaction_.moved(from_, to_);
    moved_.push_back({from_, checkpoints_.next_number()});
    core_.counters.moved_bytes += core_.segment_bytes;
    ++core_.layout;
    failed_ = false;
    patience_ = milliseconds(1000);
    stage_ = Stage::idle;
    from_ = to_ = no_segment;
    block_.free();
    next_at_ = now;
}

void Shrinker::repoint(Stream& stream) const {
    Stream::each_links(stream, [this](auto& links) {
        for (Link& link : links)
            if (link.segment == from_) link.segment = to_;
    });
}

/// The copy comes to nothing: what was begun is free again.
void Shrinker::put_back(Instant now, bool failed) {
    core_.segments.move_failed(to_);
    to_ = no_segment;
    stage_ = Stage::idle;
    block_.free();
    failed_ = failed;
    if (!failed) return;
    tell(Shrinking::unreadable);
    next_at_ = now + patience_;
    patience_ = std::min(patience_ * 2, shrink_patience_max);
}

}  // namespace leat::log
