#include "sdk/cluster/assignor.hpp"

#include <algorithm>
#include <random>
#include <set>

#include "doctest/doctest.h"

using namespace leat;
using namespace leat::cluster;

namespace {

Subscriber member(const std::string& id, std::vector<std::string> topics, Partitions owned = {},
                  std::int32_t generation = -1) {
    return {id, std::nullopt, std::move(topics), std::move(owned), generation};
}

OwnedBytes bytes(std::initializer_list<int> list) { return {list.begin(), list.end()}; }

}  // namespace

TEST_CASE("assignor: range and roundrobin give what Java's documentation of them shows") {
    const std::vector<Subscriber> two{member("C1", {"t0", "t1"}), member("C0", {"t0", "t1"})};
    const PartitionCounts counts{{"t0", 3}, {"t1", 3}};
    Assignment range = assign(Assignor::range, counts, two);
    CHECK(range["C0"] == Partitions{{"t0", 0}, {"t0", 1}, {"t1", 0}, {"t1", 1}});
    CHECK(range["C1"] == Partitions{{"t0", 2}, {"t1", 2}});
    Assignment turns = assign(Assignor::round_robin, counts, two);
    CHECK(turns["C0"] == Partitions{{"t0", 0}, {"t0", 2}, {"t1", 1}});
    CHECK(turns["C1"] == Partitions{{"t0", 1}, {"t1", 0}, {"t1", 2}});
}

TEST_CASE("assignor: static members come first, by instance id") {
    std::vector<Subscriber> members{member("a", {"t"}), member("z", {"t"})};
    members[1].instance_id = "pump";
    CHECK(assign(Assignor::range, {{"t", 1}}, members)["z"].size() == 1);
}

TEST_CASE("assignor: of uneven subscriptions each partition goes to one who wants it, evenly") {
    // Java's StickyAssignor example 2: t0 has 1, t1 2, t2 3 partitions.
    const Assignment result = assign(
        Assignor::sticky, {{"t0", 1}, {"t1", 2}, {"t2", 3}},
        {member("C0", {"t0"}), member("C1", {"t0", "t1"}), member("C2", {"t0", "t1", "t2"})});
    CHECK(result.at("C0").size() == 1);
    CHECK(result.at("C1").size() == 2);
    CHECK(result.at("C2").size() == 3);
}

TEST_CASE("assignor: sticky is complete, balanced to one, and moves no more than it must") {
    std::mt19937 random(7);
    for (int round = 0; round < 300; ++round) {
        INFO("round ", round);
        PartitionCounts counts;
        std::vector<std::string> topics;
        for (unsigned t = 0; t <= random() % 4; ++t) {
            topics.push_back("t" + std::to_string(t));
            counts[topics.back()] = static_cast<std::int32_t>(random() % 9);
        }
        std::size_t total = 0;
        for (const auto& [topic, count] : counts) total += static_cast<std::size_t>(count);
        std::vector<Subscriber> members;
        for (unsigned m = 0; m < 2 + random() % 5; ++m)
            members.push_back(member("m" + std::to_string(m), topics));
        const Assignment before = assign(Assignor::sticky, counts, members);
        members.pop_back();
        for (Subscriber& each : members) {
            each.owned = before.at(each.member_id);
            each.generation = 1;
        }
        const Assignment after = assign(Assignor::sticky, counts, members);
        std::set<TopicPartition> given;
        std::size_t least = total, most = 0;
        for (const auto& [id, partitions] : after) {
            least = std::min(least, partitions.size());
            most = std::max(most, partitions.size());
            for (const TopicPartition& partition : partitions)
                CHECK(given.insert(partition).second);
            // Nobody who stays loses anything when another leaves.
            const std::set<TopicPartition> mine(partitions.begin(), partitions.end());
            for (const TopicPartition& partition : before.at(id)) CHECK(mine.contains(partition));
        }
        CHECK(given.size() == total);
        CHECK(most - least <= 1);
    }
}

