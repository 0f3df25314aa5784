#include "broker/groups/assignors.hpp"

#include <algorithm>

namespace leat::groups {
namespace {

constexpr std::int32_t nobody = -1;
// What is done once for a thing that has to be looked up, against what is done in a list.
constexpr std::size_t look_up = 8;

}  // namespace

TargetAssignment::TargetAssignment(ConsumerGroup& group)
    : group_(group), epoch_(group.epoch), number_(++group.assignments) {
    audiences_.push_back({.before = 0, .subscription = UINT32_MAX, .readers = 0});
    readers_.reserve(group.members.size());
    topics_.reserve(group.readers.size());
}

bool TargetAssignment::go_on(const topics::Registry& registry, std::uint32_t steps) {
    left_ = steps;
    while (left_ > 0 && phase_ != Phase::done)
        if (phase(registry)) next_phase();
    return phase_ == Phase::done;
}

// true: all of it is done; false: no steps are left.
bool TargetAssignment::phase(const topics::Registry& registry) {
    switch (phase_) {
        case Phase::statics:
            return walk(group_.statics, [this](const auto& entry) { add(*entry.second); });
        case Phase::members:
            return walk(group_.members, [this](const auto& entry) {
                if (!entry.second->instance) add(*entry.second);
            });
        case Phase::topics:
            return walk(group_.readers,
                        [&](auto& entry) { add(registry.find(entry.first), entry.second); });
        case Phase::audiences:
            return find_audiences();
        case Phase::range:
            return range();
        case Phase::keep:
            return keep(registry);
        case Phase::hand_out:
            return hand_out();
        case Phase::balance:
            return balance();
        case Phase::targets:
            return find_targets();
        case Phase::done:
            break;
    }
    return true;
}

void TargetAssignment::next_phase() {
    at_ = name_ = partition_ = 0;
    switch (phase_) {
        case Phase::audiences:
            phase_ = range_votes_ > uniform_votes_ ? Phase::range : Phase::keep;
            return;
        case Phase::range:
            phase_ = Phase::targets;
            return;
        case Phase::keep:
            order();
            break;
        case Phase::hand_out:
            begin_round();
            break;
        default:
            break;
    }
    phase_ = static_cast<Phase>(static_cast<std::uint8_t>(phase_) + 1);
}

// From where it stood: entries may have come and gone since.
template <class Map, class Visit>
bool TargetAssignment::walk(Map& map, const Visit& visit) {
    auto at = walks_ ? map.upper_bound(after_) : map.begin();
    walks_ = false;
    for (; at != map.end(); ++at) {
        visit(*at);
        spend(look_up);
        if (left_ > 0) continue;
        after_ = at->first;
        walks_ = true;
        return false;
    }
    return true;
}

void TargetAssignment::add(ConsumerMember& member) {
    if (member.assignor) ++(*member.assignor == assignor_range ? range_votes_ : uniform_votes_);
    Subscription* reads = member.subscription;
    if (reads == nullptr) return;
    if (std::exchange(reads->assignment, number_) != number_) {
        reads->place = static_cast<std::uint32_t>(said_.size());
        said_.push_back({.is = reads});
    }
    auto& same = said_[reads->place].readers;
    readers_.push_back({.is = &member,
                        .subscription = reads->place,
                        .place = static_cast<std::uint32_t>(same.size())});
    same.push_back(static_cast<std::uint32_t>(readers_.size() - 1));
}

void TargetAssignment::add(const topics::Topic* topic, TopicReaders& place) {
    if (topic == nullptr) return;
    place.assignment = number_;
    place.place = static_cast<std::uint32_t>(topics_.size());
    topics_.push_back(
        {.id = topic->id, .first = owners_.size(), .count = topic->partitions.size()});
    owners_.resize(owners_.size() + topic->partitions.size(), nobody);
    before_.resize(owners_.size(), nobody);
    spend(topic->partitions.size() / 16);
}

// What a pattern matches may be another list than before: then a name is looked at that is no
// topic's, or one is left out, and the group is in a newer epoch.
bool TargetAssignment::find_audiences() {
    for (; at_ < 2 * said_.size(); ++at_, name_ = 0) {
        const Subscription& one = *said_[at_ / 2].is;
        const std::vector<std::string>& names = at_ % 2 == 0 ? one.topics : one.matched;
        for (; name_ < names.size(); ++name_) {
            if (left_ <= 0) return false;
            spend(look_up);
            const auto topic = group_.readers.find(names[name_]);
            if (topic == group_.readers.end() || topic->second.assignment != number_) continue;
            std::uint32_t& audience = topics_[topic->second.place].audience;
            audience = with(audience, static_cast<std::uint32_t>(at_ / 2));
        }
        spend(1);
    }
    return true;
}

std::uint32_t TargetAssignment::with(std::uint32_t audience, std::uint32_t subscription) {
    const Audience& one = audiences_[audience];
    if (one.subscription == subscription) return audience;  // it is matched, and named
    if (one.next_subscription == subscription) return one.next;
    const auto next = static_cast<std::uint32_t>(audiences_.size());
    audiences_[audience].next = next;
    audiences_[audience].next_subscription = subscription;
    audiences_.push_back(
        {.before = audience,
         .subscription = subscription,
         .readers = audiences_[audience].readers + said_[subscription].readers.size()});
    return next;
}

bool TargetAssignment::range() {
    for (; at_ < topics_.size(); ++at_) {
        if (left_ <= 0) return false;
        const Topic& topic = topics_[at_];
        Audience& audience = audiences_[topic.audience];
        list(audience);
        spend(look_up + topic.count);
        const std::size_t readers = audience.runs.size();
        if (readers == 0) continue;
        const std::size_t each = topic.count / readers, more = topic.count % readers;
        auto partition = static_cast<std::int32_t>(topic.first);
        for (std::size_t i = 0; i < readers; ++i)
            for (std::size_t share = each + (i < more ? 1 : 0); share > 0; --share)
                give(0, partition++, audience.runs[i]);
    }
    for (Reader& reader : readers_) reader.moved = true;
    return true;
}

void TargetAssignment::list(Audience& audience) {
    if (!audience.runs.empty()) return;
    for (const Audience* one = &audience; one->readers > 0; one = &audiences_[one->before]) {
        const auto& more = said_[one->subscription].readers;
        audience.runs.insert(audience.runs.end(), more.begin(), more.end());
    }
    std::sort(audience.runs.begin(), audience.runs.end());
    spend(2 * audience.runs.size());
}

void TargetAssignment::give(std::uint32_t audience, std::int32_t partition, std::uint32_t reader) {
    std::vector<Held>& held = readers_[reader].held;
    auto at = std::lower_bound(
        held.begin(), held.end(), audience,
        [](const Held& one, std::uint32_t wanted) { return one.audience < wanted; });
    if (at == held.end() || at->audience != audience) at = held.insert(at, {audience, nobody});
    before_[static_cast<std::size_t>(partition)] = std::exchange(at->newest, partition);
    owners_[static_cast<std::size_t>(partition)] = static_cast<std::int32_t>(reader);
}

bool TargetAssignment::find_targets() {
    std::vector<std::int32_t> mine;
    for (; at_ < readers_.size(); ++at_) {
        if (left_ <= 0) return false;
        spend(1);
        const Reader& reader = readers_[at_];
        if (!reader.moved || reader.is == nullptr) continue;
        mine.clear();
        for (const Held& one : reader.held)
            for (std::int32_t p = one.newest; p != nobody; p = before_[static_cast<std::size_t>(p)])
                mine.push_back(p);
        std::sort(mine.begin(), mine.end());
        Share target;
        for (std::size_t i = 0; i < mine.size();) {
            const auto first = static_cast<std::size_t>(mine[i]);
            const auto topic = std::prev(std::upper_bound(
                topics_.begin(), topics_.end(), first,
                [](std::size_t wanted, const Topic& one) { return wanted < one.first; }));
            auto& partitions = target[topic->id];
            const auto end = static_cast<std::int32_t>(topic->first + topic->count);
            for (; i < mine.size() && mine[i] < end; ++i)
                partitions.push_back({mine[i] - static_cast<std::int32_t>(topic->first), 0});
            spend(look_up);
        }
        spend(2 * mine.size());
        if (target != reader.is->target)
            next_.emplace_back(static_cast<std::uint32_t>(at_), std::move(target));
    }
    return true;
}

std::vector<ConsumerMember*> TargetAssignment::take() {
    std::vector<ConsumerMember*> others;
    for (auto& [reader, target] : next_) {
        ConsumerMember* member = readers_[reader].is;
        if (member == nullptr) continue;
        std::swap(member->target, target);
        others.push_back(member);
    }
    group_.assignment_epoch = epoch_;
    return others;
}

void TargetAssignment::forget(const ConsumerMember& member) {
    for (Reader& reader : readers_)
        if (reader.is == &member) reader.is = nullptr;
}

}  // namespace leat::groups
