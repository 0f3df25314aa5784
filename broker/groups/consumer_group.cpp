#include "broker/groups/consumer_group.hpp"

#include <algorithm>
#include <iterator>

#include "broker/groups/assignors.hpp"

namespace leat::groups {
namespace {

bool has_name(const std::vector<std::string>& names, std::string_view name) {
    return std::binary_search(names.begin(), names.end(), name, std::less<>());
}

std::size_t bytes_of_share(const Share& share) {
    std::size_t all = 0;
    for (const auto& [topic, partitions] : share)
        all += 96 + partitions.capacity() * sizeof(PartitionEpoch);
    return all;
}

std::size_t bytes_of_names(const std::vector<std::string>& names) {
    std::size_t all = 0;
    for (const std::string& name : names) all += 48 + name.size();
    return all;
}

// Calls back with all topics of a subscription, each once.
template <class Visit>
void each_topic(const Subscription& subscription, Visit visit) {
    for (const std::string& name : subscription.topics) visit(name);
    for (const std::string& name : subscription.matched)
        if (!has_name(subscription.topics, name)) visit(name);
}

void count_reader(ConsumerGroup& group, const std::string& topic) {
    if (++group.readers[topic].count == 1) group.rehash = true;
}
void uncount_reader(ConsumerGroup& group, const std::string& topic) {
    const auto at = group.readers.find(topic);
    if (at == group.readers.end() || --at->second.count > 0) return;
    group.readers.erase(at);
    group.rehash = true;
}

std::size_t bytes_of(const Subscription& one) {
    return 400 + one.pattern.size() + 2 * bytes_of_names(one.topics) + bytes_of_names(one.matched) +
           bytes_of_names(one.found) + one.compiled.bytes();
}

// Goes on where it stood until `steps` are at `steps_max`. true: all topics were looked at, and
// `found` is to be taken; until then `matched` is what the last walk found.
bool walk(Subscription& one, const topics::Registry& registry, std::uint64_t& steps,
          std::uint64_t steps_max) {
    const auto& all = registry.all();
    for (auto at = all.upper_bound(one.walked_to); at != all.end(); ++at) {
        if (steps >= steps_max) return false;
        if (one.compiled.matches(at->first, steps)) one.found.push_back(at->first);
        one.walked_to = at->first;
    }
    one.walked_to.clear();
    one.walks = false;
    return true;
}

}  // namespace

const PartitionEpoch* find_in(const Share& share, const topics::TopicId& topic,
                              std::int32_t partition) {
    const auto at = share.find(topic);
    if (at == share.end()) return nullptr;
    const auto one =
        std::lower_bound(at->second.begin(), at->second.end(), partition,
                         [](const PartitionEpoch& a, std::int32_t b) { return a.partition < b; });
    return one == at->second.end() || one->partition != partition ? nullptr : &*one;
}

bool Subscription::has(std::string_view topic) const {
    return has_name(topics, topic) || has_name(matched, topic);
}

std::size_t ConsumerMember::bytes() const {
    std::size_t offered = 0;
    if (classic)
        for (const Protocol& one : classic->protocols)
            offered += 64 + one.name.size() + one.metadata.size();
    return offered + 1'024 + 3 * id.size() + client_id.size() + client_host.size() +
           (instance ? 2 * instance->size() + 100 : 0) + (rack ? rack->size() : 0) +
           subscription_key.size() + bytes_of_share(assigned) + bytes_of_share(revoking) +
           bytes_of_share(target);
}

ConsumerGroup::ConsumerGroup() = default;
ConsumerGroup::~ConsumerGroup() = default;

ConsumerMember* ConsumerGroup::find(std::string_view member) const {
    const auto at = members.find(member);
    return at == members.end() ? nullptr : at->second.get();
}

std::string_view ConsumerGroup::assignor() const {
    std::size_t range = 0, uniform = 0;
    for (const auto& [id, member] : members)
        if (member->assignor) ++(*member->assignor == assignor_range ? range : uniform);
    return range > uniform ? assignor_range : assignor_uniform;
}

const char* ConsumerGroup::state() const {
    if (members.empty()) return "Empty";
    if (epoch > assignment_epoch) return "Assigning";
    // Loaded unsettled, there was a target: who has not reached it, or is away, reconciles.
    if (unsettled) return "Reconciling";
    for (const auto& [id, member] : members)
        if (member->step != Step::stable || member->epoch != assignment_epoch) return "Reconciling";
    return "Stable";
}

void ConsumerGroup::subscribe(ConsumerMember& member, std::vector<std::string> topics,
                              const std::string& pattern, const topics::Registry& registry,
                              std::uint64_t steps_max) {
    std::sort(topics.begin(), topics.end());
    topics.erase(std::unique(topics.begin(), topics.end()), topics.end());
    std::string key = pattern;
    for (const std::string& name : topics) {
        key += '\0';
        key += name;
    }
    if (member.subscription != nullptr && key == member.subscription_key) return;
    const auto at = subscriptions.try_emplace(key).first;
    Subscription& now = at->second;
    if (++now.members == 1) {
        now.topics = std::move(topics);
        now.pattern = pattern;
        if (!pattern.empty()) {
            (void)now.compiled.compile(pattern);
            std::uint64_t steps = 0;
            now.walks = true;
            if (walk(now, registry, steps, steps_max))
                now.matched = std::exchange(now.found, {});
            else
                walks = true;
        }
        now.counted = bytes_of(now);
        each_topic(now, [this](const std::string& name) { count_reader(*this, name); });
    }
    unsubscribe(member);
    member.subscription = &now;
    member.subscription_key = std::move(key);
}

void ConsumerGroup::unsubscribe(ConsumerMember& member) {
    if (member.subscription == nullptr) return;
    Subscription& before = *std::exchange(member.subscription, nullptr);
    if (--before.members > 0) return;
    each_topic(before, [this](const std::string& name) { uncount_reader(*this, name); });
    auto gone = subscriptions.extract(subscriptions.find(member.subscription_key));
    if (assigning != nullptr) assigning->keep(std::move(gone));
}

std::uint64_t ConsumerGroup::match_some(const topics::Registry& registry) {
    // What came meanwhile is looked at in the next walk, so that this one has an end.
    if (!walks)
        for (auto& [key, one] : subscriptions) one.walks = !one.pattern.empty();
    std::uint64_t steps = 0;
    walks = false;
    for (auto& [key, one] : subscriptions) {
        if (!one.walks) continue;
        walks = steps >= match_steps_max;  // the others cost nothing in this turn
        if (walks) break;
        walks = !walk(one, registry, steps, match_steps_max);
        if (!walks) take_found(one);
        one.counted = bytes_of(one);
    }
    return steps;
}

// Only what differs: most of what a walk finds it has found before.
void ConsumerGroup::take_found(Subscription& one) {
    const auto before = std::exchange(one.matched, std::exchange(one.found, {}));
    const auto each_new = [&one](const auto& names, const auto& others, const auto& visit) {
        std::vector<std::string> fresh;
        std::set_difference(names.begin(), names.end(), others.begin(), others.end(),
                            std::back_inserter(fresh));
        for (const std::string& name : fresh)
            if (!has_name(one.topics, name)) visit(name);
    };
    each_new(before, one.matched, [this](const std::string& name) { uncount_reader(*this, name); });
    each_new(one.matched, before, [this](const std::string& name) { count_reader(*this, name); });
    if (one.matched != before) hash = 0;  // others may read it already: then no topic came or went
}

// FNV-1a over what an assignment depends on. Never 0, which stands for "never computed".
std::uint64_t ConsumerGroup::topics_hash(const topics::Registry& registry) const {
    std::uint64_t mixed = 14'695'981'039'346'656'037u;
    const auto mix = [&mixed](std::uint8_t byte) { mixed = (mixed ^ byte) * 1'099'511'628'211u; };
    for (const auto& [name, count] : readers) {
        const topics::Topic* topic = registry.find(name);
        if (topic == nullptr) continue;
        for (const std::uint8_t byte : topic->id) mix(byte);
        for (int shift = 0; shift < 32; shift += 8)
            mix(static_cast<std::uint8_t>(topic->partitions.size() >> shift));
    }
    return mixed == 0 ? 1 : mixed;
}

const ConsumerMember* ConsumerGroup::owner(const topics::TopicId& topic,
                                           std::int32_t partition) const {
    const auto at = owners.find(topic);
    const auto index = static_cast<std::size_t>(partition);
    return at == owners.end() || index >= at->second.size() ? nullptr : at->second[index];
}

void ConsumerGroup::claim(const ConsumerMember& member) {
    for (const Share* share : {&member.assigned, &member.revoking})
        for (const auto& [topic, partitions] : *share) {
            auto& list = owners[topic];
            const auto size = static_cast<std::size_t>(partitions.back().partition) + 1;
            if (list.size() < size) list.resize(size, nullptr);
            for (const PartitionEpoch& one : partitions)
                list[static_cast<std::size_t>(one.partition)] = &member;
        }
}

void ConsumerGroup::release(const ConsumerMember& member) {
    for (const Share* share : {&member.assigned, &member.revoking})
        for (const auto& [topic, partitions] : *share) {
            const auto at = owners.find(topic);
            if (at == owners.end()) continue;
            for (const PartitionEpoch& one : partitions)
                at->second[static_cast<std::size_t>(one.partition)] = nullptr;
            if (std::all_of(at->second.begin(), at->second.end(),
                            [](const ConsumerMember* owner) { return owner == nullptr; }))
                owners.erase(at);
        }
}

}  // namespace leat::groups
