#include <doctest/doctest.h>

#include "sdk/client/produce_codec.hpp"
#include "tests/client/rig.hpp"

using namespace leat;
using namespace leat::client;
using namespace leat::testing;
using wire::ErrorCode;

TEST_CASE(
    "sender: acks=0 is delivered when written, acks=1 without idempotence carries no sequence") {
    for (Acks acks : {Acks::none, Acks::leader}) {
        ModelBroker broker;
        Rig rig(broker, {.sender = {.acks = acks, .idempotent = false}});
        rig.connect();
        append_each(rig, 0, 3);
        CHECK(broker.next_producer_id == 1000);
        CHECK(broker.at("t", 0).values() == numbered(3));
        CHECK(rig.reports[0] == std::vector<ErrorCode>(3, ErrorCode::none));
        CHECK(wire::BatchView::parse(broker.at("t", 0).log[0].batch)->header().base_sequence == -1);
    }
}

TEST_CASE("sender: throttle_time_ms is honoured, and the deadline says when it ends") {
    ModelBroker broker;
    Rig rig(broker, {});
    rig.connect();
    append_each(rig, 0, 1);
    broker.throttle_ms = 700;
    append_each(rig, 1, 2);
    broker.throttle_ms = 0;
    REQUIRE(rig.append("r2"));
    rig.settle();
    CHECK(broker.at("t", 0).values() == numbered(2));
    CHECK(rig.sender.deadline() == rig.now + milliseconds{700});
    rig.pass(milliseconds{699});
    rig.settle();
    CHECK(broker.at("t", 0).values() == numbered(2));
    rig.pass(milliseconds{1});
    rig.settle();
    CHECK(broker.at("t", 0).values() == numbered(3));
}

TEST_CASE("sender: retries wait with a back-off that grows and has a bound") {
    ModelBroker broker;
    Rig rig(broker, {.sender = {.retry = {milliseconds{100}, milliseconds{1000}}}});
    rig.connect();
    append_each(rig, 0, 1);
    broker.on_batch = [&](auto&, auto) {
        return ModelBroker::Fault{ErrorCode::not_enough_replicas};
    };
    REQUIRE(rig.append("r1"));
    rig.settle();
    milliseconds last{0};
    for (int i = 0; i < 8; ++i) {
        const milliseconds wait = rig.sender.deadline() - rig.now;
        const milliseconds ideal{std::min(1000, 100 << i)};
        CHECK(wait >= ideal * 3 / 4);
        CHECK(wait <= std::min(ideal * 5 / 4, milliseconds{1000}));
        last = wait;
        rig.pass(wait);
        rig.settle();
    }
    broker.on_batch = {};
    REQUIRE(rig.settle_all());
    CHECK(broker.at("t", 0).values() == numbered(2));
}

TEST_CASE("sender: InitProducerId refused is told, tried again, and batches wait for it") {
    ModelBroker broker;
    broker.init_error = ErrorCode::cluster_authorization_failed;
    Rig rig(broker, {});
    rig.connect();
    REQUIRE(rig.append("r0"));
    rig.settle();
    REQUIRE(rig.events.size() == 1);
    CHECK(rig.events[0].kind == SenderEvent::Kind::producer_refused);
    CHECK(rig.events[0].error == ErrorCode::cluster_authorization_failed);
    CHECK(rig.sender.deadline() > rig.now);
    broker.init_error = ErrorCode::none;
    REQUIRE(rig.settle_all());
    CHECK(broker.at("t", 0).values() == numbered(1));
}

TEST_CASE("sender: an answer to InitProducerId that is too long is asked for again after a pause") {
    ModelBroker broker;
    Rig rig(broker, {.sender = {.retry = {milliseconds{100}, milliseconds{1000}}}});
    rig.connect();
    // No broker means it: what the memory does not hold is skipped, and the next one is as long.
    Bytes answer(8192);
    int asked = 0;
    const auto answer_too_long = [&] {
        rig.sender.pump(rig.now);
        rig.link.write(rig.now);
        rig.drain();
        if (rig.link.to_broker.empty()) return;
        ++asked;
        store_big(answer.data(), static_cast<std::int32_t>(answer.size() - 4));
        std::copy_n(rig.link.to_broker.begin() + 8, 4, answer.begin() + 4);  // correlation id
        rig.link.to_broker.clear();
        rig.link.to_client = answer;
        rig.receive();
    };
    REQUIRE(rig.append("r0"));
    for (int i = 0; i < 5; ++i) answer_too_long();
    CHECK(asked == 1);
    for (int i = 0; i < 3; ++i) {
        CHECK(rig.sender.deadline() == rig.now + milliseconds{1000});
        rig.pass(milliseconds{1000});
        for (int turn = 0; turn < 5; ++turn) answer_too_long();
    }
    CHECK(asked == 4);
    REQUIRE(rig.settle_all());
    CHECK(broker.at("t", 0).values() == numbered(1));
}

TEST_CASE("sender: one request carries a batch of every ready partition, topics side by side") {
    ModelBroker broker;
    Rig rig(broker, {.partitions = 6});
    rig.connect();
    for (std::uint16_t slot = 0; slot < 6; ++slot) REQUIRE(rig.append("first", slot));
    rig.settle();
    const int before = broker.requests;
    for (std::uint16_t slot = 0; slot < 6; ++slot)
        REQUIRE(
            rig.accumulator.append(slot, rig.now, {.timestamp = 1, .value = bytes_of("second")}));
    rig.settle();
    CHECK(broker.requests == before + (produce_batches_max() > 1 ? 1 : 6));  // pinned: one each
    for (int i = 0; i < 6; ++i)
        CHECK(broker.at(i % 2 ? "u" : "t", i).values() ==
              std::vector<std::string>{"first", "second"});
}

TEST_CASE(
    "sender: a recalled queue is returned when its last answer is known, unanswered batches stay "
    "in order") {
    ModelBroker broker;
    Rig rig(broker, {});
    rig.connect();
    append_each(rig, 0, 1);
    REQUIRE(rig.append("r1"));
    rig.link.write(rig.now);
    REQUIRE(rig.append("r2"));
    rig.link.write(rig.now);
    rig.sender.recall(*rig.queues[0]);
    rig.drain();
    CHECK(rig.events.empty());
    CHECK(rig.link.serve_one());
    rig.receive();
    CHECK(rig.events.empty());
    rig.link.cut();
    rig.disconnect();  // the second answer will never be known
    REQUIRE(rig.events.size() == 1);
    CHECK(rig.events[0].kind == SenderEvent::Kind::returned);
    CHECK(rig.queues[0]->lent_to() == nullptr);

    Link other(broker);
    Sender next(other.connection, rig.identity, {}, 1, 9);
    other.connection.on_connected(rig.now);
    next.lend(rig.now, *rig.queues[0]);
    REQUIRE(rig.accumulator.append(0, rig.now, {.timestamp = 1, .value = bytes_of("r3")}));
    for (int i = 0; i < 10; ++i) {
        while (auto event = other.connection.poll_event(rig.now)) next.on_event(rig.now, *event);
        next.pump(rig.now);
        other.write(rig.now);
        other.serve_one();
        other.connection.on_bytes(rig.now, other.to_client);
        other.to_client.clear();
    }
    CHECK(broker.at("t", 0).values() == numbered(4));
}
