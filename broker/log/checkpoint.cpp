#include "broker/log/checkpoint_parity.hpp"

#include <algorithm>

namespace leat::log {

namespace {
constexpr std::uint32_t segments_per_frame = 64;
}  // namespace

CheckpointWriter::CheckpointWriter(Core& core, Arrivals& arrivals)
    : core_(core),
      arrivals_(arrivals),
      group_(core.page, core.geometry.align),
      super_memory_(core.geometry.align),
      zeros_memory_(core.geometry.align) {
    if (carries_parity(core.segments.size(), core.segment_bytes))
        parity_ = std::make_unique<Parity>(core.page);
}
CheckpointWriter::~CheckpointWriter() = default;

void CheckpointWriter::resume(Tail tail) {
    segment_ = tail.segment;
    position_ = tail.position;
    survivors_place_ = tail.place;
    sequence_ = tail.next_sequence;
    // None is used twice, though one that was begun may have left nothing: books name them.
    number_ = std::max(tail.number, std::uint64_t{core_.run} << 32);
    core_.checkpoint_bytes = tail.bytes;
    core_.checkpoint_number = tail.number;
    // Whether the open segment was used before is not written down. Not, if the log has not yet
    // opened as many as there are; a wrong guess costs zeros where nothing is.
    first_life_ =
        segment_ != no_segment && arrivals_.place() + survivors_place_ <= core_.segments.size();
    durable_extents_ = std::move(tail.extents);
    before_ = (arrivals_.place() - std::min(arrivals_.place(), core_.redo_place)) *
              core_.segment_bytes;
}

void CheckpointWriter::begin(Instant now) {
    wanted_ = false;
    before_ = 0;
    begun_at_bytes_ = arrivals_.bytes_written();
    begun_at_rollback_ = core_.rollbacks;
    const std::uint32_t redo = arrivals_.newest_segment();
    begin_ = {};
    begin_.number = ++number_;
    begin_.redo_segment = redo;
    begin_.redo_generation = core_.segments[redo].generation;
    begin_.redo_place = arrivals_.place();
    begin_.redo_sequence = arrivals_.next_sequence();
    begin_.survivors_place = survivors_place_;
    begin_.log_time_ms = core_.time.log_ms(now);
    begin_.off_time_ms = core_.time.off_ms();
    begin_.trusted_wall_ms = core_.time.trusted_wall_ms();
    begin_.trusted_at_ms = core_.time.trusted_at_ms();
    end_ = {};
    end_.number = number_;
    if (parity_) parity_->clear();
    pool_ = core_.segments.end_of_use();
    if (segment_ != no_segment && core_.segments.leaving(segment_) &&
        core_.segments.all_withheld()) {
        core_.segments[segment_].state = SegmentState::sealed;
        segment_ = no_segment;
    }
    // In two segments it would keep both of them until the next one comes, which a full log may
    // not write for long: where one is enough, it begins in one.
    const std::uint64_t soon = core_.checkpoint_bytes_soon() + core_.page;
    if (segment_ != no_segment && soon > core_.segment_bytes - position_ &&
        soon <= core_.segment_bytes - core_.page) {
        core_.segments[segment_].state = SegmentState::sealed;
        segment_ = no_segment;
    }
    next_stream_ = 0;
    streams_left_ = true;
    next_producer_ = {0, INT64_MIN};
    next_fact_.clear();
    next_segment_ = 0;
    second_slot_ = false;
    phase_ = Phase::streams;
    encode_begin(body_, begin_);
    add(FrameType::checkpoint_begin, 0);
}

void CheckpointWriter::add(FrameType type, StreamId stream) {
    copy_bytes(body_,
               group_.add(type, stream, static_cast<std::uint32_t>(body_.size()), 0, Instant{}));
    body_.clear();
    ++end_.frames;
}

bool CheckpointWriter::collect(Instant) {
    const std::uint32_t limit = chunk_max();
    while (group_.used() < limit / 2) {
        if (phase_ == Phase::streams) {
            auto& all = core_.streams.all();
            const auto it = streams_left_ ? all.lower_bound(next_stream_) : all.end();
            if (it == all.end()) {
                phase_ = Phase::producers;
                continue;
            }
            streams_left_ = it->first != UINT32_MAX;
            next_stream_ = it->first + 1;
            const StreamState& state = it->second.state;
            if (state.log_end == 0 && it->second.ordinal == 0) continue;
            it->second.grow_newest();
            encode_stream(body_, it->second);
            add(FrameType::checkpoint_stream, it->first);
        } else if (phase_ == Phase::producers) {
            const auto it = core_.producers.all().lower_bound(next_producer_);
            if (it == core_.producers.all().end()) {
                phase_ = Phase::facts;
                continue;
            }
            next_producer_ = {it->first.stream, it->first.producer_id + 1};
            encode_producer(body_, it->first.producer_id, it->second.producer);
            add(FrameType::footer_producer, it->first.stream);
        } else if (phase_ == Phase::facts) {
            const auto it = core_.facts.all().lower_bound(next_fact_);
            if (it == core_.facts.all().end()) {
                phase_ = Phase::segments;
                continue;
            }
            next_fact_ = it->first + '\0';
            const ByteView name = bytes_of(it->first).subspan(1);
            body_.resize(fact_body_bytes + name.size() + it->second.value.size());
            // A write that is not durable yet will be before the end record; its commit is the next
            // at the earliest.
            const std::uint64_t sequence =
                it->second.sequence != 0 ? it->second.sequence : arrivals_.next_sequence();
            encode_fact_body({static_cast<std::uint8_t>(it->first[0]), sequence, name,
                              bytes_of(it->second.value)},
                             body_);
            add(FrameType::fact, 0);
        } else if (phase_ == Phase::segments) {
            if (next_segment_ >= pool_) return true;
            const std::uint32_t count = std::min(segments_per_frame, pool_ - next_segment_);
            encode_segments(body_, core_.segments, next_segment_, count);
            next_segment_ += count;
            add(FrameType::checkpoint_segments, 0);
        } else {
            return true;
        }
    }
    return false;
}

void CheckpointWriter::pump(Instant now) {
    if (writing_ || super_writing_) return;
    if (phase_ == Phase::superblock) {
        if (super_failed_ && now >= retry_at_) write_superblock(now);
        return;
    }
    // What was taken back may stand in it already.
    if (phase_ != Phase::idle && phase_ < Phase::end && core_.rollbacks != begun_at_rollback_)
        abandon(now);
    if (core_.read_only) {
        if (phase_ != Phase::idle) abandon(now);
        if (arrivals_.wants_new_run(now)) begin_run(now);
        return;
    }
    if (phase_ == Phase::idle) {
        const std::uint64_t written = arrivals_.bytes_written();
        const bool due = before_ + written >= begun_at_bytes_ + checkpoint_gap(core_);
        if ((!wanted_ && !due) || now < retry_at_ || arrivals_.newest_segment() == no_segment)
            return;
        begin(now);
    }
    if (phase_ < Phase::wait_durable && collect(now)) {
        barrier_ = core_.next_id - 1;
        phase_ = Phase::wait_durable;
    }
    if (phase_ >= Phase::wait_durable && phase_ < Phase::end && group_.empty() &&
        !finish_collecting()) {
        arrivals_.flush_soon();
        return;
    }
    if (waits_for_arrivals())
        arrivals_.flush_soon();
    else if (!write(now))
        abandon(now);
}

/// The last segment but one may be promised to the ring, and a checkpoint ends only when what waits
/// there is durable: taken here, each would wait for the other.
bool CheckpointWriter::waits_for_arrivals() const {
    const bool opens = segment_ == no_segment || group_.padded() > core_.segment_bytes - position_;
    return opens && core_.segments.free_count() == segments_kept_for_checkpoint + 1 &&
           arrivals_.needs_segment();
}

bool CheckpointWriter::write(Instant now) {
    if (segment_ != no_segment && group_.padded() > core_.segment_bytes - position_) {
        core_.segments[segment_].state = SegmentState::sealed;
        segment_ = no_segment;
    }
    opening_ = segment_ == no_segment;
    if (opening_) {
        const std::uint32_t segment = core_.segments.take_for_survivors();
        if (segment == no_segment) return false;
        header_ = {};
        header_.area = Area::survivors;
        header_.kind = SegmentClass::facts;
        header_.place = ++survivors_place_;
        header_.first_sequence = sequence_;
        first_life_ = core_.segments[segment].generation == 0;
        core_.begin_segment(now, segment, header_);
        segment_ = segment;
        ++core_.checkpoint_taken;
        position_ = core_.page;
        zeroed_to_ = 0;
    }
    CommitHeader header = core_.commit_header(now);
    header.kind = CommitKind::checkpoint;
    header.generation = core_.segments[segment_].generation;
    header.sequence = sequence_;
    header.position = flight_position_ = position_;
    flight_bytes_ = group_.padded();
    if (phase_ == Phase::end) {
        place_ = {segment_, position_, flight_bytes_, core_.segments[segment_].salt,
                  header.generation};
    }
    ByteView bytes;
    if (opening_) {
        std::uint8_t page[segment_header_bytes];
        encode_segment_header(header_, page);
        bytes = group_.finish_opening(header, core_.segments[segment_].salt, page);
    } else {
        bytes = group_.finish(header, core_.segments[segment_].salt);
    }
    if (parity_ && phase_ < Phase::parity) parity_->add(bytes.subspan(opening_ ? core_.page : 0));
    ticket_ = core_.ticket(Owner::checkpoint);
    writing_ = true;
    const std::uint32_t from = opening_ ? 0 : position_;
    if (!core_.storage.start_write(ticket_, core_.address(segment_, from),
                                   with_zeros_behind(from, bytes)))
        on_write_done(now, ticket_, false);
    else if (core_.faults.superblock_first && phase_ == Phase::end)
        write_superblock(now);
    return true;
}

ByteView CheckpointWriter::with_zeros_behind(std::uint32_t from, ByteView bytes) {
    const std::uint32_t end = from + static_cast<std::uint32_t>(bytes.size());
    if (!first_life_ || end <= zeroed_to_ || bytes.size() >= cut_bytes) return bytes;
    const std::uint32_t piece = zeroed_ahead_bytes(core_.segment_bytes);
    zeroed_to_ = std::min(core_.segment_bytes, (end + piece - 1) / piece * piece);
    const std::size_t size = zeroed_to_ - from;
    zeros_memory_.reserve(size, 0);
    copy_bytes(bytes, {zeros_memory_.data(), bytes.size()});
    std::fill(zeros_memory_.data() + bytes.size(), zeros_memory_.data() + size, std::uint8_t{0});
    core_.counters.written_zeros += size - bytes.size();
    return {zeros_memory_.data(), size};
}

void CheckpointWriter::on_write_done(Instant now, std::uint64_t ticket, bool good) {
    if (ticket != ticket_ || !writing_) return;
    writing_ = false;
    zeros_memory_.free();
    if (!good) {
        // The segment is not written again; what of the old checkpoint lies in it stays readable.
        ++core_.counters.write_errors;
        const bool blamed = core_.blame_segment();
        if (opening_)
            core_.segments.opening_failed(segment_, blamed);
        else
            core_.segments[segment_].state = SegmentState::sealed;
        segment_ = no_segment;
        abandon(now);
        return;
    }
    core_.writes_fail = false;
    core_.counters.written_checkpoint += flight_bytes_ + (opening_ ? core_.page : 0);
    end_.bytes += flight_bytes_;
    const SegmentEntry& entry = core_.segments[segment_];
    std::vector<CheckpointExtent>& extents = end_.extents;
    if (!extents.empty() && extents.back().segment == segment_ &&
        extents.back().to == flight_position_)
        extents.back().to += flight_bytes_;
    else
        extents.push_back({segment_, entry.salt, entry.generation, flight_position_,
                           flight_position_ + flight_bytes_});
    position_ = flight_position_ + flight_bytes_;
    core_.segments[segment_].failures = 0;
    core_.segments[segment_].data_end = position_;
    core_.segments[segment_].last_age_ms = core_.time.age_ms(now);
    ++sequence_;
    group_.clear(core_.page + 16 * KiB);
    if (phase_ == Phase::end) {
        phase_ = Phase::superblock;
        if (!core_.faults.superblock_first)
            write_superblock(now);
        else if (!super_writing_)
            finish();
        return;
    }
    pump(now);
}

void CheckpointWriter::write_superblock(Instant now) {
    Superblock super = core_.super;
    ++super.sequence;
    if (super.checkpoint != place_) super.previous = super.checkpoint;
    super.checkpoint = place_;
    super.segments = pool_;
    super.unlisted_copies = super.unlisted_copies && begins_run_;
    super.log_time_ms = core_.time.log_ms(now);
    super.off_time_ms = core_.time.off_ms();
    super.trusted_wall_ms = core_.time.trusted_wall_ms();
    super.trusted_at_log_time_ms = core_.time.trusted_at_ms();
    const std::size_t size = std::max<std::size_t>(superblock_bytes, core_.geometry.write_size);
    super_memory_.reserve(size, 0);
    std::fill_n(super_memory_.data(), size, std::uint8_t{0});
    encode_superblock(super, {super_memory_.data(), size});
    core_.super = super;
    super_ticket_ = core_.ticket(Owner::superblock);
    super_writing_ = true;
    const std::uint64_t at = (super.sequence & 1) * super.slot_bytes;
    if (!core_.storage.start_write(super_ticket_, at, {super_memory_.data(), size}))
        on_superblock_done(now, super_ticket_, false);
}

void CheckpointWriter::on_superblock_done(Instant now, std::uint64_t ticket, bool good) {
    if (ticket != super_ticket_ || !super_writing_) return;
    super_writing_ = false;
    if (good && super_failed_ && !super_verifying_) {
        // A device that failed may say yes while it holds the old bytes: only what it gives back
        // counts.
        const std::size_t size = std::max<std::size_t>(superblock_bytes, core_.geometry.write_size);
        std::fill_n(super_memory_.data(), size, std::uint8_t{0});
        super_ticket_ = core_.ticket(Owner::superblock);
        super_writing_ = super_verifying_ = true;
        const std::uint64_t at = (core_.super.sequence & 1) * core_.super.slot_bytes;
        if (!core_.storage.start_read(super_ticket_, at, {super_memory_.data(), size}))
            on_superblock_done(now, super_ticket_, false);
        return;
    }
    if (std::exchange(super_verifying_, false)) {
        const auto found = decode_superblock({super_memory_.data(), superblock_bytes});
        good = good && found && found->sequence == core_.super.sequence;
    }
    if (!good) {
        // Which of the two checkpoints a restart would find is not known now, so both stay and
        // nothing is recycled, until the same slot (the other one is known to hold) is written
        // again.
        ++core_.counters.write_errors;
        super_failed_ = true;
        ++core_.super.sequence;
        retry_at_ = now + super_wait_;
        super_wait_ = std::min(super_wait_ * 2, milliseconds(60'000));
        return;
    }
    super_failed_ = false;
    super_wait_ = milliseconds(1000);
    core_.counters.written_other += superblock_bytes;
    // Both slots name it before its predecessor goes: what is lost of one of them costs nothing.
    if (!std::exchange(second_slot_, !second_slot_) && !core_.faults.superblock_first)
        write_superblock(now);
    else if (phase_ == Phase::superblock)
        finish();
}

void CheckpointWriter::finish() {
    if (std::exchange(begins_run_, false)) {
        phase_ = Phase::idle;
        arrivals_.new_run_began();
        return;
    }
    core_.redo_place = begin_.redo_place;
    core_.pool_before = std::exchange(core_.pool, pool_);
    core_.checkpoint_number = begin_.number;
    durable_extents_ = end_.extents;
    core_.checkpoint_bytes = end_.bytes;
    phase_ = Phase::idle;
    free_unused();
}

void CheckpointWriter::abandon(Instant now) {
    group_.clear(core_.page + 16 * KiB);
    body_.clear();
    phase_ = Phase::idle;
    retry_at_ = now + milliseconds(1000);
    wanted_ = true;
    free_unused();
}

void CheckpointWriter::free_unused() {
    core_.checkpoint_taken = 0;
    for (std::uint32_t i = 0; i < core_.segments.size(); ++i) {
        const SegmentEntry& entry = core_.segments[i];
        if (entry.area != Area::survivors || entry.state != SegmentState::sealed || entry.records ||
            i == segment_)
            continue;
        const bool used =
            std::any_of(durable_extents_.begin(), durable_extents_.end(),
                        [&](const CheckpointExtent& extent) { return extent.segment == i; });
        if (used) continue;
        core_.segments.release(i);
        ++core_.counters.segments_recycled;
    }
}

}  // namespace leat::log
