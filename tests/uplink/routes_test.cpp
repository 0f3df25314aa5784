// What goes where: topics, names, partitions, headers, batches made anew.
#include "broker/uplink/uplink.hpp"

#include "sdk/cluster/partitioner.hpp"
#include "tests/uplink/rig.hpp"

using namespace leat;
using namespace leat::uplink;
using namespace leat::uplink::test;

TEST_CASE("uplink: a missing upstream topic is named, and created only if the route says so") {
    for (const bool create : {false, true}) {
        Rig rig;
        rig.config.routes[0].create_topics = create;
        rig.make_topic("t", 3);
        rig.append("t", {.count = 4}, 2);
        rig.start();
        rig.pass(20'000);
        INFO("create=" << create);
        CHECK(rig.upstream.created == (create ? 1 : 0));
        if (!create) {
            CHECK(rig.was_told("upstream topic t: UNKNOWN_TOPIC_OR_PARTITION"));
            CHECK(rig.status().backlog_records == 4);
            rig.upstream.make_topic("t", 3);
            rig.pass(20'000);
        }
        CHECK(rig.upstream.topics["t"].size() == 3);
        CHECK(rig.values("t", 2) == numbers(0, 4));
        CHECK(rig.status().last_error.empty());
    }
}

TEST_CASE("uplink: a topic that may not be created, or not be seen, is told with the reason") {
    Rig rig;
    rig.config.routes[0].create_topics = true;
    rig.make_topic("t", 1);
    rig.append("t", {.count = 1});
    rig.upstream.topic_errors["t"] = ErrorCode::topic_authorization_failed;
    rig.start();
    rig.pass(60'000);
    CHECK(rig.was_told("upstream topic t: TOPIC_AUTHORIZATION_FAILED: grant WRITE"));
    CHECK(rig.events.size() < 6);
    rig.upstream.topic_errors.clear();
    rig.upstream.make_topic("t", 1);
    rig.pass(60'000);
    CHECK(rig.values("t") == numbers(0, 1));
}

TEST_CASE("uplink: the error of a topic that was deleted here is no error any more") {
    Rig rig;
    rig.make_topic("t", 1);
    rig.append("t", {.count = 1});
    rig.start();
    rig.pass(10'000);
    REQUIRE(rig.status().last_error.find("UNKNOWN_TOPIC") != std::string::npos);
    rig.delete_topic("t");
    rig.pass(10'000);
    CHECK(rig.status().last_error.empty());
}

TEST_CASE("uplink: too few upstream partitions are told; those that are there are served") {
    Rig rig;
    rig.make_topic("t", 3);
    rig.upstream.make_topic("t", 2);
    for (std::size_t i = 0; i < 3; ++i) rig.append("t", {.count = 2}, i);
    rig.start();
    rig.pass(20'000);
    CHECK(rig.values("t", 0) == numbers(0, 2));
    CHECK(rig.values("t", 1) == numbers(0, 2));
    CHECK(rig.was_told("has 2 partitions, this route needs 3"));
    rig.upstream.make_topic("t", 3);
    rig.pass(60'000);
    CHECK(rig.values("t", 2) == numbers(0, 2));
}

TEST_CASE("uplink: who is not a Kafka broker, or refuses a producer id, is named") {
    Rig rig;
    rig.make_topic("t", 1);
    rig.upstream.make_topic("t", 1);
    rig.append("t", {.count = 1});
    rig.upstream.speaks_garbage = true;
    rig.start();
    rig.pass(20'000);
    CHECK(rig.was_told("not as a Kafka broker"));
    CHECK(rig.status().link != LinkState::connected);
    rig.upstream.speaks_garbage = false;
    rig.upstream.producer_id_error = ErrorCode::cluster_authorization_failed;
    rig.pass(60'000);
    CHECK(rig.was_told("refuses a producer id with CLUSTER_AUTHORIZATION_FAILED"));
    rig.upstream.producer_id_error = ErrorCode::none;
    rig.pass(60'000);
    CHECK(rig.values("t") == numbers(0, 1));
    CHECK(rig.status().last_error.empty());
}

TEST_CASE("uplink: topics come and go while it runs") {
    Rig rig;
    rig.upstream.make_topic("a", 1);
    rig.upstream.make_topic("b", 1);
    rig.start();
    CHECK(rig.status().link == LinkState::idle);
    rig.make_topic("a", 1);
    rig.append("a", {.count = 2});
    rig.pass(1'000);
    CHECK(rig.values("a") == numbers(0, 2));
    rig.make_topic("b", 1);
    rig.hold_answers = true;
    for (int i = 0; i < 10; ++i) rig.append("b", {.count = 2, .first = i * 2});
    rig.append("a", {.count = 2, .first = 2});
    rig.pass(100);
    rig.delete_topic("b");  // with batches in flight
    rig.pass(100);
    rig.hold_answers = false;
    rig.pass(5'000);
    CHECK(rig.values("a") == numbers(0, 4));
    CHECK(rig.status().partitions == 1);
    CHECK(rig.status().in_flight_bytes == 0);
    rig.make_topic("b", 1);  // a new one of the same name begins at its own start
    rig.append("b", {.count = 3, .first = 100});
    rig.pass(5'000);
    const auto values = rig.values("b");
    CHECK(std::vector<std::string>(values.end() - 3, values.end()) == numbers(100, 3));
}

TEST_CASE("uplink: internal topics and topics of no route are not forwarded and not held back") {
    Rig rig;
    rig.config.routes[0].topics = {"sensor-*", "exact"};
    for (const char* name : {"sensor-1", "exact", "other", "__hidden", "internal"}) {
        rig.make_topic(name, 1);
        rig.upstream.make_topic(name, 1);
        rig.append(name, {.count = 2});
    }
    rig.start();
    rig.pass(5'000);
    CHECK(rig.values("sensor-1").size() == 2);
    CHECK(rig.values("exact").size() == 2);
    for (const char* name : {"other", "__hidden", "internal"}) {
        CHECK(rig.values(name).empty());
        CHECK(rig.log.stream(rig.stream(name))->release == std::numeric_limits<log::Offset>::max());
        CHECK(rig.uplink->uplinked_offset(rig.stream(name)) == 2);
    }
    CHECK(rig.log.stream(rig.stream("exact"))->release == 2);
}

TEST_CASE("uplink: two routes: what may be freed is what both have delivered") {
    Rig rig;
    config::Route second = make_route();
    second.name = "second";
    second.upstream_topic = "copy.{topic}";
    rig.config.routes.push_back(second);
    rig.make_topic("t", 1);
    rig.upstream.make_topic("t", 1);
    rig.append("t", {.count = 5});
    rig.start();
    rig.pass(5'000);
    CHECK(rig.values("t") == numbers(0, 5));
    CHECK(rig.log.stream(rig.stream("t"))->release == 0);
    CHECK(rig.status(1).backlog_records == 5);
    rig.upstream.make_topic("copy.t", 1);
    rig.pass(30'000);
    CHECK(rig.values("copy.t") == numbers(0, 5));
    CHECK(rig.log.stream(rig.stream("t"))->release == 5);
}

TEST_CASE("uplink: pinned brings all partitions to one, each in its order") {
    Rig rig;
    rig.config.routes[0].mapping = config::Route::Mapping::pinned;
    rig.config.routes[0].pinned_partition = 1;
    rig.make_topic("t", 3);
    rig.upstream.make_topic("t", 2);
    for (int i = 0; i < 5; ++i)
        for (std::size_t p = 0; p < 3; ++p)
            rig.append("t", {.count = 2, .first = static_cast<int>(p) * 1000 + i * 2}, p);
    rig.start();
    rig.pass(5'000);
    CHECK(rig.values("t", 0).empty());
    const auto all = rig.values("t", 1);
    CHECK(all.size() == 30);
    for (int p = 0; p < 3; ++p) {
        std::vector<std::string> mine;
        for (const std::string& value : all)
            if (std::stoi(value.substr(1)) / 1000 == p) mine.push_back(value);
        CHECK(mine == numbers(p * 1000, 10));
    }
}

TEST_CASE(
    "uplink: by key: every client's partition for a key, the codec stays, cursors wait for all "
    "parts") {
    Rig rig;
    rig.config.routes[0].mapping = config::Route::Mapping::by_key;
    rig.make_topic("t", 2);
    rig.upstream.make_topic("t", 5);
    rig.append("t", {.count = 200, .codec = Codec::lz4});
    rig.append("t", {.count = 10, .first = 200, .codec = Codec::zstd, .key = "-"}, 1);
    rig.start();
    rig.pass(5'000);
    std::size_t total = 0;
    for (std::int32_t p = 0; p < 5; ++p) {
        int last = -1;
        for (const Plain& record : rig.arrived("t", static_cast<std::size_t>(p))) {
            ++total;
            if (record.key == "-") {
                CHECK(p == 1);  // without key: by the local partition
                continue;
            }
            CHECK(cluster::partition_of_key(bytes_of(record.key), 5) == p);
            const int number = std::stoi(record.value.substr(1));
            CHECK(number > last);
            last = number;
            CHECK(record.timestamp == 1'700'000'000'000 + number);
        }
        for (const Stored& batch : rig.upstream.topics["t"][static_cast<std::size_t>(p)].batches)
            CHECK((batch.header.codec() == Codec::lz4 || batch.header.codec() == Codec::zstd));
    }
    CHECK(total == 210);
    CHECK(rig.log.stream(rig.stream("t", 0))->release == 200);
    CHECK(rig.log.stream(rig.stream("t", 1))->release == 10);
}

// A topic that was deleted and made again: what had been placed in partitions that are gone was
// sent there for good, and nothing behind it was forwarded until the next start.
TEST_CASE("uplink: by key: a topic that is made anew with fewer partitions takes all") {
    Rig rig;
    rig.config.routes[0].mapping = config::Route::Mapping::by_key;
    rig.make_topic("t", 1);
    rig.upstream.make_topic("t", 5);
    rig.upstream.topic_ids["t"].bytes[0] = 1;
    rig.append("t", {.count = 30});
    rig.start();
    rig.pass(1'000);
    REQUIRE(rig.log.stream(rig.stream("t"))->release == 30);
    rig.upstream_is_down = true;
    rig.append("t", {.count = 30, .first = 30});
    rig.append("t", {.count = 30, .first = 60});
    rig.pass(1'000);
    rig.upstream.topics.erase("t");
    rig.upstream.make_topic("t", 2);
    rig.upstream.topic_ids["t"].bytes[0] = 2;
    rig.append("t", {.count = 30, .first = 90});
    rig.upstream_is_down = false;
    rig.pass(120'000);
    std::set<std::string> arrived;
    for (std::size_t p = 0; p < 2; ++p)
        for (const std::string& value : rig.values("t", p)) arrived.insert(value);
    for (const std::string& value : numbers(30, 90)) CHECK(arrived.contains(value));
    CHECK(rig.log.stream(rig.stream("t"))->release == 120);
    CHECK(rig.status().backlog_records == 0);
    CHECK(rig.status().in_flight_bytes == 0);
}

TEST_CASE("uplink: by key: a refused part holds the cursor, its neighbours are not sent twice") {
    Rig rig;
    rig.config.routes[0].mapping = config::Route::Mapping::by_key;
    rig.make_topic("t", 1);
    rig.upstream.make_topic("t", 3);
    bool refusing = true;
    rig.upstream.refuse = [&](const std::string&, std::int32_t partition,
                              const wire::BatchHeader&) {
        return refusing && partition == 2 ? ErrorCode::message_too_large : ErrorCode::none;
    };
    for (int i = 0; i < 5; ++i) rig.append("t", {.count = 30, .first = i * 30});
    rig.start();
    rig.pass(60'000);
    CHECK(rig.values("t", 2).empty());
    CHECK(rig.log.stream(rig.stream("t"))->release == 0);
    refusing = false;
    rig.pass(60'000);
    std::size_t total = 0;
    for (std::size_t p = 0; p < 3; ++p) {
        total += rig.values("t", p).size();
        CHECK(first_arrivals(rig.values("t", p)).size() == rig.values("t", p).size());
    }
    CHECK(total == 150);
    CHECK(rig.log.stream(rig.stream("t"))->release == 150);
}

TEST_CASE("uplink: headers name gateway, offset and epoch; own headers stay in front") {
    Rig rig;
    rig.log.leader_epoch = 7;
    rig.config.routes[0].headers = true;
    rig.make_topic("t", 1);
    rig.upstream.make_topic("t", 1);
    rig.append("t", {.count = 3, .codec = Codec::gzip});
    rig.append("t", {.count = 2, .first = 3});
    rig.start();
    rig.pass(1'000);
    const auto all = rig.arrived("t");
    REQUIRE(all.size() == 5);
    for (std::size_t i = 0; i < all.size(); ++i) {
        CHECK(all[i].value == "v" + std::to_string(i));
        const std::vector<std::pair<std::string, std::string>> expected = {
            {"leat-gateway", "gw-1"}, {"leat-offset", std::to_string(i)}, {"leat-epoch", "7"}};
        CHECK(all[i].headers == expected);
    }
    CHECK(rig.upstream.topics["t"][0].batches[0].header.codec() == Codec::gzip);
}

TEST_CASE("uplink: LogAppendTime becomes the records' own time, as readers here see it") {
    Rig rig;
    rig.make_topic("t", 1);
    rig.upstream.make_topic("t", 1);
    rig.append("t", {.count = 3}, 0, wall_ms(1'800'000'000'000));
    rig.start();
    rig.pass(1'000);
    const auto all = rig.arrived("t");
    REQUIRE(all.size() == 3);
    for (const Plain& record : all) CHECK(record.timestamp == 1'800'000'000'000);
}

TEST_CASE(
    "uplink: small neighbours become one batch only if the route says so; order and time stay") {
    for (const std::uint32_t merge : {0U, 4096U}) {
        for (const bool loses_connection : {false, true}) {
            Rig rig;
            rig.config.routes[0].merge_bytes = merge;
            rig.make_topic("t", 1);
            rig.upstream.make_topic("t", 1);
            for (int i = 0; i < 100; ++i) rig.append("t", {.count = 1, .first = i});
            rig.append("t", {.count = 2, .first = 100, .codec = Codec::gzip});
            rig.append("t", {.count = 1, .first = 102, .padding = 5'000});
            rig.append("t", {.count = 1, .first = 103});
            rig.append("t", {.count = 1, .control = true});
            rig.append("t", {.count = 1, .first = 104});
            if (loses_connection) rig.cut_at_step = 7;
            rig.start();
            rig.pass(10'000);
            INFO("merge=" << merge << " loses_connection=" << loses_connection);
            CHECK(rig.values("t") == numbers(0, 105));
            const auto& batches = rig.upstream.topics["t"][0].batches;
            if (merge == 0) CHECK(batches.size() == 104);
            if (merge > 0) CHECK(batches.size() <= 8);
            for (const Plain& record : rig.arrived("t"))
                CHECK(record.timestamp == 1'700'000'000'000 + (record.value == "v101" ? 1 : 0));
            CHECK(rig.log.stream(rig.stream("t"))->release == 106);
            CHECK(rig.status().delivered_records == 105);
        }
    }
}

TEST_CASE("uplink: a name that is not legal upstream is told, and its records are kept") {
    Rig rig;
    rig.config.routes[0].upstream_topic = "site 7.{topic}";
    rig.make_topic("t", 1);
    rig.append("t", {.count = 3});
    rig.start();
    rig.pass(5'000);
    CHECK(rig.was_told("site 7.t: INVALID_TOPIC_EXCEPTION"));
    CHECK(rig.log.stream(rig.stream("t"))->release == 0);
}
