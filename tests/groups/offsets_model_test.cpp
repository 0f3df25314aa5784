// Random schedules of commits, deletions, power cuts, failures of the device and restarts, each
// from one seed, against a model of what a position may be: what was acknowledged, or one of what
// was on its way.
#include <algorithm>
#include <cstdlib>
#include <memory>
#include <set>

#include "tests/groups/offset_rig.hpp"
#include "tests/support/sim_storage.hpp"

namespace leat::test {
namespace {

using groups::ErrorCode;

struct OffsetRun {
    using Name = std::pair<std::string, int>;
    struct Known {
        Position durable;
        std::vector<Position> on_the_way;  ///< in this order
        std::vector<Position> perhaps;     ///< of a request that has to be made again
    };

    explicit OffsetRun(std::uint64_t seed) : random(seed), seed_(seed) {
        for (const int partition : {0, 1, 2, 30, 31, 32, 33, 63, 64, 69}) known[{"w", partition}];
        for (const int partition : {0, 7}) known[{"t", partition}];
        begin({}, instant_ms(1'000));
        if (!random.chance(50)) return;
        Facts facts = rig->log.durable;  // half of them are from before there were blocks
        for (auto& [name, one] : known) {
            if (random.chance(30)) continue;
            one.durable = position();
            if (one.durable.offset < 0) continue;
            put_first_layout(facts, "g", *rig->topics.find(name.first), name.second, one.durable,
                             900);
        }
        begin(std::move(facts), rig->now);
    }

    void go() {
        const std::uint64_t steps = 10 + random.below(30);
        for (std::uint64_t i = 0; i < steps; ++i) step();
        rig->log.ops_max = 1'000'000;
        rig->log.is_tight = false;
        flush();
        CHECK(rig->groups.delete_group(rig->now, "g").error != ErrorCode::non_empty_group);
        rig->flush();
        CHECK(rig->groups.size() == 0);
        for (const char layout : {'b', 'o', 'p'})
            CHECK_MESSAGE(rig->facts(layout) == 0, "seed ", seed_, " leaves facts ", layout);
    }

private:
    void begin(Facts facts, Instant now) {
        rig = std::make_unique<OffsetRig>(std::move(facts), now, random.next(), 70);
    }
    Position position() {
        const std::uint64_t kind = random.below(10);
        if (kind == 0) return {};
        const std::size_t size = kind == 1 ? 65 : kind == 2 ? 300 : kind == 3 ? 64 : kind % 2;
        return {random.chance(5) ? (std::int64_t{1} << 50) + ++offsets : ++offsets,
                std::string(size, static_cast<char>('a' + kind))};
    }
    Position now_at(const Name& name) const { return rig->at(name.second, name.first); }
    const Position& newest(const Name& name) {
        const Known& one = known[name];
        return one.on_the_way.empty() ? one.durable : one.on_the_way.back();
    }

    void step() {
        rig->now += milliseconds(1 + static_cast<std::int64_t>(random.below(50)));
        rig->log.ops_max = random.chance(20) ? 1 + random.below(3) : 1'000'000;
        rig->log.is_tight = random.chance(8);
        switch (random.below(20)) {
            case 0:
            case 1:
            case 2:
                return flush();
            case 3:
            case 4:
                return power_cut();
            case 5:
                return lose();
            case 6:
                return take_away();
            case 7:
                return random.chance(30) ? make_anew() : void();
            case 8:
                return random.chance(20) ? expire() : void();
            default:
                return commit();
        }
    }

    void commit() {
        std::vector<std::pair<Name, Position>> wanted;
        for (std::uint64_t left = 1 + random.below(8); left > 0; --left) {
            auto at = known.begin();
            std::advance(at, static_cast<std::ptrdiff_t>(random.below(known.size())));
            wanted.emplace_back(at->first, random.chance(20) ? newest(at->first) : position());
        }
        std::vector<groups::Commit> commits;
        for (const auto& [name, one] : wanted)
            commits.push_back({.topic = name.first,
                               .partition = name.second,
                               .offset = one.offset,
                               .metadata = one.metadata,
                               .retention = milliseconds(random.chance(5) ? 3'600'000 : -1)});
        for (;;) {
            const auto written = rig->commit(commits);
            REQUIRE(written.error == ErrorCode::none);
            if (!written.again) {
                for (std::size_t i = 0; i < wanted.size(); ++i)
                    if (written.each[i] == ErrorCode::none)
                        known[wanted[i].first].on_the_way.push_back(wanted[i].second);
                if (written.commit <= rig->log.flushed_commit()) acknowledge();
                break;
            }
            for (const auto& [name, one] : wanted) known[name].perhaps.push_back(one);
            if (random.chance(15)) return power_cut();
            if (random.chance(5)) return lose();
            flush();
        }
        for (auto& [name, one] : known) one.perhaps.clear();
    }

    // Nothing had to be written.
    void acknowledge() {
        for (auto& [name, one] : known)
            if (std::all_of(one.on_the_way.begin(), one.on_the_way.end(),
                            [&known = one](const Position& p) { return p == known.durable; }))
                one.on_the_way.clear();
    }

    void take_away() {
        std::vector<groups::Groups::PartitionName> names;
        std::vector<Name> gone;
        for (const auto& [name, one] : known)
            if (random.chance(30)) {
                names.push_back({name.first, name.second});
                gone.push_back(name);
            }
        for (;;) {
            const auto written = rig->groups.delete_offsets(rig->now, "g", names);
            if (written.error != ErrorCode::none) return;  // there is no such group
            for (std::size_t i = 0; i < gone.size(); ++i) {
                if (written.again) known[gone[i]].perhaps.push_back({});
                if (!written.again && written.each[i] == ErrorCode::none)
                    known[gone[i]].on_the_way.push_back({});
            }
            if (!written.again) break;
            flush();
        }
        for (auto& [name, one] : known) one.perhaps.clear();
    }

    void flush() {
        rig->flush();
        for (auto& [name, one] : known) {
            const Position found = now_at(name);
            const bool good = found == newest(name) || one_of(one.perhaps, found);
            CHECK_MESSAGE(good, "seed ", seed_, ": ", name.first, "-", name.second, " is ", found,
                          ", not ", newest(name));
            one.durable = found;
            one.on_the_way.clear();
        }
    }
    static bool one_of(const std::vector<Position>& some, const Position& one) {
        return std::find(some.begin(), some.end(), one) != some.end();
    }

    // What is on flash now may be any prefix of what was written; it stays what it is.
    void power_cut() {
        const std::size_t open = rig->log.open_ops.size();
        Facts left = rig->log.crash(random.below(open + 1));
        begin(left, rig->now);
        for (auto& [name, one] : known) {
            const Position found = now_at(name);
            const bool good =
                found == one.durable || one_of(one.on_the_way, found) || one_of(one.perhaps, found);
            CHECK_MESSAGE(good, "seed ", seed_, ": ", name.first, "-", name.second,
                          " came back as ", found, ", acknowledged was ", one.durable);
            one = {.durable = found, .on_the_way = {}, .perhaps = {}};
        }
    }

    void lose() {
        if (!rig->log.lose_open()) return;
        while (const auto lost = rig->log.poll_rolled_back())
            rig->groups.rolled_back(rig->now, lost->first, lost->last);
        rig->settle();
        for (auto& [name, one] : known) {
            one.on_the_way.clear();
            one.perhaps.clear();
            CHECK_MESSAGE(now_at(name) == one.durable, "seed ", seed_, ": lost ", name.first, "-",
                          name.second);
        }
    }

    void make_anew() {
        rig->log.ops_max = 1'000'000;
        rig->log.is_tight = false;
        flush();
        REQUIRE(rig->topics.remove(rig->now, *rig->topics.find("w")));
        rig->flush();
        REQUIRE(rig->topics.create(rig->now, "w", 70, rig->topics.new_config()));
        for (auto& [name, one] : known)
            if (name.first == "w") one.durable = {};
        flush();
    }

    void expire() {
        rig->log.ops_max = 1'000'000;
        rig->log.is_tight = false;
        flush();
        rig->advance(std::int64_t{9} * 24 * 3'600'000);
        for (auto& [name, one] : known) one.durable = {};
        flush();
        CHECK_MESSAGE(rig->groups.size() == 0, "seed ", seed_);
    }

    SimRandom random;
    std::uint64_t seed_;
    std::unique_ptr<OffsetRig> rig;
    std::map<Name, Known> known;
    std::int64_t offsets = 0;
};

}  // namespace

TEST_CASE("offsets: 5,000 random schedules keep to the model and leave nothing behind") {
    const char* one = std::getenv("LEAT_SEED");
    const std::uint64_t first = one != nullptr ? std::strtoull(one, nullptr, 10) : 1;
    const std::uint64_t count = one != nullptr ? 1 : 5'000;
    for (std::uint64_t seed = first; seed < first + count; ++seed) {
        INFO("LEAT_SEED=", seed);
        OffsetRun run(seed);
        run.go();
    }
}

}  // namespace leat::test
