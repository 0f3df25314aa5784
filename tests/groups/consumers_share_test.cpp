// Groups of the consumer protocol (KIP-848): who gets which partitions, and what many members and
// patterns cost.
#include "tests/groups/consumers_rig.hpp"

namespace leat::test {

TEST_CASE("consumers: range gives runs by instance id, then by member id") {
    Consumers rig;
    REQUIRE(rig.topics.create(rig.now, "u", 8, rig.topics.new_config()));
    Member a{.id = "a", .topics = {"t", "u"}, .assignor = "range"}, b = a, s = a;
    b.id = "b";
    s.id = "z", s.instance = "1";
    for (Member* one : {&a, &b, &s}) rig.join(*one);
    const auto target = [&](const char* id) {
        std::vector<Partitions> list;
        for (const auto& [topic, partitions] : rig.group().find(id)->target) {
            Partitions& one = list.emplace_back();
            for (const auto& p : partitions) one.push_back(p.partition);
        }
        return list;
    };
    CHECK(target("z") == std::vector<Partitions>{{0, 1, 2}, {0, 1, 2}});
    CHECK(target("a") == std::vector<Partitions>{{3, 4, 5}, {3, 4, 5}});
    CHECK(target("b") == std::vector<Partitions>{{6, 7}, {6, 7}});
}

TEST_CASE("consumers: uniform is even and moves little, also when members read different topics") {
    Consumers rig;
    REQUIRE(rig.topics.create(rig.now, "u", 9, rig.topics.new_config()));
    std::vector<Member> members;
    for (int i = 0; i < 4; ++i) {
        members.push_back({.id = "m" + std::to_string(i), .topics = {"t", "u"}});
        rig.join(members.back());
    }
    const auto loads = [&] {
        std::vector<std::size_t> list;
        for (const auto& [id, member] : rig.group().members) {
            std::size_t sum = 0;
            for (const auto& [topic, partitions] : member->target) sum += partitions.size();
            list.push_back(sum);
        }
        std::sort(list.begin(), list.end());
        return list;
    };
    CHECK(loads() == std::vector<std::size_t>{4, 4, 4, 5});
    const groups::Share before = rig.group().find("m0")->target;
    members.push_back({.id = "m4", .topics = {"t", "u"}});
    rig.join(members.back());
    CHECK(loads() == std::vector<std::size_t>{3, 3, 3, 4, 4});
    std::size_t kept = 0;
    for (const auto& [topic, partitions] : rig.group().find("m0")->target)
        for (const auto& one : partitions)
            kept += groups::find_in(before, topic, one.partition) != nullptr;
    CHECK(kept >= 3);
    // Two that read u alone: t is left to the five others.
    for (const char* id : {"u1", "u2"}) {
        members.push_back({.id = id, .topics = {"u"}});
        rig.join(members.back());
    }
    CHECK(loads() == std::vector<std::size_t>{2, 2, 2, 2, 3, 3, 3});
}

TEST_CASE("consumers: a share of many parts is replaced whole or not at all") {
    Consumers rig;
    std::vector<std::string> names;
    for (int i = 0; i < 600; ++i) {
        names.push_back("topic-with-a-long-name-" + std::to_string(i));
        REQUIRE(rig.topics.create(rig.now, names.back(), 2, rig.topics.new_config()));
    }
    rig.log.flush();
    Member a{.id = "a", .topics = names};
    const ConsumerAnswer first = rig.join(a);
    REQUIRE(first.assignment->size() == 600);
    CHECK(rig.group().find("a")->saved_parts > 2);
    Member b{.id = "b", .topics = names};
    rig.join(b);
    rig.settle();
    REQUIRE(rig.log.open_ops.empty());
    // a is told to give up one half: a new save of many parts, cut at each of its writes.
    (void)rig.send(rig.message(a));
    REQUIRE(rig.log.open_ops.size() > 4);
    for (std::size_t cut = 0; cut <= rig.log.open_ops.size(); ++cut) {
        Consumers after({}, rig.log.crash(cut), rig.now);
        INFO("cut=", cut);
        CHECK(after.groups.unreadable() == 0);
        const groups::ConsumerMember* member = after.group().find("a");
        REQUIRE(member != nullptr);
        std::size_t owned = 0;
        for (const groups::Share* share : {&member->assigned, &member->revoking})
            for (const auto& [topic, partitions] : *share) owned += partitions.size();
        CHECK(owned == 1'200);
        CHECK(after.group().epoch >= 2);
    }
}

TEST_CASE("consumers: 1,000 members are even, bounded, and settle in a few heartbeats each") {
    groups::GroupsConfig config;
    config.member_bytes_max = 16 * 1024 * 1024;
    Consumers rig(config);
    REQUIRE(rig.topics.create(rig.now, "big", 4'000, rig.topics.new_config()));
    const topics::TopicId big = rig.topics.find("big")->id;
    std::vector<Member> members;
    std::vector<std::vector<groups::TopicPartitions>> owned(1'000);
    const auto beat = [&](std::size_t i, bool joins) {
        ConsumerHeartbeat one = joins ? rig.full(members[i]) : rig.message(members[i]);
        if (!joins) one.owned = owned[i];
        const groups::Ticket ticket = rig.send(std::move(one));
        return ticket;
    };
    for (std::size_t i = 0; i < 1'000; ++i) {
        members.push_back({.id = "member-" + std::to_string(i), .topics = {"big"}});
        const auto ticket = beat(i, true);
        rig.flush();
        REQUIRE(rig.told(ticket));
        members[i].epoch = rig.beaten.at(ticket).epoch;
        owned[i] = *rig.beaten.at(ticket).assignment;
        rig.beaten.clear();
    }
    int rounds = 0;
    for (; rounds < 10 && rig.state() != "Stable"; ++rounds)
        for (std::size_t i = 0; i < 1'000; ++i) {
            const auto ticket = beat(i, false);
            if (!rig.told(ticket)) rig.flush();
            const ConsumerAnswer& told = rig.beaten.at(ticket);
            REQUIRE(told.error == ErrorCode::none);
            members[i].epoch = told.epoch;
            if (told.assignment) owned[i] = *told.assignment;
            rig.beaten.clear();
        }
    CHECK(rig.state() == "Stable");
    CHECK(rounds <= 4);
    for (const auto& share : owned) {
        REQUIRE(share.size() == 1);
        CHECK(share[0].topic == big);
        CHECK(share[0].partitions.size() == 4);
    }
    MESSAGE("1,000 members count as ", rig.groups.member_bytes(), " bytes, stable after ", rounds,
            " rounds");
    CHECK(rig.groups.member_bytes() < 4 * 1024 * 1024);
    // And the bound holds: who does not fit is told to come later.
    Consumers small({.member_bytes_max = 100'000});
    int in = 0;
    ErrorCode last = ErrorCode::none;
    for (; in < 1'000 && last == ErrorCode::none; ++in) {
        Member one{.id = "m" + std::to_string(in)};
        last = small.join(one).error;
    }
    CHECK(last == ErrorCode::coordinator_not_available);
    CHECK(in < 100);
    CHECK(small.groups.member_bytes() <= 100'000);
}

TEST_CASE("consumers: a member that is in grows within the room's bound, too") {
    Consumers rig({.member_bytes_max = 300'000});
    std::vector<Member> members;
    for (int i = 0; i < 10; ++i) {
        members.push_back({.id = "m" + std::to_string(i)});
        REQUIRE(rig.join(members.back()).error == ErrorCode::none);
    }
    std::vector<std::string> names;
    for (int i = 0; i < 300; ++i) names.push_back("made-up-" + std::to_string(i));
    int refused = 0;
    for (Member& one : members) {
        one.topics = names;
        names.push_back("another-" + one.id);
        refused += rig.beat(one, rig.full(one)).error == ErrorCode::coordinator_not_available;
        CHECK(rig.groups.member_bytes() <= 300'000);
    }
    CHECK(refused > 0);
    CHECK(refused < 10);
    // Whoever says no more than before is heard, in however many words.
    for (Member& one : members) CHECK(rig.keep(one).error == ErrorCode::none);
    CHECK(rig.beat(members[0], rig.full(members[0])).error == ErrorCode::none);
    Member& last = members.back();
    last.topics = {"t"};
    CHECK(rig.beat(last, rig.full(last)).error == ErrorCode::none);
}

TEST_CASE("consumers: a pattern that costs much is matched in turns, and is all there in the end") {
    Consumers rig;
    constexpr int count = 100;
    for (int i = 0; i < count; ++i)
        REQUIRE(rig.topics.create(rig.now, std::string(200, 'x') + std::to_string(i), 1,
                                  rig.topics.new_config()));
    Member a{.id = "a", .topics = {}, .pattern = "(.?){650}"}, b{.id = "b"};
    const auto matched = [&] { return rig.group().find("a")->subscription->matched.size(); };
    CHECK(rig.join(a).error == ErrorCode::none);
    CHECK(matched() == 0);  // none before all of them are known, as Kafka tells it later
    CHECK(rig.join(b).error == ErrorCode::none);
    int turns = 0;
    for (; turns < 200 && matched() == 0; ++turns) {
        rig.tick(1'001);
        CHECK(rig.keep(turns % 2 == 0 ? a : b).error == ErrorCode::none);
    }
    CHECK(turns > 3);
    CHECK(matched() == count + 1);
    CHECK(rig.state() != "Stable");  // there is something new to share
    // Started again, it has what it had: no member is told that there is nothing to read.
    const std::int32_t epoch = rig.group().epoch;
    rig.flush();
    Consumers after({}, rig.log.crash(0), rig.now);
    CHECK(after.group().find("a")->subscription->matched.size() == count + 1);
    Member again = b;
    CHECK(after.keep(again).error == ErrorCode::none);
    CHECK(after.group().epoch >= epoch);
    // A topic more, and again in turns; what was matched stays until then.
    REQUIRE(rig.topics.create(rig.now, "y", 1, rig.topics.new_config()));
    for (turns = 0; turns < 200 && matched() == count + 1; ++turns) {
        rig.tick(1'001);
        CHECK(rig.keep(turns % 2 == 0 ? a : b).error == ErrorCode::none);
    }
    CHECK(turns > 3);
    CHECK(matched() == count + 2);
}

}  // namespace leat::test
