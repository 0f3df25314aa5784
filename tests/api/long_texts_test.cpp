// Names and values may be as long as a string can be, and answers repeat them: all that is served,
// in all versions, with long ones in every place.
#include "broker/api/handlers.hpp"
#include "broker/api/told.hpp"
#include "sdk/wire/api/03_metadata.hpp"
#include "sdk/wire/api/19_create_topics.hpp"
#include "sdk/wire/api/32_describe_configs.hpp"
#include "tests/api/changes.hpp"
#include "tests/golden/messages.hpp"

using namespace leat;
using namespace leat::test;
namespace golden = leat::wire::golden;

namespace {

constexpr std::size_t string_bytes_max = 32'767;

// What leads further in than a name that nobody knows.
constexpr std::string_view words[] = {
    "t", "new", "", "0", "1", "user", "client-id", "ip", "producer_byte_rate", "consumer", "range",
    "uniform", "background.threads", "retention.ms", "leader.replication.throttled.replicas",
    "consumer.session.timeout.ms", "group.version"};
constexpr std::int64_t numbers[] = {-1, 0, 0, 1, 2, 3, 4, 5, 32, 10'000, 45'000};

Bytes frame_of(ByteView body, wire::ApiKey key, std::int16_t version, std::string_view client_id) {
    const wire::RequestHeader header{
        .api_key = key, .api_version = version, .correlation_id = 7, .client_id = client_id};
    Bytes frame(4 + wire::request_header_size(header) + body.size());
    const auto head = wire::encode_request_header(header, MutableBytes(frame).subspan(4));
    REQUIRE(head);
    copy_bytes(body, MutableBytes(frame).subspan(4 + *head));
    store_big(frame.data(), static_cast<std::int32_t>(frame.size() - 4));
    return frame;
}

/// Whether the answer, if there is one, is what its version says.
bool is_right(ByteView frame, const wire::Api& one, std::int16_t version) {
    if (frame.empty()) return true;
    const auto cut = wire::decode_response(frame.subspan(4), one.key, version);
    Bytes again;
    return cut && golden::find_kind(std::int16_t(one.key), golden::Direction::response)
                      ->recode(cut->body, version, again);
}

/// Drives all that is served, and tells the keys whose answers could not be written.
std::string unwritten(ApiBench& bench, golden::Filling& filling, std::string_view client_id) {
    std::string keys;
    for (const api::Served& served : api::served()) {
        const wire::Api& one = *wire::find_api(served.key);
        const auto* kind =
            golden::find_kind(std::int16_t(served.key), golden::Direction::request);
        REQUIRE(kind != nullptr);
        for (std::int16_t v = one.accepted.first; v <= one.accepted.last; ++v) {
            INFO("key=", std::string(one.name), " version=", v);
            const auto id = bench.open();
            bench.send(id, frame_of(kind->filled(filling, v), served.key, v, client_id));
            bench.flush();
            CHECK(is_right(bench.take(id), one, v));
            while (const auto event = bench.sessions.poll_event())
                if (event->reason == session::CloseReason::answer_too_large)
                    keys += one.name + (" v" + std::to_string(v)) + "\n";
                else
                    CHECK(event->reason != session::CloseReason::malformed_request);
            bench.sessions.closed(bench.now, id);
        }
    }
    return keys;
}

}  // namespace

