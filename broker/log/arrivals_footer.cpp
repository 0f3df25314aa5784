// How a segment ends: its footer (FORMAT.md section 6).
//
// A footer leaves when every commit that it tells of is durable, so what it says is so whatever
// becomes of its own write. Where commits wait, and the next segment lies behind this one, footer,
// header and opening commit are one write, and one flush. A power cut leaves any part of that:
// without the footer, the segment is read by its commits; without the header it is the last one, as
// if its footer had been torn alone. It never leaves a promise that only the footer knew: the next
// segment is one that this one's header names, so it is found without the footer, and nobody goes
// on in this segment while a header tells that it was closed.
#include <algorithm>

#include "broker/log/arrivals.hpp"

namespace leat::log {

bool Arrivals::make_footer(Instant now) {
    const SegmentEntry& entry = core_.segments[segment_];
    index_.data_end = position_;
    index_.candidates = core_.segments.candidates();
    CommitHeader header = core_.commit_header(now);
    header.generation = entry.generation;
    header.sequence = next_sequence_;
    footer_ = encode_footer(index_, header, entry.salt, core_.page, core_.segment_bytes);
    if (!footer_.empty() && footer_.size() <= core_.segment_bytes - position_) return true;
    // room() keeps space for it. Should that ever be too little: what was acknowledged is not
    // written over, and its index is made by reading it.
    close_segment(Footer::none);
    pump(now);
    return false;
}

/// The segment behind this one is to be opened next, and this one's header names it.
bool Arrivals::footer_may_ride() {
    const std::uint32_t behind = segment_ + 1;
    if (footer_.size() > footer_rides_bytes || behind >= core_.segments.size() ||
        core_.segments.leaving(behind))
        return false;
    if (std::find(announced_.begin(), announced_.end(), behind) == announced_.end()) return false;
    core_.segments.prefer_promised({behind});
    return core_.segments.next_promised() == behind;
}

void Arrivals::write_footer(Instant now) {
    footer_memory_.reserve(footer_.size(), 0);
    copy_bytes(footer_, {footer_memory_.data(), footer_.size()});
    ticket_ = core_.ticket(Owner::arrivals);
    writing_ = Writing::footer;
    write_since_ = now;
    const std::uint64_t at = core_.address(segment_, core_.segment_bytes - footer_.size());
    submit(at, {footer_memory_.data(), footer_.size()});
}

void Arrivals::close_segment(Footer footer) {
    SegmentEntry& entry = core_.segments[segment_];
    entry.state = SegmentState::sealed;
    entry.data_end = position_;
    entry.batch_bytes =
        static_cast<std::uint32_t>(std::min<std::uint64_t>(index_.batch_bytes, UINT32_MAX));
    entry.last_age_ms = index_.last_age_ms;
    entry.set_live(index_.live_bytes(), index_.batches(), core_.segment_bytes);
    entry.footer_position = 0;
    last_.segment = segment_;
    last_.end = position_;
    last_.generation = entry.generation;
    if (footer != Footer::none) {
        ++next_sequence_;
        if (on_footer) on_footer(segment_, footer_);
    }
    if (footer == Footer::durable) {
        announced_.insert(announced_.end(), index_.candidates.begin(), index_.candidates.end());
        bytes_written_ += footer_.size();
        riding_footer_durable();
    }
    if (footer == Footer::none) footer_ = {};
    segment_ = no_segment;
    gone_ = std::exchange(index_, {});
    replay_.reset(index_);
    if (footer_memory_.capacity() > 64 * KiB) footer_memory_.free();
}

/// From here on it may be read, and a checkpoint may say so.
void Arrivals::riding_footer_durable() {
    if (footer_.empty()) return;
    core_.segments[last_.segment].footer_position =
        core_.segment_bytes - static_cast<std::uint32_t>(footer_.size());
    core_.counters.written_footer += footer_.size();
    footer_ = {};
}

/// It is as one whose own write failed: not tried again, and the next header says that there is
/// none.
void Arrivals::riding_footer_failed() {
    if (footer_.empty()) return;
    --next_sequence_;
    footer_.clear();
}

/// The mistake that the crash sweep has to see.
void Arrivals::write_footer_early(Instant now) {
    // Not where room() keeps a page for a seal: it would stand behind the footer.
    if (opening_ || writing_ != Writing::group || room() >= flight_bytes_ + core_.page ||
        core_.segments.free_count() <= segments_kept_for_checkpoint + 1)
        return;
    index_flight();
    indexed_ = true;
    const SegmentEntry& entry = core_.segments[segment_];
    index_.data_end = position_ + static_cast<std::uint32_t>(flight_bytes_);
    index_.candidates = core_.segments.candidates();
    CommitHeader header = core_.commit_header(now);
    header.generation = entry.generation;
    header.sequence = next_sequence_ + 1;
    const auto early = encode_footer(index_, header, entry.salt, core_.page, core_.segment_bytes);
    if (!early.empty() && early.size() <= core_.segment_bytes - index_.data_end)
        (void)core_.storage.start_write(core_.ticket(Owner::arrivals),
                                        core_.address(segment_, core_.segment_bytes - early.size()),
                                        early);
}

}  // namespace leat::log
