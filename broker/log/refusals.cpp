#include "broker/log/refusals.hpp"

#include <algorithm>

namespace leat::log {

bool Refusal::again(Instant now, std::uint64_t seen) {
    if (tries_ == 0) since_ = now;
    last_ = now;
    // Tries at once, one after the other, tell no more than one of them.
    const bool counts = tries_ == 0 || (seen != seen_ &&
                                        now - counted_at_ >= lost_patience / lost_tries_min);
    if (counts) {
        counted_at_ = now;
        seen_ = seen;
        ++tries_;
    }
    lost_ = lost_ || (tries_ >= lost_tries_min && now - since_ >= lost_patience);
    return lost_;
}

Instant Refusal::next() const {
    if (lost_) return last_ + lost_patience;
    return last_ + std::clamp((last_ - since_) / 2, refused_wait_min, refused_wait_max);
}

const Refusals::Known* Refusals::find(const Place& place) const {
    const auto found = places_.find({place.segment, place.position});
    return found == places_.end() || found->second.generation != place.generation
               ? nullptr
               : &found->second;
}

void Refusals::refused(Instant now, std::uint64_t seen, const Place& place) {
    const Key key{place.segment, place.position};
    if (places_.size() >= places_max && !places_.contains(key))
        places_.erase(std::min_element(
            places_.begin(), places_.end(), [](const auto& a, const auto& b) {
                return a.second.refusal.last() < b.second.refusal.last();
            }));
    Known& known = places_[key];
    if (known.generation != place.generation) known = {.generation = place.generation};
    (void)known.refusal.again(now, seen);
}

void Refusals::given(const Place& place, std::uint32_t bytes) {
    if (places_.empty()) return;
    places_.erase(places_.lower_bound({place.segment, place.position}),
                  place.position == whole
                      ? places_.upper_bound({place.segment, whole})
                      : places_.lower_bound({place.segment, place.position + bytes}));
}

bool Refusals::lost(const Place& place) const {
    const Known* known = find(place);
    return known != nullptr && known->refusal.lost();
}

bool Refusals::due(Instant now, const Place& place) const {
    const Known* known = find(place);
    return known == nullptr || now >= known->refusal.next();
}

}  // namespace leat::log
