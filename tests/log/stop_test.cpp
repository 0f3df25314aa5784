// A log that is told to stop stops, whatever it is at, and says so to the next start: random work
// on small logs until they are full, and then on, with writes under way that finish in any order.
#include <doctest/doctest.h>

#include <cstdlib>

#include "tests/log/keyed.hpp"
#include "tests/log/rig.hpp"

using namespace leat;
using namespace leat::log;
using namespace leat::log::test;

namespace {

constexpr std::int64_t patience_ms = 60'000;  // of virtual time
constexpr StreamId streams = 8;

class Gateway {
public:
    explicit Gateway(std::uint64_t seed)
        : random_(seed),
          segments_(seed % 20 == 0 ? 128 : 16 + random_.below(8)),
          device_({.seed = seed, .size = 32 * KiB + segments_ * small_segment, .shuffle = true}),
          commit_ms_(random_.chance(50) ? 0 : 20),
          deletes_(static_cast<std::uint32_t>(20 + 30 * random_.below(3))),
          fact_bytes_(random_.chance(50) ? 200 : 1'200),
          finishes_(static_cast<std::uint32_t>(10 + 40 * random_.below(3))),
          fails_(seed % 5 == 4) {}

    void run() {
        start();
        const std::uint64_t full = segments_ * 16;
        for (std::uint64_t i = 0; i < full && free() > 5 + random_.below(3); ++i) {
            append(static_cast<StreamId>(1 + random_.below(streams)), 4'000 + random_.below(8'000));
            go_on(random_.below(30));
        }
        const std::uint64_t steps = random_.below(400);
        for (std::uint64_t i = 0; i < steps; ++i) {
            if (random_.chance(1) && random_.chance(20)) {
                device_.power_cycle();
                start();
            }
            step();
        }
    }

    /// Every commit that was promised becomes durable, or is given up.
    void comes_to_rest() {
        for (std::int64_t ms = 0; ms < patience_ms && !rested(); ms += 50) go_on(50);
        CHECK_MESSAGE(rested(), "waits for commit ", rig_->log->open_commit() - 1, ", durable is ",
                      rig_->log->flushed_commit(), ", free segments ", free());
    }

    void stop() {
        rig_->log->close(rig_->at(), wall_ms(rig_->wall));
        for (std::int64_t ms = 0; ms < patience_ms && !rig_->log->closed(); ms += 10) go_on(10);
        CHECK_MESSAGE(rig_->log->closed(), "free segments ", free());
        device_.power_cycle();
        start();
        if (fails_) return;  // a device that fails may fail the seal
        go_on(200);          // the checkpoint that a start may write takes a segment
        (void)rig_->log->put_fact(rig_->at(), FactKind::config, bytes_of("a"), bytes_of("b"));
        go_on(200);
        CHECK_MESSAGE(!rig_->log->status().read_only, "free segments ", free());
        CHECK_MESSAGE(rig_->log->status().was_sealed, "free segments ", free());
        CHECK(rig_->log->status().cut_text == "");
    }

    std::uint32_t free() const { return rig_->log->status().segments_free; }

private:
    LogConfig config() const {
        LogConfig config = small_config();
        config.commit_interval = milliseconds(commit_ms_);
        config.compaction_every = milliseconds(500);
        return config;
    }
    bool rested() const {
        return rig_->log->flushed_commit() + 1 == rig_->log->open_commit() ||
               rig_->log->status().read_only;
    }

    void start() {
        rig_ = std::make_unique<Rig>(device_, config(), SeededFaults{}, random_.next(),
                                     topics::filter_records);
        REQUIRE(rig_->open());
        for (StreamId id = 1; id <= streams; ++id) declare(id);
    }

