// Truncation detection (KIP-320): a leader that lost records is found out before anything is read
// of what stands in their place.
#include <random>

#include "tests/cluster/reading.hpp"

using namespace leat;
using namespace leat::testing;

namespace {

using client::FetchNews;

/// What was told of truncation, with where the logs part.
std::vector<std::int64_t> truncations(const Rig& rig) {
    std::vector<std::int64_t> list;
    for (const cluster::RouterEvent& event : rig.events)
        if (event.kind == cluster::RouterEvent::Kind::fetch &&
            event.fetch.kind == FetchNews::truncated)
            list.push_back(event.fetch.partition->diverges_at);
    return list;
}

/// Ten records of epoch 0; six are left of them when another broker leads, and ten others follow.
void lose_and_write(ModelCluster& brokers) {
    brokers.lose_records("t", 0, 6, 1);
    fill_more(brokers, 0, 100, 110);
}

std::vector<std::string> names(int from, int to) {
    std::vector<std::string> list;
    for (int i = from; i < to; ++i) list.push_back("0/" + std::to_string(i));
    return list;
}

}  // namespace

TEST_CASE("truncation: reading goes on where the logs part, with a break at every step") {
    int swept = 0;
    for (const auto how : {Rig::Break::connect, Rig::Break::before_request,
                           Rig::Break::after_request, Rig::Break::half_answer}) {
        bool broke = true;
        for (int step = 0; broke; ++step) {
            for (std::int8_t isolation : {0, 1}) {
                ModelCluster brokers;
                for (std::int32_t node : {0, 1}) brokers.add_broker(node);
                brokers.add_topic("t", {0});
                fill(brokers, 1, 10);
                cluster::RouterConfig config = reading_config();
                config.fetcher.isolation_level = isolation;
                Rig rig(brokers, config);
                client::FetchPartition partition = partition_of("t", 0);
                rig.router.route(rig.now, partition);
                Reading reading(rig);
                rig.on_idle = [&] { return reading.read_all(); };
                REQUIRE(rig.run([&] { return reading.count() == 10; }));
                CHECK(partition.position_epoch == 0);
                rig.how = how;
                rig.break_at = step;
                rig.steps = 0;
                lose_and_write(brokers);
                INFO("how=", static_cast<int>(how), " step=", step);
                REQUIRE(rig.run([&] { return reading.count() >= 20; }));
                std::vector<std::string> want = names(0, 10);
                for (const std::string& value : names(100, 110)) want.push_back(value);
                CHECK(reading.values[0] == want);
                CHECK(truncations(rig) == std::vector<std::int64_t>{6});
                CHECK(partition.position == 16);
                CHECK(partition.position_epoch == 1);
                broke = rig.broke;
                swept += broke;
            }
        }
    }
    CHECK(swept > 20);
}

TEST_CASE("truncation: without a reset policy it is told once, and waits for a seek") {
    ModelCluster brokers;
    for (std::int32_t node : {0, 1}) brokers.add_broker(node);
    brokers.add_topic("t", {0});
    fill(brokers, 1, 10);
    cluster::RouterConfig config = reading_config();
    config.fetcher.reset = client::OffsetReset::none;
    Rig rig(brokers, config);
    client::FetchPartition partition = partition_of("t", 0);
    rig.router.route(rig.now, partition);
    Reading reading(rig);
    rig.on_idle = [&] { return reading.read_all(); };
    REQUIRE(rig.run([&] { return reading.count() == 10; }));
    lose_and_write(brokers);
    rig.run([] { return false; }, milliseconds{5000});
    CHECK(reading.count() == 10);
    CHECK(truncations(rig) == std::vector<std::int64_t>{6});
    rig.router.seek(rig.now, partition, 12);
    REQUIRE(rig.run([&] { return reading.count() == 14; }));
    CHECK(reading.values[0].back() == "0/109");
}

