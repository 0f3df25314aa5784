#include "sdk/wire/api/10_find_coordinator.hpp"
#include "sdk/wire/api/11_join_group.hpp"
#include "sdk/wire/api/14_sync_group.hpp"
#include "sdk/wire/api/17_sasl_handshake.hpp"
#include "sdk/wire/api/18_api_versions.hpp"
#include "sdk/wire/api/32_describe_configs.hpp"
#include "sdk/wire/api/36_sasl_authenticate.hpp"
#include "tests/api/bench.hpp"

using namespace leat;
using namespace leat::test;

TEST_CASE("ApiVersions: v0 to v4 list exactly what is served, Produce from 0") {
    for (std::int16_t version = 0; version <= 4; ++version) {
        CAPTURE(version);
        ApiBench bench;
        wire::ApiVersionsRequest request;
        request.client_software_name = "leat-test";
        request.client_software_version = "1.0";
        const auto response = bench.call<wire::ApiVersionsResponse>(request, version);
        CHECK(response.error_code == wire::ErrorCode::none);
        std::string text;
        for (const auto& key : response.api_keys)
            text += std::to_string(key.api_key) + ":" + std::to_string(key.min_version) + "-" +
                    std::to_string(key.max_version) + " ";
        CHECK(text ==
              "0:0-13 1:4-18 2:1-11 3:0-13 8:2-10 9:1-10 10:0-6 11:0-9 12:0-4 13:0-5 14:0-5 15:0-6 "
              "16:0-5 17:0-1 18:0-4 19:2-7 20:1-6 21:0-2 22:0-5 23:2-4 29:1-3 30:1-3 31:1-3 "
              "32:1-4 33:0-2 35:1-5 36:0-2 37:0-3 42:0-2 43:0-2 44:0-1 45:0-1 46:0-0 47:0-0 48:0-1 "
              "49:0-1 50:0-0 55:0-2 57:0-2 60:0-2 61:0-0 68:0-1 69:0-1 "
              "74:0-1 "
              "75:0-0 ");
    }
}

TEST_CASE("ApiVersions: byte for byte, v0 as librdkafka asks") {
    ApiBench bench;
    const auto id = bench.open();
    bench.send(id, from_hex("00000011 0012 0000 00000001 0007 7264 6b61 666b 61"));
    CHECK(to_hex(bench.take(id)) ==
          "0000011800000001"
          "0000"
          "0000002d"
          "00000000000d"
          "000100040012"
          "00020001000b"
          "00030000000d"
          "00080002000a"
          "00090001000a"
          "000a00000006"
          "000b00000009"
          "000c00000004"
          "000d00000005"
          "000e00000005"
          "000f00000006"
          "001000000005"
          "001100000001"
          "001200000004"
          "001300020007"
          "001400010006"
          "001500000002"
          "001600000005"
          "001700020004"
          "001d00010003"
          "001e00010003"
          "001f00010003"
          "002000010004"
          "002100000002"
          "002300010005"
          "002400000002"
          "002500000003"
          "002a00000002"
          "002b00000002"
          "002c00000001"
          "002d00000001"
          "002e00000000"
          "002f00000000"
          "003000000001"
          "003100000001"
          "003200000000"
          "003700000002"
          "003900000002"
          "003c00000002"
          "003d00000000"
          "004400000001"
          "004500000001"
          "004a00000001"
          "004b00000000");
}

TEST_CASE(
    "ApiVersions: a version above ours gets the v0 body with error 35, whatever follows its "
    "header") {
    ApiBench bench;
    for (const char* request :
         {"00000010 0012 0005 0000000b 0001 74 00 ff ff ff ff",
          "00000010 0012 7fff 0000000b ff ff ff ff ff ff ff ff", "00000008 0012 0005 0000000b"}) {
        const auto id = bench.open();
        bench.send(id, from_hex(request));
        CHECK(to_hex(bench.take(id)) ==
              "00000010"
              "0000000b"
              "0023"
              "00000001"
              "0012"
              "0000"
              "0004");
        CHECK_FALSE(bench.closed(id));
    }
}

