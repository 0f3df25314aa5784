// Who may come in, and with which epoch. The order of the checks, and the words, are Kafka's.
#include <algorithm>

#include "broker/groups/assignors.hpp"
#include "broker/groups/consumers.hpp"

namespace leat::groups {
namespace {

constexpr const char* id_of_another = "The member id belongs to another member.";

bool owns_no_more_than(const std::optional<std::vector<TopicPartitions>>& owned,
                       const Share& assigned) {
    if (!owned) return false;
    for (const TopicPartitions& topic : *owned)
        for (const std::int32_t partition : topic.partitions)
            if (find_in(assigned, topic.topic, partition) == nullptr) return false;
    return true;
}

/// As Kafka trims.
bool blank(std::string_view text) {
    return std::all_of(text.begin(), text.end(),
                       [](char c) { return static_cast<unsigned char>(c) <= ' '; });
}

/// What a member that is in asks for needs room of its own. bytes: of the topics that it names.
bool says_more(const ConsumerMember* member, const ConsumerHeartbeat& request, std::size_t bytes) {
    if (member == nullptr || member->subscription == nullptr) return true;
    const Subscription& now = *member->subscription;
    // Each name of its own stands in the key, too, with one byte more.
    const std::size_t names = member->subscription_key.size() - now.pattern.size();
    return bytes > 97 * now.topics.size() + 3 * names ||
           (request.pattern && !request.pattern->empty() && *request.pattern != now.pattern);
}

ConsumerAnswer refusal(ErrorCode error, std::string message) {
    ConsumerAnswer answer;
    answer.error = error;
    answer.message = std::move(message);
    return answer;
}

}  // namespace

ConsumerAnswer Consumers::check(const ConsumerHeartbeat& request, const GroupsConfig& config) {
    const auto invalid = [](std::string why) {
        return refusal(ErrorCode::invalid_request, std::move(why));
    };
    const bool must_be_named =
        request.names_itself || request.epoch > 0 || request.epoch == epoch_leaves;
    if (must_be_named && blank(request.member)) return invalid("MemberId can't be empty.");
    if (blank(request.group)) return invalid("GroupId can't be empty.");
    if (request.instance && blank(*request.instance)) return invalid("InstanceId can't be empty.");
    if (request.rack && blank(*request.rack)) return invalid("RackId can't be empty.");
    if (request.epoch == epoch_joins) {
        if (!request.rebalance_timeout)
            return invalid("RebalanceTimeoutMs must be provided in first request.");
        if (!request.owned || !request.owned->empty())
            return invalid("TopicPartitions must be empty when (re-)joining.");
        if (!request.topics && !request.pattern)
            return invalid(
                "Either SubscribedTopicNames or SubscribedTopicRegex must be non-null when "
                "(re-)joining.");
    } else if (request.epoch == epoch_leaves_for_a_while) {
        if (!request.instance) return invalid("InstanceId can't be null.");
    } else if (request.epoch < epoch_leaves_for_a_while) {
        return invalid("MemberEpoch is invalid.");
    }
    if (request.assignor && *request.assignor != assignor_uniform &&
        *request.assignor != assignor_range)
        return refusal(ErrorCode::unsupported_assignor,
                       "ServerAssignor " + request.assignor->substr(0, 100) +
                           " is not supported. Supported assignors: range, uniform.");
    // Bounds of this broker.
    const auto too_long = [&](const std::string& text) {
        return text.size() > config.name_bytes_max;
    };
    bool long_names = request.group.size() > config.group_id_bytes_max ||
                      too_long(request.member) ||
                      (request.instance && too_long(*request.instance)) ||
                      (request.rack && too_long(*request.rack));
    if (request.topics)
        long_names |= std::any_of(request.topics->begin(), request.topics->end(), too_long);
    if (long_names) return invalid("A name is too long.");
    if (request.pattern && !request.pattern->empty()) {
        const std::string why = Pattern().compile(*request.pattern);
        if (!why.empty())
            return refusal(ErrorCode::invalid_regular_expression,
                           "SubscribedTopicRegex `" + request.pattern->substr(0, 200) +
                               "` is not a valid regular expression: " + why + ".");
    }
    return {};
}

bool Consumers::takes(Ticket ticket, const Group& group, const ConsumerHeartbeat& request) {
    const bool is_in = group.members.contains(request.member);
    if (is_in && request.instance)
        if (const auto at = group.static_members.find(*request.instance);
            at != group.static_members.end() && at->second != request.member) {
            refuse(ticket, ErrorCode::invalid_request, id_of_another);
            return false;
        }
    return has_place(ticket, request, nullptr, is_in ? 0 : group.members.size());
}

// others: how many there are beside it, if it is new.
bool Consumers::has_place(Ticket ticket, const ConsumerHeartbeat& request,
                          const ConsumerMember* member, std::size_t others) {
    if (others >= shared_.config.consumer_group_size_max) {
        refuse(ticket, ErrorCode::group_max_size_reached,
               "The consumer group has reached its maximum capacity of " +
                   std::to_string(shared_.config.consumer_group_size_max) + " members.");
        return false;
    }
    std::size_t bytes = 0;
    if (request.topics)
        for (const std::string& topic : *request.topics) bytes += 100 + 3 * topic.size();
    if (says_more(member, request, bytes) &&
        shared_.bytes + bytes + (member == nullptr ? 4'096 + request.member.size() : 0) >
            shared_.config.member_bytes_max) {
        refuse(ticket, ErrorCode::coordinator_not_available, "There is no room for more members.");
        return false;
    }
    return true;
}

ConsumerMember* Consumers::admit(Instant now, Ticket ticket, Group& group,
                                 const ConsumerHeartbeat& request, bool& bumps) {
    ConsumerGroup& all = *group.consumer;
    ConsumerMember* member = all.find(request.member);
    if (!has_place(ticket, request, member, member != nullptr ? 0 : all.members.size()))
        return nullptr;
    if (request.instance) return admit_static(now, ticket, group, request, bumps);
    if (member == nullptr && request.epoch != epoch_joins) {
        refuse(ticket, ErrorCode::unknown_member_id,
               "Member " + request.member + " is not a member of group " + group.id + ".");
        return nullptr;
    }
    if (member == nullptr) {
        bumps = true;
        return &add(group, request);
    }
    return epoch_fits(ticket, *member, request) ? member : nullptr;
}

ConsumerMember* Consumers::admit_static(Instant now, Ticket ticket, Group& group,
                                        const ConsumerHeartbeat& request, bool& bumps) {
    ConsumerGroup& all = *group.consumer;
    const auto at = all.statics.find(*request.instance);
    ConsumerMember* known = at == all.statics.end() ? nullptr : at->second;
    if (known == nullptr && request.epoch != epoch_joins) {
        refuse(ticket, ErrorCode::unknown_member_id,
               "Instance id " + *request.instance + " is unknown.");
        return nullptr;
    }
    if (known == nullptr) {
        bumps = true;
        if (ConsumerMember* dynamic = all.find(request.member)) return dynamic;
        return &add(group, request);
    }
    if (request.epoch == epoch_joins) {
        if (!known->away() && !known->classic) {
            refuse(ticket, ErrorCode::unreleased_instance_id,
                   "Static member " + request.member + " with instance id " + *request.instance +
                       " cannot join the group because the instance id is owned by " + known->id +
                       " member.");
            return nullptr;
        }
        // Another member that took this id for itself would be two members under one name.
        ConsumerMember* other = all.find(request.member);
        if (other != nullptr && other != known) {
            refuse(ticket, ErrorCode::invalid_request, id_of_another);
            return nullptr;
        }
        replace(now, group, *known, request.member);
        return known;
    }
    if (known->id != request.member) {
        refuse(ticket, ErrorCode::fenced_instance_id,
               "Static member " + request.member + " with instance id " + *request.instance +
                   " was fenced by member " + known->id + ".");
        return nullptr;
    }
    return epoch_fits(ticket, *known, request) ? known : nullptr;
}

ConsumerMember& Consumers::add(Group& group, const ConsumerHeartbeat& request) {
    ConsumerGroup& all = *group.consumer;
    auto member = std::make_unique<ConsumerMember>(&group);
    member->id = request.member;
    ConsumerMember& mine = *member;
    all.members[request.member] = std::move(member);
    ++shared_.members;
    group.state = State::stable;
    return mine;
}

// A static member is back under a new id: what it had waits for it.
void Consumers::replace(Instant now, Group& group, ConsumerMember& member, const std::string& id) {
    ConsumerGroup& all = *group.consumer;
    member.epoch = member.previous_epoch = 0;
    if (member.id == id) return;
    ConsumerMember before(&group);  // only to erase what the old one left on flash
    before.id = member.id;
    before.saved_slot = member.saved_slot;
    before.saved_parts = std::exchange(member.saved_parts, std::uint16_t{0});
    auto node = all.members.extract(member.id);
    node.key() = id;
    all.members.insert(std::move(node));
    member.id = id;
    save(now, group, member);
    erase(now, group, before);
}

bool Consumers::epoch_fits(Ticket ticket, const ConsumerMember& member,
                           const ConsumerHeartbeat& request) {
    if (request.epoch == epoch_joins || request.epoch == member.epoch) return true;
    const bool lost_its_answer =
        request.epoch == member.previous_epoch && owns_no_more_than(request.owned, member.assigned);
    if (request.epoch < member.epoch && lost_its_answer) return true;
    refuse(ticket, ErrorCode::fenced_member_epoch,
           "The consumer group member has a " +
               std::string(request.epoch > member.epoch ? "greater" : "smaller") +
               " member epoch (" + std::to_string(request.epoch) +
               ") than the one known by the group coordinator (" + std::to_string(member.epoch) +
               "). The member must abandon all its partitions and rejoin.");
    return false;
}

}  // namespace leat::groups
