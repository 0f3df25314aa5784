#include "sdk/wire/control_batch.hpp"

namespace leat::wire {

Result<ControlMarker> read_control_marker(const BatchView& batch) {
    if (!batch.header().is_control() || batch.codec() != Codec::none) return fail(Error::invalid);
    RecordReader reader(batch.records(), batch.header().record_count);
    const std::optional<RecordView> record = reader.next();
    if (!record || record->key.size() < 4) return fail(Error::malformed);
    const std::uint8_t* key = record->key.view().data();
    if (load_big<std::int16_t>(key) < 0) return fail(Error::malformed);
    ControlMarker marker{.type = load_big<std::int16_t>(key + 2)};
    if (marker.type != ControlMarker::abort && marker.type != ControlMarker::commit) return marker;
    if (record->value.size() < 6) return fail(Error::malformed);
    marker.coordinator_epoch = load_big<std::int32_t>(record->value.view().data() + 2);
    return marker;
}

void write_control_marker(const ControlMarker& marker, const MarkerPlace& place, std::uint8_t* at) {
    std::uint8_t key[4] = {};
    std::uint8_t value[6] = {};
    store_big(key + 2, marker.type);
    store_big(value + 2, marker.coordinator_epoch);
    BatchBuilder builder({at, control_batch_size});
    const RecordInput record{
        .timestamp = place.timestamp, .key = ByteView(key), .value = ByteView(value)};
    LEAT_CHECK(builder.append(record));
    BatchHeader header = builder.header();
    header.base_offset = place.base_offset;
    header.partition_leader_epoch = place.partition_leader_epoch;
    header.attributes = attribute::transactional | attribute::control;
    header.producer_id = place.producer_id;
    header.producer_epoch = place.producer_epoch;
    seal_batch_header(header, builder.records(), at);
}

}  // namespace leat::wire
