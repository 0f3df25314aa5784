// How often a Fetcher asks: what it has it does not ask for twice, and what nobody can tell it asks
// for seldom.
#include <doctest/doctest.h>

#include "tests/client/fetcher_rig.hpp"

using namespace leat;
using namespace leat::client;
using namespace leat::testing;

TEST_CASE("fetcher: who reads all that is here does not make void the answer that is under way") {
    Reader r;
    r.fill(10, 10);
    r.fetcher.assign(r.partition);
    r.fetcher.seek(r.partition, 0);
    r.turn();  // here, and what comes next was asked for at once
    r.fill(10, 10);
    for (int i = 0; i < 10; ++i) REQUIRE(r.fetcher.next(r.now));
    CHECK(!r.fetcher.next(r.now));
    r.turn();
    for (std::int64_t offset = 10; offset < 20; ++offset) {
        const auto record = r.fetcher.next(r.now);
        REQUIRE(record);
        CHECK(record->offset == offset);
    }
    CHECK(r.broker.requests == 2);
}

TEST_CASE("fetcher: each batch is fetched once, however fast it is read") {
    Reader r(64 * KiB, {.bytes_max = 400});  // two batches at a time, and always one more asked for
    r.fill(200, 10);
    r.fetcher.assign(r.partition);
    r.fetcher.seek(r.partition, 0);
    std::vector<std::int64_t> offsets;
    std::size_t bytes = 0;
    for (int i = 0; i < 100 && offsets.size() < 200; ++i) {
        r.fetcher.pump(r.now);
        r.link.write(r.now);
        r.link.serve_one();
        bytes += r.link.to_client.size();
        r.turn();
        while (const auto record = r.fetcher.next(r.now)) offsets.push_back(record->offset);
    }
    CHECK(offsets == range(0, 200));
    std::size_t stored = 0;
    for (const auto& batch : r.broker.at("t", 0).log) stored += batch.batch.size();
    CHECK(bytes < stored + stored / 2);  // the batches, and what an answer has beside them
}

TEST_CASE("fetcher: an end that the broker does not tell is asked for again, but not at once") {
    for (const std::int64_t lookup : {timestamp_latest, timestamp_earliest}) {
        Reader r;
        r.broker.at("t", 0).end = -1;
        r.broker.at("t", 0).log.push_back({{}, -1, 1, {}});
        r.partition.lookup = lookup;
        r.fetcher.assign(r.partition);
        for (int i = 0; i < 10; ++i) r.turn();
        CHECK(r.broker.requests == 1);
        CHECK(r.partition.position == -1);
        r.broker.at("t", 0).log.clear();
        r.broker.at("t", 0).end = 0;
        r.now += milliseconds{1000};
        r.turn();
        CHECK(r.partition.position == 0);
    }
}
