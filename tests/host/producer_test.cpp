#include "leat/producer.hpp"

#include "doctest/doctest.h"
#include "leat/admin.hpp"
#include "leat/consumer.hpp"
#include "tests/host/loopback_broker.hpp"

using namespace leat;
using namespace leat::testing;

namespace {

std::vector<std::string> all_values(LoopbackBroker& broker, const std::string& topic,
                                    std::int32_t partitions) {
    const std::lock_guard lock(broker.mutex);
    std::vector<std::string> all;
    for (std::int32_t p = 0; p < partitions; ++p)
        for (const std::string& value : broker.cluster.store.at(topic, p).values())
            all.push_back(value);
    return all;
}

}  // namespace

TEST_CASE(
    "producer: every record is delivered once, told in order, and keys keep their partition") {
    for (const auto mode : {Loop::Mode::thread, Loop::Mode::poll}) {
        LoopbackBroker broker(3);
        broker.cluster.add_topic("t", {0, 1, 2, 1});
        Loop loop(mode);
        auto producer =
            Producer::open(loop, {.bootstrap = broker.bootstrap(), .linger = milliseconds(1)});
        REQUIRE(producer);
        std::vector<std::int64_t> last(4, -1);
        int told = 0;
        bool in_order = true;
        for (int i = 0; i < 2000; ++i) {
            const std::string key = "k" + std::to_string(i % 17),
                              value = key + "/" + std::to_string(i);
            REQUIRE(producer->send(
                {.topic = "t", .key = key, .value = value}, [&](const Delivery& delivery) {
                    ++told;
                    if (!delivery ||
                        delivery.offset <= last[static_cast<std::size_t>(delivery.partition)])
                        in_order = false;
                    last[static_cast<std::size_t>(delivery.partition)] = delivery.offset;
                }));
        }
        REQUIRE(producer->flush(milliseconds(20'000)));
        CHECK(told == 2000);
        CHECK(in_order);
        const ProducerStats stats = producer->stats();
        CHECK(stats.accepted == 2000);
        CHECK(stats.acknowledged == 2000);
        CHECK(stats.buffered == 0);
        const auto values = all_values(broker, "t", 4);
        CHECK(values.size() == 2000);
        CHECK(std::set<std::string>(values.begin(), values.end()).size() == 2000);
        CHECK(producer->close(milliseconds(1000)));
        CHECK(producer->send({.topic = "t"}).error() == Error::closed);
    }
}

TEST_CASE("producer: goes on by itself when every connection is cut again and again") {
    LoopbackBroker broker(2);
    broker.cluster.add_topic("t", {0, 1});
    Loop loop;
    auto producer =
        Producer::open(loop, {.bootstrap = broker.bootstrap(), .linger = milliseconds(1)});
    REQUIRE(producer);
    std::vector<std::vector<std::string>> sent(2);
    for (int i = 0; i < 3000; ++i) {
        sent[static_cast<std::size_t>(i % 2)].push_back(std::to_string(i));
        REQUIRE(producer->send({.topic = "t", .value = std::to_string(i), .partition = i % 2}));
        if (i % 500 == 499) {
            for (int wait = 0; wait < 2000 && producer->stats().connections == 0; ++wait)
                std::this_thread::sleep_for(std::chrono::milliseconds(1));
            const std::uint64_t before = producer->stats().disconnects;
            broker.drop_all = true;
            for (int wait = 0; wait < 2000 && producer->stats().disconnects == before; ++wait)
                std::this_thread::sleep_for(std::chrono::milliseconds(1));
        }
    }
    REQUIRE(producer->flush(milliseconds(20'000)));
    CHECK(producer->stats().failed == 0);
    CHECK(producer->stats().disconnects >= 5);
    CHECK(broker.accepted.load() > 5);
    const std::lock_guard lock(broker.mutex);
    CHECK(broker.cluster.store.at("t", 0).values() == sent[0]);
    CHECK(broker.cluster.store.at("t", 1).values() == sent[1]);
}

TEST_CASE("producer: many threads share one, each one's records stay in its order") {
    LoopbackBroker broker(2);
    broker.cluster.add_topic("t", {0, 1});
    Loop loop;
    auto producer = Producer::open(
        loop, {.bootstrap = broker.bootstrap(), .linger = milliseconds(1), .batch_bytes = 1024});
    REQUIRE(producer);
    std::atomic<int> told{0}, refused{0};
    std::vector<std::thread> threads;
    for (int thread = 0; thread < 4; ++thread)
        threads.emplace_back([&, thread] {
            for (int i = 0; i < 1000; ++i) {
                const std::string value = std::to_string(thread) + "/" + std::to_string(i);
                refused +=
                    !producer->send({.topic = "t", .value = value, .partition = thread % 2},
                                    [&](const Delivery& delivery) { told += bool(delivery); });
                if (i % 300 == 0) (void)producer->stats();
            }
            refused += !producer->flush(milliseconds(20'000));
        });
    for (std::thread& thread : threads) thread.join();
    CHECK(refused == 0);
    CHECK(told == 4000);
    std::map<std::string, int> next;
    for (const std::string& value : all_values(broker, "t", 2)) {
        const std::size_t slash = value.find('/');
        REQUIRE(std::stoi(value.substr(slash + 1)) == next[value.substr(0, slash)]++);
    }
    CHECK(next.size() == 4);
}

TEST_CASE("producer: close tells every record that nobody acknowledged") {
    LoopbackBroker broker;
    broker.cluster.add_topic("t", {0});
    Loop loop;
    std::atomic<int> failed{0};
    {
        auto producer = Producer::open(loop, {.bootstrap = broker.bootstrap()});
        REQUIRE(producer->send({.topic = "t", .value = "first"}));
        REQUIRE(producer->flush(milliseconds(5000)));
        broker.deaf = true;
        for (int i = 0; i < 10; ++i)
            REQUIRE(producer->send({.topic = "t", .value = "v"},
                                   [&](const Delivery& delivery) { failed += !delivery; }));
        CHECK(producer->close(milliseconds(50)).error() == Error::timed_out);
        CHECK(failed == 10);
        CHECK(producer->stats().failed == 10);
    }
    CHECK(failed == 10);
}

TEST_CASE("producer: flush waits for what was sent before it, not for what others go on sending") {
    LoopbackBroker broker;
    broker.cluster.add_topic("t", {0});
    Loop loop;
    // A little memory, so that what others have sent before is soon gone on any machine.
    auto producer = Producer::open(
        loop,
        {.bootstrap = broker.bootstrap(), .linger = milliseconds(1), .buffer_bytes = 512 * KiB});
    REQUIRE(producer);
    REQUIRE(producer->send({.topic = "t", .value = "first"}));
    REQUIRE(producer->flush(milliseconds(5000)));
    std::atomic<bool> stop{false};
    std::thread other([&] {
        const std::string value(200, 'x');
        while (!stop) (void)producer->send({.topic = "t", .value = value});
    });
    bool flushed = true;
    for (int i = 0; i < 5; ++i) {
        std::atomic<bool> told{false};
        REQUIRE(producer->send({.topic = "t", .value = "mine"},
                               [&](const Delivery& delivery) { told = bool(delivery); }));
        flushed &= bool(producer->flush(milliseconds(5000)));
        CHECK(told);
        if (!told) (void)producer->flush(milliseconds(20'000));
    }
    CHECK(flushed);
    stop = true;
    other.join();
    CHECK(producer->close(milliseconds(20'000)));
}

TEST_CASE("producer: close ends a send that waits for room, at once") {
    LoopbackBroker broker;
    broker.cluster.add_topic("t", {0});
    Loop loop;
    auto producer = Producer::open(
        loop, {.bootstrap = broker.bootstrap(), .batch_bytes = 4096, .buffer_bytes = 16 * 1024});
    REQUIRE(producer);
    REQUIRE(producer->send({.topic = "t", .value = "first"}));
    REQUIRE(producer->flush(milliseconds(5000)));
    broker.deaf = true;
    std::atomic<int> taken{0};
    std::optional<Error> why;
    std::thread sender([&] {
        const std::string value(1000, 'x');
        for (;; ++taken)
            if (const Status sent = producer->send({.topic = "t", .value = value}); !sent) {
                why = sent.error();
                return;
            }
    });
    for (int before = -1; before != taken;) {  // until it waits
        before = taken;
        std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
    const auto start = std::chrono::steady_clock::now();
    CHECK(producer->close(milliseconds(0)).error() == Error::timed_out);
    sender.join();
    CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(5));
    CHECK(why == Error::closed);
}

TEST_CASE("producer: a callback may send, and a delivery can be waited for") {
    LoopbackBroker broker;
    broker.cluster.add_topic("t", {0});
    Loop loop;
    auto producer =
        Producer::open(loop, {.bootstrap = broker.bootstrap(), .linger = milliseconds(0)});
    REQUIRE(producer);
    std::atomic<bool> both{false};
    REQUIRE(producer->send({.topic = "t", .value = "one"}, [&](const Delivery&) {
        (void)producer->send({.topic = "t", .value = "two"},
                             [&](const Delivery& second) { both = bool(second); });
    }));
    for (int i = 0; i < 2000 && !both; ++i)
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    CHECK(both);
    auto pending = producer->send_tracked({.topic = "t", .key = "k", .value = "three"});
    REQUIRE(pending);
    const auto delivery = pending->wait(milliseconds(5000));
    REQUIRE(delivery);
    CHECK(delivery->error == ErrorCode::none);
    CHECK(delivery->offset == 2);
    CHECK(delivery->topic == "t");
}

TEST_CASE("producer: what can never work is refused at once") {
    LoopbackBroker broker;
    broker.cluster.add_topic("t", {0});
    Loop loop;
    CHECK(Producer::open(loop, {.bootstrap = ""}).error() == Error::invalid);
    CHECK(Producer::open(loop, {.bootstrap = "x:y"}).error() == Error::invalid);
    CHECK(Producer::open(loop, {.bootstrap = "x", .acks = ProducerAcks::leader}).error() ==
          Error::invalid);
    auto producer =
        Producer::open(loop, {.bootstrap = broker.bootstrap(), .record_bytes_max = 50'000});
    REQUIRE(producer);
    CHECK(producer->send({.topic = ""}).error() == Error::invalid);
    CHECK(producer->send({.topic = std::string(250, 'a')}).error() == Error::invalid);
    const std::string fits(49'000, 'x'), too_long(51'000, 'x');
    CHECK(producer->send({.topic = "t", .value = fits}));
    CHECK(producer->send({.topic = "t", .value = too_long}).error() == Error::too_large);
    CHECK(producer->send({.topic = "t", .partition = 1}).error() == Error::not_found);
    CHECK(producer->send({.topic = "t", .partition = -1}).error() == Error::not_found);
    REQUIRE(producer->flush(milliseconds(5000)));
    CHECK(all_values(broker, "t", 1) == std::vector<std::string>{fits});
}

TEST_CASE("producer: a partition that is made later is soon found by whoever asks for it") {
    LoopbackBroker broker;
    broker.cluster.add_topic("t", {0});
    Loop loop;
    auto producer = Producer::open(loop, {.bootstrap = broker.bootstrap()});
    REQUIRE(producer);
    REQUIRE(producer->send({.topic = "t", .value = "first", .partition = 0}));
    REQUIRE(producer->flush(milliseconds(5000)));
    {
        const std::lock_guard lock(broker.mutex);
        broker.cluster.topics["t"].push_back({0, 0});
    }
    Status sent = fail(Error::not_found);
    for (int i = 0; i < 500 && !sent; ++i) {
        sent = producer->send({.topic = "t", .value = "second", .partition = 1});
        if (!sent) std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    REQUIRE(sent);
    REQUIRE(producer->flush(milliseconds(5000)));
    CHECK(all_values(broker, "t", 2) == std::vector<std::string>{"first", "second"});
}
