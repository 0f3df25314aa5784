// A peer whose bytes are wrong: flipped, cut, repeated. Nothing is promised about delivery then,
// but the client neither stops (a check that fails aborts) nor hangs nor reads past its buffers
// (sanitizers).
#include <doctest/doctest.h>

#include <random>

#include "sdk/client/fetcher.hpp"
#include "tests/client/rig.hpp"

using namespace leat;
using namespace leat::client;
using namespace leat::testing;

namespace {

/// Spoils the bytes under way in one of many ways.
void spoil(Bytes& bytes, std::mt19937& random) {
    if (bytes.empty()) return;
    const std::size_t at = random() % bytes.size();
    switch (random() % 5) {
        case 0:
            bytes[at] = static_cast<std::uint8_t>(random());
            break;
        case 1:
            bytes[at] = random() % 2 ? 0xff : 0x80;
            break;
        case 2:
            bytes.resize(at);
            break;
        case 3:
            bytes.insert(bytes.begin() + static_cast<std::ptrdiff_t>(at), 3,
                         static_cast<std::uint8_t>(random()));
            break;
        case 4:  // keeps the frame, so that the message inside is wrong
            if (bytes.size() > 12)
                bytes[9 + random() % (bytes.size() - 9)] ^=
                    static_cast<std::uint8_t>(1 << random() % 8);
            break;
    }
}

}  // namespace

TEST_CASE(
    "hostile: spoiled answers to a producer end in retries, new connections or errors, never in a "
    "stop") {
    int closed = 0;
    for (std::uint32_t seed = 1; seed <= 300; ++seed) {
        std::mt19937 random(seed);
        ModelBroker broker;
        Rig rig(broker, {.partitions = 3,
                         .sender = {.request_timeout = milliseconds{200},
                                    .delivery_timeout = milliseconds{2000}}});
        rig.connect();
        for (int step = 0; step < 150; ++step) {
            (void)rig.append("v", static_cast<std::uint16_t>(random() % 3));
            rig.link.write(rig.now);
            rig.drain();
            while (rig.link.serve_one()) {
            }
            if (random() % 4 == 0) spoil(rig.link.to_client, random);
            rig.receive();
            rig.pass(milliseconds{20});
            if (!rig.closed) continue;
            ++closed;
            rig.closed = false;
            rig.connect();
        }
        INFO("SEED=", seed);
        CHECK(rig.settle_all());
        for (const auto& queue : rig.queues) CHECK(queue->in_flight_count() == 0);
    }
    CHECK(closed > 300);
}

TEST_CASE(
    "hostile: spoiled answers to a consumer never hand out a record whose CRC is wrong, and never "
    "stop it") {
    int records = 0;
    for (std::uint32_t seed = 1; seed <= 300; ++seed) {
        std::mt19937 random(seed);
        ModelBroker broker;
        Rig producer(broker, {});
        producer.connect();
        for (int i = 0; i < 40; ++i) {
            REQUIRE(producer.append("value " + std::to_string(i)));
            producer.settle();
        }
        Link link(broker);
        Bytes prefetch(1024);
        std::vector<Fetcher::Run> runs(2);
        Fetcher fetcher(link.connection, {prefetch, runs}, {.reset = OffsetReset::earliest}, 1,
                        seed);
        FetchPartition partition{.topic = "t", .lookup = timestamp_earliest};
        fetcher.assign(partition);
        Instant now = instant_ms(1000);
        bool connected = false;
        for (int step = 0; step < 200; ++step) {
            if (!connected) {
                link.connection.on_connected(now);
                connected = true;
            }
            fetcher.pump(now);
            link.write(now);
            link.serve_one();
            if (random() % 3 == 0) spoil(link.to_client, random);
            for (std::size_t at = 0; at < link.to_client.size() && connected;) {
                at += link.connection.on_bytes(now, ByteView(link.to_client).subspan(at));
                while (auto event = link.connection.poll_event(now)) {
                    if (event->kind == Event::Kind::closed) connected = false;
                    fetcher.on_event(now, *event);
                }
            }
            link.to_client.clear();
            while (auto record = fetcher.next(now)) {
                CHECK(text_of(record->record.value.view()).starts_with("value "));
                ++records;
            }
            while (auto event = fetcher.poll_event())
                if (event->kind == FetcherEvent::Kind::too_large) fetcher.seek(partition, 0);
            now += milliseconds{100};
            link.connection.on_deadline(now);
            while (auto event = link.connection.poll_event(now)) {
                if (event->kind == Event::Kind::closed) {
                    connected = false;
                    link.cut();
                }
                fetcher.on_event(now, *event);
            }
        }
    }
    CHECK(records > 5000);
}
