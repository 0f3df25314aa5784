// A client of a group in which both protocols live together: what it has in its hands, what it
// sends, and how a classic leader shares out.
#pragma once

#include <algorithm>

#include "tests/groups/upgrade_rig.hpp"

namespace leat::test {

constexpr std::int32_t partitions = 8;
constexpr milliseconds session{8'000}, revocation{6'000};
/// From the request that was answered well on, the broker cannot count it out for so long.
constexpr milliseconds patience = std::min(session, revocation);

enum class Kind {
    eager,        ///< classic: gives all up before it joins
    cooperative,  ///< classic: gives up what it is told to
    consumer,     ///< KIP-848
};

constexpr const char* kind_names[] = {"eager", "cooperative", "consumer"};

/// As Java's: one that offers range beside cooperative-sticky gives all up as with range alone.
inline std::vector<std::string> offers_of(Kind kind, bool cooperative, bool more) {
    if (kind == Kind::cooperative) return {"cooperative-sticky"};
    std::vector<std::string> offers = {cooperative ? "cooperative-sticky" : "range"};
    if (cooperative || more) offers.push_back(cooperative ? "range" : "cooperative-sticky");
    return offers;
}

inline bool includes(const Partitions& all, const Partitions& some) {
    return std::includes(all.begin(), all.end(), some.begin(), some.end());
}

struct Peer {
    std::optional<std::string> instance = std::nullopt;
    bool up = false, stalled = false;
    Kind kind = Kind::consumer;
    std::vector<std::string> offers = {};
    std::string id = {};
    std::int32_t generation = -1;
    Partitions owned = {};
    std::optional<Partitions> next = std::nullopt;  ///< told, not yet taken over
    bool joins = true;                              ///< with its next request
    bool must_tell = true;                          ///< what it owns
    bool synced = true;  ///< classic: has what is its own in its generation; only then it commits
    bool vague = false;  ///< an answer was lost: the group may know it under another generation
    groups::Ticket join = 0, sync = 0, beat = 0;
    Instant sent{}, lease{};
    std::optional<Instant> joining = std::nullopt;  ///< since then, without an assignment
    bool replaced = false;       ///< another one came under its name
    bool answer_is_old = false;  ///< ... since it sent what it waits for; or it stood still
    std::optional<Instant> lost = std::nullopt;  ///< answers since then, the last ones
    bool told_owned = false;  ///< in the heartbeat under way
    std::optional<Instant> revoke_until = std::nullopt;

    std::string name() const { return instance ? *instance : id; }
    bool waits() const { return join != 0 || sync != 0 || beat != 0; }
    bool may_own(Instant now) const {
        return up && !replaced && now < lease && (!revoke_until || now < *revoke_until);
    }
    bool owns(Instant now, std::int32_t partition) const {
        return may_own(now) && owned.contains(partition);
    }
    void asks(Instant now) {
        sent = now;
        answer_is_old = false;
    }
    void is_member() {
        lease = sent + patience;
        replaced = replaced && answer_is_old;
    }
    void lose() {
        owned.clear();
        next.reset();
        revoke_until.reset();
        lost.reset();
        joining.reset();
        generation = kind == Kind::consumer ? 0 : -1;
        joins = must_tell = true;
        join = sync = beat = 0;
    }
    void lost_answer() {
        if (kind != Kind::consumer) joins = true;
        if (beat != 0 && told_owned) next.reset();
        if (!lost) lost = sent;
        vague = must_tell = true;
        join = sync = beat = 0;
    }
    groups::Identity who() const {
        groups::Identity identity{.group = "g", .member = id, .instance = std::nullopt};
        if (instance && kind != Kind::consumer) identity.instance = *instance;
        identity.generation = generation;
        return identity;
    }
    groups::JoinRequest join_request() const {
        groups::JoinRequest request;
        request.group = "g";
        request.member = id;
        request.instance = instance;
        request.client_id = "c";
        request.session_timeout = session;
        request.rebalance_timeout = revocation;
        request.protocol_type = "consumer";
        for (const std::string& one : offers)
            request.protocols.push_back({one, subscription(owned, 3, "t", generation)});
        request.requires_known_member = request.can_skip_assignment = true;
        return request;
    }
    groups::ConsumerHeartbeat heartbeat(const topics::TopicId& topic, bool all) {
        groups::ConsumerHeartbeat request;
        request.group = "g";
        request.member = id;
        request.instance = instance;
        request.client_id = "c";
        request.names_itself = true;
        request.epoch = joins ? 0 : generation;
        told_owned = joins || must_tell || all;
        if (told_owned) {
            request.topics = {"t"};
            request.rebalance_timeout = revocation;
            request.owned.emplace();
            if (!joins && !owned.empty())
                request.owned->push_back({topic, {owned.begin(), owned.end()}});
        }
        must_tell = false;
        return request;
    }
};

/// Two that cannot be one and the same member.
inline bool rivals(const Peer& one, const Peer& other) {
    return &one != &other && (!one.instance || one.instance != other.instance);
}

/// What the leader makes of what the members say: range, or as cooperative-sticky does, by which
/// what one of them still has is nobody's in this generation unless it stays.
inline std::map<std::string, Partitions> shares(const std::vector<groups::JoinedMember>& members,
                                                std::string_view protocol) {
    std::map<std::string, Partitions> claims, given;
    for (const auto& one : members) {
        const auto said = wire::decode_subscription(bytes_of(one.metadata));
        REQUIRE(said);
        for (const auto& topic : said->owned_partitions)
            for (const std::int32_t partition : topic.partitions) claims[one.id].insert(partition);
        given[one.id];
    }
    const std::size_t count = given.size();
    const auto share_of = [&](std::size_t place) {
        return partitions / count + (place < partitions % count ? 1 : 0);
    };
    std::size_t place = 0;
    Partitions left;
    for (std::int32_t p = 0; p < partitions; ++p) left.insert(p);
    const bool sticky = protocol == "cooperative-sticky";
    const auto claimed = [&](std::int32_t p, const std::string& but) {
        return std::any_of(claims.begin(), claims.end(), [&](const auto& one) {
            return one.first != but && one.second.contains(p);
        });
    };
    // Who has the most keeps one more than the others, if there is one more.
    std::vector<std::string> order;
    for (const auto& [id, share] : given) order.push_back(id);
    if (sticky)
        std::stable_sort(order.begin(), order.end(), [&](const auto& a, const auto& b) {
            return claims[a].size() > claims[b].size();
        });
    for (std::size_t i = 0; sticky && i < order.size(); ++i)
        for (const std::int32_t p : claims[order[i]])
            if (given[order[i]].size() < share_of(i) && !claimed(p, order[i]) && left.erase(p) > 0)
                given[order[i]].insert(p);
    for (const std::string& id : order) {
        const std::size_t share = share_of(place++);
        while (given[id].size() < share && !left.empty())
            given[id].insert(left.extract(left.begin()).value());
    }
    for (auto& [id, share] : given)
        std::erase_if(share, [&](std::int32_t p) { return sticky && claimed(p, id); });
    return given;
}

}  // namespace leat::test
