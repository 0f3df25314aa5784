#include "broker/log/scrub.hpp"

#include <algorithm>

namespace leat::log {

const char* damaged_text(DamagedPlace::What what) {
    switch (what) {
        case DamagedPlace::What::header:
            return "segment header";
        case DamagedPlace::What::records:
            return "commit, frame or batch";
        case DamagedPlace::What::footer:
            return "footer";
        case DamagedPlace::What::unreadable:
            return "the device does not read it";
        case DamagedPlace::What::superblock:
            return "superblock";
        case DamagedPlace::What::checkpoint:
            return "checkpoint";
    }
    return "unknown";
}

Scrubber::Scrubber(Core& core, Arrivals& arrivals, Reader& reader)
    : core_(core), arrivals_(arrivals), reader_(reader), block_(core.geometry.align) {}

Instant Scrubber::deadline() const {
    return stopped_ || core_.read_only || busy() || core_.config.scrub_every.count() <= 0
               ? never
               : next_at_;
}

bool Scrubber::gone() const {
    const SegmentEntry& entry = core_.segments[segment_];
    return entry.generation != generation_ || entry.state != SegmentState::sealed ||
           !entry.in_ring();
}

void Scrubber::pump(Instant now) {
    if (stopped_ || core_.read_only || busy() || core_.config.scrub_every.count() <= 0 ||
        now < next_at_)
        return;
    if (next_at_ == Instant{}) {  // a start has other things to read
        next_at_ = now + scrub_pace_max;
        return;
    }
    if (phase_ != Phase::next && gone()) {
        end_segment(now);
        return;
    }
    switch (phase_) {
        case Phase::next:
            if (choose(now)) start_read(now, 0, core_.page);
            return;
        case Phase::header:
        case Phase::data: {
            const auto end =
                static_cast<std::uint32_t>(round_up(core_.segments[segment_].data_end, core_.page));
            if (position_ < end && check_) {
                phase_ = Phase::data;
                start_read(now, position_, std::min(scrub_block_bytes, end - position_));
                return;
            }
            phase_ = Phase::footer;
            position_ = core_.segments[segment_].footer_position;
            footer_.clear();
            [[fallthrough]];
        }
        case Phase::footer:
            // Without a footer its writes failed, and the index is made by reading the segment.
            if (core_.segments[segment_].footer_position != 0 && position_ < core_.segment_bytes) {
                start_read(now, position_,
                           std::min(scrub_block_bytes, core_.segment_bytes - position_));
                return;
            }
            phase_ = Phase::records;
            [[fallthrough]];
        case Phase::records:
            records(now);
            return;
    }
}

/// The pool is gone through in a circle, from where the last run came to, or from a place that
/// chance gives.
bool Scrubber::choose(Instant now) {
    if (choose_refused(now)) return true;
    const std::uint32_t count = core_.segments.size();
    if (circle_ == no_segment) circle_ = kept_place() % count;
    for (std::uint32_t i = 0; i < count; ++i) {
        circle_ = circle_ + 1 >= count ? 0 : circle_ + 1;
        const SegmentEntry& entry = core_.segments[circle_];
        if (entry.state != SegmentState::sealed || !entry.in_ring()) continue;
        begin(circle_);
        return true;
    }
    next_at_ = now + scrub_pace_max;
    return false;
}

/// A segment that was put back, and whose turn has come.
bool Scrubber::choose_refused(Instant now) {
    for (auto at = refused_.begin(); at != refused_.end();) {
        segment_ = at->first.first;
        generation_ = at->second.generation;
        if (gone()) {
            at = refused_.erase(at);
        } else if (now < at->second.refusal.next()) {
            ++at;
        } else {
            begin(segment_);
            return true;
        }
    }
    return false;
}

void Scrubber::begin(std::uint32_t segment) {
    const SegmentEntry& entry = core_.segments[segment];
    segment_ = segment;
    generation_ = entry.generation;
    position_ = core_.page;
    suspect_ = false;
    check_.emplace(entry, core_.page);
    phase_ = Phase::header;
    const std::uint64_t blocks =
        core_.segments.ring().size() * (core_.segment_bytes / scrub_block_bytes + 2);
    pace_ = std::clamp(core_.config.scrub_every / static_cast<std::int64_t>(blocks),
                       scrub_pace_min, scrub_pace_max);
}

/// The block was refused. false: it is lost, and told; else others have their turn before it.
bool Scrubber::put_back(Instant now) {
    const std::pair key{segment_, phase_ == Phase::header ? 0 : position_};
    const auto known = refused_.find(key);
    if (known == refused_.end() && refused_.size() >= scrub_refused_max) return true;
    Refused& refused = refused_[key];
    if (refused.generation != generation_) refused = {.generation = generation_};
    if (!refused.refusal.again(now, core_.reads_given)) return true;
    refused_.erase(key);
    return false;
}

void Scrubber::start_read(Instant now, std::uint32_t position, std::uint32_t bytes) {
    block_.reserve(scrub_block_bytes, 0);
    block_bytes_ = bytes;
    ticket_ = core_.ticket(Owner::scrub);
    const Status started = core_.storage.start_read(ticket_, core_.address(segment_, position),
                                                    {block_.data(), bytes});
    if (!started && started.error() != Error::full) {
        on_done(now, ticket_, false);
        return;
    }
    if (started) {
        core_.counters.read += bytes;
        core_.counters.scrubbed += bytes;
        return;
    }
    // Others keep the device busy: the same again later, a segment from its header on.
    ticket_ = 0;
    next_at_ = now + pace_;
    if (phase_ != Phase::header) return;
    phase_ = Phase::next;
    if (segment_ == circle_) circle_ = (circle_ == 0 ? core_.segments.size() : circle_) - 1;
}

void Scrubber::on_done(Instant now, std::uint64_t ticket, bool good) {
    if (ticket != ticket_) return;
    ticket_ = 0;
    next_at_ = now + pace_;
    if (stopped_ || gone()) return;  // pump() sees it
    if (good) {
        if (!refused_.empty())
            refused_.erase({segment_, phase_ == Phase::header ? 0 : position_});
        look_at_block(now);
    } else if (put_back(now)) {
        end_segment(now);
    } else if (phase_ == Phase::header) {
        damaged(now, DamagedPlace::What::unreadable, 0);
    } else {
        damaged(now, DamagedPlace::What::unreadable, position_);
        if (phase_ == Phase::data) {
            check_.reset();
            suspect_ = true;
        }
        position_ = core_.segment_bytes;
    }
}

void Scrubber::look_at_block(Instant now) {
    const ByteView block{block_.data(), block_bytes_};
    const SegmentEntry& entry = core_.segments[segment_];
    if (phase_ == Phase::header) {
        const Result<SegmentHeader> header =
            decode_segment_header(block.first(segment_header_bytes));
        if (!header || header->generation != generation_ || header->salt != entry.salt ||
            header->segment != segment_)
            damaged(now, DamagedPlace::What::header, 0);
    } else if (phase_ == Phase::data) {
        const std::uint32_t valid = std::min(block_bytes_, entry.data_end - position_);
        if (!check_->feed(block.first(valid))) {
            damaged(now, DamagedPlace::What::records, check_->position());
            check_.reset();  // behind it a reader finds its way, frame by frame
            suspect_ = true;
            return;
        }
        position_ += block_bytes_;
    } else {
        footer_.insert(footer_.end(), block.begin(), block.end());
        position_ += block_bytes_;
        if (position_ < core_.segment_bytes) return;
        const auto trailer = decode_trailer(ByteView(footer_).last(footer_trailer_bytes),
                                            entry.generation, entry.salt, core_.segment_bytes);
        const auto commit = decode_commit_header(footer_, entry.salt);
        if (!trailer || trailer->position != entry.footer_position || !commit ||
            commit->tie != trailer->tie || !check_footer(footer_, entry.generation, entry.salt))
            damaged(now, DamagedPlace::What::footer, entry.footer_position);
    }
}

void Scrubber::damaged(Instant now, DamagedPlace::What what, std::uint32_t position) {
    ++core_.counters.scrub_damaged;
    core_.tell_damaged({.what = what,
                        .device_position = core_.address(segment_, position),
                        .segment = segment_,
                        .age_ms = core_.time.age_ms(now)});
}

/// Reads what is still wanted of a suspect segment, stream by stream: the reader tells the ledger.
void Scrubber::records(Instant now) {
    if (!suspect_) {
        end_segment(now);
        return;
    }
    if (memory_.empty()) {
        const FooterCache::Found footer = reader_.footers().get(segment_);
        next_at_ = now + scrub_pace_min;
        if (footer.state == Fetched::pending) return;
        const SegmentEntry& entry = core_.segments[segment_];
        const Result<SegmentIndex> index =
            footer.state == Fetched::ready
                ? decode_footer(footer.bytes, entry.generation, entry.salt)
                : Result<SegmentIndex>(fail(Error::corrupt));
        if (!index) {
            end_segment(now);
            return;
        }
        memory_.resize(scrub_block_bytes);
        for (const auto& [id, here] : index->streams) {
            if (!here.holds_batches()) continue;
            ranges_.emplace_back(id, here.first_offset);
            ranges_.emplace_back(id, here.end_offset);
        }
        at_ = ranges_.empty() ? 0 : ranges_.front().second;
    }
    if (ranges_.empty()) {
        end_segment(now);
        return;
    }
    const auto [id, until] = ranges_[1];
    const Stream* stream = core_.streams.find(id);
    if (stream != nullptr) at_ = std::max(at_, stream->state.log_start);
    bool over = stream == nullptr || at_ >= std::min(until, stream->state.flushed);
    if (!over && read_ == 0) {
        const auto ticket = reader_.start_read({.stream = id, .from = at_, .until = until}, memory_,
                                               Reader::Asked::inside);
        over = !ticket;
        if (ticket) read_ = *ticket;
    }
    next_at_ = now + scrub_pace_min;
    if (read_ != 0) {
        const std::optional<ReadDone> done = reader_.take_inside(read_);
        if (!done) return;
        read_ = 0;
        if (!done->bytes && done->bytes.error() == Error::too_large &&
            done->needed > memory_.size() && done->needed <= core_.max_batch_bytes()) {
            memory_.resize(done->needed);
            return;
        }
        if (!done->bytes && done->bytes.error() == Error::storage && ++tries_ < scrub_tries_max) {
            next_at_ = now + scrub_refused_wait;
            return;
        }
        over = done->next <= at_;  // nothing more of it, or nothing that can be read
        at_ = std::max(at_, done->next);
    }
    if (!over) return;
    tries_ = 0;
    ranges_.erase(ranges_.begin(), ranges_.begin() + 2);
    at_ = ranges_.empty() ? 0 : ranges_.front().second;
}

std::uint32_t Scrubber::kept_place() const {
    const Fact* kept = core_.facts.find(Facts::key_of(scrub_fact_kind, {}));
    if (kept == nullptr || kept->value.size() != 4) return core_.make_salt();
    return load_little<std::uint32_t>(bytes_of(kept->value).data());
}

void Scrubber::keep_place(Instant now) {
    const milliseconds every = arrivals_.idle() ? scrub_keep_every : scrub_keep_riding;
    constexpr std::uint32_t body = fact_body_bytes + 4;
    if ((kept_at_ && now - *kept_at_ < every) ||
        !arrivals_.room_for(FrameType::fact, body, Urgency::data))
        return;
    std::uint8_t value[4];
    store_little<std::uint32_t>(value, circle_);
    CommitId commit = 0;
    const MutableBytes into =
        arrivals_.add_at(now, now + lazy_wait, FrameType::fact, 0, body, commit);
    encode_fact_body({scrub_fact_kind, 0, {}, value}, into);
    core_.facts.put(Facts::key_of(scrub_fact_kind, {}), std::string(text_of(value)), commit);
    kept_at_ = now;
}

void Scrubber::end_segment(Instant now) {
    keep_place(now);
    if (read_ != 0) reader_.cancel(std::exchange(read_, 0));
    tries_ = 0;
    ranges_.clear();
    memory_ = {};
    footer_ = {};
    block_.free();
    check_.reset();
    phase_ = Phase::next;
    next_at_ = now + pace_;
}

}  // namespace leat::log
