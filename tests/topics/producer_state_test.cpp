#include <doctest/doctest.h>

#include <deque>
#include <map>
#include <set>

#include "broker/topics/producer_ids.hpp"
#include "broker/topics/producer_state.hpp"
#include "tests/support/test_entropy.hpp"

using namespace leat;
using namespace leat::topics;
using Kind = ProducerDecision::Kind;
using wire::ErrorCode;

namespace {

log::ProducerState state_of(std::int16_t epoch,
                            std::initializer_list<std::pair<int, int>> batches) {
    log::ProducerState state;
    state.epoch = epoch;
    std::int64_t offset = 100;
    for (const auto& [first, last] : batches) {
        log::ProducerBatch& batch = state.last[state.count++];
        batch.first_sequence = first;
        batch.last_sequence = last;
        batch.base_offset = offset;
        offset += 10;
    }
    return state;
}

}  // namespace

TEST_CASE(
    "idempotence: a producer that was never seen may start anywhere, also at a higher epoch") {
    CHECK(decide(nullptr, {.epoch = 0, .first_sequence = 0, .last_sequence = 4}).kind ==
          Kind::append);
    CHECK(decide(nullptr, {.epoch = 7, .first_sequence = 1234, .last_sequence = 1234}).kind ==
          Kind::append);
}

TEST_CASE("idempotence: each of the last five batches is recognised, with its own offset") {
    const auto state = state_of(3, {{0, 4}, {5, 5}, {6, 9}, {10, 10}, {11, 20}});
    for (int i = 0; i < 5; ++i) {
        const auto decision = decide(&state, {.epoch = 3,
                                              .first_sequence = state.last[i].first_sequence,
                                              .last_sequence = state.last[i].last_sequence});
        CHECK(decision.kind == Kind::duplicate);
        CHECK(decision.original->base_offset == 100 + 10 * i);
    }
    // The same start with another end is no duplicate: it overlaps, and is refused.
    CHECK(decide(&state, {.epoch = 3, .first_sequence = 6, .last_sequence = 8}).error ==
          ErrorCode::out_of_order_sequence_number);
}

TEST_CASE("idempotence: epochs rise from sequence 0 and never fall") {
    const auto state = state_of(3, {{0, 4}});
    CHECK(decide(&state, {.epoch = 2, .first_sequence = 5, .last_sequence = 5}).error ==
          ErrorCode::invalid_producer_epoch);
    CHECK(decide(&state, {.epoch = 2, .first_sequence = 0, .last_sequence = 4}).error ==
          ErrorCode::invalid_producer_epoch);
    CHECK(decide(&state, {.epoch = 4, .first_sequence = 0, .last_sequence = 4}).kind ==
          Kind::append);
    CHECK(decide(&state, {.epoch = 4, .first_sequence = 5, .last_sequence = 5}).error ==
          ErrorCode::out_of_order_sequence_number);
}

TEST_CASE("idempotence: sequences follow without gap, and wrap from the largest to 0") {
    const auto state = state_of(0, {{0, INT32_MAX}});
    CHECK(decide(&state, {.epoch = 0, .first_sequence = 0, .last_sequence = 1}).kind ==
          Kind::append);
    CHECK(decide(&state, {.epoch = 0, .first_sequence = 1, .last_sequence = 1}).error ==
          ErrorCode::out_of_order_sequence_number);
    CHECK(last_sequence_of(INT32_MAX - 1, 1) == INT32_MAX);
    CHECK(last_sequence_of(INT32_MAX - 1, 2) == 0);
    CHECK(last_sequence_of(INT32_MAX, 3) == 2);
}

