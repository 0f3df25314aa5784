// The bytes that produce_pinned.cpp writes and reads by itself, against wire's codec.
#include <doctest/doctest.h>

#include "sdk/client/produce_codec.hpp"
#include "sdk/client/scan.hpp"
#include "tests/client/rig.hpp"

using namespace leat;
using namespace leat::client;
using namespace leat::testing;

TEST_CASE("pinned: Produce 9 is what wire encodes, for short and long names and batches") {
    for (std::size_t name : {1u, 126u, 127u, 200u})
        for (std::size_t records : {1u, 65u, 66u, 5000u}) {
            struct Nothing final : BatchSource {
                Peek peek(std::uint16_t, Instant, SourceBatch&) override { return Peek::empty; }
                void take(std::uint16_t, std::uint64_t) override {}
                void settle(std::uint16_t, std::uint64_t, const Outcome&) override {}
                Instant oldest(std::uint16_t) const override { return never; }
            } source;
            std::vector<TakenBatch> window(1);
            const std::string topic(name, 'n');
            const Bytes bytes(records, 0x5a);
            PartitionQueue queue(topic, 70000, source, 0, window);
            queue.restore({0x123456789abcdef, 0x1234, 0});
            TakenBatch batch;
            batch.queue = &queue;
            batch.base_sequence = 0x01020304;
            batch.source = {.records = bytes,
                            .attributes = 3,
                            .last_offset_delta = 8,
                            .base_timestamp = -5,
                            .max_timestamp = 0x7766554433221100,
                            .record_count = 9};
            wire::BatchHeader header{.attributes = 3,
                                     .last_offset_delta = 8,
                                     .base_timestamp = -5,
                                     .max_timestamp = 0x7766554433221100,
                                     .producer_id = 0x123456789abcdef,
                                     .producer_epoch = 0x1234,
                                     .base_sequence = 0x01020304,
                                     .record_count = 9};
            Bytes whole(61 + records);
            wire::seal_batch_header(header, bytes, whole.data());
            std::copy(bytes.begin(), bytes.end(), whole.begin() + 61);
            using Request = wire::ProduceRequest;
            const Request::PartitionProduceData partition{70000, ByteView(whole)};
            const Request::TopicProduceData data{
                topic, {}, std::span<const Request::PartitionProduceData>(&partition, 1)};
            Request request;
            request.acks = -1;
            request.timeout_ms = 30000;
            request.topic_data = std::span<const Request::TopicProduceData>(&data, 1);
            Bytes expected(8192);
            expected.resize(*wire::encode(request, std::int16_t{9}, expected));

            ConnectionMemory memory;
            Connection connection(memory, "pump");
            connection.on_connected(instant_ms(0));
            REQUIRE(connection.open_request(wire::ApiKey::produce, 9));
            REQUIRE(append_produce(connection, {9, -1, 30000}, queue, &batch));
            connection.seal_request(instant_ms(0), {});
            Bytes gathered;
            for (ByteView piece : connection.poll_write())
                gathered.insert(gathered.end(), piece.begin(), piece.end());
            auto sent = wire::decode_request(ByteView(gathered).subspan(4));
            REQUIRE(sent);
            CHECK(load_big<std::uint32_t>(gathered.data()) == gathered.size() - 4);
            CHECK(sent->header.client_id.view() == "pump");
            CHECK(sent->header.api_version == 9);
            CHECK(equal(sent->body, expected));
        }
}

TEST_CASE("pinned: answers are read to the last tag, cut ones are refused at every length") {
    using Response = wire::ProduceResponse;
    const Response::BatchIndexAndErrorMessage errors[] = {{3, "bad"}, {4, nullptr}};
    Response::PartitionProduceResponse partition;
    partition.index = 7;
    partition.error_code = wire::ErrorCode::invalid_record;
    partition.base_offset = 0x1122334455667788;
    partition.log_append_time_ms = 99;
    partition.record_errors = std::span<const Response::BatchIndexAndErrorMessage>(errors);
    partition.error_message = "why";
    const Response::TopicProduceResponse topic{
        "topic", {}, std::span<const Response::PartitionProduceResponse>(&partition, 1)};
    Response response;
    response.responses = std::span<const Response::TopicProduceResponse>(&topic, 1);
    response.throttle_time_ms = 1234;
    Bytes body(512);
    body.resize(*wire::encode(response, std::int16_t{9}, body));

    Event event;
    event.body = body;
    ProducedAnswer answer;
    REQUIRE(read_produced(event, answer));
    CHECK(answer.throttle_ms == 1234);
    CHECK(answer.topic == "topic");
    CHECK(answer.index == 7);
    CHECK(answer.outcome.error == wire::ErrorCode::invalid_record);
    CHECK(answer.outcome.base_offset == 0x1122334455667788);
    CHECK(answer.outcome.log_append_time == 99);
    for (std::size_t cut = 0; cut < body.size(); ++cut) {
        const Bytes part(body.begin(), body.begin() + static_cast<std::ptrdiff_t>(cut));
        event.body = part;
        CHECK(!read_produced(event, answer));
    }
}

TEST_CASE("records: written as wire writes them, headers and nulls too, and never past the end") {
    const std::string longer(300, 'k');
    const wire::RecordHeader headers[] = {{"unit", bytes_of("mbar")}, {"null", nullptr}};
    const wire::RecordInput inputs[] = {
        {.timestamp = 100},
        {.timestamp = 90, .key = bytes_of("k"), .value = bytes_of("")},
        {.timestamp = 1'000'000'000'000, .value = bytes_of(longer), .headers = headers}};
    Bytes memory(1024), ours(1024);
    wire::BatchBuilder builder(memory);
    std::size_t used = 0;
    std::int32_t count = 0;
    for (const wire::RecordInput& input : inputs) {
        REQUIRE(builder.append(input));
        const std::size_t size =
            write_record(MutableBytes(ours).subspan(used), input, input.timestamp - 100, count++);
        REQUIRE(size > 0);
        CHECK(size <= record_bytes_max(input));
        for (std::size_t room = 0; room < size; ++room) {
            Bytes tight(room + 1, 0xEE);
            CHECK(write_record(MutableBytes(tight).first(room), input, input.timestamp - 100,
                               count) == 0);
            CHECK(tight[room] == 0xEE);
        }
        used += size;
    }
    CHECK(equal(builder.records(), ByteView(ours).first(used)));
}
