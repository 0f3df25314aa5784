// Members of the consumer protocol (KIP-848) that do what they are told, when the test says so.
#pragma once

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "tests/groups/rig.hpp"

namespace leat::test {

using groups::ConsumerAnswer;
using groups::ConsumerHeartbeat;
using groups::ErrorCode;
using Partitions = std::vector<std::int32_t>;

// A member that does what it is told, when the test says so.
struct Member {
    std::string id;
    std::int32_t epoch = 0;
    Partitions owned{};
    std::optional<std::string> instance{};
    std::vector<std::string> topics{"t"};
    std::string pattern{};
    std::string group{"g"};
    std::optional<std::string> assignor{};
};

struct Consumers : GroupsRig {
    explicit Consumers(groups::GroupsConfig config = {},
                       std::map<CrashLog::Key, std::string> facts = {},
                       Instant start = instant_ms(1'000))
        : GroupsRig(config, start, std::move(facts)) {}

    topics::TopicId t() { return topics.find("t")->id; }

    ConsumerHeartbeat message(const Member& member) const {
        ConsumerHeartbeat beat;
        beat.group = member.group;
        beat.member = member.id;
        beat.instance = member.instance;
        beat.epoch = member.epoch;
        beat.names_itself = true;
        beat.client_id = "client";
        beat.client_host = "/127.0.0.1";
        return beat;
    }
    groups::Ticket send(ConsumerHeartbeat beat) {
        groups.consumer_heartbeat(now, ++last, std::move(beat));
        settle();
        return last;
    }
    bool told(groups::Ticket ticket) { return beaten.contains(ticket); }
    ConsumerAnswer ask(ConsumerHeartbeat beat) {
        const groups::Ticket ticket = send(std::move(beat));
        flush();
        REQUIRE(told(ticket));
        return beaten.at(ticket);
    }

    ConsumerHeartbeat full(const Member& member) {
        ConsumerHeartbeat beat = message(member);
        beat.rebalance_timeout = milliseconds(6'000);
        beat.topics = member.topics;
        beat.pattern = member.pattern;
        beat.assignor = member.assignor;
        beat.owned.emplace();
        if (!member.owned.empty() && member.epoch > 0) beat.owned->push_back({t(), member.owned});
        return beat;
    }
    /// Hears the answer: the epoch, and nothing more.
    ConsumerAnswer beat(Member& member, ConsumerHeartbeat message) {
        ConsumerAnswer answer = ask(std::move(message));
        if (answer.error == ErrorCode::none) member.epoch = answer.epoch;
        return answer;
    }
    ConsumerAnswer join(Member& member) {
        member.epoch = 0;
        const ConsumerAnswer answer = beat(member, full(member));
        member.owned = of_t(answer);
        return answer;
    }
    ConsumerAnswer keep(Member& member) { return beat(member, message(member)); }
    /// Takes over what it was told, and says so.
    ConsumerAnswer own(Member& member, Partitions partitions) {
        member.owned = std::move(partitions);
        ConsumerHeartbeat one = message(member);
        one.owned.emplace();
        if (!member.owned.empty()) one.owned->push_back({t(), member.owned});
        return beat(member, std::move(one));
    }
    Partitions of_t(const ConsumerAnswer& answer) {
        if (answer.assignment)
            for (const auto& topic : *answer.assignment)
                if (topic.topic == t()) return topic.partitions;
        return {};
    }
    groups::Groups::Written commit(const Member& member, std::int32_t epoch,
                                   std::int32_t partition = 0) {
        return groups.commit(
            now, {.group = member.group, .member = member.id, .instance = {}, .generation = epoch},
            {{.topic = "t", .partition = partition, .offset = 7, .metadata = {}}});
    }
    const groups::ConsumerGroup& group(std::string_view id = "g") {
        const groups::Group* found = groups.find_group(id);
        REQUIRE((found != nullptr && found->consumer != nullptr));
        return *found->consumer;
    }
    std::string state() { return group().state(); }
};

const Partitions all_of_t{0, 1, 2, 3, 4, 5, 6, 7};

}  // namespace leat::test