TEST_CASE(
    "truncation: another epoch of the same leader that lost nothing is checked, and no more") {
    ModelCluster brokers;
    brokers.add_broker(0);
    brokers.add_topic("t", {0});
    fill(brokers, 1, 10);
    Rig rig(brokers, reading_config());
    client::FetchPartition partition = partition_of("t", 0);
    rig.router.route(rig.now, partition);
    Reading reading(rig);
    rig.on_idle = [&] { return reading.read_all(); };
    REQUIRE(rig.run([&] { return reading.count() == 10; }));
    CHECK(brokers.asked[wire::ApiKey::offset_for_leader_epoch] == 0);
    brokers.move_leader("t", 0, 0);
    fill_more(brokers, 0, 10, 20);
    REQUIRE(rig.run([&] { return reading.count() == 20; }));
    CHECK(reading.values[0] == names(0, 20));
    CHECK(brokers.asked[wire::ApiKey::offset_for_leader_epoch] == 1);
    CHECK(truncations(rig).empty());
    CHECK(partition.leader_epoch == 1);
}

TEST_CASE("truncation: a committed epoch is checked before the first fetch") {
    for (const bool is_reached : {true, false}) {
        ModelCluster brokers;
        for (std::int32_t node : {0, 1}) brokers.add_broker(node);
        brokers.add_topic("t", {0});
        fill(brokers, 1, 10);
        lose_and_write(brokers);  // ends at 16, of epoch 1 from 6 on
        Rig rig(brokers, reading_config());
        client::FetchPartition partition = partition_of("t", 0);
        partition.position = partition.fetch_offset = is_reached ? 5 : 9;
        partition.position_epoch = 0;
        rig.router.route(rig.now, partition);
        Reading reading(rig);
        rig.on_idle = [&] { return reading.read_all(); };
        const std::size_t count = is_reached ? 11 : 10;
        REQUIRE(rig.run([&] { return reading.count() == count; }));
        CHECK(reading.values[0].front() == (is_reached ? "0/5" : "0/100"));
        CHECK(truncations(rig) ==
              (is_reached ? std::vector<std::int64_t>{} : std::vector<std::int64_t>{6}));
    }
}

TEST_CASE("truncation: an epoch that no leader has reached is waited for, and not for ever") {
    ModelCluster brokers;
    brokers.add_broker(0);
    brokers.add_topic("t", {0});
    fill(brokers, 1, 10);
    Rig rig(brokers, reading_config());
    client::FetchPartition partition = partition_of("t", 0);
    partition.position = partition.fetch_offset = 8;
    partition.position_epoch = 3;
    rig.router.route(rig.now, partition);
    Reading reading(rig);
    rig.on_idle = [&] { return reading.read_all(); };
    CHECK(!rig.run([&] { return reading.count() > 0; }, milliseconds{500}));
    CHECK(brokers.asked[wire::ApiKey::offset_for_leader_epoch] == 0);
    REQUIRE(rig.run([&] { return reading.count() == 10; }));  // from the earliest
    CHECK(truncations(rig) == std::vector<std::int64_t>{-1});
}

TEST_CASE("truncation: a leader that has not heard of its epoch yet is waited for") {
    ModelCluster brokers;
    brokers.add_broker(0);
    brokers.add_topic("t", {0});
    fill(brokers, 1, 10);
    auto ahead = brokers.topics;
    ahead["t"][0].epoch = 1;
    brokers.stale[0] = ahead;  // Metadata knows what the leader itself does not
    Rig rig(brokers, reading_config());
    client::FetchPartition partition = partition_of("t", 0);
    partition.position = partition.fetch_offset = 4;
    partition.position_epoch = 0;
    rig.router.route(rig.now, partition);
    Reading reading(rig);
    rig.on_idle = [&] { return reading.read_all(); };
    CHECK(!rig.run([&] { return reading.count() > 0; }, milliseconds{5000}));
    CHECK(brokers.asked[wire::ApiKey::fetch] == 0);  // the check comes first
    CHECK(brokers.asked[wire::ApiKey::offset_for_leader_epoch] > 2);
    CHECK(brokers.asked[wire::ApiKey::metadata] > 2);
    brokers.topics["t"][0].epoch = 1;
    REQUIRE(rig.run([&] { return reading.count() == 6; }));
    CHECK(reading.values[0] == names(4, 10));
    CHECK(truncations(rig).empty());
}

