// Consumer groups of the hosted SDK against a real leatd process.
#include "tests/host/group_diary.hpp"

using namespace leat;
using namespace leat::testing;

namespace {

void read_through_two_kills(GroupProtocol protocol) {
    LeatdProcess leatd(LEATD_PROGRAM);
    Loop loop;
    make_topic(loop, leatd);
    auto producer =
        Producer::open(loop, {.bootstrap = leatd.bootstrap(), .linger = milliseconds(1)});
    REQUIRE(producer);
    ConsumerConfig config = member_config(leatd);
    config.group_protocol = protocol;
    config.auto_commit = true;
    config.auto_commit_interval = milliseconds(50);
    auto a = Member::open(loop, config);
    auto b = Member::open(loop, config);
    REQUIRE(poll_until({a.get(), b.get()}, [&] { return a->count() == 2 && b->count() == 2; }));
    constexpr int count = 3000;
    for (int round = 0; round < 3; ++round) {
        send(*producer, round * count, (round + 1) * count);
        if (round < 2) {
            const auto half = static_cast<std::size_t>(round * count + count / 3);
            REQUIRE(poll_until({a.get(), b.get()},
                               [&] { return a->values.size() + b->values.size() >= half; }));
            leatd.kill();
            REQUIRE(leatd.start());
        }
    }
    REQUIRE(poll_until({a.get(), b.get()}, [&] {
        const auto all = all_values({a.get(), b.get()});
        return std::set<std::string>(all.begin(), all.end()).size() == 3 * count;
    }));
    REQUIRE(producer->flush(patience));
    REQUIRE(poll_until({a.get(), b.get()}, [&] { return a->count() + b->count() == 4; }));
    REQUIRE(a->consumer.close(patience));
    REQUIRE(b->consumer.close(patience));

    // Who closed has committed: the next one reads nothing again, and everything new.
    auto next = Member::open(loop, config);
    REQUIRE(poll_until({next.get()}, [&] { return next->count() == 4; }));
    send(*producer, 100'000, 100'004);
    REQUIRE(producer->flush(patience));
    REQUIRE(poll_until({next.get()}, [&] { return next->values.size() >= 4; }));
    CHECK(all_values({next.get()}) ==
          std::multiset<std::string>{"100000", "100001", "100002", "100003"});
    REQUIRE(next->consumer.close(patience));
}

}  // namespace

TEST_CASE("group: two members share, a rebalance tells both, commits are where reading goes on") {
    LeatdProcess leatd(LEATD_PROGRAM);
    Loop loop;
    make_topic(loop, leatd);
    auto producer = Producer::open(loop, {.bootstrap = leatd.bootstrap()});
    REQUIRE(producer);

    auto a = Member::open(loop, member_config(leatd));
    REQUIRE(poll_until({a.get()}, [&] { return a->count() == 4; }));
    CHECK(a->assigned.size() == 4);
    CHECK(a->consumer.group_metadata().group_id == "g");
    CHECK(!a->consumer.group_metadata().member_id.empty());
    const std::int32_t generation = a->consumer.group_metadata().generation;

    auto b = Member::open(loop, member_config(leatd));
    REQUIRE(poll_until({a.get(), b.get()}, [&] { return a->count() == 2 && b->count() == 2; }));
    CHECK(a->revoked.size() == 4);  // eager: everything is given up, then two come back
    CHECK(a->assigned.size() == 6);
    CHECK(b->assigned.size() == 2);
    CHECK(a->consumer.group_metadata().generation > generation);
    CHECK(a->consumer.group_metadata().generation == b->consumer.group_metadata().generation);
    std::set<TopicPartition> owned;
    for (const Member* member : {a.get(), b.get()})
        for (const TopicPartition& partition : member->consumer.assignment())
            CHECK(owned.insert(partition).second);
    CHECK(owned.size() == 4);

    send(*producer, 0, 400);
    REQUIRE(producer->flush(patience));
    REQUIRE(
        poll_until({a.get(), b.get()}, [&] { return a->values.size() + b->values.size() >= 400; }));
    const auto all = all_values({a.get(), b.get()});
    CHECK(all.size() == 400);
    CHECK(std::set<std::string>(all.begin(), all.end()).size() == 400);

    REQUIRE(a->consumer.commit(patience));
    REQUIRE(b->consumer.commit_async());
    // Somebody who is no member sees both.
    ConsumerConfig outside_config = member_config(leatd);
    auto outside = Consumer::open(loop, outside_config);
    REQUIRE(outside);
    const std::vector<TopicPartition> every(owned.begin(), owned.end());
    REQUIRE(poll_until({a.get(), b.get()}, [&] {
        const Result<Offsets> committed = outside->committed(every, patience);
        if (!committed) return false;
        return std::all_of(every.begin(), every.end(), [&](const TopicPartition& partition) {
            return committed->at(partition).offset == 100;
        });
    }));
    // A commit from outside a group that has members is refused, and changes nothing.
    CHECK(outside->commit({{{"t", 0}, {.offset = 7, .metadata = ""}}}, patience).error() ==
          Error::refused);
    CHECK(outside->committed({{"t", 0}}, patience)->at({"t", 0}).offset == 100);
    const auto refused = outside->poll_event();
    REQUIRE(refused);

    // Metadata of a commit is kept with it.
    REQUIRE(a->consumer.commit(
        {{a->consumer.assignment().front(), {.offset = 100, .metadata = "a note"}}}, patience));
    CHECK(outside->committed(every, patience)->at(a->consumer.assignment().front()).metadata ==
          "a note");

    REQUIRE(b->consumer.close(patience));
    CHECK(b->consumer.commit(milliseconds(500)).error() == Error::closed);
    CHECK(b->consumer.poll(milliseconds(10)).empty());
    CHECK(b->consumer.close(patience));  // again: nothing to do
    REQUIRE(poll_until({a.get()}, [&] { return a->count() == 4; }));
    a->values.clear();
    send(*producer, 1000, 1004);
    REQUIRE(producer->flush(patience));
    REQUIRE(poll_until({a.get()}, [&] { return a->values.size() >= 4; }));
    CHECK(all_values({a.get()}) == std::multiset<std::string>{"1000", "1001", "1002", "1003"});
    CHECK(a->lost.empty());
    CHECK(b->lost.empty());
    REQUIRE(a->consumer.close(patience));
}

