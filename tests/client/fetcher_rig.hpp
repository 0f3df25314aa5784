// A consumer on a simulated wire: the real Connection and Fetcher, a ModelBroker, and a test that
// moves the bytes.
#pragma once

#include "sdk/client/fetcher.hpp"
#include "tests/client/rig.hpp"

namespace leat::testing {

using client::BatchDecompressor;
using client::Event;
using client::Fetcher;
using client::FetcherConfig;
using client::FetcherEvent;
using client::FetchPartition;

/// A broker with records 0, 1, 2, ... in batches of `per_batch`, and a consumer of it.
struct Reader {
    ModelBroker broker;
    Link link{broker};
    Bytes prefetch;
    std::vector<Fetcher::Run> runs{8};
    Fetcher fetcher;
    FetchPartition partition{.topic = "t", .partition = 0};
    Instant now = instant_ms(1000);
    std::vector<FetcherEvent> events;
    bool closed = false;

    explicit Reader(std::size_t prefetch_bytes = 2048, const FetcherConfig& config = {},
                    BatchDecompressor* decompressor = nullptr)
        : prefetch(prefetch_bytes),
          fetcher(link.connection, {prefetch, runs}, config, 1, 5, decompressor) {
        link.connection.on_connected(now);
        drain();
    }
    void fill(int count, int per_batch, std::int16_t attributes = 0,
              const std::string& topic = "t") {
        ModelBroker::Partition& at = broker.at(topic, 0);
        for (int done = 0; done < count; done += per_batch) {
            Bytes memory(4096);
            wire::BatchBuilder builder(memory);
            for (int i = 0; i < per_batch; ++i) {
                const std::string value = std::to_string(at.end + i);
                REQUIRE(
                    builder.append({.timestamp = 100 * (at.end + i), .value = bytes_of(value)}));
            }
            ByteView whole = builder.finish({.attributes = attributes});
            ModelBroker::Stored stored{Bytes(whole.begin(), whole.end()), at.end, per_batch, {}};
            store_big(stored.batch.data(), at.end);
            at.end += per_batch;
            at.log.push_back(stored);
        }
    }
    void drain() {
        while (auto event = link.connection.poll_event(now)) {
            if (event->kind == Event::Kind::closed) {
                closed = true;
                link.cut();
            }
            fetcher.on_event(now, *event);
        }
        while (auto event = fetcher.poll_event()) events.push_back(*event);
    }
    /// One exchange at most.
    void turn() {
        fetcher.pump(now);
        link.write(now);
        link.serve_one();
        for (std::size_t at = 0; at < link.to_client.size() && !closed;) {
            at += link.connection.on_bytes(now, ByteView(link.to_client).subspan(at));
            drain();
        }
        link.to_client.clear();
        drain();
    }
    std::vector<std::int64_t> read(std::size_t most) {
        std::vector<std::int64_t> offsets;
        for (int i = 0; i < 200 && offsets.size() < most; ++i) {
            while (offsets.size() < most) {
                auto record = fetcher.next(now);
                if (!record) break;
                CHECK(record->from == &partition);
                CHECK(text_of(record->record.value.view()) == std::to_string(record->offset));
                CHECK(record->timestamp == 100 * record->offset);
                offsets.push_back(record->offset);
            }
            while (auto event = fetcher.poll_event()) events.push_back(*event);
            if (offsets.size() < most) turn();
        }
        return offsets;
    }
};

inline std::vector<std::int64_t> range(std::int64_t from, std::int64_t to) {
    std::vector<std::int64_t> all;
    for (; from < to; ++from) all.push_back(from);
    return all;
}

}  // namespace leat::testing
