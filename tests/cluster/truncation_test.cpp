// Truncation detection (KIP-320): a leader that lost records is found out before anything is read
// of what stands in their place.
#include <random>

#include "tests/cluster/reading.hpp"

using namespace leat;
using namespace leat::testing;

namespace {

using client::FetchNews;

/// Ten records of epoch 0 that a consumer reads.
struct Bench : OneReader {
    explicit Bench(std::initializer_list<std::int32_t> nodes,
                   cluster::RouterConfig config = reading_config())
        : OneReader(nodes, std::move(config)) {
        fill(brokers, 1, 10);
    }
    /// From there on, as a committed offset says.
    void begin_at(std::int64_t offset, std::int32_t epoch) {
        partition.position = partition.fetch_offset = offset;
        partition.position_epoch = epoch;
    }
    /// Six are left of them when another broker leads, and ten others follow.
    void lose_and_write() {
        brokers.lose_records("t", 0, 6, 1);
        fill_more(brokers, 0, 100, 110);
    }
    /// What was told of truncation, with where the logs part.
    std::vector<std::int64_t> truncations() const {
        std::vector<std::int64_t> list;
        for (const cluster::RouterEvent& event : rig.events)
            if (event.kind == cluster::RouterEvent::Kind::fetch &&
                event.fetch.kind == FetchNews::truncated)
                list.push_back(event.fetch.partition->diverges_at);
        return list;
    }
};

std::vector<std::string> names(int from, int to) {
    std::vector<std::string> list;
    for (int i = from; i < to; ++i) list.push_back("0/" + std::to_string(i));
    return list;
}

/// ApiVersions answers that leave out `old`, or its versions above `last`.
void serve_without(ModelCluster& brokers, wire::ApiKey old,
                   std::optional<std::int16_t> last = std::nullopt) {
    brokers.on_any = [=](std::int32_t, const wire::Request& request) -> std::optional<Bytes> {
        if (request.header.api_key != wire::ApiKey::api_versions) return std::nullopt;
        return without(old, request, last);
    };
}

}  // namespace

TEST_CASE("truncation: reading goes on where the logs part, with a break at every step") {
    int swept = 0;
    for (const auto how : {Rig::Break::connect, Rig::Break::before_request,
                           Rig::Break::after_request, Rig::Break::half_answer}) {
        bool broke = true;
        for (int step = 0; broke; ++step) {
            for (std::int8_t isolation : {0, 1}) {
                cluster::RouterConfig config = reading_config();
                config.fetcher.isolation_level = isolation;
                Bench bench({0, 1}, config);
                bench.start();
                REQUIRE(bench.reads(10));
                CHECK(bench.partition.position_epoch == 0);
                bench.rig.how = how;
                bench.rig.break_at = step;
                bench.rig.steps = 0;
                bench.lose_and_write();
                INFO("how=", static_cast<int>(how), " step=", step);
                REQUIRE(bench.rig.run([&] { return bench.reading.count() >= 20; }));
                std::vector<std::string> want = names(0, 10);
                for (const std::string& value : names(100, 110)) want.push_back(value);
                CHECK(bench.reading.values[0] == want);
                CHECK(bench.truncations() == std::vector<std::int64_t>{6});
                CHECK(bench.partition.position == 16);
                CHECK(bench.partition.position_epoch == 1);
                broke = bench.rig.broke;
                swept += broke;
            }
        }
    }
    CHECK(swept > 20);
}

TEST_CASE("truncation: without a reset policy it is told once, and waits for a seek") {
    cluster::RouterConfig config = reading_config();
    config.fetcher.reset = client::OffsetReset::none;
    Bench bench({0, 1}, config);
    bench.start();
    REQUIRE(bench.reads(10));
    bench.lose_and_write();
    bench.pass(milliseconds{5000});
    CHECK(bench.reading.count() == 10);
    CHECK(bench.truncations() == std::vector<std::int64_t>{6});
    bench.rig.router.seek(bench.rig.now, bench.partition, 12);
    REQUIRE(bench.reads(14));
    CHECK(bench.reading.values[0].back() == "0/109");
}

TEST_CASE(
    "truncation: another epoch of the same leader that lost nothing is checked, and no more") {
    Bench bench({0});
    auto& asked = bench.brokers.asked[wire::ApiKey::offset_for_leader_epoch];
    bench.start();
    REQUIRE(bench.reads(10));
    CHECK(asked == 0);
    bench.brokers.move_leader("t", 0, 0);
    fill_more(bench.brokers, 0, 10, 20);
    REQUIRE(bench.reads(20));
    CHECK(bench.reading.values[0] == names(0, 20));
    CHECK(asked == 1);
    CHECK(bench.truncations().empty());
    CHECK(bench.partition.leader_epoch == 1);
}

