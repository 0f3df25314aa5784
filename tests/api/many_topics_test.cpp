// 10,000 topics on one broker: made by clients, told to clients, found again at the next start.
#include <malloc.h>

#include <chrono>

#include "broker/api/slices.hpp"
#include "sdk/wire/api/01_fetch.hpp"
#include "sdk/wire/api/03_metadata.hpp"
#include "sdk/wire/api/19_create_topics.hpp"
#include "sdk/wire/api/20_delete_topics.hpp"
#include "tests/api/turns.hpp"

using namespace leat;
using namespace leat::test;

namespace {

std::size_t heap_bytes() { return mallinfo2().uordblks; }

/// Makes commits until the answer is there: what is done in slices takes one for each.
int commits_until_answered(ApiBench& bench, session::SessionId id) {
    int commits = 0;
    for (; commits < 100 && bench.sessions.poll_write(id).empty(); ++commits) bench.flush();
    return commits;
}

}  // namespace

TEST_CASE("many topics: 10,000 of them, metadata for all, memory within bounds, and a start") {
    constexpr std::size_t count = 10'000;
    ApiBench bench;
    // The fake log keeps its own books of facts and streams: those bytes are not the broker's.
    const std::size_t before = heap_bytes();
    std::vector<std::string> names;
    for (std::size_t i = 0; i < count; ++i)
        names.push_back("plant.line.sensor." + std::to_string(i));
    for (std::size_t from = 0; from < count; from += 1000) {
        std::vector<wire::MetadataRequest::MetadataRequestTopic> asked(1000);
        for (std::size_t i = 0; i < asked.size(); ++i) asked[i].name = names[from + i];
        wire::MetadataRequest request;
        request.topics = asked;
        const session::SessionId id = bench.open();
        bench.send(id, request_frame(request, 12));
        bench.settle();
        (void)commits_until_answered(bench, id);
        const auto response = bench.answer<wire::MetadataResponse>(id, 12);
        bench.sessions.closed(bench.now, id);
        CHECK(response.topics.size() == 1000);
        for (const auto& topic : response.topics) {
            CHECK(topic.error_code == wire::ErrorCode::none);
            CHECK(topic.partitions.size() == 1);
        }
    }
    CHECK(bench.topics.registry.all().size() == count);
    const std::size_t made = heap_bytes() - before;
    MESSAGE("bytes per topic, log's books included: " << made / count);
    CHECK(made < count * 2048);

    // One more is one too many for the log, and nothing else suffers.
    wire::MetadataRequest::MetadataRequestTopic extra;
    extra.name = "one.too.many";
    wire::MetadataRequest one;
    one.topics = std::span(&extra, 1);
    const auto refused = bench.call<wire::MetadataResponse>(one, 12);
    CHECK(refused.topics.front().error_code == wire::ErrorCode::unknown_topic_or_partition);

    wire::MetadataRequest all;
    all.topics = nullptr;
    const std::size_t quiet = heap_bytes();
    for (const std::int16_t version : {1, 12, 13}) {
        const auto started = std::chrono::steady_clock::now();
        const auto response = bench.call<wire::MetadataResponse>(all, version);
        const auto took = std::chrono::steady_clock::now() - started;
        CHECK(response.topics.size() == count);
        std::size_t right = 0;
        for (const auto& topic : response.topics)
            right += topic.error_code == wire::ErrorCode::none && topic.partitions.size() == 1 &&
                     bench.topics.registry.find(topic.name.view()) != nullptr;
        CHECK(right == count);
        MESSAGE("metadata v" << version << " of all: "
                             << std::chrono::duration<double, std::milli>(took).count() << " ms");
    }
    bench.pool.trim();
    // The last answer is kept by the bench; nothing else of it stays.
    CHECK(heap_bytes() < quiet + 2 * MiB);
    CHECK(bench.pool.counters().response_bytes == 0);

    const auto started = std::chrono::steady_clock::now();
    bench.log.streams_max = 2 * count;  // a real log has forgotten them at a start
    topics::Topics again(bench.log, bench.entropy, {});
    REQUIRE(again.registry.load());
    const auto took = std::chrono::steady_clock::now() - started;
    MESSAGE("registry of 10,000 topics loaded in "
            << std::chrono::duration<double, std::milli>(took).count() << " ms");
    CHECK(again.registry.all().size() == count);
    for (const std::string& name : names) {
        const topics::Topic* topic = again.registry.find(name);
        REQUIRE(topic != nullptr);
        CHECK(topic->id == bench.topics.registry.find(name)->id);
        CHECK(topic->partitions == bench.topics.registry.find(name)->partitions);
    }
}

