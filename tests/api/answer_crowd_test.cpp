// Large answers that nobody reads, of requests whose answers do not wait for memory.
#include "sdk/wire/api/03_metadata.hpp"
#include "sdk/wire/api/11_join_group.hpp"
#include "sdk/wire/api/14_sync_group.hpp"
#include "sdk/wire/api/15_describe_groups.hpp"
#include "sdk/wire/api/32_describe_configs.hpp"
#include "sdk/wire/api/68_consumer_group_heartbeat.hpp"
#include "sdk/wire/api/69_consumer_group_describe.hpp"
#include "tests/api/bench.hpp"

using namespace leat;
using namespace leat::test;

namespace {

/// Asks for so many topics that are not there; the answer is as long as the request.
Bytes metadata_frame(int topics) {
    std::vector<std::string> names;
    for (int i = 0; i < topics; ++i) names.push_back(std::string(90, 'x') + std::to_string(i));
    std::vector<wire::MetadataRequest::MetadataRequestTopic> asked(names.size());
    for (std::size_t i = 0; i < names.size(); ++i) asked[i].name = names[i];
    wire::MetadataRequest request;
    request.topics = asked;
    request.allow_auto_topic_creation = false;
    return request_frame(request, 9);
}

/// The same resource again and again.
Bytes describe_frame(std::size_t times, std::int8_t type, std::string_view name) {
    wire::DescribeConfigsRequest::DescribeConfigsResource resource;
    resource.resource_type = type;
    resource.resource_name = name;
    resource.configuration_keys = nullptr;
    const std::vector<wire::DescribeConfigsRequest::DescribeConfigsResource> all(times, resource);
    wire::DescribeConfigsRequest request;
    request.resources = all;
    request.include_synonyms = request.include_documentation = true;
    return request_frame(request, 4);
}

}  // namespace

