#include <doctest/doctest.h>

#include "sdk/client/produce_codec.hpp"
#include "tests/client/rig.hpp"

using namespace leat;
using namespace leat::client;
using namespace leat::testing;
using wire::ErrorCode;

TEST_CASE("sender: asks for a producer id once, then delivers in order with rising sequences") {
    ModelBroker broker;
    Rig rig(broker, {});
    rig.connect();
    append_each(rig, 0, 10);
    CHECK(broker.at("t", 0).values() == numbered(10));
    CHECK(broker.next_producer_id == 1001);
    CHECK(rig.reports[0] == std::vector<ErrorCode>(10, ErrorCode::none));
    CHECK(rig.queues[0]->sending_as().next_sequence == 10);
    CHECK(rig.accumulator.is_drained());
}

TEST_CASE("sender: at most the window is in flight, and what waits goes out as one batch") {
    for (std::size_t window : {1u, 4u, 5u}) {
        ModelBroker broker;
        Rig rig(broker, {.window = window});
        rig.connect();
        append_each(rig, 0, 1);
        for (int i = 1; i < 9; ++i) {
            REQUIRE(rig.append("r" + std::to_string(i)));
            rig.link.write(rig.now);
        }
        CHECK(rig.queues[0]->in_flight_count() == window);
        rig.settle();
        CHECK(broker.at("t", 0).values() == numbered(9));
        CHECK(broker.at("t", 0).log.size() == 1 + window + (8 > window ? 1 : 0));
    }
}

TEST_CASE(
    "sender: an error on the first of five in flight makes all five come again, once each and in "
    "order") {
    for (ErrorCode error : {ErrorCode::not_enough_replicas, ErrorCode::not_leader_or_follower,
                            ErrorCode::corrupt_message, ErrorCode::unknown_topic_or_partition,
                            ErrorCode::kafka_storage_error}) {
        for (int failing = 0; failing < 5; ++failing) {
            ModelBroker broker;
            Rig rig(broker, {});
            rig.connect();
            append_each(rig, 0, 1);
            int seen = 0;
            broker.on_batch = [&](auto&, auto) {
                return ModelBroker::Fault{seen++ == failing ? error : ErrorCode::none};
            };
            for (int i = 1; i < 6; ++i) {
                REQUIRE(rig.append("r" + std::to_string(i)));
                rig.link.write(rig.now);
            }
            CHECK(rig.queues[0]->in_flight_count() == 5);
            REQUIRE(rig.settle_all());
            CHECK(broker.at("t", 0).values() == numbered(6));
            CHECK(rig.reports[0] == std::vector<ErrorCode>(6, ErrorCode::none));
            CHECK(rig.queues[0]->sending_as().producer_epoch == 0);  // frozen sequences, no bump
            CHECK(rig.events.empty() == !wire::stale_metadata(error));
        }
    }
}

TEST_CASE(
    "sender: an answer that is lost after the append is found to be a duplicate, never a second "
    "copy") {
    for (ErrorCode error :
         {ErrorCode::request_timed_out, ErrorCode::not_enough_replicas_after_append}) {
        ModelBroker broker;
        Rig rig(broker, {});
        rig.connect();
        int seen = 0;
        broker.on_batch = [&](auto&, auto) {
            return ModelBroker::Fault{seen++ == 0 ? error : ErrorCode::none, true};
        };
        REQUIRE(rig.append("r0"));
        REQUIRE(rig.settle_all());
        CHECK(broker.at("t", 0).values() == numbered(1));
        CHECK(broker.duplicates == 1);
        CHECK(rig.reports[0] == std::vector<ErrorCode>{ErrorCode::none});
    }
}