TEST_CASE(
    "many topics: what makes or deletes a thousand does so in slices, and others get their turn") {
    ApiBench bench;
    bench.log.auto_flush = false;
    std::vector<std::string> names;
    for (int i = 0; i < 1000; ++i) names.push_back("slice." + std::to_string(i));
    std::vector<wire::CreateTopicsRequest::CreatableTopic> wanted(names.size());
    for (std::size_t i = 0; i < wanted.size(); ++i) {
        wanted[i].name = names[i];
        wanted[i].num_partitions = 1;
        wanted[i].replication_factor = 1;
    }
    wire::CreateTopicsRequest create;
    create.topics = wanted;
    const session::SessionId id = bench.open();
    bench.send(id, request_frame(create, 5));
    bench.send(id, request_frame(wire::ApiVersionsRequest{}, 0));
    bench.settle();
    CHECK(bench.topics.registry.all().size() == api::parts_per_slice);

    // Another connection is answered meanwhile; the next request of the same one waits.
    const session::SessionId other = bench.open();
    bench.send(other, request_frame(wire::ApiVersionsRequest{}, 0));
    bench.settle();
    CHECK(bench.answer<wire::ApiVersionsResponse>(other, 0).error_code == wire::ErrorCode::none);
    CHECK(bench.take(id).empty());

    CHECK(commits_until_answered(bench, id) == 4);  // 1,000 in slices of 256
    const Bytes both = bench.take(id);
    const auto first = static_cast<std::size_t>(load_big<std::int32_t>(both.data())) + 4;
    const auto made =
        ApiBench::decode_answer<wire::CreateTopicsResponse>(ByteView(both).first(first), 5);
    REQUIRE(made.topics.size() == names.size());
    for (const auto& topic : made.topics) {
        CHECK(topic.error_code == wire::ErrorCode::none);
        CHECK(topic.configs.size() > 10);
    }
    CHECK(both.size() > first);

    wire::DeleteTopicsRequest remove;
    std::vector<wire::StringView> gone(names.begin(), names.end());
    remove.topic_names = gone;
    bench.send(id, request_frame(remove, 5));
    bench.settle();
    CHECK(bench.topics.registry.all().size() == names.size() - api::parts_per_slice);
    CHECK(commits_until_answered(bench, id) == 4);
    CHECK(bench.answer<wire::DeleteTopicsResponse>(id, 5).responses.size() == names.size());
    CHECK(bench.topics.registry.all().empty());
}