    void declare(StreamId id) {
        StreamPolicy policy;
        switch (id) {
            case 2:
                policy.retention_bytes = 128 * KiB;
                break;
            case 3:
                policy.retention = milliseconds(4'000);
                break;
            case 4:
                policy.when_full = WhenFull::drop_oldest;
                policy.priority = 2;
                break;
            case 5:
                policy.compact = true;
                break;
            default:
                break;  // 1: kept for ever, 6: records are deleted, 7: delivered, 8: reborn
        }
        REQUIRE(rig_->log->declare_stream(id, policy));
        if (id != 7) rig_->log->set_release(id, INT64_MAX);
    }

    bool append(StreamId id, std::size_t size) {
        ++serial_;
        std::vector<std::uint8_t> batch;
        if (id == 5)
            batch = make_keyed_batch({.records = {{.key = std::to_string(random_.below(8)),
                                                   .value = std::string(size, 'v')}}});
        else
            batch = make_batch({.count = id == 6 ? 100u : 1u, .size = size, .salt = serial_});
        return static_cast<bool>(
            rig_->log->append(rig_->at(), wall_ms(rig_->wall),
                              {.stream = id, .batch = batch, .log_append_time = {}}));
    }

    void step() {
        Log& log = *rig_->log;
        if (random_.chance(deletes_)) {
            const StreamState* state = log.stream(6);
            if (state->log_start < state->flushed)
                (void)log.set_log_start(rig_->at(), 6, state->log_start + 1);
        } else {
            other_step(log);
        }
        if (random_.chance(70)) go_on(static_cast<std::int64_t>(random_.below(5)));
        if (random_.chance(5)) go_on(static_cast<std::int64_t>(random_.below(500)));
    }

    void other_step(Log& log) {
        const std::string key = "k" + std::to_string(random_.below(40));
        switch (random_.below(6)) {
            case 0:
            case 1: {
                const auto id = static_cast<StreamId>(1 + random_.below(streams));
                const std::size_t size = random_.below(random_.chance(30) ? 9'000 : 300);
                for (std::uint64_t i = random_.below(20); i > 0; --i) (void)append(id, size);
                break;
            }
            case 2:
                if (const StreamState* state = log.stream(7))
                    log.set_release(7, std::min(state->release + 1, state->flushed));
                break;
            case 3:
                if (!random_.chance(10)) break;
                log.drop_stream(8);
                declare(8);
                break;
            case 4: {
                const std::string value(random_.below(fact_bytes_),
                                        static_cast<char>('a' + serial_++ % 26));
                (void)log.put_fact(rig_->at(), FactKind::group, bytes_of(key), bytes_of(value));
                break;
            }
            default:
                (void)log.erase_fact(rig_->at(), FactKind::group, bytes_of(key));
                break;
        }
    }

    /// Time passes; of what is under way at the device some finishes.
    void go_on(std::int64_t ms) {
        device_.hold(true);
        for (;;) {
            while (device_.writes_under_way() > 0 && random_.chance(finishes_))
                device_.complete(random_.below(device_.writes_under_way()),
                                 !fails_ || !random_.chance(1));
            rig_->log->on_storage(rig_->at());
            if (ms-- <= 0) return;
            ++rig_->now;
            ++rig_->wall;
            if (rig_->log->deadline() <= rig_->at())
                rig_->log->on_deadline(rig_->at(), wall_ms(rig_->wall));
        }
    }

    SimRandom random_;
    std::uint64_t segments_;
    SimStorage device_;
    std::int64_t commit_ms_;
    std::uint32_t deletes_;     ///< in percent
    std::uint64_t fact_bytes_;  ///< many make large checkpoints
    std::uint32_t finishes_;    ///< in percent: of the writes under way, in a millisecond
    bool fails_;                ///< now and then a write
    std::unique_ptr<Rig> rig_;
    std::uint64_t serial_ = 0;
};

std::uint64_t setting(const char* name, std::uint64_t otherwise) {
    const char* text = std::getenv(name);
    return text != nullptr ? std::strtoull(text, nullptr, 10) : otherwise;
}

}  // namespace

// LEAT_STOP_SEED and LEAT_STOPS: where to begin, and how many.
TEST_CASE("stop: a log that is full, or nearly, stops in bounded time with a seal") {
    const std::uint64_t first = setting("LEAT_STOP_SEED", 1), count = setting("LEAT_STOPS", 600);
    std::uint64_t last_segments = 0;
    for (std::uint64_t seed = first; seed < first + count; ++seed) {
        INFO("SEED=", seed);
        Gateway gateway(seed);
        gateway.run();
        if (seed % 2 == 0) gateway.comes_to_rest();
        if (gateway.free() <= 2) ++last_segments;
        gateway.stop();
    }
    MESSAGE(last_segments, " of ", count, " stopped in the last two free segments");
    if (count >= 100) CHECK(last_segments > count / 40);
}
