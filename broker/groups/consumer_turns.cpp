// Assignments that are made in turns, and who waits for them: whoever asks while the target is
// older than the group is answered out of the next one, as if it had been made at once. So changes
// of one moment share an assignment, however many they are.
#include <algorithm>

#include "broker/groups/assignors.hpp"
#include "broker/groups/consumers.hpp"

namespace leat::groups {
namespace {

constexpr int answers_per_turn = 16;  // each of them writes a fact

// Of what it says it owns, what the group knows to be its own: the rest means nothing.
void keep_known(const ConsumerMember& member, std::optional<std::vector<TopicPartitions>>& owned) {
    if (!owned) return;
    for (TopicPartitions& one : *owned)
        std::erase_if(one.partitions, [&](std::int32_t partition) {
            return find_in(member.assigned, one.topic, partition) == nullptr &&
                   find_in(member.revoking, one.topic, partition) == nullptr;
        });
    std::erase_if(*owned, [](const TopicPartitions& one) { return one.partitions.empty(); });
    owned->shrink_to_fit();
}

}  // namespace

// A small group's is made at once, within the first turn.
bool Consumers::has_target(Group& group) {
    ConsumerGroup& all = *group.consumer;
    if (waiting_.contains(group.id)) return false;  // in order
    if (all.epoch > all.assignment_epoch && all.assigning == nullptr) {
        all.assigning = std::make_unique<TargetAssignment>(all);
        assign_some(group);
    }
    return all.epoch <= all.assignment_epoch;
}

void Consumers::assign_some(Group& group) {
    ConsumerGroup& all = *group.consumer;
    if (!all.assigning->go_on(shared_.registry, shared_.config.assignment_steps_max)) return;
    for (ConsumerMember* member : all.assigning->take()) recount(*member);
    all.assigning.reset();
}

void Consumers::answer_or_wait(Instant now, Group& group, ConsumerMember& member, Asked asked) {
    if (has_target(group)) return go_on(now, group, member, asked);
    keep_known(member, asked.owned);
    asked.group_epoch = group.consumer->epoch;
    waiting_[group.id].push_back(std::move(asked));
    if (std::find(turns_.begin(), turns_.end(), group.id) == turns_.end())
        turns_.push_back(group.id);
}

std::string Consumers::take_turn() {
    std::string group = std::move(turns_.front());
    turns_.pop_front();
    return group;
}

void Consumers::turn(Instant now, const std::string& id, Group* group) {
    if (group == nullptr || group->consumer == nullptr)
        return refuse_waiting(id, ErrorCode::unknown_member_id, ErrorCode::rebalance_in_progress);
    ConsumerGroup& all = *group->consumer;
    if (all.assigning != nullptr) {
        assign_some(*group);
    } else if (const auto at = waiting_.find(id); at != waiting_.end()) {
        for (int left = answers_per_turn; left > 0 && !at->second.empty(); --left) {
            // Of an earlier group of this name the epoch means nothing.
            if (at->second.front().group_epoch > all.assignment_epoch &&
                all.epoch > all.assignment_epoch) {
                all.assigning = std::make_unique<TargetAssignment>(all);
                break;
            }
            const Asked asked = std::move(at->second.front());
            at->second.pop_front();
            ConsumerMember* member = all.find(asked.member);
            if (member == nullptr || member->away() || (asked.joins && !member->classic))
                refuse(asked, ErrorCode::unknown_member_id);
            else
                go_on(now, *group, *member, asked);
        }
        if (at->second.empty()) waiting_.erase(at);
    }
    if (all.assigning != nullptr || waiting_.contains(id)) turns_.push_back(id);
}

// One step towards the target, and what is told of it.
void Consumers::go_on(Instant now, Group& group, ConsumerMember& member, const Asked& asked) {
    const bool moved = reconcile(now, group, member, asked.subscription_changed, asked.owned);
    if (moved || asked.changed || member.save_number == 0) save(now, group, member);
    recount(member);
    if (asked.joins) return tell_joined(now, group, member, asked.ticket);
    ConsumerAnswer answer;
    answer.ticket = asked.ticket;
    answer.member = member.id;
    answer.epoch = member.epoch;
    answer.interval = shared_.settings.heartbeat_interval(group.id);
    if (asked.says_all || asked.assigned != member.assigned) {
        auto& list = answer.assignment.emplace();
        for (const auto& [topic, partitions] : member.assigned) {
            TopicPartitions& one = list.emplace_back();
            one.topic = topic;
            for (const PartitionEpoch& partition : partitions)
                one.partitions.push_back(partition.partition);
        }
    }
    answer_when_durable(group, std::move(answer));
}

void Consumers::refuse(const Asked& asked, ErrorCode error) {
    if (!asked.joins)
        return refuse(asked.ticket, error, "Member " + asked.member + " is not a member.");
    JoinAnswer answer;
    answer.ticket = asked.ticket;
    answer.error = error;
    answer.member = asked.member;
    joined_.push_back(std::move(answer));
}

void Consumers::refuse_waiting(const std::string& group, ErrorCode error, ErrorCode of_joins) {
    const auto waiting = waiting_.extract(group);
    if (!waiting) return;
    for (const Asked& asked : waiting.mapped()) refuse(asked, asked.joins ? of_joins : error);
}

}  // namespace leat::groups
