// The whole broker on the real log and a simulated device: what it tells in lines, status and ledger.
#include "tests/node/node_bench.hpp"

using namespace leat;
using namespace leat::test;

TEST_CASE("node: a log whose segments are too small for message.max.bytes says what it takes") {
    config::Config config = NodeBench::small();
    config.message_bytes_max = 32 * 1024;
    CHECK(NodeBench(config).events().find("are refused") == std::string::npos);
    config.message_bytes_max = 32 * 1024 + 1;
    CHECK(NodeBench(config).events().find("batches above 32 KiB are refused") != std::string::npos);
}

TEST_CASE("node: a log that is full says so, once a minute, and with how many it refused") {
    NodeBench bench;
    bench.create_full("t", "reject");
    bench.events();
    const Bytes batch = make_batch({.value_bytes = 20'000});
    const auto id = bench.open();
    const auto produce = [&](int times) {
        for (int i = 0; i < times; ++i) {
            bench.send(id, NodeBench::produce_frame(batch, 1));
            bench.settle();
            bench.take(id);
        }
    };
    produce(250);  // 5 MB into 4
    CHECK(bench.events().find("log: the log is full, and what is in it may not be dropped") !=
          std::string::npos);
    produce(10);
    CHECK(bench.events().empty());
    bench.now += milliseconds(60'000);
    produce(1);
    CHECK(bench.events().find(" batches were refused") != std::string::npos);
}

TEST_CASE("node: what peers do wrong is told once per connection, with the peer's name") {
    config::Config config = NodeBench::small();
    config.connections_max = 2;
    NodeBench bench(config);
    bench.events();
    const auto bad = bench.open();
    bench.send(bad, from_hex("7fffffff"));
    CHECK(bench.node->wants_close(bad));
    CHECK(bench.events() ==
          "session: peer closed: a frame larger than request_bytes_max (2147483647)\n");
    bench.node->session_closed(bench.now, bad);
    const auto strange = bench.open();
    bench.send(strange, from_hex("00000008 ffff 0003 00000007"));
    CHECK(bench.events() ==
          "session: peer closed: an API key or version that this broker does not have (key -1, "
          "version 3)\n");
    bench.node->session_closed(bench.now, strange);
    (void)bench.open();
    (void)bench.open();
    for (int i = 0; i < 10; ++i) CHECK_FALSE(bench.node->open_session(bench.now, "x"));
    const std::string told =
        "session: all 2 connections are taken: more are refused; raise max.connections\n";
    CHECK(bench.events() == told);
    bench.now += milliseconds(59'999);
    CHECK_FALSE(bench.node->open_session(bench.now, "x"));
    CHECK(bench.events().empty());
    bench.now += milliseconds(1);  // days later it is still news to whoever looks then
    for (int i = 0; i < 10; ++i) CHECK_FALSE(bench.node->open_session(bench.now, "x"));
    CHECK(bench.events() == told);
}

TEST_CASE("node: a topic that says nothing drops its oldest, and line, status and books tell it") {
    NodeBench bench;
    bench.create("t");
    bench.events();
    const auto producer = bench.open();
    int taken = 0;
    for (int tries = 0; taken < 400 && tries < 4'000; ++tries) {
        bench.send(producer, NodeBench::produce_frame(make_batch({.value_bytes = 20'000}), -1));
        bench.settle();
        const Bytes answer = bench.take(producer);
        REQUIRE_FALSE(answer.empty());
        if (bench.produced(answer) == ErrorCode::none) ++taken;
    }
    CHECK(taken == 400);  // twice what the device holds
    CHECK(bench.latest() == 400);
    const std::string status = bench.node->status_json(bench.now);
    CHECK(status.find("\"dropped for room\"") != std::string::npos);
    CHECK(status.find("\"balanced\":false") == std::string::npos);
    CHECK(status.find("\"dropped_records_total\":0") == std::string::npos);
    const std::string events = bench.events();
    CHECK(events.find(" records were dropped for room, undelivered") != std::string::npos);
    CHECK(events.find(" records were dropped", events.find("for room")) == std::string::npos);
}

TEST_CASE("node: records that go with their topic before they are delivered are in the ledger") {
    config::Config config = NodeBench::small();
    config.routes.push_back({.bootstrap = {{"127.0.0.1", 9}}, .topics = {"t"}});
    NodeBench bench(config);
    const auto lost = [&](int records, int topics) {
        const std::string entry =
            "\"losses\":[{\"id\":0,\"reason\":\"deleted undelivered\",\"from\":0,\"to\":" +
            std::to_string(records) + ",\"records\":" + std::to_string(records) + ",";
        const std::string status = bench.node->status_json(bench.now);
        const auto at = status.find(entry);
        return at != std::string::npos &&
               status.find("\"events\":" + std::to_string(topics), at) != std::string::npos;
    };
    for (int topics = 1; topics <= 2; ++topics) {
        bench.create("t");
        const auto producer = bench.open();
        bench.send(producer, NodeBench::produce_frame(make_batch({.records = 4}), -1));
        bench.settle();
        REQUIRE(bench.produced(bench.take(producer)) == ErrorCode::none);
        bench.node->session_closed(bench.now, producer);
        bench.events();
        REQUIRE(bench.delete_topic("t") == ErrorCode::none);
        CHECK(bench.events().find("route default: topic t is deleted here with 4 records that were "
                                  "not delivered: offsets 0 to 3 of t-0.") != std::string::npos);
        CHECK(lost(4 * topics, topics));
    }
    bench.create("not-forwarded");
    bench.events();
    REQUIRE(bench.delete_topic("not-forwarded") == ErrorCode::none);
    CHECK(bench.events().empty());
    const std::string status = bench.node->status_json(bench.now);
    CHECK(status.find("\"lost_records_total\":8") != std::string::npos);
    bench.kill();
    bench.start();
    CHECK(lost(8, 2));
}

TEST_CASE("node: a deletion that the device fails is finished when it works again") {
    NodeBench bench;
    bench.create("t");
    bench.storage_->fail_next(0, 2);
    REQUIRE(bench.delete_topic("t") == ErrorCode::kafka_storage_error);
    for (int i = 0; i < 50; ++i) bench.settle();
    bench.events();
    bench.kill();
    bench.start();
    CHECK(bench.events().find(", 0 topics, ") != std::string::npos);
}

TEST_CASE("node: a write that does not end is told after five seconds, and when it is over") {
    NodeBench bench;
    bench.create("t");
    bench.events();
    bench.storage_->hold(true);
    const auto producer = bench.open();
    bench.send(producer, NodeBench::produce_frame(make_batch({}), -1));
    const auto begin = bench.now;
    const auto is_slow = [&] {
        return bench.node->status_json(bench.now).find("\"write_is_slow\":true") !=
               std::string::npos;
    };
    bench.settle();
    REQUIRE(bench.storage_->writes_under_way() > 0);
    const auto pass = [&](milliseconds until) {  // as a driver does: it wakes for deadlines only
        while (bench.node->deadline() <= begin + until) {
            bench.now = std::max(bench.now, bench.node->deadline());
            bench.node->on_deadline(bench.now, bench.wall);
        }
        bench.now = begin + until;
    };
    pass(milliseconds(4'999));
    CHECK_FALSE(is_slow());
    CHECK(bench.events().empty());
    pass(milliseconds(5'100));
    CHECK(is_slow());
    CHECK(bench.events() ==
          "log: a write takes longer than 5 s: what is sent here waits; check the storage "
          "device\n");
    pass(milliseconds(12'000));
    CHECK(bench.events().empty());
    bench.storage_->hold(false);
    while (bench.storage_->writes_under_way() > 0) bench.storage_->complete(0);
    bench.settle();
    CHECK_FALSE(is_slow());
    CHECK(bench.events() == "log: the write that took so long is over, after 12 s\n");
    CHECK(bench.produced(bench.take(producer)) == ErrorCode::none);
    CHECK(bench.node->status_json(bench.now).find("\"slow_writes_total\":1") !=
          std::string::npos);
}

TEST_CASE("node: the status says for how many hours there is room at this rate") {
    NodeBench bench;
    bench.create_full("t", "reject");
    const auto producer = bench.open();
    const auto produce = [&] {
        bench.send(producer, NodeBench::produce_frame(make_batch({.value_bytes = 10'000}), -1));
        bench.settle();
        REQUIRE(bench.produced(bench.take(producer)) == ErrorCode::none);
    };
    const auto hours_left = [&] {
        const std::string status = bench.node->status_json(bench.now);
        const std::size_t at = status.find("\"hours_left\":");
        return at == std::string::npos ? -1 : std::stoi(status.substr(at + 13));
    };
    CHECK(hours_left() == -1);
    for (int i = 0; i < 60; ++i) {  // 12 KiB a minute
        produce();
        bench.now += milliseconds(60'000);
        bench.wall += milliseconds(60'000);
        bench.settle();
    }
    // Of 63 segments 4 are kept and some 12 used: 3 MB at 737 KB an hour.
    CHECK(hours_left() >= 3);
    CHECK(hours_left() <= 4);
}

TEST_CASE("node: a page or segment size that the log was not made with is told at the start") {
    NodeBench bench;
    CHECK(bench.events().find("this log was made with") == std::string::npos);
    bench.kill();
    config::Config other = NodeBench::small();
    other.page_bytes = 16'384;
    other.segment_bytes = 128 * 1024;
    bench.restart_with(other);
    const std::string told = bench.events();
    CHECK(told.find("log.page.bytes is 16384, but this log was made with 4096") !=
          std::string::npos);
    CHECK(told.find("log.segment.bytes is 131072, but this log was made with 65536") !=
          std::string::npos);
}
