// How much finds room in the ring, and in the open segment.
#include "broker/log/arrivals.hpp"

namespace leat::log {

std::uint32_t Arrivals::room() const {
    if (segment_ == no_segment) return core_.segment_bytes - core_.page - 1024;
    // In the last segment that may be opened a page is left for the seal, and in the one before it,
    // so that nothing that fits has to move when a checkpoint takes the last one.
    const bool last =
        seal_ == Seal::no && core_.segments.free_count() <= segments_kept_for_checkpoint + 1;
    const std::uint64_t kept =
        round_up(index_.footer_bytes_bound(), core_.page) + (last ? core_.page : 0);
    const std::uint64_t used = position_ + kept;
    return used >= core_.segment_bytes ? 0 : static_cast<std::uint32_t>(core_.segment_bytes - used);
}

Status Arrivals::room_for(FrameType type, std::uint32_t body, Urgency urgency) {
    if (core_.read_only || seal_ != Seal::no) return fail(Error::storage);
    const auto frame = static_cast<std::uint32_t>(round_up(frame_header_bytes + body, 8));
    if (frame > core_.max_batch_bytes() + 128) return fail(Error::too_large);
    // Facts are small and few: they squeeze in where a batch has to wait.
    const std::uint32_t squeeze =
        urgency == Urgency::data ? 0 : std::min(squeeze_bytes, core_.segment_bytes / 8);
    const bool crowded =
        !open_->empty() && open_->used() + frame > core_.group_bytes_max() + squeeze;
    if (crowded && !goes_out_now()) {
        due_now_ = true;  // who is refused comes again when it is durable
        return fail(Error::would_block);
    }
    // Everything that waits or is under way, and this: does it fit here, or is there a segment to
    // go on in?
    const bool opens = !fits_here(open_->used() + frame, footer_growth(type, body));
    const std::uint32_t free = core_.segments.free_count();
    const std::uint32_t keep = urgency <= Urgency::reserved ? core_.segments_kept_free()
                               : urgency == Urgency::fact
                                   ? core_.segments_kept_free() - (opens && only_facts() ? 2 : 1)
                                                            : core_.segments_for_checkpoint();
    const std::uint32_t others = urgency == Urgency::data ? core_.segments_reserved() : 0;
    return free >= keep + others + (opens ? 1 : 0) ? ok() : Status(fail(Error::full));
}

/// The newest segment, what is under way and what waits hold no records: behind the next segment and
/// a checkpoint it is free again, so that facts which replace each other go on for ever.
bool Arrivals::only_facts() const {
    const bool flying = writing_ == Writing::group;
    if (open_->payload_bytes() > 0 || (flying && flight_->payload_bytes() > 0)) return false;
    if (segment_ != no_segment) return index_.batch_bytes == 0;
    return !flying && last_.segment != no_segment && core_.segments[last_.segment].batch_bytes == 0;
}

/// Whether a pump sends the open group, or the footer in front of it. Else it would grow as long as
/// zeros are being written, over more segments than the one that each batch of it found free.
bool Arrivals::goes_out_now() const {
    const bool fits = fits_here(open_->used(), 0);
    return writing_ == Writing::nothing &&
           !zeros_in_the_way(fits ? std::uint64_t{position_} + open_->padded()
                                  : core_.segment_bytes);
}

/// Whether the open group with `used` bytes in all fits into the open segment, behind what is under
/// way.
bool Arrivals::fits_here(std::uint32_t used, std::uint32_t more_growth) const {
    if (segment_ == no_segment) return false;
    const bool flying = writing_ == Writing::group;
    const std::uint64_t growth =
        std::uint64_t{open_growth_} + more_growth + (flying ? flight_growth_ : 0);
    return (flying ? flight_bytes_ : 0) + round_up(used, core_.page) +
               round_up(growth, core_.page) <=
           room();
}

bool Arrivals::needs_segment() const {
    if (writing_ == Writing::footer) return true;  // closed, it opens another one at once
    const bool seals = seal_ == Seal::wanted;  // a page, behind everything
    if (open_->empty() && !seals) return false;
    return !fits_here(open_->padded() + (seals ? core_.page : 0), 0);
}

std::uint32_t Arrivals::growth(const Group& group) const {
    std::uint32_t sum = 0;
    for (const Group::Entry& entry : group.entries()) {
        const FrameHeader header = decode_frame_header(group.frame(entry).data());
        const bool known =
            header.type == FrameType::append && index_.streams.contains(header.stream);
        sum += known ? 8 + 72 + 24 : footer_growth(header.type, header.body_bytes);
    }
    return sum;
}

std::size_t Arrivals::fitting(const Group& group, std::uint32_t space) const {
    const auto& entries = group.entries();
    std::uint32_t sum = 0;
    std::size_t count = 0;
    for (; count < entries.size(); ++count) {
        const FrameHeader header = decode_frame_header(group.frame(entries[count]).data());
        sum += footer_growth(header.type, header.body_bytes);
        const std::uint32_t end = count + 1 < entries.size() ? entries[count + 1].at : group.used();
        if (round_up(end, core_.page) + round_up(sum, core_.page) > space) break;
    }
    return count;
}

}  // namespace leat::log
