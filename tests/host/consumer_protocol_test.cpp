// Groups of the consumer protocol (KIP-848) of the hosted SDK against a real leatd process.
#include "tests/host/group_diary.hpp"

using namespace leat;
using namespace leat::testing;

namespace {

ConsumerConfig config_848(const LeatdProcess& leatd) {
    ConsumerConfig config = member_config(leatd);
    config.group_protocol = GroupProtocol::consumer;
    return config;
}

bool has_failed(const Member& member, ErrorCode why) {
    return std::any_of(member.events.begin(), member.events.end(), [&](const auto& event) {
        return event.kind == ConsumerEvent::Kind::group_failed && event.error == why;
    });
}

}  // namespace

TEST_CASE("consumer protocol: two members share, only what moves is revoked, commits stand") {
    LeatdProcess leatd(LEATD_PROGRAM);
    Loop loop;
    make_topic(loop, leatd);
    auto producer = Producer::open(loop, {.bootstrap = leatd.bootstrap()});
    REQUIRE(producer);
    auto a = Member::open(loop, config_848(leatd));
    REQUIRE(poll_until({a.get()}, [&] { return a->count() == 4; }));
    const std::string id = a->consumer.group_metadata().member_id;
    const std::int32_t epoch = a->consumer.group_metadata().generation;
    CHECK(epoch > 0);

    auto b = Member::open(loop, config_848(leatd));
    REQUIRE(poll_until({a.get(), b.get()}, [&] { return a->count() == 2 && b->count() == 2; }));
    CHECK(a->revoked.size() == 2);
    CHECK(a->assigned.size() == 4);
    CHECK(b->assigned.size() == 2);
    CHECK(a->consumer.group_metadata().member_id == id);
    CHECK(b->consumer.group_metadata().member_id != id);
    REQUIRE(poll_until({a.get(), b.get()},
                       [&] { return a->consumer.group_metadata().generation > epoch; }));

    send(*producer, 0, 400);
    REQUIRE(producer->flush(patience));
    REQUIRE(
        poll_until({a.get(), b.get()}, [&] { return a->values.size() + b->values.size() >= 400; }));
    const auto all = all_values({a.get(), b.get()});
    CHECK(all.size() == 400);
    CHECK(std::set<std::string>(all.begin(), all.end()).size() == 400);
    REQUIRE(a->consumer.commit(patience));
    REQUIRE(b->consumer.commit_async());

    auto admin = Admin::open(loop, {.bootstrap = leatd.bootstrap()});
    REQUIRE(admin);
    REQUIRE(poll_until({a.get(), b.get()}, [&] {
        const auto offsets = admin->group_offsets("g");
        return offsets && offsets->size() == 4 &&
               std::all_of(offsets->begin(), offsets->end(),
                           [](const auto& entry) { return entry.second.offset == 100; });
    }));
    const auto described = admin->describe_group("g");
    REQUIRE(described);
    CHECK(described->type == "Consumer");
    CHECK(described->members.size() == 2);
    CHECK(described->epoch >= 2);
    for (const auto& member : described->members) {
        CHECK(member.epoch > 0);
        CHECK(member.assignment.size() == 2);
        CHECK(member.target.size() == 2);
    }

    REQUIRE(b->consumer.close(patience));
    REQUIRE(poll_until({a.get()}, [&] { return a->count() == 4; }));
    a->values.clear();
    send(*producer, 1000, 1004);
    REQUIRE(producer->flush(patience));
    REQUIRE(poll_until({a.get()}, [&] { return a->values.size() >= 4; }));
    CHECK(all_values({a.get()}) == std::multiset<std::string>{"1000", "1001", "1002", "1003"});
    CHECK(a->lost.empty());
    CHECK(b->lost.empty());
    // Assigned by hand, the group is let go, and what was read before is committed by hand.
    REQUIRE(a->consumer.commit(patience));
    REQUIRE(a->consumer.assign({{"t", 0}}, StartAt::end));
    REQUIRE(poll_until({a.get()}, [&] { return a->revoked.size() == 6; }));
    REQUIRE(poll_until({a.get()}, [&] {
        const auto now_empty = admin->describe_group("g");
        return now_empty && now_empty->state == "Empty";
    }));
    CHECK(a->count() == 1);
}

