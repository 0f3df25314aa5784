// Leader epochs against a model that remembers the epoch of every record: on the fake log, whose
// commits the test gives up by hand, and on the real one, whose power is cut.
#include "broker/topics/leader_epochs.hpp"

#include <doctest/doctest.h>

#include <optional>
#include <string>

#include "broker/topics/topics.hpp"
#include "tests/support/batches.hpp"
#include "tests/support/fake_log.hpp"
#include "tests/support/sim_storage.hpp"
#include "tests/support/test_entropy.hpp"

using namespace leat;
using namespace leat::topics;
using test::make_batch;
using wire::ErrorCode;

namespace {

/// The epoch of each record there ever was, and this run's.
struct Model {
    std::vector<std::int32_t> epochs;
    std::int32_t current = 0;

    /// Where the first record of an epoch above `epoch` is.
    log::Offset end_of(std::int32_t epoch) const {
        std::size_t at = 0;
        while (at < epochs.size() && epochs[at] <= epoch) ++at;
        return static_cast<log::Offset>(at);
    }
    /// The largest epoch with records that is not above `epoch`.
    std::int32_t floor(std::int32_t epoch) const {
        std::int32_t found = -1;
        for (const std::int32_t one : epochs)
            if (one <= epoch) found = std::max(found, one);
        return found;
    }
};

void check(const LeaderEpochs& epochs, log::StreamId stream, const Model& model,
           log::Offset log_start, bool exact) {
    CHECK(epochs.current() == model.current);
    CHECK(epochs.end_of(stream, model.current + 1).end == -1);
    CHECK(epochs.end_of(stream, -1).end == -1);
    CHECK(epochs.end_of(stream, model.current).epoch == model.current);
    for (std::int32_t epoch = 0; epoch <= model.current; ++epoch) {
        CAPTURE(epoch);
        const auto got = epochs.end_of(stream, epoch);
        const log::Offset end = model.end_of(epoch);
        if (end <= log_start) {  // all of its records are gone
            CHECK(got.end <= log_start);
            continue;
        }
        // Never below: no reader of this log may be told that its records were lost.
        CHECK(got.end >= end);
        if (!exact) continue;
        CHECK(got.end == end);
        if (epoch < model.current && model.floor(epoch) >= 0)
            CHECK(got.epoch == model.floor(epoch));
    }
    for (log::Offset at = log_start; exact && at < static_cast<log::Offset>(model.epochs.size());
         ++at)
        CHECK(epochs.at(stream, at) == model.epochs[static_cast<std::size_t>(at)]);
    CHECK(epochs.at(stream, static_cast<log::Offset>(model.epochs.size())) == model.current);
}

struct Bench {
    Bench() { start(); }
    void start() {
        topics.emplace(log, entropy, TopicDefaults{});
        REQUIRE(topics->registry.load());
        topic = topics->registry.find("t");
    }
    void append(int records) {
        REQUIRE(topics->append(now, wall, *topic, 0, make_batch({.records = records}), 9).error ==
                ErrorCode::none);
        model.epochs.insert(model.epochs.end(), static_cast<std::size_t>(records), model.current);
    }
    void give_up() {
        log.give_up();
        while (const auto lost = log.poll_rolled_back())
            topics->rolled_back(lost->first, lost->last);
        model.epochs.resize(static_cast<std::size_t>(log.stream(stream())->log_end));
    }
    void restart(bool clean) {
        log.on_storage(now);
        if (!clean) log.leader_epoch = ++model.current;
        start();
    }
    log::StreamId stream() const { return topic->partitions[0]; }
    std::size_t facts() const {
        std::size_t count = 0;
        log.for_each_fact(log::FactKind::node, [&](ByteView key, ByteView) {
            count += text_of(key).starts_with("topics.epochs/");
        });
        return count;
    }

    Instant now = instant_ms(1000);
    WallTime wall = wall_ms(1'700'000'000'000);
    test::FakeLog log;
    test::TestEntropy entropy;
    std::optional<Topics> topics;
    const Topic* topic = nullptr;
    Model model;
};

}  // namespace

