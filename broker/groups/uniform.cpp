// Uniform: who has something keeps it, what nobody has goes to whoever has least, and then the
// fullest give to the idlest as long as that makes it more even.
#include <algorithm>

#include "broker/groups/assignors.hpp"

namespace leat::groups {
namespace {

constexpr std::int32_t nobody = -1;
constexpr int rounds_max = 8;
constexpr std::size_t look_up = 16;  // a topic by its id, and its place by its name

}  // namespace

bool TargetAssignment::keep(const topics::Registry& registry) {
    for (; at_ < readers_.size(); ++at_) {
        if (left_ <= 0) return false;
        spend(1);
        if (readers_[at_].is != nullptr)
            keep(readers_[at_], static_cast<std::uint32_t>(at_), registry);
    }
    for (Said& one : said_) {
        std::vector<std::uint32_t> loads;
        loads.reserve(one.readers.size());
        for (const std::uint32_t reader : one.readers) loads.push_back(readers_[reader].load);
        one.idle.begin(std::move(loads));
    }
    spend(readers_.size());
    return true;
}

void TargetAssignment::keep(Reader& reader, std::uint32_t number,
                            const topics::Registry& registry) {
    const Subscription& reads = *said_[reader.subscription].is;
    for (const auto& [id, partitions] : reader.is->target) {
        spend(look_up + partitions.size());
        const topics::Topic* is = registry.find(id);
        const auto at = is != nullptr ? group_.readers.find(is->name) : group_.readers.end();
        if (at == group_.readers.end() || at->second.assignment != number_ ||
            !reads.has(is->name)) {
            reader.moved = true;
            continue;
        }
        const Topic& topic = topics_[at->second.place];
        for (const PartitionEpoch& one : partitions) {
            const auto p = static_cast<std::size_t>(one.partition);
            if (p >= topic.count || owners_[topic.first + p] != nobody) {
                reader.moved = true;
                continue;
            }
            give(topic.audience, static_cast<std::int32_t>(topic.first + p), number);
            ++reader.load;
        }
    }
}

// Topics that few can read come first: what is left can go anywhere.
void TargetAssignment::order() {
    std::vector<std::uint32_t> places(readers_.size() + 2, 0);
    for (const Topic& topic : topics_) ++places[audiences_[topic.audience].readers + 1];
    for (std::size_t i = 1; i < places.size(); ++i) places[i] += places[i - 1];
    order_.resize(topics_.size());
    for (std::size_t t = 0; t < topics_.size(); ++t)
        order_[places[audiences_[topics_[t].audience].readers]++] = static_cast<std::uint32_t>(t);
    spend(topics_.size() / 4);
}

bool TargetAssignment::hand_out() {
    for (; at_ < order_.size(); ++at_, partition_ = 0) {
        const Topic& topic = topics_[order_[at_]];
        spend(1 + topic.count / 16);
        if (topic.audience == 0) continue;
        for (; partition_ < topic.count; ++partition_) {
            const std::size_t partition = topic.first + partition_;
            if (owners_[partition] != nobody) continue;
            const std::uint32_t reader = idlest(topic.audience);
            give(topic.audience, static_cast<std::int32_t>(partition), reader);
            set_load(reader, readers_[reader].load + 1);
            readers_[reader].moved = true;
            if (left_ <= 0) return ++partition_, false;
        }
        if (left_ <= 0) return ++at_, partition_ = 0, false;
    }
    return true;
}

// Of equals the first.
std::uint32_t TargetAssignment::idlest(std::uint32_t audience) {
    std::uint32_t best = UINT32_MAX;
    for (; audience != 0; audience = audiences_[audience].before) {
        const Said& one = said_[audiences_[audience].subscription];
        const std::uint32_t reader = one.readers[one.idle.least()];
        const std::uint32_t load = readers_[reader].load;
        if (best == UINT32_MAX || load < readers_[best].load ||
            (load == readers_[best].load && reader < best))
            best = reader;
        spend(1);
    }
    return best;
}

void TargetAssignment::set_load(std::uint32_t number, std::uint32_t load) {
    Reader& reader = readers_[number];
    reader.load = load;
    said_[reader.subscription].idle.set(reader.place, load);
    spend(4);
    if (phase_ != Phase::balance) return;
    leanest_.set(number, load);
    if (!reader.settled) fullest_.set(number, UINT32_MAX - load);
    spend(4);
}

void TargetAssignment::begin_round() {
    std::vector<std::uint32_t> loads, rest;
    for (Reader& reader : readers_) {
        reader.settled = false;
        loads.push_back(reader.load);
        rest.push_back(UINT32_MAX - reader.load);
    }
    any_moved_ = false;
    if (loads.empty()) return;
    leanest_.begin(std::move(loads));
    fullest_.begin(std::move(rest));
    spend(readers_.size());
}

// Each move lowers the sum of squares of the loads, so it ends.
bool TargetAssignment::balance() {
    while (!readers_.empty()) {
        if (left_ <= 0) return false;
        spend(2);
        const std::uint32_t from = fullest_.least();
        const std::uint32_t most = UINT32_MAX - fullest_.number(from);
        if (most > readers_[leanest_.least()].load + 1) {
            if (move_one(from)) {
                any_moved_ = true;
            } else {
                readers_[from].settled = true;
                fullest_.set(from, UINT32_MAX);
            }
            continue;
        }
        if (!any_moved_ || ++round_ == rounds_max) break;
        begin_round();
    }
    return true;
}

bool TargetAssignment::move_one(std::uint32_t from) {
    Held* best = nullptr;
    std::uint32_t to = 0;
    for (Held& one : readers_[from].held) {
        if (one.newest == nobody || one.audience == 0) continue;
        const std::uint32_t idle = idlest(one.audience);
        if (best == nullptr || readers_[idle].load < readers_[to].load) to = idle, best = &one;
    }
    if (best == nullptr || readers_[to].load + 1 >= readers_[from].load) return false;
    const std::int32_t partition = best->newest;
    best->newest = before_[static_cast<std::size_t>(partition)];
    give(best->audience, partition, to);
    set_load(from, readers_[from].load - 1);
    set_load(to, readers_[to].load + 1);
    readers_[from].moved = readers_[to].moved = true;
    return true;
}

}  // namespace leat::groups
