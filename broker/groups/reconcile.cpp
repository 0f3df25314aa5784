// A member on its way from what it owns to its target (KIP-848): first it gives up, then it gets,
// and what others still own it gets when they have given it up.
#include <algorithm>

#include "broker/groups/consumers.hpp"

namespace leat::groups {
namespace {

using Owned = std::optional<std::vector<TopicPartitions>>;

// A member that does not say what it owns still owns what it was told.
bool owns_some_of(const Share& share, const Owned& owned) {
    if (share.empty()) return false;
    if (!owned) return true;
    for (const TopicPartitions& topic : *owned)
        for (const std::int32_t partition : topic.partitions)
            if (find_in(share, topic.topic, partition) != nullptr) return true;
    return false;
}

bool reads(const ConsumerMember& member, const topics::Registry& registry,
           const topics::TopicId& id) {
    const topics::Topic* topic = registry.find(id);
    return topic != nullptr && member.subscription->has(topic->name);
}

struct Next {
    Share kept, revoking, fresh;
    bool waits = false;  // for partitions that others own
};

Next next_of(const ConsumerGroup& group, const ConsumerMember& member,
             const topics::Registry& registry) {
    Next next;
    for (const auto& [topic, partitions] : member.assigned) {
        const bool wanted = reads(member, registry, topic);
        for (const PartitionEpoch& one : partitions) {
            const bool stays = wanted && find_in(member.target, topic, one.partition) != nullptr;
            (stays ? next.kept : next.revoking)[topic].push_back(one);
        }
    }
    for (const auto& [topic, partitions] : member.target) {
        if (!reads(member, registry, topic)) continue;
        for (const PartitionEpoch& one : partitions) {
            if (find_in(member.assigned, topic, one.partition) != nullptr) continue;
            const ConsumerMember* owner = group.owner(topic, one.partition);
            if (owner == nullptr || owner == &member)
                next.fresh[topic].push_back({one.partition, group.assignment_epoch});
            else
                next.waits = true;
        }
    }
    return next;
}

void add_to(Share& share, const Share& more) {
    for (const auto& [topic, partitions] : more) {
        auto& list = share[topic];
        list.insert(list.end(), partitions.begin(), partitions.end());
        std::sort(list.begin(), list.end(), [](const PartitionEpoch& a, const PartitionEpoch& b) {
            return a.partition < b.partition;
        });
    }
}

// Towards the target of the assignment epoch.
void step_forward(ConsumerGroup& group, ConsumerMember& member, const topics::Registry& registry,
                  const Owned& owned) {
    Next next = next_of(group, member, registry);
    member.assigned = std::move(next.kept);
    if (owns_some_of(next.revoking, owned)) {
        member.step = Step::unrevoked;
        member.revoking = std::move(next.revoking);
        return;  // in its epoch
    }
    member.revoking.clear();
    // Whoever lost the answer with the new epoch comes again with the one before.
    if (member.epoch != group.assignment_epoch) member.previous_epoch = member.epoch;
    member.epoch = group.assignment_epoch;
    member.step = next.waits ? Step::unreleased : Step::stable;
    add_to(member.assigned, next.fresh);
}

// It no longer reads some of what it has, and nothing else is new.
void give_up_unread(ConsumerMember& member, const topics::Registry& registry, const Owned& owned) {
    Share unread;
    for (auto at = member.assigned.begin(); at != member.assigned.end();) {
        if (reads(member, registry, at->first)) {
            ++at;
            continue;
        }
        unread.insert(member.assigned.extract(at++));
    }
    if (unread.empty()) return;
    Share revoking = member.revoking;
    add_to(revoking, unread);
    if (!owns_some_of(revoking, owned)) return;
    member.step = Step::unrevoked;
    member.revoking = std::move(revoking);
}

}  // namespace

bool Consumers::waits(const ConsumerGroup& group, const ConsumerMember& member) const {
    return next_of(group, member, shared_.registry).waits;
}

bool Consumers::reconcile(Instant now, Group& group, ConsumerMember& member,
                          bool subscription_changed, const Owned& owned) {
    ConsumerGroup& all = *group.consumer;
    const topics::Registry& registry = shared_.registry;
    const bool there = member.step == Step::stable && member.epoch == all.assignment_epoch;
    if (there && !subscription_changed) return false;

    const Step step = member.step;
    const std::int32_t epoch = member.epoch;
    const Share assigned = member.assigned, revoking = member.revoking;
    all.release(member);
    const bool still_owns = step == Step::unrevoked && owns_some_of(member.revoking, owned);
    if (there || still_owns) {
        if (subscription_changed) give_up_unread(member, registry, owned);
    } else {
        // What it has given up is free for itself, too: release() above is undone only by claim().
        step_forward(all, member, registry, owned);
    }
    all.claim(member);
    const bool changed = step != member.step || epoch != member.epoch ||
                         assigned != member.assigned || revoking != member.revoking;
    if (!changed) return false;
    if (member.step == Step::unrevoked) {
        member.rebalance_epoch = member.epoch;
        member.rebalance.arm(shared_.timers, now + member.rebalance_timeout);
    } else {
        member.rebalance.disarm();
    }
    return true;
}

}  // namespace leat::groups
