#include "broker/groups/group.hpp"

#include <algorithm>
#include <unordered_map>

#include "sdk/wire/api/consumer_protocol.hpp"

namespace leat::groups {

const char* state_name(State state) {
    switch (state) {
        case State::empty:
            return "Empty";
        case State::preparing_rebalance:
            return "PreparingRebalance";
        case State::completing_rebalance:
            return "CompletingRebalance";
        case State::stable:
            return "Stable";
        case State::dead:
            return "Dead";
    }
    return "";
}

const std::string* Member::metadata(std::string_view protocol) const {
    for (const Protocol& one : protocols)
        if (one.name == protocol) return &one.metadata;
    return nullptr;
}

std::size_t Member::bytes() const {
    std::size_t all = 512 + 2 * id.size() + client_id.size() + client_host.size() +
                      assignment.size() + (instance ? 2 * instance->size() + 100 : 0);
    for (const Protocol& one : protocols) all += 64 + one.name.size() + one.metadata.size();
    return all;
}

Member* Group::find(std::string_view member) {
    const auto at = members.find(member);
    return at == members.end() ? nullptr : at->second.get();
}

milliseconds Group::rebalance_timeout() const {
    milliseconds longest{0};
    for (const auto& [id_, member] : members)
        longest = std::max(longest, member->rebalance_timeout);
    return longest;
}

bool Group::supports(std::string_view type, const std::vector<Protocol>& offered) {
    if (offered.empty()) return false;
    if (members.empty()) return !type.empty();
    if (type != protocol_type) return false;
    for (const Protocol& one : offered)
        if (std::find(common.begin(), common.end(), one.name) != common.end()) return true;
    const auto found = std::find_if(offered.begin(), offered.end(), [this](const Protocol& one) {
        return std::all_of(members.begin(), members.end(), [&](const auto& entry) {
            return entry.second->metadata(one.name) != nullptr;
        });
    });
    if (found == offered.end()) return false;
    common.push_back(found->name);
    return true;
}

void Group::protocols_changed(const Member& member) {
    std::erase_if(common,
                  [&](const std::string& name) { return member.metadata(name) == nullptr; });
}

std::string Group::vote() const {
    std::unordered_map<std::string_view, std::size_t> offers, votes;
    for (const auto& [id_, member] : members)
        for (const Protocol& one : member->protocols) {
            // A list that names one protocol twice still offers it once.
            if (&one == &*std::find_if(member->protocols.begin(), member->protocols.end(),
                                       [&](const Protocol& p) { return p.name == one.name; }))
                ++offers[one.name];
        }
    for (const auto& [id_, member] : members)
        for (const Protocol& one : member->protocols)
            if (offers[one.name] == members.size()) {
                ++votes[one.name];
                break;
            }
    std::string_view best;
    std::size_t most = 0;
    for (const auto& [name, count] : votes)
        if (count > most || (count == most && name < best)) best = name, most = count;
    return std::string(best);
}

void Group::learn_subscriptions() {
    subscribed.clear();
    subscriptions_known = false;
    if (!consumers() || protocol.empty()) return;
    for (const auto& [id_, member] : members) {
        const std::string* metadata = member->metadata(protocol);
        if (metadata == nullptr) return;
        const auto subscription = wire::decode_subscription(bytes_of(*metadata));
        // Somebody speaks another dialect under this name: nothing is known, so nothing expires.
        if (!subscription) return subscribed.clear();
        for (const auto& topic : subscription->topics) subscribed.emplace(topic.view());
    }
    subscriptions_known = true;
}

bool Group::reads(std::string_view topic) const {
    return consumer != nullptr ? consumer->readers.contains(topic) : subscribed.contains(topic);
}

ErrorCode Group::check(std::string_view member, const std::optional<std::string_view>& instance) {
    if (instance) {
        const auto known = static_members.find(*instance);
        if (known == static_members.end()) return ErrorCode::unknown_member_id;
        if (known->second != member) return ErrorCode::fenced_instance_id;
    }
    return find(member) == nullptr ? ErrorCode::unknown_member_id : ErrorCode::none;
}

}  // namespace leat::groups