// A script of five requests, cut at every step: before a request arrives, between arrival and
// answer, in the middle of an answer; by a disconnect and by silence.
TEST_CASE("sender: wherever the connection breaks, each record arrives once and in order") {
    for (bool silence : {false, true})
        for (int cut = 0; cut < 200; ++cut) {
            ModelBroker broker;
            Rig rig(broker, {.sender = {.request_timeout = milliseconds{500}}});
            rig.connect();
            int step = 0;
            bool was_cut = false;
            auto at_cut = [&] { return !was_cut && step++ == cut; };
            auto break_now = [&] {
                was_cut = true;
                rig.link.cut();
                if (silence) {
                    for (int i = 0; i < 12 && !rig.closed; ++i) rig.pass(milliseconds{50});
                    if (rig.closed) CHECK(rig.why_closed == Error::timed_out);
                } else {
                    rig.disconnect();
                }
                if (!rig.closed) return;
                rig.closed = false;
                rig.connect();
            };
            int appended = 0;
            for (int turn = 0; turn < 60; ++turn) {
                if (appended < 12 && rig.append("r" + std::to_string(appended))) ++appended;
                rig.link.write(rig.now);
                if (at_cut()) {
                    break_now();
                    continue;
                }
                if (turn % 3 == 0) continue;  // lets several be in flight
                rig.link.serve_one();
                if (at_cut()) {
                    break_now();
                    continue;
                }
                rig.receive(7);
                if (at_cut()) {
                    break_now();
                    continue;
                }
                rig.receive();
            }
            INFO("cut=", cut, " silence=", silence);
            REQUIRE(rig.settle_all());
            CHECK(broker.at("t", 0).values() == numbered(12));
            CHECK(rig.reports[0] == std::vector<ErrorCode>(12, ErrorCode::none));
            if (!was_cut) break;  // swept every step there is
        }
}

TEST_CASE("sender: a fatal error ends its batch alone; the batches behind it start a new epoch") {
    for (ErrorCode error : {ErrorCode::message_too_large, ErrorCode::invalid_record,
                            ErrorCode::invalid_timestamp, ErrorCode::topic_authorization_failed}) {
        ModelBroker broker;
        Rig rig(broker, {});
        rig.connect();
        append_each(rig, 0, 1);
        int seen = 0;
        broker.on_batch = [&](auto&, auto) {
            return ModelBroker::Fault{seen++ == 1 ? error : ErrorCode::none};
        };
        for (int i = 1; i < 6; ++i) {
            REQUIRE(rig.append("r" + std::to_string(i)));
            rig.link.write(rig.now);
        }
        REQUIRE(rig.settle_all());
        CHECK(broker.at("t", 0).values() == std::vector<std::string>{"r0", "r1", "r3", "r4", "r5"});
        CHECK(rig.reports[0] == std::vector<ErrorCode>{ErrorCode::none, ErrorCode::none, error,
                                                       ErrorCode::none, ErrorCode::none,
                                                       ErrorCode::none});
        CHECK(rig.queues[0]->sending_as().producer_epoch == 1);
        append_each(rig, 6, 7);
        CHECK(broker.at("t", 0).values().back() == "r6");
    }
}

TEST_CASE(
    "sender: the gateway is away for longer than the delivery timeout; the producer goes on by "
    "itself (KIP-360)") {
    for (bool appended_unseen : {false, true}) {
        ModelBroker broker;
        Rig rig(broker, {.sender = {.request_timeout = milliseconds{500},
                                    .delivery_timeout = milliseconds{3000}}});
        rig.connect();
        append_each(rig, 0, 3);
        // Two go out and their answers never come; two more wait in memory.
        for (int i = 3; i < 5; ++i) {
            REQUIRE(rig.append("r" + std::to_string(i)));
            rig.link.write(rig.now);
            if (appended_unseen) CHECK(rig.link.serve_one());
        }
        rig.link.cut();
        rig.disconnect();
        for (int i = 5; i < 7; ++i) REQUIRE(rig.append("r" + std::to_string(i)));
        CHECK(rig.sender.deadline() <= rig.now + milliseconds{3000});
        for (int i = 0; i < 100; ++i) rig.pass(milliseconds{50});
        std::vector<ErrorCode> expected(3, ErrorCode::none);
        expected.insert(expected.end(), 4, ErrorCode::request_timed_out);
        CHECK(rig.reports[0] == expected);
        CHECK(rig.accumulator.is_drained());

        rig.closed = false;
        rig.connect();
        append_each(rig, 7, 12);
        CHECK(rig.queues[0]->sending_as().producer_epoch == 1);
        CHECK(broker.next_producer_id == 1001);  // the epoch rose without asking anybody
        std::vector<std::string> values = {"r0", "r1", "r2"};
        if (appended_unseen) values.insert(values.end(), {"r3", "r4"});
        for (int i = 7; i < 12; ++i) values.push_back("r" + std::to_string(i));
        CHECK(broker.at("t", 0).values() == values);
    }
}