TEST_CASE("leader epochs: where each begins, as Kafka's cache tells it") {
    Bench bench;
    bench.topic =
        *bench.topics->registry.create(bench.now, "t", 1, bench.topics->registry.new_config());
    bench.append(3);
    CHECK(bench.facts() == 0);  // nothing to tell apart yet
    bench.restart(true);
    bench.append(2);
    CHECK(bench.facts() == 0);
    bench.restart(false);
    bench.restart(false);
    const LeaderEpochs& epochs = bench.topics->registry.epochs;
    CHECK(epochs.check(-1) == ErrorCode::none);
    CHECK(epochs.check(2) == ErrorCode::none);
    CHECK(epochs.check(1) == ErrorCode::fenced_leader_epoch);
    CHECK(epochs.check(3) == ErrorCode::unknown_leader_epoch);
    CHECK(epochs.end_of(bench.stream(), 0).end == 5);
    CHECK(epochs.end_of(bench.stream(), 1).epoch == 0);
    CHECK(epochs.end_of(bench.stream(), 2).end == 5);
    bench.append(4);
    CHECK(bench.facts() == 1);
    CHECK(epochs.end_of(bench.stream(), 2).end == 9);
    CHECK(epochs.end_of(bench.stream(), 1).end == 5);
    CHECK(epochs.at(bench.stream(), 4) == 0);
    CHECK(epochs.at(bench.stream(), 5) == 2);
    check(epochs, bench.stream(), bench.model, 0, true);
}

TEST_CASE("leader epochs: any schedule of appends, lost commits, restarts and deleted records") {
    for (std::uint64_t seed = 1; seed <= 60; ++seed) {
        CAPTURE(seed);
        test::SimRandom random(seed);
        Bench bench;
        bench.topic =
            *bench.topics->registry.create(bench.now, "t", 1, bench.topics->registry.new_config());
        bench.log.on_storage(bench.now);
        for (int step = 0; step < 150; ++step) {
            const std::uint64_t what = random.below(12);
            if (what < 5)
                bench.append(1 + static_cast<int>(random.below(3)));
            else if (what < 7)
                bench.log.on_storage(bench.now);
            else if (what < 8)
                bench.give_up();
            else if (what < 9)
                bench.restart(true);
            else if (what < 11)
                bench.restart(false);
            else if (const auto* state = bench.log.stream(bench.stream());
                     state->flushed > state->log_start)
                REQUIRE(bench.log.set_log_start(
                    bench.now, bench.stream(),
                    state->log_start + 1 +
                        static_cast<log::Offset>(random.below(
                            static_cast<std::uint64_t>(state->flushed - state->log_start)))));
            check(bench.topics->registry.epochs, bench.stream(), bench.model,
                  bench.log.stream(bench.stream())->log_start, bench.model.current < 30);
        }
    }
}

TEST_CASE("leader epochs: the oldest merge, the newest stay exact, the fact stays small") {
    Bench bench;
    bench.topic =
        *bench.topics->registry.create(bench.now, "t", 1, bench.topics->registry.new_config());
    for (int run = 0; run < 100; ++run) {
        bench.append(2);
        bench.restart(false);
    }
    bench.append(2);
    const LeaderEpochs& epochs = bench.topics->registry.epochs;
    check(epochs, bench.stream(), bench.model, 0, false);
    for (std::int32_t epoch = 101 - static_cast<std::int32_t>(LeaderEpochs::entries_max) + 1;
         epoch <= 100; ++epoch)
        CHECK(epochs.end_of(bench.stream(), epoch).end == 2 * (epoch + 1));
    CHECK(epochs.end_of(bench.stream(), 10).merged);
    CHECK_FALSE(epochs.end_of(bench.stream(), 90).merged);
    bench.log.for_each_fact(log::FactKind::node, [](ByteView key, ByteView value) {
        if (text_of(key).starts_with("topics.epochs/"))
            CHECK(value.size() == 12 * LeaderEpochs::entries_max);
    });
}