TEST_CASE("ApiVersions: a software name that is none is INVALID_REQUEST") {
    ApiBench bench;
    for (const char* name : {"", "-a", "a-", "a b", "\xff"}) {
        wire::ApiVersionsRequest request;
        request.client_software_name = name;
        request.client_software_version = "1";
        CHECK(bench.call<wire::ApiVersionsResponse>(request, 3).error_code ==
              wire::ErrorCode::invalid_request);
    }
}

TEST_CASE("dispatch: unknown keys and versions close the connection, after the earlier answers") {
    for (const char* wrong : {"00000008 00ff 0000 00000001", "00000008 0000 0002 00000001",
                              "00000008 0000 000e 00000001", "00000008 0001 0003 00000001",
                              "00000008 0008 000b 00000001", "00000008 ffff 0000 00000001",
                              "00000008 0012 ffff 00000001", "00000008 0001 0013 00000001"}) {
        CAPTURE(wrong);
        ApiBench bench;
        const auto id = bench.open();
        bench.send(id, from_hex("00000011 0012 0000 00000001 0007 7264 6b61 666b 61"));
        bench.send(id, from_hex(wrong));
        CHECK_FALSE(bench.take(id).empty());
        CHECK(bench.closed(id));
        CHECK(bench.sessions.poll_event()->reason == session::CloseReason::unknown_api);
    }
}

TEST_CASE("dispatch: every cut of a request closes the connection and nothing else") {
    wire::ApiVersionsRequest request;
    request.client_software_name = "leat-test";
    request.client_software_version = "1.0";
    const Bytes whole = request_frame(request, 3);
    for (std::size_t size = 8; size < whole.size() - 4; ++size) {
        CAPTURE(size);
        ApiBench bench;
        const auto id = bench.open();
        Bytes cut(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(4 + size));
        store_big(cut.data(), static_cast<std::int32_t>(size));
        bench.send(id, cut);
        CHECK(bench.take(id).empty());
        CHECK(bench.closed(id));
        CHECK(bench.sessions.poll_event()->reason == session::CloseReason::malformed_request);
    }
}

TEST_CASE("dispatch: requests are pipelined before the first answer") {
    ApiBench bench;
    const auto id = bench.open();
    const Bytes versions = from_hex("00000011 0012 0000 00000001 0007 7264 6b61 666b 61");
    const Bytes metadata = from_hex("00000015 0003 0001 00000002 0007 7264 6b61 666b 61 00000000");
    Bytes both = versions;
    both.insert(both.end(), metadata.begin(), metadata.end());
    bench.send(id, both);
    const Bytes answers = bench.take(id);
    REQUIRE(answers.size() > 0xf8);
    CHECK(load_big<std::int32_t>(answers.data() + 4) == 1);
    CHECK(load_big<std::int32_t>(answers.data() + 0x11c + 4) == 2);
}

TEST_CASE("stop: who waits is answered, who comes is turned away") {
    ApiBench bench;
    bench.log.auto_flush = false;
    bench.topic("t");
    const auto id = bench.open();
    bench.send(id, bench.produce_frame(make_batch({}), -1));
    bench.api.stop(bench.now, bench.wall);
    bench.settle();
    CHECK(bench.take(id).empty());
    bench.flush();
    CHECK_FALSE(bench.take(id).empty());
    bench.send(id, bench.produce_frame(make_batch({}), -1));
    CHECK(bench.closed(id));
}

TEST_CASE("SASL: without authentication both requests are ILLEGAL_SASL_STATE, and nothing is cut") {
    ApiBench bench;
    for (std::int16_t version = 0; version <= 1; ++version) {
        const auto id = bench.open();
        wire::SaslHandshakeRequest request;
        request.mechanism = "PLAIN";
        bench.send(id, request_frame(request, version));
        const auto response = bench.answer<wire::SaslHandshakeResponse>(id, version);
        CHECK(response.error_code == wire::ErrorCode::illegal_sasl_state);
        CHECK(response.mechanisms.empty());
        CHECK_FALSE(bench.closed(id));
    }
    for (std::int16_t version = 0; version <= 2; ++version) {
        const auto response =
            bench.call<wire::SaslAuthenticateResponse>(wire::SaslAuthenticateRequest{}, version);
        CHECK(response.error_code == wire::ErrorCode::illegal_sasl_state);
        CHECK_FALSE(response.error_message.is_null());
    }
}