TEST_CASE("truncation: a committed epoch is checked before the first fetch") {
    for (const bool is_reached : {true, false}) {
        Bench bench({0, 1});
        bench.lose_and_write();  // ends at 16, of epoch 1 from 6 on
        bench.begin_at(is_reached ? 5 : 9, 0);
        bench.start();
        REQUIRE(bench.reads(is_reached ? 11 : 10));
        CHECK(bench.reading.values[0].front() == (is_reached ? "0/5" : "0/100"));
        CHECK(bench.truncations() ==
              (is_reached ? std::vector<std::int64_t>{} : std::vector<std::int64_t>{6}));
    }
}

TEST_CASE("truncation: an epoch that no leader has reached is waited for, and not for ever") {
    Bench bench({0});
    bench.begin_at(8, 3);
    bench.start();
    bench.pass(milliseconds{500});
    CHECK(bench.reading.count() == 0);
    CHECK(bench.brokers.asked[wire::ApiKey::offset_for_leader_epoch] == 0);
    REQUIRE(bench.reads(10));  // from the earliest
    CHECK(bench.truncations() == std::vector<std::int64_t>{-1});
}

TEST_CASE("truncation: a leader that has not heard of its epoch yet is waited for") {
    Bench bench({0});
    auto ahead = bench.brokers.topics;
    ahead["t"][0].epoch = 1;
    bench.brokers.stale[0] = ahead;  // Metadata knows what the leader itself does not
    bench.begin_at(4, 0);
    bench.start();
    bench.pass(milliseconds{5000});
    CHECK(bench.reading.count() == 0);
    CHECK(bench.brokers.asked[wire::ApiKey::fetch] == 0);  // the check comes first
    CHECK(bench.brokers.asked[wire::ApiKey::offset_for_leader_epoch] > 2);
    CHECK(bench.brokers.asked[wire::ApiKey::metadata] > 2);
    bench.brokers.topics["t"][0].epoch = 1;
    REQUIRE(bench.reads(6));
    CHECK(bench.reading.values[0] == names(4, 10));
    CHECK(bench.truncations().empty());
}

TEST_CASE("truncation: a seek that brings its epoch is checked, wherever it finds the partition") {
    for (const bool has_leader : {true, false}) {
        for (const std::int64_t to : {5, 9}) {
            Bench bench({0, 1});
            bench.lose_and_write();
            bench.partition.lookup = client::timestamp_latest;
            bench.start();
            if (has_leader) REQUIRE(bench.rig.run([&] { return bench.partition.position == 16; }));
            bench.rig.router.seek(bench.rig.now, bench.partition, to, 0);
            REQUIRE(bench.reads(to == 5 ? 11 : 10));
            CHECK(bench.reading.values[0].front() == (to == 5 ? "0/5" : "0/100"));
            CHECK(bench.truncations().size() == (to == 5 ? 0 : 1));
        }
    }
}

TEST_CASE("truncation: leader epochs of old brokers' Metadata are not asked for") {
    Bench bench({0});
    std::set<std::int16_t> metadata_versions;
    serve_without(bench.brokers, wire::ApiKey::metadata, std::int16_t{8});
    bench.brokers.on_any = [&, serve = bench.brokers.on_any](std::int32_t node,
                                                             const wire::Request& request) {
        if (request.header.api_key == wire::ApiKey::metadata)
            metadata_versions.insert(request.header.api_version);
        return serve(node, request);
    };
    bench.start();
    REQUIRE(bench.reads(10));
    CHECK(metadata_versions == std::set<std::int16_t>{6});
    CHECK(bench.partition.leader_epoch == -1);
}

TEST_CASE("truncation: a broker that cannot be asked is read from as ever") {
    Bench bench({0});
    serve_without(bench.brokers, wire::ApiKey::offset_for_leader_epoch);
    bench.begin_at(8, 0);
    bench.start();
    REQUIRE(bench.reads(2));
    CHECK(bench.truncations().empty());
}

TEST_CASE("truncation: answers to the check that make no sense never stop the reading") {
    int spoiled = 0;
    for (std::uint32_t seed = 1; seed <= 150; ++seed) {
        INFO("SEED=", seed);
        std::mt19937 random(seed);
        Bench bench({0, 1});
        ModelCluster& brokers = bench.brokers;
        bench.start();
        REQUIRE(bench.reads(10));
        bench.rig.spoil = [&](Bytes& answer) {
            constexpr std::size_t front = 13;  // length, header, throttle time
            if (brokers.trace.back().second != wire::ApiKey::offset_for_leader_epoch) return;
            if (random() % 4 == 0 || answer.size() <= front) return;
            ++spoiled;
            std::uint8_t& at = answer[front + random() % (answer.size() - front)];
            at = static_cast<std::uint8_t>(random() % 2 ? at ^ 1 << random() % 8 : random());
        };
        for (int round = 0; round < 4; ++round) {
            brokers.move_leader("t", 0, static_cast<std::int32_t>(random() % 2));
            fill_more(brokers, 0, 10 + round, 11 + round);
            bench.pass(milliseconds{2000});
        }
        bench.rig.spoil = nullptr;
        fill_more(brokers, 0, 100, 101);
        REQUIRE(bench.rig.run([&] { return bench.reading.values[0].back() == "0/100"; }));
    }
    CHECK(spoiled > 300);
}
