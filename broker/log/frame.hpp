// Frames: what a commit is made of (FORMAT.md section 5).
#pragma once

#include <cstdint>

#include "broker/log/little.hpp"
#include "leat/result.hpp"
#include "sdk/base/bytes.hpp"

namespace leat::log {

enum class FrameType : std::uint8_t {
    padding = 0,
    append = 1,
    moved = 2,
    more = 3,
    fact = 4,
    fact_erased = 5,
    log_start = 6,
    log_end = 7,
    dropped = 8,
    loss = 9,
    footer_summary = 16,
    footer_stream = 17,
    footer_producer = 18,
    checkpoint_begin = 32,
    checkpoint_stream = 33,
    checkpoint_segments = 34,
    checkpoint_end = 40,
    checkpoint_parity = 41,
};
constexpr std::uint8_t frame_continues = 1;  ///< flag: the body goes on in a `more` frame
constexpr std::uint8_t frame_must_know =
    0x80;  ///< flag: who does not know the type must not write here
constexpr std::uint32_t frame_header_bytes = 24;
constexpr std::uint32_t moved_header_bytes = 40;  ///< of `moved`: original sequence and age behind
constexpr std::uint32_t batch_header_bytes = 61;  ///< RecordBatch v2 (KIP-98)
constexpr std::uint32_t outside_kafka_crc =
    21;  ///< its first bytes, which Kafka's own CRC leaves out

struct FrameHeader {
    FrameType type = FrameType::padding;
    std::uint8_t flags = 0;
    std::uint16_t header_bytes = frame_header_bytes;
    std::uint32_t crc = 0;
    std::uint32_t body_bytes = 0;  ///< in this frame
    std::uint32_t stream = 0;
    std::uint32_t total_bytes = 0;   ///< of the whole body
    std::uint32_t before_bytes = 0;  ///< of it before this frame

    bool known() const {
        const auto code = static_cast<std::uint8_t>(type);
        return (code >= 1 && code <= 9) || (code >= 16 && code <= 18) ||
               (code >= 32 && code <= 34) || code == 40 || code == 41;
    }
    /// Written by a later program that says: who does not know me must keep off this log.
    bool forbids_writing() const { return !known() && (flags & frame_must_know) != 0; }
    /// The header has the length that this program writes.
    bool plain() const { return header_bytes == header_bytes_of(type); }
    static std::uint16_t header_bytes_of(FrameType type) {
        return type == FrameType::moved ? moved_header_bytes : frame_header_bytes;
    }
    bool continues() const { return (flags & frame_continues) != 0; }
    bool holds_batch() const { return type == FrameType::append || type == FrameType::moved; }
    std::uint64_t padded_bytes() const {
        return round_up(std::uint64_t{header_bytes} + body_bytes, 8);
    }
    /// How many bytes of the body the frame's own CRC covers.
    std::uint32_t covered_bytes() const {
        if (type == FrameType::more) return 0;
        if (holds_batch()) return body_bytes < outside_kafka_crc ? body_bytes : outside_kafka_crc;
        return body_bytes;
    }
};

void encode_frame_header(const FrameHeader& header, std::uint8_t* at);
/// `bytes` holds at least frame_header_bytes. Only lengths are checked here.
FrameHeader decode_frame_header(const std::uint8_t* at);

/// The CRC of the frame at `frame` (header and at least covered_bytes() of the body are there).
std::uint32_t frame_crc(std::uint32_t salt, ByteView frame, const FrameHeader& header);
/// Puts it into the encoded header, and returns it.
std::uint32_t seal_frame(std::uint32_t salt, MutableBytes frame);

/// What ties a commit's header to its frames: from 0 on, one of their CRCs after the other. No CRC
/// of the CRCs: that is linear, so the same change in two frames would not show where one of them
/// has some bytes more behind it, as two streams in a footer may that both grew by a record.
constexpr std::uint32_t tied(std::uint32_t tie, std::uint32_t frame_crc) {
    return (tie + frame_crc) * 0x9E3779B1u;
}

/// Appends one whole frame, padded, without CRC (the salt is known when the commit is written).
void put_frame(std::vector<std::uint8_t>& out, FrameType type, std::uint32_t stream, ByteView body);

/// The fields of a RecordBatch that the log looks at (big-endian, kafka-rules 4.1).
struct BatchFields {
    std::int64_t base_offset = 0;
    std::uint32_t total_bytes = 0;  ///< header and records: 12 + batchLength
    std::uint32_t crc = 0;
    std::int16_t attributes = 0;
    std::int32_t last_offset_delta = 0;
    std::int64_t base_timestamp = 0, max_timestamp = 0;
    std::int64_t producer_id = -1;
    std::int16_t producer_epoch = -1;
    std::int32_t base_sequence = -1;

    std::int64_t end_offset() const { return base_offset + last_offset_delta + 1; }
    bool log_append_time() const { return (attributes & 8) != 0; }
};
/// fails: truncated (less than 61 bytes) · malformed (magic, lengths, deltas that make no sense)
Result<BatchFields> read_batch_fields(ByteView batch);
bool batch_crc_ok(ByteView batch);

}  // namespace leat::log
