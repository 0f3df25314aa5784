// A fetch whose first batch is larger than it had planned for starts over, once, with more memory.
#include <malloc.h>

#include "tests/api/fetch_bench.hpp"

using namespace leat;
using namespace leat::test;

namespace {

/// The log's reads come back one by one: a fetch that started over again and again would be seen.
struct AgainBench : FetchBench {
    AgainBench() { log.hold_reads = true; }
    /// Reads until there is an answer; more than ten: there is none.
    std::size_t reads_until_answered(session::SessionId id) {
        const std::size_t before = log.reads_started;
        for (int i = 0; i < 10 && sessions.poll_write(id).empty(); ++i) {
            log.release_reads();
            settle();
        }
        CHECK_FALSE(sessions.poll_write(id).empty());
        return log.reads_started - before;
    }
};

}  // namespace

TEST_CASE("fetch again: a batch above all that was asked for comes with the second read") {
    for (const std::int32_t bytes_max : {0, 1, 2000, 100'000}) {
        for (const std::int32_t bytes_min : {0, 1, 1000}) {
            CAPTURE(bytes_max);
            CAPTURE(bytes_min);
            AgainBench bench;
            bench.append(0, {.value_bytes = 200'000});
            bench.append(0);
            bench.flush();
            const auto id = bench.open();
            const FetchSpec spec{.partitions = {{0, 0, bytes_max}}, .bytes_min = bytes_min};
            bench.send(id, fetch_frame(spec));
            CHECK(bench.reads_until_answered(id) == 1);  // and the one before
            const auto got = bench.got(id);
            CHECK(got[0].offsets == Offsets{0});
            CHECK(got[0].records.size() > 200'000);
            CHECK(bench.pool.counters().response_bytes == 0);
        }
    }
}

// Where others hold memory a fetch is given a short answer's. It is not given that once more when
// it is known to be too little, though it is there: there would be no end.
TEST_CASE("fetch again: where memory is short it waits for enough, and reads once more") {
    AgainBench bench;
    bench.append(0, {.value_bytes = 400'000});
    bench.flush();
    session::Grant others =
        *bench.pool.ask(session::PoolClass::response, 2'200'000, 99, session::Asker::known);
    const auto id = bench.open();
    bench.send(id, fetch_frame({}));
    CHECK(bench.pool.counters().waiting == 0);
    bench.log.release_reads();
    bench.settle();
    CHECK(bench.pool.counters().waiting == 1);
    const std::size_t reads = bench.log.reads_started;
    for (int i = 0; i < 10; ++i) {
        bench.log.release_reads();
        bench.settle();
    }
    CHECK(bench.log.reads_started == reads);
    others.release();
    bench.settle();
    CHECK(bench.reads_until_answered(id) == 0);
    CHECK(bench.got(id)[0].records.size() > 400'000);
    CHECK(bench.log.reads_started == reads + 1);
}

// It parks when bytes_min is not there, and gives its memory back; what comes next is planned anew.
TEST_CASE("fetch again: what a batch needed is forgotten when that is not what is read next") {
    FetchBench bench;
    bench.append(0, {.value_bytes = 200'000});
    bench.flush();
    const auto id = bench.open();
    bench.send(id, fetch_frame({.partitions = {{0, 0, 1000}, {1, 0, 2000}},
                                .wait_ms = 500,
                                .bytes_min = 201'000}));
    CHECK(bench.log.read_room > 200'000);
    CHECK(bench.pool.counters().response_bytes == 0);
    // Its records are deleted; the other partition gets some.
    const auto& partitions = bench.topics.registry.find("t")->partitions;
    REQUIRE(bench.log.set_log_start(bench.now, partitions[0], 1));
    bench.append(1, {.value_bytes = 1500});
    bench.flush();
    const auto got = bench.got(id);
    REQUIRE(got.size() == 2);
    CHECK(got[0].error == ErrorCode::offset_out_of_range);
    CHECK(got[1].offsets == Offsets{0});
    CHECK(bench.log.read_room < 3000);  // within the memory that there is
}

// A committed position may lie anywhere in a batch, and DeleteRecords begins the log there: what
// the log says of its bytes then says nothing of the first batch.
TEST_CASE("fetch again: batches of which only the end is asked for come with one answer") {
    FetchBench bench;
    const BatchSpec spec{.records = 100, .value_bytes = 60};
    for (const std::int32_t partition : {0, 1, 2}) bench.append(partition, spec);
    bench.append(2, spec);
    bench.flush();
    const auto all = [&](const std::vector<Got>& got) {
        CHECK(got[0].offsets == Offsets{0});
        CHECK(got[1].offsets == Offsets{0});
        CHECK(got[2].offsets == Offsets{0, 100});
    };
    all(bench.fetch({.partitions = {{0, 98}, {1, 99}, {2, 40}}}));
    const auto streams = bench.topics.registry.find("t")->partitions;
    REQUIRE(bench.log.set_log_start(bench.now, streams[0], 50));
    REQUIRE(bench.log.set_log_start(bench.now, streams[1], 90));
    REQUIRE(bench.log.set_log_start(bench.now, streams[2], 40));
    bench.flush();
    all(bench.fetch({.partitions = {{0, 50}, {1, 90}, {2, 40}}}));
}

TEST_CASE("fetch again: a few large batches behind many small ones come with one answer") {
    FetchBench bench;
    for (int i = 0; i < 200; ++i) bench.append(0);
    for (int i = 0; i < 6; ++i) bench.append(0, {.value_bytes = 20'000});
    bench.flush();
    const FetchSpec spec{.partitions = {{0, 200}}};
    CHECK(bench.fetch(spec)[0].offsets == Offsets{200, 201, 202, 203, 204, 205});
    CHECK(bench.pool.counters().response_bytes == 0);
    // Not where others hold the memory: what was read is the answer.
    const session::Grant others =
        *bench.pool.ask(session::PoolClass::response, 2'200'000, 99, session::Asker::known);
    CHECK(bench.fetch(spec)[0].offsets == Offsets{200});
    CHECK(bench.pool.counters().waiting == 0);
}

// One flush brings records to all of them, and the first of them wakes the fetch.
TEST_CASE("fetch again: what came to several partitions at once is read at once") {
    AgainBench bench;
    const auto id = bench.open();
    bench.send(id, fetch_frame({.partitions = {{0}, {1}, {2}}, .wait_ms = 500}));
    for (const std::int32_t partition : {0, 1, 2}) bench.append(partition, {.value_bytes = 2'000});
    bench.flush();
    CHECK(bench.reads_until_answered(id) + 1 == 3);
    for (const Got& one : bench.got(id)) CHECK(one.offsets == Offsets{0});
}

TEST_CASE("fetch again: not where half of what the client takes is there already") {
    AgainBench bench;
    for (int i = 0; i < 200; ++i) bench.append(0);
    for (int i = 0; i < 6; ++i) bench.append(0, {.value_bytes = 20'000});
    bench.flush();
    const auto id = bench.open();
    bench.send(id, fetch_frame({.partitions = {{0, 200}}, .bytes_max = 39'000}));
    CHECK(bench.reads_until_answered(id) <= 1);  // the first batch whole
    CHECK(bench.got(id)[0].offsets == Offsets{200});
}

TEST_CASE("fetch again: until it is read an answer holds no more memory than it is long") {
    const auto held = [] { return mallinfo2().uordblks + mallinfo2().hblkhd; };
    FetchBench bench;
    for (int i = 0; i < 200; ++i) bench.append(0);
    for (int i = 0; i < 6; ++i) bench.append(0, {.value_bytes = 20'000});
    bench.flush();
    const auto before = held();
    const auto id = bench.open();
    bench.send(id, fetch_frame({.partitions = {{0, 200}}}));
    CHECK_FALSE(bench.sessions.poll_write(id).empty());
    CHECK(held() < before + 512 * KiB);
    CHECK(bench.got(id)[0].offsets == Offsets{200, 201, 202, 203, 204, 205});
}
