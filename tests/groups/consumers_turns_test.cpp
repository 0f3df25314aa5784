// Large groups of the consumer protocol (KIP-848): assignments in turns, and who waits for them.
#include "tests/groups/consumers_rig.hpp"

namespace leat::test {
namespace {

// As if a group of ten were one of thousands.
groups::GroupsConfig small_turns() {
    groups::GroupsConfig config;
    config.assignment_steps_max = 20;
    config.consumer_session_timeout = milliseconds(3'600'000);
    return config;
}

struct Large : Consumers {
    explicit Large(groups::GroupsConfig config = small_turns()) : Consumers(config) {
        for (int i = 0; i < 10; ++i) {
            members.push_back({.id = "m" + std::to_string(i)});
            join(members.back());
        }
        for (int round = 0; round < 3; ++round)
            for (Member& one : members)
                if (const auto told = keep(one); told.assignment) own(one, of_t(told));
        REQUIRE(state() == "Stable");
        turns = 0;
    }
    int run_turns() {
        int count = 0;
        for (; count < 1'000 && groups.assigns(); ++count) groups.assign_some(now);
        flush();
        return count;
    }
    std::vector<Member> members;
};

}  // namespace

TEST_CASE("consumers: a large group assigns in turns, and who asked is answered out of that") {
    Large rig;
    const std::int32_t before = rig.group().epoch;
    Member late{"late"};
    const groups::Ticket ticket = rig.send(rig.full(late));
    rig.flush();
    CHECK(!rig.told(ticket));
    CHECK(rig.state() == "Assigning");
    CHECK(rig.group().epoch == before + 1);
    CHECK(rig.group().assignment_epoch == before);
    // Whoever asks meanwhile does so in order, and nobody is told an epoch that has no target.
    const groups::Ticket other = rig.send(rig.message(rig.members[0]));
    CHECK(!rig.told(other));
    CHECK(rig.run_turns() > 5);
    REQUIRE(rig.told(ticket));
    CHECK(rig.beaten.at(ticket).error == ErrorCode::none);
    CHECK(rig.beaten.at(ticket).epoch == before + 1);
    REQUIRE(rig.told(other));
    CHECK(rig.beaten.at(other).error == ErrorCode::none);
    CHECK(rig.group().assignment_epoch == before + 1);
    // Nothing is left: the next one is answered at once.
    CHECK(!rig.groups.assigns());
    rig.members[0].epoch = rig.beaten.at(other).epoch;
    CHECK(rig.told(rig.send(rig.message(rig.members[0]))));
}

TEST_CASE("consumers: changes of one moment share an assignment") {
    Large rig;
    const std::uint64_t begun = rig.group().assignments;
    const std::int32_t before = rig.group().epoch;
    std::vector<groups::Ticket> tickets;
    for (int i = 0; i < 50; ++i) {
        const Member one{"late" + std::to_string(i)};
        tickets.push_back(rig.send(rig.full(one)));
    }
    rig.run_turns();
    CHECK(rig.group().epoch == before + 50);
    CHECK(rig.group().assignments == begun + 2);  // of the first, and of all that came meanwhile
    for (std::size_t i = 0; i < tickets.size(); ++i) {
        REQUIRE(rig.told(tickets[i]));
        CHECK(rig.beaten.at(tickets[i]).epoch == before + (i == 0 ? 1 : 50));
    }
    std::size_t shared_out = 0;
    for (const auto& [id, member] : rig.group().members)
        for (const auto& [topic, partitions] : member->target) {
            CHECK(partitions.size() == 1);
            shared_out += partitions.size();
        }
    CHECK(shared_out == all_of_t.size());
}

TEST_CASE("consumers: who is gone before its turn comes is told so") {
    Large rig;
    Member a{"a"}, b{"b"};
    const groups::Ticket of_a = rig.send(rig.full(a)), of_b = rig.send(rig.full(b));
    ConsumerHeartbeat leaves = rig.message(a);
    leaves.epoch = -1;
    const groups::Ticket left = rig.send(leaves);
    rig.run_turns();
    CHECK(rig.beaten.at(left).error == ErrorCode::none);
    CHECK(rig.beaten.at(of_a).error == ErrorCode::unknown_member_id);
    CHECK(rig.beaten.at(of_b).error == ErrorCode::none);
    CHECK(rig.group().find("a") == nullptr);
    CHECK(rig.group().members.size() == 11);
    // All leave, and the group goes: nobody waits for ever.
    const groups::Ticket last = rig.send(rig.full(a));
    for (const auto& member : rig.members) {
        leaves = rig.message(member);
        leaves.epoch = -1;
        (void)rig.send(leaves);
    }
    for (const Member& one : {a, b}) {
        leaves = rig.message(one);
        leaves.epoch = -1;
        (void)rig.send(leaves);
    }
    CHECK(rig.state() == "Empty");
    rig.flush();
    CHECK(rig.groups.delete_group(rig.now, "g").error == ErrorCode::none);
    rig.flush();
    CHECK(rig.groups.find_group("g") == nullptr);
    rig.run_turns();
    CHECK(rig.beaten.at(last).error == ErrorCode::unknown_member_id);
    CHECK(rig.groups.size() == 0);
    CHECK(rig.groups.member_bytes() == 0);
}

TEST_CASE("consumers: what the log does not take refuses who waits for the assignment, too") {
    Large rig;
    const Member late{"late"};
    const groups::Ticket ticket = rig.send(rig.full(late));
    CHECK(!rig.told(ticket));
    REQUIRE(rig.log.lose_open());
    while (const auto lost = rig.log.poll_rolled_back())
        rig.groups.rolled_back(rig.now, lost->first, lost->last);
    rig.settle();
    REQUIRE(rig.told(ticket));
    CHECK(rig.beaten.at(ticket).error == ErrorCode::coordinator_not_available);
    CHECK(rig.group().members.size() == 10);
    rig.run_turns();
    CHECK(!rig.groups.assigns());
}

TEST_CASE("consumers: topics come, change and go while a large group assigns") {
    Large rig;
    Member late{.id = "late", .topics = {"t", "u", "v"}};
    REQUIRE(rig.topics.create(rig.now, "u", 3, rig.topics.new_config()));
    REQUIRE(rig.topics.create(rig.now, "v", 3, rig.topics.new_config()));
    for (int turns = 0; turns < 60; ++turns) {
        INFO("turns=", turns);
        const groups::Ticket ticket = rig.send(rig.full(late));
        for (int i = 0; i < turns && rig.groups.assigns(); ++i) rig.groups.assign_some(rig.now);
        // Its subscription is another one, and the first one's last reader is gone.
        Member other = late;
        other.topics = {"t", turns % 2 == 0 ? "u" : "v"};
        rig.tick(1'001);
        if (const topics::Topic* u = rig.topics.find("u"); turns % 3 == 0 && u != nullptr)
            REQUIRE(rig.topics.remove(rig.now, *u));
        else if (u == nullptr)
            REQUIRE(rig.topics.create(rig.now, "u", 5, rig.topics.new_config()));
        const groups::Ticket again = rig.send(rig.full(other));
        rig.run_turns();
        REQUIRE(rig.told(ticket));
        REQUIRE(rig.told(again));
        CHECK(rig.beaten.at(again).error == ErrorCode::none);
        CHECK(rig.group().assignment_epoch == rig.group().epoch);
        std::map<std::pair<topics::TopicId, std::int32_t>, int> owned;
        for (const auto& [id, member] : rig.group().members)
            for (const auto& [topic, partitions] : member->target)
                for (const auto& one : partitions) ++owned[{topic, one.partition}];
        const topics::Topic* read = rig.topics.find(other.topics[1]);
        CHECK(owned.size() == 8 + (read == nullptr ? 0 : read->partitions.size()));
        for (const auto& [place, count] : owned) CHECK(count == 1);
        ConsumerHeartbeat leaves = rig.message(other);
        leaves.epoch = -1;
        (void)rig.send(leaves);
        rig.flush();
    }
}

}  // namespace leat::test