TEST_CASE("leader epochs: a deleted topic leaves none, and neither does a delete that was cut") {
    Bench bench;
    bench.log.leader_epoch = bench.model.current = 1;
    bench.start();
    const auto make = [&](const char* name) {
        bench.topic =
            *bench.topics->registry.create(bench.now, name, 1, bench.topics->registry.new_config());
        bench.append(1);
    };
    make("a");
    make("b");
    CHECK(bench.facts() == 2);
    REQUIRE(bench.topics->registry.remove(bench.now, *bench.topics->registry.find("a")));
    CHECK(bench.facts() == 1);
    const Topic& b = *bench.topics->registry.find("b");
    bench.log.drop_stream(b.partitions[0]);
    REQUIRE(bench.log.erase_fact(bench.now, log::FactKind::topic, b.id));
    bench.restart(false);
    CHECK(bench.facts() == 1);
    make("c");
    CHECK(bench.facts() == 1);  // c's, not b's
}

TEST_CASE("leader epochs: a refused fact refuses the batch, and the next try is whole") {
    Bench bench;
    bench.topic =
        *bench.topics->registry.create(bench.now, "t", 1, bench.topics->registry.new_config());
    bench.restart(false);
    bench.log.is_read_only = true;
    CHECK(bench.topics->append(bench.now, bench.wall, *bench.topic, 0, make_batch({}), 9).error ==
          ErrorCode::kafka_storage_error);
    bench.log.is_read_only = false;
    bench.append(1);
    CHECK(bench.facts() == 1);
    check(bench.topics->registry.epochs, bench.stream(), bench.model, 0, true);
}

TEST_CASE("leader epochs: power cuts at any write of the real log lose no epoch of a record kept") {
    std::size_t lost = 0, kept = 0;
    for (std::uint64_t seed = 1; seed <= 40; ++seed) {
        CAPTURE(seed);
        test::SimRandom random(seed);
        test::SimStorage device({.seed = seed, .size = 32 * KiB + 16 * 64 * KiB});
        test::SimEntropy entropy(seed);
        Model model;
        std::int64_t now = 1'700'000'000'000;
        for (int run = 0; run < 12; ++run) {
            log::LogConfig config;
            config.segment_bytes = 64 * KiB;
            config.commit_interval = milliseconds(0);
            const auto log = log::make_log(device, entropy, config);
            REQUIRE(log->open(instant_ms(now), wall_ms(now)));
            model.current = log->status().leader_epoch;
            Topics topics(*log, entropy, TopicDefaults{});
            REQUIRE(topics.registry.load());
            if (run == 0)
                REQUIRE(
                    topics.registry.create(instant_ms(now), "t", 1, topics.registry.new_config()));
            const Topic& topic = *topics.registry.find("t");
            const auto settle = [&] {
                for (int i = 0; i < 20; ++i) {
                    log->on_storage(instant_ms(now));
                    log->on_deadline(instant_ms(now), wall_ms(now));
                }
            };
            settle();
            const auto* state = log->stream(topic.partitions[0]);
            REQUIRE(static_cast<std::size_t>(state->log_end) <= model.epochs.size());
            lost += model.epochs.size() - static_cast<std::size_t>(state->log_end);
            model.epochs.resize(static_cast<std::size_t>(state->log_end));
            check(topics.registry.epochs, topic.partitions[0], model, 0, true);
            device.hold(random.chance(50));
            for (std::uint64_t left = random.below(6); left > 0; --left, now += 50) {
                const int records = 1 + static_cast<int>(random.below(3));
                REQUIRE(topics
                            .append(instant_ms(now), wall_ms(now), topic, 0,
                                    make_batch({.records = records}), 9)
                            .error == ErrorCode::none);
                model.epochs.insert(model.epochs.end(), static_cast<std::size_t>(records),
                                    model.current);
                if (random.chance(60)) settle();
            }
            if (random.chance(25)) {  // a clean stop: the epoch goes on
                device.hold(false);
                while (device.writes_under_way() > 0) device.complete(0);
                log->close(instant_ms(now), wall_ms(now));
                for (int i = 0; i < 1000 && !log->closed(); ++i) settle();
                CHECK(log->closed());
            } else {
                device.power_cycle();
            }
            device.hold(false);
        }
        kept += model.epochs.size();
    }
    CHECK(lost > 100);
    CHECK(kept > 100);
}
