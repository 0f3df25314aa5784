// ConsumerGroupHeartbeat: who stays, changes and leaves.
#include "broker/groups/consumers.hpp"

#include <algorithm>

#include "broker/groups/assignors.hpp"

namespace leat::groups {
namespace {

// Matching patterns anew is given at most about this share of the time, however many topics come
// and go: so many steps of the matcher are worth one millisecond of pause.
constexpr std::uint64_t steps_per_pause_ms = 2'000;
constexpr milliseconds refresh_pause_min{1'000};

}  // namespace

void Consumers::refuse(Ticket ticket, ErrorCode error, std::string message) {
    ConsumerAnswer answer;
    answer.ticket = ticket;
    answer.error = error;
    answer.message = std::move(message);
    answers_.push_back(std::move(answer));
}

void Consumers::heartbeat(Instant now, Ticket ticket, Group& group, ConsumerHeartbeat request) {
    if (request.epoch < 0) return leave(now, ticket, group, request);
    bool bumps = false;
    ConsumerMember* admitted = admit(now, ticket, group, request, bumps);
    if (admitted == nullptr) return;
    ConsumerMember& member = *admitted;
    Asked asked{.ticket = ticket,
                .member = member.id,
                .says_all = request.epoch == epoch_joins || request.is_full(),
                .changed = member.classic.has_value(),
                .assigned = member.assigned};
    member.classic.reset();
    member.overdue.disarm();
    hear(now, group, member, request, bumps, asked);
    answer_or_wait(now, group, member, std::move(asked));
}

void Consumers::hear(Instant now, Group& group, ConsumerMember& member, ConsumerHeartbeat& request,
                     bool bumps, Asked& asked) {
    const Subscription* before = member.subscription;
    asked.changed |= update(group, member, request);
    asked.subscription_changed = before != member.subscription;
    asked.owned = std::move(request.owned);
    bumps |= asked.subscription_changed;
    bumps |= refresh(now, group) || group.consumer->unsettled;
    if (bumps) bump(now, group);
    touch(now, group, member);
    recount(member);
}

// true: what is on flash of it is not what it says now.
bool Consumers::update(Group& group, ConsumerMember& member, ConsumerHeartbeat& request) {
    ConsumerGroup& all = *group.consumer;
    bool changed = false;
    const auto set = [&changed](auto& field, auto value) {
        if (field == value) return;
        field = std::move(value);
        changed = true;
    };
    if (request.instance && member.instance != request.instance) {
        if (member.instance) all.statics.erase(*member.instance);
        set(member.instance, request.instance);
        all.statics[*member.instance] = &member;
    }
    if (request.rack) set(member.rack, request.rack);
    if (request.rebalance_timeout)
        set(member.rebalance_timeout, std::clamp(*request.rebalance_timeout, milliseconds(0),
                                                 milliseconds(std::int64_t{1} << 31)));
    if (request.assignor) set(member.assignor, request.assignor);
    set(member.client_id, std::move(request.client_id));
    set(member.client_host, std::move(request.client_host));
    if (request.topics || request.pattern || member.subscription == nullptr) {
        static const Subscription nothing;
        const Subscription& now = member.subscription != nullptr ? *member.subscription : nothing;
        const std::string pattern = request.pattern ? *request.pattern : now.pattern;
        std::vector<std::string> topics = request.topics ? std::move(*request.topics) : now.topics;
        const Subscription* before = member.subscription;
        std::size_t counted = before != nullptr ? before->counted : 0;
        const bool last = before != nullptr && before->members == 1;
        all.subscribe(member, std::move(topics), pattern, shared_.registry);
        if (member.subscription != before) {
            if (last) shared_.bytes -= counted;
            if (member.subscription->members == 1) shared_.bytes += member.subscription->counted;
            changed = true;
        }
    }
    return changed;
}

// true: the topics that the group reads are others than before, or have more partitions.
bool Consumers::refresh(Instant now, Group& group) {
    ConsumerGroup& all = *group.consumer;
    const std::uint64_t changes = shared_.registry.changes();
    if ((all.registry_seen != changes || all.walks) && all.refresh_due <= now) {
        if (!all.walks) all.registry_seen = changes;
        for (const auto& [key, one] : all.subscriptions) shared_.bytes -= one.counted;
        const std::uint64_t steps = all.match_some(shared_.registry);
        for (const auto& [key, one] : all.subscriptions) shared_.bytes += one.counted;
        all.refresh_due =
            now + std::max(refresh_pause_min,
                           milliseconds(static_cast<std::int64_t>(steps / steps_per_pause_ms)));
        all.rehash = true;
    }
    if (!std::exchange(all.rehash, false)) return false;
    const std::uint64_t before = std::exchange(all.hash, all.topics_hash(shared_.registry));
    return all.hash != before;
}

void Consumers::leave(Instant now, Ticket ticket, Group& group, const ConsumerHeartbeat& request) {
    ConsumerGroup& all = *group.consumer;
    ConsumerMember* member = all.find(request.member);
    if (request.instance) {
        const auto at = all.statics.find(*request.instance);
        member = at == all.statics.end() ? nullptr : at->second;
        if (member != nullptr && member->id != request.member)
            return refuse(ticket, ErrorCode::fenced_instance_id,
                          "Static member " + request.member + " with instance id " +
                              *request.instance + " was fenced by member " + member->id + ".");
    }
    if (member == nullptr)
        return refuse(ticket, ErrorCode::unknown_member_id,
                      "Member " + request.member + " is not a member of group " + group.id + ".");
    ConsumerAnswer answer;
    answer.ticket = ticket;
    answer.member = request.member;
    answer.epoch = request.epoch;
    if (request.epoch == epoch_leaves_for_a_while)
        leave_for_a_while(now, group, *member);
    else
        remove(now, group, *member);
    answer_when_durable(group, std::move(answer));
}

ErrorCode Consumers::take_out(Instant now, Group& group, const Leaving& who) {
    ConsumerGroup& all = *group.consumer;
    ConsumerMember* member = all.find(who.member);
    if (who.instance) {
        const auto at = all.statics.find(*who.instance);
        member = at == all.statics.end() ? nullptr : at->second;
        if (member != nullptr && !who.member.empty() && member->id != who.member)
            return ErrorCode::fenced_instance_id;
    }
    if (member == nullptr) return ErrorCode::unknown_member_id;
    remove(now, group, *member);
    return ErrorCode::none;
}

// Its partitions stay its own until its session is over.
void Consumers::leave_for_a_while(Instant now, Group& group, ConsumerMember& member) {
    ConsumerGroup& all = *group.consumer;
    all.release(member);
    member.epoch = epoch_leaves_for_a_while;
    member.revoking.clear();
    for (auto& [topic, partitions] : member.assigned)
        for (PartitionEpoch& one : partitions) one.epoch = 0;
    all.claim(member);
    save(now, group, member);
    recount(member);
}

void Consumers::remove(Instant now, Group& group, ConsumerMember& member) {
    ConsumerGroup& all = *group.consumer;
    const bool only_classic_left =
        all.members.size() > 1 &&
        std::all_of(all.members.begin(), all.members.end(), [&member](const auto& entry) {
            return entry.second.get() == &member || entry.second->classic;
        });
    if (only_classic_left) {
        // In the epoch that they know: a rebalance of their own kind is what they are told of.
        downgrades_.push_back(group.id);
        erase(now, group, member);
        return forget(group, member);
    }
    if (all.members.size() == 1) {
        group.state = State::empty;
        group.empty_since_ms = shared_.log.log_time(now).count();
    }
    bump(now, group);
    erase(now, group, member);
    forget(group, member);
}

void Consumers::forget(Group& group, ConsumerMember& member) {
    ConsumerGroup& all = *group.consumer;
    all.release(member);
    if (member.instance) all.statics.erase(*member.instance);
    if (member.subscription != nullptr && member.subscription->members == 1)
        shared_.bytes -= member.subscription->counted;
    all.unsubscribe(member);
    shared_.bytes -= member.counted;
    if (all.assigning != nullptr) all.assigning->forget(member);
    --shared_.members;
    all.members.erase(all.members.find(member.id));
}

void Consumers::touch(Instant now, const Group& group, ConsumerMember& member) {
    member.expires = now + (member.classic ? member.classic->session_timeout
                                           : shared_.settings.session_timeout(group.id));
    // A heartbeat only moves `expires`: the timer rings at its old time, sees that, and goes on.
    if (!member.session.armed() || member.session.when() > member.expires)
        member.session.arm(shared_.timers, member.expires);
}

void Consumers::on_timer(Instant now, Group& group, Timer& timer) {
    ConsumerMember& member = *timer.consumer();
    if (&timer == &member.rebalance) {
        // It was told to give something up, and did not in its time.
        if (member.step != Step::unrevoked || member.epoch != member.rebalance_epoch) return;
    } else if (&timer == &member.overdue) {
        if (!member.classic) return;
    } else if (member.expires > now) {
        return timer.arm(shared_.timers, member.expires);
    }
    ++shared_.timed_out;
    remove(now, group, member);
}

ErrorCode Consumers::check_commit(const Group& group, const Identity& who,
                                  const std::vector<Commit>& commits) const {
    const ConsumerMember* member = group.consumer->find(who.member);
    if (member == nullptr) return ErrorCode::unknown_member_id;
    if (member->classic)
        return member->is_at(who.generation) ? ErrorCode::none : ErrorCode::illegal_generation;
    if (!who.knows_epochs) return ErrorCode::unsupported_version;
    if (member->is_at(who.generation)) return ErrorCode::none;
    if (who.generation > member->epoch) return ErrorCode::stale_member_epoch;
    // Of an earlier epoch: what it has had since then is its own all the same (KIP-1251).
    for (const Commit& one : commits) {
        const topics::Topic* topic = shared_.registry.find(one.topic);
        if (topic == nullptr) continue;  // answered by itself
        const PartitionEpoch* mine = find_in(member->assigned, topic->id, one.partition);
        if (mine == nullptr) mine = find_in(member->revoking, topic->id, one.partition);
        if (mine == nullptr || who.generation < mine->epoch) return ErrorCode::stale_member_epoch;
    }
    return ErrorCode::none;
}

ErrorCode Consumers::check_fetch(const Group& group, std::string_view id,
                                 std::int32_t epoch) const {
    const ConsumerMember* member = group.consumer->find(id);
    if (member == nullptr) return ErrorCode::unknown_member_id;
    return member->is_at(epoch) ? ErrorCode::none : ErrorCode::stale_member_epoch;
}

void Consumers::answer_when_durable(Group& group, ConsumerAnswer answer) {
    if (group.consumer->last_write <= facts_.durable())
        return answers_.push_back(std::move(answer));
    held_.push_back({group.consumer->last_write, group.id, std::move(answer)});
}

std::optional<ConsumerAnswer> Consumers::poll_answer() {
    if (answers_.empty()) return std::nullopt;
    ConsumerAnswer answer = std::move(answers_.front());
    answers_.pop_front();
    return answer;
}

void Consumers::settle(Instant now) {
    facts_.settle(now);
    if (facts_.any_broken()) return;  // first the groups are put right
    std::erase_if(held_, [this](Held& one) {
        if (one.write > facts_.durable()) return false;
        answers_.push_back(std::move(one.answer));
        return true;
    });
    std::erase_if(held_joins_, [this](HeldJoin& one) {
        if (one.write > facts_.durable()) return false;
        joined_.push_back(std::move(one.answer));
        return true;
    });
}

}  // namespace leat::groups
