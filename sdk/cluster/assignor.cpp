#include "sdk/cluster/assignor.hpp"

#include <algorithm>
#include <set>

namespace leat::cluster {
namespace {

constexpr const char* names[] = {"range", "roundrobin", "sticky", "cooperative-sticky"};

/// Java's order of members: static ones first, by instance id, which a restart does not change.
bool goes_before(const Subscriber* a, const Subscriber* b) {
    if (a->instance_id && b->instance_id) return *a->instance_id < *b->instance_id;
    if (a->instance_id || b->instance_id) return a->instance_id.has_value();
    return a->member_id < b->member_id;
}

std::vector<const Subscriber*> in_order(const std::vector<Subscriber>& members) {
    std::vector<const Subscriber*> sorted;
    for (const Subscriber& member : members) sorted.push_back(&member);
    std::sort(sorted.begin(), sorted.end(), goes_before);
    return sorted;
}

bool has_topic(const Subscriber& member, const std::string& topic) {
    return std::binary_search(member.topics.begin(), member.topics.end(), topic);
}

Assignment everybody(const std::vector<Subscriber>& members) {
    Assignment assignment;
    for (const Subscriber& member : members) assignment[member.member_id];
    return assignment;
}

Assignment assign_range(const PartitionCounts& counts, const std::vector<Subscriber>& members) {
    Assignment assignment = everybody(members);
    const std::vector<const Subscriber*> sorted = in_order(members);
    for (const auto& [topic, count] : counts) {
        std::vector<const Subscriber*> readers;
        for (const Subscriber* member : sorted)
            if (has_topic(*member, topic)) readers.push_back(member);
        if (readers.empty()) continue;
        const auto each = static_cast<std::size_t>(count) / readers.size();
        const auto longer = static_cast<std::size_t>(count) % readers.size();
        std::int32_t next = 0;
        for (std::size_t i = 0; i < readers.size(); ++i)
            for (std::size_t n = each + (i < longer ? 1 : 0); n > 0; --n)
                assignment[readers[i]->member_id].push_back({topic, next++});
    }
    return assignment;
}

Assignment assign_round_robin(const PartitionCounts& counts,
                              const std::vector<Subscriber>& members) {
    Assignment assignment = everybody(members);
    const std::vector<const Subscriber*> sorted = in_order(members);
    std::size_t turn = 0;
    for (const auto& [topic, count] : counts) {
        const std::string& name = topic;  // Clang 14 lets no lambda capture a structured binding
        const bool is_read = std::any_of(
            sorted.begin(), sorted.end(),
            [&name](const Subscriber* member) { return has_topic(*member, name); });
        if (!is_read) continue;
        for (std::int32_t partition = 0; partition < count; ++partition) {
            while (!has_topic(*sorted[turn % sorted.size()], topic)) ++turn;
            assignment[sorted[turn++ % sorted.size()]->member_id].push_back({topic, partition});
        }
    }
    return assignment;
}

/// What changes hands is given to nobody yet: its owner of today learns of it first.
void hold_back_moves(Assignment& assignment, const std::vector<Subscriber>& members) {
    // Of several that claim a partition who got it last has it. But an old claim that nobody else
    // makes stands: that member may still be reading, or be of a client that tells no generations.
    struct Claim {
        std::int32_t generation = -1;
        std::set<std::string> members{};
    };
    std::map<TopicPartition, Claim> owners;
    for (const Subscriber& member : members)
        for (const TopicPartition& partition : member.owned) {
            Claim& claim = owners[partition];
            if (member.generation > claim.generation) claim = {member.generation, {}};
            if (member.generation == claim.generation) claim.members.insert(member.member_id);
        }
    for (auto& [id, partitions] : assignment) {
        const std::string& mine = id;
        std::erase_if(partitions, [&](const TopicPartition& partition) {
            const auto found = owners.find(partition);
            if (found == owners.end()) return false;
            const std::set<std::string>& claiming = found->second.members;
            return std::any_of(claiming.begin(), claiming.end(),
                               [&mine](const std::string& owner) { return owner != mine; });
        });
    }
}

}  // namespace

const char* name_of(Assignor assignor) { return names[static_cast<std::size_t>(assignor)]; }

std::optional<Assignor> assignor_named(std::string_view name) {
    for (std::size_t i = 0; i < std::size(names); ++i)
        if (name == names[i]) return static_cast<Assignor>(i);
    return std::nullopt;
}

Assignment assign(Assignor assignor, const PartitionCounts& counts,
                  std::vector<Subscriber> members) {
    for (Subscriber& member : members) {
        std::sort(member.topics.begin(), member.topics.end());
        member.topics.erase(std::unique(member.topics.begin(), member.topics.end()),
                            member.topics.end());
    }
    if (assignor == Assignor::range) return assign_range(counts, members);
    if (assignor == Assignor::round_robin) return assign_round_robin(counts, members);
    Assignment assignment = assign_sticky(counts, members);
    if (assignor == Assignor::cooperative_sticky) hold_back_moves(assignment, members);
    return assignment;
}

}  // namespace leat::cluster
