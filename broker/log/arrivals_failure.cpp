// The write path when the device fails: once more elsewhere, then giving up, then asking again.
#include <algorithm>

#include "broker/log/arrivals.hpp"

namespace leat::log {

void Arrivals::group_failed(Instant now) {
    // A second sync may return OK while the device holds the old bytes, so this segment is never
    // written again: what follows goes elsewhere, and the new header says where the valid bytes of
    // this one end.
    const bool blamed = core_.blame_segment();
    if (opening_) {
        riding_footer_failed();
        if (header_.segment != no_segment &&
            core_.segments[header_.segment].generation == header_.generation)
            core_.segments.opening_failed(header_.segment, blamed && !retried_);
    } else if (finds_successor()) {
        close_segment(Footer::none);
    } else {
        hold(now);
        return;
    }
    if (retried_) {
        give_up(now);
        return;
    }
    retried_ = true;
    // A batch never leaves its segment: one whose first part stays behind is put together again.
    if (!flight_->empty() && !part_.empty() &&
        decode_frame_header(flight_->frame(flight_->entries().front()).data()).type ==
            FrameType::more)
        flight_->restore_first(part_);
    std::swap(open_,
              flight_);  // the failed group is to be written; what came meanwhile waits in *flight_
    if (segment_ == no_segment && !may_open()) {
        std::swap(open_, flight_);
        give_up(now);
        return;
    }
    // write_group swaps back: the failed group flies again, the collecting one stays open.
    write_group(now);
}

/// Whether a segment may be opened that a restart would find behind the open one without a footer.
bool Arrivals::finds_successor() const {
    if (!may_open()) return false;
    const auto& free = core_.segments.promised();
    return place_ == 0 || std::any_of(announced_.begin(), announced_.end(), [&](auto segment) {
               return segment != core_.segments.zeroing &&
                      std::find(free.begin(), free.end(), segment) != free.end();
           });
}

/// The log is full, or was when the segment was opened: closed for good it would have no successor,
/// however much is free later. So it stays open, and is gone on with as a restart would.
void Arrivals::hold(Instant now) {
    footer_ = {};
    held_ = true;
    give_up(now);
}

void Arrivals::new_run_began() {
    held_ = false;
    core_.read_only = core_.writes_fail = false;
    core_.run = static_cast<std::uint32_t>(core_.super.start_count);
    probe_wait_ = probe_wait;
    probe_at_ = never;
}

/// Asks the device with a commit that promises nothing: it opens the next segment, so what the
/// failed writes may have left of that place is void by its older generation.
void Arrivals::probe(Instant now) {
    probe_at_ = now + probe_wait_;
    if (held_) return;  // the checkpoint writer asks
    if (place_ != 0) core_.segments.prefer_promised(announced_);
    const std::uint32_t next = core_.segments.next_promised();
    if (!may_open() ||
        (place_ != 0 && std::find(announced_.begin(), announced_.end(), next) == announced_.end()))
        return;  // no successor that a restart would find: zeros are being written there, or only
                 // a restart helps
    probing_ = true;
    flight_is_seal_ = false;
    write_group(now);
}

void Arrivals::give_up(Instant now) {
    core_.read_only = true;
    retried_ = false;
    part_.clear();
    probe_at_ = now + probe_wait_;
    discard();
    writing_ = Writing::nothing;
    if (seal_ != Seal::no) seal_ = Seal::done;
}

void Arrivals::discard() {
    const CommitId last = core_.next_id - 1;
    if (last > core_.flushed_id) rolled_back_ = Log::RolledBack{core_.flushed_id, last};
    roll_back(core_);
    if (on_rolled_back) on_rolled_back();
    first_.clear(0);
    second_.clear(0);
    open_growth_ = 0;
}

}  // namespace leat::log