TEST_CASE(
    "group: a static member comes back and nothing moves; a second one of its name is fenced") {
    LeatdProcess leatd(LEATD_PROGRAM);
    Loop loop;
    make_topic(loop, leatd);
    ConsumerConfig named = member_config(leatd);
    named.group_instance_id = "pump house";
    auto a = Member::open(loop, named);
    auto b = Member::open(loop, member_config(leatd));
    REQUIRE(poll_until({a.get(), b.get()}, [&] { return a->count() == 2 && b->count() == 2; }));
    const auto had = a->consumer.assignment();
    const std::size_t revoked = b->revoked.size();
    const std::string old_id = a->consumer.group_metadata().member_id;
    const std::int32_t generation = b->consumer.group_metadata().generation;
    a.reset();

    a = Member::open(loop, named);
    REQUIRE(poll_until({a.get(), b.get()}, [&] { return a->count() == 2; }));
    CHECK(a->consumer.assignment() == had);
    CHECK(a->consumer.group_metadata().member_id != old_id);
    REQUIRE(!poll_until(
        {a.get(), b.get()}, [] { return false; }, milliseconds(300)));
    CHECK(b->revoked.size() == revoked);
    CHECK(b->consumer.group_metadata().generation == generation);

    // The same name once more: the newest has it, the older one hears of it and stands still.
    auto c = Member::open(loop, named);
    REQUIRE(poll_until({a.get(), b.get(), c.get()}, [&] {
        return c->count() == 2 && std::any_of(a->events.begin(), a->events.end(), [](auto& event) {
                   return event.kind == ConsumerEvent::Kind::group_failed &&
                          event.error == ErrorCode::fenced_instance_id;
               });
    }));
    CHECK(c->consumer.assignment() == had);
    CHECK(a->count() == 0);
    CHECK(a->lost == had);
    CHECK(b->revoked.size() == revoked);
}

TEST_CASE("group: leatd is killed twice under load, members stay, and every record is read") {
    read_through_two_kills(GroupProtocol::classic);
}

TEST_CASE("group: the same in the consumer protocol") {
    read_through_two_kills(GroupProtocol::consumer);
}

