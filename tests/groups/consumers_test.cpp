// Groups of the consumer protocol (KIP-848), step by step: what a member is told, and when.
#include <algorithm>

#include "tests/groups/rig.hpp"

namespace leat::test {
namespace {

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

}  // namespace

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