TEST_CASE("consumer protocol: a static member comes back, after a stop and after a crash") {
    LeatdProcess leatd(LEATD_PROGRAM);
    Loop loop;
    make_topic(loop, leatd);
    ConsumerConfig named = config_848(leatd);
    named.group_instance_id = "pump house";
    auto a = Member::open(loop, named);
    auto b = Member::open(loop, config_848(leatd));
    REQUIRE(poll_until({a.get(), b.get()}, [&] { return a->count() == 2 && b->count() == 2; }));
    const auto had = a->consumer.assignment();
    const std::size_t revoked = b->revoked.size();
    const std::size_t assigned = b->assigned.size();
    REQUIRE(a->consumer.close(patience));
    a = Member::open(loop, named);
    REQUIRE(poll_until({a.get(), b.get()}, [&] { return a->count() == 2; }));
    CHECK(a->consumer.assignment() == had);
    CHECK(b->revoked.size() == revoked);
    CHECK(b->assigned.size() == assigned);

    // Without a word: the name is taken until the session ends, and it does not give up before.
    a.reset();
    a = Member::open(loop, named);
    REQUIRE(poll_until({a.get(), b.get()}, [&] { return a->count() == 2 && b->count() == 2; }));
    CHECK(!has_failed(*a, ErrorCode::unreleased_instance_id));

    // Somebody who lives has the name: after as long as a session takes here, that is told.
    named.session_timeout = milliseconds(500);
    auto c = Member::open(loop, named);
    REQUIRE(poll_until({a.get(), b.get(), c.get()},
                       [&] { return has_failed(*c, ErrorCode::unreleased_instance_id); }));
    CHECK(a->count() == 2);
    CHECK(c->count() == 0);
}

TEST_CASE("consumer protocol: a pattern is matched by leatd; one it cannot read is told of") {
    LeatdProcess leatd(LEATD_PROGRAM);
    Loop loop;
    make_topic(loop, leatd);
    auto admin = Admin::open(loop, {.bootstrap = leatd.bootstrap()});
    REQUIRE(admin);
    REQUIRE(admin->create_topics({{.name = "t2", .partitions = 1, .configs = {}},
                                  {.name = "other", .partitions = 1, .configs = {}}}));
    auto a = Member::open(loop, config_848(leatd));
    REQUIRE(a->consumer.subscribe_pattern("t[0-9]?"));
    REQUIRE(poll_until({a.get()}, [&] { return a->count() == 5; }));
    REQUIRE(admin->create_topics({{.name = "t3", .partitions = 2, .configs = {}}}));
    REQUIRE(poll_until({a.get()}, [&] { return a->count() == 7; }));
    // Matched on our side, and sent as names.
    REQUIRE(a->consumer.subscribe_matching("t[0-9]"));
    REQUIRE(poll_until({a.get()}, [&] { return a->count() == 3; }));
    REQUIRE(a->consumer.subscribe_pattern("("));
    REQUIRE(poll_until({a.get()},
                       [&] { return has_failed(*a, ErrorCode::invalid_regular_expression); }));

    ConsumerConfig classic = member_config(leatd);
    classic.group_id = "classic";
    auto c = Consumer::open(loop, classic);
    REQUIRE(c);
    CHECK(c->subscribe_pattern("t").error() == Error::unsupported);
    ConsumerConfig unknown = config_848(leatd);
    unknown.group_id = "unknown assignor";
    unknown.group_remote_assignor = "by colour";
    auto d = Member::open(loop, unknown);
    REQUIRE(poll_until({d.get()}, [&] { return has_failed(*d, ErrorCode::unsupported_assignor); }));
}
