// Consumers that ask and never read, and one that does.
#include "tests/api/fetch_bench.hpp"

using namespace leat;
using namespace leat::test;

namespace {

struct CrowdBench : FetchBench {
    explicit CrowdBench(std::size_t value_bytes, int batches) : FetchBench(1) {
        log.batch_bytes_max = 2 << 20;
        for (int i = 0; i < batches; ++i) append(0, {.value_bytes = value_bytes});
        flush();
    }
    void add_hostile(int count) {
        for (int i = 0; i < count; ++i) {
            hostile.push_back(open());
            send(hostile.back(), fetch_frame({}));
        }
    }
    void step() {
        advance(100);
        std::erase_if(hostile, [this](session::SessionId id) {
            const bool gone = closed(id);
            if (gone) sessions.closed(now, id);
            return gone;
        });
        settle();
    }
    /// How long until there is an answer, which is taken.
    milliseconds wait(session::SessionId id, const FetchSpec& spec) {
        const Instant began = now;
        send(id, fetch_frame(spec));
        while (sessions.poll_write(id).empty() && now - began < milliseconds(600'000)) step();
        taken = take(id).size();
        return std::chrono::duration_cast<milliseconds>(now - began);
    }

    std::vector<session::SessionId> hostile;
    std::size_t taken = 0;
};

}  // namespace

// Found with 200 of them: three at a time held the answers' memory for a second each, and honest
// consumers were served after more than a minute.
TEST_CASE("fetch crowd: who asks for much and never reads holds up nobody who asks for little") {
    CrowdBench bench(12'000, 300);
    bench.add_hostile(200);
    const auto honest = bench.open();
    for (int i = 0; i < 5; ++i) {
        CHECK(bench.wait(honest, {.partitions = {{0, 0, 20'000}}}) == milliseconds(0));
        CHECK(bench.taken > 12'000);
    }
}

TEST_CASE("fetch crowd: nor for long who asks for much and reads") {
    CrowdBench bench(12'000, 300);
    bench.add_hostile(200);
    const auto honest = bench.open();
    CHECK(bench.wait(honest, {}) <= milliseconds(9000));
    CHECK(bench.taken > 60'000);  // less than asked for, and more than one batch
    bench.add_hostile(100);
    CHECK(bench.wait(honest, {}) <= milliseconds(9000));
}

TEST_CASE("fetch crowd: where others hold memory a batch larger than a short answer comes whole") {
    CrowdBench bench(400'000, 4);
    bench.add_hostile(2);  // 1 MiB each
    const auto honest = bench.open(), later = bench.open();
    bench.send(later, fetch_frame({}));
    CHECK(bench.wait(honest, {}) <= milliseconds(6000));
    CHECK(bench.taken > 400'000);
    while (bench.sessions.poll_write(later).empty()) bench.step();
    CHECK(bench.take(later).size() > 400'000);
    for (const auto id : bench.hostile) bench.sessions.closed(bench.now, id);
    bench.settle();
    CHECK(bench.pool.counters().response_bytes == 0);
    CHECK(bench.pool.counters().waiting == 0);
}

TEST_CASE("fetch crowd: a short answer is not given where bytes_min is more") {
    CrowdBench bench(12'000, 300);
    bench.add_hostile(3);
    const auto honest = bench.open();
    CHECK(bench.wait(honest, {.wait_ms = 30'000, .bytes_min = 500'000}) <= milliseconds(6000));
    CHECK(bench.taken > 500'000);
}

// Each answer is one batch of a megabyte, of which strangers hold one at a time.
TEST_CASE("fetch crowd: who reads its answers is not held up where batches are of a megabyte") {
    CrowdBench bench(1'000'000, 4);
    const auto known = bench.open();
    CHECK(bench.wait(known, {}) == milliseconds(0));
    bench.add_hostile(200);
    CHECK(bench.pool.counters().waiting > 190);
    for (int i = 0; i < 20; ++i) {
        CHECK(bench.wait(known, {}) == milliseconds(0));
        CHECK(bench.taken > 1'000'000);
    }
    CHECK(bench.hostile.size() == 200);
    const auto stranger = bench.open();
    CHECK(bench.wait(stranger, {}) <= milliseconds(9000));
    for (int i = 0; i < 5; ++i) CHECK(bench.wait(stranger, {}) == milliseconds(0));
    CHECK(bench.hostile.size() > 180);
}

TEST_CASE("fetch crowd: who reads its answers gets as much as it asks for") {
    CrowdBench bench(12'000, 300);
    const auto known = bench.open();
    CHECK(bench.wait(known, {}) == milliseconds(0));
    bench.add_hostile(200);
    for (int i = 0; i < 20; ++i) {
        CHECK(bench.wait(known, {}) == milliseconds(0));
        CHECK(bench.taken > 1'000'000);
    }
}

TEST_CASE("fetch crowd: who leaves an answer half read is a stranger until it has read one") {
    CrowdBench bench(400'000, 4);
    const auto id = bench.open();
    CHECK(bench.wait(id, {}) == milliseconds(0));
    bench.add_hostile(20);
    bench.send(id, fetch_frame({}));
    CHECK(bench.sessions.poll_write(id).size() > 400'000);
    bench.sessions.sent(bench.now, id, 400'000);
    bench.send(id, fetch_frame({}));  // not looked at while so much is unsent
    bench.settle();
    CHECK(bench.waiting(id) > 0);
    CHECK(bench.take(id).size() > 400'000);
    CHECK(bench.wait(id, {}) == milliseconds(0));
}

namespace {

FetchSpec named(std::size_t times, std::int64_t offset, std::int32_t wait_ms) {
    return {.partitions = std::vector<Ask>(times, {.offset = offset}), .wait_ms = wait_ms};
}

}  // namespace

// Found by reading: sixteen bytes of a request are 144 of a fetch that waits for a minute.
TEST_CASE("fetch crowd: who names far more partitions than there are is hung up on") {
    CrowdBench bench(100, 1);
    const std::size_t most = bench.topics.registry.partition_count() + 10'000;
    const auto id = bench.open();
    bench.send(id, fetch_frame(named(most, 0, 0)));
    CHECK(bench.got(id).size() == most);
    bench.send(id, fetch_frame(named(most + 1, 0, 0)));
    CHECK(bench.closed(id));
    CHECK(bench.sessions.poll_event()->reason == session::CloseReason::no_memory);
    CHECK(bench.pool.counters().request_bytes == 0);
}

TEST_CASE("fetch crowd: what all who wait name is bounded, and who names few waits all the same") {
    CrowdBench bench(100, 1);
    constexpr std::size_t each = 8192, most = api::fetched_partitions_max / each;
    for (std::size_t i = 0; i <= most; ++i) {
        bench.hostile.push_back(bench.open());
        bench.send(bench.hostile.back(), fetch_frame(named(each, 1, 60'000)));
        CHECK(bench.sessions.poll_write(bench.hostile.back()).empty());
    }
    const auto many = bench.open(), few = bench.open();
    bench.send(many, fetch_frame(named(api::fetched_few + 1, 1, 500)));
    CHECK_FALSE(bench.take(many).empty());
    bench.send(few, fetch_frame(named(api::fetched_few, 1, 500)));
    CHECK(bench.take(few).empty());
    bench.advance(500);
    CHECK_FALSE(bench.take(few).empty());
    bench.sessions.closed(bench.now, bench.hostile.front());
    bench.send(many, fetch_frame(named(api::fetched_few + 1, 1, 500)));
    CHECK(bench.take(many).empty());
    for (std::size_t i = 1; i <= most; ++i) bench.sessions.closed(bench.now, bench.hostile[i]);
    CHECK(bench.api.parked().fetches == 1);
}

TEST_CASE("fetch crowd: a request that names many is counted until they are looked at") {
    CrowdBench bench(100, 1);
    bench.hold_turns = true;
    const auto id = bench.open();
    const Bytes frame = fetch_frame(named(5000, 1, 500));
    bench.send(id, frame);
    CHECK(bench.pool.counters().request_bytes == frame.size() - 4);
    while (bench.turn()) {
    }
    CHECK(bench.pool.counters().request_bytes == 0);
    CHECK(bench.api.parked().fetches == 1);
}
