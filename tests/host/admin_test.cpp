// What the admin client asks about logs and settings, of a real leatd.
#include <algorithm>

#include "tests/host/group_diary.hpp"

using namespace leat;
using namespace leat::testing;

TEST_CASE("admin: where leader epochs end, who produced, which record is the youngest") {
    LeatdProcess leatd(LEATD_PROGRAM);
    Loop loop;
    make_topic(loop, leatd);
    const auto produce = [&](int count, std::int64_t time) {
        auto producer = Producer::open(loop, {.bootstrap = leatd.bootstrap()});
        REQUIRE(producer);
        for (int i = 0; i < count; ++i)
            REQUIRE(producer->send(
                {.topic = "t", .value = "v", .timestamp = wall_ms(time - i), .partition = 0}));
        REQUIRE(producer->flush(patience));
    };
    constexpr std::int64_t then = 1'700'000'000'000;
    produce(3, then);
    leatd.kill();
    REQUIRE(leatd.start());
    produce(2, then - 1000);

    auto admin = Admin::open(loop, {.bootstrap = leatd.bootstrap()});
    REQUIRE(admin);
    const auto youngest = admin->list_offsets("t", {0}, Admin::max_timestamp);
    REQUIRE(youngest);
    CHECK(youngest->at(0).offset == 0);
    CHECK(youngest->at(0).timestamp == then);
    const std::int32_t first = youngest->at(0).leader_epoch;
    const auto last = admin->list_offsets("t", {0}, Admin::latest);
    REQUIRE(last);
    CHECK(last->at(0).offset == 5);
    CHECK(last->at(0).leader_epoch == first + 1);

    const auto end_of = [&](std::int32_t epoch) {
        const auto ends = admin->epoch_ends("t", {{0, epoch}});
        REQUIRE(ends);
        REQUIRE(ends->size() == 1);
        CHECK(ends->at(0).error == ErrorCode::none);
        return std::pair(ends->at(0).epoch, ends->at(0).offset);
    };
    CHECK(end_of(first) == std::pair(first, std::int64_t{3}));
    CHECK(end_of(first + 1) == std::pair(first + 1, std::int64_t{5}));
    CHECK(end_of(first + 2) == std::pair(-1, std::int64_t{-1}));  // yet to come
    const auto nowhere = admin->epoch_ends("none", {{0, 0}});
    CHECK(!nowhere);

    const auto producers = admin->describe_producers("t", {0, 1});
    REQUIRE(producers);
    REQUIRE(producers->size() == 2);
    CHECK(producers->at(1).producers.empty());
    std::vector<std::int32_t> sequences;
    for (const auto& producer : producers->at(0).producers) {
        CHECK(producer.transaction_begins_at == -1);
        sequences.push_back(producer.last_sequence);
    }
    std::sort(sequences.begin(), sequences.end());
    CHECK(sequences == std::vector<std::int32_t>{1, 2});
}

TEST_CASE("admin: what has settings is listed by kind; a kind that nobody knows is refused") {
    LeatdProcess leatd(LEATD_PROGRAM);
    Loop loop;
    make_topic(loop, leatd);
    auto admin = Admin::open(loop, {.bootstrap = leatd.bootstrap()});
    REQUIRE(admin);
    const auto topics = admin->list_config_resources({2});
    REQUIRE(topics);
    REQUIRE(topics->size() == 1);
    CHECK(topics->front().name == "t");
    const auto all = admin->list_config_resources();
    REQUIRE(all);
    CHECK(all->size() == 2);  // and the broker
    const auto unknown = admin->list_config_resources({99});
    REQUIRE(!unknown);
    CHECK(unknown.error() == Error::refused);
    CHECK(admin->last_refusal() == ErrorCode::unsupported_version);
}
