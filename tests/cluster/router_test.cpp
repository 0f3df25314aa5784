#include "tests/cluster/rig.hpp"

using namespace leat;
using namespace leat::testing;
using leat::cluster::RouterEvent;

namespace {

void three_brokers(ModelCluster& cluster) {
    for (std::int32_t node : {0, 1, 2}) cluster.add_broker(node);
    cluster.add_topic("t", {0, 1, 2, 1});
}

std::vector<std::string> expected_values(std::int32_t partition, int count) {
    std::vector<std::string> values;
    for (int i = 0; i < count; ++i)
        values.push_back(std::to_string(partition) + "/" + std::to_string(i));
    return values;
}

std::size_t count_events(const Rig& rig, RouterEvent::Kind kind) {
    std::size_t count = 0;
    for (const RouterEvent& event : rig.events) count += event.kind == kind;
    return count;
}

}  // namespace

TEST_CASE("router: records go to the leaders of their partitions and nowhere else") {
    ModelCluster cluster;
    three_brokers(cluster);
    Rig rig(cluster);
    TestProducer producer(rig, "t", 4);
    for (int i = 0; i < 10; ++i)
        for (std::int32_t p = 0; p < 4; ++p)
            REQUIRE(producer.send(p, std::to_string(p) + "/" + std::to_string(i)));
    REQUIRE(rig.run([&] { return producer.is_done(); }));
    CHECK(producer.failed == 0);
    for (std::int32_t p = 0; p < 4; ++p)
        CHECK(cluster.store.at("t", p).values() == expected_values(p, 10));
    CHECK(cluster.store.out_of_order == 0);
    CHECK(cluster.store.duplicates == 0);
    CHECK(rig.router.connected_count() == 3);
    CHECK(cluster.asked[wire::ApiKey::init_producer_id] ==
          1);  // one producer, however many brokers
    CHECK(cluster.asked[wire::ApiKey::metadata] == 1);
}

TEST_CASE("router: where there are more topics than a question can name, all are asked for") {
    ModelCluster cluster;
    three_brokers(cluster);
    cluster::RouterConfig config = test_config();
    config.send_bytes = 1024;
    Rig rig(cluster, std::move(config));
    std::vector<std::string> names;
    for (int i = 0; i < 40; ++i) names.push_back("a-topic-with-a-long-name-" + std::to_string(i));
    for (const std::string& name : names) {
        if (&name != &names.back()) cluster.add_topic(name, {0});
        rig.router.want(rig.now, name);
    }
    rig.router.pump(rig.now);
    const auto& metadata = rig.router.metadata();
    REQUIRE(rig.run([&] { return metadata.leader(names[0], 0) == 0; }, milliseconds{5000}));
    CHECK(metadata.leader(names[38], 0) == 0);
    cluster.add_topic(names.back(), {2});  // what was missing is asked for until it is there
    CHECK(rig.run([&] { return metadata.leader(names.back(), 0) == 2; }, milliseconds{5000}));
}

TEST_CASE("router: one bootstrap connection becomes the broker's own") {
    ModelCluster cluster;
    three_brokers(cluster);
    Rig rig(cluster);
    rig.router.want(rig.now, "t");
    rig.router.pump(rig.now);
    rig.settle();
    CHECK(rig.router.connected_count() == 1);
    CHECK(rig.link_count() == 1);
    CHECK((rig.router.is_connected(0) || rig.router.is_connected(1)));
}

TEST_CASE(
    "router: a bootstrap name that no broker advertises is given up once the brokers are known") {
    ModelCluster cluster;
    three_brokers(cluster);
    cluster.addresses[9] = {"front", 1};  // answers, and is in nobody's list
    cluster::RouterConfig config = test_config();
    config.bootstrap = {{"front", 1}};
    Rig rig(cluster, config);
    cluster.up.insert(9);
    const auto without_front = [&] { cluster.up.erase(9); };
    rig.router.want(rig.now, "t");
    rig.router.pump(rig.now);
    const auto action = rig.router.poll_link_action();
    REQUIRE(action);
    CHECK(action->host == "front");
    rig.router.link_closed(rig.now, action->link, Error::refused);
    rig.run([&] { return rig.router.connected_count() > 0; });
    without_front();
    rig.router.refresh_metadata(rig.now);
    rig.run([&] { return rig.router.metadata().version() > 1; });
    TestProducer producer(rig, "t", 1);
    REQUIRE(producer.send(0, "x"));
    REQUIRE(rig.run([&] { return producer.is_done(); }));
    CHECK(rig.link_count() == 1);
}

