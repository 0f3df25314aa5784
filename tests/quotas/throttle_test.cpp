// Quotas through sessions and handlers, in simulated time: what clients are told, how long they are
// left unread, and what rate comes of it.
#include "sdk/wire/api/01_fetch.hpp"
#include "sdk/wire/api/03_metadata.hpp"
#include "sdk/wire/api/48_describe_client_quotas.hpp"
#include "sdk/wire/api/49_alter_client_quotas.hpp"
#include "tests/api/bench.hpp"

using namespace leat;
using namespace leat::test;
using wire::ErrorCode;

namespace {

using Alter = wire::AlterClientQuotasRequest;
using Describe = wire::DescribeClientQuotasRequest;

struct Change {
    const char* type;
    const char* name;  ///< null: the default
    const char* key;
    double value;  ///< 0: remove
};

ErrorCode alter(ApiBench& bench, const Change& change, bool validate_only = false) {
    Alter::EntryData::EntityData entity;
    entity.entity_type = change.type;
    if (change.name != nullptr) entity.entity_name = change.name;
    Alter::EntryData::OpData op;
    op.key = change.key;
    op.value = change.value;
    op.remove = change.value == 0;
    Alter::EntryData entry;
    entry.entity = std::span(&entity, 1);
    entry.ops = std::span(&op, 1);
    Alter request;
    request.entries = std::span(&entry, 1);
    request.validate_only = validate_only;
    const auto response = bench.call<wire::AlterClientQuotasResponse>(request, 1);
    REQUIRE(response.entries.size() == 1);
    return (*response.entries.begin()).error_code;
}

/// "user=u client-id=<default>: producer_byte_rate=1;" per entry
std::string describe(ApiBench& bench, const std::vector<Describe::ComponentData>& filter,
                     bool strict = false, std::int16_t version = 1) {
    Describe request;
    request.components = filter;
    request.strict = strict;
    const auto response = bench.call<wire::DescribeClientQuotasResponse>(request, version);
    if (response.error_code != ErrorCode::none)
        return std::to_string(static_cast<int>(response.error_code)) +
               (response.entries.is_null() ? " null" : "");
    CHECK((!response.error_message.is_null() && response.error_message.view().empty()));
    std::string text;
    for (const auto& entry : response.entries) {
        for (const auto& one : entry.entity)
            text +=
                std::string(one.entity_type.view()) + "=" +
                (one.entity_name.is_null() ? "<default>" : std::string(one.entity_name.view())) +
                " ";
        for (const auto& one : entry.values)
            text += std::string(one.key.view()) + "=" +
                    std::to_string(static_cast<int>(one.value)) + " ";
        text += "; ";
    }
    return text;
}

Describe::ComponentData component(const char* type, std::int8_t match, const char* name = nullptr) {
    Describe::ComponentData one;
    one.entity_type = type;
    one.match_type = match;
    if (name != nullptr) one.match = name;
    return one;
}

std::vector<std::uint8_t> batch_of(std::size_t bytes) { return make_batch({.value_bytes = bytes}); }

/// A client that sends its next request the moment it may: it heeds no throttle time of its own.
/// Returns the bytes of requests that were taken in `seconds`.
std::size_t flood(ApiBench& bench, ByteView frame, int seconds, std::int16_t acks) {
    const auto id = bench.open();
    std::size_t taken = 0;
    const auto before = bench.sessions.counters().requests;
    for (int ms = 0; ms < seconds * 1000; ms += 5) {
        while (bench.waiting(id) < frame.size()) bench.send(id, frame);
        bench.flush();
        (void)bench.take(id);
        bench.advance(5);
    }
    taken = (bench.sessions.counters().requests - before) * (frame.size() - 4);
    if (acks != 0) CHECK_FALSE(bench.closed(id));
    return taken;
}

}  // namespace

