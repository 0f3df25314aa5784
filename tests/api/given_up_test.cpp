// Requests that run in turns or wait for room in the log, while the log gives up what they wrote:
// they are answered, and nothing that was taken back is said to hold.
#include "sdk/wire/api/08_offset_commit.hpp"
#include "sdk/wire/api/19_create_topics.hpp"
#include "sdk/wire/api/42_delete_groups.hpp"
#include "tests/api/bench.hpp"

namespace leat::test {
namespace {

using wire::ErrorCode;

/// A log whose commits come when the test says so, and turns, too.
struct HeldBench : ApiBench {
    HeldBench() {
        topic("a", 700);
        log.auto_flush = false;
        hold_turns = true;
    }
    void give_up_for_good() {
        log.give_up();
        log.is_read_only = true;
        settle_once();
    }
    void run_turns() {
        for (int i = 0; i < 1'000 && turn(); ++i) {
        }
    }
    void run_all() {
        for (int i = 0; i < 100; ++i)
            if (!turn()) flush();
    }
    bool has_group(const std::string& name) const { return groups.fetch(name, "a", 0).offset >= 0; }
};

/// Positions of so many partitions of "a".
Bytes commit_frame(const std::string& group, std::int32_t first, std::size_t count,
                   std::int64_t offset) {
    using Request = wire::OffsetCommitRequest;
    std::vector<Request::OffsetCommitRequestPartition> places(count);
    for (auto& one : places) {
        one.partition_index = first++;
        one.committed_offset = offset;
    }
    Request::OffsetCommitRequestTopic asked;
    asked.name = "a";
    asked.partitions = places;
    Request request;
    request.group_id = group;
    request.topics = std::span(&asked, 1);
    return request_frame(request, 8);
}

template <class List>
std::size_t accepted(const List& list) {
    std::size_t count = 0;
    for (const auto& one : list) count += one.error_code == ErrorCode::none;
    return count;
}

}  // namespace

TEST_CASE("given up: a commit that a dead log takes back between two turns is answered") {
    HeldBench bench;
    const auto id = bench.open();
    bench.send(id, commit_frame("g", 0, 700, 42));
    bench.give_up_for_good();
    bench.run_turns();
    const auto told = bench.answer<wire::OffsetCommitResponse>(id, 8);
    const auto topic = told.topics.front();
    CHECK(topic.partitions.size() == 700);
    CHECK(accepted(topic.partitions) == 0);
    CHECK(bench.pool.counters().request_bytes == 0);
}

TEST_CASE("given up: groups that are there again after a pause of the log were not deleted") {
    constexpr std::size_t count = 20;
    HeldBench bench;
    const auto id = bench.open();
    std::vector<std::string> names;
    for (std::size_t i = 0; i < count; ++i) {
        names.push_back("g" + std::to_string(i));
        bench.send(id, commit_frame(names[i], 0, 1, 42));
        bench.flush();
        (void)bench.take(id);
    }
    const std::vector<wire::StringView> views(names.begin(), names.end());
    wire::DeleteGroupsRequest request;
    request.groups_names = views;
    bench.log.group_erases_max = count / 2;
    bench.send(id, request_frame(request, 2));
    bench.log.group_erases_max = 1'000;
    bench.log.give_up();
    bench.run_all();
    const auto told = bench.answer<wire::DeleteGroupsResponse>(id, 2);
    REQUIRE(told.results.size() == count);
    CHECK(accepted(told.results) == 0);
    CHECK(bench.has_group(names.front()));
    CHECK_FALSE(bench.has_group(names.back()));
}

TEST_CASE("a pause of the log: who began to delete a group is told so, who came later is not") {
    HeldBench bench;
    const auto first = bench.open(), second = bench.open();
    bench.send(first, commit_frame("g", 0, 700, 42));
    bench.run_all();
    (void)bench.take(first);
    const wire::StringView name("g");
    wire::DeleteGroupsRequest request;
    request.groups_names = std::span(&name, 1);
    bench.log.group_erases_max = 10;
    bench.send(first, request_frame(request, 2));
    bench.log.group_erases_max = 1'000;
    bench.send(second, request_frame(request, 2));
    bench.run_all();
    CHECK(bench.answer<wire::DeleteGroupsResponse>(first, 2).results.front().error_code ==
          ErrorCode::none);
    CHECK(bench.answer<wire::DeleteGroupsResponse>(second, 2).results.front().error_code ==
          ErrorCode::group_id_not_found);
    CHECK_FALSE(bench.has_group("g"));
}

TEST_CASE("given up: topics that a dead log takes back between two turns were not made") {
    constexpr std::size_t count = 20;
    HeldBench bench;
    std::vector<std::string> names;
    for (std::size_t i = 0; i < count; ++i) names.push_back("t" + std::to_string(i));
    std::vector<wire::CreateTopicsRequest::CreatableTopic> topics(count);
    for (std::size_t i = 0; i < count; ++i) {
        topics[i].name = names[i];
        topics[i].num_partitions = topics[i].replication_factor = 1;
    }
    wire::CreateTopicsRequest request;
    request.topics = topics;
    request.timeout_ms = 30'000;
    const auto id = bench.open();
    bench.send(id, request_frame(request, 7));
    const auto made = [&](std::size_t i) {
        return bench.topics.registry.find(names[i]) != nullptr;
    };
    while (!made(0)) REQUIRE(bench.turn());
    REQUIRE_FALSE(made(count - 1));
    bench.give_up_for_good();
    bench.run_turns();
    CHECK(accepted(bench.answer<wire::CreateTopicsResponse>(id, 7).topics) == 0);
    CHECK_FALSE(made(0));
}

TEST_CASE("offset commit: one that waits for the log is not overtaken by the next of its client") {
    HeldBench bench;
    const auto id = bench.open();
    bench.log.group_facts_max = 0;
    bench.send(id, commit_frame("g", 0, 700, 42));
    bench.send(id, commit_frame("g", 600, 100, 43));
    bench.log.group_facts_max = 1'000'000;
    bench.log.flush();  // what others wrote: there is room
    bench.run_all();
    CHECK_FALSE(bench.take(id).empty());
    CHECK(bench.groups.fetch("g", "a", 599).offset == 42);
    CHECK(bench.groups.fetch("g", "a", 600).offset == 43);
    CHECK(bench.groups.fetch("g", "a", 699).offset == 43);
}

}  // namespace leat::test
