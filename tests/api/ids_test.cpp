// Topics by id (KIP-516): whoever asks by id never gets another topic of the same name.
#include "sdk/wire/api/08_offset_commit.hpp"
#include "sdk/wire/api/09_offset_fetch.hpp"
#include "tests/api/fetch_bench.hpp"

using namespace leat;
using namespace leat::test;

namespace {

struct IdBench : FetchBench {
    explicit IdBench(std::string host = "h")
        : FetchBench(2, settings_of(std::move(host))), id{topics.registry.find("t")->id} {}
    static api::Settings settings_of(std::string host) {
        api::Settings settings = default_settings();
        settings.host = std::move(host);
        return settings;
    }

    /// "t" goes and comes again; the old id.
    wire::Uuid make_again() {
        const wire::Uuid old = id;
        REQUIRE(topics.registry.remove(now, *topics.registry.find("t")));
        flush();
        id = {topic("t", 2)->id};
        CHECK(id.bytes != old.bytes);
        return old;
    }
    Bytes produce_by_id(const wire::Uuid& to, ByteView batch, std::int32_t partition = 0) {
        wire::ProduceRequest::PartitionProduceData data;
        data.index = partition;
        data.records = batch;
        wire::ProduceRequest::TopicProduceData one;
        one.topic_id = to;
        one.partition_data = std::span(&data, 1);
        wire::ProduceRequest request;
        request.acks = -1;
        request.timeout_ms = 1000;
        request.topic_data = std::span(&one, 1);
        return request_frame(request, 13);
    }
    ErrorCode produce(const wire::Uuid& to, std::int32_t partition = 0,
                      std::int16_t attributes = 0) {
        const auto session = open();
        send(session, produce_by_id(to, make_batch({.attributes = attributes}), partition));
        flush();
        const auto response = answer<wire::ProduceResponse>(session, 13);
        const auto told = response.responses.front();
        CHECK(told.topic_id.bytes == to.bytes);
        const auto partition_answer = told.partition_responses.front();
        CHECK(partition_answer.index == partition);
        return partition_answer.error_code;
    }
    struct Fetched {
        ErrorCode error;
        std::size_t bytes;
        wire::FetchResponse::LeaderIdAndEpoch leader;
        std::vector<std::string> endpoints = {};
    };
    /// `others` of the same request come first: the pieces around the records have to fit.
    Fetched fetch_by_id(const wire::Uuid& from, std::int16_t version, std::int32_t epoch = -1,
                        std::int32_t partition = 0, std::size_t others = 0) {
        wire::FetchRequest::FetchPartition one;
        one.partition = partition;
        one.current_leader_epoch = epoch;
        one.partition_max_bytes = 1 << 20;
        std::vector<wire::FetchRequest::FetchTopic> asked(others + 1);
        for (auto& each : asked) {
            each.topic_id = from;
            each.partitions = std::span(&one, 1);
        }
        wire::FetchRequest request;
        request.max_wait_ms = 0;
        request.min_bytes = 1;
        request.topics = asked;
        const auto response = call<wire::FetchResponse>(request, version);
        CHECK(response.responses.size() == others + 1);
        Fetched last{};
        for (const auto& told : response.responses) {
            CHECK(told.topic_id.bytes == from.bytes);
            const auto got = told.partitions.front();
            last = {got.error_code, got.records.view().size(), got.current_leader};
        }
        for (const auto& node : response.node_endpoints)
            last.endpoints.push_back(std::to_string(node.node_id) + "@" +
                                     std::string(node.host.view()) + ":" +
                                     std::to_string(node.port));
        return last;
    }

    wire::Uuid id;
};

}  // namespace

TEST_CASE("ids: produce 13 and fetch 13 to 18 by id") {
    IdBench bench;
    CHECK(bench.produce(bench.id) == ErrorCode::none);
    CHECK(bench.produce(bench.id, 2) == ErrorCode::unknown_topic_or_partition);
    CHECK(bench.produce({}) == ErrorCode::unknown_topic_id);
    for (std::int16_t version = 13; version <= 18; ++version) {
        CAPTURE(version);
        CHECK(bench.fetch_by_id(bench.id, version).error == ErrorCode::none);
        CHECK(bench.fetch_by_id(bench.id, version).bytes == make_batch({}).size());
        CHECK(bench.fetch_by_id(bench.id, version, -1, 0, 300).bytes == make_batch({}).size());
        CHECK(bench.fetch_by_id(bench.id, version, -1, 2).error ==
              ErrorCode::unknown_topic_or_partition);
        CHECK(bench.fetch_by_id({}, version).error == ErrorCode::unknown_topic_id);
    }
}

