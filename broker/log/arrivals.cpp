#include "broker/log/arrivals.hpp"

#include <algorithm>

namespace leat::log {

namespace {
constexpr std::size_t kept_bytes = 1088 * KiB;  ///< a batch of max.message.bytes and its frame
constexpr std::size_t entries_at_once = 512;    ///< some 0.1 ms
constexpr milliseconds untaken_wait{10};

/// The only segment that may be opened is, for a moment, not to be.
bool next_is_zeroed(const SegmentTable& segments) {
    return segments.free_count() > segments_kept_for_checkpoint &&
           segments.next_promised() == no_segment && !segments.promised().empty();
}
}  // namespace

Arrivals::Arrivals(Core& core)
    : core_(core),
      first_(core.page, core.geometry.align, footer_rides_bytes),
      second_(core.page, core.geometry.align, footer_rides_bytes),
      footer_memory_(core.geometry.align),
      recent_(core.config.recent_bytes) {}

void Arrivals::resume(Tail tail) {
    place_ = tail.place;
    next_sequence_ = tail.next_sequence;
    announced_ = std::move(tail.announced);
    if (tail.segment == no_segment) return;
    index_ = std::move(tail.index);
    replay_.reset(index_);
    segment_ = tail.segment;
    position_ = tail.position;
    if (tail.closed) {
        last_.segment = segment_;
        last_.end = position_;
        last_.generation = core_.segments[segment_].generation;
        segment_ = no_segment;
    }
}

MutableBytes Arrivals::add_at(Instant now, Instant came, FrameType type, StreamId stream,
                              std::uint32_t body, CommitId& id) {
    const auto frame = static_cast<std::uint32_t>(round_up(frame_header_bytes + body, 8));
    if (!open_->empty() && open_->used() + frame > core_.group_bytes_max()) {
        due_now_ = true;
        pump(now);  // a batch: room_for saw that nothing is in the way
    }
    id = core_.next_id++;
    if (writing_ != Writing::nothing) waited_ = true;
    open_growth_ += footer_growth(type, body);
    return open_->add(type, stream, body, id, came);
}

bool Arrivals::due(Instant now) const {
    if (open_->empty()) return false;
    if (due_now_ || seal_ == Seal::wanted || open_->used() >= cut_bytes) return true;
    return core_.governor.due(open_->first_came(), now, open_->used()) <= now;
}

Instant Arrivals::deadline(Instant now) const {
    if (writing_ != Writing::nothing && !untaken_.bytes.empty())
        return untaken_.error == Error::full ? now + untaken_wait : now;
    if (writing_ != Writing::nothing) return write_is_slow_ ? never : write_since_ + slow_write;
    if (core_.read_only) return seal_ == Seal::no ? probe_at_ : never;
    if (open_->empty() || stuck_) return never;
    if (zeros_in_the_way(std::uint64_t{position_} + open_->padded())) return never;
    // To be woken at once, over and over, would keep the thread that writes them from its core.
    if (footer_waits_ && zeros_in_the_way(core_.segment_bytes)) return never;
    if (due_now_ || open_->used() >= cut_bytes) return now;
    return core_.governor.due(open_->first_came(), now, open_->used());
}

void Arrivals::pump(Instant now) {
    gone_.shed(entries_at_once);
    if (writing_ != Writing::nothing) {
        if (!untaken_.bytes.empty()) {
            const Untaken again = std::exchange(untaken_, {});
            if (again.error != Error::full) return on_write_done(now, ticket_, false);
            submit(again.at, again.bytes);
        }
        if (write_is_slow_ || now - write_since_ < slow_write) return;
        write_is_slow_ = true;
        ++core_.counters.slow_writes;
        return;
    }
    if (core_.read_only) {
        if (probe_at_ <= now && seal_ == Seal::no) probe(now);
        return;
    }
    // At most one small piece of zeros; when it is done this is called again.
    if (zeros_in_the_way(std::uint64_t{position_} + open_->padded())) return;
    if (!due(now)) {
        if (move_on_ && open_->empty() && seal_ == Seal::no) {
            leave_segment(now);
            return;
        }
        if (seal_ != Seal::wanted || !open_->empty()) return;
        if (next_is_zeroed(core_.segments)) return;  // when that is done this is called again
        if (segment_ != no_segment && room() < core_.page) {
            // Closed with a successor that a checkpoint may take, it would be closed for good.
            if (!may_open()) {
                seal_ = Seal::done;
                return;
            }
            if (!zeros_in_the_way(core_.segment_bytes) && make_footer(now)) write_footer(now);
            return;
        }
        if (segment_ == no_segment && !may_open()) {
            seal_ = Seal::done;  // no room for it: the next start looks as after a power cut, and
                                 // loses nothing
            return;
        }
        flight_is_seal_ = true;
        seal_ = Seal::writing;
        write_group(now);
        return;
    }
    if (prepare(now)) {
        flight_is_seal_ = false;
        write_group(now);
    } else if (stuck_ && seal_ == Seal::wanted) {
        discard();  // nobody was promised it, and whoever stops does not wait for room
        pump(now);
    }
}

void Arrivals::leave_segment(Instant now) {
    move_on_ = place_ != 0 && (core_.segments.leaving(newest_segment()) ||
                               core_.segments.promises_leaving());
    if (!move_on_ || !may_open()) return;
    if (segment_ == no_segment) {
        core_.segments.prefer_promised(announced_);
        const std::uint32_t next = core_.segments.next_promised();
        if (std::find(announced_.begin(), announced_.end(), next) == announced_.end()) return;
        flight_is_seal_ = false;
        write_group(now);
    } else if (!zeros_in_the_way(core_.segment_bytes) && make_footer(now)) {
        write_footer(now);
    }
}

bool Arrivals::prepare(Instant now) {
    LEAT_CHECK(flight_->empty());
    footer_waits_ = false;
    // Nothing to go on in: what waits is not lost, it goes out when upkeep has freed a segment.
    stuck_ = segment_ == no_segment && !may_open();
    if (stuck_) return false;
    const std::uint32_t space = room();
    std::size_t fits = open_->entries().size();
    if (round_up(open_->used(), core_.page) + round_up(growth(*open_), core_.page) > space)
        fits = fitting(*open_, space);
    const bool starts_with_more =
        decode_frame_header(open_->frame(open_->entries().front()).data()).type == FrameType::more;
    if (fits == 0 && segment_ != no_segment && !starts_with_more) {
        // Its footer would name the successors there are now, none; and the seal has a page here.
        stuck_ = !may_open();
        if (stuck_) return false;
        footer_waits_ = zeros_in_the_way(core_.segment_bytes);
        if (footer_waits_ || !make_footer(now)) return false;
        if (footer_may_ride()) {
            close_segment(Footer::rides);
            return prepare(now);
        }
        write_footer(now);
        return false;
    }
    if (fits == 0) fits = 1;  // a lone large batch in a fresh segment
    if (fits < open_->entries().size()) {
        open_->move_rest(fits, *flight_);
    } else if (waited_ && segment_ != no_segment && open_->used() < cut_below_bytes) {
        // More is coming while we write: end on a 16 KiB boundary and leave the rest to the next
        // commit.
        const std::uint64_t end =
            (std::uint64_t{position_} + open_->used()) / cut_bytes * cut_bytes;
        const bool spare =
            room() >= open_->padded() + round_up(growth(*open_), core_.page) + 2 * core_.page;
        if (end > std::uint64_t{position_} + 2 * commit_header_bytes &&
            end < std::uint64_t{position_} + open_->used() && spare)
            (void)open_->cut_at(static_cast<std::uint32_t>(end - position_), *flight_);
    }
    // What goes out is in *open_, what stays in *flight_.
    return true;
}

bool Arrivals::open_segment(Instant now) {
    header_ = {};
    header_.segment = no_segment;
    if (place_ != 0) core_.segments.prefer_promised(announced_);
    const std::uint32_t segment = core_.segments.next_promised();
    const bool told =
        place_ == 0 || std::find(announced_.begin(), announced_.end(), segment) != announced_.end();
    if (segment == no_segment || !told) return false;
    (void)core_.segments.take_promised();
    core_.segments.top_up_promised();
    header_.place = place_ + 1;
    header_.first_sequence = next_sequence_;
    header_.predecessor = last_.segment;
    header_.predecessor_end = last_.end;
    header_.predecessor_generation = last_.generation;
    header_.candidates = core_.segments.candidates();
    const SegmentEntry& before = core_.segments[segment];
    opens_first_life_ = before.generation == 0;
    opens_zeroed_to_ = before.zeroed ? zeroed_ahead_bytes(core_.segment_bytes) : 0;
    core_.begin_segment(now, segment, header_);
    return true;
}

void Arrivals::write_group(Instant now) {
    std::swap(open_, flight_);
    waited_ = false;
    due_now_ = !open_->empty() && due_now_;
    flight_growth_ = growth(*flight_);
    open_growth_ = growth(*open_);
    opening_ = segment_ == no_segment;
    if (opening_ && !open_segment(now)) {
        group_failed(now);  // no successor that could be found again
        return;
    }
    const std::uint32_t segment = opening_ ? header_.segment : segment_;
    const std::uint32_t position = opening_ ? core_.page : position_;
    flight_header_ = core_.commit_header(now);
    flight_header_.generation = core_.segments[segment].generation;
    flight_header_.sequence = next_sequence_;
    flight_header_.position = position;
    flight_header_.kind = flight_is_seal_ ? CommitKind::seal : CommitKind::data;
    if (!flight_is_seal_) core_.governor.spend(now, flight_->used());
    ByteView bytes;
    if (opening_) {
        std::uint8_t page[segment_header_bytes];
        encode_segment_header(header_, page);
        LEAT_CHECK(footer_.empty() || segment == last_.segment + 1);
        const std::uint32_t salt = core_.segments[segment].salt;
        bytes = flight_->finish_opening(flight_header_, salt, page, footer_);
    } else {
        bytes = flight_->finish(flight_header_, core_.segments[segment].salt);
    }
    flight_bytes_ = bytes.size();
    ticket_ = core_.ticket(Owner::arrivals);
    writing_ = Writing::group;
    write_since_ = now;
    const std::uint64_t at = core_.address(segment, opening_ ? 0 : position) - footer_.size();
    if (core_.faults.acknowledge_early && !flight_->empty()) core_.flushed_id = flight_->last_id();
    submit(at, bytes);
    if (core_.faults.footer_early) write_footer_early(now);
}

/// A device that has its hands full is asked again: no failed write. What else it says is one,
/// but not at once: who caused it may be adding to the group that would be taken back.
void Arrivals::submit(std::uint64_t at, ByteView bytes) {
    const Status started = core_.storage.start_write(ticket_, at, bytes);
    if (!started) untaken_ = {at, bytes, started.error()};
}

void Arrivals::on_write_done(Instant now, std::uint64_t ticket, bool good) {
    if (ticket != ticket_ || writing_ == Writing::nothing) return;
    const Writing what = std::exchange(writing_, Writing::nothing);
    write_is_slow_ = false;
    if (!good) ++core_.counters.write_errors;
    if (good) core_.writes_fail = false;
    if (what == Writing::footer) {
        if (good || finds_successor())
            close_segment(good ? Footer::durable : Footer::none);
        else
            hold(now);
    } else if (probing_ && !good) {
        probing_ = false;
        if (header_.segment != no_segment) core_.segments.opening_failed(header_.segment, false);
        probe_wait_ = std::min(probe_wait_ * 2, probe_wait_max);
        probe_at_ = now + probe_wait_;
    } else if (good) {
        group_durable(now);
    } else {
        group_failed(now);
    }
    pump(now);
}

void Arrivals::index_flight() {
    replay_.begin_commit(next_sequence_, flight_header_.age_ms());
    for (const Group::Entry& item : flight_->entries()) {
        const ByteView frame = flight_->frame(item);
        const FrameHeader header = decode_frame_header(frame.data());
        if (const auto batch = replay_.on_frame(header, frame, flight_header_.position + item.at)) {
            apply_durable_batch(core_, index_, segment_, *batch);
        } else if (header.type == FrameType::log_end) {
            Stream* stream = core_.streams.find(header.stream);
            const Offset offset = load_little<std::int64_t>(frame.data() + frame_header_bytes);
            if (stream != nullptr) stream->state.flushed = std::max(stream->state.flushed, offset);
        }
    }
    index_.last_sequence = next_sequence_;
    index_.last_age_ms = flight_header_.age_ms();
}

void Arrivals::group_durable(Instant now) {
    if (opening_) {
        riding_footer_durable();
        segment_ = header_.segment;
        place_ = header_.place;
        announced_ = header_.candidates;
        core_.segments.drop_promises(announced_);
        core_.segments.push_ring(segment_);
        core_.segments[segment_].failures = 0;
        first_life_ = opens_first_life_;
        zeroed_to_ = opens_zeroed_to_;
        core_.counters.written_other += core_.page;
        index_ = {};
        replay_.reset(index_);
    }
    if (!std::exchange(indexed_, false)) index_flight();
    SegmentEntry& entry = core_.segments[segment_];
    const std::uint32_t position = flight_header_.position;
    const std::uint32_t commit_bytes = flight_->padded();
    core_.counters.payload += flight_->payload_bytes();
    core_.counters.written_data += flight_->used();
    core_.counters.written_padding += commit_bytes - flight_->used();
    ++core_.counters.commits;
    bytes_written_ += flight_bytes_;
    if (!flight_->empty()) {
        const CommitId last = flight_->continues() ? flight_->last_id() - 1 : flight_->last_id();
        core_.facts.durable(last, next_sequence_);
        core_.producers.durable(last);
        core_.flushed_id = std::max(core_.flushed_id, last);
        const ByteView commit(
            flight_->frame(flight_->entries().front()).data() - commit_header_bytes, commit_bytes);
        recent_.add(segment_, entry.generation, position, commit);
    }
    ++next_sequence_;
    position_ = position + commit_bytes;
    entry.data_end = position_;
    entry.last_age_ms = index_.last_age_ms;
    entry.batch_bytes =
        static_cast<std::uint32_t>(std::min<std::uint64_t>(index_.batch_bytes, UINT32_MAX));
    retried_ = false;
    if (std::exchange(probing_, false)) {
        core_.read_only = false;
        probe_wait_ = probe_wait;
        probe_at_ = never;
    }
    usual_bytes_ = (usual_bytes_ * 7 + commit_bytes) / 8;
    part_.clear();
    if (flight_->continues()) {
        const ByteView frame = flight_->frame(flight_->entries().back());
        const ByteView body =
            frame.subspan(frame_header_bytes, decode_frame_header(frame.data()).body_bytes);
        part_.assign(body.begin(), body.end());
    }
    if (flight_is_seal_) seal_ = Seal::done;
    // What a producer's largest batch needs stays while more may come: as memory that is new each
    // time it cost more than all the copying. It goes back when the log is idle.
    flight_->clear(core_.page + std::max<std::size_t>(core_.group_bytes_max(), kept_bytes));
    (void)now;
}

void Arrivals::give_back_memory() {
    if (!idle() || core_.read_only) return;
    gone_ = {};
    open_->clear(core_.page + 16 * KiB);
    flight_->clear(0);
}

void Arrivals::seal(Instant now) {
    if (seal_ != Seal::no) return;
    if (core_.read_only) {
        seal_ = Seal::done;
        return;
    }
    due_now_ = true;
    seal_ = Seal::wanted;
    pump(now);
}

}  // namespace leat::log