TEST_CASE("AlterClientQuotas: what is set is described, removed, and answered when durable") {
    for (std::int16_t version = 0; version <= 1; ++version) {
        ApiBench bench;
        CHECK(alter(bench, {"client-id", "c", "producer_byte_rate", 1000}) == ErrorCode::none);
        CHECK(alter(bench, {"client-id", "c", "request_percentage", 50}) == ErrorCode::none);
        CHECK(alter(bench, {"user", nullptr, "consumer_byte_rate", 7}) == ErrorCode::none);
        CHECK(alter(bench, {"user", "u", "consumer_byte_rate", 8}, true) == ErrorCode::none);
        CHECK(describe(bench, {}, false, version) ==
              "client-id=c producer_byte_rate=1000 request_percentage=50 ; "
              "user=<default> consumer_byte_rate=7 ; ");
        CHECK(alter(bench, {"client-id", "c", "producer_byte_rate", 0}) == ErrorCode::none);
        CHECK(describe(bench, {component("client-id", 0, "c")}, false, version) ==
              "client-id=c request_percentage=50 ; ");
        CHECK(alter(bench, {"client-id", "c", "request_percentage", 0}) == ErrorCode::none);
        CHECK(describe(bench, {component("client-id", 2)}, false, version) == "");
    }
    ApiBench bench;
    bench.log.auto_flush = false;
    Alter::EntryData::EntityData entity;
    entity.entity_type = "user";
    Alter::EntryData::OpData op;
    op.key = "producer_byte_rate";
    op.value = 5;
    Alter::EntryData entry;
    entry.entity = std::span(&entity, 1);
    entry.ops = std::span(&op, 1);
    Alter request;
    request.entries = std::span(&entry, 1);
    const auto id = bench.open();
    bench.send(id, request_frame(request, 1));
    CHECK(bench.take(id).empty());
    bench.flush();
    CHECK((*bench.answer<wire::AlterClientQuotasResponse>(id, 1).entries.begin()).error_code ==
          ErrorCode::none);
}

TEST_CASE("AlterClientQuotas: what is not kept is refused, and why is said") {
    ApiBench bench;
    for (const Change& bad :
         std::initializer_list<Change>{{"ip", "1.2.3.4", "producer_byte_rate", 5},
                                       {"ip", "gateway-7", "connection_creation_rate", 5},
                                       {"ip", "1.2.3.4", "connection_creation_rate", 1.5},
                                       {"ip", "1.2.3.4", "connection_creation_rate", 3e9},
                                       {"user", "u", "connection_creation_rate", 5},
                                       {"topic", "t", "producer_byte_rate", 5},
                                       {"user", "", "producer_byte_rate", 5},
                                       {"client-id", "", "producer_byte_rate", 5},
                                       {"ip", "1.2.3.4", "controller_mutation_rate", 5},
                                       {"user", "u", "no_such_rate", 5},
                                       {"user", "u", "producer_byte_rate", -1},
                                       {"user", "u", "producer_byte_rate", 1.5},
                                       {"user", "u", "request_percentage", 1.0 / 0.0}})
        CHECK(alter(bench, bad) == ErrorCode::invalid_request);
    CHECK(alter(bench, {"user", std::string(256, 'u').c_str(), "producer_byte_rate", 5}) ==
          ErrorCode::invalid_request);
    CHECK(alter(bench, {"user", std::string(255, 'u').c_str(), "producer_byte_rate", 5}) ==
          ErrorCode::none);
    CHECK(bench.quotas.all().size() == 1);
    CHECK(alter(bench, {"client-id", "c", "controller_mutation_rate", 0.5}) == ErrorCode::none);
    CHECK(describe(bench, {component("client-id", 0, "c")}).find("controller_mutation_rate=0") !=
          std::string::npos);
}

TEST_CASE("AlterClientQuotas: what an entity cannot have may be removed all the same") {
    ApiBench bench;
    REQUIRE(alter(bench, {"user", "u", "producer_byte_rate", 5}) == ErrorCode::none);
    // As Kafka: tools clear an entity of all keys that they know, in one request.
    CHECK(alter(bench, {"user", "u", "no_such_rate", 0}) == ErrorCode::none);
    CHECK(alter(bench, {"user", "u", "connection_creation_rate", 0}) == ErrorCode::none);
    CHECK(alter(bench, {"ip", "1.2.3.4", "producer_byte_rate", 0}) == ErrorCode::none);
    CHECK(alter(bench, {"topic", "t", "producer_byte_rate", 0}) == ErrorCode::invalid_request);
    CHECK(bench.quotas.all().size() == 1);
}

