// What each command says to a script, against the model cluster on real sockets.
#include "doctest/doctest.h"
#include "leat/producer.hpp"
#include "sdk/cli/commands.hpp"
#include "tests/host/loopback_broker.hpp"

using namespace leat;
using namespace leat::cli;

namespace {

Options to(const std::string& bootstrap, std::vector<std::string> topics) {
    Options options;
    options.bootstrap = bootstrap;
    options.topics = std::move(topics);
    options.timeout_seconds = 3;
    return options;
}

}  // namespace

TEST_CASE("exit codes: topics") {
    testing::LoopbackBroker broker;
    Options one = to(broker.bootstrap(), {"one"});
    CHECK(create_topics(one) == Exit::ok);
    CHECK(create_topics(one) == Exit::failed);
    one.if_not_exists = true;
    CHECK(create_topics(one) == Exit::ok);
    one.configs = {"no pair"};
    CHECK(create_topics(one) == Exit::usage);
    CHECK(describe_topics(to(broker.bootstrap(), {"one"})) == Exit::ok);
    CHECK(describe_topics(to(broker.bootstrap(), {"one", "none"})) == Exit::not_found);
    CHECK(delete_topics(to(broker.bootstrap(), {"one"})) == Exit::ok);
    CHECK(delete_topics(to(broker.bootstrap(), {"one"})) == Exit::not_found);
    CHECK(list_topics(to(broker.bootstrap(), {})) == Exit::ok);
    CHECK(list_topics(to("no port:x", {})) == Exit::usage);
}

TEST_CASE("exit codes: consume stops at the end, or says why it cannot start") {
    testing::LoopbackBroker broker;
    broker.cluster.add_topic("t", {0});
    {
        Loop loop;
        auto producer = Producer::open(loop, {.bootstrap = broker.bootstrap()});
        for (int i = 0; i < 10; ++i) REQUIRE(producer->send({.topic = "t", .value = "a line"}));
        REQUIRE(producer->flush(milliseconds(5000)));
    }
    Options options = to(broker.bootstrap(), {"t"});
    CHECK(consume(options) == Exit::ok);
    options.count_max = 3;
    options.follow = options.from_beginning = true;
    CHECK(consume(options) == Exit::ok);
    options = to(broker.bootstrap(), {"t"});
    options.only_partitions = {1};
    CHECK(consume(options) == Exit::not_found);
    options = to(broker.bootstrap(), {"t"});
    options.time = "yesterday";
    CHECK(consume(options) == Exit::usage);
    options.time = "-1h";
    CHECK(consume(options) == Exit::ok);
    CHECK(consume(to(broker.bootstrap(), {"none"})) == Exit::not_found);
    CHECK(!broker.cluster.topics.contains("none"));
}

TEST_CASE("exit codes: consume does not wait for ever for what cannot be read") {
    testing::LoopbackBroker broker;
    broker.cluster.add_topic("t", {0});
    {
        Loop loop;
        auto producer = Producer::open(loop, {.bootstrap = broker.bootstrap()});
        for (int i = 0; i < 3; ++i) {
            REQUIRE(producer->send({.topic = "t", .value = "a line"}));
            REQUIRE(producer->flush(milliseconds(5000)));
        }
    }
    auto& partition = broker.cluster.store.at("t", 0);
    Options options = to(broker.bootstrap(), {"t"});
    options.timeout_seconds = 1;
    options.read_committed = true;
    {
        const std::lock_guard lock(broker.mutex);
        partition.stable = 2;
    }
    CHECK(consume(options) ==
          Exit::ok);  // what an open transaction may still take back is not there
    {
        const std::lock_guard lock(broker.mutex);
        partition.stable.reset();
        partition.log.back().batch.back() ^= 1;
    }
    CHECK(consume(options) == Exit::failed);
}

TEST_CASE("exit codes: nobody there") {
    std::string bootstrap;
    {
        testing::LoopbackBroker gone;
        bootstrap = gone.bootstrap();
    }
    Options options = to(bootstrap, {"t"});
    options.timeout_seconds = 0.3;
    CHECK(list_topics(options) == Exit::unreachable);
    CHECK(consume(options) == Exit::unreachable);
    options.topics = {bootstrap};
    CHECK(show_status(options) == Exit::unreachable);
}