TEST_CASE("assignor: cooperative-sticky gives nobody what another still has") {
    const Partitions all{{"t", 0}, {"t", 1}, {"t", 2}, {"t", 3}};
    Assignment first = assign(Assignor::cooperative_sticky, {{"t", 4}},
                              {member("a", {"t"}, all, 3), member("b", {"t"})});
    CHECK(first["a"].size() == 2);
    CHECK(first["b"].empty());
    Assignment second = assign(Assignor::cooperative_sticky, {{"t", 4}},
                               {member("a", {"t"}, first["a"], 4), member("b", {"t"}, {}, 4)});
    CHECK(second["a"] == first["a"]);
    CHECK(second["b"].size() == 2);
}

TEST_CASE("assignor: cooperative-sticky believes a member that is late, or tells no generation") {
    const Partitions all{{"t", 0}, {"t", 1}, {"t", 2}, {"t", 3}};
    const auto one_round = [&](std::int32_t generation) {
        Assignment first =
            assign(Assignor::cooperative_sticky, {{"t", 4}},
                   {member("late", {"t"}, all, generation), member("new", {"t"}, {}, 7)});
        CHECK(first["late"].size() == 2);
        return first["new"];
    };
    CHECK(one_round(6).empty());   // its SyncGroup failed, and it reads on meanwhile
    CHECK(one_round(-1).empty());  // of an old client
    // What somebody else got since is that one's.
    Assignment both = assign(Assignor::cooperative_sticky, {{"t", 4}},
                             {member("late", {"t"}, all, 6), member("new", {"t"}, all, 7)});
    CHECK(both["new"].size() == 2);
    CHECK(both["late"].empty());
}

TEST_CASE("assignor: the generation of a cooperative member of Java's and of librdkafka's") {
    // version 1 · topics [t] · user data · owned [t: 0]
    const auto subscription = [](std::vector<std::uint8_t> user_data) {
        OwnedBytes all = bytes({0, 1, 0, 0, 0, 1, 0, 1, 't', 0, 0, 0});
        all.push_back(static_cast<std::uint8_t>(user_data.size()));
        all.insert(all.end(), user_data.begin(), user_data.end());
        const OwnedBytes owned = bytes({0, 0, 0, 1, 0, 1, 't', 0, 0, 0, 1, 0, 0, 0, 0});
        all.insert(all.end(), owned.begin(), owned.end());
        return decode_subscription(Assignor::cooperative_sticky, all);
    };
    const auto java = subscription(bytes({0, 0, 0, 9}));
    REQUIRE(java);
    CHECK(java->generation == 9);
    const auto librdkafka =
        subscription(bytes({0, 0, 0, 1, 0, 1, 't', 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 9}));
    REQUIRE(librdkafka);
    CHECK(librdkafka->owned == Partitions{{"t", 0}});
    CHECK(librdkafka->generation == 9);
}

TEST_CASE("assignor: subscription and assignment are ConsumerProtocol's bytes") {
    // version 3 · topics [t] · user data null · owned [t: 1] · generation 5 · rack null
    CHECK(encode_subscription(Assignor::range, {"t"}, {{"t", 1}}, {}, 5) ==
          bytes({0, 3, 0,   0, 0, 1, 0, 1, 't', 0xff, 0xff, 0xff, 0xff, 0, 0, 0,    1,
                 0, 1, 't', 0, 0, 0, 1, 0, 0,   0,    1,    0,    0,    0, 5, 0xff, 0xff}));
    CHECK(encode_assignment({{"t", 2}}) ==
          bytes({0, 3, 0, 0, 0, 1, 0, 1, 't', 0, 0, 0, 1, 0, 0, 0, 2, 0xff, 0xff, 0xff, 0xff}));
    const auto sticky = decode_subscription(
        Assignor::sticky, encode_subscription(Assignor::sticky, {"t"}, {}, {{"t", 1}}, 5));
    REQUIRE(sticky);
    CHECK(sticky->owned == Partitions{{"t", 1}});
    CHECK(sticky->generation == 5);
    CHECK(!decode_subscription(Assignor::range, bytes({0})));
    CHECK(decode_assignment({})->empty());
}
