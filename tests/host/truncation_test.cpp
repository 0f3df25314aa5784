// Truncation detection (KIP-320) of the hosted SDK against a real leatd.
#include "tests/host/group_diary.hpp"

using namespace leat;
using namespace leat::testing;

TEST_CASE("group: commits carry leader epochs, and one that an epoch never reached is truncation") {
    LeatdProcess leatd(LEATD_PROGRAM);
    Loop loop;
    make_topic(loop, leatd);
    auto producer = Producer::open(loop, {.bootstrap = leatd.bootstrap()});
    REQUIRE(producer);
    const auto send_ten = [&](int from) {
        for (int i = from; i < from + 10; ++i) {
            const std::string value = std::to_string(i);
            REQUIRE(producer->send({.topic = "t", .value = value, .partition = 0}));
        }
        REQUIRE(producer->flush(patience));
    };
    send_ten(0);
    auto a = Member::open(loop, member_config(leatd));
    REQUIRE(poll_until({a.get()}, [&] { return a->values.size() == 10; }));
    REQUIRE(a->consumer.commit(patience));
    const auto first = a->consumer.committed({{"t", 0}}, patience);
    REQUIRE(first);
    const std::int32_t epoch = first->at({"t", 0}).leader_epoch;
    CHECK(epoch >= 0);

    // Cut off, leatd leads in another epoch: what is read goes on, and nothing is told.
    leatd.kill();
    REQUIRE(leatd.start());
    send_ten(10);
    REQUIRE(poll_until({a.get()}, [&] { return a->values.size() == 20; }));
    REQUIRE(poll_until({a.get()}, [&] { return bool(a->consumer.commit(patience)); }));
    const auto second = a->consumer.committed({{"t", 0}}, patience);
    REQUIRE(second);
    CHECK(second->at({"t", 0}).offset == 20);
    CHECK(second->at({"t", 0}).leader_epoch > epoch);
    const auto is_truncated = [](const ConsumerEvent& event) {
        return event.kind == ConsumerEvent::Kind::log_truncated;
    };
    CHECK(std::none_of(a->events.begin(), a->events.end(), is_truncated));

    // Somebody had read to 15 what the first epoch wrote, which ends at 10 in this log.
    REQUIRE(a->consumer.commit({{{"t", 0}, {.offset = 15, .leader_epoch = epoch, .metadata = ""}}},
                               patience));
    REQUIRE(a->consumer.close(patience));
    using Reset = ConsumerConfig::Reset;
    for (const Reset reset : {Reset::beginning, Reset::by_duration, Reset::none}) {
        ConsumerConfig config = member_config(leatd);
        config.reset = reset;
        auto b = Member::open(loop, config);
        const auto told = [&] {
            return std::find_if(b->events.begin(), b->events.end(), is_truncated);
        };
        REQUIRE(poll_until({b.get()}, [&] { return told() != b->events.end(); }));
        CHECK(told()->topic == "t");
        CHECK(told()->partition == 0);
        CHECK(told()->offset == 10);
        CHECK(told()->text ==
              "t-0: the log was truncated: from offset 10 on it is not what was read");
        if (reset == Reset::none) {
            for (int i = 0; i < 10; ++i) b->poll();
            CHECK(b->values.empty());
            REQUIRE(b->consumer.seek({"t", 0}, told()->offset));
        }
        REQUIRE(poll_until({b.get()}, [&] { return b->values.size() == 10; }));
        CHECK(b->values.front() == "10");
        CHECK(std::count_if(b->events.begin(), b->events.end(), is_truncated) == 1);
        REQUIRE(b->consumer.close(patience));  // commits nothing
    }
}

TEST_CASE("consumer: who notes offsets with leader epochs by itself is told of a truncation, too") {
    LeatdProcess leatd(LEATD_PROGRAM);
    Loop loop;
    make_topic(loop, leatd);
    auto producer = Producer::open(loop, {.bootstrap = leatd.bootstrap()});
    REQUIRE(producer);
    const auto send_five = [&] {
        for (int i = 0; i < 5; ++i)
            REQUIRE(producer->send({.topic = "t", .value = "v", .partition = 0}));
        REQUIRE(producer->flush(patience));
    };
    send_five();
    leatd.kill();
    REQUIRE(leatd.start());
    send_five();
    ConsumerConfig config;
    config.bootstrap = leatd.bootstrap();
    config.reset = ConsumerConfig::Reset::beginning;
    auto consumer = Consumer::open(loop, config);
    REQUIRE(consumer);
    REQUIRE(consumer->assign({{"t", 0}}, StartAt::beginning));
    std::vector<std::int32_t> epochs;
    const auto read = [&](std::size_t count) {
        const auto end = std::chrono::steady_clock::now() + patience;
        while (epochs.size() < count && std::chrono::steady_clock::now() < end)
            for (const ConsumerRecord& record : consumer->poll(milliseconds(20)))
                epochs.push_back(record.leader_epoch);
        return epochs.size() == count;
    };
    REQUIRE(read(10));
    CHECK(epochs.front() >= 0);
    CHECK(epochs[4] == epochs.front());
    CHECK(epochs[5] == epochs.front() + 1);
    CHECK(epochs[9] == epochs[5]);

    for (const std::int32_t epoch : {epochs[5], epochs[0]}) {  // offset 8 was written in the first
        epochs.clear();
        REQUIRE(consumer->seek({"t", 0}, {.offset = 8, .leader_epoch = epoch, .metadata = {}}));
        REQUIRE(read(epoch == 0 ? 5 : 2));
        bool is_told = false;
        while (const auto event = consumer->poll_event())
            is_told |= event->kind == ConsumerEvent::Kind::log_truncated && event->offset == 5;
        CHECK(is_told == (epoch == 0));
    }
}
