// A member of the consumer protocol (KIP-848) against the same coordinator, with a failure at every
// step.
#include "tests/cluster/model_coordinator.hpp"

using namespace leat;
using namespace leat::testing;

namespace {

using ConsumerRig = MemberRig<cluster::ConsumerMember>;
using State = cluster::ConsumerMember::State;
using Held = std::set<std::pair<std::string, std::int32_t>>;
const Held both{{"t", 0}, {"t", 1}};

cluster::GroupConfig static_config() {
    cluster::GroupConfig config = ConsumerRig::config_of();
    config.instance_id = "fixed";
    return config;
}

}  // namespace

TEST_CASE("consumer: joins, reads, commits; a broken connection at any step is got over") {
    using Break = Rig::Break;
    for (Break how :
         {Break::connect, Break::before_request, Break::after_request, Break::half_answer}) {
        int steps = 0;
        for (int at = 0; at < 200; ++at) {
            INFO("kind ", static_cast<int>(how), " step ", at);
            ConsumerRig group;
            group.rig.how = how;
            group.rig.break_at = at;
            REQUIRE(group.rig.run([&] { return group.is_done(); }));
            group.check_done();
            CHECK(group.coordinator.held == both);
            CHECK(group.coordinator.joins == 1);
            CHECK(group.coordinator.commit_version == 10);
            if (!group.rig.broke) break;
            ++steps;
        }
        CHECK(steps >= (how == Break::connect ? 2 : 7));
    }
}

TEST_CASE("consumer: each answer that allows another try, to each request, once and three times") {
    using E = ErrorCode;
    const std::map<ApiKey, std::vector<E>> answers{
        {ApiKey::find_coordinator, {E::coordinator_not_available, E::coordinator_load_in_progress}},
        {ApiKey::consumer_group_heartbeat,
         {E::coordinator_load_in_progress, E::coordinator_not_available, E::not_coordinator,
          E::unknown_member_id, E::fenced_member_epoch, E::unreleased_instance_id}},
        {ApiKey::offset_commit,
         {E::coordinator_load_in_progress, E::coordinator_not_available, E::not_coordinator,
          E::request_timed_out, E::unknown_member_id, E::stale_member_epoch}},
        {ApiKey::offset_fetch,
         {E::coordinator_load_in_progress, E::not_coordinator, E::unstable_offset_commit,
          E::stale_member_epoch}}};
    for (const auto& [key, list] : answers)
        for (E error : list)
            for (int times : {1, 3}) {
                INFO("key ", static_cast<int>(key), " error ", wire::name(error));
                ConsumerRig group;
                group.coordinator.errors[key] = {error, times};
                REQUIRE(group.rig.run([&] { return group.is_done(); }));
                group.check_done();
                CHECK(group.coordinator.held == both);
            }
}

TEST_CASE("consumer: what cannot be helped is told once and ends the membership") {
    for (ErrorCode error : {ErrorCode::fenced_instance_id, ErrorCode::group_authorization_failed,
                            ErrorCode::unsupported_assignor, ErrorCode::unsupported_version,
                            ErrorCode::invalid_regular_expression,
                            ErrorCode::group_max_size_reached, ErrorCode::group_id_not_found}) {
        INFO(wire::name(error));
        ConsumerRig group;
        group.coordinator.errors[ApiKey::consumer_group_heartbeat] = {error, 1};
        REQUIRE(group.rig.run([&] { return !group.events.empty(); }));
        REQUIRE(group.events.size() == 1);
        CHECK(group.events.back().kind == GroupEvent::Kind::failed);
        CHECK(group.events.back().error == error);
        CHECK(group.member.state() == State::failed);
        const int beats = group.coordinator.heartbeats;
        CHECK(!group.rig.run([&] { return group.coordinator.heartbeats > beats; }));
        group.member.subscribe(group.rig.now, {"t"});
        REQUIRE(group.rig.run([&] { return group.is_done(); }));
    }
}

