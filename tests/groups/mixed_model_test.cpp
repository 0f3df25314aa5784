// Random schedules of groups in which classic members and members of the consumer protocol live
// together (KIP-848, group.consumer.migration.policy=bidirectional), each from one seed. A client
// is what it was told: it owns what it was assigned and has not given up, as long as the broker
// cannot have counted it out. The rules are those of clients and of Kafka. LEAT_TRACE=1 tells all.
#include <cstdlib>

#include "tests/groups/mixed_clients.hpp"

namespace leat::test {
namespace {

struct MixedRun : MixedClients {
    using MixedClients::MixedClients;

    void go() {
        const std::uint64_t steps = 40 + random.below(60);
        for (std::uint64_t i = 0; i < steps; ++i) step();
        trace("quiet");
        quiet();
        leaves_nothing();
    }

    auto stored() const {
        return [this](std::int32_t partition) -> std::optional<std::int64_t> {
            return rig->groups.fetch("g", "t", partition).offset;
        };
    }
    void restart() {
        trace("restart");
        begin(rig->log.crash(random.below(rig->log.open_ops.size() + 1)), rig->now, random.next());
        for (Peer& peer : peers)
            if (std::exchange(peer.must_tell, true); peer.waits()) peer.lost_answer();
        commits.after_power_cut(seed_, stored());
        forget();
    }
    void lose_writes() {
        if (!rig->log.lose_open()) return;
        trace("lose");
        while (const auto lost = rig->log.poll_rolled_back())
            rig->groups.rolled_back(rig->now, lost->first, lost->last);
        everybody_hears();
        commits.after_rollback(seed_, stored());
        forget();
    }
    void forget() {
        std::erase_if(ghosts, [](const Ghost& one) { return !one.stays; });
    }
    void flush() {
        const bool all = rig->log.ops_max > 2 && !rig->log.is_full;
        for (int i = 0; i < 3; ++i) rig->flush();
        commits.flushed(rig->log.flushed_commit());
        for (Ghost& one : ghosts) {
            one.sure |= all;
            one.stays |= all && !is_classic();
        }
    }
    void pass(std::int64_t ms) { rig->tick(ms); }
    void everybody_hears() {
        rig->settle();
        for (Peer& peer : peers)
            if (peer.up && !peer.stalled) hear(peer);
        if (std::exchange(undone, false)) forget();
    }

    void step() {
        Peer& peer = peers[random.below(peers.size())];
        rig->log.ops_max = random.chance(15) ? 2 : 1'000'000;
        rig->log.is_full = random.chance(3);
        switch (random.below(20)) {
            case 0:
            case 1:
                if (!peer.up) start(peer);
                break;
            case 2:
                if (random.chance(40)) peer.up = false;  // the process dies
                break;
            case 3:
                if (random.chance(50)) leave(peer);
                break;
            case 4:
                if (random.chance(40)) restart();
                break;
            case 5:
                if (random.chance(40)) lose_writes();
                break;
            case 6:  // stands still, wakes up
                peer.stalled = !peer.stalled && random.chance(30);
                peer.answer_is_old |= peer.stalled;
                break;
            case 7:
            case 8:
            case 9:
                for (Peer& one : peers) commit(one, static_cast<std::int32_t>(random.below(3)) - 1);
                haunt();
                break;
            case 10:
            case 11:
            case 12:
                flush();
                break;
            case 13:
                pass(100 +
                     static_cast<std::int64_t>(random.below(random.chance(20) ? 12'000 : 1'500)));
                break;
            default:
                for (Peer& one : peers)
                    if (random.chance(60)) act(one);
        }
        everybody_hears();
        for (Peer& one : peers)
            if (random.chance(60)) take_over(one);
    }

