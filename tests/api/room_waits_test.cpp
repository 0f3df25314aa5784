// Topics that are made, and settings that are changed, while records fill the log: they wait for
// room, in simulated time.
#include "broker/api/room_waits.hpp"
#include "sdk/wire/api/18_api_versions.hpp"
#include "sdk/wire/api/19_create_topics.hpp"
#include "sdk/wire/api/37_create_partitions.hpp"
#include "sdk/wire/api/49_alter_client_quotas.hpp"
#include "tests/api/changes.hpp"

using namespace leat;
using namespace leat::test;
using wire::ErrorCode;

namespace {

struct Answered {
    std::vector<ErrorCode> errors;
    std::string message;  // of the last one
};

struct FullBench : ApiBench {
    FullBench() {
        topic("there");
        log.facts_full = true;
    }
    void free_room() {
        log.facts_full = false;
        log.free_room();
        settle();
        flush();
    }
    static Bytes create(const std::vector<std::string>& names, std::int32_t timeout_ms = 30'000,
                        bool validate_only = false) {
        std::vector<wire::CreateTopicsRequest::CreatableTopic> topics(names.size());
        for (std::size_t i = 0; i < names.size(); ++i) {
            topics[i].name = names[i];
            topics[i].num_partitions = topics[i].replication_factor = 1;
        }
        wire::CreateTopicsRequest request;
        request.topics = topics;
        request.timeout_ms = timeout_ms;
        request.validate_only = validate_only;
        return request_frame(request, 7);
    }
    static Bytes raise(std::int32_t count, std::int32_t timeout_ms = 30'000) {
        wire::CreatePartitionsRequest::CreatePartitionsTopic one;
        one.name = "there";
        one.count = count;
        one.assignments = nullptr;
        wire::CreatePartitionsRequest request;
        request.topics = std::span(&one, 1);
        request.timeout_ms = timeout_ms;
        return request_frame(request, 3);
    }
    template <class Response, class List>
    Answered answered(session::SessionId id, std::int16_t version, List Response::*list) {
        Answered all;
        const Response response = answer<Response>(id, version);
        for (const auto& one : response.*list) {
            all.errors.push_back(one.error_code);
            all.message = one.error_message.view();
        }
        return all;
    }
    Answered created(session::SessionId id) {
        return answered(id, 7, &wire::CreateTopicsResponse::topics);
    }
    Answered raised(session::SessionId id) {
        return answered(id, 3, &wire::CreatePartitionsResponse::results);
    }
    bool has(std::string_view name) { return topics.registry.find(name) != nullptr; }
};

using Errors = std::vector<ErrorCode>;

}  // namespace