TEST_CASE("truncation: a seek that brings its epoch is checked, wherever it finds the partition") {
    for (const bool has_leader : {true, false}) {
        for (const std::int64_t to : {5, 9}) {
            ModelCluster brokers;
            for (std::int32_t node : {0, 1}) brokers.add_broker(node);
            brokers.add_topic("t", {0});
            fill(brokers, 1, 10);
            lose_and_write(brokers);
            Rig rig(brokers, reading_config());
            client::FetchPartition partition = partition_of("t", 0);
            partition.lookup = client::timestamp_latest;
            rig.router.route(rig.now, partition);
            Reading reading(rig);
            rig.on_idle = [&] { return reading.read_all(); };
            if (has_leader) REQUIRE(rig.run([&] { return partition.position == 16; }));
            rig.router.seek(rig.now, partition, to, 0);
            const std::size_t count = to == 5 ? 11 : 10;
            REQUIRE(rig.run([&] { return reading.count() == count; }));
            CHECK(reading.values[0].front() == (to == 5 ? "0/5" : "0/100"));
            CHECK(truncations(rig).size() == (to == 5 ? 0 : 1));
        }
    }
}

TEST_CASE("truncation: leader epochs of old brokers' Metadata are not asked for") {
    ModelCluster brokers;
    brokers.add_broker(0);
    brokers.add_topic("t", {0});
    std::set<std::int16_t> metadata_versions;
    brokers.on_any = [&](std::int32_t, const wire::Request& request) -> std::optional<Bytes> {
        if (request.header.api_key == wire::ApiKey::metadata)
            metadata_versions.insert(request.header.api_version);
        if (request.header.api_key != wire::ApiKey::api_versions) return std::nullopt;
        return without(wire::ApiKey::metadata, request, std::int16_t{8});
    };
    fill(brokers, 1, 10);
    Rig rig(brokers, reading_config());
    client::FetchPartition partition = partition_of("t", 0);
    rig.router.route(rig.now, partition);
    Reading reading(rig);
    rig.on_idle = [&] { return reading.read_all(); };
    REQUIRE(rig.run([&] { return reading.count() == 10; }));
    CHECK(metadata_versions == std::set<std::int16_t>{6});
    CHECK(partition.leader_epoch == -1);
}

TEST_CASE("truncation: a broker that cannot be asked is read from as ever") {
    ModelCluster brokers;
    brokers.add_broker(0);
    brokers.add_topic("t", {0});
    brokers.on_any = [](std::int32_t, const wire::Request& request) -> std::optional<Bytes> {
        if (request.header.api_key != wire::ApiKey::api_versions) return std::nullopt;
        return without(wire::ApiKey::offset_for_leader_epoch, request);
    };
    fill(brokers, 1, 10);
    Rig rig(brokers, reading_config());
    client::FetchPartition partition = partition_of("t", 0);
    partition.position = partition.fetch_offset = 8;
    partition.position_epoch = 0;
    rig.router.route(rig.now, partition);
    Reading reading(rig);
    rig.on_idle = [&] { return reading.read_all(); };
    REQUIRE(rig.run([&] { return reading.count() == 2; }));
    CHECK(truncations(rig).empty());
}

TEST_CASE("truncation: answers to the check that make no sense never stop the reading") {
    int spoiled = 0;
    for (std::uint32_t seed = 1; seed <= 150; ++seed) {
        INFO("SEED=", seed);
        std::mt19937 random(seed);
        ModelCluster brokers;
        for (std::int32_t node : {0, 1}) brokers.add_broker(node);
        brokers.add_topic("t", {0});
        fill(brokers, 1, 10);
        Rig rig(brokers, reading_config());
        client::FetchPartition partition = partition_of("t", 0);
        rig.router.route(rig.now, partition);
        Reading reading(rig);
        rig.on_idle = [&] { return reading.read_all(); };
        REQUIRE(rig.run([&] { return reading.count() == 10; }));
        rig.spoil = [&](Bytes& answer) {
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
            rig.run([] { return false; }, milliseconds{2000});
        }
        rig.spoil = nullptr;
        fill_more(brokers, 0, 100, 101);
        REQUIRE(rig.run([&] { return reading.values[0].back() == "0/100"; }));
    }
    CHECK(spoiled > 300);
}
