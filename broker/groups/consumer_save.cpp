// Groups of the consumer protocol on flash and back. consumer_fact.hpp says what holds at every
// moment; the order of the writes here is what makes it so.
#include <algorithm>
#include <limits>

#include "broker/groups/assignors.hpp"
#include "broker/groups/consumers.hpp"
#include "broker/groups/group_fact.hpp"

namespace leat::groups {

void Consumers::bump(Instant now, Group& group) {
    ConsumerGroup& all = *group.consumer;
    ++all.epoch;
    all.unsettled = false;
    ++shared_.rebalances;
    save_group(now, group);
}

void Consumers::save_group(Instant now, Group& group) {
    ConsumerGroup& all = *group.consumer;
    all.saved = true;
    all.last_write = facts_.put(
        now, group.id, consumer_group_key(group.id),
        consumer_group_value(
            {.epoch = all.epoch, .hash = all.hash, .empty_since_ms = group.empty_since_ms}));
}

void Consumers::save(Instant now, Group& group, ConsumerMember& member) {
    ConsumerGroup& all = *group.consumer;
    const auto values = consumer_member_values(member, ++member.save_number);
    const std::uint8_t old_slot = member.saved_slot;
    const std::uint16_t old_parts = member.saved_parts;
    const bool in_place = old_parts == 0 || (old_parts == 1 && values.size() == 1);
    if (!in_place) member.saved_slot = static_cast<std::uint8_t>(1 - old_slot);
    member.saved_parts = static_cast<std::uint16_t>(values.size());
    for (std::size_t i = 0; i < values.size(); ++i)
        all.last_write = facts_.put(now, group.id,
                                    consumer_member_key(group.id, member.id, member.saved_slot,
                                                        static_cast<std::uint16_t>(i)),
                                    values[i]);
    if (!in_place) erase_parts(now, group, member, old_slot, old_parts);
}

void Consumers::erase(Instant now, Group& group, const ConsumerMember& member) {
    erase_parts(now, group, member, member.saved_slot, member.saved_parts);
}

// The last part first: as long as part 0 is there, it says how many there should be.
void Consumers::erase_parts(Instant now, Group& group, const ConsumerMember& member,
                            std::uint8_t slot, std::uint16_t parts) {
    while (parts-- > 0)
        group.consumer->last_write =
            facts_.erase(now, group.id, consumer_member_key(group.id, member.id, slot, parts));
}

void Consumers::recount(ConsumerMember& member) {
    const std::size_t now = member.bytes();
    shared_.bytes += now - member.counted;
    member.counted = now;
}

void Consumers::begin(Instant now, Group& group) {
    while (group.chunks_saved > 0)
        (void)facts_.erase(now, group.id, group_key(group.id, --group.chunks_saved));
    group.pending.clear();
    group.save_wanted = false;
    group.protocol_type = "consumer";
    group.protocol.clear();
    group.subscribed.clear();
    group.generation = 0;
    group.consumer = std::make_unique<ConsumerGroup>();
    group.consumer->registry_seen = shared_.registry.changes();
    group.consumer->last_write = facts_.last();
}

void Consumers::end(Instant now, Group& group) {
    if (group.consumer->saved) (void)facts_.erase(now, group.id, consumer_group_key(group.id));
    group.consumer.reset();
    group.protocol_type.clear();
}

void Consumers::drop(Group& group) {
    refuse_waiting(group.id, ErrorCode::coordinator_not_available,
                   ErrorCode::coordinator_not_available);
    std::erase_if(held_, [&](Held& one) {
        if (one.group != group.id) return false;
        refuse(one.answer.ticket, ErrorCode::coordinator_not_available,
               "The log could not keep what the group became.");
        return true;
    });
    std::erase_if(held_joins_, [&](HeldJoin& one) {
        if (one.group != group.id) return false;
        one.answer = {.ticket = one.answer.ticket,
                      .error = ErrorCode::coordinator_not_available,
                      .protocol_type = std::nullopt,
                      .protocol = std::nullopt,
                      .leader = {},
                      .member = std::move(one.answer.member),
                      .members = {}};
        joined_.push_back(std::move(one.answer));
        return true;
    });
    if (group.consumer == nullptr) return;
    group.consumer->assigning.reset();  // it would be told of each
    while (!group.consumer->members.empty())
        forget(group, *group.consumer->members.begin()->second);
    group.consumer.reset();
    group.protocol_type.clear();
    group.state = State::empty;
}

Status Consumers::read(Loading& loading, ByteView key, ByteView value) {
    const auto part = decode_consumer_part(key, value);
    if (!part) return fail(part.error());
    if (part->member.empty()) {
        const auto fact = decode_consumer_group(value);
        if (!fact) return fail(fact.error());
        loading.fact = *fact;
        return ok();
    }
    Loading::Save& save = loading.members[std::string(part->member)][part->slot];
    if (save.pieces.empty() || part->save > save.number) {
        save.number = part->save;
        save.parts = part->parts;
        save.pieces.clear();
    }
    if (part->save == save.number)
        save.pieces[part->part] = {part->piece.begin(), part->piece.end()};
    return ok();
}

bool Consumers::load(Instant now, Group& group, const Loading& loading) {
    group.consumer = std::make_unique<ConsumerGroup>();
    group.protocol_type = "consumer";
    ConsumerGroup& all = *group.consumer;
    all.saved = loading.fact.has_value();
    if (loading.fact) {
        all.epoch = loading.fact->epoch;
        all.hash = loading.fact->hash;
        group.empty_since_ms = loading.fact->empty_since_ms;
    }
    bool readable = true;
    for (const auto& [id, saves] : loading.members)
        readable = load_member(now, group, id, saves) && readable;
    bool settled = true;
    for (const auto& [id, member] : all.members) {
        all.epoch = std::max(all.epoch, member->epoch);
        settled = settled && member->step == Step::stable;
    }
    for (const auto& [id, member] : all.members) settled = settled && member->epoch == all.epoch;
    all.unsettled = !settled;
    // The last member of the consumer protocol was erased, and the power went before the rest.
    const bool only_classic =
        std::all_of(all.members.begin(), all.members.end(),
                    [](const auto& entry) { return bool(entry.second->classic); });
    if (only_classic && !all.members.empty()) downgrades_.push_back(group.id);
    all.assignment_epoch = all.epoch;
    all.registry_seen = shared_.registry.changes();
    all.rehash = true;
    all.last_write = facts_.last();
    group.state = all.members.empty() ? State::empty : State::stable;
    return readable;
}

// The last part first, as ever.
void Consumers::erase_facts(Instant now, const std::string& group, const Loading& loading) {
    for (const auto& [id, saves] : loading.members)
        for (std::size_t slot = 0; slot < saves.size(); ++slot)
            for (auto part = saves[slot].pieces.rbegin(); part != saves[slot].pieces.rend(); ++part)
                (void)facts_.erase(now, group,
                                   consumer_member_key(group, id, static_cast<std::uint8_t>(slot),
                                                       part->first));
    if (loading.fact) (void)facts_.erase(now, group, consumer_group_key(group));
}

bool Consumers::load_member(Instant now, Group& group, const std::string& id,
                            const std::array<Loading::Save, 2>& saves) {
    ConsumerGroup& all = *group.consumer;
    auto owner = std::make_unique<ConsumerMember>(&group);
    ConsumerMember& member = *owner;
    member.id = id;
    const auto whole = [](const Loading::Save& save) {
        return save.parts > 0 && save.pieces.size() == save.parts &&
               save.pieces.rbegin()->first == save.parts - 1;
    };
    const std::size_t newer = saves[1].number > saves[0].number ? 1 : 0;
    const bool newest_whole = whole(saves[newer]);
    if (!newest_whole && !whole(saves[1 - newer]))
        return true;  // its first save was cut: nobody knew it
    const std::size_t slot = newest_whole ? newer : 1 - newer;
    std::vector<std::uint8_t> body;
    for (const auto& [part, piece] : saves[slot].pieces)
        body.insert(body.end(), piece.begin(), piece.end());
    MemberReads reads;
    if (!decode_consumer_member(body, member, reads)) return false;
    member.save_number = std::max(saves[0].number, saves[1].number);
    member.saved_slot = static_cast<std::uint8_t>(slot);
    member.saved_parts = saves[slot].parts;

    // Its successor was written, and the power went before it was erased.
    if (member.instance)
        if (const auto at = all.statics.find(*member.instance); at != all.statics.end()) {
            if (member.away()) return erase(now, group, member), true;
            erase(now, group, *at->second);
            forget(group, *at->second);
        }
    for (const Share* share : {&member.assigned, &member.revoking})
        for (const auto& [topic, partitions] : *share)
            for (const PartitionEpoch& one : partitions)
                if (all.owner(topic, one.partition) != nullptr) return false;  // damage
    member.target = member.assigned;
    all.members[id] = std::move(owner);
    ++shared_.members;
    if (member.instance) all.statics[*member.instance] = &member;
    // All topics at once: what it had shall not be taken from it until they are known.
    all.subscribe(member, std::move(reads.topics), reads.pattern, shared_.registry,
                  std::numeric_limits<std::uint64_t>::max());
    if (member.subscription->members == 1) shared_.bytes += member.subscription->counted;
    all.claim(member);
    recount(member);
    touch(now, group, member);
    if (member.step == Step::unrevoked) {
        member.rebalance_epoch = member.epoch;
        member.rebalance.arm(shared_.timers, now + member.rebalance_timeout);
    }
    return true;
}

}  // namespace leat::groups