TEST_CASE("router: a moved leader gets the queue, in order and once") {
    ModelCluster cluster;
    three_brokers(cluster);
    Rig rig(cluster);
    TestProducer producer(rig, "t", 4);
    for (int i = 0; i < 30; ++i) {
        if (i == 10) cluster.move_leader("t", 0, 2);
        if (i == 20) cluster.move_leader("t", 0, 1);
        for (std::int32_t p = 0; p < 4; ++p)
            REQUIRE(producer.send(p, std::to_string(p) + "/" + std::to_string(i)));
        rig.settle();
    }
    const Instant last_sent = rig.now;
    REQUIRE(rig.run([&] { return producer.is_done(); }));
    CHECK(rig.now - last_sent <= milliseconds{500});  // a few back-offs, no waiting for luck
    CHECK(producer.failed == 0);
    for (std::int32_t p = 0; p < 4; ++p)
        CHECK(cluster.store.at("t", p).values() == expected_values(p, 30));
    CHECK(cluster.store.out_of_order == 0);
}

TEST_CASE("router: a broker dies with requests in flight, its partitions move, nothing is lost") {
    ModelCluster cluster;
    three_brokers(cluster);
    Rig rig(cluster);
    TestProducer producer(rig, "t", 4);
    for (int i = 0; i < 20; ++i) {
        if (i == 10) {
            rig.kill(1);
            cluster.move_leader("t", 1, 0);
            cluster.move_leader("t", 3, 2);
        }
        for (std::int32_t p = 0; p < 4; ++p)
            REQUIRE(producer.send(p, std::to_string(p) + "/" + std::to_string(i)));
        rig.settle();
    }
    REQUIRE(rig.run([&] { return producer.is_done(); }));
    for (std::int32_t p = 0; p < 4; ++p)
        CHECK(cluster.store.at("t", p).values() == expected_values(p, 20));
    CHECK(!rig.router.is_connected(1));
    CHECK(count_events(rig, RouterEvent::Kind::disconnected) == 1);
}

TEST_CASE("router: the script survives a break at every step, of every kind") {
    int swept = 0;
    for (const auto how : {Rig::Break::connect, Rig::Break::before_request,
                           Rig::Break::after_request, Rig::Break::half_answer}) {
        for (int step = 0;; ++step) {
            ModelCluster cluster;
            three_brokers(cluster);
            Rig rig(cluster);
            rig.how = how;
            rig.break_at = step;
            TestProducer producer(rig, "t", 4);
            int round = 0;
            rig.on_idle = [&] {
                if (round == 12) return false;
                if (round == 4) cluster.move_leader("t", 0, 1);
                if (round == 8) {
                    cluster.move_leader("t", 0, 2);
                    cluster.move_leader("t", 2, 0);
                }
                for (std::int32_t p = 0; p < 4; ++p)
                    REQUIRE(producer.send(p, std::to_string(p) + "/" + std::to_string(round)));
                ++round;
                return true;
            };
            INFO("how=", static_cast<int>(how), " step=", step);
            REQUIRE(rig.run([&] { return round == 12 && producer.is_done(); }));
            CHECK(producer.failed == 0);
            for (std::int32_t p = 0; p < 4; ++p)
                REQUIRE(cluster.store.at("t", p).values() == expected_values(p, 12));
            if (!rig.broke) break;  // swept every step there is
            ++swept;
        }
    }
    MESSAGE("breaks swept: ", swept);
    CHECK(swept > 100);
}

TEST_CASE("router: answers that arrive byte by byte are the same answers") {
    ModelCluster cluster;
    three_brokers(cluster);
    Rig rig(cluster);
    rig.bytes_at_once = 1;
    TestProducer producer(rig, "t", 4);
    for (std::int32_t p = 0; p < 4; ++p) REQUIRE(producer.send(p, std::to_string(p) + "/0"));
    REQUIRE(rig.run([&] { return producer.is_done(); }));
    for (std::int32_t p = 0; p < 4; ++p)
        CHECK(cluster.store.at("t", p).values() == expected_values(p, 1));
}

