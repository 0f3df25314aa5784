// Both protocols in one group: consumers go from the classic one to the other (KIP-848) member by
// member, without a pause for all, and back (Kafka's migration policy `bidirectional`).
//
// The first member of the consumer protocol makes the classic group one of the other kind. What the
// classic members own stays their own; they are told to join again, and from then on the broker
// assigns to them, too:
//
//   JoinGroup   is a member's step to its target, told from what its subscription says it owns;
//               nobody waits for the others, and nobody is leader
//   SyncGroup   brings what the step gave it
//   Heartbeat   says REBALANCE_IN_PROGRESS when there is another step to be made
//
// Whoever is told so and does not come in the rebalance timeout is out. When the last member of the
// consumer protocol goes, it is a classic group again, which begins with a rebalance.
//
// On flash the new facts are written before the old ones are erased, and nobody is told before all
// of that is durable: of both kinds at least one is whole (consumer_fact.hpp).
#include <algorithm>
#include <set>

#include "broker/groups/assignors.hpp"
#include "broker/groups/consumers.hpp"
#include "broker/groups/group_fact.hpp"
#include "sdk/wire/api/consumer_protocol.hpp"

namespace leat::groups {
namespace {

constexpr std::string_view type_consumer = "consumer";
constexpr std::int16_t assignment_version_max = 3;

// Kafka's own assignors need nothing of what a leader says beside partitions; with librdkafka's
// cooperative-sticky it says back what the member sent.
bool is_kafkas_own(std::string_view assignor) {
    return assignor == "range" || assignor == "roundrobin" || assignor == "sticky" ||
           assignor == "cooperative-sticky";
}

// What its own classic members have in common, but for the one that asks.
bool supported(const ConsumerGroup& group, const JoinRequest& request) {
    return std::any_of(
        request.protocols.begin(), request.protocols.end(), [&](const Protocol& offered) {
            return std::all_of(group.members.begin(), group.members.end(), [&](const auto& entry) {
                const ConsumerMember& other = *entry.second;
                if (!other.classic || other.id == request.member) return true;
                if (request.instance && other.instance == request.instance) return true;
                return std::any_of(other.classic->protocols.begin(), other.classic->protocols.end(),
                                   [&](const Protocol& one) { return one.name == offered.name; });
            });
        });
}

bool only_classic(const ConsumerGroup& group) {
    return !group.members.empty() &&
           std::all_of(group.members.begin(), group.members.end(),
                       [](const auto& entry) { return bool(entry.second->classic); });
}

const std::string& metadata_of(const Group& group, const Member& member) {
    const std::string* chosen = member.metadata(group.protocol);
    return chosen != nullptr ? *chosen : member.protocols.front().metadata;
}

template <class List>
std::vector<TopicPartitions> by_id(const List& list, const topics::Registry& registry) {
    std::vector<TopicPartitions> all;
    for (const auto& from : list) {
        const topics::Topic* topic = registry.find(from.topic.view());
        if (topic == nullptr) continue;
        TopicPartitions& one = all.emplace_back();
        one.topic = topic->id;
        for (const std::int32_t partition : from.partitions)
            if (topic->has(partition)) one.partitions.push_back(partition);
    }
    return all;
}

using Places = std::set<std::pair<topics::TopicId, std::int32_t>>;

// What each may have in its hands: what it was given, and what it said last that it has. Who shall
// give something up has it until it comes again, and nobody knows who of them has heard of it: the
// answers are on their way, or the broker was started again since. Nobody has heard of what is only
// being decided. If two could have one (a leader may give it to both), it is the first one's.
std::map<std::string_view, Places> owned_by(const Group& group, const topics::Registry& registry) {
    std::map<std::string_view, Places> own;
    Places taken;
    const bool undecided = group.state == State::completing_rebalance;
    for (const bool said : {undecided, !undecided})
        for (const auto& [id, member] : group.members) {
            Places& mine = own[id];
            const auto has = [&](const auto& list) {
                for (const TopicPartitions& one : by_id(list, registry))
                    for (const std::int32_t partition : one.partitions)
                        if (taken.emplace(one.topic, partition).second)
                            mine.emplace(one.topic, partition);
            };
            if (said) {
                const auto subscription =
                    wire::decode_subscription(bytes_of(metadata_of(group, *member)));
                has(subscription->owned_partitions);
            } else if (const auto given = wire::decode_assignment(bytes_of(member->assignment))) {
                has(given->assigned_partitions);
            }
        }
    return own;
}

std::vector<std::string> names_of(const wire::ConsumerProtocolSubscription& said) {
    std::vector<std::string> names;
    for (const auto& name : said.topics) names.emplace_back(name.view());
    return names;
}

}  // namespace

std::string Consumers::upgrade_problem(const Group& group) const {
    const std::string cannot =
        "Cannot upgrade classic group " + group.id + " to consumer group because ";
    if (!group.consumers())
        return cannot + "the group does not use the consumer embedded protocol.";
    if (group.members.size() > shared_.config.consumer_group_size_max)
        return cannot + "the group size exceeds the consumer group maximum size.";
    for (const auto& [id, member] : group.members) {
        bool readable = bool(wire::decode_subscription(bytes_of(metadata_of(group, *member))));
        if (readable && !member->assignment.empty()) {
            const auto given = wire::decode_assignment(bytes_of(member->assignment));
            readable = bool(given);
            if (given && !given->user_data.view().empty() && !is_kafkas_own(group.protocol))
                return cannot +
                       "an unsupported custom assignor is in use. Please refer to the "
                       "documentation or switch to a default assignor before re-attempting the "
                       "upgrade.";
        }
        if (!readable) return cannot + "the embedded consumer protocol is malformed.";
    }
    return {};
}

void Consumers::upgrade(Instant now, Group& group) {
    group.consumer = std::make_unique<ConsumerGroup>();
    ConsumerGroup& all = *group.consumer;
    const topics::Registry& registry = shared_.registry;
    all.registry_seen = registry.changes();
    all.epoch = all.assignment_epoch = group.generation;
    const auto own = owned_by(group, registry);
    for (const auto& [id, from] : group.members) {
        const auto said = wire::decode_subscription(bytes_of(metadata_of(group, *from)));
        LEAT_CHECK(bool(said));  // upgrade_problem() has read it
        auto owner = std::make_unique<ConsumerMember>(&group);
        ConsumerMember& member = *owner;
        member.id = id;
        member.instance = from->instance;
        if (!said->rack_id.is_null()) member.rack = said->rack_id.view();
        member.client_id = from->client_id;
        member.client_host = from->client_host;
        member.rebalance_timeout = from->rebalance_timeout;
        member.epoch = member.previous_epoch = group.generation;
        member.classic = {from->session_timeout, from->protocols};
        if (const auto at = own.find(id); at != own.end())
            for (const auto& [topic, partition] : at->second)
                member.assigned[topic].push_back({partition, member.epoch});
        member.target = member.assigned;
        all.members[id] = std::move(owner);
        ++shared_.members;
        if (member.instance) all.statics[*member.instance] = &member;
        all.subscribe(member, names_of(*said), {}, registry);
        if (member.subscription->members == 1) shared_.bytes += member.subscription->counted;
        all.claim(member);
        save(now, group, member);
        recount(member);
        touch(now, group, member);
    }
    bump(now, group);  // with its fact the group is of this kind
    while (group.chunks_saved > 0)
        all.last_write = facts_.erase(now, group.id, group_key(group.id, --group.chunks_saved));
}

bool Consumers::downgrade(Instant now, Group& group) {
    ConsumerGroup& all = *group.consumer;
    if (!only_classic(all)) return false;  // more has happened since
    group.generation = all.epoch;
    for (const auto& [id, from] : all.members) {
        auto owner = std::make_unique<Member>(&group);
        Member& member = *owner;
        member.id = id;
        member.instance = from->instance;
        if (member.instance) group.static_members[*member.instance] = id;
        member.client_id = from->client_id;
        member.client_host = from->client_host;
        member.session_timeout = from->classic->session_timeout;
        member.rebalance_timeout = from->rebalance_timeout;
        member.protocols = from->classic->protocols;
        member.assignment = assignment_of(*from);
        member.synced = true;
        group.members[id] = std::move(owner);
    }
    // Without a leader: until there is one, who has left has left partitions that nobody has, and
    // that has to be known after a power cut, too.
    group.protocol = group.vote();
    const auto values = group_values(group, ++group.save_number);
    if (values.empty() || group.protocol.empty()) {
        group.members.clear();
        group.static_members.clear();
        group.protocol.clear();
        group.generation = 0;
        return false;
    }
    for (const auto& value : values)
        (void)facts_.put(now, group.id, group_key(group.id, group.chunks_saved++), value);
    for (const auto& [id, from] : all.members) erase(now, group, *from);
    if (all.saved) (void)facts_.erase(now, group.id, consumer_group_key(group.id));
    all.assigning.reset();  // it would be told of each
    while (!all.members.empty()) forget(group, *all.members.begin()->second);
    group.consumer.reset();
    group.learn_subscriptions();
    group.state = State::stable;
    return true;
}

ErrorCode Consumers::join(Instant now, Ticket ticket, Group& group, const JoinRequest& request,
                          const std::string& fresh_id) {
    ConsumerGroup& all = *group.consumer;
    const bool has_id = !request.member.empty();
    const auto at = request.instance ? all.statics.find(*request.instance) : all.statics.end();
    ConsumerMember* member = at != all.statics.end() ? at->second
                             : request.instance      ? nullptr
                                                     : all.find(request.member);
    if (member == nullptr && all.members.size() >= shared_.config.consumer_group_size_max)
        return ErrorCode::group_max_size_reached;
    if (request.protocol_type != type_consumer || !supported(all, request))
        return ErrorCode::inconsistent_group_protocol;
    const auto said = wire::decode_subscription(bytes_of(request.protocols.front().metadata));
    if (!said) return ErrorCode::inconsistent_group_protocol;
    if (!has_id && !request.instance && request.requires_known_member)
        return ErrorCode::member_id_required;
    if (request.instance && has_id) {
        if (member == nullptr) return ErrorCode::unknown_member_id;
        if (member->id != request.member) return ErrorCode::fenced_instance_id;
    }
    ConsumerHeartbeat as;
    as.group = group.id;
    as.member = has_id ? request.member : fresh_id;
    as.instance = request.instance;
    if (!said->rack_id.is_null()) as.rack = said->rack_id.view();
    as.rebalance_timeout = request.rebalance_timeout;
    as.topics = names_of(*said);
    as.pattern.emplace();
    as.owned = by_id(said->owned_partitions, shared_.registry);
    as.client_id = request.client_id;
    as.client_host = request.client_host;
    const bool is_new = member == nullptr;
    if (is_new)
        member = &add(group, as);
    else if (!has_id)
        replace(now, group, *member, as.member);
    ClassicSide side{request.session_timeout, request.protocols};
    const bool was_classic = member->classic.has_value();
    Asked asked{.ticket = ticket,
                .member = member->id,
                .joins = true,
                .changed = member->classic != side};
    member->classic = std::move(side);
    // It took the place of the last one of the other protocol.
    if (!was_classic && only_classic(all)) downgrades_.push_back(group.id);
    hear(now, group, *member, as, is_new, asked);
    member->overdue.disarm();
    answer_or_wait(now, group, *member, std::move(asked));
    return ErrorCode::none;
}

// It has its rebalance timeout to ask for what it was given.
void Consumers::tell_joined(Instant now, Group& group, ConsumerMember& member, Ticket ticket) {
    member.overdue.arm(shared_.timers, now + std::max(member.rebalance_timeout, milliseconds(1)));
    JoinAnswer told;
    told.ticket = ticket;
    told.generation = member.epoch;
    told.protocol_type = type_consumer;
    told.protocol = member.classic->protocols.front().name;
    told.member = member.id;
    if (group.consumer->last_write <= facts_.durable())
        joined_.push_back(std::move(told));
    else
        held_joins_.push_back({group.consumer->last_write, group.id, std::move(told)});
}

std::optional<JoinAnswer> Consumers::poll_joined() {
    if (joined_.empty()) return std::nullopt;
    JoinAnswer answer = std::move(joined_.front());
    joined_.pop_front();
    return answer;
}

ErrorCode Consumers::find_classic(const Group& group, const Identity& who,
                                  ConsumerMember*& member) const {
    const ConsumerGroup& all = *group.consumer;
    if (who.instance) {
        const auto at = all.statics.find(*who.instance);
        if (at == all.statics.end()) return ErrorCode::unknown_member_id;
        if (at->second->id != who.member) return ErrorCode::fenced_instance_id;
    }
    member = all.find(who.member);
    if (member == nullptr || !member->classic) return ErrorCode::unknown_member_id;
    return member->is_at(who.generation) ? ErrorCode::none : ErrorCode::illegal_generation;
}

// From the first time that it is told.
void Consumers::await(Instant now, ConsumerMember& member) {
    if (!member.overdue.armed())
        member.overdue.arm(shared_.timers,
                           now + std::max(member.rebalance_timeout, milliseconds(1)));
}

SyncAnswer Consumers::sync(Instant now, Group& group, const SyncRequest& request) {
    SyncAnswer told;
    ConsumerMember* member = nullptr;
    told.error = find_classic(group, request.who, member);
    if (told.error != ErrorCode::none) return told;
    const std::string& protocol = member->classic->protocols.front().name;
    if ((request.protocol_type && *request.protocol_type != type_consumer) ||
        (request.protocol && *request.protocol != protocol)) {
        told.error = ErrorCode::inconsistent_group_protocol;
        return told;
    }
    // Whoever has to give something up learns that first, and comes again by itself.
    if (group.consumer->epoch > member->epoch && member->step != Step::unrevoked) {
        await(now, *member);
        told.error = ErrorCode::rebalance_in_progress;
        return told;
    }
    member->overdue.disarm();
    touch(now, group, *member);
    told.protocol_type = type_consumer;
    told.protocol = protocol;
    told.assignment = assignment_of(*member);
    return told;
}

ErrorCode Consumers::classic_heartbeat(Instant now, Group& group, const Identity& who) {
    ConsumerMember* member = nullptr;
    if (const ErrorCode error = find_classic(group, who, member); error != ErrorCode::none)
        return error;
    touch(now, group, *member);
    // There may be nobody else who would see that a topic has more partitions.
    if (refresh(now, group) || group.consumer->unsettled) bump(now, group);
    const ConsumerGroup& all = *group.consumer;
    if (member->epoch == all.epoch && member->step != Step::unrevoked &&
        (member->step != Step::unreleased || waits(all, *member)))
        return ErrorCode::none;
    await(now, *member);
    return ErrorCode::rebalance_in_progress;
}

std::string Consumers::assignment_of(const ConsumerMember& member) const {
    using Assignment = wire::ConsumerProtocolAssignment;
    std::vector<std::vector<std::int32_t>> partitions;
    std::vector<Assignment::TopicPartition> list;
    partitions.reserve(member.assigned.size());  // the list views them
    std::size_t bytes = 64;
    for (const auto& [id, owned] : member.assigned) {
        const topics::Topic* topic = shared_.registry.find(id);
        if (topic == nullptr) continue;
        auto& numbers = partitions.emplace_back();
        for (const PartitionEpoch& one : owned) numbers.push_back(one.partition);
        bytes += 16 + topic->name.size() + 4 * numbers.size();
        auto& one = list.emplace_back();
        one.topic = topic->name;
        one.partitions = numbers;
    }
    Assignment assignment;
    assignment.assigned_partitions = list;
    // In the version that it speaks itself: the first two bytes of what it says it reads.
    const ByteView said = bytes_of(member.classic->protocols.front().metadata);
    const std::int16_t version =
        said.size() < 2 ? std::int16_t{0} : load_big<std::int16_t>(said.data());
    std::string out(bytes, '\0');
    const auto written = wire::encode_assignment(
        assignment, std::clamp(version, std::int16_t{0}, assignment_version_max),
        MutableBytes(reinterpret_cast<std::uint8_t*>(out.data()), out.size()));
    LEAT_CHECK(bool(written));
    out.resize(*written);
    return out;
}

}  // namespace leat::groups
