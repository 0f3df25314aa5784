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

bool Refusals::knows(const Place& segment, std::uint32_t from, std::uint32_t to) const {
    for (auto at = places_.lower_bound({segment.segment, from});
         at != places_.end() && at->first < Key{segment.segment, to}; ++at)
        if (at->second.generation == segment.generation) return true;
    return false;
}

bool Refusals::in_doubt(Instant now, std::uint32_t segment, std::uint64_t generation) const {
    for (auto at = places_.lower_bound({segment, 0});
         at != places_.end() && at->first.first == segment; ++at) {
        const Refusal& refusal = at->second.refusal;
        if (at->second.generation == generation && !refusal.lost() &&
            (at->first.second != whole || now < refusal.next()))
            return true;
    }
    return false;
}

std::optional<Refusals::Place> Refusals::to_ask(
    Instant now, const std::function<bool(const Place&)>& wanted) const {
    for (const auto& [key, known] : places_) {
        const Place place{key.first, key.second, known.generation};
        if (place.position != whole && !known.refusal.lost() && now >= known.refusal.next() &&
            wanted(place))
            return place;
    }
    return std::nullopt;
}

}  // namespace leat::log
