#include "broker/groups/assignors.hpp"

#include <algorithm>

namespace leat::groups {
namespace {

constexpr std::int32_t nobody = -1;
constexpr int balance_rounds_max = 8;

// The group in plain numbers. Topics that the same subscriptions name have one audience.
struct Table {
    struct Topic {
        const topics::Topic* is;
        std::vector<std::uint32_t> subscriptions;
        std::uint32_t audience = 0;
        std::vector<std::int32_t> owners;  // member by partition
    };
    std::vector<ConsumerMember*> members;
    std::vector<std::uint32_t> subscription_of;  // by member
    std::vector<Topic> topics;                   // by name
    std::vector<std::vector<std::int32_t>> audiences;

    Table(ConsumerGroup& group, const topics::Registry& registry) {
        for (const auto& [name, count] : group.readers)
            if (const topics::Topic* topic = registry.find(name))
                topics.push_back(
                    {.is = topic,
                     .subscriptions = {},
                     .audience = 0,
                     .owners = std::vector<std::int32_t>(topic->partitions.size(), nobody)});
        std::map<const Subscription*, std::uint32_t> numbers;
        for (const auto& [key, one] : group.subscriptions) {
            const auto number = static_cast<std::uint32_t>(numbers.size());
            numbers.emplace(&one, number);
            for (const auto* names : {&one.topics, &one.matched})
                for (const std::string& name : *names)
                    if (Topic* topic = find(name))
                        if (topic->subscriptions.empty() || topic->subscriptions.back() != number)
                            topic->subscriptions.push_back(number);
        }
        for (const auto& [id, member] : group.members) {
            members.push_back(member.get());
            subscription_of.push_back(numbers.at(member->subscription));
        }
        find_audiences();
    }

    Topic* find(std::string_view name) {
        const auto at =
            std::lower_bound(topics.begin(), topics.end(), name,
                             [](const Topic& a, std::string_view b) { return a.is->name < b; });
        return at == topics.end() || at->is->name != name ? nullptr : &*at;
    }

    void find_audiences() {
        std::map<std::vector<std::uint32_t>, std::uint32_t> known;
        for (Topic& topic : topics) {
            const auto [at, fresh] = known.try_emplace(
                topic.subscriptions, static_cast<std::uint32_t>(audiences.size()));
            topic.audience = at->second;
            if (!fresh) continue;
            std::vector<std::int32_t>& audience = audiences.emplace_back();
            for (std::size_t m = 0; m < members.size(); ++m)
                if (reads(topic, m)) audience.push_back(static_cast<std::int32_t>(m));
        }
    }

    bool reads(const Topic& topic, std::size_t member) const {
        return std::binary_search(topic.subscriptions.begin(), topic.subscriptions.end(),
                                  subscription_of[member]);
    }

    void write_targets() const {
        for (ConsumerMember* member : members) member->target.clear();
        for (const Topic& topic : topics)
            for (std::size_t p = 0; p < topic.owners.size(); ++p)
                if (topic.owners[p] != nobody)
                    members[static_cast<std::size_t>(topic.owners[p])]
                        ->target[topic.is->id]
                        .push_back({static_cast<std::int32_t>(p), 0});
    }
};

void range(Table& table) {
    for (auto& audience : table.audiences)
        std::sort(audience.begin(), audience.end(), [&](std::int32_t a, std::int32_t b) {
            const ConsumerMember& x = *table.members[static_cast<std::size_t>(a)];
            const ConsumerMember& y = *table.members[static_cast<std::size_t>(b)];
            if (x.instance.has_value() != y.instance.has_value()) return x.instance.has_value();
            return x.instance ? *x.instance < *y.instance : x.id < y.id;
        });
    for (Table::Topic& topic : table.topics) {
        const auto& audience = table.audiences[topic.audience];
        if (audience.empty()) continue;
        const std::size_t each = topic.owners.size() / audience.size();
        std::size_t more = topic.owners.size() % audience.size(), at = 0;
        for (const std::int32_t member : audience) {
            const std::size_t share = each + (more > 0 ? 1 : 0);
            if (more > 0) --more;
            for (std::size_t i = 0; i < share; ++i) topic.owners[at++] = member;
        }
    }
}

class Uniform {
public:
    explicit Uniform(Table& table) : table_(table), holdings_(table.members.size()) {}