TEST_CASE("ids: from fetch 16 on a fenced reader is told the leader") {
    IdBench bench;
    bench.log.leader_epoch = 4;
    for (std::int16_t version = 13; version <= 18; ++version) {
        const auto got = bench.fetch_by_id(bench.id, version, 3);
        CHECK(got.error == ErrorCode::fenced_leader_epoch);
        CHECK(got.leader.leader_epoch == (version >= 16 ? 4 : -1));
        CHECK(got.leader.leader_id == (version >= 16 ? 0 : -1));
        CHECK(got.endpoints ==
              (version >= 16 ? std::vector<std::string>{"0@h:9092"} : std::vector<std::string>{}));
        CHECK(bench.fetch_by_id(bench.id, version).endpoints.empty());
    }
}

TEST_CASE("ids: a leader's endpoint fits behind records, however long its host is") {
    IdBench bench(std::string(250, 'h'));
    bench.log.leader_epoch = 4;
    CHECK(bench.produce(bench.id) == ErrorCode::none);
    std::array<wire::FetchRequest::FetchPartition, 2> asked;
    asked[0].partition = 1;
    asked[0].current_leader_epoch = 3;
    asked[1].partition_max_bytes = 1 << 20;
    for (int turn = 0; turn < 2; ++turn, std::swap(asked[0], asked[1])) {
        wire::FetchRequest::FetchTopic topic;
        topic.topic_id = bench.id;
        topic.partitions = asked;
        wire::FetchRequest request;
        request.topics = std::span(&topic, 1);
        const auto response = bench.call<wire::FetchResponse>(request, 17);
        CHECK(response.node_endpoints.front().host.view().size() == 250);
        std::size_t bytes = 0;
        for (const auto& told : response.responses)
            for (const auto& one : told.partitions) bytes += one.records.view().size();
        CHECK(bytes == make_batch({}).size());
    }
}

