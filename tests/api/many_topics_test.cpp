// 10,000 topics on one broker: made by clients, told to clients, found again at the next start.
#include <malloc.h>

#include <chrono>

#include "sdk/wire/api/03_metadata.hpp"
#include "tests/api/bench.hpp"

using namespace leat;
using namespace leat::test;

namespace {

std::size_t heap_bytes() { return mallinfo2().uordblks; }

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
        const auto response = bench.call<wire::MetadataResponse>(request, 12);
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
