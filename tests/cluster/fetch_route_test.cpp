// Reading through the Router: positions follow their leaders.
#include "tests/cluster/reading.hpp"
#include "tests/support/batches.hpp"

using namespace leat;
using namespace leat::testing;

TEST_CASE(
    "router: reads every partition in order while leaders move and connections break at every "
    "step") {
    int swept = 0;
    for (const auto how : {Rig::Break::connect, Rig::Break::before_request,
                           Rig::Break::after_request, Rig::Break::half_answer}) {
        for (int step = 0;; ++step) {
            ModelCluster cluster;
            for (std::int32_t node : {0, 1, 2}) cluster.add_broker(node);
            cluster.add_topic("t", {0, 1, 2});
            fill(cluster, 3, 20);
            Rig rig(cluster, reading_config());
            rig.how = how;
            rig.break_at = step;
            std::vector<client::FetchPartition> partitions;
            for (std::int32_t p = 0; p < 3; ++p) partitions.push_back(partition_of("t", p));
            for (auto& partition : partitions) rig.router.route(rig.now, partition);
            Reading reading(rig);
            bool moved = false;
            rig.on_idle = [&] {
                const bool got = reading.read_all();
                if (!moved && reading.count() > 0) {
                    moved = true;
                    cluster.move_leader("t", 0, 2);
                    cluster.move_leader("t", 1, 0);
                    for (std::int32_t p = 0; p < 3; ++p) fill_more(cluster, p, 20, 30);
                }
                return got;
            };
            INFO("how=", static_cast<int>(how), " step=", step);
            REQUIRE(rig.run([&] { return reading.count() >= 90; }));
            for (std::int32_t p = 0; p < 3; ++p)
                REQUIRE(reading.values[p] == cluster.store.at("t", p).values());
            if (!rig.broke) break;
            ++swept;
        }
    }
    MESSAGE("breaks swept: ", swept);
    CHECK(swept > 20);
}

TEST_CASE("router: a seek before the leader is known is kept") {
    OneReader reader({1, 0});
    fill(reader.brokers, 1, 10);
    reader.start();
    reader.rig.router.seek(reader.rig.now, reader.partition, 7);
    REQUIRE(reader.reads(3));
    CHECK(reader.reading.values[0] == std::vector<std::string>{"0/7", "0/8", "0/9"});
    CHECK(reader.brokers.asked[wire::ApiKey::list_offsets] == 0);
}

TEST_CASE("router: a partition that was added since its topic was asked for is read at once") {
    ModelCluster cluster;
    cluster.add_broker(0);
    cluster.add_broker(1);
    cluster.add_topic("t", {0});
    fill(cluster, 1, 5);
    Rig rig(cluster, reading_config());
    client::FetchPartition first = partition_of("t", 0), second = partition_of("t", 1);
    rig.router.route(rig.now, first);
    Reading reading(rig);
    rig.on_idle = [&] { return reading.read_all(); };
    REQUIRE(rig.run([&] { return reading.values[0].size() == 5; }));
    cluster.topics["t"].push_back({1, 0});
    fill_more(cluster, 1, 0, 5);
    rig.router.route(rig.now, second);
    rig.router.pump(rig.now);
    REQUIRE(rig.run([&] { return reading.values[1].size() == 5; }, milliseconds{3000}));
}

TEST_CASE("router: what is paused is not returned, and comes when it is resumed") {
    ModelCluster cluster;
    cluster.add_broker(0);
    cluster.add_broker(1);
    cluster.add_topic("t", {0, 1});
    fill(cluster, 2, 5);
    Rig rig(cluster, reading_config());
    client::FetchPartition first = partition_of("t", 0), second = partition_of("t", 1);
    rig.router.route(rig.now, first);
    rig.router.route(rig.now, second);
    rig.router.pause(first, true);
    Reading reading(rig);
    rig.on_idle = [&] { return reading.read_all(); };
    REQUIRE(rig.run([&] { return reading.values[1].size() == 5; }));
    rig.run([] { return false; }, milliseconds{500});
    CHECK(reading.values[0].empty());
    rig.router.pause(first, false);
    REQUIRE(rig.run([&] { return reading.values[0].size() == 5; }));
}

TEST_CASE("router: a partition that is unrouted is read no more, and can be destroyed") {
    ModelCluster cluster;
    cluster.add_broker(0);
    cluster.add_broker(1);
    cluster.add_topic("t", {0, 1});
    fill(cluster, 2, 5);
    Rig rig(cluster, reading_config());
    auto gone = std::make_unique<client::FetchPartition>(partition_of("t", 0));
    client::FetchPartition stays = partition_of("t", 1);
    rig.router.route(rig.now, *gone);
    rig.router.route(rig.now, stays);
    rig.settle();
    rig.router.unroute(*gone);
    gone.reset();
    Reading reading(rig);
    rig.on_idle = [&] { return reading.read_all(); };
    REQUIRE(rig.run([&] { return reading.values[1].size() == 5; }));
    CHECK(reading.values[0].empty());
}

TEST_CASE("router: a batch longer than everything configured comes through") {
    cluster::RouterConfig config = reading_config();
    config.prefetch_bytes = 128 * 1024;
    OneReader reader({0}, config);
    const Bytes batch = test::make_batch({.records = 3, .value_bytes = 200'000});
    auto& stored = reader.brokers.store.at("t", 0);
    stored.log.push_back({batch, 0, 3, {}});
    stored.end = 3;
    reader.start();
    REQUIRE(reader.reads(3, milliseconds{10'000}));
    CHECK(reader.reading.values[0][2] == std::string(200'000, 'v'));
}

TEST_CASE("router: what was told of a partition goes with it") {
    ModelCluster cluster;
    cluster.add_broker(0);
    cluster.add_topic("t", {0});
    fill(cluster, 1, 5);
    cluster.store.at("t", 0).log[0].batch[70] ^= 0x10;
    Rig rig(cluster, reading_config());
    auto gone = std::make_unique<client::FetchPartition>(partition_of("t", 0));
    rig.router.route(rig.now, *gone);
    rig.run([&] { return rig.router.next_record(rig.now) || gone->failures > 0; });
    REQUIRE(gone->failures > 0);
    rig.router.pump(rig.now);  // as a seek of another partition does
    rig.router.unroute(*gone);
    const client::FetchPartition* const its = gone.get();
    gone.reset();
    rig.router.pump(rig.now);
    while (const auto event = rig.router.poll_event())
        CHECK((event->kind != cluster::RouterEvent::Kind::fetch || event->fetch.partition != its));
}

TEST_CASE("router: who stands still until a seek does so from the start, and a seek ends it") {
    for (const bool is_placed : {false, true}) {
        OneReader reader({0});
        fill(reader.brokers, 1, 5);
        reader.partition.not_before = never;
        reader.start();
        if (is_placed) {
            reader.pass(milliseconds{3000});
            CHECK(reader.partition.position == -1);
            CHECK(reader.reading.count() == 0);
        }
        reader.rig.router.seek(reader.rig.now, reader.partition, 3);
        REQUIRE(reader.reads(2, milliseconds{3000}));
    }
}