TEST_CASE("full log: a topic is made as soon as there is room, in order on its connection") {
    FullBench bench;
    const auto id = bench.open(), other = bench.open();
    bench.send(id, FullBench::create({"t"}));
    bench.send(id, request_frame(wire::ApiVersionsRequest{}, 0));
    bench.send(other, FullBench::raise(3));
    bench.flush();
    bench.advance(25'000);
    CHECK(bench.take(id).empty());
    CHECK(bench.take(other).empty());
    CHECK_FALSE(bench.has("t"));
    bench.free_room();
    CHECK(bench.raised(other).errors == Errors{ErrorCode::none});
    CHECK(bench.topics.registry.find("there")->partitions.size() == 3);
    // Of the two answers the first is that of the topic.
    const Bytes both = bench.take(id);
    REQUIRE(both.size() > 4);
    const std::size_t first = 4 + load_big<std::uint32_t>(both.data());
    REQUIRE(both.size() > first);
    const auto made =
        ApiBench::decode_answer<wire::CreateTopicsResponse>(ByteView(both).first(first), 7);
    CHECK(made.topics.front().error_code == ErrorCode::none);
    CHECK(made.topics.front().topic_id.bytes == bench.topics.registry.find("t")->id);
    CHECK(bench.pool.counters().request_bytes == 0);
    CHECK(bench.api.deadline() == never);
}

TEST_CASE("full log: after timeout_ms it is REQUEST_TIMED_OUT, with the reason, and nothing made") {
    FullBench bench;
    const auto id = bench.open(), other = bench.open();
    bench.send(id, FullBench::create({"t", "u"}));
    bench.send(other, FullBench::raise(3));
    // Before its client ends the wait by itself, and without a word.
    bench.advance(29'000);
    CHECK(bench.take(id).empty());
    CHECK(bench.api.deadline() == bench.now + milliseconds(500));
    bench.advance(500);
    auto told = bench.created(id);
    CHECK(told.errors == Errors{ErrorCode::request_timed_out, ErrorCode::request_timed_out});
    CHECK(told.message.find("the log is full now") != std::string::npos);
    told = bench.raised(other);
    CHECK(told.errors == Errors{ErrorCode::request_timed_out});
    CHECK(told.message.find("the log is full now") != std::string::npos);
    bench.free_room();
    CHECK_FALSE(bench.has("t"));
    CHECK_FALSE(bench.has("u"));
    CHECK(bench.topics.registry.find("there")->partitions.size() == 1);
    // Both connections go on.
    bench.send(id, FullBench::create({"t"}));
    bench.send(other, FullBench::raise(2));
    bench.flush();
    CHECK(bench.created(id).errors == Errors{ErrorCode::none});
    CHECK(bench.raised(other).errors == Errors{ErrorCode::none});
}

TEST_CASE("full log: settings and quotas are changed as soon as there is room, or half a minute") {
    for (const bool room : {true, false}) {
        CAPTURE(room);
        FullBench bench;
        const auto topic = bench.open(), group = bench.open(), quota = bench.open();
        bench.send(topic, change_frame({{"retention.ms", 0, "77"}}, false, "there"));
        const std::vector<Change> session{{"consumer.session.timeout.ms", 0, "50000"}};
        bench.send(group, change_frame(session, false, "g", 32));
        wire::AlterClientQuotasRequest::EntryData::EntityData user{"user", "u"};
        wire::AlterClientQuotasRequest::EntryData::OpData rate{"producer_byte_rate", 1000, false};
        wire::AlterClientQuotasRequest::EntryData entry;
        entry.entity = std::span(&user, 1);
        entry.ops = std::span(&rate, 1);
        wire::AlterClientQuotasRequest alter;
        alter.entries = std::span(&entry, 1);
        bench.send(quota, request_frame(alter, 1));
        bench.flush();
        bench.advance(29'000);
        for (const auto id : {topic, group, quota}) CHECK(bench.take(id).empty());
        if (room)
            bench.free_room();
        else
            bench.advance(500);
        const ErrorCode told = room ? ErrorCode::none : ErrorCode::request_timed_out;
        using Response = wire::IncrementalAlterConfigsResponse;
        for (const auto id : {topic, group}) {
            const auto one = bench.answered(id, 1, &Response::responses);
            CHECK(one.errors == Errors{told});
            CHECK((one.message.find("the log is full now") != std::string::npos) != room);
        }
        CHECK(bench.answered(quota, 1, &wire::AlterClientQuotasResponse::entries).errors ==
              Errors{told});
        const auto* there = bench.topics.registry.find("there");
        CHECK(there->config.is_override("retention.ms") == room);
        CHECK(bench.groups.settings().of("g").empty() != room);
        CHECK(bench.api.deadline() == never);
    }
}

TEST_CASE("full log: who gives no time, or only tries, is answered at once") {
    FullBench bench;
    const auto id = bench.open();
    for (const std::int32_t none : {0, -1, INT32_MIN}) {
        bench.send(id, FullBench::create({"t"}, none));
        CHECK(bench.created(id).errors == Errors{ErrorCode::request_timed_out});
        bench.send(id, FullBench::raise(2, none));
        CHECK(bench.raised(id).errors == Errors{ErrorCode::request_timed_out});
    }
    bench.send(id, FullBench::create({"t"}, 30'000, true));
    CHECK(bench.created(id).errors == Errors{ErrorCode::none});
    bench.send(id, FullBench::create({"there", "a b"}));
    CHECK(bench.created(id).errors ==
          Errors{ErrorCode::topic_already_exists, ErrorCode::invalid_topic_exception});
}

TEST_CASE("full log: what was made before it was full is durable or given up, and told so") {
    for (const bool given_up : {false, true}) {
        CAPTURE(given_up);
        FullBench bench;
        bench.log.facts_full = false;
        bench.log.auto_flush = false;
        bench.hold_turns = true;
        std::vector<std::string> names;
        for (int i = 0; i < 40; ++i) names.push_back("t" + std::to_string(i));
        const auto id = bench.open();
        bench.send(id, FullBench::create(names, 10'000));
        while (!bench.has(names[0])) REQUIRE(bench.turn());
        bench.log.facts_full = true;
        bench.hold_turns = false;
        bench.settle();
        if (given_up)
            bench.log.give_up();
        else
            bench.log.flush();
        bench.flush();
        CHECK(bench.take(id).empty());
        CHECK(bench.has(names[0]) != given_up);
        bench.log.auto_flush = true;
        if (given_up)
            bench.free_room();
        else
            bench.advance(9'999);
        const Errors errors = bench.created(id).errors;
        REQUIRE(errors.size() == names.size());
        std::size_t good = 0;
        for (std::size_t i = 0; i < errors.size(); ++i) {
            CHECK(bench.has(names[i]) == (errors[i] == ErrorCode::none));
            if (errors[i] == ErrorCode::none)
                ++good;
            else
                CHECK(errors[i] == (given_up ? ErrorCode::kafka_storage_error
                                             : ErrorCode::request_timed_out));
        }
        CHECK(good > 0);
        CHECK(good < errors.size());
    }
}

TEST_CASE("full log: those that wait are bounded in bytes; beyond, nobody waits") {
    FullBench bench;
    std::vector<std::string> names;
    for (int i = 0; i < 1'000; ++i) names.push_back(std::string(90, 'x') + std::to_string(i));
    const Bytes large = FullBench::create(names);
    const std::size_t fit = api::RoomWaits::bytes_max / (large.size() + api::RoomWaits::bytes_each);
    REQUIRE(fit >= 2);
    std::vector<session::SessionId> waiting;
    for (std::size_t i = 0; i < fit; ++i) bench.send(waiting.emplace_back(bench.open()), large);
    for (const auto id : waiting) CHECK(bench.take(id).empty());
    const auto beyond = bench.open();
    bench.send(beyond, large);
    const Errors refused = bench.created(beyond).errors;
    CHECK(refused == Errors(1'000, ErrorCode::request_timed_out));
    // One that has gone makes place when there is room; what it asked for is made all the same.
    bench.sessions.closed(bench.now, waiting.front());
    bench.log.streams_max = 100'000;
    bench.free_room();
    for (int i = 0; i < 20; ++i) bench.flush();
    CHECK(bench.has(names.back()));
    for (std::size_t i = 1; i < fit; ++i)
        for (const ErrorCode one : bench.created(waiting[i]).errors)
            CHECK((one == ErrorCode::none || one == ErrorCode::topic_already_exists));
    CHECK(bench.pool.counters().request_bytes == 0);
}

TEST_CASE("full log: who has gone is forgotten with the next room that is not enough") {
    FullBench bench;
    const auto id = bench.open();
    bench.send(id, FullBench::create({"t", std::string(200, 'u'), std::string(200, 'v')}));
    CHECK(bench.pool.counters().request_bytes > 0);
    bench.sessions.closed(bench.now, id);
    bench.log.free_room();  // for records, not for facts
    bench.settle();
    CHECK(bench.pool.counters().request_bytes == 0);
    CHECK(bench.api.deadline() == never);
    CHECK_FALSE(bench.has("t"));
}

TEST_CASE("full log: a broker that stops lets go of who waits") {
    FullBench bench;
    const auto id = bench.open();
    bench.send(id, FullBench::create({"t"}));
    bench.api.stop(bench.now, bench.wall);
    CHECK(bench.created(id).errors == Errors{ErrorCode::request_timed_out});
}
