// Committed offsets as facts of the log: how many they are, what a power cut between two of them
// leaves, and logs from before there were blocks.
#include <ctime>

#include "broker/groups/offset_fact.hpp"
#include "tests/groups/offset_rig.hpp"

namespace leat::test {
namespace {

using groups::ErrorCode;

const std::string note(64, 'n'), essay(65, 'e'), novel(4096, 'x');

std::vector<groups::Commit> of_all(int partitions, std::int64_t offset) {
    std::vector<groups::Commit> all;
    for (int i = 0; i < partitions; ++i)
        all.push_back({.topic = "w", .partition = i, .offset = offset + i * 1'000, .metadata = {}});
    return all;
}

constexpr std::size_t frame_bytes = 24 + 16;  // what the log puts around key and value
std::size_t bytes_of_open(const CrashLog& log) {
    std::size_t bytes = 0;
    for (const auto& op : log.open_ops)
        bytes += frame_bytes + op.key.second.size() + (op.value ? op.value->size() : 0);
    return bytes;
}

double cpu_us() { return 1e6 * static_cast<double>(std::clock()) / CLOCKS_PER_SEC; }

}  // namespace

TEST_CASE("commit: 1,000 positions are 32 facts, a fifth of the bytes that 1,000 facts were") {
    OffsetRig rig;
    REQUIRE(rig.commit(of_all(1'000, 5)).error == ErrorCode::none);
    CHECK(rig.log.open_ops.size() == 32);
    Facts first;
    for (int i = 0; i < 1'000; ++i)
        put_first_layout(first, "g", *rig.topics.find("w"), i, {5, {}}, 0);
    std::size_t before = 0;
    for (const auto& [key, value] : first) before += frame_bytes + key.second.size() + value.size();
    const std::size_t many = bytes_of_open(rig.log);
    CHECK(many * 5 <= before);
    rig.flush();
    CHECK(rig.commit(500, {7, {}}).error == ErrorCode::none);
    CHECK(rig.log.open_ops.size() == 1);
    const std::size_t one = bytes_of_open(rig.log);
    CHECK(one <= 600);
    rig.flush();
    OffsetRig again = rig.after(0);
    for (int i = 0; i < 1'000; ++i) CHECK(again.at(i).offset == (i == 500 ? 7 : 5 + i * 1'000));

    constexpr int rounds = 50;
    const double begun = cpu_us();
    for (int i = 0; i < rounds; ++i) {
        (void)rig.commit(of_all(1'000, 100 + i));
        rig.flush();
    }
    const double mass = (cpu_us() - begun) / rounds, singles = cpu_us();
    for (int i = 0; i < rounds * 20; ++i) {
        (void)rig.commit(500, {10'000'000 + i, {}});
        rig.flush();
    }
    MESSAGE("1,000 positions: " << many << " bytes of facts (were " << before << "), " << mass
                                << " us of CPU; one of a full block: " << one << " bytes, "
                                << (cpu_us() - singles) / (rounds * 20) << " us");
}

TEST_CASE("commit: a block with all the metadata it takes is one page") {
    OffsetRig rig;
    std::vector<groups::Commit> all = of_all(32, std::int64_t{1} << 40);
    for (auto& one : all) one.metadata = note;
    REQUIRE(rig.commit(all).error == ErrorCode::none);
    CHECK(rig.log.open_ops.size() == 1);
    CHECK(bytes_of_open(rig.log) + 80 <= 4096);  // and the head of a commit
    rig.flush();
    CHECK(rig.after(0).at(31).metadata == note);
}

TEST_CASE("commit: numbers and texts at their bounds come back as they were") {
    const std::int64_t wide = std::int64_t{1} << 48;
    struct Case {
        std::int64_t offset;
        std::int32_t epoch;
        std::string metadata;
        bool alone;
    };
    const Case cases[] = {
        {0, -1, "", false},          {wide - 1, 65'534, note, false},
        {wide, 0, "", true},         {INT64_MAX, -1, "", true},
        {-2, -1, "", true},          {INT64_MIN, 3, note, true},
        {5, 65'535, "", true},       {5, -2, "", true},
        {5, INT32_MAX, novel, true}, {5, 0, essay, true},
    };
    for (const Case& one : cases) {
        OffsetRig rig;
        REQUIRE(rig.commit({{.topic = "w",
                             .partition = 999,
                             .offset = one.offset,
                             .leader_epoch = one.epoch,
                             .metadata = one.metadata}})
                    .each[0] == ErrorCode::none);
        CHECK(rig.facts('p') == one.alone);
        CHECK(rig.facts('b') == !one.alone);
        rig.flush();
        const OffsetRig again = rig.after(0);
        const auto found = again.groups.fetch("g", "w", 999);
        CHECK(found.offset == one.offset);
        CHECK(found.leader_epoch == one.epoch);
        CHECK(found.metadata == one.metadata);
    }
}

TEST_CASE("commit: whatever a position becomes, a power cut leaves the old one or the new one") {
    const Position none, fits{11, {}}, noted{12, note}, alone{13, essay}, other{14, novel};
    const Position all[] = {none, fits, noted, alone, other};
    for (const Position& a : all)
        for (const Position& b : all)
            for (const Position& c : all) {
                OffsetRig rig({}, instant_ms(1'000), 1, 64);
                (void)rig.commit(4, {40, "stays"});
                (void)rig.commit(3, a);
                rig.flush();
                (void)rig.commit(3, b);
                const std::size_t in_b = rig.log.open_ops.size();
                (void)rig.commit(3, c);
                for (std::size_t cut = 0; cut <= rig.log.open_ops.size(); ++cut) {
                    OffsetRig again = rig.after(cut);
                    const Position found = again.at(3);
                    const bool good =
                        found == b || found == (cut < in_b ? a : c) || (in_b == 0 && found == a);
                    CHECK_MESSAGE(good, a, " to ", b, " to ", c, " cut at ", cut, ": ", found);
                    if (cut == rig.log.open_ops.size()) CHECK(found == c);
                    CHECK(again.at(4) == Position{40, "stays"});
                    // What is written next to it does not change it, nor does taking it away
                    // bring an older one back.
                    (void)again.commit(4, {41, {}});
                    again.flush();
                    OffsetRig third = again.after(0);
                    CHECK(third.at(3) == found);
                    CHECK(third.at(4).offset == 41);
                    (void)third.commit(3, none);
                    third.flush();
                    CHECK(third.after(0).at(3) == none);
                    CHECK(third.facts('p') == 0);
                    CHECK(third.facts('b') == 1);
                }
            }
}

TEST_CASE("commit: positions of a log from before there were blocks are kept, and come into them") {
    OffsetRig old;
    const topics::Topic& topic = *old.topics.find("w");
    Facts facts = old.log.durable;
    std::map<int, Position> want;
    for (int i = 0; i < 40; ++i) {
        want[i] = {100 + i, i % 10 == 7 ? essay : "m"};
        put_first_layout(facts, "g", topic, i, want[i], 900, i == 20 ? 7'200'000 : -1);
    }
    const auto holds = [&](const OffsetRig& rig) {
        for (const auto& [i, position] : want) CHECK(rig.at(i) == position);
    };
    OffsetRig rig(facts, old.now, 5);
    holds(rig);
    CHECK(rig.groups.fetch("g", "w", 1).leader_epoch == 3);
    CHECK(
        rig.commit(
               {{.topic = "w", .partition = 0, .offset = 100, .leader_epoch = 3, .metadata = "m"}})
            .commit == 0);
    CHECK(rig.log.open_ops.empty());  // unchanged, wherever it lies

    REQUIRE(rig.commit(1, {555, {}}).each[0] == ErrorCode::none);
    for (std::size_t cut = 0; cut <= rig.log.open_ops.size(); ++cut) {
        OffsetRig again = rig.after(cut);
        const Position found = again.at(1);
        CHECK((found == Position{555, {}} || found == want[1]));
        want[1] = found;
        holds(again);
        (void)again.commit(39, {139, {}});  // the other block
        (void)again.commit(2, {-1, {}});
        const Position two = std::exchange(want[2], {}), last = std::exchange(want[39], {139, {}});
        for (std::size_t later = 0; later <= again.log.open_ops.size(); ++later) {
            const OffsetRig third = again.after(later);
            CHECK((third.at(2) == Position{} || third.at(2) == two));
            CHECK((third.at(39) == want[39] || third.at(39) == last));
        }
        again.flush();
        holds(again.after(0));
        want[2] = two;
        want[39] = last;
        want[1] = {101, "m"};
    }
    rig.flush();
    want[1] = {555, {}};
    holds(rig);
    // All of the block's old facts are gone, those of the other block are as they were.
    CHECK(rig.facts('o') == 8);
    CHECK(rig.facts('b') == 1);
    CHECK(rig.facts('p') == 4);  // 7, 17, 27 for their metadata, 20 because it expires
    // The first one of the other block, too: nothing is left when they are taken away.
    for (int i = 0; i < 40; ++i) (void)rig.commit(i, {-1, {}});
    rig.flush();
    CHECK(rig.groups.size() == 0);
    CHECK(rig.facts('o') + rig.facts('b') + rig.facts('p') == 0);
}

TEST_CASE("commit: a log full of facts lets positions move on, and takes no new ones") {
    OffsetRig rig;
    (void)rig.commit({{.topic = "w", .partition = 0, .offset = 1, .metadata = "abc"},
                      {.topic = "w", .partition = 1, .offset = 1, .metadata = "abc"},
                      {.topic = "w", .partition = 2, .offset = 1, .metadata = essay}});
    rig.flush();
    rig.log.is_tight = true;
    const auto written =
        rig.commit({{.topic = "w", .partition = 0, .offset = 1'000'000'000, .metadata = "xyz"},
                    {.topic = "w", .partition = 3, .offset = 9, .metadata = {}},
                    {.topic = "w", .partition = 1, .offset = 9, .metadata = "longer"},
                    {.topic = "w", .partition = 2, .offset = 77, .metadata = essay},
                    {.topic = "w", .partition = 40, .offset = 9, .metadata = {}}});
    const auto no = ErrorCode::coordinator_not_available;
    CHECK(written.error == ErrorCode::none);
    CHECK(written.each == std::vector<ErrorCode>{ErrorCode::none, no, no, ErrorCode::none, no});
    rig.flush();
    const auto holds = [](const OffsetRig& one) {
        CHECK(one.at(0) == Position{1'000'000'000, "xyz"});
        CHECK(one.at(1) == Position{1, "abc"});
        CHECK(one.at(2) == Position{77, essay});
        CHECK(one.at(3) == Position{});
    };
    holds(rig);
    holds(rig.after(0));
    CHECK(rig.commit(1, {-1, {}}).each[0] == ErrorCode::none);
    rig.flush();
    CHECK(rig.at(1) == Position{});
}

TEST_CASE("commit: a full log from before there were blocks goes on as it is") {
    OffsetRig old;
    Facts facts = old.log.durable;
    const topics::Topic& topic = *old.topics.find("w");
    for (int i = 0; i < 3; ++i)
        put_first_layout(facts, "g", topic, i, {i, i == 2 ? essay : ""}, 900);
    OffsetRig rig(facts, old.now, 5);
    rig.log.is_tight = true;
    for (const std::int64_t offset : {50, 60}) {
        const auto written =
            rig.commit({{.topic = "w", .partition = 0, .offset = offset, .metadata = {}},
                        {.topic = "w", .partition = 1, .offset = offset, .metadata = {}},
                        {.topic = "w", .partition = 2, .offset = offset, .metadata = essay}});
        CHECK(written.each == std::vector<ErrorCode>(3, ErrorCode::none));
        rig.flush();
        const OffsetRig again = rig.after(0);
        for (int i = 0; i < 3; ++i) CHECK(again.at(i).offset == offset);
    }
    CHECK(rig.facts('o') == 3);
    rig.log.is_tight = false;
    CHECK(rig.commit(0, {70, {}}).each[0] == ErrorCode::none);
    rig.flush();
    CHECK(rig.facts('o') == 0);
    const OffsetRig again = rig.after(0);
    CHECK(again.at(0).offset == 70);
    CHECK(again.at(1).offset == 60);
    CHECK(again.at(2) == Position{60, essay});
}

TEST_CASE("commit: positions of a topic that was deleted do not come back with its name") {
    OffsetRig rig;
    Facts facts = rig.log.durable;
    put_first_layout(facts, "g", *rig.topics.find("w"), 2, {2, {}}, 900);
    OffsetRig second(facts, rig.now, 5);
    (void)second.commit(5, {5, essay});
    (void)second.commit(33, {33, {}});
    second.flush();
    REQUIRE(second.topics.remove(second.now, *second.topics.find("w")));
    second.flush();
    REQUIRE(second.topics.create(second.now, "w", 100, second.topics.new_config()));
    second.flush();
    CHECK(second.at(5) == Position{});
    for (const int next : {2, 5, 33, 34}) {
        OffsetRig third = second.after(0);
        for (const int i : {2, 5, 33}) CHECK(third.at(i) == Position{});
        (void)third.commit(next, {1, {}});
        for (std::size_t cut = 0; cut <= third.log.open_ops.size(); ++cut) {
            OffsetRig again = third.after(cut);
            for (const int i : {2, 5, 33, 34})
                CHECK((again.at(i) == Position{} || (i == next && again.at(i).offset == 1)));
            (void)again.commit(6, {6, {}});
            again.flush();
            for (const int i : {2, 5, 33, 34})
                if (i != next) CHECK(again.after(0).at(i) == Position{});
        }
    }
    // While it is up: with the first commit to the new topic what is left of the old one goes.
    (void)second.commit(34, {1, {}});
    second.flush();
    CHECK(second.facts('o') + second.facts('p') == 0);
    CHECK(second.facts('b') == 1);
}

TEST_CASE("commit: what the log gives up is taken back, and what was there still counts") {
    OffsetRig old;
    Facts facts = old.log.durable;
    for (int i = 0; i < 3; ++i)
        put_first_layout(facts, "g", *old.topics.find("w"), i, {i, {}}, 900);
    OffsetRig rig(facts, old.now, 5);
    (void)rig.commit(0, {50, {}});
    (void)rig.commit(1, {51, essay});
    (void)rig.commit(2, {-1, {}});
    rig.lose_open();
    for (int i = 0; i < 3; ++i) CHECK(rig.at(i).offset == i);
    CHECK(rig.facts('o') == 3);
    (void)rig.commit(1, {61, {}});
    rig.flush();
    CHECK(rig.at(0).offset == 0);
    CHECK(rig.at(1).offset == 61);
    CHECK(rig.after(0).at(2).offset == 2);
    CHECK(rig.facts('o') == 0);
}

TEST_CASE("commit: 1,000 positions in a log that takes two facts at a time are all kept") {
    OffsetRig rig;
    rig.log.ops_max = 2;
    int turns = 0;
    auto written = rig.commit(of_all(1'000, 5));
    for (; written.again; ++turns) {
        rig.flush();
        written = rig.commit(of_all(1'000, 5));
    }
    CHECK(turns == 15);
    rig.flush();
    const OffsetRig again = rig.after(0);
    for (int i = 0; i < 1'000; ++i) CHECK(again.at(i).offset == 5 + i * 1'000);
}

TEST_CASE("delete: a group that is being deleted takes nobody in, however long the log takes") {
    OffsetRig rig;
    (void)rig.commit(of_all(200, 5));
    rig.flush();
    rig.log.ops_max = 2;
    auto deleted = rig.groups.delete_group(rig.now, "g");
    REQUIRE(deleted.again);
    int turns = 0;
    for (; deleted.again; ++turns) {
        groups::JoinRequest request;
        request.group = "g";
        request.session_timeout = request.rebalance_timeout = milliseconds(10'000);
        request.protocol_type = "consumer";
        request.protocols = {{"range", "m"}};
        rig.groups.join(rig.now, ++rig.last, std::move(request));
        rig.settle();
        REQUIRE(rig.joined.contains(rig.last));
        CHECK(rig.joined.at(rig.last).error == groups::ErrorCode::coordinator_not_available);
        CHECK(rig.commit(0, {5, {}}).error != groups::ErrorCode::none);
        rig.flush();
        deleted = rig.groups.go_on_deleting(rig.now, "g");
        CHECK(deleted.error != groups::ErrorCode::non_empty_group);
    }
    CHECK(turns > 2);
    CHECK(deleted.error == groups::ErrorCode::none);
    rig.flush();
    CHECK(rig.groups.size() == 0);
    CHECK(rig.facts('b') == 0);
}

TEST_CASE("offset facts: what is broken is refused") {
    OffsetRig rig;
    (void)rig.commit(3, {7, "note"});
    (void)rig.commit(4, {7, essay});
    std::size_t checked = 0;
    for (const auto& [key, value] : rig.log.now_facts) {
        if (key.first != log::FactKind::group) continue;
        REQUIRE(groups::decode_offset_fact(bytes_of(key.second), bytes_of(value)));
        for (std::size_t cut = 0; cut < value.size(); ++cut)
            CHECK(!groups::decode_offset_fact(bytes_of(key.second), bytes_of(value).first(cut)));
        for (std::size_t cut = 0; cut < key.second.size(); ++cut)
            CHECK(!groups::decode_offset_fact(bytes_of(key.second).first(cut), bytes_of(value)));
        std::string later = value;
        later[0] = 2;
        CHECK(!groups::decode_offset_fact(bytes_of(key.second), bytes_of(later)));
        ++checked;
    }
    CHECK(checked == 2);
}

}  // namespace leat::test
