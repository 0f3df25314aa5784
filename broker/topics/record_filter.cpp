#include "broker/topics/record_filter.hpp"

#include <algorithm>

#include "sdk/compression/compression.hpp"
#include "sdk/wire/record_batch.hpp"
#include "sdk/wire/varint.hpp"

namespace leat::topics {

Result<std::uint32_t> filter_records(ByteView bytes, const log::KeepRecord& keep,
                                     std::vector<std::uint8_t>* kept) {
    const auto batch = wire::BatchView::parse(bytes);
    if (!batch) return fail(batch.error());
    wire::BatchHeader header = batch->header();
    const Codec codec = batch->codec();
    std::vector<std::uint8_t> expanded;
    ByteView left = batch->records();
    if (codec != Codec::none) {
        if (const Status status =
                compression::decompress(codec, left, expanded, filtered_bytes_max);
            !status)
            return fail(status.error());
        left = expanded;
    }
    if (left.size() > filtered_bytes_max) return fail(Error::too_large);
    std::vector<std::uint8_t> records;
    std::int32_t count = 0;
    std::int64_t max_timestamp = -1;
    wire::RecordReader reader(left, header.record_count);
    while (const auto record = reader.next()) {
        // The record as it lies there: its length, and so many bytes.
        std::int32_t length = 0;
        const std::uint8_t* body = wire::get_varint(left.data(), left.data() + left.size(), length);
        const auto whole =
            static_cast<std::size_t>(body - left.data()) + static_cast<std::size_t>(length);
        const ByteView raw = left.first(whole);
        left = left.subspan(whole);
        if (record->offset_delta < 0 || record->offset_delta > header.last_offset_delta)
            return fail(Error::malformed);
        log::KeyedRecord seen;
        seen.offset = header.base_offset + record->offset_delta;
        seen.has_key = !record->key.is_null();
        seen.key = record->key;
        seen.has_value = !record->value.is_null();
        if (!keep(seen)) continue;
        ++count;
        // Unsigned: a stranger's sum may wrap, and then simply is some time stamp.
        max_timestamp = std::max(
            max_timestamp,
            static_cast<std::int64_t>(static_cast<std::uint64_t>(header.base_timestamp) +
                                      static_cast<std::uint64_t>(record->timestamp_delta)));
        if (kept != nullptr) records.insert(records.end(), raw.begin(), raw.end());
    }
    if (const Status status = reader.finish(); !status) return fail(status.error());
    if (kept == nullptr || count == header.record_count) return static_cast<std::uint32_t>(count);
    kept->clear();
    if (count == 0) return 0u;
    if (codec != Codec::none) {
        expanded.clear();
        if (const Status status = compression::compress(codec, records, expanded); !status)
            return fail(status.error());
        records.swap(expanded);
    }
    header.record_count = count;
    if (!header.is_log_append_time()) header.max_timestamp = max_timestamp;
    kept->resize(wire::batch_header_size + records.size());
    copy_bytes(records, MutableBytes(*kept).subspan(wire::batch_header_size));
    wire::seal_batch_header(header, records, kept->data());
    return static_cast<std::uint32_t>(count);
}

}  // namespace leat::topics