// Found by reading: each connection may leave one answer unread, and each of these is as large as
// its request. 200 of 8 MB were 1.6 GB.
TEST_CASE("answer crowd: large answers that nobody reads are bounded for all together") {
    ApiBench bench;
    std::vector<session::SessionId> hostile;
    const Bytes large = metadata_frame(3000);
    for (int i = 0; i < 100; ++i) {
        hostile.push_back(bench.open());
        bench.send(hostile.back(), large);
    }
    CHECK(bench.pool.counters().response_bytes > 3 * MiB);
    CHECK(bench.pool.counters().response_bytes < 4 * MiB + 400'000);
    CHECK_FALSE(bench.closed(hostile.front()));
    CHECK(bench.closed(hostile.back()));
    CHECK(bench.sessions.poll_event()->reason == session::CloseReason::no_memory);
    // A modest answer is made; a large one again when those are gone, who are closed in their turn.
    const auto honest = bench.open();
    bench.send(honest, metadata_frame(500));
    CHECK(bench.take(honest).size() > 45'000);
    for (int i = 0; i < 60; ++i) bench.advance(100);
    for (const auto id : hostile) {
        CHECK(bench.closed(id));
        bench.sessions.closed(bench.now, id);
    }
    CHECK(bench.pool.counters().response_bytes == 0);
    bench.send(honest, large);
    CHECK(bench.take(honest).size() > 270'000);
}

// Found with 100 connections: the names were copied, and the memory of the request given back.
TEST_CASE("answer crowd: what a request names is counted until it is answered") {
    ApiBench bench;
    const Bytes large = metadata_frame(3000);
    bench.hold_turns = true;
    std::vector<session::SessionId> ids;
    for (int i = 0; i < 20; ++i) {
        ids.push_back(bench.open());
        bench.send(ids.back(), large);
    }
    CHECK(bench.pool.counters().request_bytes > large.size());
    CHECK(bench.pool.counters().waiting > 10);
    std::map<session::SessionId, std::size_t> taken;
    for (int round = 0; round < 20; ++round) {
        while (bench.turn()) {
        }
        for (const auto id : ids) taken[id] += bench.take(id).size();
        bench.send(ids.front(), {});  // what waits in the sockets
    }
    for (const auto id : ids) CHECK(taken[id] > 270'000);
    CHECK(bench.pool.counters().request_bytes == 0);
}

TEST_CASE("answer crowd: settings that are asked for again and again have an end") {
    ApiBench bench;
    for (int i = 0; i < 100; ++i) bench.topic("t" + std::to_string(i));
    for (const std::int8_t type : {std::int8_t{2}, std::int8_t{32}}) {
        const auto id = bench.open();
        std::size_t peak = 0;
        bench.hold_turns = true;
        bench.send(id, describe_frame(60'000, type, "t0"));
        for (; bench.turn(); peak = std::max(peak, bench.pool.counters().response_bytes)) {
        }
        CHECK(peak > 4 * MiB);
        CHECK(peak < 5 * MiB);
        CHECK(bench.closed(id));
        bench.sessions.closed(bench.now, id);
        CHECK(bench.pool.counters().response_bytes == 0);
        CHECK(bench.pool.counters().request_bytes == 0);
    }
}

namespace {

/// So many requests at work at once: what is gathered in turns never gets far beyond the pool, and
/// the first of them is answered whole.
void check_gathering(ApiBench& bench, const Bytes& frame, std::size_t answer_bytes) {
    bench.hold_turns = true;
    std::vector<session::SessionId> ids;
    for (int i = 0; i < 20; ++i) {
        ids.push_back(bench.open());
        bench.send(ids.back(), frame);
    }
    const std::size_t gathered = bench.pool.counters().response_bytes;
    CHECK(gathered > bench.pool.counters().size / 2);
    CHECK(gathered < bench.pool.counters().size + answer_bytes);
    std::size_t closed = 0;
    for (const auto id : ids) closed += bench.closed(id);
    CHECK(closed > 10);
    CHECK_FALSE(bench.closed(ids.front()));
    // Those who go away leave nothing.
    for (std::size_t i = 1; i < ids.size(); ++i) bench.sessions.closed(bench.now, ids[i]);
    while (bench.turn()) {
    }
    CHECK(bench.take(ids.front()).size() > answer_bytes);
    CHECK(bench.pool.counters().response_bytes == 0);
    CHECK(bench.pool.counters().request_bytes == 0);
}

/// "g0", "g1" and so on, and names of nobody: more than are looked at in one turn.
std::vector<std::string> described_names(int groups) {
    std::vector<std::string> names;
    for (int i = 0; i < groups; ++i) names.push_back("g" + std::to_string(i));
    for (int i = 0; i < 80; ++i) names.push_back("nobody" + std::to_string(i));
    return names;
}

}  // namespace

// Found by reading: fifty requests of a hundred names each were gigabytes between two turns.
TEST_CASE("answer crowd: descriptions of groups that are gathered are counted for all together") {
    constexpr int groups = 16;
    constexpr std::size_t each = 100'000;
    ApiBench bench;
    const std::vector<std::string> names = described_names(groups);
    const std::vector<wire::StringView> asked(names.begin(), names.end());
    SUBCASE("classic") {
        // A leader's assignment is told in every state but the first.
        const Bytes assignment(each, 'a');
        for (int i = 0; i < groups; ++i) {
            wire::JoinGroupRequest::JoinGroupRequestProtocol protocol;
            protocol.name = "range";
            wire::JoinGroupRequest join;
            join.group_id = names[static_cast<std::size_t>(i)];
            join.session_timeout_ms = join.rebalance_timeout_ms = 30'000;
            join.member_id = "";
            join.protocol_type = "consumer";
            join.protocols = std::span(&protocol, 1);
            const auto joined = bench.call<wire::JoinGroupResponse>(join, 3);
            const std::string member(joined.member_id.view());
            wire::SyncGroupRequest::SyncGroupRequestAssignment part;
            part.member_id = member;
            part.assignment = ByteView(assignment);
            wire::SyncGroupRequest sync;
            sync.group_id = names[static_cast<std::size_t>(i)];
            sync.generation_id = joined.generation_id;
            sync.member_id = member;
            sync.assignments = std::span(&part, 1);
            REQUIRE(bench.call<wire::SyncGroupResponse>(sync, 3).error_code ==
                    wire::ErrorCode::none);
        }
        wire::DescribeGroupsRequest request;
        request.groups = asked;
        check_gathering(bench, request_frame(request, 5), groups * each);
    }
    SUBCASE("of the consumer protocol") {
        std::vector<std::string> topics;
        for (std::size_t i = 0; i < each / 200; ++i)
            topics.push_back(std::string(200, 'x') + std::to_string(i));
        const std::vector<wire::StringView> subscribed(topics.begin(), topics.end());
        for (int i = 0; i < groups; ++i) {
            wire::ConsumerGroupHeartbeatRequest beat;
            beat.group_id = names[static_cast<std::size_t>(i)];
            beat.member_id = "m";
            beat.rebalance_timeout_ms = 6'000;
            beat.subscribed_topic_names = subscribed;
            beat.topic_partitions =
                std::span<const wire::ConsumerGroupHeartbeatRequest::TopicPartitions>();
            REQUIRE(bench.call<wire::ConsumerGroupHeartbeatResponse>(beat, 1).error_code ==
                    wire::ErrorCode::none);
        }
        wire::ConsumerGroupDescribeRequest request;
        request.group_ids = asked;
        check_gathering(bench, request_frame(request, 1), groups * each);
    }
}
