// Classic members and members of the consumer protocol in one group (KIP-848), as it is upgraded.
#include "tests/groups/upgrade_rig.hpp"

namespace leat::test {
namespace {

ErrorCode commit(UpgradeRig& rig, const Client& client, std::int32_t generation) {
    auto who = rig.who(client);
    who.generation = generation;
    who.knows_epochs = !client.classic;
    groups::Commit position;
    position.topic = "t";
    position.offset = 5;
    const auto written = rig.groups.commit(rig.now, who, {position});
    rig.flush();
    return written.error;
}

}  // namespace

TEST_CASE("upgrade: a member of the consumer protocol joins, and the classic ones go on") {
    for (const bool eager : {false, true}) {
        CAPTURE(eager);
        UpgradeRig rig({.initial_rebalance_delay = milliseconds(0)});
        Client a{.eager = eager}, b{.eager = eager}, c{.id = "c", .classic = false};
        rig.two(a, b);
        const std::int32_t before = a.generation;
        CHECK(rig.beat(c, 0).error == ErrorCode::none);
        c.joins = false;
        c.generation = before + 2;
        CHECK(rig.groups.find_group("g")->consumer != nullptr);
        CHECK(rig.groups.heartbeat(rig.now, rig.who(a)) == ErrorCode::rebalance_in_progress);
        CHECK(commit(rig, a, a.generation) == ErrorCode::none);  // before it gives something up
        CHECK(commit(rig, a, a.generation + 1) == ErrorCode::illegal_generation);
        c.joins = true;
        rig.run({&a, &b, &c});
        CHECK(UpgradeRig::sum({&a, &b, &c}) == 8);
        for (const Client* one : {&a, &b, &c}) {
            CHECK(one->owned.size() >= 2);
            CHECK(one->generation == c.generation);
            CHECK_FALSE(one->joins);
        }
        CHECK(commit(rig, a, before) == ErrorCode::illegal_generation);
        CHECK(commit(rig, a, a.generation) == ErrorCode::none);
        CHECK(std::string(rig.groups.find_group("g")->consumer->state()) == "Stable");
        // ... and one after the other changes over.
        for (Client* one : {&a, &b}) {
            groups::ErrorCode error{};
            (void)rig.groups.leave(rig.now, "g", {{.member = one->id, .instance = {}}}, error);
            *one = Client{.id = one == &a ? "a2" : "b2", .classic = false};
            rig.run({&a, &b, &c});
            CHECK(UpgradeRig::sum({&a, &b, &c}) == 8);
        }
    }
}

TEST_CASE("upgrade: in the middle of a rebalance the classic ones keep what they have") {
    for (const bool again : {false, true}) {
        CAPTURE(again);
        UpgradeRig rig({.initial_rebalance_delay = milliseconds(0)});
        Client a, b, c{.id = "c", .classic = false}, d, e;
        rig.two(a, b);
        d.id = rig.join(d).member;
        (void)rig.join(d);
        (void)rig.join(a);
        (void)rig.join(b);  // all are here, and one of them is to share out
        REQUIRE(rig.groups.find_group("g")->state == groups::State::completing_rebalance);
        if (again) {  // ... which it is kept from by one more
            e.id = rig.join(e).member;
            (void)rig.join(e);
            REQUIRE(rig.groups.find_group("g")->state == groups::State::preparing_rebalance);
        }
        UpgradeRig::take(c, rig.beat(c, 0));
        CHECK(c.owned.empty());
        a.joins = b.joins = d.joins = e.joins = true;
        rig.run({&a, &b, &c, &d, &e});
        CHECK(UpgradeRig::sum({&a, &b, &c, &d, &e}) == 8);
    }
}

TEST_CASE("upgrade: what a classic one may not have heard to give up stays its own until it does") {
    for (const bool restarts : {false, true}) {
        CAPTURE(restarts);
        UpgradeRig rig({.initial_rebalance_delay = milliseconds(0)});
        Client a, b, c{.id = "c", .classic = false}, d;
        rig.two(a, b);
        d.id = rig.join(d).member;
        (void)rig.join(d);
        (void)rig.join(a);
        (void)rig.join(b);
        // As cooperative leaders do: what changes hands is nobody's in between.
        const std::string of_a = assignment({0, 1, 2}), of_b = assignment({4, 5});
        for (const auto& [ticket, told] : rig.joined)
            if (told.error == ErrorCode::none && told.leader == told.member)
                (void)rig.sync({.id = told.member, .generation = told.generation},
                               {{a.id, of_a}, {b.id, of_b}});
        REQUIRE(rig.groups.find_group("g")->state == groups::State::stable);
        UpgradeRig next({.initial_rebalance_delay = milliseconds(0)}, rig.now, rig.log.crash(0), 2);
        UpgradeRig& after = restarts ? next : rig;
        UpgradeRig::take(c, after.beat(c, 0));
        CHECK(c.owned.empty());
        a.joins = b.joins = d.joins = true;
        after.run({&a, &b, &c, &d});
        CHECK(UpgradeRig::sum({&a, &b, &c, &d}) == 8);
    }
}

TEST_CASE("upgrade: a classic member joins a group of the consumer protocol") {
    UpgradeRig rig;
    Client a{.id = "a", .classic = false}, b;
    rig.run({&a});
    CHECK(a.owned.size() == 8);
    CHECK(rig.join(b).error == ErrorCode::member_id_required);
    rig.run({&a, &b});
    CHECK(a.owned.size() == 4);
    CHECK(b.owned.size() == 4);
    // Who never asks for what it was told is out after its rebalance timeout, though it lives.
    Client silent{.id = "silent"};
    const auto told = rig.join(silent, 20'000);
    CHECK(told.error == ErrorCode::none);
    CHECK(told.protocol == "cooperative");
    silent.generation = told.generation;
    rig.advance(15'000);
    CHECK(rig.groups.heartbeat(rig.now, rig.who(silent)) != ErrorCode::unknown_member_id);
    rig.advance(5'000);
    CHECK(rig.groups.heartbeat(rig.now, rig.who(silent)) == ErrorCode::unknown_member_id);
}

TEST_CASE("downgrade: when the last consumer member goes, it is a classic group that rebalances") {
    for (const bool times_out : {false, true}) {
        CAPTURE(times_out);
        UpgradeRig rig({.initial_rebalance_delay = milliseconds(0)});
        Client a, b, c{.id = "c", .classic = false};
        rig.two(a, b);
        rig.run({&a, &b, &c});
        const std::int32_t epoch = a.generation;
        if (times_out) {
            while (rig.groups.find_group("g")->consumer != nullptr) {
                rig.step(a);
                rig.step(b);
                rig.advance(1'000);
            }
        } else {
            CHECK(rig.beat(c, -1).error == ErrorCode::none);
        }
        const groups::Group* group = rig.groups.find_group("g");
        CHECK(group->consumer == nullptr);
        CHECK(group->generation == epoch);
        CHECK(group->members.size() == 2);
        CHECK(rig.groups.members() == 2);
        CHECK(commit(rig, a, epoch) == ErrorCode::none);
        for (const Client* one : {&a, &b})
            CHECK(rig.groups.heartbeat(rig.now, rig.who(*one)) == ErrorCode::rebalance_in_progress);
        CHECK_FALSE(rig.groups.describe("g").members.empty());
        (void)rig.join(a);
        const auto told = rig.join(b);
        CHECK(told.error == ErrorCode::none);
        CHECK(told.generation == epoch + 1);
        CHECK_FALSE(told.leader.empty());
        // And up again.
        Client d{.id = "d", .classic = false};
        CHECK(rig.beat(d, 0).error == ErrorCode::none);
        CHECK(rig.groups.find_group("g")->consumer != nullptr);
        a.joins = b.joins = true;
        rig.run({&a, &b, &d});
        CHECK(UpgradeRig::sum({&a, &b, &d}) == 8);
    }
}

TEST_CASE("downgrade: whatever a power cut leaves of it, its members stay what they are") {
    int upgraded = 0, classic = 0;
    for (const std::size_t ops_max : {std::size_t{1'000'000}, std::size_t{2}})
        for (int flushes = 0, more = 1; more != 0; ++flushes)
            for (std::size_t prefix = 0, last = 0; prefix <= last; ++prefix) {
                CAPTURE(ops_max);
                CAPTURE(flushes);
                CAPTURE(prefix);
                UpgradeRig rig({.initial_rebalance_delay = milliseconds(0)});
                Client a, b, c{.id = "c", .classic = false};
                rig.two(a, b);
                rig.run({&a, &b, &c});
                rig.log.ops_max = ops_max;
                groups::ConsumerHeartbeat request;
                request.group = "g";
                request.member = "c";
                request.names_itself = true;
                request.epoch = -1;
                rig.groups.consumer_heartbeat(rig.now, ++rig.last, std::move(request));
                rig.settle();
                for (int i = 0; i < flushes; ++i) rig.flush();
                last = rig.log.open_ops.size();
                more = last == 0 ? 0 : 1;
                UpgradeRig next({.initial_rebalance_delay = milliseconds(0)}, rig.now,
                                rig.log.crash(prefix), 2);
                CHECK(next.groups.unreadable() == 0);
                const groups::Group* group = next.groups.find_group("g");
                REQUIRE(group != nullptr);
                const bool is_classic = group->consumer == nullptr;
                (is_classic ? classic : upgraded) += 1;
                for (const Client* one : {&a, &b}) {
                    const ErrorCode error = next.groups.heartbeat(next.now, next.who(*one));
                    CHECK(error != ErrorCode::unknown_member_id);
                    // Or what the one that left had would be nobody's for ever.
                    if (is_classic) CHECK(error == ErrorCode::rebalance_in_progress);
                }
                // They share all of it, as long as nobody of the other protocol was left ...
                const bool c_is_left =
                    group->consumer != nullptr && group->consumer->find("c") != nullptr;
                for (int i = 0; i < 4 && !c_is_left; ++i) {
                    next.step(a);
                    next.step(b);
                }
                CHECK((next.groups.find_group("g")->consumer != nullptr) == c_is_left);
                // ... and one that comes leaves nothing of the other kind.
                c.owned.clear();
                c.joins = true;
                a.joins = b.joins = true;
                next.run({&a, &b, &c}, 16);
                CHECK(UpgradeRig::sum({&a, &b, &c}) == 8);
                std::size_t facts = 0;
                for (const auto& [key, value] : next.log.now_facts)
                    facts += key.first == log::FactKind::group;
                CHECK(facts == 4);
            }
    CHECK(upgraded > 2);
    CHECK(classic > 2);
}

TEST_CASE("upgrade: a static member keeps its place when it comes back with the other protocol") {
    UpgradeRig rig({.initial_rebalance_delay = milliseconds(0)});
    Client a{.instance = "i"}, b;
    rig.two(a, b);
    const Partitions before = a.owned;
    Client again{.id = "new", .classic = false, .instance = "i"};
    const auto told = rig.beat(again, 0);
    CHECK(told.error == ErrorCode::none);
    CHECK(rig.groups.heartbeat(rig.now, rig.who(a)) == ErrorCode::fenced_instance_id);
    UpgradeRig::take(again, told);
    CHECK(again.owned == before);
    rig.run({&again, &b});
    CHECK(again.owned == before);
    CHECK(b.owned.size() == 4);
    // And back: the classic one takes it over, and the other is fenced.
    Client c{.id = "c", .classic = false}, back{.instance = "i"};
    CHECK(rig.beat(c, 0).error == ErrorCode::none);
    CHECK(rig.join(back).error == ErrorCode::none);
    CHECK(rig.beat(again, again.generation).error == ErrorCode::fenced_instance_id);
}

TEST_CASE("downgrade: the last consumer member's place is taken by a classic one") {
    UpgradeRig rig({.initial_rebalance_delay = milliseconds(0)});
    Client a{.instance = "i"}, b;
    rig.two(a, b);
    Client again{.id = "new", .classic = false, .instance = "i"};
    rig.run({&again, &b});
    Client back{.instance = "i"};
    const auto told = rig.join(back);
    CHECK(told.error == ErrorCode::none);
    const groups::Group* group = rig.groups.find_group("g");
    CHECK(group->consumer == nullptr);
    CHECK(group->members.size() == 2);
    back.id = told.member;
    back.generation = told.generation;
    CHECK(rig.groups.heartbeat(rig.now, rig.who(back)) == ErrorCode::rebalance_in_progress);
    CHECK(rig.groups.heartbeat(rig.now, rig.who(b)) == ErrorCode::rebalance_in_progress);
}

TEST_CASE("upgrade: what the broker cannot read stays a classic group, and why is said") {
    struct Case {
        const char* type;
        std::string metadata, given;
        const char* why;  ///< null: it can be read
        const char* assignor = "p";
    };
    for (const Case& one :
         {Case{"connect", subscription({}), "", "does not use the consumer embedded protocol"},
          Case{"consumer", "x", "", "is malformed"},
          Case{"consumer", subscription({}), "x", "is malformed"},
          Case{"consumer", subscription({}), assignment({1}, "mine"), "custom assignor"},
          // As librdkafka says it, whose own this is not.
          Case{"consumer", subscription({}), assignment({1}, "m"), nullptr, "cooperative-sticky"}}) {
        CAPTURE(one.why);
        UpgradeRig rig({.initial_rebalance_delay = milliseconds(0)});
        groups::JoinRequest request;
        request.group = "g";
        request.client_id = "c";
        request.session_timeout = request.rebalance_timeout = milliseconds(30'000);
        request.protocol_type = one.type;
        request.protocols = {{one.assignor, one.metadata}};
        rig.groups.join(rig.now, ++rig.last, request);
        const groups::Ticket ticket = rig.last;
        rig.flush();
        REQUIRE(rig.joined.contains(ticket));
        Client a{.id = rig.joined.at(ticket).member, .generation = 1};
        (void)rig.sync(a, {{a.id, one.given}});
        Client c{.id = "c", .classic = false};
        const auto told = rig.beat(c, 0);
        CHECK((told.error == ErrorCode::none) == (one.why == nullptr));
        if (one.why == nullptr) continue;
        CHECK(told.error == ErrorCode::group_id_not_found);
        CHECK(told.message.find(one.why) != std::string::npos);
        CHECK(rig.groups.heartbeat(rig.now, rig.who(a)) == ErrorCode::none);
    }
}

TEST_CASE("upgrade: whatever a power cut leaves of it, all go on and nothing is owned twice") {
    int upgraded = 0, classic = 0;
    // All of it in one commit, or in many.
    for (const std::size_t ops_max : {std::size_t{1'000'000}, std::size_t{2}})
        for (int flushes = 0, more = 1; more != 0; ++flushes)
            for (std::size_t prefix = 0, last = 0; prefix <= last; ++prefix) {
                CAPTURE(ops_max);
                CAPTURE(flushes);
                CAPTURE(prefix);
                UpgradeRig rig({.initial_rebalance_delay = milliseconds(0)});
                Client a, b, c{.id = "c", .classic = false};
                rig.two(a, b);
                rig.log.ops_max = ops_max;
                groups::ConsumerHeartbeat request;
                request.group = "g";
                request.member = "c";
                request.names_itself = true;
                request.rebalance_timeout = milliseconds(60'000);
                request.topics = {"t"};
                request.owned.emplace();
                rig.groups.consumer_heartbeat(rig.now, ++rig.last, std::move(request));
                rig.settle();
                CHECK_FALSE(rig.beaten.contains(rig.last));  // nobody knows of it yet
                for (int i = 0; i < flushes; ++i) rig.flush();
                more = rig.beaten.contains(rig.last) ? 0 : 1;
                last = rig.log.open_ops.size();
                UpgradeRig next({.initial_rebalance_delay = milliseconds(0)}, rig.now,
                                rig.log.crash(prefix), 2);
                CHECK(next.groups.unreadable() == 0);
                const groups::Group* group = next.groups.find_group("g");
                REQUIRE(group != nullptr);
                (group->consumer != nullptr ? upgraded : classic) += 1;
                CHECK((group->consumer != nullptr ? group->consumer->members.size()
                                                  : group->members.size()) >= 2);
                if (more == 0) CHECK(group->consumer->members.size() == 3);
                CHECK(next.groups.heartbeat(next.now, next.who(a)) !=
                      ErrorCode::unknown_member_id);
                next.run({&a, &b, &c}, 16);
                CHECK(UpgradeRig::sum({&a, &b, &c}) == 8);
                CHECK(c.owned.size() >= 2);
                // What was begun and given up has left nothing behind.
                std::size_t facts = 0;
                for (const auto& [key, value] : next.log.now_facts)
                    facts += key.first == log::FactKind::group;
                CHECK(facts == 4);  // the group's and three members'
            }
    CHECK(upgraded > 2);
    CHECK(classic > 2);
}

TEST_CASE("upgrade: a log that fails in the middle leaves the group what the log says") {
    UpgradeRig rig({.initial_rebalance_delay = milliseconds(0)});
    Client a, b, c{.id = "c", .classic = false};
    rig.two(a, b);
    groups::ConsumerHeartbeat request;
    request.group = "g";
    request.member = "c";
    request.names_itself = true;
    request.rebalance_timeout = milliseconds(60'000);
    request.topics = {"t"};
    request.owned.emplace();
    rig.groups.consumer_heartbeat(rig.now, ++rig.last, std::move(request));
    const groups::Ticket ticket = rig.last;
    REQUIRE(rig.log.lose_open());
    while (const auto lost = rig.log.poll_rolled_back())
        rig.groups.rolled_back(rig.now, lost->first, lost->last);
    rig.settle();
    REQUIRE(rig.beaten.contains(ticket));
    CHECK(rig.beaten.at(ticket).error == ErrorCode::coordinator_not_available);
    CHECK(rig.groups.find_group("g")->consumer == nullptr);
    CHECK(rig.groups.heartbeat(rig.now, rig.who(a)) == ErrorCode::none);
    rig.run({&a, &b, &c}, 16);
    CHECK(UpgradeRig::sum({&a, &b, &c}) == 8);
}

TEST_CASE("downgrade: who has no protocol in common with those that are left is refused alone") {
    UpgradeRig rig({.initial_rebalance_delay = milliseconds(0)});
    Client a, b, c{.id = "c", .classic = false};
    rig.two(a, b);  // "cooperative" and "other", each of them
    UpgradeRig::take(c, rig.beat(c, 0));
    const auto join = [&](std::vector<groups::Protocol> protocols, std::string id) {
        groups::JoinRequest request;
        request.group = "g";
        request.member = std::move(id);
        request.client_id = "c";
        request.session_timeout = milliseconds(30'000);
        request.rebalance_timeout = milliseconds(60'000);
        request.protocol_type = "consumer";
        request.protocols = std::move(protocols);
        rig.groups.join(rig.now, ++rig.last, std::move(request));
        rig.flush();
        return rig.joined.contains(rig.last) ? rig.joined.at(rig.last) : groups::JoinAnswer{};
    };
    const auto d = join({{"other", subscription({})}}, {});
    REQUIRE(d.error == ErrorCode::none);
    groups::ErrorCode error{};
    for (const std::string& gone : {a.id, b.id, c.id})
        CHECK(rig.groups.leave(rig.now, "g", {{.member = gone, .instance = {}}}, error)[0] ==
              ErrorCode::none);
    rig.flush();
    REQUIRE(rig.groups.find_group("g")->consumer == nullptr);
    CHECK(join({{"cooperative", subscription({})}}, {}).error ==
          ErrorCode::inconsistent_group_protocol);
    const auto again = join({{"other", subscription({})}}, d.member);
    CHECK(again.error == ErrorCode::none);
    CHECK(again.protocol == "other");
}

TEST_CASE("upgrade: a member that is refused leaves the group as it was") {
    UpgradeRig rig({.initial_rebalance_delay = milliseconds(0), .consumer_group_size_max = 2});
    Client a, b, c{.id = "c", .classic = false};
    rig.two(a, b);
    CHECK(rig.beat(c, 0).error == ErrorCode::group_max_size_reached);
    const groups::Group* group = rig.groups.find_group("g");
    REQUIRE(group != nullptr);
    CHECK(group->consumer == nullptr);
    CHECK(group->members.size() == 2);
    CHECK(rig.groups.heartbeat(rig.now, rig.who(a)) == ErrorCode::none);
    CHECK(rig.groups.heartbeat(rig.now, rig.who(b)) == ErrorCode::none);
    CHECK(rig.groups.describe("g").state == std::string("Stable"));
}

TEST_CASE("upgrade: one that names itself as another one of the group does leaves it as it was") {
    UpgradeRig rig({.initial_rebalance_delay = milliseconds(0)});
    Client a{.instance = "one"}, b{.instance = "two"};
    (void)rig.join(a);
    a.id = rig.joined.at(rig.last).member;
    (void)rig.join(b);
    (void)rig.join(a);
    REQUIRE(rig.groups.find_group("g")->members.size() == 2);
    for (const auto& [ticket, told] : rig.joined)
        if (told.error == ErrorCode::none && told.member != a.id) b.id = told.member;
    REQUIRE(!b.id.empty());
    Client thief{.id = b.id, .classic = false, .instance = "one"};
    CHECK(rig.beat(thief, 0).error == ErrorCode::invalid_request);
    CHECK(rig.groups.find_group("g")->consumer == nullptr);
    CHECK(rig.groups.find_group("g")->members.size() == 2);
}

}  // namespace leat::test