TEST_CASE(
    "group: without a committed offset, or with one that is gone, the reset goes by duration") {
    LeatdProcess leatd(LEATD_PROGRAM);
    Loop loop;
    make_topic(loop, leatd);
    auto producer = Producer::open(loop, {.bootstrap = leatd.bootstrap()});
    REQUIRE(producer);
    const std::int64_t now_ms = std::chrono::duration_cast<milliseconds>(
                                    std::chrono::system_clock::now().time_since_epoch())
                                    .count();
    constexpr std::int64_t hour_ms = 3'600'000;
    for (std::int32_t partition : {0, 1}) {
        const WallTime old = wall_ms(now_ms - 2 * hour_ms), late = wall_ms(now_ms - hour_ms / 30);
        REQUIRE(producer->send(
            {.topic = "t", .value = "old", .timestamp = old, .partition = partition}));
        REQUIRE(producer->send(
            {.topic = "t", .value = "new", .timestamp = late, .partition = partition}));
    }
    REQUIRE(producer->flush(patience));
    ConsumerConfig config = member_config(leatd);
    config.reset = ConsumerConfig::Reset::by_duration;
    config.reset_duration = std::chrono::hours(1);
    auto outside = Consumer::open(loop, config);
    REQUIRE(outside);
    REQUIRE(outside->commit({{{"t", 1}, {.offset = 1000, .metadata = ""}}}, patience));
    auto a = Member::open(loop, config);
    REQUIRE(poll_until({a.get()}, [&] { return a->values.size() >= 2; }));
    REQUIRE(!poll_until(
        {a.get()}, [] { return false; }, milliseconds(200)));
    CHECK(a->values == std::vector<std::string>{"new", "new"});
    CHECK(a->consumer.position({"t", 1}).value_or(-1) == 2);
    CHECK(a->consumer.position({"t", 0}).value_or(-1) == 2);
}

TEST_CASE("group: in `assigned` a program may seek and pause; reset none waits for it") {
    LeatdProcess leatd(LEATD_PROGRAM);
    Loop loop;
    make_topic(loop, leatd);
    auto producer = Producer::open(loop, {.bootstrap = leatd.bootstrap()});
    REQUIRE(producer);
    send(*producer, 0, 40);  // ten in each partition
    REQUIRE(producer->flush(patience));
    ConsumerConfig config = member_config(leatd);
    config.reset = ConsumerConfig::Reset::none;
    auto consumer = Consumer::open(loop, config);
    REQUIRE(consumer);
    std::map<std::int32_t, std::vector<std::int64_t>> read;
    REQUIRE(consumer->subscribe({"t"}, {.assigned = [&](const std::vector<TopicPartition>& these) {
                                    CHECK(these.size() == 4);
                                    CHECK(consumer->seek({"t", 0}, 7));
                                    CHECK(consumer->seek({"t", 1}, 8));
                                    CHECK(consumer->pause({"t", 1}));
                                    CHECK(consumer->seek_to({"t", 2}, StartAt::beginning));
                                }}));
    std::vector<ConsumerEvent> events;
    const auto poll_for = [&](std::size_t count, milliseconds wait) {
        const auto end = std::chrono::steady_clock::now() + wait;
        std::size_t have = 0;
        do {
            for (const ConsumerRecord& record : consumer->poll(milliseconds(50)))
                read[record.partition].push_back(record.offset);
            while (auto event = consumer->poll_event()) events.push_back(*event);
            have = 0;
            for (const auto& [partition, offsets] : read) have += offsets.size();
        } while (have < count && std::chrono::steady_clock::now() < end);
    };
    poll_for(13, patience);
    poll_for(100, milliseconds(300));  // nothing more comes
    CHECK(read[0] == std::vector<std::int64_t>{7, 8, 9});
    CHECK(read[2].size() == 10);
    CHECK(read[1].empty());
    CHECK(read[3].empty());  // no offset was committed, and nobody has said where
    const auto told = std::count_if(events.begin(), events.end(), [](const ConsumerEvent& event) {
        return event.kind == ConsumerEvent::Kind::offset_out_of_range;
    });
    CHECK(told == 1);
    CHECK(consumer->resume({"t", 1}));
    CHECK(consumer->seek({"t", 3}, 9));
    poll_for(16, patience);
    CHECK(read[1] == std::vector<std::int64_t>{8, 9});
    CHECK(read[3] == std::vector<std::int64_t>{9});
}

TEST_CASE(
    "group: assigned by hand after a subscription, partitions are read on, and the group let go") {
    LeatdProcess leatd(LEATD_PROGRAM);
    Loop loop;
    make_topic(loop, leatd);
    auto producer = Producer::open(loop, {.bootstrap = leatd.bootstrap()});
    REQUIRE(producer);
    ConsumerConfig config = member_config(leatd);
    config.auto_commit = true;
    auto a = Member::open(loop, config);
    REQUIRE(poll_until({a.get()}, [&] { return a->count() == 4; }));
    send(*producer, 0, 8);
    REQUIRE(poll_until({a.get()}, [&] { return a->values.size() == 8; }));
    REQUIRE(a->consumer.assign({{"t", 0}, {"t", 1}}, StartAt::end));
    send(*producer, 8, 16);
    REQUIRE(poll_until({a.get()}, [&] { return a->values.size() == 12; }));
    CHECK(a->count() == 2);
    CHECK(a->revoked.size() == 4);
    // It commits before it leaves, and reads on meanwhile.
    CHECK(poll_until({a.get()}, [&] { return a->consumer.group_metadata().generation == -1; }));
    const auto committed = a->consumer.committed({{"t", 2}, {"t", 3}}, patience);
    REQUIRE(committed);
    CHECK(committed->at({"t", 2}).offset == 2);
    CHECK(committed->at({"t", 3}).offset == 2);
}

