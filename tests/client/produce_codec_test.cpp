// The gathered Produce request against the one that wire encodes as a whole.
#include <doctest/doctest.h>

#include "sdk/client/produce_codec.hpp"
#include "tests/client/rig.hpp"

using namespace leat;
using namespace leat::client;
using namespace leat::testing;

namespace {

struct Nothing final : BatchSource {
    Peek peek(std::uint16_t, Instant, SourceBatch&) override { return Peek::empty; }
    void take(std::uint16_t, std::uint64_t) override {}
    void settle(std::uint16_t, std::uint64_t, const Outcome&) override {}
    Instant oldest(std::uint16_t) const override { return never; }
};

}  // namespace

TEST_CASE(
    "produce: gathered from pieces, the frame equals the one encoded as a whole, in every "
    "version") {
    Nothing source;
    std::vector<TakenBatch> window(1);
    wire::Uuid id_a{}, id_b{};
    id_a.bytes[3] = 7;
    id_b.bytes[15] = 9;
    PartitionQueue a0("alpha", 0, source, 0, window), a1("alpha", 700, source, 1, window),
        b("b", 2, source, 2, window);
    a0.set_topic_id(id_a);
    a1.set_topic_id(id_a);
    b.set_topic_id(id_b);
    a0.restore({77, 3, 0});
    a1.restore({77, 4, 0});
    b.restore({77, 0, 0});
    const Bytes records[3] = {Bytes(40, 0x11), Bytes(300, 0x22), Bytes(1, 0x33)};
    PartitionQueue* queues[3] = {&a0, &a1, &b};
    for (std::size_t count = 1; count <= 3; ++count)
        for (std::int16_t version = 3; version <= 13; ++version) {
            TakenBatch batches[3];
            std::vector<Bytes> whole;
            for (std::size_t i = 0; i < count; ++i) {
                batches[i].queue = queues[i];
                batches[i].base_sequence = static_cast<std::int32_t>(10 + i);
                batches[i].next_in_request = i + 1 < count ? &batches[i + 1] : nullptr;
                batches[i].source = {.records = records[i],
                                     .attributes = 2,
                                     .last_offset_delta = 4,
                                     .base_timestamp = 100,
                                     .max_timestamp = 104,
                                     .record_count = 5};
                wire::BatchHeader header{.attributes = 2,
                                         .last_offset_delta = 4,
                                         .base_timestamp = 100,
                                         .max_timestamp = 104,
                                         .producer_id = 77,
                                         .producer_epoch = queues[i]->sending_as().producer_epoch,
                                         .base_sequence = static_cast<std::int32_t>(10 + i),
                                         .record_count = 5};
                Bytes& bytes = whole.emplace_back(61 + records[i].size());
                wire::seal_batch_header(header, records[i], bytes.data());
                std::copy(records[i].begin(), records[i].end(), bytes.begin() + 61);
                CHECK(wire::BatchView::parse(bytes)->crc_ok());
            }
            using Request = wire::ProduceRequest;
            std::vector<Request::PartitionProduceData> alpha, beta;
            for (std::size_t i = 0; i < count; ++i)
                (i < 2 ? alpha : beta).push_back({queues[i]->partition(), ByteView(whole[i])});
            std::vector<Request::TopicProduceData> topics = {
                {"alpha", id_a, std::span<const Request::PartitionProduceData>(alpha)}};
            if (count == 3)
                topics.push_back({"b", id_b, std::span<const Request::PartitionProduceData>(beta)});
            Request request;
            request.acks = -1;
            request.timeout_ms = 1234;
            request.topic_data = std::span<const Request::TopicProduceData>(topics);
            Bytes expected(2048);
            const wire::RequestHeader header{wire::ApiKey::produce, version, 0, "me"};
            std::size_t size =
                4 + *wire::encode_request_header(header, MutableBytes(expected).subspan(4));
            size += *wire::encode(request, version, MutableBytes(expected).subspan(size));
            expected.resize(size);
            store_big(expected.data(), static_cast<std::int32_t>(size - 4));

            ConnectionMemory memory;
            Connection connection(memory, "me");
            connection.on_connected(instant_ms(0));
            REQUIRE(connection.open_request(wire::ApiKey::produce, version));
            REQUIRE(append_produce(connection, {version, -1, 1234}, *batches[0].queue, batches));
            connection.seal_request(instant_ms(0), {});
            Bytes gathered;
            for (ByteView piece : connection.poll_write())
                gathered.insert(gathered.end(), piece.begin(), piece.end());
            INFO("version=", version, " batches=", count);
            CHECK(gathered == expected);
            CHECK(connection.poll_write().size() == 2 * count + (version >= 9 ? 1 : 0));
        }
}
