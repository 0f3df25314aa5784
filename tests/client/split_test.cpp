// A batch that the broker finds too large goes again in parts: nothing lost, nothing twice, in order.
#include <doctest/doctest.h>

#include "tests/client/rig.hpp"

using namespace leat;
using namespace leat::client;
using namespace leat::testing;
using wire::ErrorCode;

namespace {

std::string padded(int number, std::size_t size) {
    std::string text = "r" + std::to_string(number);
    return text + std::string(size > text.size() ? size - text.size() : 0, '.');
}

/// Appends without letting it be sent: they come into batches as large as the buffers allow.
void fill(Rig& rig, int from, int to, std::size_t size = 0) {
    for (int i = from; i < to; ++i)
        REQUIRE(rig.accumulator.append(
            0, rig.now, {.timestamp = 1000 + i % 7 * 100, .value = bytes_of(padded(i, size))}));
}

std::vector<std::string> padded_all(int count, std::size_t size) {
    std::vector<std::string> all;
    for (int i = 0; i < count; ++i) all.push_back(padded(i, size));
    return all;
}

std::vector<ErrorCode> good(int count) {
    return std::vector<ErrorCode>(static_cast<std::size_t>(count), ErrorCode::none);
}

void check_log(ModelBroker& broker) {
    for (const auto& stored : broker.at("t", 0).log) {
        const auto batch = wire::BatchView::parse(stored.batch);
        REQUIRE(batch);
        CHECK(stored.batch.size() <= broker.batch_bytes_max);
        CHECK(batch->header().last_offset_delta == batch->header().record_count - 1);
        wire::RecordReader reader(batch->records(), batch->header().record_count);
        std::int64_t newest = INT64_MIN;
        for (std::int32_t i = 0; auto record = reader.next(); ++i) {
            CHECK(record->offset_delta == i);
            const std::int64_t timestamp = batch->header().base_timestamp + record->timestamp_delta;
            const std::string value(text_of(record->value.view()));
            CHECK(timestamp == 1000 + std::stoi(value.substr(1)) % 7 * 100);
            newest = std::max(newest, timestamp);
        }
        CHECK(reader.finish());
        CHECK(batch->header().max_timestamp == newest);
    }
}

}  // namespace

TEST_CASE("split: a batch that is too large arrives in parts, whatever fits") {
    for (const std::size_t most : {100U, 130U, 200U, 300U, 500U}) {
        ModelBroker broker;
        broker.batch_bytes_max = most;
        Rig rig(broker, {.buffer_bytes = 2048});
        rig.connect();
        fill(rig, 0, 300);
        INFO("most=" << most);
        REQUIRE(rig.settle_all());
        CHECK(broker.at("t", 0).values() == numbered(300));
        CHECK(rig.reports[0] == good(300));
        check_log(broker);
        // It is remembered: what comes next is sent once.
        const int before = broker.requests;
        fill(rig, 300, 301);
        REQUIRE(rig.settle_all());
        CHECK(broker.requests == before + 1);
        CHECK(broker.at("t", 0).values() == numbered(301));
    }
}

TEST_CASE("split: what was in flight behind it comes behind it, wherever the connection breaks") {
    int broke = 0;
    for (int at = 0; at < 400; ++at) {
        ModelBroker broker;
        Rig rig(broker, {.buffers = 8, .buffer_bytes = 600});
        rig.connect();
        append_each(rig, 0, 1);
        // Five batches, the first with many records, in flight before the first answer.
        const auto send = [&](int from, int to) {
            fill(rig, from, to);
            rig.accumulator.flush(rig.now);
            rig.sender.pump(rig.now);
            rig.link.write(rig.now);
            rig.drain();
        };
        send(1, 30);
        for (int i = 30; i < 34; ++i) send(i, i + 1);
        broker.batch_bytes_max = 200;
        int step = 0;
        bool cut = false;
        for (int turn = 0; turn < 400 && !rig.accumulator.is_drained(); ++turn) {
            if (rig.closed) {
                rig.closed = false;
                rig.connect();
            }
            rig.sender.pump(rig.now);
            rig.link.write(rig.now);
            rig.drain();
            if (step++ == at) {
                cut = true;
                rig.disconnect();
                continue;
            }
            const bool moved = rig.link.serve_one();
            if (step++ == at) {  // carried out, and the answer is lost
                cut = true;
                rig.disconnect();
                continue;
            }
            if (!moved && rig.link.to_client.empty()) rig.pass(milliseconds{50});
            rig.receive();
        }
        INFO("at=" << at);
        CHECK(broker.at("t", 0).values() == numbered(34));
        CHECK(rig.reports[0] == good(34));
        check_log(broker);
        broke += cut;
        if (!cut) break;
    }
    CHECK(broke > 10);
    CHECK(broke < 400);
}

// Each of them was made before it was known what is too large, and told nothing new by being so.
TEST_CASE("split: a backlog of batches that are too large is cut to what fits, not ever smaller") {
    for (const std::size_t window : {1U, 5U}) {
        ModelBroker broker;
        broker.batch_bytes_max = 600;
        Rig rig(broker, {.window = window, .buffers = 16, .buffer_bytes = 1024});
        fill(rig, 0, 400);
        rig.accumulator.flush(rig.now);
        REQUIRE(rig.accumulator.free_buffers() < 12);
        rig.connect();
        INFO("window=" << window);
        REQUIRE(rig.settle_all());
        CHECK(broker.at("t", 0).values() == numbered(400));
        CHECK(rig.reports[0] == good(400));
        check_log(broker);
        const std::size_t batches = broker.at("t", 0).log.size();
        CHECK(batches < 20);
        fill(rig, 400, 420);  // and what comes next shares batches as before
        REQUIRE(rig.settle_all());
        CHECK(broker.at("t", 0).log.size() == batches + 1);
    }
}

TEST_CASE("split: only a record that is too large by itself fails") {
    ModelBroker broker;
    broker.batch_bytes_max = 250;
    Rig rig(broker, {.buffer_bytes = 2048});
    rig.connect();
    fill(rig, 0, 20);
    fill(rig, 20, 21, 600);
    fill(rig, 21, 40);
    REQUIRE(rig.settle_all());
    std::vector<std::string> expected = numbered(40);
    expected.erase(expected.begin() + 20);
    CHECK(broker.at("t", 0).values() == expected);
    std::vector<ErrorCode> reports = good(40);
    reports[20] = ErrorCode::message_too_large;
    CHECK(rig.reports[0] == reports);
}

TEST_CASE("split: needs no memory but what the batch has") {
    ModelBroker broker;
    broker.batch_bytes_max = 300;
    Rig rig(broker, {.buffers = 2, .buffer_bytes = 1024});
    rig.connect();
    int count = 0;
    while (rig.accumulator.append(0, rig.now,
                                  {.timestamp = 1000 + count % 7 * 100,
                                   .value = bytes_of(padded(count, 20))}))
        ++count;
    REQUIRE(rig.accumulator.free_buffers() == 0);
    REQUIRE(rig.settle_all());
    CHECK(broker.at("t", 0).values() == padded_all(count, 20));
    CHECK(rig.reports[0] == good(count));
    CHECK(rig.accumulator.free_buffers() == 2);
    check_log(broker);
}
