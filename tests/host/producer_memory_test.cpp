// What a producer does with the memory that it may have.
#include "doctest/doctest.h"
#include "leat/producer.hpp"
#include "tests/host/loopback_broker.hpp"

using namespace leat;
using namespace leat::testing;

TEST_CASE("producer: a full buffer is an answer, and block_max bounds the wait for room") {
    LoopbackBroker broker;
    broker.cluster.add_topic("t", {0});
    using WhenFull = ProducerConfig::WhenFull;
    for (const WhenFull when_full : {WhenFull::fail, WhenFull::block}) {
        Loop loop;
        auto producer = Producer::open(loop, {.bootstrap = broker.bootstrap(),
                                              .batch_bytes = 4096,
                                              .buffer_bytes = 64 * 1024,
                                              .when_full = when_full,
                                              .block_max = milliseconds(300)});
        REQUIRE(producer);
        const std::string value(1000, 'x');
        Status sent = fail(Error::would_block);
        for (int i = 0; i < 2000 && !sent; ++i) {
            sent = producer->send({.topic = "t", .value = value});
            if (!sent) std::this_thread::sleep_for(std::chrono::milliseconds(2));
        }
        REQUIRE(sent);
        REQUIRE(producer->flush(milliseconds(5000)));
        broker.deaf = true;
        int taken = 0;
        const auto start = std::chrono::steady_clock::now();
        while ((sent = producer->send({.topic = "t", .value = value}))) ++taken;
        const auto waited = std::chrono::steady_clock::now() - start;
        CHECK(sent.error() == (when_full == WhenFull::fail ? Error::full : Error::timed_out));
        CHECK(taken >= 40);
        CHECK(taken <= 64);
        if (when_full == WhenFull::block) CHECK(waited >= std::chrono::milliseconds(299 - 1));
        CHECK(producer->stats().buffer_bytes <= 64 * 1024);
        broker.deaf = false;
        broker.drop_all = true;
        REQUIRE(producer->flush(milliseconds(20'000)));
        CHECK(producer->stats().failed == 0);
        CHECK(producer->send({.topic = "t", .value = value}));  // there is room again
    }
}

TEST_CASE("producer: once short records have had all the memory, a long one can still be sent") {
    LoopbackBroker broker;
    broker.cluster.add_topic("t", {0});
    Loop loop;
    auto producer = Producer::open(loop, {.bootstrap = broker.bootstrap(),
                                          .batch_bytes = 4096,
                                          .record_bytes_max = 20'000,
                                          .buffer_bytes = 64 * 1024,
                                          .when_full = ProducerConfig::WhenFull::fail});
    REQUIRE(producer);
    const std::string brief(1000, 'x'), extensive(19'000, 'y');
    for (int i = 0; i < 2000 && !producer->send({.topic = "t", .value = brief}); ++i)
        std::this_thread::sleep_for(std::chrono::milliseconds(2));
    REQUIRE(producer->flush(milliseconds(5000)));
    broker.deaf = true;
    int taken = 0;
    while (producer->send({.topic = "t", .value = brief})) ++taken;
    CHECK(taken >= 30);
    broker.deaf = false;
    broker.drop_all = true;
    REQUIRE(producer->flush(milliseconds(20'000)));
    CHECK(producer->send({.topic = "t", .value = extensive}));
    CHECK(producer->stats().buffer_bytes <= 64 * 1024);
    REQUIRE(producer->flush(milliseconds(5000)));
    CHECK(producer->stats().failed == 0);
}
