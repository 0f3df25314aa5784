// The walk of inspect.hpp beside a broker that goes on: what it writes over while it is read is no
// damage, and what it moves is found where it went.
#include <algorithm>

#include "broker/log/inspect_walk.hpp"

namespace leat::log {

bool InspectWalk::look_again(Core& now) {
    core_ = &now;
    std::erase_if(seen_.damages, [this](const auto& hurt) { return !is_still_there(hurt); });
    Inspection uncounted;
    Inspection* const counted = std::exchange(out_, &uncounted);
    InspectVisitor* const visitor = std::exchange(visitor_, nullptr);
    bool all_walked = true;
    for (const std::uint32_t segment : now.segments.ring()) {
        const SegmentEntry& entry = now.segments[segment];
        // Arrivals that were opened since hold what came since.
        if (!entry.records || walked_.contains({segment, entry.generation})) continue;
        all_walked = false;
        const std::size_t damages = seen_.damages.size();
        if (load(segment))
            one_of_ring();
        else
            seen_.damages.resize(damages);
    }
    out_ = counted;
    visitor_ = visitor;
    return all_walked;
}

/// A segment is written over once it is free, which a start would know by then.
bool InspectWalk::is_still_there(const Inspected::Hurt& hurt) {
    const Damage& damage = hurt.damage;
    if (damage.kind == Damage::Kind::superblock) {
        const std::vector<std::uint8_t>& before = slots_[damage.position == 0 ? 0 : 1];
        const auto bytes = io_.read(damage.position, superblock_bytes);
        return bytes ? equal(before, *bytes) : before.empty();
    }
    if (damage.segment >= core_->segments.size()) return false;  // the pool became smaller
    const SegmentEntry& entry = core_->segments[damage.segment];
    return entry.generation == hurt.generation && entry.state != SegmentState::free &&
           !is_forgotten(entry, damage.segment);
}

/// Only the log starts say that it is free: the table of the checkpoint may be older than they are.
bool InspectWalk::is_forgotten(const SegmentEntry& entry, std::uint32_t segment) {
    if (!entry.in_ring() || entry.footer_position == 0 || entry.place >= core_->redo_place)
        return false;
    const auto bytes = io_.read(core_->address(segment, entry.footer_position),
                                core_->segment_bytes - entry.footer_position);
    if (!bytes) return false;
    const auto index = decode_footer(*bytes, entry.generation, entry.salt);
    if (!index) return false;
    for (const auto& [id, here] : index->streams)
        if (wanted(id, here.end_offset)) return false;
    return true;
}

}  // namespace leat::log