    void run() {
        keep();
        hand_out();
        for (int round = 0; round < balance_rounds_max && balance(); ++round) {
        }
    }

private:
    struct Holding {
        std::uint32_t topic;
        std::int32_t partition;
    };
    std::size_t load(std::int32_t member) const {
        return holdings_[static_cast<std::size_t>(member)].size();
    }
    void give(std::size_t topic, std::size_t partition, std::int32_t member) {
        table_.topics[topic].owners[partition] = member;
        holdings_[static_cast<std::size_t>(member)].push_back(
            {static_cast<std::uint32_t>(topic), static_cast<std::int32_t>(partition)});
    }
    std::int32_t idlest(std::uint32_t audience) const {
        std::int32_t best = nobody;
        for (const std::int32_t member : table_.audiences[audience])
            if (best == nobody || load(member) < load(best)) best = member;
        return best;
    }

    void keep() {
        std::map<topics::TopicId, std::size_t> by_id;
        for (std::size_t t = 0; t < table_.topics.size(); ++t)
            by_id.emplace(table_.topics[t].is->id, t);
        for (std::size_t m = 0; m < table_.members.size(); ++m)
            for (const auto& [id, partitions] : table_.members[m]->target) {
                const auto at = by_id.find(id);
                if (at == by_id.end() || !table_.reads(table_.topics[at->second], m)) continue;
                const auto& owners = table_.topics[at->second].owners;
                for (const PartitionEpoch& one : partitions) {
                    const auto p = static_cast<std::size_t>(one.partition);
                    if (p < owners.size() && owners[p] == nobody)
                        give(at->second, p, static_cast<std::int32_t>(m));
                }
            }
    }

    // Topics that few can read come first: what is left can go anywhere.
    void hand_out() {
        std::vector<std::size_t> order(table_.topics.size());
        for (std::size_t t = 0; t < order.size(); ++t) order[t] = t;
        std::stable_sort(order.begin(), order.end(), [this](std::size_t a, std::size_t b) {
            return table_.audiences[table_.topics[a].audience].size() <
                   table_.audiences[table_.topics[b].audience].size();
        });
        for (const std::size_t t : order)
            for (std::size_t p = 0; p < table_.topics[t].owners.size(); ++p) {
                if (table_.topics[t].owners[p] != nobody) continue;
                const std::int32_t member = idlest(table_.topics[t].audience);
                if (member != nobody) give(t, p, member);
            }
    }

    // From whoever has most to whoever has least and may have it, while that makes it more even.
    // Each move lowers the sum of squares of the loads, so it ends.
    bool balance() {
        std::vector<bool> settled(holdings_.size(), false);
        bool moved = false;
        for (;;) {
            std::int32_t from = nobody;
            std::size_t least = SIZE_MAX;
            for (std::size_t m = 0; m < holdings_.size(); ++m) {
                least = std::min(least, holdings_[m].size());
                if (!settled[m] && (from == nobody || holdings_[m].size() > load(from)))
                    from = static_cast<std::int32_t>(m);
            }
            if (from == nobody || load(from) <= least + 1) return moved;
            if (!move_one(from))
                settled[static_cast<std::size_t>(from)] = true;
            else
                moved = true;
        }
    }

    bool move_one(std::int32_t from) {
        std::vector<Holding>& mine = holdings_[static_cast<std::size_t>(from)];
        std::vector<bool> seen(table_.audiences.size(), false);
        std::size_t distinct = 0, best = mine.size();
        std::int32_t to = nobody;
        for (std::size_t i = mine.size(); i-- > 0 && distinct < seen.size();) {
            const std::uint32_t audience = table_.topics[mine[i].topic].audience;
            if (seen[audience]) continue;
            seen[audience] = true;
            ++distinct;
            const std::int32_t idle = idlest(audience);
            if (idle != nobody && (to == nobody || load(idle) < load(to))) to = idle, best = i;
        }
        if (to == nobody || load(to) + 1 >= mine.size()) return false;
        const Holding one = mine[best];
        mine.erase(mine.begin() + static_cast<std::ptrdiff_t>(best));
        give(one.topic, static_cast<std::size_t>(one.partition), to);
        return true;
    }

    Table& table_;
    std::vector<std::vector<Holding>> holdings_;  // by member
};

}  // namespace

void assign(ConsumerGroup& group, const topics::Registry& registry) {
    const bool by_range = group.assignor() == assignor_range;
    Table table(group, registry);
    if (by_range)
        range(table);
    else
        Uniform(table).run();
    table.write_targets();
}

}  // namespace leat::groups