    // The faults stop: soon every partition has one owner, and the group is of the kind that
    // Kafka's would be: classic only if nobody in it speaks the other protocol.
    void quiet() {
        rig->log.ops_max = 1'000'000;
        rig->log.is_full = false;
        rig->turns = -1;
        for (Peer& peer : peers) peer.stalled = false;
        peers[5].up = false;
        if (!peers[0].up || handed_over) start(peers[0]);
        const char* why = "";
        for (int round = 0; round < 80 && why != nullptr; ++round) {
            pass(1'000);
            for (Peer& peer : peers) act(peer);
            flush();
            everybody_hears();
            for (Peer& peer : peers) take_over(peer);
            why = unrest();
        }
        CHECK_MESSAGE(why == nullptr, "seed ", seed_, ": ", std::string(why == nullptr ? "" : why));
        ++(is_classic() ? classic : mixed);
        for (Peer& peer : peers)
            if (peer.up && !peer.owned.empty())
                CHECK_MESSAGE(write(peer, *peer.owned.begin(), 0), "seed ", seed_, ": no commit");
        haunt();
        flush();
        commits.check(seed_, stored());
    }
    const char* unrest() const {
        const groups::Group* group = rig->groups.find_group("g");
        if (group == nullptr) return "there is no group";
        std::size_t up = 0, sum = 0, least = SIZE_MAX, most = 0;
        bool any_consumer = false;
        Partitions all;
        for (const Peer& peer : peers) {
            if (!peer.up) continue;
            ++up;
            any_consumer |= peer.kind == Kind::consumer;
            if (peer.joins || peer.next || peer.waits()) return "one is on its way";
            if (peer.replaced) return "one does not know that it was replaced";
            if (peer.kind == Kind::consumer && peer.must_tell) return "one has to tell";
            sum += peer.owned.size();
            all.insert(peer.owned.begin(), peer.owned.end());
            least = std::min(least, peer.owned.size());
            most = std::max(most, peer.owned.size());
        }
        if (any_consumer == is_classic()) return "the group is of the other kind";
        if (all.size() != partitions || sum != partitions) return "not each has an owner";
        if (most > least + 1) return "some have more than others";
        const std::size_t members = any_consumer ? group->consumer->members.size()
                                                 : group->members.size();
        const std::string_view state =
            any_consumer ? group->consumer->state() : rig->groups.describe("g").state;
        return members != up ? "others are members" : state != "Stable" ? "not stable" : nullptr;
    }
    void leaves_nothing() {
        pass(330'000);  // longer than a new one that is parked is waited for
        flush();
        pass(330'000);
        flush();
        CHECK_MESSAGE(rig->groups.delete_group(rig->now, "g").error == ErrorCode::none, "seed ",
                      seed_);
        flush();
        for (const auto& [key, value] : rig->log.now_facts)
            CHECK_MESSAGE(key.first != log::FactKind::group, "seed ", seed_, ": leaves ",
                          key.second);
    }

    std::int64_t classic = 0, mixed = 0;
};

}  // namespace

TEST_CASE("mixed groups: 20,000 random schedules keep to the model and become stable") {
    const char* one = std::getenv("LEAT_SEED");
    const char* many = std::getenv("LEAT_SEEDS");
    const std::uint64_t first = one != nullptr ? std::strtoull(one, nullptr, 10) : 1;
    const std::uint64_t count = many != nullptr  ? std::strtoull(many, nullptr, 10)
                                : one != nullptr ? 1
                                                 : 20'000;
    std::int64_t commits = 0, classic = 0, mixed = 0;
    for (std::uint64_t seed = first; seed < first + count; ++seed) {
        INFO("LEAT_SEED=", seed);
        MixedRun run(seed);
        run.go();
        commits += run.commits_taken;
        classic += run.classic;
        mixed += run.mixed;
    }
    if (count < 100) return;
    CHECK(commits > static_cast<std::int64_t>(count));
    CHECK(classic > static_cast<std::int64_t>(count / 20));  // it ends as either often enough
    CHECK(mixed > static_cast<std::int64_t>(count / 4));
}

}  // namespace leat::test