TEST_CASE("router: while nobody answers, tries get rarer, and the first answer ends the wait") {
    ModelCluster cluster;
    three_brokers(cluster);
    cluster.up.clear();
    Rig rig(cluster);
    TestProducer producer(rig, "t", 1);
    REQUIRE(producer.send(0, "0/0"));
    CHECK(!rig.run([&] { return producer.is_done(); }, milliseconds{60'000}));
    const std::size_t tries = count_events(rig, RouterEvent::Kind::connect_failed);
    CHECK(tries >= 60);   // two addresses, a second apart at most ...
    CHECK(tries <= 400);  // ... and never a storm
    cluster.up = {0, 1, 2};
    const Instant back = rig.now;
    REQUIRE(rig.run([&] { return producer.is_done(); }));
    CHECK(rig.now - back <= milliseconds{2500});
    CHECK(cluster.store.at("t", 0).values() == expected_values(0, 1));
}

TEST_CASE("router: a topic that is made later is found, and an old leader epoch is not believed") {
    ModelCluster cluster;
    three_brokers(cluster);
    Rig rig(cluster);
    rig.router.want(rig.now, "late");
    rig.run([] { return false; }, milliseconds{3000});
    CHECK(rig.router.metadata().leader("late", 0) == cluster::no_broker);
    CHECK(count_events(rig, RouterEvent::Kind::topic_error) >= 2);
    cluster.add_topic("late", {2});
    REQUIRE(
        rig.run([&] { return rig.router.metadata().leader("late", 0) == 2; }, milliseconds{3000}));

    cluster.move_leader("late", 0, 1);
    for (std::int32_t node : {0, 1, 2}) cluster.stale.erase(node);
    rig.router.refresh_metadata(rig.now);
    REQUIRE(rig.run([&] { return rig.router.metadata().leader("late", 0) == 1; }));
    // Every broker now tells what was true before.
    auto old = cluster.topics;
    old["late"][0] = {2, 0};
    for (std::int32_t node : {0, 1, 2}) cluster.stale[node] = old;
    const std::uint64_t version = rig.router.metadata().version();
    rig.router.refresh_metadata(rig.now);
    REQUIRE(rig.run([&] { return rig.router.metadata().version() > version; }));
    CHECK(rig.router.metadata().leader("late", 0) == 1);
}

TEST_CASE("router: a broker that moved to another address is followed") {
    ModelCluster cluster;
    three_brokers(cluster);
    Rig rig(cluster);
    TestProducer producer(rig, "t", 3);
    for (std::int32_t p = 0; p < 3; ++p) REQUIRE(producer.send(p, std::to_string(p) + "/0"));
    REQUIRE(rig.run([&] { return producer.is_done(); }));
    cluster.addresses[2] = {"elsewhere", 1234};
    rig.drop_connections(2);
    REQUIRE(producer.send(2, "2/1"));
    REQUIRE(rig.run([&] { return producer.is_done(); }));
    CHECK(cluster.store.at("t", 2).values() == expected_values(2, 2));
}

TEST_CASE("router: an unrouted queue comes back, with nothing in flight") {
    ModelCluster cluster;
    three_brokers(cluster);
    Rig rig(cluster);
    TestProducer producer(rig, "t", 2);
    REQUIRE(producer.send(0, "0/0"));
    REQUIRE(rig.run([&] { return producer.is_done(); }));
    rig.router.unroute(rig.now, producer.queue(0));
    rig.settle();
    REQUIRE(count_events(rig, RouterEvent::Kind::queue_returned) == 1);
    CHECK(producer.queue(0).lent_to() == nullptr);
    REQUIRE(producer.send(0, "0/1"));
    rig.run([] { return false; }, milliseconds{5000});
    CHECK(cluster.store.at("t", 0).values() == expected_values(0, 1));
    rig.router.route(rig.now, producer.queue(0));
    REQUIRE(rig.run([&] { return producer.is_done(); }));
    CHECK(cluster.store.at("t", 0).values() == expected_values(0, 2));
}

TEST_CASE("router: records sent while their leader is unreachable expire, too") {
    ModelCluster cluster;
    three_brokers(cluster);
    cluster::RouterConfig config = test_config();
    config.sender.delivery_timeout = milliseconds{5000};
    Rig rig(cluster, config);
    TestProducer producer(rig, "t", 3);
    for (std::int32_t p = 0; p < 3; ++p) REQUIRE(producer.send(p, "before"));
    REQUIRE(rig.run([&] { return producer.is_done(); }));
    rig.kill(2);
    rig.run([] { return false; }, milliseconds{20'000});
    const Instant sent = rig.now;
    REQUIRE(producer.send(2, "too late"));
    REQUIRE(rig.run([&] { return producer.is_done(); }, milliseconds{20'000}));
    CHECK(producer.failed == 1);
    CHECK(rig.now - sent >= milliseconds{5000});
    CHECK(rig.now - sent <= milliseconds{5100});
}

TEST_CASE("router: without a leader records expire after their delivery timeout") {
    ModelCluster cluster;
    three_brokers(cluster);
    cluster.add_topic("orphan", {-1});
    cluster::RouterConfig config = test_config();
    config.sender.delivery_timeout = milliseconds{5000};
    Rig rig(cluster, config);
    TestProducer producer(rig, "orphan", 1);
    REQUIRE(producer.send(0, "x"));
    const Instant sent = rig.now;
    REQUIRE(rig.run([&] { return producer.is_done(); }, milliseconds{20'000}));
    CHECK(producer.failed == 1);
    CHECK(producer.last_error == wire::ErrorCode::request_timed_out);
    CHECK(rig.now - sent >= milliseconds{5000});
    CHECK(rig.now - sent <= milliseconds{10'100});
}

TEST_CASE(
    "router: everybody away for longer than the delivery timeout, then it goes on by itself") {
    ModelCluster cluster;
    three_brokers(cluster);
    cluster::RouterConfig config = test_config();
    config.sender.delivery_timeout = milliseconds{3000};
    Rig rig(cluster, config);
    TestProducer producer(rig, "t", 2);
    for (int i = 0; i < 5; ++i) {
        REQUIRE(producer.send(0, "0/" + std::to_string(i)));
        rig.settle();
    }
    REQUIRE(producer.acked == 5);
    // Away with a batch that was carried out and not answered: the doubtful kind.
    rig.how = Rig::Break::after_request;
    rig.break_at = rig.steps;
    REQUIRE(producer.send(0, "0/5"));
    cluster.up.clear();
    rig.settle();
    for (std::int32_t node : {0, 1, 2}) rig.kill(node);
    REQUIRE(producer.send(0, "lost"));
    REQUIRE(rig.run([&] { return producer.is_done(); }, milliseconds{20'000}));
    CHECK(producer.failed == 2);
    cluster.up = {0, 1, 2};
    for (int i = 6; i < 12; ++i) {
        REQUIRE(producer.send(0, "0/" + std::to_string(i)));
        rig.settle();
    }
    REQUIRE(rig.run([&] { return producer.is_done(); }));
    CHECK(producer.acked == 11);
    CHECK(producer.failed == 2);
    // What was told as failed may be there (nobody can know), what was told as acked is there once.
    CHECK(cluster.store.at("t", 0).values() == expected_values(0, 12));
    CHECK(cluster.store.duplicates == 0);
}

TEST_CASE("router: answers longer than the receive memory make it grow, within its bound") {
    ModelCluster cluster;
    three_brokers(cluster);
    for (int i = 0; i < 3000; ++i) cluster.add_topic("topic-" + std::to_string(i), {0});
    cluster::RouterConfig config = test_config();
    config.receive_bytes = 4096;
    {
        Rig rig(cluster, config);
        rig.router.want_all(rig.now);
        rig.router.pump(rig.now);
        REQUIRE(rig.run([&] { return rig.router.metadata().topics().size() == 3001; }));
    }
    config.receive_bytes_max = 16 * 1024;
    Rig rig(cluster, config);
    rig.router.want_all(rig.now);
    rig.router.pump(rig.now);
    CHECK(!rig.run([&] { return rig.router.metadata().version() > 0; }, milliseconds{20'000}));
    CHECK(cluster.asked[wire::ApiKey::metadata] < 100);  // refused again and again, not in a storm
}

TEST_CASE("router: spoiled answers never stop it, and once they end everything is told") {
    int whole = 0;
    for (std::uint32_t seed = 1; seed <= 300; ++seed) {
        INFO("seed=", seed);
        ModelCluster cluster;
        three_brokers(cluster);
        cluster::RouterConfig config = test_config();
        config.sender.delivery_timeout =
            milliseconds{10'000};  // a lie may cost a record, not a wait
        Rig rig(cluster, config);
        client::Jitter random(seed);
        int spoiled = 0;
        rig.spoil = [&](Bytes& answer) {
            if (spoiled >= 20 || random.next() % 2 == 0) return;
            ++spoiled;
            if (random.next() % 8 == 0) answer.resize(random.next() % answer.size());
            for (std::uint32_t i = random.next() % 4; i-- > 0 && !answer.empty();)
                answer[random.next() % answer.size()] = static_cast<std::uint8_t>(random.next());
        };
        TestProducer producer(rig, "t", 4);
        for (int i = 0; i < 4; ++i)
            for (std::int32_t p = 0; p < 4; ++p)
                REQUIRE(producer.send(p, std::to_string(p) + "/" + std::to_string(i)));
        REQUIRE(rig.run([&] { return producer.is_done(); }, milliseconds{60'000}));
        // Every record is told one way or the other, while answers lie and after they stopped.
        spoiled = 20;
        for (std::int32_t p = 0; p < 4; ++p) REQUIRE(producer.send(p, "after"));
        REQUIRE(rig.run([&] { return producer.is_done(); }, milliseconds{60'000}));
        whole += producer.failed == 0;
    }
    CHECK(whole > 150);  // most lies cost time only
}
