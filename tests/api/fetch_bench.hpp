// Fetch requests through the bench, and what came back.
#pragma once

#include "sdk/wire/api/01_fetch.hpp"
#include "tests/api/bench.hpp"

namespace leat::test {

using wire::ErrorCode;
using Response = wire::FetchResponse;

struct Ask {
    std::int32_t partition = 0;
    std::int64_t offset = 0;
    std::int32_t bytes_max = 1 << 20;
};
struct FetchSpec {
    std::vector<Ask> partitions{{}};
    std::int32_t wait_ms = 0, bytes_min = 1, bytes_max = 50 << 20;
    std::int8_t isolation = 0;
    std::int32_t session_id = 0, session_epoch = -1;
    const char* topic = "t";
};

inline Bytes fetch_frame(const FetchSpec& spec, std::int16_t version = 12) {
    std::vector<wire::FetchRequest::FetchPartition> partitions;
    for (const Ask& ask : spec.partitions) {
        wire::FetchRequest::FetchPartition one;
        one.partition = ask.partition;
        one.fetch_offset = ask.offset;
        one.partition_max_bytes = ask.bytes_max;
        partitions.push_back(one);
    }
    wire::FetchRequest::FetchTopic topic;
    topic.topic = spec.topic;
    topic.partitions = partitions;
    wire::FetchRequest request;
    request.max_wait_ms = spec.wait_ms;
    request.min_bytes = spec.bytes_min;
    request.max_bytes = spec.bytes_max;
    request.isolation_level = spec.isolation;
    request.session_id = spec.session_id;
    request.session_epoch = spec.session_epoch;
    request.topics = std::span(&topic, 1);
    return request_frame(request, version);
}

struct Got {
    ErrorCode error;
    std::int64_t high_watermark, log_start;
    std::vector<std::int64_t> offsets;  // base offsets of the batches
    Bytes records;
};

struct FetchBench : ApiBench {
    explicit FetchBench(std::int32_t partitions = 3, api::Settings settings = default_settings())
        : ApiBench(std::move(settings)) {
        topic("t", partitions);
    }
    void append(std::int32_t partition, BatchSpec spec = {}) {
        REQUIRE(topics.append(now, wall, *topics.registry.find("t"), partition, make_batch(spec), 9)
                    .error == ErrorCode::none);
    }
    std::vector<Got> got(session::SessionId id, std::int16_t version = 12) {
        std::vector<Got> all;
        const auto response = answer<Response>(id, version);
        for (const auto& topic : response.responses)
            for (const auto& partition : topic.partitions) {
                Got one{partition.error_code,
                        partition.high_watermark,
                        partition.log_start_offset,
                        {},
                        {}};
                ByteView records = partition.records.view();
                one.records.assign(records.begin(), records.end());
                while (!records.empty()) {
                    const auto batch = wire::BatchView::parse(records);
                    REQUIRE(batch);
                    CHECK(batch->crc_ok());
                    one.offsets.push_back(batch->header().base_offset);
                    records = records.subspan(batch->whole().size());
                }
                all.push_back(std::move(one));
            }
        return all;
    }
    std::vector<Got> fetch(const FetchSpec& spec, std::int16_t version = 12) {
        const auto id = open();
        send(id, fetch_frame(spec, version));
        auto all = got(id, version);
        sessions.closed(now, id);
        return all;
    }
};

using Offsets = std::vector<std::int64_t>;

}  // namespace leat::test