TEST_CASE("AlterClientQuotas: a rate that is named twice is refused, whatever the two say") {
    ApiBench bench;
    Alter::EntryData::EntityData entity;
    entity.entity_type = "user";
    std::array<Alter::EntryData::OpData, 2> ops;
    for (auto& op : ops) op.key = "producer_byte_rate", op.value = 5;
    Alter::EntryData entry;
    entry.entity = std::span(&entity, 1);
    entry.ops = ops;
    Alter request;
    request.entries = std::span(&entry, 1);
    const auto told = bench.call<wire::AlterClientQuotasResponse>(request, 1);
    CHECK(told.entries.front().error_code == ErrorCode::invalid_request);
    CHECK(bench.quotas.all().empty());
}

TEST_CASE("AlterClientQuotas: an ip has a rate of connections, and stands alone") {
    ApiBench bench;
    CHECK(alter(bench, {"ip", "10.0.0.7", "connection_creation_rate", 5}) == ErrorCode::none);
    CHECK(alter(bench, {"ip", nullptr, "connection_creation_rate", 9}) == ErrorCode::none);
    CHECK(alter(bench, {"user", "u", "producer_byte_rate", 5}) == ErrorCode::none);
    const std::string any = "ip=<default> connection_creation_rate=9 ; ",
                      one = "ip=10.0.0.7 connection_creation_rate=5 ; ",
                      u = "user=u producer_byte_rate=5 ; ";
    CHECK(describe(bench, {}) == any + one + u);
    CHECK(describe(bench, {component("ip", 2)}, true) == any + one);
    CHECK(describe(bench, {component("ip", 0, "10.0.0.7")}) == one);
    CHECK(describe(bench, {component("ip", 1)}) == any);
    CHECK(describe(bench, {component("user", 2)}, true) == u);
    bench.quotas.load();
    CHECK(bench.quotas.unreadable() == 0);
    CHECK(describe(bench, {component("ip", 2)}) == any + one);
    CHECK(alter(bench, {"ip", "10.0.0.7", "connection_creation_rate", 0}) == ErrorCode::none);
    CHECK(describe(bench, {component("ip", 2)}) == any);

    Alter::EntryData::EntityData both[2];
    both[0].entity_type = "ip";
    both[0].entity_name = "10.0.0.7";
    both[1].entity_type = "user";
    Alter::EntryData entry;
    entry.entity = both;
    Alter request;
    request.entries = std::span(&entry, 1);
    const auto response = bench.call<wire::AlterClientQuotasResponse>(request, 1);
    CHECK((*response.entries.begin()).error_code == ErrorCode::invalid_request);
}

TEST_CASE("DescribeClientQuotas: exact, default and any names, strict or not, and bad filters") {
    ApiBench bench;
    using quotas::Part;
    const Part none, any{Part::Is::any, {}}, u{Part::Is::named, "u"}, c{Part::Is::named, "c"};
    double rate = 0;
    for (const quotas::Entity& entity :
         {quotas::Entity{u, none}, {u, c}, {any, none}, {none, c}, {u, any}})
        REQUIRE(bench.quotas.set(bench.now, entity, {++rate, 0, 0}));
    const std::string only_u = "user=u producer_byte_rate=1 ; ",
                      u_c = "user=u client-id=c producer_byte_rate=2 ; ",
                      any_user = "user=<default> producer_byte_rate=3 ; ",
                      only_c = "client-id=c producer_byte_rate=4 ; ",
                      u_any = "user=u client-id=<default> producer_byte_rate=5 ; ";
    CHECK(describe(bench, {}) == only_c + any_user + only_u + u_any + u_c);
    CHECK(describe(bench, {}, true) == "");
    CHECK(describe(bench, {component("user", 0, "u")}) == only_u + u_any + u_c);
    CHECK(describe(bench, {component("user", 0, "u")}, true) == only_u);
    CHECK(describe(bench, {component("user", 1)}) == any_user);
    CHECK(describe(bench, {component("user", 2)}, true) == any_user + only_u);
    CHECK(describe(bench, {component("user", 0, "u"), component("client-id", 1)}) == u_any);
    CHECK(describe(bench, {component("ip", 2)}) == "");

    CHECK(describe(bench, {component("", 2)}) == "42 null");
    CHECK(describe(bench, {component("vhost", 2)}) == "35 null");
    CHECK(describe(bench, {component("user", 0)}) == "42 null");
    CHECK(describe(bench, {component("user", 1, "u")}) == "42 null");
    CHECK(describe(bench, {component("user", 3)}) == "42 null");
    CHECK(describe(bench, {component("user", 2), component("user", 2)}) == "42 null");
    CHECK(describe(bench, {component("user", 2), component("ip", 2)}) == "42 null");
}

