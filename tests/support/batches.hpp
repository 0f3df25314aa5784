// Record batches for tests, made with the SDK's own builder.
#pragma once

#include <string>
#include <vector>

#include "sdk/wire/record_batch.hpp"

namespace leat::test {

struct BatchSpec {
    int records = 1;
    std::int64_t timestamp = 1'700'000'000'000;
    std::int64_t timestamp_step = 0;
    std::size_t value_bytes = 10;
    std::string key = "k";
    bool keyless = false;
    std::int64_t producer_id = -1;
    std::int16_t epoch = -1;
    std::int32_t sequence = -1;
    std::int16_t attributes = 0;
    std::uint8_t fill = 'v';
};

inline std::vector<std::uint8_t> make_batch(const BatchSpec& spec) {
    std::vector<std::uint8_t> memory(4096 + static_cast<std::size_t>(spec.records) *
                                                (spec.value_bytes + 64));
    wire::BatchBuilder builder{MutableBytes(memory)};
    const std::vector<std::uint8_t> value(spec.value_bytes, spec.fill);
    for (int i = 0; i < spec.records; ++i) {
        wire::RecordInput record;
        record.timestamp = spec.timestamp + i * spec.timestamp_step;
        record.key = spec.keyless ? wire::BytesView(nullptr) : wire::BytesView(bytes_of(spec.key));
        record.value = ByteView(value);
        LEAT_CHECK(bool(builder.append(record)));
    }
    const ByteView whole = builder.finish({.producer_id = spec.producer_id,
                                           .producer_epoch = spec.epoch,
                                           .base_sequence = spec.sequence,
                                           .attributes = spec.attributes});
    return {whole.begin(), whole.end()};
}

}  // namespace leat::test