TEST_CASE("consumer: a broker that does not serve the protocol is told of as UNSUPPORTED_VERSION") {
    ConsumerRig group;
    group.brokers.on_any = [](std::int32_t, const wire::Request& request) -> std::optional<Bytes> {
        if (request.header.api_key != ApiKey::api_versions) return std::nullopt;
        return without(ApiKey::consumer_group_heartbeat, request);
    };
    REQUIRE(group.rig.run([&] { return !group.events.empty(); }));
    CHECK(group.events.back().kind == GroupEvent::Kind::failed);
    CHECK(group.events.back().error == ErrorCode::unsupported_version);
}

TEST_CASE("consumer: only what moves stops, and it is acknowledged when the program let go of it") {
    ConsumerRig group;
    REQUIRE(group.rig.run([&] { return group.is_done(); }));
    group.events.clear();
    // The program is slow: while it is at it, heartbeats go on and tell what it still has.
    group.rig.on_idle = nullptr;
    group.coordinator.change_target({{"t", {0}}});
    std::optional<GroupEvent> told;
    REQUIRE(group.rig.run([&] { return (told = group.member.poll_event()).has_value(); }));
    CHECK(told->kind == GroupEvent::Kind::revoked);
    CHECK(told->partitions == cluster::Partitions{{"t", 1}});
    const int beats = group.coordinator.heartbeats;
    REQUIRE(group.rig.run([&] { return group.coordinator.heartbeats >= beats + 3; }));
    CHECK(group.coordinator.held == both);
    CHECK(!group.member.poll_event());
    // A commit of what is being given up is answered before the acknowledgement goes.
    const int commits = group.coordinator.commits;
    (void)group.member.commit(group.rig.now, {{{"t", 1}, {25, -1, ""}}}, milliseconds{20'000});
    group.coordinator.errors[ApiKey::offset_commit] = {ErrorCode::stale_member_epoch, 2};
    group.member.handled(group.rig.now);
    REQUIRE(group.rig.run([&] { return group.coordinator.held == Held{{"t", 0}}; }));
    CHECK(group.coordinator.commits == commits + 3);
    CHECK(group.coordinator.committed[1] == 25);
    group.mine.erase({"t", 1});
    group.rig.on_idle = [&] { return group.work(); };

    group.coordinator.change_target({{"t", {0, 1}}});
    REQUIRE(group.rig.run([&] { return group.is_settled(); }));
    REQUIRE(group.events.size() == 1);
    CHECK(group.events[0].kind == GroupEvent::Kind::assigned);
    CHECK(group.events[0].partitions == cluster::Partitions{{"t", 1}});
    CHECK(group.coordinator.joins == 1);
}

TEST_CASE("consumer: a rebalance with a broken connection at any step of it") {
    using Break = Rig::Break;
    for (Break how : {Break::before_request, Break::after_request, Break::half_answer}) {
        int steps = 0;
        for (int at = 0; at < 100; ++at) {
            INFO("kind ", static_cast<int>(how), " step ", at);
            ConsumerRig group;
            REQUIRE(group.rig.run([&] { return group.is_done(); }));
            group.rig.how = how;
            group.rig.steps = 0;
            group.rig.break_at = at;
            group.coordinator.change_target({{"t", {1}}});
            REQUIRE(group.rig.run([&] { return group.coordinator.held == Held{{"t", 1}}; }));
            group.coordinator.change_target({{"t", {0, 1}}});
            REQUIRE(group.rig.run([&] { return group.coordinator.held == both; }));
            CHECK(group.mine.size() == 2);
            CHECK(group.coordinator.joins == 1);  // nothing of it was lost, so nobody was put out
            if (!group.rig.broke) break;
            ++steps;
        }
        CHECK(steps >= 4);
    }
}

TEST_CASE("consumer: fenced, everything is lost before it joins again, under the same name") {
    for (ErrorCode error : {ErrorCode::fenced_member_epoch, ErrorCode::unknown_member_id,
                            ErrorCode::group_id_not_found}) {
        ConsumerRig group;
        REQUIRE(group.rig.run([&] { return group.is_done(); }));
        group.events.clear();
        group.rig.on_idle = nullptr;
        group.coordinator.errors[ApiKey::consumer_group_heartbeat] = {error, 1};
        std::optional<GroupEvent> told;
        REQUIRE(group.rig.run([&] { return (told = group.member.poll_event()).has_value(); }));
        CHECK(told->kind == GroupEvent::Kind::lost);
        CHECK(told->partitions.size() == 2);
        CHECK(group.member.generation() == -1);
        const int beats = group.coordinator.heartbeats;
        // A commit of what it had is not even sent.
        const int commits = group.coordinator.commits;
        const auto id =
            group.member.commit(group.rig.now, {{{"t", 0}, {5, -1, ""}}}, milliseconds{500});
        std::optional<cluster::GroupAnswer> answer;
        REQUIRE(group.rig.run([&] { return (answer = group.member.poll_answer()).has_value(); }));
        CHECK(answer->id == id);
        CHECK(answer->error == ErrorCode::illegal_generation);
        CHECK(group.coordinator.commits == commits);
        CHECK(group.coordinator.heartbeats == beats);
        group.mine.clear();
        group.member.handled(group.rig.now);
        group.rig.on_idle = [&] { return group.work(); };
        REQUIRE(group.rig.run([&] { return group.is_settled(); }));
        CHECK(group.coordinator.consumer == "self");
    }
}

TEST_CASE("consumer: a static member leaves with -2; a predecessor's session is waited for") {
    ConsumerRig group(static_config());
    group.coordinator.errors[ApiKey::consumer_group_heartbeat] = {ErrorCode::unreleased_instance_id,
                                                                  20};
    REQUIRE(group.rig.run([&] { return group.is_done(); }));
    CHECK(group.coordinator.instance == "fixed");
    group.member.leave(group.rig.now);
    REQUIRE(group.rig.run([&] { return group.member.has_left(); }));
    CHECK(group.coordinator.left == "self");
    CHECK(group.coordinator.left_with == -2);

    // Longer than a session takes, it is somebody who lives.
    ConsumerRig twin(static_config());
    twin.coordinator.errors[ApiKey::consumer_group_heartbeat] = {ErrorCode::unreleased_instance_id,
                                                                 1000};
    const Instant begin = twin.rig.now;
    REQUIRE(twin.rig.run([&] { return !twin.events.empty(); }));
    CHECK(twin.events.back().error == ErrorCode::unreleased_instance_id);
    CHECK(twin.rig.now - begin >= milliseconds{45'000});
    CHECK(twin.rig.now - begin <= milliseconds{50'000});
}

TEST_CASE("consumer: leaving and unsubscribing tell the coordinator") {
    ConsumerRig group;
    REQUIRE(group.rig.run([&] { return group.is_done(); }));
    group.events.clear();
    group.member.unsubscribe(group.rig.now);
    REQUIRE(group.rig.run([&] { return group.coordinator.left_with == -1; }));
    REQUIRE(group.events.size() == 1);
    CHECK(group.events[0].kind == GroupEvent::Kind::revoked);
    CHECK(group.mine.empty());
    group.coordinator.left_with = 0;
    group.member.subscribe(group.rig.now, {"t"});
    REQUIRE(group.rig.run([&] { return group.is_settled(); }));

    // What is committed at the end, under an epoch that has just passed, is committed: it stays a
    // member until then.
    group.rig.on_idle = nullptr;
    group.member.unsubscribe(group.rig.now);
    while (const auto event = group.member.poll_event())
        for (const auto& partition : event->partitions) group.mine.erase(partition);
    group.coordinator.change_target({{"t", {0, 1}}});
    (void)group.member.commit(group.rig.now, {{{"t", 0}, {33, -1, ""}}}, milliseconds{20'000});
    group.member.handled(group.rig.now);
    REQUIRE(group.rig.run([&] { return group.coordinator.left_with == -1; }));
    CHECK(group.coordinator.committed[0] == 33);
    group.rig.on_idle = [&] { return group.work(); };
    group.member.subscribe(group.rig.now, {"t"});
    REQUIRE(group.rig.run([&] { return group.is_settled(); }));
    group.member.leave(group.rig.now);
    REQUIRE(group.rig.run([&] { return group.member.has_left(); }));
    CHECK(group.coordinator.left_with == -1);
    CHECK(group.coordinator.consumer.empty());
}

TEST_CASE("consumer: a program that stops polling leaves, and comes back when it polls") {
    ConsumerRig group;
    REQUIRE(group.rig.run([&] { return group.is_done(); }));
    group.polls = false;
    REQUIRE(
        group.rig.run([&] { return group.coordinator.left_with == -1; }, milliseconds{400'000}));
    REQUIRE(group.rig.run([&] { return group.mine.empty(); }));
    CHECK(group.events.back().kind == GroupEvent::Kind::lost);
    group.polls = true;
    group.member.on_poll(group.rig.now);
    REQUIRE(group.rig.run([&] { return group.is_settled(); }));
}

TEST_CASE("consumer: the coordinator may move, and its broker may go, and nothing is lost") {
    ConsumerRig group;
    REQUIRE(group.rig.run([&] { return group.is_done(); }));
    const int beats = group.coordinator.heartbeats;
    group.events.clear();
    group.coordinator.node = 0;
    group.rig.kill(1);
    REQUIRE(group.rig.run([&] { return group.coordinator.heartbeats >= beats + 3; }));
    CHECK(group.coordinator.joins == 1);
    CHECK(group.events.empty());
    CHECK(group.is_settled());
}

TEST_CASE(
    "consumer: a pattern is the coordinator's to match; ids are resolved by asking for them") {
    ConsumerRig group;
    group.brokers.add_topic("u", {0});
    group.coordinator.target = {{"t", {0}}, {"u", {0}}};
    REQUIRE(group.member.subscribe_pattern(group.rig.now, "t|u"));
    REQUIRE(group.rig.run([&] { return group.is_settled(); }));
    CHECK(group.coordinator.pattern == "t|u");
    CHECK(group.coordinator.subscribed.empty());
    CHECK(group.mine == std::set<cluster::TopicPartition>{{"t", 0}, {"u", 0}});
    // Names again: the pattern is taken back.
    group.coordinator.change_target({{"t", {0, 1}}});
    group.member.subscribe(group.rig.now, {"t"});
    REQUIRE(group.rig.run(
        [&] { return group.coordinator.pattern.empty() && group.coordinator.held == both; }));
    CHECK(group.coordinator.subscribed == std::vector<std::string>{"t"});
}

TEST_CASE("consumer: a topic that no broker knows holds up nothing else") {
    ConsumerRig group;
    group.commits = false;
    REQUIRE(group.rig.run([&] { return group.is_settled(); }));
    group.brokers.ids["ghost"].bytes[5] = 77;  // the coordinator knows of it, Metadata does not
    group.coordinator.change_target({{"t", {1}}, {"ghost", {0}}});
    REQUIRE(group.rig.run([&] { return group.coordinator.held == Held{{"t", 1}}; }));
    CHECK(!group.member.is_settled());
    group.brokers.topics["ghost"].push_back({0, 0});
    REQUIRE(group.rig.run([&] { return group.coordinator.held == Held{{"t", 1}, {"ghost", 0}}; }));
}

TEST_CASE("consumer: another topic of the same name is lost and assigned, not read on") {
    ConsumerRig group;
    REQUIRE(group.rig.run([&] { return group.is_done(); }));
    group.events.clear();
    group.brokers.ids["t"].bytes[3] = 9;
    group.coordinator.change_target({{"t", {0, 1}}});
    REQUIRE(group.rig.run([&] { return group.events.size() >= 2 && group.is_settled(); }));
    CHECK(group.events[0].kind == GroupEvent::Kind::lost);
    CHECK(group.events[0].partitions.size() == 2);
    CHECK(group.events[1].kind == GroupEvent::Kind::assigned);
    CHECK(group.events[1].partitions.size() == 2);
}

TEST_CASE("consumer: the assignor is the one that was asked for") {
    cluster::GroupConfig config = ConsumerRig::config_of();
    config.remote_assignor = "range";
    ConsumerRig group(config);
    REQUIRE(group.rig.run([&] { return group.is_done(); }));
    CHECK(group.coordinator.assignor == "range");
}
