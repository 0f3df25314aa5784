// Members of a group on a real leatd, each with a diary.
#pragma once

#include <algorithm>
#include <chrono>
#include <map>
#include <memory>
#include <set>

#include "doctest/doctest.h"
#include "leat/admin.hpp"
#include "leat/consumer.hpp"
#include "leat/producer.hpp"
#include "tests/host/leatd_process.hpp"

namespace leat::testing {

constexpr milliseconds patience{60'000};
constexpr std::int32_t partitions = 4;

/// A member with a diary.
struct Member {
    Consumer consumer;
    std::vector<std::string> values{};
    std::vector<TopicPartition> assigned{}, revoked{}, lost{};
    std::vector<ConsumerEvent> events{};

    static std::unique_ptr<Member> open(Loop& loop, ConsumerConfig config) {
        Result<Consumer> consumer = Consumer::open(loop, std::move(config));
        REQUIRE(consumer);
        auto member = std::make_unique<Member>(Member{*std::move(consumer)});
        const auto note = [](std::vector<TopicPartition>& list) {
            return [&list](const std::vector<TopicPartition>& these) {
                list.insert(list.end(), these.begin(), these.end());
            };
        };
        REQUIRE(member->consumer.subscribe({"t"}, {.assigned = note(member->assigned),
                                                   .revoked = note(member->revoked),
                                                   .lost = note(member->lost)}));
        return member;
    }
    void poll() {
        for (const ConsumerRecord& record : consumer.poll(milliseconds(20)))
            values.emplace_back(record.value.value_or(""));
        while (auto event = consumer.poll_event()) events.push_back(*std::move(event));
    }
    std::size_t count() const { return consumer.assignment().size(); }
};

inline ConsumerConfig member_config(const LeatdProcess& leatd) {
    ConsumerConfig config;
    config.bootstrap = leatd.bootstrap();
    config.group_id = "g";
    config.reset = ConsumerConfig::Reset::beginning;
    config.heartbeat_interval = milliseconds(100);
    config.session_timeout = milliseconds(10'000);
    config.auto_commit = false;
    return config;
}

template <class Condition>
bool poll_until(std::vector<Member*> members, Condition is_true, milliseconds wait = patience) {
    const auto end = std::chrono::steady_clock::now() + wait;
    while (!is_true()) {
        if (std::chrono::steady_clock::now() >= end) return false;
        for (Member* member : members) member->poll();
    }
    return true;
}

inline void make_topic(Loop& loop, const LeatdProcess& leatd) {
    auto admin = Admin::open(loop, {.bootstrap = leatd.bootstrap()});
    REQUIRE(admin);
    const auto made =
        admin->create_topics({{.name = "t", .partitions = partitions, .configs = {}}});
    REQUIRE(made);
    REQUIRE(made->front().error == ErrorCode::none);
}

inline void send(Producer& producer, int from, int to) {
    for (int i = from; i < to; ++i) {
        const std::string value = std::to_string(i);
        REQUIRE(producer.send({.topic = "t", .value = value, .partition = i % partitions}));
    }
}

inline std::multiset<std::string> all_values(std::initializer_list<const Member*> members) {
    std::multiset<std::string> all;
    for (const Member* member : members) all.insert(member->values.begin(), member->values.end());
    return all;
}

}  // namespace leat::testing
