// Groups that go, for age or because somebody says so: a part at a time, whatever the log does.
#include "tests/groups/offset_rig.hpp"

namespace leat::test {
namespace {

using groups::ErrorCode;

constexpr milliseconds hour{3'600'000};

struct UpkeepRig : OffsetRig {
    using OffsetRig::OffsetRig;
    void commit_in(std::string_view group, std::vector<groups::Commit> commits) {
        const auto done = groups.commit(
            now, {.group = group, .member = {}, .instance = {}, .generation = -1}, commits);
        REQUIRE(done.error == ErrorCode::none);
        for (const ErrorCode one : done.each) REQUIRE(one == ErrorCode::none);
    }
    /// A member that leaves again: nothing is left of the group but its own facts.
    void leave_nothing_but(std::string_view group) {
        groups::JoinRequest request;
        request.group = group;
        request.session_timeout = request.rebalance_timeout = milliseconds(10'000);
        request.protocol_type = "consumer";
        request.protocols = {{"range", "m"}};
        groups.join(now, ++last, std::move(request));
        advance(3'000);
        ErrorCode error;
        const std::string member = joined.at(last).member;
        REQUIRE(groups.leave(now, group, {{member, std::nullopt}}, error)[0] == ErrorCode::none);
        flush();
    }
    /// Checks for age once, when it is time for it.
    void check() {
        now = std::max(now, groups.deadline());
        groups.on_deadline(now);
    }
};

std::string name(char letter, int number) { return letter + std::to_string(10'000 + number); }

}  // namespace

TEST_CASE("retention: what a log refuses for good is tried seldom, and others go meanwhile") {
    UpkeepRig rig;
    for (int i = 0; i < 40; ++i) rig.leave_nothing_but(name('a', i));
    for (int i = 0; i < 40; ++i)
        rig.commit_in(name('b', i), {{.topic = "t", .offset = 5, .metadata = {}}});
    for (int i = 0; i < 40; ++i)
        rig.commit_in(name('c', i), {{.topic = "t", .offset = 5, .metadata = {}}});
    rig.flush();
    REQUIRE(rig.groups.size() == 120);
    int refused = 0;
    rig.log.refuses_to_erase = [&refused](std::string_view key) {
        const bool no = key.find("a100") != key.npos || key.find("b100") != key.npos;
        refused += no;
        return no;
    };
    rig.now += 8 * 24 * hour;
    int checks = 0;
    for (const Instant until = rig.now + milliseconds(60'000); rig.groups.deadline() <= until;) {
        rig.check();
        rig.flush();
        if (++checks > 100) break;
    }
    CHECK(checks < 20);
    CHECK(refused == 80);
    CHECK(rig.groups.size() == 80);
    CHECK(rig.groups.find_group(name('c', 0)) == nullptr);
    // The log takes it again: the next check finds them.
    rig.log.refuses_to_erase = {};
    rig.advance(1'200'000);
    CHECK(rig.groups.size() == 0);
}

TEST_CASE("retention: a log that wants a pause is waited for, and the check goes on there") {
    UpkeepRig rig;
    for (int i = 0; i < 100; ++i)
        rig.commit_in(name('a', i), {{.topic = "t", .offset = 5, .metadata = {}}});
    rig.flush();
    rig.now += 8 * 24 * hour;
    rig.log.ops_max = 7;
    for (std::size_t left = 100; left > 0;) {
        rig.check();
        rig.flush();
        REQUIRE(rig.groups.size() < left);
        left = rig.groups.size();
        if (left > 0) CHECK(rig.groups.deadline() == rig.now + milliseconds(1'000));
    }
}

TEST_CASE("retention: a check looks at some groups at a time, and at each of them once") {
    UpkeepRig rig;
    constexpr int count = 2'000;
    for (int i = 0; i < count; ++i)
        rig.commit_in(name('a', i),
                      {{.topic = "t", .offset = 5, .metadata = {}, .retention = hour},
                       {.topic = "t", .partition = 1, .offset = 5, .metadata = {}}});
    rig.flush();
    rig.now += 2 * hour;
    int checks = 0;
    for (std::uint64_t gone = 0; gone < count; ++checks) {
        rig.check();
        rig.flush();
        const std::uint64_t now_gone = rig.groups.counters().offsets_expired;
        REQUIRE(now_gone > gone);
        CHECK(now_gone - gone <= 600);
        gone = now_gone;
        if (gone < count) CHECK(rig.groups.deadline() == rig.now + milliseconds(1));
    }
    CHECK(checks < 20);
    if (rig.groups.deadline() == rig.now + milliseconds(1)) rig.check();
    CHECK(rig.groups.deadline() > rig.now + milliseconds(100'000));
    CHECK(rig.groups.size() == count);
}

TEST_CASE("delete: whoever began to delete a group ends it, and nobody else") {
    UpkeepRig rig;
    const auto fill = [&rig](std::string_view group) {
        std::vector<groups::Commit> commits;
        for (int i = 0; i < 500; ++i)
            commits.push_back({.topic = "w", .partition = i, .offset = 5, .metadata = {}});
        rig.commit_in(group, commits);
        rig.flush();
    };
    fill("a");
    rig.log.ops_max = 2;
    auto deleted = rig.groups.delete_group(rig.now, "a");
    REQUIRE(deleted.again);
    rig.flush();
    // Another one asks for the same, and it is time to look for what has expired.
    const auto other = rig.groups.delete_group(rig.now, "a");
    CHECK(other.error == ErrorCode::group_id_not_found);
    CHECK(!other.again);
    rig.now += 8 * 24 * hour;
    for (int i = 0; i < 20; ++i) {
        rig.check();
        rig.flush();
    }
    for (int turns = 0; deleted.again && turns < 100; ++turns) {
        deleted = rig.groups.go_on_deleting(rig.now, "a");
        rig.flush();
    }
    CHECK(deleted.error == ErrorCode::none);
    CHECK(rig.groups.size() == 0);
    CHECK(rig.facts('b') == 0);
    // The check for age ends what it began, too, and a request does not.
    rig.log.ops_max = 1'000;
    fill("b");
    fill("c");
    rig.log.ops_max = 2;
    rig.now += 8 * 24 * hour;
    for (int i = 0; i < 100 && rig.groups.size() > 0; ++i) {
        rig.check();
        rig.flush();
        CHECK(!rig.groups.delete_group(rig.now, "d").again);
        CHECK(!rig.groups.go_on_deleting(rig.now, "d").again);
    }
    CHECK(rig.groups.size() == 0);
    CHECK(rig.facts('b') == 0);
}

TEST_CASE("delete: what the log gives up of it is erased once more, the group's own facts, too") {
    UpkeepRig rig;
    groups::JoinRequest request;
    request.group = "g";
    request.session_timeout = request.rebalance_timeout = milliseconds(10'000);
    request.protocol_type = "consumer";
    request.protocols = {{"range", std::string(40'000, 'm')}};
    rig.groups.join(rig.now, ++rig.last, std::move(request));
    rig.advance(3'000);
    const auto joined = rig.joined.at(rig.last);
    groups::SyncRequest shared;
    shared.who = {.group = "g",
                  .member = joined.member,
                  .instance = {},
                  .generation = joined.generation};
    shared.assignments = {{joined.member, "all"}};
    rig.groups.sync(rig.now, ++rig.last, shared);
    rig.flush();
    REQUIRE(rig.facts('g') > 5);
    rig.log.ops_max = 1;  // the save of the group that is empty now is not through
    ErrorCode error;
    REQUIRE(rig.groups.leave(rig.now, "g", {{joined.member, std::nullopt}}, error)[0] ==
            ErrorCode::none);
    REQUIRE(rig.groups.delete_group(rig.now, "g").again);
    rig.log.ops_max = 4;
    REQUIRE(rig.groups.go_on_deleting(rig.now, "g").again);
    rig.lose_open();
    rig.log.ops_max = 1'000;
    CHECK(rig.groups.go_on_deleting(rig.now, "g").error == ErrorCode::none);
    rig.flush();
    CHECK(rig.groups.size() == 0);
    CHECK(rig.facts('g') == 0);
    CHECK(UpkeepRig(rig.log.durable, rig.now, 9).groups.size() == 0);
}

TEST_CASE("delete: a group that was given back and is deleted again stays until all of it is gone") {
    UpkeepRig rig;
    for (int i = 0; i < 500; ++i)
        rig.commit_in("g", {{.topic = "w", .partition = i, .offset = 5, .metadata = {}}});
    rig.flush();
    REQUIRE(rig.groups.delete_group(rig.now, "g").error == ErrorCode::none);
    REQUIRE(rig.log.lose_open());
    while (const auto lost = rig.log.poll_rolled_back())
        rig.groups.rolled_back(rig.now, lost->first, lost->last);
    rig.log.ops_max = rig.log.open_ops.size() + 2;
    auto deleted = rig.groups.delete_group(rig.now, "g");
    REQUIRE(deleted.again);
    for (int turns = 0; deleted.again && turns < 100; ++turns) {
        rig.flush();
        deleted = rig.groups.go_on_deleting(rig.now, "g");
    }
    CHECK(deleted.error == ErrorCode::none);
    rig.flush();
    CHECK(rig.groups.size() == 0);
    CHECK(rig.facts('b') + rig.facts('g') == 0);
}

TEST_CASE("upkeep: a group without its last position is empty until the next check, as in Kafka") {
    UpkeepRig rig;
    rig.commit_in("g", {{.topic = "t", .partition = 0, .offset = 7, .metadata = {}}});
    rig.flush();
    const auto take_away = [&] {
        const auto done = rig.groups.delete_offsets(rig.now, "g", {{"t", 0}});
        rig.flush();
        return done.error != ErrorCode::none ? done.error : done.each.at(0);
    };
    CHECK(take_away() == ErrorCode::none);
    CHECK(rig.groups.fetch("g", "t", 0).offset == -1);
    CHECK(std::string_view(rig.groups.describe("g").state) == "Empty");
    CHECK(take_away() == ErrorCode::none);
    // Nothing of it is kept: at the next start it is not there.
    GroupsRig after({}, rig.now, rig.log.durable);
    CHECK(after.groups.size() == 0);
    rig.advance(600'001);
    rig.flush();
    CHECK(rig.groups.size() == 0);
    CHECK(take_away() == ErrorCode::group_id_not_found);
    // Or until somebody deletes it.
    rig.commit_in("g", {{.topic = "t", .partition = 0, .offset = 7, .metadata = {}}});
    rig.flush();
    CHECK(take_away() == ErrorCode::none);
    CHECK(rig.groups.delete_group(rig.now, "g").error == ErrorCode::none);
    rig.flush();
    CHECK(rig.groups.size() == 0);
}

}  // namespace leat::test
