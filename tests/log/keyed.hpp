// Batches of records with keys, and what is left of them per key: what compaction is held against.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "broker/topics/record_filter.hpp"
#include "sdk/compression/compression.hpp"
#include "sdk/wire/record_batch.hpp"
#include "tests/log/rig.hpp"

namespace leat::log::test {

struct KeyedValue {
    std::string key;
    std::optional<std::string> value;  ///< none: a tombstone
    std::int64_t timestamp = 1'000;
    friend bool operator==(const KeyedValue&, const KeyedValue&) = default;
};
struct KeyedSpec {
    std::vector<KeyedValue> records;
    Codec codec = Codec::none;
    std::int64_t producer_id = -1;
    std::int16_t epoch = -1;
    std::int32_t sequence = -1;
};

inline std::vector<std::uint8_t> make_keyed_batch(const KeyedSpec& spec) {
    std::size_t size = 256 * 1024;
    for (const KeyedValue& record : spec.records) size += record.value ? record.value->size() : 0;
    std::vector<std::uint8_t> memory(size);
    wire::BatchBuilder builder{MutableBytes(memory)};
    for (const KeyedValue& record : spec.records) {
        wire::RecordInput input{.timestamp = record.timestamp, .key = bytes_of(record.key)};
        if (record.value) input.value = bytes_of(*record.value);
        LEAT_CHECK(static_cast<bool>(builder.append(input)));
    }
    const ByteView plain = builder.finish({.producer_id = spec.producer_id,
                                           .producer_epoch = spec.epoch,
                                           .base_sequence = spec.sequence});
    if (spec.codec == Codec::none) return {plain.begin(), plain.end()};
    wire::BatchHeader header = wire::read_batch_header(plain.data());
    std::vector<std::uint8_t> packed;
    LEAT_CHECK(static_cast<bool>(
        compression::compress(spec.codec, plain.subspan(wire::batch_header_size), packed)));
    header.attributes = static_cast<std::int16_t>(spec.codec);
    std::vector<std::uint8_t> batch(wire::batch_header_size + packed.size());
    copy_bytes(packed, MutableBytes(batch).subspan(wire::batch_header_size));
    wire::seal_batch_header(header, packed, batch.data());
    return batch;
}

/// Records by offset, out of whole batches; false: what is there makes no sense.
using ByOffset = std::map<Offset, KeyedValue>;
inline bool take_records(ByteView bytes, ByOffset& into) {
    Offset next = -1;
    while (!bytes.empty()) {
        const ByteView whole = next_batch(bytes);
        const auto batch = wire::BatchView::parse(whole);
        if (whole.empty() || !batch || !batch->crc_ok() || batch->header().base_offset < next)
            return false;
        next = batch->header().next_offset();
        std::vector<std::uint8_t> plain;
        if (!compression::decompress(batch->codec(), batch->records(), plain, 4 * MiB))
            return false;
        wire::RecordReader reader(plain, batch->header().record_count);
        std::int64_t newest = -1;
        while (const auto record = reader.next()) {
            KeyedValue value{.key = std::string(text_of(record->key.view())), .value = {}};
            if (!record->value.is_null()) value.value = std::string(text_of(record->value.view()));
            value.timestamp = batch->header().base_timestamp + record->timestamp_delta;
            newest = std::max(newest, value.timestamp);
            const Offset offset = batch->header().base_offset + record->offset_delta;
            if (offset >= next || !into.emplace(offset, value).second) return false;
        }
        if (!reader.finish() || newest != batch->header().max_timestamp) return false;
    }
    return true;
}

/// What a consumer that starts at 0 believes in the end.
inline std::map<std::string, std::string> view_of(const ByOffset& records, Offset end = INT64_MAX) {
    std::map<std::string, std::string> view;
    for (const auto& [offset, record] : records) {
        if (offset >= end) break;
        if (record.value)
            view[record.key] = *record.value;
        else
            view.erase(record.key);
    }
    return view;
}

}  // namespace leat::log::test