TEST_CASE("group: close commits, calls revoked, and keeps its time when the broker is gone") {
    LeatdProcess leatd(LEATD_PROGRAM);
    Loop loop;
    make_topic(loop, leatd);
    auto producer = Producer::open(loop, {.bootstrap = leatd.bootstrap()});
    REQUIRE(producer);
    ConsumerConfig config = member_config(leatd);
    config.group_instance_id = "static";  // which leaves without a word
    auto a = Member::open(loop, config);
    REQUIRE(poll_until({a.get()}, [&] { return a->count() == 4; }));
    send(*producer, 0, 8);
    REQUIRE(poll_until({a.get()}, [&] { return a->values.size() == 8; }));
    REQUIRE(a->consumer.commit_async());
    CHECK(a->consumer.close(patience));
    CHECK(a->revoked.size() == 4);
    CHECK(a->consumer.poll(milliseconds(10)).empty());
    auto outside = Consumer::open(loop, member_config(leatd));
    REQUIRE(outside);
    CHECK(outside->committed({{"t", 3}}, patience)->at({"t", 3}).offset == 2);

    config.group_instance_id.reset();
    config.group_id = "other";
    config.auto_commit = true;
    auto b = Member::open(loop, config);
    REQUIRE(poll_until({b.get()}, [&] { return b->values.size() == 8; }));
    leatd.kill();
    const auto start = std::chrono::steady_clock::now();
    CHECK(b->consumer.close(milliseconds(1000)).error() == Error::timed_out);
    CHECK(std::chrono::steady_clock::now() - start < std::chrono::milliseconds(1800));
    CHECK(b->revoked.size() == 4);
}

TEST_CASE("group: offsets that a program names are committed without waiting, in order") {
    LeatdProcess leatd(LEATD_PROGRAM);
    Loop loop;
    make_topic(loop, leatd);
    auto a = Member::open(loop, member_config(leatd));
    REQUIRE(poll_until({a.get()}, [&] { return a->count() == 4; }));
    for (const std::int64_t offset : {5, 9, 7}) {
        Offsets offsets;
        offsets[{"t", 1}].offset = offset;
        REQUIRE(a->consumer.commit_async(std::move(offsets)));
    }
    REQUIRE(poll_until({a.get()}, [&] {
        const auto committed = a->consumer.committed({{"t", 1}, {"t", 2}}, patience);
        return committed && committed->at({"t", 1}).offset == 7 &&
               committed->at({"t", 2}).offset == -1;
    }));
    REQUIRE(a->consumer.close(patience));
}

TEST_CASE("group: a callback may subscribe anew, and lives until it returns") {
    LeatdProcess leatd(LEATD_PROGRAM);
    Loop loop;
    make_topic(loop, leatd);
    auto consumer = Consumer::open(loop, member_config(leatd));
    REQUIRE(consumer);
    int assigned = 0, revoked = 0, gone = 0;
    const auto subscribing = [&](int& calls) {
        const auto token = std::make_shared<int>();
        return [token, is_gone = std::weak_ptr<int>(token), again = &*consumer, calls = &calls,
                told = &gone](const std::vector<TopicPartition>&) {
            // What it holds is copied first: it may go while this runs.
            const auto mine = is_gone;
            int* const lost = told;
            ++*calls;
            (void)again->subscribe({"t"}, {});
            if (mine.expired()) ++*lost;
        };
    };
    REQUIRE(consumer->subscribe({"t"}, {.assigned = subscribing(assigned)}));
    const auto end = std::chrono::steady_clock::now() + std::chrono::minutes(1);
    while (consumer->assignment().size() < 4 && std::chrono::steady_clock::now() < end)
        (void)consumer->poll(milliseconds(20));
    CHECK(consumer->assignment().size() == 4);
    CHECK(assigned == 1);
    REQUIRE(consumer->subscribe({"t"}, {.revoked = subscribing(revoked)}));
    CHECK(consumer->close(patience));
    CHECK(revoked == 1);
    CHECK(gone == 0);
}
