#include "broker/log/frame.hpp"

#include "sdk/base/crc32c.hpp"

namespace leat::log {

void encode_frame_header(const FrameHeader& header, std::uint8_t* at) {
    at[0] = static_cast<std::uint8_t>(header.type);
    at[1] = header.flags;
    store_little<std::uint16_t>(at + 2, header.header_bytes);
    store_little<std::uint32_t>(at + 4, header.crc);
    store_little<std::uint32_t>(at + 8, header.body_bytes);
    store_little<std::uint32_t>(at + 12, header.stream);
    store_little<std::uint32_t>(at + 16, header.total_bytes);
    store_little<std::uint32_t>(at + 20, header.before_bytes);
}

FrameHeader decode_frame_header(const std::uint8_t* at) {
    FrameHeader header;
    header.type = static_cast<FrameType>(at[0]);
    header.flags = at[1];
    header.header_bytes = load_little<std::uint16_t>(at + 2);
    header.crc = load_little<std::uint32_t>(at + 4);
    header.body_bytes = load_little<std::uint32_t>(at + 8);
    header.stream = load_little<std::uint32_t>(at + 12);
    header.total_bytes = load_little<std::uint32_t>(at + 16);
    header.before_bytes = load_little<std::uint32_t>(at + 20);
    return header;
}

std::uint32_t frame_crc(std::uint32_t salt, ByteView frame, const FrameHeader& header) {
    constexpr std::uint8_t zero[4] = {};
    std::uint32_t crc = crc32c(salt, frame.first(4));
    crc = crc32c(crc, zero);
    return crc32c(crc, frame.subspan(8, header.header_bytes - 8u + header.covered_bytes()));
}

std::uint32_t seal_frame(std::uint32_t salt, MutableBytes frame) {
    const FrameHeader header = decode_frame_header(frame.data());
    const std::uint32_t crc = frame_crc(salt, frame, header);
    store_little<std::uint32_t>(frame.data() + 4, crc);
    return crc;
}

void put_frame(std::vector<std::uint8_t>& out, FrameType type, std::uint32_t stream,
               ByteView body) {
    FrameHeader header;
    header.type = type;
    header.stream = stream;
    header.body_bytes = header.total_bytes = static_cast<std::uint32_t>(body.size());
    const std::size_t at = out.size();
    out.resize(at + header.padded_bytes());
    encode_frame_header(header, out.data() + at);
    copy_bytes(body, MutableBytes(out).subspan(at + frame_header_bytes));
}

Result<BatchFields> read_batch_fields(ByteView batch) {
    if (batch.size() < batch_header_bytes) return fail(Error::truncated);
    const std::uint8_t* at = batch.data();
    BatchFields fields;
    fields.base_offset = load_big<std::int64_t>(at);
    const std::int32_t length = load_big<std::int32_t>(at + 8);
    fields.crc = load_big<std::uint32_t>(at + 17);
    fields.attributes = load_big<std::int16_t>(at + 21);
    fields.last_offset_delta = load_big<std::int32_t>(at + 23);
    fields.base_timestamp = load_big<std::int64_t>(at + 27);
    fields.max_timestamp = load_big<std::int64_t>(at + 35);
    fields.producer_id = load_big<std::int64_t>(at + 43);
    fields.producer_epoch = load_big<std::int16_t>(at + 51);
    fields.base_sequence = load_big<std::int32_t>(at + 53);
    if (at[16] != 2 || length < static_cast<std::int32_t>(batch_header_bytes - 12) ||
        fields.last_offset_delta < 0 || fields.base_offset < 0 ||
        fields.base_offset > INT64_MAX - fields.last_offset_delta - 1)
        return fail(Error::malformed);
    fields.total_bytes = static_cast<std::uint32_t>(length) + 12;
    return fields;
}

bool batch_crc_ok(ByteView batch) {
    return batch.size() >= batch_header_bytes && crc32c(0, batch.subspan(outside_kafka_crc)) ==
                                                     load_big<std::uint32_t>(batch.data() + 17);
}

}  // namespace leat::log