// A producer with five batches in flight, a network that loses, repeats and reorders, a broker that
// decides by decide(): what is stored is exactly what was sent, once and in order. The model knows
// nothing of the rules; it only knows what a producer may believe.
TEST_CASE("idempotence: a seeded model of resends finds each batch once and in order") {
    for (std::uint64_t seed = 1; seed <= 300; ++seed) {
        CAPTURE(seed);
        test::TestEntropy random(seed);
        const auto chance = [&](std::uint64_t percent) { return random.next() % 100 < percent; };
        struct Batch {
            std::int16_t epoch;
            std::int32_t first, last;
            int name;
        };
        log::ProducerState state;
        bool known = false;
        std::vector<int> stored;
        std::deque<Batch> in_flight, network;
        std::int16_t epoch = 0;
        std::int32_t next = chance(20) ? INT32_MAX - 3 : 0;
        int made = 0;
        for (int step = 0; step < 400; ++step) {
            if (in_flight.size() < 5 && chance(50)) {
                const auto count = static_cast<std::int32_t>(1 + random.next() % 4);
                in_flight.push_back({epoch, next, last_sequence_of(next, count - 1), made++});
                next = sequence_after(in_flight.back().last);
                network.push_back(in_flight.back());
            }
            // A timeout: everything in flight is sent again, in order, as a client does.
            if (chance(10))
                for (const Batch& batch : in_flight) network.push_back(batch);
            if (network.empty()) continue;
            const std::size_t pick = chance(20) ? random.next() % network.size() : 0;
            const Batch batch = network[pick];
            network.erase(network.begin() + static_cast<std::ptrdiff_t>(pick));
            if (chance(15)) continue;  // lost
            const auto decision =
                decide(known ? &state : nullptr, {batch.epoch, batch.first, batch.last});
            const bool is_next = !in_flight.empty() && in_flight.front().name == batch.name;
            if (decision.kind == Kind::append) {
                // Only the very first may be accepted out of the blue: the broker has no memory
                // yet.
                if (!known && !is_next) break;
                stored.push_back(batch.name);
                if (state.epoch != batch.epoch)
                    state = {.epoch = batch.epoch, .count = 0, .last = {}};
                if (state.count == 5) {
                    std::move(state.last + 1, state.last + 5, state.last);
                    state.count = 4;
                }
                state.last[state.count++] = {.first_sequence = batch.first,
                                             .last_sequence = batch.last,
                                             .base_offset = batch.name,
                                             .timestamp = -1,
                                             .commit = 0};
                known = true;
            } else if (decision.kind == Kind::duplicate) {
                CHECK(decision.original->base_offset == batch.name);
            } else {
                continue;  // refused: the client sends it again in time
            }
            // The answer may be lost on the way back; then the batch stays in flight.
            if (is_next && !chance(15)) in_flight.pop_front();
        }
        for (std::size_t i = 1; i < stored.size(); ++i) REQUIRE(stored[i] == stored[i - 1] + 1);
    }
}

TEST_CASE("producer ids: unique within a start, unrelated between starts, 63 bits") {
    test::TestEntropy entropy(5);
    ProducerIds first(entropy), second(entropy);
    std::set<std::int64_t> seen;
    for (int i = 0; i < 1000; ++i) {
        const auto a = first.next(), b = second.next();
        REQUIRE(a);
        REQUIRE(b);
        CHECK(*a >= 0);
        CHECK((*a & 0xFFFFF) == i);
        CHECK((*a >> 20) != (*b >> 20));
        CHECK(seen.insert(*a).second);
        CHECK(seen.insert(*b).second);
    }
    entropy.broken = true;
    CHECK(first.next());  // has drawn already
    ProducerIds third(entropy);
    CHECK_FALSE(third.next());
}

TEST_CASE("producer ids: after 2^20 of them a new prefix is drawn") {
    test::TestEntropy entropy(6);
    ProducerIds ids(entropy);
    const std::int64_t first = *ids.next();
    std::int64_t last = first;
    for (int i = 1; i < (1 << 20); ++i) last = *ids.next();
    CHECK(last == first + (1 << 20) - 1);
    CHECK((*ids.next() >> 20) != (first >> 20));
}