TEST_CASE("ids: nor does it miss behind thousands of partitions that are told in turns") {
    IdBench bench(std::string(250, 'h'));
    bench.log.leader_epoch = 4;
    wire::FetchRequest::FetchPartition fenced;
    fenced.current_leader_epoch = 3;
    for (const std::size_t count : {1'025, 1'100, 3'000}) {  // of one topic: one piece, just filled
        const std::vector<wire::FetchRequest::FetchPartition> asked(count, fenced);
        wire::FetchRequest::FetchTopic topic;
        topic.topic_id = bench.id;
        topic.partitions = asked;
        wire::FetchRequest request;
        request.topics = std::span(&topic, 1);
        for (std::int16_t version = 15; version <= 18; ++version) {
            INFO("count=", count, " version=", version);
            const auto response = bench.call<wire::FetchResponse>(request, version);
            REQUIRE(response.responses.size() == 1);
            CHECK(response.responses.front().partitions.size() == count);
            REQUIRE(response.node_endpoints.size() == (version >= 16 ? 1 : 0));
            if (version >= 16) CHECK(response.node_endpoints.front().host.view().size() == 250);
        }
    }
    for (const std::size_t others : {1'024, 3'000}) {
        const auto got = bench.fetch_by_id(bench.id, 17, 3, 0, others);
        CHECK(got.error == ErrorCode::fenced_leader_epoch);
        CHECK(got.endpoints.size() == 1);
    }
}

TEST_CASE("ids: a topic that was made again is another one") {
    IdBench bench;
    CHECK(bench.produce(bench.id) == ErrorCode::none);
    const wire::Uuid old = bench.make_again();
    CHECK(bench.produce(old) == ErrorCode::unknown_topic_id);
    CHECK(bench.fetch_by_id(old, 17).error == ErrorCode::unknown_topic_id);
    CHECK(bench.fetch_by_id(bench.id, 17).bytes == 0);
    CHECK(bench.produce(bench.id) == ErrorCode::none);
    CHECK(bench.fetch_by_id(bench.id, 17).bytes == make_batch({}).size());
}

TEST_CASE("ids: a compressed batch that is judged elsewhere does not end up in the new topic") {
    IdBench bench;
    bench.hold_work = true;
    const wire::Uuid old = bench.id;
    const auto session = bench.open();
    bench.send(session, bench.produce_by_id(old, make_batch({.attributes = 1})));
    REQUIRE(bench.works.size() == 1);
    bench.make_again();
    bench.finish_work(0);
    bench.flush();
    const auto response = bench.answer<wire::ProduceResponse>(session, 13);
    const auto topic = response.responses.front();
    CHECK(topic.partition_responses.front().error_code == ErrorCode::unknown_topic_id);
    CHECK(bench.log.stream(bench.topics.registry.find("t")->partitions[0])->log_end == 0);
}

TEST_CASE("ids: offsets are committed and fetched by id from 10 on") {
    IdBench bench;
    const wire::Uuid nobody{{1, 2, 3}};
    const auto commit = [&](std::int64_t offset) {
        wire::OffsetCommitRequest::OffsetCommitRequestPartition one;
        one.committed_offset = offset;
        one.committed_leader_epoch = 5;
        wire::OffsetCommitRequest::OffsetCommitRequestTopic topics[3];
        topics[0].topic_id = nobody;
        topics[1].topic_id = bench.id;
        topics[2].topic_id = nobody;
        for (auto& topic : topics) topic.partitions = std::span(&one, 1);
        wire::OffsetCommitRequest request;
        request.group_id = "g";
        request.topics = topics;
        const auto response = bench.call<wire::OffsetCommitResponse>(request, 10);
        std::vector<ErrorCode> errors;
        for (const auto& topic : response.topics) {
            CHECK(topic.topic_id.bytes == (errors.size() == 1 ? bench.id : nobody).bytes);
            errors.push_back(topic.partitions.front().error_code);
        }
        return errors;
    };
    struct One {
        wire::Uuid id;
        ErrorCode error;
        std::int64_t offset;
        std::int32_t epoch;
    };
    const auto fetch = [&](const wire::Uuid* asked) {
        const std::int32_t partition = 0;
        wire::OffsetFetchRequest::OffsetFetchRequestTopics topic;
        wire::OffsetFetchRequest::OffsetFetchRequestGroup group;
        group.group_id = "g";
        group.topics = nullptr;
        if (asked != nullptr) {
            topic.topic_id = *asked;
            topic.partition_indexes = std::span(&partition, 1);
            group.topics = std::span(&topic, 1);
        }
        wire::OffsetFetchRequest request;
        request.groups = std::span(&group, 1);
        const auto response = bench.call<wire::OffsetFetchResponse>(request, 10);
        std::vector<One> all;
        const auto answered = response.groups.front();
        CHECK(answered.error_code == ErrorCode::none);
        for (const auto& told : answered.topics) {
            const auto got = told.partitions.front();
            all.push_back(
                {told.topic_id, got.error_code, got.committed_offset, got.committed_leader_epoch});
        }
        return all;
    };
    CHECK(commit(7) == std::vector<ErrorCode>{ErrorCode::unknown_topic_id, ErrorCode::none,
                                              ErrorCode::unknown_topic_id});
    for (const wire::Uuid* asked :
         {static_cast<const wire::Uuid*>(&bench.id), static_cast<const wire::Uuid*>(nullptr)}) {
        const auto got = fetch(asked);
        REQUIRE(got.size() == 1);
        CHECK(got[0].id.bytes == bench.id.bytes);
        CHECK(got[0].error == ErrorCode::none);
        CHECK(got[0].offset == 7);
        CHECK(got[0].epoch == 5);
    }
    const auto unknown = fetch(&nobody);
    REQUIRE(unknown.size() == 1);
    CHECK(unknown[0].id.bytes == nobody.bytes);
    CHECK(unknown[0].error == ErrorCode::unknown_topic_id);
    CHECK(unknown[0].offset == -1);
}
