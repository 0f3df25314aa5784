// Segments of the ring of which nothing can be read: no header, no footer, no frame. What they held
// is entered in the ledger, once, and then they are free: else damage would make the pool smaller
// for ever.
//
// Only its neighbours say what stood there. A segment behind it links back to it, for each stream
// that both hold, with the first offset there; a stream that goes on nowhere has its newest anchor
// there. What neither knows (survivors have no links, a compacted stream has gaps of its own) is
// told when a reader meets the gap.
#pragma once

#include "broker/log/cache.hpp"
#include "broker/log/ledger.hpp"

namespace leat::log {

/// A device that does not answer for a while is no reason to give records up (refusals.hpp). Here
/// only tries count between which it took a commit: where nothing is written no room is needed.
class LostSegments {
public:
    LostSegments(Core& core, Arrivals& arrivals, Ledger& ledger, FooterCache& footers)
        : core_(core), arrivals_(arrivals), ledger_(ledger), footers_(footers) {}

    enum class Told : std::uint8_t { not_yet, pending, done };
    /// `segment` could not be read, once more. done: the books say so, nothing in it is needed.
    Told unreadable(Instant now, std::uint32_t segment);
    void readable(std::uint32_t segment) {
        if (!lost_.empty()) lost_.erase(segment);
    }

private:
    struct Lost {
        std::uint64_t generation = 0;
        Refusal refusal{};
        std::uint32_t asked = no_segment;  ///< of those behind it, up to here
        bool told = false;
        std::map<StreamId, std::pair<Offset, Offset>> ranges{};
    };
    bool ask_those_behind(std::uint32_t segment, Lost& lost);
    void ask_anchors(std::uint32_t segment, Lost& lost) const;

    Core& core_;
    Arrivals& arrivals_;
    Ledger& ledger_;
    FooterCache& footers_;
    std::map<std::uint32_t, Lost> lost_;
};

}  // namespace leat::log
