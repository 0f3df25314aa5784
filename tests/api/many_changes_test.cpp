// Settings, partitions, log starts and quotas of thousands in one request: in turns, so that others
// are served meanwhile.
#include "broker/api/slices.hpp"
#include "sdk/wire/api/21_delete_records.hpp"
#include "sdk/wire/api/32_describe_configs.hpp"
#include "sdk/wire/api/33_alter_configs.hpp"
#include "sdk/wire/api/37_create_partitions.hpp"
#include "sdk/wire/api/44_incremental_alter_configs.hpp"
#include "sdk/wire/api/49_alter_client_quotas.hpp"
#include "tests/api/turns.hpp"

using namespace leat;
using namespace leat::test;
using wire::ErrorCode;

namespace {

/// A broker with so many topics of one partition, which takes turns and commits as it is told.
struct Many {
    explicit Many(std::size_t count) : resources(count), raised(count), deleted(count) {
        bench.log.streams_max = static_cast<std::uint32_t>(3 * count);
        for (std::size_t i = 0; i < count; ++i) {
            names.push_back("many." + std::to_string(i));
            REQUIRE(bench.topics.registry.create(bench.now, names[i], 1,
                                                 bench.topics.registry.new_config()));
        }
        bench.flush();
        bench.log.auto_flush = false;
        bench.hold_turns = true;
        retention.name = "retention.ms";
        retention.value = "5000";
        for (std::size_t i = 0; i < count; ++i) {
            resources[i].resource_type = 2;
            resources[i].resource_name = names[i];
            resources[i].configs = std::span(&retention, 1);
            raised[i].name = names[i];
            raised[i].count = 2;
            raised[i].assignments = nullptr;
            deleted[i].name = names[i];
            deleted[i].partitions = std::span(&start, 1);
        }
    }
    wire::IncrementalAlterConfigsRequest alter() const {
        wire::IncrementalAlterConfigsRequest request;
        request.resources = resources;
        return request;
    }
    wire::CreatePartitionsRequest raise() const {
        wire::CreatePartitionsRequest request;
        request.topics = raised;
        return request;
    }
    wire::DeleteRecordsRequest erase() const {
        wire::DeleteRecordsRequest request;
        request.topics = deleted;
        return request;
    }
    std::size_t altered() const {
        std::size_t sum = 0;
        for (const auto& [name, topic] : bench.topics.registry.all())
            sum += topic->config.is_override("retention.ms");
        return sum;
    }
    bool remove(std::size_t i) {
        return bool(
            bench.topics.registry.remove(bench.now, *bench.topics.registry.find(names[i])));
    }

    ApiBench bench;
    std::vector<std::string> names;
    wire::IncrementalAlterConfigsRequest::AlterableConfig retention;
    wire::DeleteRecordsRequest::DeleteRecordsPartition start;
    std::vector<wire::IncrementalAlterConfigsRequest::AlterConfigsResource> resources;
    std::vector<wire::CreatePartitionsRequest::CreatePartitionsTopic> raised;
    std::vector<wire::DeleteRecordsRequest::DeleteRecordsTopic> deleted;
};

wire::DescribeConfigsRequest describe(
    const std::vector<std::string>& names,
    std::vector<wire::DescribeConfigsRequest::DescribeConfigsResource>& resources) {
    resources.resize(names.size());
    for (std::size_t i = 0; i < names.size(); ++i) {
        resources[i].resource_type = 2;
        resources[i].resource_name = names[i];
        resources[i].configuration_keys = nullptr;
    }
    wire::DescribeConfigsRequest request;
    request.resources = resources;
    request.include_synonyms = request.include_documentation = true;
    return request;
}

Bytes encoded(const wire::DescribeConfigsResponse& response) {
    Bytes bytes(wire::encoded_size(response, 4));
    REQUIRE(wire::encode(response, 4, bytes));
    return bytes;
}

template <class Outcomes>
std::size_t accepted(const Outcomes& outcomes) {
    std::size_t sum = 0;
    for (const auto& one : outcomes) sum += one.error_code == ErrorCode::none;
    return sum;
}

}  // namespace

