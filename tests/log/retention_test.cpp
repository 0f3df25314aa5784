// What is kept until it is delivered: gone soon after, never before, and what no route takes stays.
#include <doctest/doctest.h>

#include "tests/log/rig.hpp"

using namespace leat;
using namespace leat::log;
using namespace leat::log::test;

namespace {

constexpr std::uint64_t medium = 32 * KiB + 64 * 64 * KiB;
constexpr StreamId kept = 1, plain = 2, unrouted = 3, state_of_keys = 4;

void start(Rig& rig) {
    REQUIRE(rig.open());
    REQUIRE(rig.log->declare_stream(kept, {.until_delivered = true}));
    REQUIRE(rig.log->declare_stream(plain, {}));
    REQUIRE(rig.log->declare_stream(unrouted, {.until_delivered = true}));
    REQUIRE(rig.log->declare_stream(state_of_keys, {.compact = true}));
}

/// So many batches of 4 KiB of each stream; a segment holds three or four of each.
void fill(Rig& rig, int batches) {
    for (int i = 0; i < batches; ++i)
        for (const StreamId id : {kept, plain, unrouted, state_of_keys})
            REQUIRE(rig.append_durably(id, {.count = 2, .size = 4'000, .salt = id}));
}

void rest(Rig& rig, int seconds) {
    for (int i = 0; i < seconds; ++i) rig.pass(1'000);
}

void check_balanced(const Rig& rig, StreamId id) {
    const Books books = rig.log->books(id);
    CHECK(books.balanced());
    CHECK(books.losses.empty());
    CHECK(books.freed[static_cast<std::size_t>(Freed::delivered)].records ==
          static_cast<std::uint64_t>(rig.log->stream(id)->log_start));
    CHECK(books.freed[static_cast<std::size_t>(Freed::expired)].records == 0);
}

}  // namespace

TEST_CASE("retention: what is kept until it is delivered goes then, in order, and never before") {
    SimStorage device({.seed = 1, .size = medium});
    auto rig = std::make_unique<Rig>(device);
    start(*rig);
    fill(*rig, 60);  // the log has room: nothing is freed for that
    REQUIRE(rig->log->status().segments_free > 20);
    rest(*rig, 30);
    for (const StreamId id : {kept, plain, unrouted, state_of_keys})
        CHECK(rig->log->stream(id)->log_start == 0);  // nobody has said how far they are delivered

    const auto deliver = [&](Offset upto) {
        for (const StreamId id : {kept, plain, state_of_keys}) rig->log->set_release(id, upto);
        rig->log->set_release(unrouted, INT64_MAX);
        rest(*rig, 30);
    };
    const auto check = [&](Offset upto) {
        INFO("delivered up to ", upto);
        const Offset start = rig->log->stream(kept)->log_start;
        CHECK(start <= upto);
        CHECK(start > upto - 10);  // what is left of a segment: four batches at most
        const auto read = rig->read_all(kept, start);
        REQUIRE_FALSE(read.error);
        CHECK(base_offsets(read.bytes).front() == start);
        CHECK(base_offsets(read.bytes).size() == static_cast<std::size_t>(120 - start) / 2);
        check_balanced(*rig, kept);
        for (const StreamId id : {plain, unrouted, state_of_keys})
            CHECK(rig->log->stream(id)->log_start == 0);
    };
    for (const Offset upto : {0, 1, 21, 40}) {
        deliver(upto);
        check(upto);
    }
    // A restart: until somebody says again how far it is delivered nothing goes, whatever lay open.
    for (const bool clean : {false, true}) {
        const Offset before = rig->log->stream(kept)->log_start;
        if (clean) rig->close();
        rig.reset();
        device.power_cycle();
        rig = std::make_unique<Rig>(device);
        start(*rig);
        rest(*rig, 30);
        CHECK(rig->log->stream(kept)->log_start == before);
        deliver(clean ? 100 : 70);
        check(clean ? 100 : 70);
    }
}

TEST_CASE("retention: what is kept until it is delivered makes room without anybody's want") {
    SimStorage device({.seed = 1, .size = medium});
    Rig rig(device);
    REQUIRE(rig.open());
    REQUIRE(rig.log->declare_stream(kept, {.until_delivered = true}));
    std::uint32_t least = UINT32_MAX;
    for (int i = 0; i < 3'000; ++i) {  // three times the log
        REQUIRE(rig.append_durably(kept, {.size = 4'000, .salt = 1}));
        rig.log->set_release(kept, i < 10 ? 0 : i - 10);
        rig.pass(100);
        least = std::min(least, rig.log->status().segments_free);
    }
    CHECK(least > 50);  // of 64: a delivered record lies there for seconds
    CHECK(rig.log->stream(kept)->log_start <= 2'989);
    check_balanced(rig, kept);
}

TEST_CASE("retention: a stream that is no longer kept until it is delivered, or no longer routed") {
    for (const bool routed : {false, true}) {
        SimStorage device({.seed = 1, .size = medium});
        Rig rig(device);
        start(rig);
        fill(rig, 60);
        rig.log->set_release(kept, 20);
        rest(rig, 30);
        const Offset before = rig.log->stream(kept)->log_start;
        REQUIRE(before > 10);
        if (routed) REQUIRE(rig.log->declare_stream(kept, {}));
        rig.log->set_release(kept, routed ? 120 : INT64_MAX);
        rest(rig, 30);
        CHECK(rig.log->stream(kept)->log_start == before);
        REQUIRE(rig.log->declare_stream(kept, {.until_delivered = true}));
        rig.log->set_release(kept, 60);
        rest(rig, 30);
        CHECK(rig.log->stream(kept)->log_start > 50);
        CHECK(rig.log->stream(kept)->log_start <= 60);
    }
}
