// Clients of both protocols of one group (KIP-848, an upgrade under way), without sessions.
#pragma once

#include <set>

#include "sdk/wire/api/consumer_protocol.hpp"
#include "tests/groups/rig.hpp"

namespace leat::test {

using wire::ErrorCode;
using Partitions = std::set<std::int32_t>;

inline std::string subscription(const Partitions& owned, std::int16_t version = 3,
                                const char* topic = "t", std::int32_t generation = -1) {
    const wire::StringView name = topic;
    const std::vector<std::int32_t> numbers(owned.begin(), owned.end());
    wire::ConsumerProtocolSubscription::TopicPartition of_topic;
    of_topic.topic = name;
    of_topic.partitions = numbers;
    wire::ConsumerProtocolSubscription said;
    said.topics = std::span(&name, 1);
    said.generation_id = generation;
    if (!owned.empty()) said.owned_partitions = std::span(&of_topic, 1);
    std::vector<std::uint8_t> out(1'000);
    const auto size = wire::encode_subscription(said, version, out);
    REQUIRE(size);
    return {out.begin(), out.begin() + static_cast<std::ptrdiff_t>(*size)};
}

inline std::string assignment(const Partitions& given, std::string_view user_data = {}) {
    const std::vector<std::int32_t> numbers(given.begin(), given.end());
    wire::ConsumerProtocolAssignment::TopicPartition of_topic;
    of_topic.topic = "t";
    of_topic.partitions = numbers;
    wire::ConsumerProtocolAssignment told;
    told.assigned_partitions = std::span(&of_topic, 1);
    if (!user_data.empty()) told.user_data = bytes_of(user_data);
    std::vector<std::uint8_t> out(1'000);
    const auto size = wire::encode_assignment(told, 1, out);
    REQUIRE(size);
    return {out.begin(), out.begin() + static_cast<std::ptrdiff_t>(*size)};
}

inline Partitions read_assignment(const std::string& bytes) {
    Partitions all;
    if (bytes.empty()) return all;
    const auto told = wire::decode_assignment(bytes_of(bytes));
    REQUIRE(told);
    for (const auto& topic : told->assigned_partitions)
        for (const std::int32_t partition : topic.partitions) CHECK(all.insert(partition).second);
    return all;
}

/// What a client has in its hands.
struct Client {
    std::string id = {};
    bool classic = true;
    bool eager = false;  ///< gives everything up before it joins
    std::optional<std::string> instance = std::nullopt;
    std::int32_t generation = -1;
    Partitions owned = {};
    bool joins = true;  ///< next
};

struct UpgradeRig : GroupsRig {
    using GroupsRig::GroupsRig;

    groups::JoinAnswer join(Client& client, std::int64_t rebalance_ms = 60'000) {
        if (client.eager) client.owned.clear();
        groups::JoinRequest request;
        request.group = "g";
        request.member = client.id;
        request.instance = client.instance;
        request.client_id = "c";
        request.session_timeout = milliseconds(30'000);
        request.rebalance_timeout = milliseconds(rebalance_ms);
        request.protocol_type = "consumer";
        request.protocols = {{client.eager ? "range" : "cooperative", subscription(client.owned)},
                             {"other", subscription(client.owned)}};
        request.requires_known_member = true;
        groups.join(now, ++last, std::move(request));
        const groups::Ticket ticket = last;
        flush();
        if (!joined.contains(ticket)) return {};  // parked
        return joined.at(ticket);
    }
    groups::SyncAnswer sync(const Client& client, std::vector<std::pair<std::string_view,
                            std::string_view>> parts = {}) {
        groups::SyncRequest request;
        request.who = who(client);
        request.assignments = std::move(parts);
        groups.sync(now, ++last, request);
        flush();
        return synced.contains(last) ? synced.at(last) : groups::SyncAnswer{};
    }
    groups::Identity who(const Client& client) const {
        groups::Identity identity{.group = "g", .member = client.id, .instance = std::nullopt};
        if (client.instance) identity.instance = *client.instance;
        identity.generation = client.generation;
        return identity;
    }
    groups::ConsumerAnswer beat(Client& client, std::int32_t epoch) {
        groups::ConsumerHeartbeat request;
        request.group = "g";
        request.member = client.id;
        request.instance = client.instance;
        request.epoch = epoch;
        request.names_itself = true;
        if (epoch == 0) {
            request.rebalance_timeout = milliseconds(60'000);
            request.topics = {"t"};
            request.owned.emplace();
        } else if (epoch > 0) {
            auto& one = request.owned.emplace().emplace_back();
            one.topic = topics.find("t")->id;
            one.partitions.assign(client.owned.begin(), client.owned.end());
            if (one.partitions.empty()) request.owned->clear();
        }
        groups.consumer_heartbeat(now, ++last, std::move(request));
        flush();
        REQUIRE(beaten.contains(last));
        return beaten.at(last);
    }
    /// One thing that the client would do next.
    void step(Client& client) {
        if (client.classic) {
            if (!client.joins) {
                const ErrorCode error = groups.heartbeat(now, who(client));
                flush();
                if (error != ErrorCode::none) client.joins = true;
                if (error == ErrorCode::illegal_generation) client.owned.clear();
                if (error == ErrorCode::unknown_member_id) client = {.eager = client.eager};
                return;
            }
            const auto told = join(client);
            if (told.error == ErrorCode::member_id_required) client.id = told.member;
            if (told.error == ErrorCode::unknown_member_id) client.id.clear();
            if (told.error != ErrorCode::none || told.generation < 0) return;
            if (groups.find_group("g")->consumer != nullptr) {  // the broker assigns
                CHECK(told.leader.empty());
                CHECK(told.members.empty());
            }
            client.id = told.member;
            client.generation = told.generation;
            const auto given = sync(client);
            if (given.error != ErrorCode::none) return;
            client.owned = read_assignment(given.assignment);
            client.joins = false;
            return;
        }
        take(client, beat(client, client.joins ? 0 : client.generation));
    }
    static void take(Client& client, const groups::ConsumerAnswer& told) {
        client.joins = told.error != ErrorCode::none;
        if (client.joins) client.owned.clear();
        if (client.joins) return;
        client.generation = told.epoch;
        if (!told.assignment) return;
        client.owned.clear();
        for (const auto& topic : *told.assignment)
            client.owned.insert(topic.partitions.begin(), topic.partitions.end());
    }
    /// Everybody's turn after turn; at no time has a partition two owners.
    void run(std::vector<Client*> all, int rounds = 12) {
        for (int i = 0; i < rounds; ++i) {
            for (Client* one : all) {
                step(*one);
                std::size_t sum = 0;
                Partitions together;
                for (const Client* other : all) {
                    sum += other->owned.size();
                    together.insert(other->owned.begin(), other->owned.end());
                }
                CHECK(sum == together.size());
            }
            advance(1'000);
        }
    }
    static std::size_t sum(const std::vector<const Client*>& all) {
        std::size_t count = 0;
        for (const Client* one : all) count += one->owned.size();
        return count;
    }
    /// A stable classic group of two, with half of the partitions each.
    void two(Client& a, Client& b) {
        a.id = join(a).member;
        b.id = join(b).member;
        (void)join(a);
        (void)join(b);  // is parked until the first one comes again
        (void)join(a);
        for (const auto& [ticket, told] : joined) {
            if (told.error != ErrorCode::none) continue;
            Client& mine = told.member == a.id ? a : b;
            mine.generation = told.generation;
            if (told.leader != told.member) continue;
            const std::string first = assignment({0, 1, 2, 3}), second = assignment({4, 5, 6, 7});
            (void)sync(mine, {{a.id, first}, {b.id, second}});
        }
        a.owned = read_assignment(sync(a).assignment);
        b.owned = read_assignment(sync(b).assignment);
        a.joins = b.joins = false;
        REQUIRE(a.owned.size() == 4);
        REQUIRE(b.owned.size() == 4);
        joined.clear();
    }
};

}  // namespace leat::test