TEST_CASE("dispatch: a coordinator that is found has Kafka's text beside it") {
    ApiBench bench;
    wire::FindCoordinatorRequest request;
    for (std::int16_t version = 1; version < 4; ++version)
        CHECK(bench.call<wire::FindCoordinatorResponse>(request, version).error_message.view() ==
              "NONE");
    const std::vector<wire::StringView> names(1, wire::StringView("g"));
    request.coordinator_keys = names;
    const auto response = bench.call<wire::FindCoordinatorResponse>(request, 4);
    CHECK(!response.coordinators.front().error_message.is_null());
    CHECK(response.coordinators.front().error_message.view().empty());
}

namespace {

Bytes coordinators_frame(std::size_t count) {
    const std::vector<wire::StringView> names(count, wire::StringView(""));
    wire::FindCoordinatorRequest request;
    request.coordinator_keys = names;
    return request_frame(request, 4);
}
// What its own bytes pay for.
std::size_t free_elements(std::size_t frame_bytes) { return (frame_bytes - 4) / 256; }

}  // namespace

TEST_CASE("dispatch: a request of more elements than all may have closes its connection") {
    ApiBench bench;
    std::size_t most = api::elements_max;
    while (most < api::elements_max + free_elements(coordinators_frame(most + 1).size())) ++most;
    for (const std::size_t count : {most - 1, most, most + 1}) {
        CAPTURE(count);
        const auto id = bench.open();
        bench.send(id, coordinators_frame(count));
        CHECK(bench.closed(id) == (count > most));
        if (count > most) continue;
        CHECK(bench.answer<wire::FindCoordinatorResponse>(id, 4).coordinators.size() == count);
    }
}

TEST_CASE("dispatch: requests at work share what elements there are; a few are always taken") {
    ApiBench bench;
    bench.hold_turns = true;  // a description of many is at work until its last turn
    std::vector<wire::DescribeConfigsRequest::DescribeConfigsResource> resources(40'000);
    for (auto& one : resources) one.resource_type = 2;
    wire::DescribeConfigsRequest describe;
    describe.resources = resources;
    const auto working = bench.open(), many = bench.open(), few = bench.open();
    bench.send(working, request_frame(describe, 4));
    bench.send(many, coordinators_frame(40'000));
    CHECK(bench.closed(many));
    bench.send(few, coordinators_frame(api::elements_few));
    CHECK_FALSE(bench.closed(few));
    CHECK_FALSE(bench.take(few).empty());
    bench.hold_turns = false;
    bench.settle();
    CHECK_FALSE(bench.take(working).empty());
    const auto again = bench.open();
    bench.send(again, coordinators_frame(40'000));
    CHECK_FALSE(bench.closed(again));
}

TEST_CASE("dispatch: who waits for a group's leader keeps no elements") {
    ApiBench bench;
    wire::JoinGroupRequest::JoinGroupRequestProtocol protocol;
    protocol.name = "range";
    wire::JoinGroupRequest join;
    join.group_id = "g";
    join.session_timeout_ms = join.rebalance_timeout_ms = 30'000;
    join.member_id = "";
    join.protocol_type = "consumer";
    join.protocols = std::span(&protocol, 1);
    const auto leads = bench.open(), follows = bench.open(), other = bench.open();
    bench.send(leads, request_frame(join, 3));
    bench.flush();
    const std::string leader(bench.answer<wire::JoinGroupResponse>(leads, 3).member_id.view());
    bench.send(follows, request_frame(join, 3));
    join.member_id = leader;
    bench.send(leads, request_frame(join, 3));
    bench.flush();
    const auto joined = bench.answer<wire::JoinGroupResponse>(follows, 3);
    const std::string follower(joined.member_id.view());
    const std::vector<wire::SyncGroupRequest::SyncGroupRequestAssignment> assignments(50'000);
    wire::SyncGroupRequest sync;
    sync.group_id = "g";
    sync.generation_id = joined.generation_id;
    sync.member_id = follower;
    sync.assignments = assignments;
    bench.send(follows, request_frame(sync, 3));
    CHECK(bench.take(follows).empty());
    CHECK_FALSE(bench.closed(follows));
    bench.send(other, coordinators_frame(50'000));
    CHECK_FALSE(bench.closed(other));
    CHECK_FALSE(bench.take(other).empty());
}