TEST_CASE(
    "throttle: a produce over its quota is answered at once, says how long, and the next waits so "
    "long") {
    ApiBench bench;
    bench.topic("t");
    REQUIRE(alter(bench, {"client-id", "t", "producer_byte_rate", 1000}) == ErrorCode::none);
    const auto id = bench.open();
    const Bytes frame = bench.produce_frame(batch_of(2900), 1);
    const auto told = milliseconds(static_cast<std::int64_t>(frame.size()) - 4 - 1000);
    bench.send(id, frame);
    CHECK(bench.answer<wire::ProduceResponse>(id, 9).throttle_time_ms == told.count());
    const auto requests = bench.sessions.counters().requests;
    bench.send(id, request_frame(wire::MetadataRequest{}, 9));
    bench.advance(told.count() - 1);
    CHECK(bench.sessions.counters().requests == requests);
    CHECK(bench.sessions.receive_window(bench.now, id).empty());
    bench.advance(1);
    CHECK(bench.sessions.counters().requests == requests + 1);
    CHECK(bench.answer<wire::MetadataResponse>(id, 9).throttle_time_ms == 0);
    CHECK(bench.quotas.counters().throttled == 1);
}

TEST_CASE("throttle: producers run at their quota within a tenth, with acks 0, 1 and all") {
    for (const std::int16_t acks : {0, 1, -1})
        for (const std::size_t record : {200, 3'000, 30'000}) {
            CAPTURE(acks);
            CAPTURE(record);
            ApiBench bench;
            bench.topic("t");
            REQUIRE(alter(bench, {"client-id", nullptr, "producer_byte_rate", 10'000}) ==
                    ErrorCode::none);
            const std::size_t taken =
                flood(bench, bench.produce_frame(batch_of(record), acks), 60, acks);
            CHECK(static_cast<double>(taken) > 0.9 * 10'000 * 60);
            // The second that may be taken at once comes on top, and the last request is paid
            // later.
            CHECK(static_cast<double>(taken) < 1.1 * 10'000 * 60 + 31'000);
        }
}

TEST_CASE("throttle: two connections of one client share its quota, another client has its own") {
    ApiBench bench;
    bench.topic("t");
    REQUIRE(alter(bench, {"client-id", nullptr, "producer_byte_rate", 10'000}) == ErrorCode::none);
    const Bytes frame = bench.produce_frame(batch_of(1000), 1);
    const auto a = bench.open(), b = bench.open();
    const auto before = bench.sessions.counters().requests;
    for (int ms = 0; ms < 30'000; ms += 5) {
        for (const auto id : {a, b}) {
            while (bench.waiting(id) < frame.size()) bench.send(id, frame);
            bench.flush();
            (void)bench.take(id);
        }
        bench.advance(5);
    }
    const double taken =
        static_cast<double>((bench.sessions.counters().requests - before) * (frame.size() - 4));
    CHECK(taken > 0.9 * 300'000);
    CHECK(taken < 1.1 * 300'000 + 10'000);
}

TEST_CASE("throttle: a consumer reads at its quota within a tenth, and each answer is bounded") {
    ApiBench bench;
    const topics::Topic* topic = bench.topic("t");
    for (int i = 0; i < 400; ++i)
        REQUIRE(bench.topics.append(bench.now, bench.wall, *topic, 0, batch_of(2000), 9).error ==
                ErrorCode::none);
    bench.flush();
    REQUIRE(alter(bench, {"client-id", "t", "consumer_byte_rate", 5'000}) == ErrorCode::none);
    const auto id = bench.open();
    std::int64_t offset = 0;
    double bytes = 0;
    bool asked = false;
    for (int ms = 0; ms < 60'000; ms += 5) {
        if (!asked) {
            wire::FetchRequest::FetchPartition partition;
            partition.fetch_offset = offset;
            partition.partition_max_bytes = 1 << 20;
            wire::FetchRequest::FetchTopic one;
            one.topic = "t";
            one.partitions = std::span(&partition, 1);
            wire::FetchRequest request;
            request.max_wait_ms = 100;
            request.min_bytes = 1;
            request.max_bytes = 1 << 20;
            request.topics = std::span(&one, 1);
            bench.send(id, request_frame(request, 12));
            asked = true;
        }
        bench.flush();
        const Bytes answer = bench.take(id);
        if (!answer.empty()) {
            const auto response = ApiBench::decode_answer<wire::FetchResponse>(answer, 12);
            const auto records = (*(*response.responses.begin()).partitions.begin()).records.view();
            if (!records.empty()) {
                CHECK(response.throttle_time_ms > 0);
                CHECK(records.size() <= 50'000);
            }
            bytes += static_cast<double>(records.size());
            offset += static_cast<std::int64_t>(records.size() / batch_of(2000).size());
            asked = false;
        }
        bench.advance(5);
    }
    CHECK(bytes > 0.9 * 300'000);
    CHECK(bytes < 1.1 * 300'000 + 50'000);
}

TEST_CASE(
    "throttle: a share of the thread is measured where the work is; at most a second at once") {
    ApiBench bench;
    bench.topic("t");
    REQUIRE(alter(bench, {"client-id", nullptr, "request_percentage", 2}) == ErrorCode::none);
    // Between taking the request and writing its answer lies one look at the watch, after it
    // another: 4 ms of work for each request.
    bench.stopwatch.step_ns = 2'000'000;
    const Bytes frame = request_frame(wire::MetadataRequest{}, 9);
    const std::size_t taken = flood(bench, frame, 60, 1) / (frame.size() - 4);
    const double share = static_cast<double>(taken) * 4 / 60'000 * 100;
    CHECK(share > 0.9 * 2);
    CHECK(share < 1.1 * 2 + 0.1);

    bench.advance(100'000);
    bench.stopwatch.step_ns = 5'000'000'000;
    const auto id = bench.open();
    bench.send(id, frame);
    CHECK(bench.answer<wire::MetadataResponse>(id, 9).throttle_time_ms == 1'000);
}

TEST_CASE("throttle: a muted connection is neither idle nor crawling, however long it lasts") {
    ApiBench bench;
    bench.topic("t");
    REQUIRE(alter(bench, {"client-id", "t", "producer_byte_rate", 10}) == ErrorCode::none);
    const auto id = bench.open();
    const Bytes frame = bench.produce_frame(batch_of(100'000), 1);
    // The next request's first bytes come along.
    Bytes both = frame;
    both.insert(both.end(), frame.begin(), frame.begin() + 100);
    bench.send(id, both);
    CHECK(bench.answer<wire::ProduceResponse>(id, 9).throttle_time_ms == 600'000);
    for (int s = 0; s < 599; ++s) bench.advance(1'000);
    CHECK_FALSE(bench.closed(id));
    bench.advance(2'000);
    bench.send(id, ByteView(frame).subspan(100));
    CHECK(bench.answer<wire::ProduceResponse>(id, 9).throttle_time_ms > 0);
    // One that never sends the rest is closed once we do read.
    bench.send(id, ByteView(frame).first(100));
    for (int s = 0; s < 800 && !bench.closed(id); ++s) bench.advance(1'000);
    CHECK(bench.closed(id));
}