// Only the first of two expires; what became of either is unknown. The second is resent under its
// old sequence first: bumping at once would append it twice if it had arrived.
TEST_CASE(
    "sender: a batch in doubt keeps its sequence until the broker has said whether it is there") {
    for (int arrived = 0; arrived <= 2; ++arrived) {
        ModelBroker broker;
        Rig rig(broker, {.sender = {.request_timeout = milliseconds{500},
                                    .delivery_timeout = milliseconds{3000}}});
        rig.connect();
        append_each(rig, 0, 2);
        REQUIRE(rig.append("r2"));
        rig.link.write(rig.now);
        rig.now += milliseconds{400};
        REQUIRE(rig.append("r3"));
        rig.link.write(rig.now);
        for (int i = 0; i < arrived; ++i) CHECK(rig.link.serve_one());
        rig.link.cut();
        rig.disconnect();
        rig.pass(milliseconds{2700});  // r2 is older than 3 s, r3 is not
        CHECK(rig.reports[0].size() == 3);
        CHECK(rig.reports[0].back() == ErrorCode::request_timed_out);
        rig.closed = false;
        rig.connect();
        REQUIRE(rig.settle_all());
        append_each(rig, 4, 5);
        std::vector<std::string> values = {"r0", "r1"};
        if (arrived > 0) values.push_back("r2");
        values.insert(values.end(), {"r3", "r4"});
        INFO("arrived=", arrived);
        CHECK(broker.at("t", 0).values() == values);
        CHECK(rig.reports[0].size() == 5);
        CHECK(rig.reports[0][3] == ErrorCode::none);
    }
}

TEST_CASE(
    "sender: a broker that lost the producer's state is answered with a new epoch, nothing stands "
    "still") {
    for (ErrorCode error : {ErrorCode::unknown_producer_id, ErrorCode::invalid_producer_epoch,
                            ErrorCode::out_of_order_sequence_number}) {
        ModelBroker broker;
        Rig rig(broker, {});
        rig.connect();
        append_each(rig, 0, 3);
        int seen = 0;
        broker.on_batch = [&](auto&, auto) {
            return ModelBroker::Fault{seen++ < 1 ? error : ErrorCode::none};
        };
        for (int i = 3; i < 6; ++i) {
            REQUIRE(rig.append("r" + std::to_string(i)));
            rig.link.write(rig.now);
        }
        REQUIRE(rig.settle_all());
        CHECK(broker.at("t", 0).values() == numbered(6));
        CHECK(rig.queues[0]->sending_as().producer_epoch == 1);
    }
}

TEST_CASE("sender: epochs are used up after 32767 bumps, then a new producer id is asked for") {
    ModelBroker broker;
    Rig rig(broker, {});
    rig.connect();
    append_each(rig, 0, 1);
    rig.queues[0]->restore({1000, 32767, 1});
    broker.at("t", 0).producers[1000].epoch = 32767;
    int seen = 0;
    broker.on_batch = [&](auto&, auto) {
        return ModelBroker::Fault{seen++ == 0 ? ErrorCode::unknown_producer_id : ErrorCode::none};
    };
    REQUIRE(rig.append("r1"));
    REQUIRE(rig.settle_all());
    CHECK(rig.queues[0]->sending_as().producer_id == 1001);
    CHECK(rig.queues[0]->sending_as().producer_epoch == 0);
    CHECK(broker.at("t", 0).values() == numbered(2));
}

TEST_CASE("sender: sequences wrap from 2147483647 to 0") {
    ModelBroker broker;
    Rig rig(broker, {});
    rig.connect();
    append_each(rig, 0, 1);
    rig.queues[0]->restore({1000, 0, 0x7fffffff});
    broker.at("t", 0).producers[1000].batches.back().last = 0x7ffffffe;
    append_each(rig, 1, 4);
    CHECK(rig.queues[0]->sending_as().next_sequence == 2);
    CHECK(broker.at("t", 0).values() == numbered(4));
}
