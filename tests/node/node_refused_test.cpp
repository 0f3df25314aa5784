// The broker where the device refuses reads of one place: who wants it is told to come again, and
// nobody else notices.
#include "broker/log/refusals.hpp"
#include "tests/log/poor_device.hpp"
#include "tests/node/node_bench.hpp"

using namespace leat;
using namespace leat::test;

namespace {

constexpr std::int64_t first_time = 1'890'000'000'000;  // of "bad"; "good" has the same
constexpr std::int64_t batches = 40;
constexpr std::size_t value_bytes = 3'000;

struct Answer {
    ErrorCode error;
    std::vector<std::int64_t> offsets;  ///< base offsets
    std::int64_t high_watermark;
};

/// Two topics of 40 batches, each more than a segment, after a start: nothing of them is in memory.
struct RefusingBench : NodeBench {
    std::optional<log::test::Poor> poor;

    RefusingBench() {
        for (const char* name : {"bad", "good"}) {
            create(name);
            settle();
            for (int i = 0; i < batches; ++i) produce(name, i);
        }
        kill();
        poor.emplace(*storage_);
        node = node::make_node(config_, {*poor, entropy_});
        REQUIRE(node->start(now, wall));
        settle();
    }
    ~RefusingBench() { node.reset(); }

    void produce(const char* name, int number) {
        const auto batch = make_batch({.timestamp = first_time + number,
                                       .value_bytes = value_bytes,
                                       .key = name});
        wire::ProduceRequest::PartitionProduceData data;
        data.records = batch;
        wire::ProduceRequest::TopicProduceData topic;
        topic.name = name;
        topic.partition_data = std::span(&data, 1);
        wire::ProduceRequest request;
        request.acks = -1;
        request.timeout_ms = 30'000;
        request.topic_data = std::span(&topic, 1);
        const auto response = call<wire::ProduceResponse>(request, 9);
        REQUIRE(response.responses.front().partition_responses.front().error_code ==
                ErrorCode::none);
    }
    /// The device does not give where the records of "bad" begin, up to those of "good".
    void refuse(std::size_t reads) {
        const auto place_of = [&](const char* name) {
            const auto batch = make_batch({.timestamp = first_time,
                                           .value_bytes = value_bytes,
                                           .key = name});
            const ByteView records = ByteView(batch).subspan(21, 140);
            std::vector<std::uint8_t> all(storage_->image().size());
            storage_->image().read(0, all);
            const auto at = std::search(all.begin(), all.end(), records.begin(), records.end());
            REQUIRE(at != all.end());
            return static_cast<std::uint64_t>(at - all.begin());
        };
        poor->away_from = place_of("bad");
        poor->away_to = place_of("good") / 4096 * 4096;
        REQUIRE(poor->away_to > poor->away_from + batches * value_bytes);
        poor->away_reads = reads;
    }
    /// The device gives all again, and the longest is over that a place waits to be asked for.
    void mend() {
        poor->away_reads = 0;
        now += log::refused_wait_max;
        wall += log::refused_wait_max;
        settle();
    }
    std::vector<Answer> fetch(std::int32_t wait_ms = 0) {
        wire::FetchRequest::FetchPartition partition;
        partition.partition_max_bytes = 16 * 1024;
        wire::FetchRequest::FetchTopic topics[2];
        topics[0].topic = "bad";
        topics[1].topic = "good";
        for (auto& topic : topics) topic.partitions = std::span(&partition, 1);
        wire::FetchRequest request;
        request.max_wait_ms = wait_ms;
        request.min_bytes = 1;
        request.topics = topics;
        std::vector<Answer> answers;
        for (const auto& topic : call<wire::FetchResponse>(request, 12).responses)
            for (const auto& one : topic.partitions) {
                Answer& answer = answers.emplace_back(
                    Answer{one.error_code, {}, one.high_watermark});
                for (ByteView left = one.records.view(); !left.empty();) {
                    const auto batch = wire::BatchView::parse(left);
                    if (!batch) break;
                    CHECK(batch->crc_ok());
                    answer.offsets.push_back(batch->header().base_offset);
                    left = left.subspan(batch->whole().size());
                }
            }
        REQUIRE(answers.size() == 2);
        return answers;
    }
    /// What ListOffsets says of both.
    std::vector<std::pair<ErrorCode, std::int64_t>> offsets_at(std::int64_t timestamp) {
        wire::ListOffsetsRequest::ListOffsetsPartition partition;
        partition.timestamp = timestamp;
        wire::ListOffsetsRequest::ListOffsetsTopic topics[2];
        topics[0].name = "bad";
        topics[1].name = "good";
        for (auto& topic : topics) topic.partitions = std::span(&partition, 1);
        wire::ListOffsetsRequest request;
        request.topics = topics;
        std::vector<std::pair<ErrorCode, std::int64_t>> answers;
        for (const auto& topic : call<wire::ListOffsetsResponse>(request, 7).topics)
            for (const auto& one : topic.partitions)
                answers.emplace_back(one.error_code, one.offset);
        REQUIRE(answers.size() == 2);
        return answers;
    }
};

const std::vector<std::int64_t> front = {0, 1, 2, 3, 4};
using Told = std::pair<ErrorCode, std::int64_t>;

}  // namespace

TEST_CASE("node: a Fetch of what the device refuses says so of that partition, and of no other") {
    RefusingBench bench;
    bench.refuse(SIZE_MAX);
    for (int i = 0; i < 3; ++i) {
        const auto answers = bench.fetch(10'000);  // it does not wait for what does not come
        CHECK(answers[0].error == ErrorCode::kafka_storage_error);
        CHECK(answers[0].offsets.empty());
        CHECK(answers[1].error == ErrorCode::none);
        CHECK(answers[1].offsets == front);
        CHECK(answers[1].high_watermark == batches);
    }
    bench.mend();
    const auto answers = bench.fetch();
    for (const Answer& answer : answers) {
        CHECK(answer.error == ErrorCode::none);
        CHECK(answer.offsets == front);
        CHECK(answer.high_watermark == batches);
    }
    CHECK(bench.events().find("lost") == std::string::npos);
}

TEST_CASE("node: ListOffsets by a time says what it cannot read, and answers what it can") {
    RefusingBench bench;
    bench.refuse(SIZE_MAX);
    for (const std::int64_t time : {first_time, first_time + 7}) {
        const auto answers = bench.offsets_at(time);
        CHECK(answers[0].first == ErrorCode::kafka_storage_error);
        CHECK(answers[1] == Told{ErrorCode::none, time - first_time});
    }
    for (const Told& end : bench.offsets_at(-1)) CHECK(end == Told{ErrorCode::none, batches});
    for (const Told& start : bench.offsets_at(-2)) CHECK(start == Told{ErrorCode::none, 0});
    bench.mend();
    for (const std::int64_t time : {first_time, first_time + 7})
        for (const Told& told : bench.offsets_at(time))
            CHECK(told == Told{ErrorCode::none, time - first_time});
}
