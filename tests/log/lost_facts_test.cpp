// Every checkpoint is lost, and with them the facts that the ring does not hold any more: what
// becomes of the records of the topics that only they knew.
#include "broker/topics/registry.hpp"
#include "tests/log/planted.hpp"

using namespace leat;
using namespace leat::log;
using namespace leat::log::test;

namespace {

/// A log with the topics that it has.
struct Kept {
    explicit Kept(SimStorage& device)
        : rig(device), entropy(++starts), registry(*rig.log, entropy, {}) {}
    bool open() {
        if (!rig.open() || !registry.load()) return false;
        for (const auto& [name, topic] : registry.all())
            rig.log->set_release(topic->partitions[0], INT64_MAX);
        registry.settle(rig.at());
        rig.settle();
        return true;
    }
    StreamId make(const char* name) {
        const auto made = registry.create(rig.at(), name, 1, registry.new_config());
        rig.settle();
        if (!made) return no_stream;
        rig.log->set_release((*made)->partitions[0], INT64_MAX);
        return (*made)->partitions[0];
    }
    bool append(StreamId stream, std::uint64_t salt) {
        for (int tries = 0; tries < 100; ++tries) {
            if (rig.append_durably(stream, {.count = 1, .size = 15'000, .salt = salt})) return true;
            rig.pass(100);
        }
        return false;
    }

    Rig rig;
    static inline std::uint64_t starts = 0;
    SimEntropy entropy;  // each start draws others, else a topic would have the id of one before
    topics::Registry registry;
};

void lose_checkpoints(SimImage& image) {
    const std::vector<std::uint8_t> garbage(small_segment, 0xA5);
    for (const std::uint64_t slot : {0u, 1u}) {
        std::uint8_t bytes[superblock_bytes];
        image.read(slot * 16 * KiB, bytes);
        const auto super = decode_superblock(bytes);
        REQUIRE(super);
        for (const CheckpointPlace& place : {super->checkpoint, super->previous})
            if (place.is())
                image.write(super->pool_start + std::uint64_t{place.segment} * small_segment,
                            garbage);
    }
}

/// Batches behind each other of which the newest are kept: so many that the ring has gone round.
constexpr std::uint64_t first_topic = 600;

/// A topic whose fact is in the checkpoints only; the log is full of it, or has room again.
void make(SimStorage& device, bool full, const char* later = nullptr) {
    Kept kept(device);
    REQUIRE(kept.open());
    const StreamId first = kept.make("first");
    for (std::uint64_t i = 0; i < first_topic; ++i) REQUIRE(kept.append(first, i));
    REQUIRE(kept.rig.log->stream(first)->log_start > 0);
    if (!full) {
        const Offset half = kept.rig.log->stream(first)->log_end - 60;
        REQUIRE(kept.rig.log->set_log_start(kept.rig.at(), first, half));
        for (int i = 0; i < 20; ++i) kept.rig.pass(1'000);
    }
    if (later != nullptr) REQUIRE(kept.make(later) != no_stream);
    kept.rig.close();
}

std::uint64_t records(Rig& rig) {
    std::uint64_t sum = 0;
    rig.log->for_each_stream([&](StreamId stream) {
        const StreamState& state = *rig.log->stream(stream);
        sum += static_cast<std::uint64_t>(state.log_end - state.log_start);
    });
    return sum;
}

}  // namespace

TEST_CASE("lost facts: what the ring still knows of one topic does not cost the others' records") {
    SimStorage made({.seed = 1, .size = 32 * KiB + 64 * std::uint64_t{small_segment}});
    make(made, false, "later");
    lose_checkpoints(made.image());
    const std::uint64_t there = 60;
    SimStorage device({.seed = 2}, made.image());
    Kept kept(device);
    REQUIRE(kept.open());
    CHECK(kept.registry.find("first") == nullptr);
    CHECK(kept.registry.find("later") != nullptr);
    CHECK(records(kept.rig) >= there);
}

TEST_CASE("lost facts: what stayed stays, also when there are topics again") {
    SimStorage made({.seed = 1, .size = 32 * KiB + 64 * std::uint64_t{small_segment}});
    make(made, false);
    lose_checkpoints(made.image());
    SimStorage device({.seed = 2}, made.image());
    for (int start = 0; start < 3; ++start) {
        Kept kept(device);
        REQUIRE(kept.open());
        CHECK(records(kept.rig) >= 60);
        if (start == 0) REQUIRE(kept.make("new") != no_stream);
        kept.rig.close();
        device.power_cycle();
    }
}

TEST_CASE("lost facts: what no topic knows makes room for those that there are") {
    SimStorage made({.seed = 1, .size = 32 * KiB + 64 * std::uint64_t{small_segment}});
    make(made, true);
    lose_checkpoints(made.image());
    SimStorage device({.seed = 2}, made.image());
    Kept kept(device);
    REQUIRE(kept.open());
    const StreamId stream = kept.make("new");
    REQUIRE(stream != no_stream);
    std::uint64_t taken = 0;
    while (taken < 400 && kept.append(stream, 1'000 + taken)) ++taken;
    CHECK(taken == 400);
}
