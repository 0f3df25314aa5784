// A member of the classic protocol against a coordinator that answers as Kafka's does, with a
// failure at every step.
#include "tests/cluster/model_coordinator.hpp"

using namespace leat;
using namespace leat::testing;

namespace {

using GroupRig = MemberRig<cluster::GroupMember>;

}  // namespace

TEST_CASE("group: joins, reads everything, commits; a broken connection at any step is got over") {
    using Break = Rig::Break;
    for (Break how :
         {Break::connect, Break::before_request, Break::after_request, Break::half_answer}) {
        int steps = 0;
        for (int at = 0; at < 200; ++at) {
            INFO("kind ", static_cast<int>(how), " step ", at);
            GroupRig group;
            group.rig.how = how;
            group.rig.break_at = at;
            REQUIRE(group.rig.run([&] { return group.is_done(); }));
            group.check_done();
            if (!group.rig.broke) break;
            ++steps;
        }
        CHECK(steps >= (how == Break::connect ? 2 : 8));
    }
}

TEST_CASE("group: each answer that allows another try, to each request, once and three times") {
    using E = ErrorCode;
    const std::map<ApiKey, std::vector<E>> answers{
        {ApiKey::find_coordinator, {E::coordinator_not_available, E::coordinator_load_in_progress}},
        {ApiKey::join_group,
         {E::coordinator_load_in_progress, E::coordinator_not_available, E::not_coordinator,
          E::unknown_member_id, E::rebalance_in_progress}},
        {ApiKey::sync_group,
         {E::coordinator_load_in_progress, E::coordinator_not_available, E::not_coordinator,
          E::unknown_member_id, E::illegal_generation, E::rebalance_in_progress}},
        {ApiKey::offset_commit,
         {E::coordinator_load_in_progress, E::coordinator_not_available, E::not_coordinator,
          E::request_timed_out, E::unknown_member_id, E::illegal_generation,
          E::rebalance_in_progress}},
        {ApiKey::offset_fetch,
         {E::coordinator_load_in_progress, E::not_coordinator, E::unstable_offset_commit}}};
    for (const auto& [key, list] : answers)
        for (E error : list)
            for (int times : {1, 3}) {
                INFO("key ", static_cast<int>(key), " error ", wire::name(error));
                GroupRig group;
                group.coordinator.errors[key] = {error, times};
                REQUIRE(group.rig.run([&] { return group.is_done(); }));
                group.check_done();
            }
}

TEST_CASE("group: what cannot be helped is told once and ends the membership") {
    for (ErrorCode error :
         {ErrorCode::fenced_instance_id, ErrorCode::group_authorization_failed,
          ErrorCode::inconsistent_group_protocol, ErrorCode::invalid_session_timeout,
          ErrorCode::group_max_size_reached}) {
        GroupRig group;
        group.coordinator.errors[ApiKey::join_group] = {error, 1};
        REQUIRE(group.rig.run([&] { return !group.events.empty(); }));
        CHECK(group.events.back().kind == GroupEvent::Kind::failed);
        CHECK(group.events.back().error == error);
        CHECK(group.member.state() == cluster::GroupMember::State::failed);
    }
}

TEST_CASE("group: a rebalance revokes first, then joins again; put out, everything is lost") {
    GroupRig group;
    REQUIRE(group.rig.run([&] { return group.is_done(); }));
    const int joins = group.coordinator.joins;
    group.coordinator.rebalancing = true;
    group.events.clear();
    REQUIRE(group.rig.run([&] { return group.coordinator.joins > joins && group.is_settled(); }));
    REQUIRE(group.events.size() == 2);
    CHECK(group.events[0].kind == GroupEvent::Kind::revoked);
    CHECK(group.events[1].kind == GroupEvent::Kind::assigned);

    group.coordinator.errors[ApiKey::heartbeat] = {ErrorCode::unknown_member_id, 1};
    group.events.clear();
    REQUIRE(group.rig.run([&] { return group.events.size() >= 2 && group.is_settled(); }));
    CHECK(group.events[0].kind == GroupEvent::Kind::lost);
}

