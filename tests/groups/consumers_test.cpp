// Groups of the consumer protocol (KIP-848), step by step: what a member is told, and when.
#include "tests/groups/consumers_rig.hpp"

namespace leat::test {

TEST_CASE("consumers: the first member gets everything, when it is durable and not before") {
    Consumers rig;
    Member a{"a"};
    const groups::Ticket ticket = rig.send(rig.full(a));
    CHECK(!rig.told(ticket));
    rig.flush();
    REQUIRE(rig.told(ticket));
    const ConsumerAnswer answer = rig.beaten.at(ticket);
    CHECK(answer.error == ErrorCode::none);
    CHECK(answer.member == "a");
    CHECK(answer.epoch == 1);
    CHECK(answer.interval == milliseconds(5'000));
    CHECK(rig.of_t(answer) == all_of_t);
    a.epoch = 1;
    // Nothing new: answered at once, without a write and without an assignment.
    const auto writes = rig.log.open_ops.size();
    const groups::Ticket again = rig.send(rig.message(a));
    CHECK(rig.told(again));
    CHECK(!rig.beaten.at(again).assignment);
    CHECK(rig.log.open_ops.size() == writes);
    CHECK(rig.state() == "Stable");
}

TEST_CASE("consumers: the second member waits until the first has given up") {
    Consumers rig;
    Member a{"a"}, b{"b"};
    rig.join(a);
    CHECK(rig.join(b).assignment->empty());
    CHECK(b.epoch == 2);
    CHECK(rig.state() == "Reconciling");
    // a stays in its epoch and is told what to keep.
    const ConsumerAnswer told = rig.keep(a);
    CHECK(a.epoch == 1);
    const Partitions kept = rig.of_t(told);
    CHECK(kept.size() == 4);
    // As long as a does not say that it has revoked, b gets nothing.
    CHECK(!rig.keep(b).assignment);
    CHECK(!rig.own(a, all_of_t).assignment);
    CHECK(a.epoch == 1);
    CHECK(!rig.keep(b).assignment);
    rig.own(a, kept);
    CHECK(a.epoch == 2);
    const Partitions given = rig.of_t(rig.keep(b));
    CHECK(given.size() == 4);
    for (const std::int32_t one : given)
        CHECK(std::find(kept.begin(), kept.end(), one) == kept.end());
    CHECK(rig.state() == "Stable");
}

TEST_CASE("consumers: who does not revoke in its time is out") {
    Consumers rig;
    Member a{"a"}, b{"b"};
    rig.join(a);
    rig.join(b);
    rig.keep(a);
    rig.advance(3'000);
    rig.keep(a);  // alive, but owns everything still
    rig.advance(2'999);
    CHECK(rig.group().members.size() == 2);
    rig.advance(2);
    CHECK(rig.group().members.size() == 1);
    CHECK(rig.ask(rig.message(a)).error == ErrorCode::unknown_member_id);
    CHECK(rig.of_t(rig.keep(b)) == all_of_t);
}

TEST_CASE("consumers: a silent member is out after its session, a static one too") {
    groups::GroupsConfig config;
    config.consumer_session_timeout = milliseconds(10'000);
    Consumers rig(config);
    Member a{"a"}, s{.id = "s", .instance = "i"};
    rig.join(a);
    rig.join(s);
    rig.advance(9'000);
    CHECK(rig.keep(a).error == ErrorCode::none);
    rig.advance(1'001);
    CHECK(rig.group().find("s") == nullptr);
    CHECK(rig.group().find("a") != nullptr);
    CHECK(rig.commit(s, s.epoch).error == ErrorCode::unknown_member_id);
}

TEST_CASE("consumers: a static member that leaves for a while comes back to what it had") {
    Consumers rig;
    Member a{"a"}, s{.id = "s1", .instance = "i"};
    rig.join(s);
    rig.join(a);
    rig.own(s, rig.of_t(rig.keep(s)));
    rig.keep(a);
    REQUIRE(rig.state() == "Stable");
    const Partitions had = s.owned;
    const std::int32_t epoch = rig.group().epoch;

    Member s2{.id = "s2", .instance = "i"};
    CHECK(rig.ask(rig.full(s2)).error == ErrorCode::unreleased_instance_id);
    ConsumerHeartbeat away = rig.message(s);
    away.epoch = -2;
    const ConsumerAnswer gone = rig.ask(away);
    CHECK(gone.error == ErrorCode::none);
    CHECK(gone.epoch == -2);
    CHECK(rig.group().members.size() == 2);
    CHECK(rig.commit(s, s.epoch).error == ErrorCode::stale_member_epoch);
    CHECK(!rig.keep(a).assignment);  // nobody else gets its partitions

    CHECK(rig.of_t(rig.join(s2)) == had);
    CHECK(rig.group().epoch == epoch);  // no rebalance
    CHECK(rig.ask(rig.message(s)).error == ErrorCode::fenced_instance_id);
    ConsumerHeartbeat leaves = rig.message(s);
    leaves.epoch = -1;
    CHECK(rig.ask(leaves).error == ErrorCode::fenced_instance_id);
    leaves = rig.message(s2);
    leaves.epoch = -1;
    CHECK(rig.ask(leaves).error == ErrorCode::none);
    CHECK(rig.group().members.size() == 1);
    ConsumerHeartbeat nobody = rig.message(s2);
    CHECK(rig.ask(nobody).error == ErrorCode::unknown_member_id);
}

TEST_CASE("consumers: LeaveGroup takes members out, a static one by its instance alone") {
    Consumers rig;
    Member a{"a"}, s{.id = "s1", .instance = "i"}, u{.id = "u1", .instance = "j"};
    for (Member* one : {&a, &s, &u}) rig.join(*one);
    const std::int32_t epoch = rig.group().epoch;
    ErrorCode error = ErrorCode::unknown_server_error;
    CHECK(rig.groups.leave(rig.now, "g",
                           {{"nobody", std::nullopt},
                            {"", "k"},
                            {"other", "i"},
                            {"s1", "i"},
                            {"", "j"},
                            {"a", std::nullopt},
                            {"a", std::nullopt}},
                           error) ==
          std::vector<ErrorCode>{ErrorCode::unknown_member_id, ErrorCode::unknown_member_id,
                                 ErrorCode::fenced_instance_id, ErrorCode::none, ErrorCode::none,
                                 ErrorCode::none, ErrorCode::unknown_member_id});
    CHECK(error == ErrorCode::none);
    CHECK(rig.state() == "Empty");
    CHECK(rig.group().epoch > epoch);
    CHECK(rig.ask(rig.message(a)).error == ErrorCode::unknown_member_id);
    CHECK(rig.groups.members() == 0);
    rig.flush();
    Consumers after({}, rig.log.durable, rig.now);
    CHECK(after.groups.members() == 0);
}

TEST_CASE("consumers: a group whose static member is away reconciles, also after a restart") {
    Consumers rig;
    Member s{.id = "s", .instance = "i"};
    rig.join(s);
    REQUIRE(rig.state() == "Stable");
    ConsumerHeartbeat away = rig.message(s);
    away.epoch = -2;
    REQUIRE(rig.ask(away).error == ErrorCode::none);
    CHECK(rig.state() == "Reconciling");
    Consumers after({}, rig.log.durable, rig.now);
    CHECK(after.state() == "Reconciling");  // there is nobody who would be assigned anything
    CHECK(after.of_t(after.join(s)) == all_of_t);
    CHECK(after.state() == "Stable");
}

TEST_CASE("consumers: epochs fence; a lost answer is given again") {
    Consumers rig;
    Member a{"a"}, b{"b"};
    rig.join(a);
    rig.join(b);
    rig.own(a, rig.of_t(rig.keep(a)));
    REQUIRE(a.epoch == 2);
    Member behind = a;
    behind.epoch = 1;
    // The answer with epoch 2 was lost: it comes with what it owns, which is no more than it has.
    const ConsumerAnswer again = rig.ask(rig.full(behind));
    CHECK(again.error == ErrorCode::none);
    CHECK(again.epoch == 2);
    CHECK(rig.of_t(again) == a.owned);
    CHECK(rig.ask(rig.message(behind)).error == ErrorCode::fenced_member_epoch);
    behind.owned = all_of_t;
    CHECK(rig.ask(rig.full(behind)).error == ErrorCode::fenced_member_epoch);
    Member ahead = a;
    ahead.epoch = 3;
    CHECK(rig.ask(rig.message(ahead)).error == ErrorCode::fenced_member_epoch);
    // It abandons all and joins under the same id.
    behind.owned.clear();
    CHECK(rig.of_t(rig.join(behind)) == a.owned);
}

TEST_CASE("consumers: commits and fetches show their epoch") {
    Consumers rig;
    Member a{"a"}, b{"b"};
    rig.join(a);
    CHECK(rig.commit(a, 1).error == ErrorCode::none);
    CHECK(rig.commit(a, 2).error == ErrorCode::stale_member_epoch);
    CHECK(rig.commit(a, -1).error == ErrorCode::stale_member_epoch);
    CHECK(rig.commit(b, 1).error == ErrorCode::unknown_member_id);
    CHECK(rig.groups
              .commit(rig.now, {.group = "g", .member = {}, .instance = {}, .generation = -1},
                      {{.topic = "t", .offset = 1, .metadata = {}}})
              .error == ErrorCode::unknown_member_id);
    CHECK(rig.groups
              .commit(rig.now,
                      {.group = "g",
                       .member = "a",
                       .instance = {},
                       .generation = 1,
                       .knows_epochs = false},
                      {{.topic = "t", .offset = 1, .metadata = {}}})
              .error == ErrorCode::unsupported_version);
    rig.join(b);
    rig.own(a, rig.of_t(rig.keep(a)));
    const Partitions given = rig.of_t(rig.keep(b));
    REQUIRE(a.epoch == 2);
    REQUIRE(!given.empty());
    // What a has had since epoch 1 it may commit under epoch 1 (KIP-1251); what it gave up never.
    CHECK(rig.commit(a, 1, a.owned[0]).error == ErrorCode::none);
    CHECK(rig.commit(a, 1, given[0]).error == ErrorCode::stale_member_epoch);
    CHECK(rig.commit(b, 1, given[0]).error == ErrorCode::stale_member_epoch);
    CHECK(rig.commit(b, 2, given[0]).error == ErrorCode::none);

    CHECK(rig.groups.check_fetch("g", std::nullopt, -1) == ErrorCode::none);
    CHECK(rig.groups.check_fetch("g", "a", 2) == ErrorCode::none);
    CHECK(rig.groups.check_fetch("g", "a", 1) == ErrorCode::stale_member_epoch);
    CHECK(rig.groups.check_fetch("g", "x", 1) == ErrorCode::unknown_member_id);
}

TEST_CASE("consumers: bad requests are refused as Kafka does, and leave no group behind") {
    Consumers rig;
    const Member a{"a"};
    const auto error_of = [&](auto change) {
        ConsumerHeartbeat beat = rig.full(a);
        change(beat);
        return rig.ask(std::move(beat)).error;
    };
    using B = ConsumerHeartbeat;
    CHECK(error_of([](B& b) { b.group.clear(); }) == ErrorCode::invalid_request);
    CHECK(error_of([](B& b) { b.member.clear(); }) == ErrorCode::invalid_request);
    CHECK(error_of([](B& b) { b.instance = ""; }) == ErrorCode::invalid_request);
    CHECK(error_of([](B& b) { b.rack = ""; }) == ErrorCode::invalid_request);
    CHECK(error_of([](B& b) { b.group = " \t"; }) == ErrorCode::invalid_request);
    CHECK(error_of([](B& b) { b.instance = " "; }) == ErrorCode::invalid_request);
    CHECK(error_of([](B& b) { b.rebalance_timeout.reset(); }) == ErrorCode::invalid_request);
    CHECK(error_of([](B& b) { b.owned.reset(); }) == ErrorCode::invalid_request);
    CHECK(error_of([&](B& b) {
              b.owned->push_back({rig.t(), {1}});
          }) == ErrorCode::invalid_request);
    CHECK(error_of([](B& b) { b.topics.reset(), b.pattern.reset(); }) ==
          ErrorCode::invalid_request);
    CHECK(error_of([](B& b) { b.epoch = -3; }) == ErrorCode::invalid_request);
    CHECK(error_of([](B& b) { b.epoch = -2; }) == ErrorCode::invalid_request);
    CHECK(error_of([](B& b) { b.assignor = "sticky"; }) == ErrorCode::unsupported_assignor);
    CHECK(error_of([](B& b) { b.pattern = "(a"; }) == ErrorCode::invalid_regular_expression);
    CHECK(error_of([](B& b) { b.epoch = 1; }) == ErrorCode::group_id_not_found);
    CHECK(error_of([](B& b) { b.epoch = -1; }) == ErrorCode::group_id_not_found);
    CHECK(error_of([](B& b) { b.member = std::string(1'025, 'x'); }) == ErrorCode::invalid_request);
    CHECK(rig.groups.size() == 0);
    CHECK(rig.groups.members() == 0);
    CHECK(rig.groups.member_bytes() == 0);
    CHECK(error_of([](B& b) { b.member = std::string(1'024, 'x'); }) == ErrorCode::none);
}

TEST_CASE("consumers: version 0 is given an id; a full group takes nobody in") {
    groups::GroupsConfig config;
    config.consumer_group_size_max = 2;
    Consumers rig(config);
    Member a{""}, b{"b"}, c{"c"};
    ConsumerHeartbeat unnamed = rig.full(a);
    unnamed.names_itself = false;
    const ConsumerAnswer named = rig.ask(unnamed);
    CHECK(named.error == ErrorCode::none);
    REQUIRE(named.member);
    CHECK(named.member->size() > 20);
    CHECK(rig.join(b).error == ErrorCode::none);
    CHECK(rig.ask(rig.full(c)).error == ErrorCode::group_max_size_reached);
    CHECK(rig.join(b).error == ErrorCode::none);  // is in
}

TEST_CASE("consumers: what is no consumer's does not mix; an empty group changes its kind") {
    Consumers rig({.initial_rebalance_delay = milliseconds(0)});
    const auto classic = [&](const std::string& group) {
        groups::JoinRequest one;
        one.group = group;
        one.client_id = "c";
        one.session_timeout = milliseconds(10'000);
        one.rebalance_timeout = milliseconds(20'000);
        one.protocol_type = "consumer";
        one.protocols = {{"range", "m"}};
        rig.groups.join(rig.now, ++rig.last, std::move(one));
        rig.settle();
        REQUIRE(rig.joined.contains(rig.last));
        return rig.joined.at(rig.last);
    };
    Member a{"a"};
    rig.join(a);
    CHECK(classic("g").error == ErrorCode::inconsistent_group_protocol);
    CHECK(rig.groups.heartbeat(rig.now,
                               {.group = "g", .member = "a", .instance = {}, .generation = 1}) ==
          ErrorCode::unknown_member_id);
    CHECK(!rig.groups.describe("g").found);
    ErrorCode error;
    CHECK(rig.groups.leave(rig.now, "g", {{"nobody", std::nullopt}}, error) ==
          std::vector<ErrorCode>{ErrorCode::unknown_member_id});
    // A group of the other kind, with a member:
    const auto joined = classic("h");
    REQUIRE(joined.error == ErrorCode::none);
    Member h{.id = "h1", .group = "h"};
    CHECK(rig.ask(rig.full(h)).error == ErrorCode::group_id_not_found);
    // ... and when it is empty:
    (void)rig.groups.leave(rig.now, "h", {{joined.member, std::nullopt}}, error);
    rig.flush();
    CHECK(rig.join(h).epoch == 1);
    ConsumerHeartbeat leaves = rig.message(a);
    leaves.epoch = -1;
    CHECK(rig.ask(leaves).error == ErrorCode::none);
    CHECK(classic("g").error == ErrorCode::none);
    rig.flush();
    CHECK(rig.groups.find_group("g")->consumer == nullptr);
    // After a restart both are what they became.
    Consumers after({}, rig.log.durable, rig.now);
    CHECK(after.groups.unreadable() == 0);
    CHECK(after.group("h").find("h1") != nullptr);
    CHECK((after.groups.find_group("g") == nullptr ||
           after.groups.find_group("g")->consumer == nullptr));
}

TEST_CASE("consumers: a restart of a settled group is not noticed") {
    Consumers rig;
    Member a{"a"}, b{.id = "b", .assignor = "range"}, s{.id = "s", .instance = "i"};
    for (Member* one : {&a, &b, &s}) rig.join(*one);
    for (int i = 0; i < 3; ++i)
        for (Member* one : {&a, &b, &s}) {
            const ConsumerAnswer told = rig.keep(*one);
            if (told.assignment) rig.own(*one, rig.of_t(told));
        }
    REQUIRE(rig.state() == "Stable");
    Consumers after({}, rig.log.durable, rig.now);
    CHECK(after.state() == "Stable");
    CHECK(after.groups.members() == 3);
    const auto writes = after.log.open_ops.size();
    for (Member* one : {&a, &b, &s}) {
        const std::int32_t epoch = one->epoch;
        const ConsumerAnswer told = after.beat(*one, after.full(*one));
        CHECK(told.error == ErrorCode::none);
        CHECK(told.epoch == epoch);
        CHECK(after.of_t(told) == one->owned);
    }
    CHECK(after.log.open_ops.size() == writes);
}

TEST_CASE("consumers: new partitions, new topics and deleted ones reach the members") {
    Consumers rig;
    Member a{.id = "a", .topics = {"t", "late"}, .pattern = "auto-[0-9]+"};
    rig.join(a);
    CHECK(a.owned == all_of_t);
    CHECK(!rig.keep(a).assignment);
    rig.advance(1'000);
    REQUIRE(rig.topics.add_partitions(rig.now, *rig.topics.find("t"), 1));
    CHECK(rig.of_t(rig.keep(a)).size() == 9);
    rig.advance(1'000);
    REQUIRE(rig.topics.create(rig.now, "late", 2, rig.topics.new_config()));
    REQUIRE(rig.topics.create(rig.now, "auto-17", 1, rig.topics.new_config()));
    REQUIRE(rig.topics.create(rig.now, "auto-x", 1, rig.topics.new_config()));
    const ConsumerAnswer more = rig.keep(a);
    REQUIRE(more.assignment);
    CHECK(more.assignment->size() == 3);
    rig.advance(1'000);
    REQUIRE(rig.topics.remove(rig.now, *rig.topics.find("late")));
    const ConsumerAnswer less = rig.keep(a);
    REQUIRE(less.assignment);
    CHECK(less.assignment->size() == 2);
    CHECK(rig.groups.find_group("g")->reads("auto-17"));
    CHECK(!rig.groups.find_group("g")->reads("auto-x"));
    // Patterns are matched anew once a second, however often topics change.
    REQUIRE(rig.topics.create(rig.now, "auto-18", 1, rig.topics.new_config()));
    CHECK(!rig.groups.find_group("g")->reads("auto-18"));
    rig.advance(1'000);
    rig.keep(a);
    CHECK(rig.groups.find_group("g")->reads("auto-18"));
}

TEST_CASE("consumers: tools see them: state, subscriptions, deletion") {
    Consumers rig;
    Member a{"a"};
    rig.join(a);
    rig.flush();
    CHECK(rig.commit(a, 1).error == ErrorCode::none);
    rig.flush();
    CHECK(rig.groups.delete_group(rig.now, "g").error == ErrorCode::non_empty_group);
    CHECK(rig.groups.delete_offsets(rig.now, "g", {{"t", 0}}).each ==
          std::vector<ErrorCode>{ErrorCode::group_subscribed_to_topic});
    ConsumerHeartbeat leaves = rig.message(a);
    leaves.epoch = -1;
    rig.ask(leaves);
    CHECK(rig.state() == "Empty");
    CHECK(rig.groups.fetch("g", "t", 0).offset == 7);
    CHECK(rig.groups.member_bytes() == 0);
    CHECK(rig.groups.delete_group(rig.now, "g").error == ErrorCode::none);
    CHECK(rig.groups.find_group("g") == nullptr);
    rig.flush();
    CHECK(rig.groups.size() == 0);
    Consumers after({}, rig.log.durable, rig.now);
    CHECK(after.groups.size() == 0);
}

TEST_CASE("consumers: a log without room refuses the new member; the others go on") {
    Consumers rig;
    Member a{"a"}, b{"b"};
    rig.join(a);
    rig.log.is_full = true;
    CHECK(rig.ask(rig.full(b)).error == ErrorCode::coordinator_not_available);
    CHECK(rig.group().members.size() == 1);
    CHECK(rig.keep(a).error == ErrorCode::none);
    rig.log.is_full = false;
    CHECK(rig.join(b).error == ErrorCode::none);
    CHECK(rig.group().members.size() == 2);
}

}  // namespace leat::test
