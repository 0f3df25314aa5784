#include "sdk/cluster/metadata.hpp"

#include "doctest/doctest.h"
#include "sdk/cluster/endpoint.hpp"
#include "sdk/cluster/partitioner.hpp"

using namespace leat;
using namespace leat::cluster;

namespace {

using Response = wire::MetadataResponse;

struct Answer {
    std::vector<Response::MetadataResponseBroker> brokers;
    std::vector<Response::MetadataResponsePartition> partitions;
    std::vector<Response::MetadataResponseTopic> topics;

    Answer& broker(std::int32_t node, std::int32_t port) {
        auto& one = brokers.emplace_back();
        one.node_id = node;
        one.host = "h";
        one.port = port;
        return *this;
    }
    Answer& partition(std::int32_t index, std::int32_t leader, std::int32_t epoch) {
        auto& one = partitions.emplace_back();
        one.partition_index = index;
        one.leader_id = leader;
        one.leader_epoch = epoch;
        return *this;
    }
    Response of(const char* topic, std::uint8_t id, wire::ErrorCode error = wire::ErrorCode::none) {
        auto& one = topics.emplace_back();
        one.name = topic;
        one.topic_id.bytes[0] = id;
        one.error_code = error;
        one.partitions = partitions;
        Response response;
        response.brokers = brokers;
        response.topics = topics;
        response.controller_id = 1;
        return response;
    }
};

const Instant start = instant_ms(5000);

void ask(Metadata& metadata) {
    MetadataAsk question;
    metadata.fill(question);
    metadata.on_asked(question);
}

}  // namespace