TEST_CASE("group: a cooperative rebalance that moves nothing stops nothing") {
    GroupRig group(GroupRig::config_of({cluster::Assignor::cooperative_sticky}));
    REQUIRE(group.rig.run([&] { return group.is_done(); }));
    const int joins = group.coordinator.joins;
    group.coordinator.rebalancing = true;
    group.events.clear();
    REQUIRE(group.rig.run([&] {
        return group.coordinator.joins > joins && group.is_settled() && !group.events.empty();
    }));
    REQUIRE(group.events.size() == 1);
    CHECK(group.events[0].kind == GroupEvent::Kind::assigned);
    CHECK(group.events[0].partitions.empty());
}

TEST_CASE("group: the coordinator may move, and its broker may go, without a rebalance") {
    GroupRig group;
    REQUIRE(group.rig.run([&] { return group.is_done(); }));
    const int joins = group.coordinator.joins, beats = group.coordinator.heartbeats;
    group.coordinator.node = 0;
    group.rig.kill(1);
    REQUIRE(group.rig.run([&] { return group.coordinator.heartbeats >= beats + 3; }));
    CHECK(group.coordinator.joins == joins);
    CHECK(group.is_settled());
}

TEST_CASE("group: a program that stops polling leaves, loses all, and comes back when it polls") {
    GroupRig group;
    REQUIRE(group.rig.run([&] { return group.is_done(); }));
    const std::string id = group.member.member_id();
    group.polls = false;
    REQUIRE(group.rig.run([&] { return !group.coordinator.left.empty(); }, milliseconds{400'000}));
    CHECK(group.coordinator.left == id);
    REQUIRE(group.rig.run([&] { return group.mine.empty(); }));
    group.polls = true;
    group.member.on_poll(group.rig.now);
    REQUIRE(group.rig.run([&] { return group.is_settled(); }));
    CHECK(group.member.member_id() != id);
}

TEST_CASE("group: leaving tells the coordinator, and more partitions make the leader rebalance") {
    GroupRig group;
    REQUIRE(group.rig.run([&] { return group.is_done(); }));
    group.brokers.topics["t"].push_back({0, 0});
    group.rig.router.refresh_metadata(group.rig.now);
    REQUIRE(group.rig.run([&] { return group.mine.size() == 3; }));
    const std::string id = group.member.member_id();
    group.member.leave(group.rig.now);
    REQUIRE(group.rig.run([&] { return group.member.has_left(); }));
    CHECK(group.coordinator.left == id);
}

TEST_CASE("group: who was put out commits nothing, not even from outside the group") {
    GroupRig group;
    REQUIRE(group.rig.run([&] { return group.is_done(); }));
    group.coordinator.errors[ApiKey::heartbeat] = {ErrorCode::unknown_member_id, 1};
    REQUIRE(group.rig.run([&] { return group.member.generation() < 0; }));
    const int commits = group.coordinator.commits;
    group.rig.on_idle = nullptr;  // as in the callback that tells of the loss
    const auto id =
        group.member.commit(group.rig.now, {{{"t", 0}, {5, -1, ""}}}, milliseconds{500});
    std::optional<cluster::GroupAnswer> answer;
    REQUIRE(group.rig.run([&] { return (answer = group.member.poll_answer()).has_value(); }));
    CHECK(answer->id == id);
    REQUIRE(!answer->status);
    CHECK(answer->status.error() == Error::refused);
    CHECK(answer->error == ErrorCode::illegal_generation);
    CHECK(group.coordinator.commits == commits);
    CHECK(group.coordinator.committed[0] == 10);
}

TEST_CASE("group: a commit that is repeated still tells which partitions were refused for good") {
    GroupRig group;
    group.commits = false;
    REQUIRE(group.rig.run([&] { return group.is_settled(); }));
    group.rig.on_idle = nullptr;
    group.coordinator.second_partition = ErrorCode::topic_authorization_failed;
    group.coordinator.errors[ApiKey::offset_commit] = {ErrorCode::coordinator_load_in_progress, 1};
    (void)group.member.commit(group.rig.now, {{{"t", 0}, {5, -1, ""}}, {{"t", 1}, {6, -1, ""}}},
                              milliseconds{20'000});
    std::optional<cluster::GroupAnswer> answer;
    REQUIRE(group.rig.run([&] { return (answer = group.member.poll_answer()).has_value(); }));
    CHECK(!answer->status);
    CHECK(answer->refused == std::map<cluster::TopicPartition, ErrorCode>{
                                 {{"t", 1}, ErrorCode::topic_authorization_failed}});
    CHECK(group.coordinator.committed[0] == 5);
}

TEST_CASE("group: offsets that are not stable yet are asked of the same coordinator again") {
    GroupRig group;
    group.coordinator.errors[ApiKey::offset_fetch] = {ErrorCode::unstable_offset_commit, 3};
    REQUIRE(group.rig.run([&] { return group.is_done(); }));
    CHECK(group.coordinator.finds == 1);
}

TEST_CASE("group: a pattern lets go of a topic that is deleted") {
    GroupRig group;
    group.brokers.add_topic("u", {0});
    group.member.subscribe_matching(group.rig.now, [](std::string_view) { return true; });
    REQUIRE(group.rig.run([&] { return group.mine.size() == 3; }));
    group.brokers.topics.erase("u");
    group.rig.router.refresh_metadata(group.rig.now);
    REQUIRE(group.rig.run([&] { return group.mine.size() == 2; }));
    CHECK(!group.mine.contains({"u", 0}));
}

TEST_CASE("group: who is late by a generation keeps its name, so that nobody waits for a ghost") {
    for (const ApiKey key : {ApiKey::heartbeat, ApiKey::offset_commit}) {
        GroupRig group;
        REQUIRE(group.rig.run([&] { return group.is_done(); }));
        const std::string id = group.member.member_id();
        const int joins = group.coordinator.joins;
        group.coordinator.errors[key] = {ErrorCode::illegal_generation, 1};
        group.events.clear();
        if (key == ApiKey::offset_commit) group.is_committed = false;
        REQUIRE(
            group.rig.run([&] { return group.coordinator.joins > joins && group.is_settled(); }));
        CHECK(group.events.front().kind == GroupEvent::Kind::lost);
        CHECK(group.member.member_id() == id);
        CHECK(group.coordinator.joins == joins + 1);
    }
}

TEST_CASE("group: who subscribes again before the last partitions are given up joins again") {
    GroupRig group;
    REQUIRE(group.rig.run([&] { return group.is_done(); }));
    const std::string id = group.member.member_id();
    const int joins = group.coordinator.joins;
    group.member.unsubscribe(group.rig.now);
    group.member.subscribe(group.rig.now, {"t"});
    REQUIRE(group.rig.run([&] { return group.coordinator.joins > joins && group.is_settled(); }));
    CHECK(group.coordinator.left == id);
    CHECK(group.member.member_id() != id);
}

TEST_CASE("group: a coordinator that is nobody is asked for again, with pauses") {
    GroupRig group;
    group.coordinator.node = -1;
    group.brokers.on_any = [&](std::int32_t, const wire::Request&) -> std::optional<Bytes> {
        if (group.coordinator.finds > 100) group.coordinator.node = 1;  // or it would never end
        return std::nullopt;
    };
    CHECK(!group.rig.run([&] { return group.is_settled(); }, milliseconds{5000}));
    CHECK(group.coordinator.finds > 2);
    CHECK(group.coordinator.finds < 50);
    group.coordinator.node = 1;
    REQUIRE(group.rig.run([&] { return group.is_done(); }));
}

TEST_CASE("group: a coordinator that never knows the member is asked again with pauses") {
    for (const ApiKey key : {ApiKey::join_group, ApiKey::sync_group})
        for (const ErrorCode error : {ErrorCode::unknown_member_id, ErrorCode::member_id_required,
                                      ErrorCode::illegal_generation}) {
            if (key == ApiKey::sync_group && error == ErrorCode::member_id_required) continue;
            INFO("key ", static_cast<int>(key), " error ", wire::name(error));
            GroupRig group;
            group.coordinator.errors[key] = {error, 200};
            CHECK(!group.rig.run([&] { return group.is_settled(); }, milliseconds{5'000}));
            const int asked = 200 - group.coordinator.errors[key].second;
            CHECK(asked > 2);
            CHECK(asked < 60);
            group.coordinator.errors.clear();
            REQUIRE(group.rig.run([&] { return group.is_done(); }));
        }
}

// The link is half open: what is sent goes nowhere. JoinGroup may take long, SyncGroup may not.
TEST_CASE("group: a coordinator that says nothing to SyncGroup is given up after request_timeout") {
    GroupRig group;
    bool silent = true;
    int syncs = 0;
    group.brokers.on_any = [&](std::int32_t, const wire::Request& request) -> std::optional<Bytes> {
        if (request.header.api_key != ApiKey::sync_group || ++syncs > 1) return std::nullopt;
        silent = false;
        return Bytes{};
    };
    const Instant start = group.rig.now;
    REQUIRE(group.rig.run([&] { return group.is_done(); }, milliseconds{400'000}));
    group.check_done();
    CHECK(!silent);
    CHECK(group.rig.now - start < milliseconds{5'000});
}

TEST_CASE("group: an offset that the answer leaves out is refused, not taken for one that is not") {
    GroupRig group;
    group.commits = false;
    REQUIRE(group.rig.run([&] { return group.is_settled(); }));
    group.rig.on_idle = nullptr;
    group.coordinator.committed = {{0, 7}};
    std::int64_t committed = 7;
    group.brokers.on_any = [&](std::int32_t, const wire::Request& request) -> std::optional<Bytes> {
        if (request.header.api_key != ApiKey::offset_fetch) return std::nullopt;
        wire::OffsetFetchResponse::OffsetFetchResponsePartitions known;
        known.committed_offset = committed;
        wire::OffsetFetchResponse::OffsetFetchResponseTopics topic;
        topic.name = "t";
        topic.topic_id = group.brokers.ids["t"];
        topic.partitions = std::span(&known, 1);
        wire::OffsetFetchResponse::OffsetFetchResponseGroup its;
        its.group_id = "g";
        its.topics = std::span(&topic, 1);
        wire::OffsetFetchResponse response;
        response.groups = std::span(&its, 1);
        return ModelBroker::answer(request.header, response, request.header.api_version);
    };
    (void)group.member.fetch_committed(group.rig.now, {{"t", 0}, {"t", 1}}, milliseconds{20'000});
    std::optional<cluster::GroupAnswer> answer;
    REQUIRE(group.rig.run([&] { return (answer = group.member.poll_answer()).has_value(); }));
    CHECK(answer->status);
    CHECK(answer->offsets.size() == 1);
    CHECK(answer->offsets[{"t", 0}].offset == 7);
    CHECK(answer->refused == std::map<cluster::TopicPartition, ErrorCode>{
                                 {{"t", 1}, ErrorCode::unknown_server_error}});
    // What KafkaJS commits to begin anew is none, as in Java.
    committed = -2;
    (void)group.member.fetch_committed(group.rig.now, {{"t", 0}}, milliseconds{20'000});
    REQUIRE(group.rig.run([&] { return (answer = group.member.poll_answer()).has_value(); }));
    CHECK(answer->offsets[{"t", 0}].offset == -1);
}

TEST_CASE("group: what the answer to a commit leaves out is not committed") {
    GroupRig group;
    group.commits = false;
    REQUIRE(group.rig.run([&] { return group.is_settled(); }));
    group.rig.on_idle = nullptr;
    group.brokers.on_any = [](std::int32_t, const wire::Request& request) -> std::optional<Bytes> {
        if (request.header.api_key != ApiKey::offset_commit) return std::nullopt;
        const wire::OffsetCommitResponse nothing;
        return ModelBroker::answer(request.header, nothing, request.header.api_version);
    };
    (void)group.member.commit(group.rig.now, {{{"t", 0}, {5, -1, ""}}}, milliseconds{20'000});
    std::optional<cluster::GroupAnswer> answer;
    REQUIRE(group.rig.run([&] { return (answer = group.member.poll_answer()).has_value(); }));
    CHECK(!answer->status);
    CHECK(answer->refused == std::map<cluster::TopicPartition, ErrorCode>{
                                 {{"t", 0}, ErrorCode::unknown_server_error}});
}
