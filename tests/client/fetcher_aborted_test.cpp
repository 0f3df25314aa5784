// Read committed (KIP-98): nothing of an aborted transaction is shown, wherever answers begin and
// end.
#include <doctest/doctest.h>

#include <random>
#include <set>

#include "sdk/client/fetcher.hpp"
#include "sdk/wire/control_batch.hpp"
#include "tests/client/rig.hpp"

using namespace leat;
using namespace leat::client;
using namespace leat::testing;

namespace {

/// A log that several producers write transactions to, and what a reader may see of it.
struct Transactions {
    ModelBroker broker;
    ModelBroker::Partition& log = broker.at("t", 0);
    std::set<std::int64_t> committed, all;  // offsets of records

    struct Open {
        std::int64_t first = -1;
        std::vector<std::int64_t> offsets;
    };
    std::map<std::int64_t, Open> open;

    void append(std::int64_t producer_id, int records, bool in_transaction) {
        Bytes memory(4096);
        wire::BatchBuilder builder(memory);
        for (int i = 0; i < records; ++i)
            REQUIRE(builder.append({.timestamp = 1, .value = bytes_of(std::string("v"))}));
        const std::int16_t attributes = in_transaction ? wire::attribute::transactional : 0;
        const ByteView whole = builder.finish({.producer_id = producer_id,
                                               .producer_epoch = 0,
                                               .base_sequence = 0,
                                               .attributes = attributes});
        if (in_transaction && open[producer_id].first < 0) open[producer_id].first = log.end;
        for (int i = 0; i < records; ++i) {
            all.insert(log.end + i);
            if (in_transaction)
                open[producer_id].offsets.push_back(log.end + i);
            else
                committed.insert(log.end + i);
        }
        keep(Bytes(whole.begin(), whole.end()), records);
    }
    void end(std::int64_t producer_id, bool commits) {
        Open its = open[producer_id];
        open.erase(producer_id);
        if (its.first < 0) return;
        if (commits)
            committed.insert(its.offsets.begin(), its.offsets.end());
        else
            log.aborted.push_back({producer_id, its.first, log.end});
        Bytes marker(wire::control_batch_size);
        wire::write_control_marker(
            {.type = commits ? wire::ControlMarker::commit : wire::ControlMarker::abort},
            {.producer_id = producer_id, .base_offset = log.end}, marker.data());
        keep(std::move(marker), 1);
    }
    void keep(Bytes batch, std::int32_t count) {
        store_big(batch.data(), log.end);
        log.log.push_back({std::move(batch), log.end, count, {}});
        log.end += count;
    }

    std::set<std::int64_t> read(std::int64_t from, const FetcherConfig& config) {
        Link link(broker);
        Bytes prefetch(8192);
        std::vector<Fetcher::Run> runs(4);
        Fetcher fetcher(link.connection, {prefetch, runs}, config, 1, 5);
        FetchPartition partition{.topic = "t", .partition = 0};
        Instant now = instant_ms(1000);
        const auto drain = [&] {
            while (auto event = link.connection.poll_event(now)) fetcher.on_event(now, *event);
            while (fetcher.poll_event()) {
            }
        };
        link.connection.on_connected(now);
        drain();
        fetcher.assign(partition);
        fetcher.seek(partition, from);
        std::set<std::int64_t> seen;
        std::int64_t before = from - 1;
        for (int turn = 0; turn < 5000 && partition.position < log.end; ++turn) {
            fetcher.pump(now);
            link.write(now);
            link.serve_one();
            for (std::size_t at = 0; at < link.to_client.size();) {
                at += link.connection.on_bytes(now, ByteView(link.to_client).subspan(at));
                drain();
            }
            link.to_client.clear();
            while (auto record = fetcher.next(now)) {
                CHECK(record->offset > before);
                before = record->offset;
                seen.insert(record->offset);
            }
        }
        CHECK(partition.position == log.end);
        return seen;
    }
};

std::set<std::int64_t> at_or_after(const std::set<std::int64_t>& offsets, std::int64_t from) {
    return {offsets.lower_bound(from), offsets.end()};
}

}  // namespace

TEST_CASE("fetcher: of interleaved transactions read committed shows what was committed") {
    int hidden = 0;
    for (unsigned seed = 1; seed <= 60; ++seed) {
        std::mt19937 random(seed);
        const auto below = [&](unsigned n) { return random() % n; };
        Transactions t;
        for (int step = 0; step < 120; ++step) {
            const std::int64_t producer = 1 + below(4);
            const unsigned what = below(10);
            if (what < 6)
                t.append(producer, 1 + static_cast<int>(below(3)), true);
            else if (what == 6)
                t.append(100, 1, false);  // idempotent, without a transaction
            else
                t.end(producer, below(2) == 0);
        }
        for (std::int64_t producer = 1; producer <= 4; ++producer) t.end(producer, below(2) == 0);
        if (seed % 3 == 0) std::shuffle(t.log.aborted.begin(), t.log.aborted.end(), random);
        hidden += static_cast<int>(t.all.size() - t.committed.size());
        for (const std::uint32_t bytes_max : {100U, 400U, 2500U}) {
            const std::int64_t from = seed % 2 == 0 ? 0 : static_cast<std::int64_t>(below(80));
            INFO("seed=", seed, " bytes_max=", bytes_max, " from=", from);
            FetcherConfig config{.bytes_max = bytes_max, .isolation_level = 1};
            CHECK(t.read(from, config) == at_or_after(t.committed, from));
            config.isolation_level = 0;
            CHECK(t.read(from, config) == at_or_after(t.all, from));
        }
    }
    CHECK(hidden > 1000);
}

TEST_CASE("fetcher: an abort marker ends every transaction before it, also one whose own is gone") {
    Transactions t;
    t.append(1, 2, true);
    t.end(1, false);
    t.append(1, 2, true);
    t.end(1, false);
    t.append(1, 2, true);
    t.end(1, true);
    t.log.log.erase(t.log.log.begin() + 1);  // compaction took the first marker, at offset 2
    CHECK(t.read(0, {.isolation_level = 1}) == std::set<std::int64_t>{6, 7});
}

TEST_CASE("fetcher: a broker cannot hide records by what stands in a batch's leader epoch") {
    Transactions t;
    t.append(1, 2, false);
    store_big(t.log.log[0].batch.data() + 12, std::int32_t{INT32_MIN});
    for (const std::int8_t isolation : {std::int8_t{0}, std::int8_t{1}})
        CHECK(t.read(0, {.isolation_level = isolation}) == std::set<std::int64_t>{0, 1});
}