TEST_CASE("many topics: 10,000 in one request keep others waiting for those of one turn at most") {
    constexpr std::size_t count = 10'000;
    constexpr int seen_per_turn = 256;
    ApiBench bench;
    bench.log.auto_flush = false;
    bench.hold_turns = true;
    std::vector<std::string> names;
    for (std::size_t i = 0; i < count; ++i) names.push_back("turn." + std::to_string(i));
    const session::SessionId id = bench.open();
    const auto& all = bench.topics.registry.all();
    std::size_t before = 0;
    const auto at_most = [&](std::size_t most) {
        return [&bench, &before, &all, most] {
            const std::size_t now = all.size();
            CHECK((now > before ? now - before : before - now) <= most);
            before = now;
        };
    };

    std::vector<wire::CreateTopicsRequest::CreatableTopic> wanted(count);
    for (std::size_t i = 0; i < count; ++i) {
        wanted[i].name = names[i];
        wanted[i].num_partitions = 1;
        wanted[i].replication_factor = 1;
    }
    wanted[7].name = names[9'999];  // twice
    wire::CreateTopicsRequest create;
    create.topics = wanted;
    bench.send(id, request_frame(create, 4));
    CHECK(turns_until_answered(bench, id, at_most(api::parts_per_turn)) >=
          int(count) / api::parts_per_turn);
    CHECK(bench.answer<wire::CreateTopicsResponse>(id, 4).topics.size() == count - 1);
    CHECK(all.size() == count - 2);

    // What only looks is cheaper.
    std::vector<wire::MetadataRequest::MetadataRequestTopic> asked(count);
    for (std::size_t i = 0; i < count; ++i) asked[i].name = names[i];
    for (const bool by_name : {true, false}) {
        wire::MetadataRequest look;
        look.topics = asked;
        if (!by_name) look.topics = nullptr;
        look.allow_auto_topic_creation = false;
        bench.send(id, request_frame(look, 12));
        CHECK(turns_until_answered(bench, id, [] {}) >= int(count) / seen_per_turn);
        const auto told = bench.answer<wire::MetadataResponse>(id, 12);
        REQUIRE(told.topics.size() == (by_name ? count : count - 2));
        std::size_t known = 0;
        for (const auto& topic : told.topics)
            known += topic.error_code == wire::ErrorCode::none && topic.partitions.size() == 1;
        CHECK(known == count - 2);
    }

    std::vector<wire::FetchRequest::FetchPartition> partition(1);
    partition[0].partition_max_bytes = 1 << 20;
    std::vector<wire::FetchRequest::FetchTopic> read(count);
    for (std::size_t i = 0; i < count; ++i) {
        read[i].topic = names[i];
        read[i].partitions = partition;
    }
    wire::FetchRequest fetch;
    fetch.session_epoch = -1;
    fetch.max_bytes = 1 << 20;
    fetch.min_bytes = 1;
    fetch.topics = read;
    bench.send(id, request_frame(fetch, 4));
    CHECK(turns_until_answered(bench, id, [] {}) >= int(count) / seen_per_turn);
    CHECK(bench.answer<wire::FetchResponse>(id, 4).responses.size() == count);

    wire::DeleteTopicsRequest remove;
    std::vector<wire::StringView> gone(names.begin(), names.end());
    gone[11] = names[10];  // twice, and so neither
    remove.topic_names = gone;
    bench.send(id, request_frame(remove, 5));
    CHECK(turns_until_answered(bench, id, at_most(api::parts_per_turn)) >=
          int(count) / api::parts_per_turn);
    CHECK(bench.answer<wire::DeleteTopicsResponse>(id, 5).responses.size() == count - 1);
    CHECK(all.size() == 2);
}

TEST_CASE("many topics: what many of them hold is read in turns, and whoever leaves meanwhile is forgotten") {
    constexpr std::size_t count = 200;
    ApiBench bench;
    std::vector<std::string> names;
    std::vector<wire::FetchRequest::FetchPartition> partition(1);
    partition[0].partition_max_bytes = 1 << 20;
    std::vector<wire::FetchRequest::FetchTopic> read(count);
    for (std::size_t i = 0; i < count; ++i) names.push_back("turn." + std::to_string(i));
    const session::SessionId producer = bench.open();
    for (std::size_t i = 0; i < count; ++i) {
        bench.topic(names[i]);
        bench.send(producer, bench.produce_frame(make_batch({}), -1, 1000, 0, names[i]));
        bench.flush();
        CHECK_FALSE(bench.take(producer).empty());
        read[i].topic = names[i];
        read[i].partitions = partition;
    }
    wire::FetchRequest fetch;
    fetch.session_epoch = -1;
    fetch.max_bytes = 1 << 20;
    fetch.min_bytes = 1;
    fetch.topics = read;
    bench.hold_turns = true;
    const session::SessionId id = bench.open();
    bench.send(id, request_frame(fetch, 4));
    CHECK(turns_until_answered(bench, id, [] {}) >= int(count) / 16);
    const auto told = bench.answer<wire::FetchResponse>(id, 4);
    REQUIRE(told.responses.size() == count);
    for (const auto& topic : told.responses)
        CHECK_FALSE(topic.partitions.front().records.view().empty());

    bench.send(id, request_frame(fetch, 4));
    CHECK(bench.turn());
    bench.sessions.closed(bench.now, id);
    while (bench.turn()) {
    }
    CHECK(bench.api.parked().fetches == 0);
    CHECK(bench.pool.counters().response_bytes == 0);
}

TEST_CASE("many topics: who leaves while his 10,000 are looked for is forgotten") {
    ApiBench bench;
    bench.hold_turns = true;
    bench.topic("t");
    std::vector<wire::FetchRequest::FetchPartition> partition(1);
    std::vector<wire::FetchRequest::FetchTopic> read(10'000);
    for (auto& topic : read) {
        topic.topic = "t";
        topic.partitions = partition;
    }
    wire::FetchRequest fetch;
    fetch.session_epoch = -1;
    fetch.max_wait_ms = 60'000;
    fetch.max_bytes = 1 << 20;
    fetch.min_bytes = 1;
    fetch.topics = read;
    for (const int turns : {0, 5, 42}) {
        const session::SessionId id = bench.open();
        bench.send(id, request_frame(fetch, 4));
        for (int i = 0; i < turns; ++i) CHECK(bench.turn());
        bench.sessions.closed(bench.now, id);
        while (bench.turn()) {
        }
        CHECK(bench.api.parked().fetches == 0);
        CHECK(bench.pool.counters().request_bytes == 0);
    }
}

TEST_CASE("many topics: others' records are no reason to look at 10,000 again") {
    ApiBench bench;
    bench.hold_turns = true;
    bench.topic("t");
    bench.topic("other");
    std::vector<wire::FetchRequest::FetchPartition> partition(1);
    std::vector<wire::FetchRequest::FetchTopic> read(10'000);
    for (auto& topic : read) {
        topic.topic = "other";
        topic.partitions = partition;
    }
    wire::FetchRequest fetch;
    fetch.session_epoch = -1;
    fetch.max_wait_ms = 60'000;
    fetch.max_bytes = 1 << 20;
    fetch.min_bytes = 1;
    fetch.topics = read;
    const session::SessionId id = bench.open(), producer = bench.open();
    bench.send(id, request_frame(fetch, 4));
    int turns = 0;
    for (; turns < 200 && bench.turn(); ++turns) {
        bench.send(producer, bench.produce_frame(make_batch({}), -1));
        bench.flush();
        CHECK_FALSE(bench.take(producer).empty());
    }
    CHECK(turns < 60);  // 40 to find them, and ten to look
    CHECK(bench.api.parked().fetches == 1);
}

TEST_CASE("many topics: records that come while 10,000 are looked at wake who waits for them") {
    ApiBench bench;
    bench.hold_turns = true;
    bench.topic("t");
    bench.topic("other");
    std::vector<wire::FetchRequest::FetchPartition> partition(1);
    partition[0].partition_max_bytes = 1 << 20;
    std::vector<wire::FetchRequest::FetchTopic> read(10'000);
    for (auto& topic : read) {
        topic.topic = "other";
        topic.partitions = partition;
    }
    read.front().topic = "t";  // the first that is looked at
    wire::FetchRequest fetch;
    fetch.session_epoch = -1;
    fetch.max_wait_ms = 60'000;
    fetch.max_bytes = 1 << 20;
    fetch.min_bytes = 1;
    fetch.topics = read;
    const session::SessionId id = bench.open(), producer = bench.open();
    bench.send(id, request_frame(fetch, 4));
    for (int i = 0; i < 42; ++i) CHECK(bench.turn());  // 40 to find them, and two to look
    CHECK(bench.take(id).empty());
    bench.send(producer, bench.produce_frame(make_batch({}), -1));
    bench.flush();
    CHECK_FALSE(bench.take(producer).empty());
    while (bench.turn()) {
    }
    CHECK_FALSE(bench.take(id).empty());
}
