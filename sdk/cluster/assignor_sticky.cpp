// Balanced with as few moves as possible.
//
// Everybody keeps what is rightly his, what is nobody's goes to whoever has least, and then
// partitions move along the shortest chain of members from one who has at least two more than the
// chain's end. Each move makes the sum of the squares of the members' counts smaller, so it ends;
// when no such chain is left, no other assignment is more even.
#include <algorithm>
#include <deque>
#include <set>

#include "sdk/cluster/assignor.hpp"

namespace leat::cluster {
namespace {

struct Member {
    const Subscriber* of = nullptr;
    std::set<std::size_t> topics;                              // that exist
    std::map<std::size_t, std::vector<std::int32_t>> holding;  // partitions by topic
    std::size_t count = 0;
};

class Balance {
public:
    Balance(const PartitionCounts& counts, const std::vector<Subscriber>& subscribers) {
        std::map<std::string, std::size_t> topic_index;
        for (const auto& [topic, count] : counts) {
            topic_index[topic] = topics_.size();
            topics_.push_back(topic);
            free_.emplace_back(static_cast<std::size_t>(std::max(count, 0)), true);
            readers_.emplace_back();
        }
        for (const Subscriber& subscriber : subscribers) members_.push_back({&subscriber, {}, {}});
        std::sort(members_.begin(), members_.end(), [](const Member& a, const Member& b) {
            return a.of->member_id < b.of->member_id;
        });
        for (std::size_t m = 0; m < members_.size(); ++m)
            for (const std::string& topic : members_[m].of->topics)
                if (const auto found = topic_index.find(topic); found != topic_index.end())
                    if (members_[m].topics.insert(found->second).second)
                        readers_[found->second].push_back(m);
        keep(topic_index);
    }

    void fill() {
        std::set<std::pair<std::size_t, std::size_t>> by_count;  // count, member
        for (std::size_t m = 0; m < members_.size(); ++m) by_count.emplace(members_[m].count, m);
        for (std::size_t t = 0; t < topics_.size(); ++t) {
            if (readers_[t].empty()) continue;
            const bool is_for_all = readers_[t].size() == members_.size();
            for (std::size_t p = 0; p < free_[t].size(); ++p) {
                if (!free_[t][p]) continue;
                std::size_t to = by_count.begin()->second;
                if (!is_for_all)
                    to = *std::min_element(readers_[t].begin(), readers_[t].end(),
                                           [this](std::size_t a, std::size_t b) {
                                               return members_[a].count < members_[b].count;
                                           });
                by_count.erase({members_[to].count, to});
                give(to, t, static_cast<std::int32_t>(p));
                by_count.emplace(members_[to].count, to);
            }
        }
    }

    void even_out() {
        for (bool again = true; again;) {
            again = false;
            std::vector<std::size_t> order(members_.size());
            for (std::size_t m = 0; m < order.size(); ++m) order[m] = m;
            std::stable_sort(order.begin(), order.end(), [this](std::size_t a, std::size_t b) {
                return members_[a].count > members_[b].count;
            });
            for (std::size_t from : order)
                while (move_one_away(from)) again = true;
        }
    }

    Assignment result() const {
        Assignment assignment;
        for (const Member& member : members_) {
            Partitions& mine = assignment[member.of->member_id];
            for (const auto& [topic, partitions] : member.holding) {
                std::vector<std::int32_t> sorted = partitions;
                std::sort(sorted.begin(), sorted.end());
                for (std::int32_t partition : sorted) mine.push_back({topics_[topic], partition});
            }
        }
        return assignment;
    }

private:
    /// Of several that claim a partition the one with the newest generation has it; two of the same
    /// generation contradict each other, and nobody has it.
    void keep(const std::map<std::string, std::size_t>& topic_index) {
        struct Claim {
            std::size_t member = 0;
            std::int32_t generation = -2;
            bool is_disputed = false;
        };
        std::map<std::pair<std::size_t, std::int32_t>, Claim> claims;
        for (std::size_t m = 0; m < members_.size(); ++m)
            for (const TopicPartition& owned : members_[m].of->owned) {
                const auto found = topic_index.find(owned.topic);
                if (found == topic_index.end() || !members_[m].topics.contains(found->second) ||
                    owned.partition < 0 ||
                    static_cast<std::size_t>(owned.partition) >= free_[found->second].size())
                    continue;
                Claim& claim = claims[{found->second, owned.partition}];
                const std::int32_t generation = members_[m].of->generation;
                if (generation > claim.generation)
                    claim = {m, generation, false};
                else if (generation == claim.generation && claim.member != m)
                    claim.is_disputed = true;
            }
        for (const auto& [place, claim] : claims)
            if (!claim.is_disputed) give(claim.member, place.first, place.second);
    }

    void give(std::size_t to, std::size_t topic, std::int32_t partition) {
        free_[topic][static_cast<std::size_t>(partition)] = false;
        members_[to].holding[topic].push_back(partition);
        ++members_[to].count;
    }

    /// Along the shortest chain to somebody who has at least two less.
    bool move_one_away(std::size_t from) {
        struct Step {
            std::size_t before = 0, topic = 0;
            bool seen = false;
        };
        std::vector<Step> steps(members_.size());
        std::vector<bool> topic_seen(topics_.size(), false);
        std::deque<std::size_t> open{from};
        steps[from].seen = true;
        while (!open.empty()) {
            const std::size_t at = open.front();
            open.pop_front();
            std::optional<std::size_t> end;
            for (const auto& [topic, partitions] : members_[at].holding) {
                if (partitions.empty() || topic_seen[topic]) continue;
                topic_seen[topic] = true;  // its readers are reached from here already
                for (std::size_t reader : readers_[topic]) {
                    if (steps[reader].seen) continue;
                    steps[reader] = {at, topic, true};
                    open.push_back(reader);
                    if (members_[reader].count + 2 <= members_[from].count &&
                        (!end || members_[reader].count < members_[*end].count))
                        end = reader;
                }
            }
            if (!end) continue;
            for (std::size_t to = *end; to != from; to = steps[to].before) {
                std::vector<std::int32_t>& held =
                    members_[steps[to].before].holding[steps[to].topic];
                const std::int32_t partition = held.back();
                held.pop_back();
                --members_[steps[to].before].count;
                give(to, steps[to].topic, partition);
            }
            return true;
        }
        return false;
    }

    std::vector<std::string> topics_;
    std::vector<std::vector<bool>> free_;
    std::vector<std::vector<std::size_t>> readers_;
    std::vector<Member> members_;
};

}  // namespace

Assignment assign_sticky(const PartitionCounts& counts, const std::vector<Subscriber>& members) {
    Balance balance(counts, members);
    balance.fill();
    balance.even_out();
    return balance.result();
}

}  // namespace leat::cluster
