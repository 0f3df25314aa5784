// Looking at a log that goes on between any two reads of whoever looks: what is under way, written
// over, moved or dropped meanwhile is no damage, and what does not hold is.
#include <doctest/doctest.h>

#include "broker/log/inspect.hpp"
#include "tests/log/keyed.hpp"
#include "tests/support/looked_at.hpp"

namespace leat::log::test {
namespace {

constexpr StreamId expires = 1, stays = 2, compacted = 3, kept = 4, first_topic = 10;

/// A log that recycles, packs, compacts, drops and writes checkpoints; of a write that is under way
/// any sector may be seen.
struct Live {
    SimStorage device;
    SimRandom random;
    Rig rig;
    Tear tear = Tear::kept;
    std::uint64_t torn = 0, serial = 0;
    StreamId topic = first_topic;

    explicit Live(std::uint64_t seed)
        : device({.seed = seed, .size = small_device, .shuffle = seed % 2 == 0}),
          random(seed),
          rig(device, config(), {}, seed, topics::filter_records) {
        REQUIRE(rig.open());
        REQUIRE(rig.log->declare_stream(expires, {.retention_bytes = 150'000}));
        REQUIRE(rig.log->declare_stream(stays, {.retention_bytes = 60'000}));
        REQUIRE(rig.log->declare_stream(compacted, {.compact = true, .dirty_permille_min = 200}));
        REQUIRE(rig.log->declare_stream(kept, {}));
        for (const StreamId id : {expires, stays, compacted}) rig.log->set_release(id, INT64_MAX);
        another_topic();
        for (std::uint64_t i = 0; i < 6; ++i)
            REQUIRE(rig.append_durably(kept, {.count = 3, .size = 400, .salt = 7 + i % 2}));
        while (rig.log->counters().segments_recycled < 20) {
            work();
            rig.settle();
        }
    }
    static LogConfig config() {
        LogConfig config = small_config();
        config.compaction_every = milliseconds(200);
        config.group_bytes_max = 16 * KiB;
        return config;
    }
    void another_topic() {
        rig.log->drop_stream(topic++);
        REQUIRE(rig.log->declare_stream(topic, {}));
        rig.log->set_release(topic, INT64_MAX);
    }
    void append(StreamId id, std::size_t size) {
        (void)rig.append(id, {.count = 2, .size = size, .salt = ++serial});
    }
    void work() {
        append(expires, 100 + random.below(3'000));
        if (random.chance(20)) append(stays, random.below(300));
        if (random.chance(20)) append(topic, random.below(900));
        if (random.chance(3)) another_topic();
        if (random.chance(30)) {
            const std::string key = std::to_string(random.below(12));
            const std::string value(random.below(400), 'v');
            const auto batch = make_keyed_batch({.records = {{.key = key, .value = value}}});
            (void)rig.log->append(rig.at(), wall_ms(rig.wall),
                                  {.stream = compacted, .batch = batch, .log_append_time = {}});
            (void)rig.log->put_fact(rig.at(), FactKind::cursor, bytes_of(key), bytes_of(value));
        }
        rig.now += 40;
        rig.wall += 40;
        rig.log->on_storage(rig.at());
        rig.log->on_deadline(rig.at(), wall_ms(rig.wall));
    }
    void go_on() {
        if (random.chance(60)) return;
        device.hold(false);
        rig.settle();
        for (std::uint64_t i = random.below(3); i > 0; --i) {
            work();
            rig.settle();
        }
        device.hold(true);
        work();
        tear = static_cast<Tear>(random.below(leat::test::tears));
        if (tear == Tear::garbage) tear = Tear::subset;
        torn = random.next();
    }
    SimImage now() const {
        SimRandom same(torn);
        return device.crash_image(tear, same);
    }
};

/// What `leatd log` sees of it.
class Beside final : public leat::test::LookedAt {
public:
    explicit Beside(Live& live) : live_(live) {}
    port::StorageGeometry geometry() const override { return live_.device.geometry(); }

private:
    Status look(std::uint64_t at, std::span<std::uint8_t> into) override {
        live_.go_on();
        live_.now().read(at, into);
        return ok();
    }
    Live& live_;
};

std::string text(const std::vector<Damage>& damages) {
    std::string all;
    for (const Damage& damage : damages)
        all += std::string(damage_text(damage.kind)) + " in " + std::to_string(damage.segment) +
               " at " + std::to_string(damage.position) + ", " + std::to_string(damage.stream) +
               ": " + std::to_string(damage.from) + " to " + std::to_string(damage.to) + "; ";
    return all;
}

}  // namespace

TEST_CASE("inspect: a log that goes on meanwhile is whole") {
    std::uint64_t recycled = 0, moved = 0, superseded = 0, checkpoints = 0, counted = 0;
    for (std::uint64_t seed = 1; seed <= 12; ++seed) {
        INFO("seed ", seed);
        Live live(seed);
        const LogCounters before = live.rig.log->counters();
        for (int looks = 0; looks < 8; ++looks) {
            Beside beside(live);
            std::string why;
            const auto log = inspect(beside, nullptr, why);
            INFO(why);
            REQUIRE(log);
            CHECK(text(log->damages) == "");
            CHECK(log->start_text.find("damaged") == std::string::npos);
            CHECK(log->start_text.find("does not hold") == std::string::npos);
            // Those that moved under it are looked for, and not counted.
            CHECK(log->streams.at(kept).records <= 18);
            counted += log->streams.at(kept).records;
            recycled += log->segments_recycled_meanwhile;
        }
        const LogCounters& after = live.rig.log->counters();
        moved += after.cleaner_copied - before.cleaner_copied;
        superseded += after.superseded_records - before.superseded_records;
        checkpoints += after.written_checkpoint - before.written_checkpoint;
    }
    MESSAGE(recycled, " recycled, ", moved, " B moved, ", superseded, " superseded, ", checkpoints,
            " B of checkpoints meanwhile");
    CHECK(counted >= 90 * 18);  // of 96 looks
    CHECK(recycled >= 20);
    CHECK(moved >= 100'000);
    CHECK(superseded >= 100);
    CHECK(checkpoints >= 1'000'000);
}

TEST_CASE("inspect: in a log that goes on meanwhile what does not hold is named, and nothing else") {
    for (std::uint64_t seed = 1; seed <= 12; ++seed) {
        INFO("seed ", seed);
        Live live(seed);
        live.device.hold(false);
        live.rig.settle();
        const auto batch = make_batch({.count = 3, .size = 400, .salt = 7});
        std::vector<std::uint8_t> all(small_device);
        live.device.image().read(0, all);
        std::size_t copies = 0;  // moved, and not recycled yet
        for (auto at = all.begin();; ++copies) {
            at = std::search(at, all.end(), batch.begin() + 61, batch.end());
            if (at == all.end()) break;
            *at ^= 1;
            const auto sector = (at - all.begin()) / 512 * 512;
            live.device.image().write(static_cast<std::uint64_t>(sector),
                                      std::span(all).subspan(static_cast<std::size_t>(sector), 512));
        }
        REQUIRE(copies >= 3);
        for (int looks = 0; looks < 3; ++looks) {
            Beside beside(live);
            std::string why;
            const auto log = inspect(beside, nullptr, why);
            REQUIRE(log);
            INFO(text(log->damages));
            Offset hurt = 0;
            for (const Damage& damage : log->damages) {
                CHECK(damage.stream == kept);
                if (damage.stream == kept) hurt += damage.to - damage.from;
            }
            CHECK(hurt == 9);
        }
    }
}

}  // namespace leat::log::test