TEST_CASE("many changes: 10,000 in one request keep others waiting for those of one turn at most") {
    constexpr std::size_t count = 10'000;
    constexpr int turns_min = int(count) / api::parts_per_turn;
    Many many(count);
    ApiBench& bench = many.bench;
    const session::SessionId id = bench.open();

    many.resources[7].resource_name = many.names[9'999];  // twice, and so neither
    std::size_t before = 0;
    bench.send(id, request_frame(many.alter(), 1));
    CHECK(turns_until_answered(bench, id, [&] {
              const std::size_t now = many.altered();
              CHECK(now - before <= api::parts_per_turn);
              before = now;
          }) >= turns_min);
    const auto altered = bench.answer<wire::IncrementalAlterConfigsResponse>(id, 1);
    CHECK(altered.responses.size() == count - 1);
    CHECK(accepted(altered.responses) == count - 2);
    CHECK(many.altered() == count - 2);

    std::vector<wire::DescribeConfigsRequest::DescribeConfigsResource> asked;
    bench.send(id, request_frame(describe(many.names, asked), 4));
    std::size_t counted = 0;
    CHECK(turns_until_answered(bench, id, [&] {
              const std::size_t now = bench.pool.counters().response_bytes;
              counted = std::max(counted, now);
              // Larger than the pool, it stands before nobody who wants less.
              for (const std::size_t bytes : {20 * KiB, 1 * MiB}) {
                  if (now > 3 * MiB) CHECK(bench.pool.ask(session::PoolClass::response, bytes, 1));
                  bench.pool.forget(session::PoolClass::response, 1);
              }
          }) >= turns_min);
    CHECK(counted > 8 * MiB);  // what is made is counted, not only what is sent
    const auto described = bench.answer<wire::DescribeConfigsResponse>(id, 4);
    REQUIRE(described.results.size() == count);
    std::size_t at = 0;
    for (const auto& result : described.results) {
        if (at % 1'111 == 7) {  // the same as if it were asked for alone
            const std::vector<std::string> name{many.names[at]};
            const auto alone = describe(name, asked);
            const session::SessionId other = bench.open();
            bench.send(other, request_frame(alone, 4));
            const Bytes frame = bench.take(other);
            wire::DescribeConfigsResponse one;
            one.results = std::span(&result, 1);
            CHECK(encoded(one) ==
                  encoded(ApiBench::decode_answer<wire::DescribeConfigsResponse>(frame, 4)));
        }
        ++at;
    }

    bench.send(id, request_frame(many.raise(), 3));
    CHECK(turns_until_answered(bench, id, [] {}) >= turns_min);
    CHECK(accepted(bench.answer<wire::CreatePartitionsResponse>(id, 3).results) == count);

    bench.send(id, request_frame(many.erase(), 2));
    CHECK(turns_until_answered(bench, id, [] {}) >= turns_min);
    CHECK(bench.answer<wire::DeleteRecordsResponse>(id, 2).topics.size() == count);

    using Quotas = wire::AlterClientQuotasRequest;
    Quotas::EntryData::OpData rate;
    rate.key = "producer_byte_rate";
    rate.value = 1e6;
    std::vector<Quotas::EntryData::EntityData> whose(1'000);
    std::vector<Quotas::EntryData> entries(whose.size());
    for (std::size_t i = 0; i < entries.size(); ++i) {
        whose[i] = {"client-id", many.names[i]};
        entries[i].entity = std::span(&whose[i], 1);
        entries[i].ops = std::span(&rate, 1);
    }
    whose[3].entity_name = many.names[999];  // twice, and so neither
    Quotas quotas;
    quotas.entries = entries;
    bench.send(id, request_frame(quotas, 1));
    CHECK(turns_until_answered(bench, id, [] {}) >= 1'000 / api::parts_per_turn);
    CHECK(accepted(bench.answer<wire::AlterClientQuotasResponse>(id, 1).entries) == 998);
    CHECK(bench.quotas.all().size() == 998);
    CHECK(bench.pool.counters().response_bytes == 0);
}

TEST_CASE("many changes: what the log takes only after its next commit waits for that") {
    Many many(1'000);
    ApiBench& bench = many.bench;
    bench.log.group_facts_max = 100;
    const session::SessionId id = bench.open();
    bench.send(id, request_frame(many.alter(), 1));
    (void)turns_until_answered(bench, id, [] {});
    CHECK(accepted(bench.answer<wire::IncrementalAlterConfigsResponse>(id, 1).responses) == 1'000);
    bench.send(id, request_frame(many.raise(), 3));
    (void)turns_until_answered(bench, id, [] {});
    CHECK(accepted(bench.answer<wire::CreatePartitionsResponse>(id, 3).results) == 1'000);
}

TEST_CASE("many changes: a topic that is deleted between two turns is unknown from then on") {
    Many many(1'000);
    ApiBench& bench = many.bench;
    const session::SessionId id = bench.open();
    std::size_t last = 999;
    const auto start = [&](const Bytes& frame) {
        bench.send(id, frame);
        for (int i = 0; i < 10; ++i) CHECK(bench.turn());
        CHECK(many.remove(last));
        (void)turns_until_answered(bench, id, [] {});
    };
    start(request_frame(many.alter(), 1));
    const auto altered = bench.answer<wire::IncrementalAlterConfigsResponse>(id, 1);
    CHECK(accepted(altered.responses) == 999);
    for (const auto& one : altered.responses)
        CHECK((one.error_code == ErrorCode::none) != (one.resource_name == many.names[last]));

    last = 998;
    std::vector<wire::DescribeConfigsRequest::DescribeConfigsResource> asked;
    start(request_frame(describe(many.names, asked), 4));
    CHECK(accepted(bench.answer<wire::DescribeConfigsResponse>(id, 4).results) == 998);

    last = 997;
    start(request_frame(many.raise(), 3));
    CHECK(accepted(bench.answer<wire::CreatePartitionsResponse>(id, 3).results) == 997);

    last = 996;
    start(request_frame(many.erase(), 2));
    std::size_t unknown = 0;
    for (const auto& topic : bench.answer<wire::DeleteRecordsResponse>(id, 2).topics)
        unknown +=
            topic.partitions.front().error_code == ErrorCode::unknown_topic_or_partition;
    CHECK(unknown == 4);
}

TEST_CASE("many changes: who leaves has asked for changes, which are made, and reads no more") {
    Many many(1'000);
    ApiBench& bench = many.bench;
    const session::SessionId changes = bench.open(), reads = bench.open();
    std::vector<wire::DescribeConfigsRequest::DescribeConfigsResource> asked;
    bench.send(changes, request_frame(many.alter(), 1));
    bench.send(reads, request_frame(describe(many.names, asked), 4));
    for (int i = 0; i < 20; ++i) CHECK(bench.turn());
    CHECK(bench.pool.counters().response_bytes > 0);
    bench.sessions.closed(bench.now, changes);
    bench.sessions.closed(bench.now, reads);
    CHECK(bench.turn());
    CHECK(bench.turn());
    CHECK(bench.pool.counters().response_bytes == 0);
    for (int i = 0; i < 1'000 && many.altered() < 1'000; ++i)
        if (!bench.turn()) bench.flush();
    CHECK(many.altered() == 1'000);
    bench.flush();
    CHECK(bench.pool.counters().request_bytes == 0);
}

TEST_CASE("many changes: at a stop what is read is answered, and what is changed when it is kept") {
    Many many(1'000);
    ApiBench& bench = many.bench;
    const session::SessionId changes = bench.open(), reads = bench.open();
    std::vector<wire::DescribeConfigsRequest::DescribeConfigsResource> asked;
    bench.send(changes, request_frame(many.alter(), 1));
    bench.send(reads, request_frame(describe(many.names, asked), 4));
    for (int i = 0; i < 6; ++i) CHECK(bench.turn());
    bench.api.stop(bench.now, bench.wall);
    bench.settle_once();
    CHECK(bench.answer<wire::DescribeConfigsResponse>(reads, 4).results.size() == 1'000);
    CHECK(bench.take(changes).empty());
    CHECK(many.altered() == api::parts_per_slice);
    for (int i = 0; i < 1'000 && bench.sessions.poll_write(changes).empty(); ++i)
        if (!bench.turn()) bench.flush();
    CHECK(accepted(bench.answer<wire::IncrementalAlterConfigsResponse>(changes, 1).responses) ==
          1'000);
}

TEST_CASE("many changes: with a commit that is given up on the way none is said to hold") {
    Many many(1'000);
    ApiBench& bench = many.bench;
    const session::SessionId id = bench.open();
    bench.send(id, request_frame(many.alter(), 1));
    while (bench.turn()) {
    }
    bench.log.give_up();
    (void)turns_until_answered(bench, id, [] {});
    const auto told = bench.answer<wire::IncrementalAlterConfigsResponse>(id, 1);
    CHECK(told.responses.size() == 1'000);
    CHECK(accepted(told.responses) == 0);
}

// Found by reading: the answer waited for the commit that was given up, which never comes.
TEST_CASE("many changes: a log that gives a commit up and takes no more is no reason to wait") {
    Many many(1'000);
    ApiBench& bench = many.bench;
    const session::SessionId id = bench.open();
    bench.send(id, request_frame(many.alter(), 1));
    while (bench.turn()) {
    }
    bench.log.give_up();
    bench.log.is_read_only = true;
    (void)turns_until_answered(bench, id, [] {});
    const auto told = bench.answer<wire::IncrementalAlterConfigsResponse>(id, 1);
    CHECK(told.responses.size() == 1'000);
    CHECK(accepted(told.responses) == 0);
}