TEST_CASE("metadata: asks at once for a new topic, then by age") {
    Metadata metadata({.age_max = milliseconds{60'000}});
    CHECK(metadata.ask_at() == never);
    metadata.want(start, "t");
    CHECK(metadata.ask_at() == start);
    ask(metadata);
    CHECK(metadata.ask_at() == never);
    REQUIRE(metadata.on_answer(start, Answer{}.broker(1, 9092).partition(0, 1, 3).of("t", 1)));
    CHECK(metadata.leader("t", 0) == 1);
    CHECK(metadata.ask_at() == start + milliseconds{60'000});
    metadata.refresh(start);
    CHECK(metadata.ask_at() == start + milliseconds{100});  // never faster than the back-off
}

TEST_CASE("metadata: lower epochs are old news, higher ones and a new topic id are not") {
    Metadata metadata({});
    metadata.want(start, "t");
    REQUIRE(metadata.on_answer(start, Answer{}.partition(0, 1, 5).partition(1, 1, 5).of("t", 1)));
    REQUIRE(metadata.on_answer(start, Answer{}.partition(0, 2, 4).partition(1, 2, 6).of("t", 1)));
    CHECK(metadata.leader("t", 0) == 1);
    CHECK(metadata.leader("t", 1) == 2);
    REQUIRE(metadata.on_answer(start, Answer{}.partition(0, 3, 0).of("t", 2)));
    CHECK(metadata.leader("t", 0) == 3);
    CHECK(metadata.find("t")->partitions.size() == 1);
    REQUIRE(metadata.on_answer(start, Answer{}.partition(0, 4, -1).of("t", 2)));
    CHECK(metadata.leader("t", 0) == 4);  // -1 says nothing about age
}

TEST_CASE("metadata: an error keeps what was known and asks again, rarer and rarer") {
    Metadata metadata({.retry = {milliseconds{100}, milliseconds{1000}}});
    metadata.want(start, "t");
    REQUIRE(metadata.on_answer(start, Answer{}.partition(0, 1, 5).of("t", 1)));
    Instant now = start;
    for (int i = 0; i < 10; ++i) {
        ask(metadata);
        REQUIRE(
            metadata.on_answer(now, Answer{}.of("t", 0, wire::ErrorCode::leader_not_available)));
        CHECK(metadata.leader("t", 0) == 1);
        CHECK(metadata.ask_at() > now);
        CHECK(metadata.ask_at() <= now + milliseconds{1000});
        now = metadata.ask_at();
    }
    CHECK(now - start > milliseconds{4000});
    // One that asking again will not change is left alone until it is old.
    REQUIRE(
        metadata.on_answer(now, Answer{}.of("t", 0, wire::ErrorCode::topic_authorization_failed)));
    CHECK(metadata.ask_at() == now + milliseconds{300'000});
}

TEST_CASE("metadata: a leader that is not among the brokers is asked for again") {
    Metadata metadata({});
    metadata.want(start, "t");
    ask(metadata);
    REQUIRE(metadata.on_answer(start, Answer{}.broker(1, 9092).partition(0, 2, 3).of("t", 1)));
    const Instant again = metadata.ask_at();
    CHECK(again > start);
    CHECK(again <= start + milliseconds{1000});
    ask(metadata);
    REQUIRE(metadata.on_answer(again, Answer{}.broker(2, 9092).partition(0, 2, 3).of("t", 1)));
    CHECK(metadata.ask_at() == again + milliseconds{300'000});
}

TEST_CASE("metadata: a partition that is wanted and not there is asked for, rarer and rarer") {
    Metadata metadata({});
    metadata.want(start, "t");
    ask(metadata);
    REQUIRE(metadata.on_answer(start, Answer{}.broker(1, 9092).partition(0, 1, 3).of("t", 1)));
    CHECK(metadata.ask_at() == start + milliseconds{300'000});
    metadata.want(start, "t", 1);
    Instant now = start;
    CHECK(metadata.ask_at() == now);
    for (int i = 0; i < 10; ++i) {
        ask(metadata);
        REQUIRE(metadata.on_answer(now, Answer{}.broker(1, 9092).partition(0, 1, 3).of("t", 1)));
        CHECK(metadata.ask_at() > now);
        now = metadata.ask_at();
    }
    CHECK(now - start > milliseconds{4000});
    ask(metadata);
    REQUIRE(metadata.on_answer(
        now, Answer{}.broker(1, 9092).partition(0, 1, 3).partition(1, 1, 0).of("t", 1)));
    CHECK(metadata.ask_at() == now + milliseconds{300'000});
    metadata.want(now, "t", 1);  // known, and no news
    CHECK(metadata.ask_at() == now + milliseconds{300'000});
}

TEST_CASE("metadata: a question raised while one is under way is asked again") {
    Metadata metadata({});
    metadata.want(start, "t");
    ask(metadata);
    metadata.refresh(start);
    REQUIRE(metadata.on_answer(start, Answer{}.partition(0, 1, 5).of("t", 1)));
    CHECK(metadata.ask_at() < start + milliseconds{1000});
}

TEST_CASE("metadata: hostile answers are bounded") {
    Metadata metadata({.partitions_max = 10});
    metadata.want(start, "t");
    REQUIRE(metadata.on_answer(start, Answer{}.partition(9, 1, 0).of("t", 1)));
    CHECK(metadata.find("t")->partitions.size() == 10);
    REQUIRE(metadata.on_answer(
        start,
        Answer{}.partition(10, 1, 0).partition(-5, 1, 0).partition(0x7fffffff, 1, 0).of("t", 1)));
    CHECK(metadata.find("t")->partitions.size() == 10);
    Answer many;
    for (std::int32_t i = 0; i < 11; ++i) many.partition(0, 1, 0);
    const Status refused = metadata.on_answer(start, many.of("t", 1));
    REQUIRE(!refused);
    CHECK(refused.error() == Error::too_large);
    REQUIRE(metadata.on_answer(
        start, Answer{}.broker(-3, 9092).broker(4, 70000).broker(5, 9092).of("t", 1)));
    CHECK(metadata.brokers().size() == 1);
    // Topics that nobody asked for are not kept.
    REQUIRE(metadata.on_answer(start, Answer{}.partition(0, 1, 0).of("other", 1)));
    CHECK(metadata.find("other") == nullptr);
}

TEST_CASE("metadata: names are counted") {
    Metadata metadata({});
    metadata.want(start, "t");
    metadata.want(start, "t");
    metadata.forget("t");
    MetadataAsk ask;
    metadata.fill(ask);
    CHECK(ask.topics.size() == 1);
    metadata.forget("t");
    metadata.fill(ask);
    CHECK(ask.topics.empty());
    CHECK(!ask.request.topics.is_null());  // null would mean all
}

TEST_CASE("partitioner: murmur2 as Kafka's own tests have it") {
    // org.apache.kafka.common.utils.UtilsTest.testMurmur2
    CHECK(murmur2(bytes_of("21")) == -973932308);
    CHECK(murmur2(bytes_of("foobar")) == -790332482);
    CHECK(murmur2(bytes_of("a-little-bit-long-string")) == -985981536);
    CHECK(murmur2(bytes_of("a-little-bit-longer-string")) == -1486304829);
    CHECK(murmur2(bytes_of("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8")) == -58897971);
    CHECK(murmur2(bytes_of("abc")) == 479470107);
}

TEST_CASE("partitioner: without a key a partition is kept for a batch, then all get their share") {
    TopicInfo topic;
    topic.partitions.resize(4);
    for (auto& partition : topic.partitions) partition.leader = 1;
    topic.partitions[2].leader = no_broker;
    StickyPartitioner sticky(1000, 3);
    std::map<std::int32_t, int> share;
    std::int32_t last = -1;
    int changes = 0;
    for (int i = 0; i < 30'000; ++i) {
        const bool batch_starts = i % 10 == 0;
        if (batch_starts) sticky.on_placed("t", {.bytes = 0, .batch_is_over = true});
        const std::int32_t partition = sticky.current("t", topic);
        if (partition != last) {
            CHECK(batch_starts);
            ++changes;
        }
        last = partition;
        sticky.on_placed("t", {.bytes = 100, .batch_is_over = false});
        ++share[partition];
    }
    CHECK(share[2] == 0);  // nobody leads it
    for (std::int32_t p : {0, 1, 3}) CHECK(share[p] > 9'000);
    CHECK(changes > 1500);
    topic.partitions[static_cast<std::size_t>(last)].leader = no_broker;
    CHECK(sticky.current("t", topic) != last);
}

TEST_CASE("endpoint: what people type") {
    CHECK(*parse_endpoint("h:1") == Endpoint{"h", 1});
    CHECK(*parse_endpoint("h") == Endpoint{"h", 9092});
    CHECK(*parse_endpoint("[::1]:7") == Endpoint{"::1", 7});
    CHECK(*parse_endpoint("[::1]") == Endpoint{"::1", 9092});
    CHECK(text_of(Endpoint{"::1", 7}) == "[::1]:7");
    CHECK(parse_endpoints("a:1, b:2 ,c")->size() == 3);
    for (const char* bad :
         {"", ":1", "h:", "h:0", "h:65536", "h:x", "::1", "[::1", "[::1]x", "a b:1", "h:1:2"}) {
        INFO(bad);
        CHECK(!parse_endpoint(bad));
    }
    CHECK(!parse_endpoints("a:1,,b:2"));
    CHECK(!parse_endpoints("a:1,"));
}

TEST_CASE("metadata: of all topics, one that is left out is gone; wanted by name, it is unknown") {
    Metadata metadata({});
    metadata.want_all(start);
    metadata.want(start, "named");
    ask(metadata);
    Answer both;
    both.broker(1, 9092).partition(0, 1, 3).of("named", 1);
    REQUIRE(metadata.on_answer(start, both.of("other", 2)));
    REQUIRE(metadata.find("other"));
    metadata.refresh(start);
    ask(metadata);
    REQUIRE(metadata.on_answer(start, Answer{}.broker(1, 9092).partition(0, 1, 3).of("third", 3)));
    CHECK(!metadata.find("other"));
    REQUIRE(metadata.find("named"));
    CHECK(metadata.find("named")->error == wire::ErrorCode::unknown_topic_or_partition);
    CHECK(metadata.leader("named", 0) == 1);  // as for any other unknown topic: it may come back
}