TEST_CASE("long texts: no answer is too long for the strings that it repeats, whatever is asked") {
    const Bytes batch = make_batch({});
    for (const std::size_t size : {string_bytes_max, std::size_t{10'000}})
        for (const bool some_known : {false, true}) {
            INFO("size=", size, " some_known=", some_known);
            ApiBench bench;
            bench.topic("t", 2);
            const std::string text(size, 'x');
            golden::Filling filling;
            filling.text = text;
            filling.numbers = numbers;
            filling.bytes = batch;
            if (some_known) filling.words = words;
            for (int round = 0; round < 20; ++round)
                CHECK(unwritten(bench, filling, text) == "");
        }
}

TEST_CASE("long texts: people are told the beginning, in whole characters") {
    ApiBench bench;
    bench.topic("t");
    const std::string shift[] = {"", "x"};  // one of them would be cut within its character
    for (const std::string& before : shift) {
        std::string text = before;
        while (text.size() + 2 <= string_bytes_max) text += "\xc3\xa4";
        const auto is_beginning = [](std::string_view message, std::string_view of) {
            INFO("message=", std::string(message));
            CHECK(message.starts_with(of));
            CHECK(message.size() <= api::told_bytes_max);
            CHECK(message.size() >= api::told_bytes_max - 1);
            CHECK(message.ends_with("\xc3\xa4"));
        };
        const auto set = [&](const char* name, std::int8_t type, const char* of) {
            return change(bench, {{name, 0, text}}, false, of, type).message;
        };
        is_beginning(set("retention.ms", 2, "t"), "Invalid value " + before);
        is_beginning(set(text.c_str(), 2, "t"), "Unknown topic config name: ");
        is_beginning(set("background.threads", 4, "0"), "Invalid value " + before);
        is_beginning(set(text.c_str(), 4, "0"), "Cannot update these configs dynamically: [");
        is_beginning(set("consumer.session.timeout.ms", 32, "g"), "Invalid value " + before);
        is_beginning(set(text.c_str(), 32, "g"), "Unknown group config name: ");

        wire::CreateTopicsRequest::CreatableTopicConfig config{"retention.ms", text};
        wire::CreateTopicsRequest::CreatableTopic topic;
        topic.name = "new";
        topic.num_partitions = topic.replication_factor = 1;
        topic.configs = std::span(&config, 1);
        wire::CreateTopicsRequest create;
        create.topics = std::span(&topic, 1);
        for (const bool null : {false, true}) {
            if (null) config = {text, nullptr};
            const auto told = bench.call<wire::CreateTopicsResponse>(create, 7);
            is_beginning(told.topics.front().error_message.view(),
                         null ? "Null value not supported" : "Invalid value ");
        }
    }
    CHECK(api::told("").is_null());
    CHECK(api::told(std::string(api::told_bytes_max + 1, '\x80')).empty());
}

TEST_CASE("long texts: a list of words that no answer would hold is not kept") {
    ApiBench bench;
    const topics::Topic* topic = bench.topic("t");
    const char* const name = "leader.replication.throttled.replicas";
    const std::string first(string_bytes_max - 2, 'a');
    CHECK(change(bench, {{name, 0, first}}).error == wire::ErrorCode::none);
    CHECK(change(bench, {{name, 2, "bb"}}).error == wire::ErrorCode::invalid_config);
    CHECK(topic->config.value(*topics::find_setting(name)).size() == first.size());
    CHECK(change(bench, {{name, 2, "b"}}).error == wire::ErrorCode::none);
    CHECK(topic->config.value(*topics::find_setting(name)).size() == string_bytes_max);
}

TEST_CASE("long texts: where one cannot be told the connection is closed, and told which it was") {
    api::Settings settings = ApiBench::default_settings();
    settings.host = settings.log_dir = std::string(string_bytes_max + 1, 'h');
    ApiBench bench(settings);
    const auto closes = [&](const Bytes& frame, wire::ApiKey key, std::int16_t version) {
        const auto id = bench.open();
        bench.send(id, frame);
        bench.flush();
        CHECK(bench.take(id).empty());
        CHECK(bench.closed(id));
        const auto event = bench.sessions.poll_event();
        REQUIRE(event);
        CHECK(event->reason == session::CloseReason::answer_too_large);
        CHECK(event->detail == (std::int64_t(key) << 16 | version));
        CHECK(bench.pool.counters().response_bytes == 0);
    };
    closes(request_frame(wire::MetadataRequest{}, 9), wire::ApiKey::metadata, 9);
    wire::DescribeConfigsRequest::DescribeConfigsResource resources[2];  // element by element
    for (auto& one : resources) one.resource_type = 4, one.resource_name = "0";
    wire::DescribeConfigsRequest describe;
    describe.resources = resources;
    closes(request_frame(describe, 3), wire::ApiKey::describe_configs, 3);
    closes(request_frame(describe, 4), wire::ApiKey::describe_configs, 4);
}
