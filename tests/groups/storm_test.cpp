// Bad input and storms: what a group answers then, what it costs, and that it comes to rest.
#include "tests/groups/rig.hpp"

namespace leat::test {
namespace {

using groups::ErrorCode;

groups::JoinRequest request(std::string group, std::string member = {}) {
    groups::JoinRequest one;
    one.group = std::move(group);
    one.member = std::move(member);
    one.client_id = "c";
    one.session_timeout = milliseconds(10'000);
    one.rebalance_timeout = milliseconds(20'000);
    one.protocol_type = "consumer";
    one.protocols = {{"range", "m"}};
    return one;
}

struct Storm : GroupsRig {
    explicit Storm(groups::GroupsConfig config = {.initial_rebalance_delay = milliseconds(0)})
        : GroupsRig(config) {}
    groups::Ticket join(groups::JoinRequest one) {
        groups.join(now, ++last, std::move(one));
        settle();
        return last;
    }
    groups::JoinAnswer told(groups::Ticket ticket) {
        const auto at = joined.find(ticket);
        return at == joined.end() ? groups::JoinAnswer{} : at->second;
    }
    groups::Ticket sync(const std::string& group, const groups::JoinAnswer& as,
                        std::string_view part = "all") {
        groups::SyncRequest one;
        one.who = {
            .group = group, .member = as.member, .instance = {}, .generation = as.generation};
        if (as.leader == as.member)
            for (const auto& member : as.members) one.assignments.emplace_back(member.id, part);
        groups.sync(now, ++last, one);
        flush();
        return last;
    }
    ErrorCode beat(const std::string& group, const groups::JoinAnswer& as) {
        return groups.heartbeat(
            now,
            {.group = group, .member = as.member, .instance = {}, .generation = as.generation});
    }
    groups::Groups::Written commit(std::string_view group, std::int64_t offset,
                                   std::string_view metadata = {}) {
        return groups.commit(
            now, {.group = group, .member = {}, .instance = {}, .generation = -1},
            {{.topic = "t", .partition = 0, .offset = offset, .metadata = metadata}});
    }
    std::string state(std::string_view group) { return groups.describe(group).state; }
};

}  // namespace

TEST_CASE("storm: ids that nobody comes back for are bounded; who comes back at once gets in") {
    Storm storm({.initial_rebalance_delay = milliseconds(0), .pending_max = 100});
    auto lost = request("g");
    lost.requires_known_member = true;
    lost.session_timeout = milliseconds(1'800'000);
    std::string first;
    for (int i = 0; i < 10'000; ++i) {
        const auto answer = storm.told(storm.join(lost));
        REQUIRE(answer.error == ErrorCode::member_id_required);
        if (i == 0) first = answer.member;
    }
    CHECK(storm.groups.counters().pending_evicted == 9'900);
    // The first one comes too late, is told to begin anew, and then gets in among the flood.
    CHECK(storm.told(storm.join(request("g", first))).error == ErrorCode::unknown_member_id);
    const auto id = storm.told(storm.join(lost)).member;
    const auto ticket = storm.join(request("g", id));
    // Those that were told an id are waited for, but not longer than a rebalance may take.
    storm.advance(20'001);
    const auto in = storm.told(ticket);
    CHECK(in.error == ErrorCode::none);
    CHECK(in.members.size() == 1);
    // One of each name: nothing is left of groups that are only asked with.
    for (int i = 0; i < 1'000; ++i) {
        auto other = lost;
        other.group = "g" + std::to_string(i);
        storm.join(other);
    }
    CHECK(storm.groups.size() <= 101);
    storm.advance(1'800'001);
    CHECK(storm.groups.size() == 0);  // the silent member too, and what was kept of its group
}

TEST_CASE("storm: members' bytes are bounded, and come back to nothing when they are gone") {
    Storm storm({.initial_rebalance_delay = milliseconds(0), .member_bytes_max = 1024 * 1024});
    int in = 0, out = 0;
    for (int i = 0; i < 200; ++i) {
        auto big = request("g" + std::to_string(i));
        big.protocols[0].metadata.assign(50'000, 'x');
        const auto answer = storm.told(storm.join(big));
        (answer.error == ErrorCode::none ? in : out) += 1;
        if (answer.error != ErrorCode::none)
            CHECK(answer.error == ErrorCode::coordinator_not_available);
    }
    CHECK(in > 15);
    CHECK(in + out == 200);
    CHECK(storm.groups.member_bytes() <= 1024 * 1024);
    CHECK(storm.groups.size() == static_cast<std::size_t>(in));
    // An assignment that does not fit is not handed out either.
    Storm other({.initial_rebalance_delay = milliseconds(0), .member_bytes_max = 64 * 1024});
    const auto leader = other.told(other.join(request("g")));
    const std::string part(70'000, 'y');
    const auto synced = other.sync("g", leader, part);
    CHECK(other.synced.at(synced).error == ErrorCode::coordinator_not_available);
    CHECK(other.groups.member_bytes() < 2'000);
    storm.advance(320'000);
    CHECK(storm.groups.members() == 0);
    CHECK(storm.groups.member_bytes() == 0);
}

TEST_CASE("storm: so many groups and no more, and those that are there go on") {
    Storm storm({.initial_rebalance_delay = milliseconds(0), .groups_max = 1'000});
    int refused = 0;
    for (int i = 0; i < 10'000; ++i)
        refused +=
            storm.commit("g" + std::to_string(i), 7).error == ErrorCode::coordinator_not_available;
    storm.flush();
    CHECK(refused == 9'000);
    CHECK(storm.groups.size() == 1'000);
    CHECK(storm.commit("g0", 8).error == ErrorCode::none);
    storm.flush();
    CHECK(storm.groups.fetch("g0", "t", 0).offset == 8);
    CHECK(storm.told(storm.join(request("another"))).error == ErrorCode::coordinator_not_available);
    CHECK(storm.told(storm.join(request("g1"))).error == ErrorCode::none);
}

TEST_CASE("storm: a megabyte of metadata with an offset is refused and leaves nothing") {
    Storm storm;
    const std::string huge(1024 * 1024, 'x');
    const auto written = storm.commit("g", 7, huge);
    REQUIRE(written.each.size() == 1);
    CHECK(written.each[0] == ErrorCode::offset_metadata_too_large);
    storm.flush();
    CHECK(storm.groups.size() == 0);
    CHECK(storm.commit("g", 7, std::string(4'096, 'x')).each[0] == ErrorCode::none);
    CHECK(storm.commit("g", 8, std::string(4'097, 'x')).each[0] ==
          ErrorCode::offset_metadata_too_large);
    storm.flush();
    CHECK(storm.groups.fetch("g", "t", 0).offset == 7);
}

TEST_CASE("commit: an offset below zero takes the position away and leaves no fact behind") {
    Storm storm;
    const std::size_t before = storm.log.durable.size();
    for (int i = 0; i < 100; ++i)
        CHECK(storm.commit("g" + std::to_string(i), -1).each[0] == ErrorCode::none);
    storm.flush();
    CHECK(storm.groups.size() == 0);
    CHECK(storm.log.durable.size() == before);
    (void)storm.commit("g", 7);
    storm.flush();
    (void)storm.commit("g", -1);
    storm.flush();
    CHECK(storm.groups.fetch("g", "t", 0).offset == -1);
    CHECK(storm.log.durable.size() == before);
}

TEST_CASE("storm: protocols nobody knows are carried as they are; none in common is refused") {
    Storm storm;
    auto odd = request("g");
    odd.protocol_type = "weather";
    odd.protocols = {{"sun", std::string("\0\xff\x01", 3)}, {"rain", ""}};
    const auto leader = storm.told(storm.join(odd));
    CHECK(leader.error == ErrorCode::none);
    CHECK(leader.members.at(0).metadata == std::string("\0\xff\x01", 3));
    storm.sync("g", leader);
    CHECK(storm.state("g") == "Stable");
    auto other = odd;
    other.protocols = {{"snow", ""}};
    CHECK(storm.told(storm.join(other)).error == ErrorCode::inconsistent_group_protocol);
    other.protocols = {};
    CHECK(storm.told(storm.join(other)).error == ErrorCode::inconsistent_group_protocol);
    other.protocols.assign(65, {"sun", ""});
    CHECK(storm.told(storm.join(other)).error == ErrorCode::inconsistent_group_protocol);
    CHECK(storm.told(storm.join(request("g"))).error == ErrorCode::inconsistent_group_protocol);
    CHECK(storm.state("g") == "Stable");
}

TEST_CASE(
    "storm: members whose connections are half open hold a group no longer than their session") {
    Storm storm;
    const auto alive = storm.told(storm.join(request("g")));
    storm.sync("g", alive);
    // Ten that join and are never heard of again.
    for (int i = 0; i < 10; ++i) storm.join(request("g"));
    CHECK(storm.beat("g", alive) == ErrorCode::rebalance_in_progress);
    const auto ticket = storm.join(request("g", alive.member));
    auto next = storm.told(ticket);
    CHECK(next.members.size() == 11);
    storm.sync("g", next);
    for (int s = 0; s < 60; ++s) {
        storm.advance(1'000);
        if (storm.beat("g", next) != ErrorCode::rebalance_in_progress) continue;
        const auto again = storm.join(request("g", alive.member));
        storm.advance(100);
        if (storm.joined.contains(again) && storm.told(again).error == ErrorCode::none) {
            next = storm.told(again);
            storm.sync("g", next);
        }
    }
    CHECK(storm.groups.members() == 1);
    CHECK(storm.state("g") == "Stable");
    CHECK(storm.beat("g", next) == ErrorCode::none);
}

TEST_CASE(
    "storm: fifty members that join and leave every second; ten seconds later all is stable") {
    Storm storm;
    struct Client {
        groups::JoinAnswer as;
        groups::Ticket ticket = 0, sync = 0;
    };
    std::vector<Client> stay(5);
    std::map<int, Client> guests;
    // What a client does when it is heard from: joins when it is told to, syncs when it has joined.
    const auto drive = [&](Client& one) {
        if (one.ticket != 0) {
            if (!storm.joined.contains(one.ticket)) return;
            const auto answer = storm.told(std::exchange(one.ticket, 0));
            if (answer.error == ErrorCode::none) {
                one.as = answer;
                storm.sync("g", one.as);
                return;
            }
            one.as = {};
        }
        if (one.as.member.empty() || storm.beat("g", one.as) != ErrorCode::none) {
            if (one.as.member.empty() || storm.beat("g", one.as) == ErrorCode::unknown_member_id)
                one.as = {};
            one.ticket = storm.join(request("g", one.as.member));
        }
    };
    for (int ms = 0; ms < 60'000; ms += 100) {
        for (int i = 0; i < 5; ++i) {  // fifty come and fifty go in each second
            const int n = ms / 100 * 5 + i;
            guests[n].ticket = storm.join(request("g"));
            if (const auto gone = guests.find(n - 50); gone != guests.end()) {
                ErrorCode error{};
                (void)storm.groups.leave(storm.now, "g", {{gone->second.as.member, std::nullopt}},
                                         error);
                guests.erase(gone);
            }
        }
        for (Client& one : stay) drive(one);
        for (auto& [n, one] : guests) drive(one);
        storm.advance(100);
        CHECK(storm.groups.members() < 3'000);
    }
    for (auto& [n, one] : guests) {
        ErrorCode error{};
        (void)storm.groups.leave(storm.now, "g", {{one.as.member, std::nullopt}}, error);
    }
    int stable_after = 0;
    for (int ms = 0; ms < 60'000; ms += 100) {
        for (Client& one : stay) drive(one);
        storm.advance(100);
        if (storm.state("g") != "Stable" || storm.groups.members() != 5) stable_after = ms + 100;
    }
    MESSAGE("stable after " << stable_after << " ms, " << storm.groups.counters().rebalances
                            << " rebalances");
    CHECK(storm.state("g") == "Stable");
    CHECK(storm.groups.members() == 5);
    // Guests that were never told their id cannot leave: they are out when the rebalance is over.
    CHECK(stable_after <= 30'000);
    CHECK(storm.groups.member_bytes() < 10'000);
}

}  // namespace leat::test
