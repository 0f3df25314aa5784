#include "leat/consumer.hpp"

#include "doctest/doctest.h"
#include "leat/admin.hpp"
#include "leat/producer.hpp"
#include "tests/host/loopback_broker.hpp"

using namespace leat;
using namespace leat::testing;

TEST_CASE("consumer: reads back keys, values, headers and nulls, with every codec") {
    LoopbackBroker broker(2);
    broker.cluster.add_topic("t", {0, 1});
    Loop loop;
    int round = 0;
    for (const Codec codec : {Codec::none, Codec::gzip, Codec::snappy, Codec::lz4, Codec::zstd}) {
        auto producer =
            Producer::open(loop, {.bootstrap = broker.bootstrap(), .compression = codec});
        REQUIRE(producer);
        const Header headers[] = {{"unit", bytes_of("mbar")}, {"none", nullptr}};
        for (int i = 0; i < 100; ++i) {
            const std::string value = "value " + std::to_string(i) + std::string(50, 'z');
            REQUIRE(producer->send({.topic = "t",
                                    .key = "k",
                                    .value = value,
                                    .headers = headers,
                                    .timestamp = wall_ms(1'000'000 + i),
                                    .partition = 1}));
        }
        REQUIRE(producer->send({.topic = "t", .partition = 1}));
        REQUIRE(producer->flush(milliseconds(5000)));

        auto consumer = Consumer::open(loop, {.bootstrap = broker.bootstrap()});
        REQUIRE(consumer);
        CHECK(*consumer->partition_count("t", milliseconds(5000)) == 2);
        REQUIRE(consumer->assign({{"t", 1}}, StartAt::beginning));
        REQUIRE(consumer->seek({"t", 1}, round * 101));
        std::vector<Records> kept;  // views stay valid as long as their Records
        std::vector<const ConsumerRecord*> all;
        while (all.size() < 101) {
            kept.push_back(consumer->poll(milliseconds(5000), 30));
            REQUIRE(!kept.back().empty());
            REQUIRE(kept.back().size() <= 30);
            for (const ConsumerRecord& record : kept.back()) all.push_back(&record);
        }
        for (int i = 0; i < 100; ++i) {
            const ConsumerRecord& record = *all[static_cast<std::size_t>(i)];
            REQUIRE(record.offset == round * 101 + i);
            REQUIRE(record.key == "k");
            REQUIRE(record.value == "value " + std::to_string(i) + std::string(50, 'z'));
            REQUIRE(record.timestamp == wall_ms(1'000'000 + i));
            REQUIRE(record.headers.size() == 2);
            REQUIRE(text_of(record.headers[0].value.view()) == "mbar");
            REQUIRE(record.headers[1].value.is_null());
        }
        CHECK(!all[100]->key);
        CHECK(!all[100]->value);
        CHECK(*consumer->position({"t", 1}) == (round + 1) * 101);
        CHECK(*consumer->high_watermark({"t", 1}) == (round + 1) * 101);
        ++round;
    }
}

TEST_CASE("consumer: positions by end, time and pause; an unknown topic is told, not made") {
    LoopbackBroker broker;
    broker.cluster.add_topic("t", {0});
    broker.cluster.auto_create = true;
    Loop loop;
    auto producer =
        Producer::open(loop, {.bootstrap = broker.bootstrap(), .linger = milliseconds(0)});
    for (int i = 0; i < 10; ++i) {
        REQUIRE(producer->send(
            {.topic = "t", .value = std::to_string(i), .timestamp = wall_ms(1000 * (i + 1))}));
        REQUIRE(producer->flush(milliseconds(5000)));
    }
    auto consumer = Consumer::open(loop, {.bootstrap = broker.bootstrap(),
                                          .fetch_wait = milliseconds(20),
                                          .allow_auto_topic_creation = false});
    CHECK(consumer->partition_count("nope", milliseconds(5000)).error() == Error::not_found);
    CHECK(!broker.cluster.topics.contains("nope"));
    CHECK(consumer->seek({"t", 0}, 0).error() == Error::not_found);
    REQUIRE(consumer->assign({{"t", 0}}, StartAt::end));
    CHECK(consumer->poll(milliseconds(100)).empty());
    CHECK(*consumer->position({"t", 0}) == 10);
    REQUIRE(consumer->seek_to_time({"t", 0}, wall_ms(6500)));
    Records records = consumer->poll(milliseconds(5000));
    REQUIRE(!records.empty());
    CHECK(records[0].value == "6");
    REQUIRE(consumer->pause({"t", 0}));
    REQUIRE(consumer->seek_to({"t", 0}, StartAt::beginning));
    CHECK(consumer->poll(milliseconds(100)).empty());
    REQUIRE(consumer->resume({"t", 0}));
    records = consumer->poll(milliseconds(5000));
    REQUIRE(!records.empty());
    CHECK(records[0].value == "0");
    REQUIRE(consumer->assign({}));
    CHECK(consumer->position({"t", 0}).error() == Error::not_found);
}

TEST_CASE("admin: creates, describes, deletes; nobody there is a time-out with a reason") {
    LoopbackBroker broker(2);
    broker.cluster.controller = 1;
    for (const auto mode : {Loop::Mode::thread, Loop::Mode::poll}) {
        Loop loop(mode);
        auto admin = Admin::open(loop, {.bootstrap = broker.bootstrap()});
        REQUIRE(admin);
        const auto created =
            admin->create_topics({{.name = "new", .partitions = 2, .configs = {}}});
        REQUIRE(created);
        CHECK(created->front().error == ErrorCode::none);
        const auto picture = admin->describe();
        REQUIRE(picture);
        CHECK(picture->topics.at("new").partitions.size() == 2);
        const auto ends = admin->list_offsets("new", {0, 1}, Admin::latest);
        REQUIRE(ends);
        CHECK(ends->size() == 2);
        REQUIRE(admin->delete_topics({"new"}));
        CHECK(admin->describe()->topics.empty());
    }
    int nobody = 0;
    {
        LoopbackBroker gone;
        nobody = gone.cluster.addresses.at(0).second;
    }
    Loop loop;
    auto admin = Admin::open(
        loop, {.bootstrap = "127.0.0.1:" + std::to_string(nobody), .timeout = milliseconds(300)});
    CHECK(admin->describe().error() == Error::timed_out);
    CHECK(admin->last_problem().find("cannot connect: refused") != std::string::npos);
}

TEST_CASE("producer, consumer: why nobody answers is told in one line") {
    Loop loop;
    auto producer =
        Producer::open(loop, {.bootstrap = "127.0.0.1:1", .block_max = milliseconds(300)});
    auto consumer = Consumer::open(loop, {.bootstrap = "127.0.0.1:1"});
    REQUIRE(producer);
    REQUIRE(consumer);
    CHECK(producer->last_problem().empty());
    const Status sent = producer->send({.topic = "t", .value = "x"});
    REQUIRE(!sent);
    CHECK(sent.error() == Error::timed_out);
    CHECK(producer->last_problem() == "127.0.0.1:1: cannot connect: refused");
    CHECK(!consumer->partition_count("t", milliseconds(300)));
    CHECK(consumer->last_problem() == "127.0.0.1:1: cannot connect: refused");
}
