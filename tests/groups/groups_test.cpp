// The classic group's rules one by one.
#include "tests/groups/rig.hpp"

namespace leat::test {
namespace {

using groups::ErrorCode;

groups::JoinRequest request(std::string member = {}, std::optional<std::string> instance = {}) {
    groups::JoinRequest one;
    one.group = "g";
    one.member = std::move(member);
    one.instance = std::move(instance);
    one.client_id = "c";
    one.session_timeout = milliseconds(10'000);
    one.rebalance_timeout = milliseconds(60'000);
    one.protocol_type = "consumer";
    one.protocols = {{"range", "m"}};
    return one;
}

struct Bench : GroupsRig {
    Bench() : GroupsRig({.initial_rebalance_delay = milliseconds(0)}) {}
    groups::Ticket join(groups::JoinRequest one) {
        groups.join(now, ++last, std::move(one));
        settle();
        return last;
    }
    groups::Ticket sync(const std::string& member, std::int32_t generation,
                        std::vector<std::pair<std::string_view, std::string_view>> parts = {},
                        std::optional<std::string_view> instance = {}) {
        groups::SyncRequest one;
        one.who = {.group = "g", .member = member, .instance = instance, .generation = generation};
        one.assignments = std::move(parts);
        groups.sync(now, ++last, one);
        settle();
        return last;
    }
    ErrorCode beat(const std::string& member, std::int32_t generation,
                   std::optional<std::string_view> instance = {}) {
        return groups.heartbeat(
            now, {.group = "g", .member = member, .instance = instance, .generation = generation});
    }
    groups::Groups::Written commit(std::string_view member, std::int32_t generation,
                                   std::int64_t offset, std::string_view metadata = {}) {
        return groups.commit(
            now,
            {.group = "g", .member = member, .instance = std::nullopt, .generation = generation},
            {{.topic = "t", .partition = 0, .offset = offset, .metadata = metadata}});
    }
    /// A stable group of one; its member's id.
    std::string stable_one(std::optional<std::string> instance = {}) {
        const auto answer = joined.at(join(request({}, std::move(instance))));
        sync(answer.member, answer.generation, {{answer.member, "all"}});
        flush();
        return answer.member;
    }
};

}  // namespace

TEST_CASE("join: from v4 on an unknown member is told its id first, below it is let in at once") {
    Bench bench;
    auto one = request();
    one.requires_known_member = true;
    const auto told = bench.joined.at(bench.join(std::move(one)));
    CHECK(told.error == ErrorCode::member_id_required);
    const auto again = bench.joined.at(bench.join(request(told.member)));
    CHECK(again.error == ErrorCode::none);
    CHECK(again.generation == 1);
    CHECK(again.leader == told.member);
    CHECK(again.members.size() == 1);
}

TEST_CASE("join: bad timeouts, ids and protocols are refused") {
    Bench bench;
    auto one = request();
    one.group.clear();
    CHECK(bench.joined.at(bench.join(one)).error == ErrorCode::invalid_group_id);
    one = request();
    one.session_timeout = milliseconds(5'999);
    CHECK(bench.joined.at(bench.join(one)).error == ErrorCode::invalid_session_timeout);
    one.session_timeout = milliseconds(1'800'001);
    CHECK(bench.joined.at(bench.join(one)).error == ErrorCode::invalid_session_timeout);
    CHECK(bench.joined.at(bench.join(request("nobody"))).error == ErrorCode::unknown_member_id);
    bench.stable_one();
    one = request();
    one.protocol_type = "connect";
    CHECK(bench.joined.at(bench.join(one)).error == ErrorCode::inconsistent_group_protocol);
    one = request();
    one.protocols = {{"other", ""}};
    CHECK(bench.joined.at(bench.join(one)).error == ErrorCode::inconsistent_group_protocol);
}

TEST_CASE("sync: an assignment is told when it is durable, not before") {
    Bench bench;
    const auto told = bench.joined.at(bench.join(request()));
    const auto ticket = bench.sync(told.member, 1, {{told.member, "all"}});
    CHECK(!bench.synced.contains(ticket));
    bench.flush();
    CHECK(bench.synced.at(ticket).assignment == "all");
}

TEST_CASE("a second member: the first hears of it by its heartbeat, both join, generation 2") {
    Bench bench;
    const std::string a = bench.stable_one();
    CHECK(bench.beat(a, 1) == ErrorCode::none);
    const auto b = bench.join(request());
    CHECK(!bench.joined.contains(b));
    CHECK(bench.beat(a, 1) == ErrorCode::rebalance_in_progress);
    CHECK(bench.commit(a, 1, 5).error == ErrorCode::none);  // the last commit before revocation
    const auto again = bench.join(request(a));
    CHECK(bench.joined.at(again).generation == 2);
    CHECK(bench.joined.at(b).generation == 2);
    CHECK(bench.joined.at(again).members.size() == 2);
    CHECK(bench.joined.at(b).members.empty());
    CHECK(bench.commit(a, 2, 6).error == ErrorCode::rebalance_in_progress);
    CHECK(bench.commit(a, 1, 6).error == ErrorCode::illegal_generation);
}

TEST_CASE("join: while an assignment waits for the log, a new rebalance is one, not two") {
    Bench bench;
    const auto first = bench.joined.at(bench.join(request()));
    bench.log.ops_max = 0;
    const auto sync = bench.sync(first.member, first.generation, {{first.member, "all"}});
    auto other = request(first.member);
    other.protocols = {{"range", "other"}};
    const auto again = bench.joined.at(bench.join(std::move(other)));
    CHECK(bench.synced.at(sync).error == ErrorCode::rebalance_in_progress);
    CHECK(again.generation == first.generation + 1);
    bench.log.ops_max = 1'000'000;
    const auto next = bench.sync(again.member, again.generation, {{again.member, "all"}});
    bench.flush();
    CHECK(bench.synced.at(next).error == ErrorCode::none);
    CHECK(bench.synced.at(next).assignment == "all");
}

TEST_CASE("describe: a member is shown with what it works under until something else is told") {
    Bench bench;
    const std::string a = bench.stable_one();
    const auto shown = [&] { return bench.groups.describe("g").members.front().assignment; };
    CHECK(shown() == "all");
    CHECK(bench.joined.at(bench.join(request(a))).generation == 2);
    CHECK(bench.groups.describe("g").state == std::string_view("CompletingRebalance"));
    CHECK(shown() == "all");
    bench.sync(a, 2, {{a, "less"}});
    CHECK(shown().empty());  // a power cut may take it back
    bench.flush();
    CHECK(shown() == "less");
}

TEST_CASE("a member that is silent for its session is out; one that is parked is not") {
    Bench bench;
    const std::string a = bench.stable_one();
    const auto b = bench.join(request());
    bench.advance(10'001);  // a's session
    CHECK(bench.beat(a, 1) == ErrorCode::unknown_member_id);
    CHECK(bench.joined.at(b).error == ErrorCode::none);
    CHECK(bench.joined.at(b).members.size() == 1);
}

TEST_CASE("a member that joins and never syncs is out after the rebalance timeout") {
    Bench bench;
    const auto told = bench.joined.at(bench.join(request()));
    for (int i = 0; i < 13; ++i) {
        (void)bench.beat(told.member, 1);
        bench.advance(5'000);
    }
    CHECK(bench.beat(told.member, 1) == ErrorCode::unknown_member_id);
    CHECK(std::string_view(bench.groups.describe("g").state) == "Empty");
}

TEST_CASE("static: a successor takes the place without a rebalance, the old one is fenced") {
    Bench bench;
    const std::string a = bench.stable_one("i");
    auto one = request({}, "i");
    one.can_skip_assignment = true;
    const auto ticket = bench.join(std::move(one));
    CHECK(!bench.joined.contains(ticket));  // durable first
    bench.flush();
    const auto told = bench.joined.at(ticket);
    CHECK(told.generation == 1);
    CHECK(told.skip_assignment);
    CHECK(told.member != a);
    CHECK(bench.beat(a, 1, "i") == ErrorCode::fenced_instance_id);
    CHECK(bench.beat(told.member, 1, "i") == ErrorCode::none);
    const auto sync = bench.sync(told.member, 1, {}, "i");
    CHECK(bench.synced.at(sync).assignment == "all");
}

TEST_CASE("restart: members go on under the same id and generation") {
    Bench bench;
    const std::string a = bench.stable_one();
    CHECK(bench.commit(a, 1, 41, "note").commit > 0);
    bench.flush();
    CHECK(bench.commit(a, 1, 42).commit > 0);  // never flushed: never acknowledged
    GroupsRig after({}, bench.now, bench.log.crash(0), 9);
    const groups::Identity who{
        .group = "g", .member = a, .instance = std::nullopt, .generation = 1};
    CHECK(after.groups.heartbeat(after.now, who) == ErrorCode::none);
    CHECK(after.groups.fetch("g", "t", 0).offset == 41);
    CHECK(after.groups.fetch("g", "t", 0).metadata == "note");
    after.advance(10'001);
    CHECK(after.groups.heartbeat(after.now, who) == ErrorCode::unknown_member_id);
}

TEST_CASE("commit: readable when durable, unchanged without a write, bounded metadata") {
    Bench bench;
    const auto first = bench.commit({}, -1, 7);
    CHECK(first.commit > 0);
    CHECK(bench.groups.fetch("g", "t", 0).offset == -1);
    bench.flush();
    CHECK(bench.groups.fetch("g", "t", 0).offset == 7);
    CHECK(bench.commit({}, -1, 7).commit == 0);
    CHECK(bench.log.open_ops.empty());
    CHECK(bench.commit({}, -1, 8, std::string(4097, 'x')).each[0] ==
          ErrorCode::offset_metadata_too_large);
    CHECK(bench.commit({}, -1, 8, std::string(4096, 'x')).each[0] == ErrorCode::none);
    CHECK(bench.commit({}, 3, 8).error == ErrorCode::unknown_member_id);
    bench.stable_one();
    CHECK(bench.commit({}, -1, 9).error == ErrorCode::unknown_member_id);
}

TEST_CASE("commit and leave: of a group that is not there, in the words of each version") {
    Bench bench;
    const auto commit = [&](bool knows_epochs) {
        return bench.groups
            .commit(bench.now,
                    {.group = "g",
                     .member = "m",
                     .instance = std::nullopt,
                     .generation = 1,
                     .knows_epochs = knows_epochs},
                    {{.topic = "t", .partition = 0, .offset = 1, .metadata = {}}})
            .error;
    };
    CHECK(commit(true) == ErrorCode::group_id_not_found);
    CHECK(commit(false) == ErrorCode::illegal_generation);
    ErrorCode error = ErrorCode::unknown_server_error;
    CHECK(bench.groups.leave(bench.now, "g", {{"m", std::nullopt}, {"", "i"}}, error) ==
          std::vector<ErrorCode>(2, ErrorCode::unknown_member_id));
    CHECK(error == ErrorCode::none);
    CHECK(bench.groups.size() == 0);
}

TEST_CASE("delete: only an empty group, with all its offsets, and it stays deleted") {
    Bench bench;
    const std::string a = bench.stable_one();
    CHECK(bench.commit(a, 1, 5).error == ErrorCode::none);
    CHECK(bench.groups.delete_group(bench.now, "g").error == ErrorCode::non_empty_group);
    CHECK(bench.groups.delete_group(bench.now, "no").error == ErrorCode::group_id_not_found);
    ErrorCode error;
    CHECK(bench.groups.leave(bench.now, "g", {{a, std::nullopt}}, error)[0] == ErrorCode::none);
    bench.flush();
    CHECK(bench.groups.delete_group(bench.now, "g").error == ErrorCode::none);
    bench.flush();
    CHECK(bench.groups.size() == 0);
    GroupsRig after({}, bench.now, bench.log.crash(0), 9);
    CHECK(after.groups.size() == 0);
}

TEST_CASE("retention: offsets go when the group has been empty for so long, never with members") {
    Bench bench;
    const std::string a = bench.stable_one();
    CHECK(bench.commit(a, 1, 5).error == ErrorCode::none);
    bench.flush();
    constexpr std::int64_t day = 86'400'000;
    ErrorCode error;
    (void)bench.groups.leave(bench.now, "g", {{a, std::nullopt}}, error);
    bench.flush();
    bench.advance(7 * day - 1'000'000);
    CHECK(bench.groups.fetch("g", "t", 0).offset == 5);
    bench.advance(2'000'000);
    CHECK(bench.groups.fetch("g", "t", 0).offset == -1);
    CHECK(bench.groups.size() == 0);
}

TEST_CASE("retention: a hundred groups that expire together go some at a time") {
    Bench bench;
    for (int i = 0; i < 100; ++i) {
        const std::string name = "g" + std::to_string(i);
        CHECK(bench.groups
                  .commit(bench.now, {.group = name, .member = {}, .instance = {}},
                          {{.topic = "t", .offset = 5, .metadata = {}}})
                  .error == ErrorCode::none);
    }
    bench.flush();
    bench.now += milliseconds(std::int64_t{8} * 86'400'000);
    for (std::size_t left = 100; left > 0;) {
        CHECK(bench.groups.deadline() <= bench.now + milliseconds(1));
        bench.now += milliseconds(1);
        bench.groups.on_deadline(bench.now);
        bench.flush();
        CHECK(bench.groups.size() + 32 >= left);
        if (bench.groups.size() >= left) break;
        left = bench.groups.size();
    }
    CHECK(bench.groups.size() == 0);
}

TEST_CASE("a group of 1,000 members is saved in parts and survives a restart") {
    Bench bench;
    std::vector<std::string> ids;
    auto last = bench.join(request());
    ids.push_back(bench.joined.at(last).member);
    for (int i = 1; i < 1'000; ++i) bench.join(request());
    last = bench.join(request(ids[0]));
    const auto leader = bench.joined.at(last);
    REQUIRE(leader.members.size() == 1'000);
    std::vector<std::pair<std::string_view, std::string_view>> parts;
    for (const auto& one : leader.members) parts.emplace_back(one.id, one.id);
    bench.sync(leader.member, leader.generation, parts);
    bench.flush();
    GroupsRig after({}, bench.now, bench.log.crash(0), 9);
    CHECK(after.groups.members() == 1'000);
    CHECK(std::string_view(after.groups.describe("g").state) == "Stable");
}

}  // namespace leat::test
