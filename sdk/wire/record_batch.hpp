// RecordBatch v2 (magic 2, KIP-98): how records travel and how they lie on flash.
//
//    0 base_offset i64         23 last_offset_delta i32   51 producer_epoch i16
//    8 batch_length i32        27 base_timestamp i64      53 base_sequence i32
//   12 leader_epoch i32        35 max_timestamp i64       57 record_count i32
//   16 magic i8                43 producer_id i64         61 records
//   17 crc u32
//   21 attributes i16
//
// All big-endian. batch_length counts from byte 12. The CRC-32C covers bytes 21 to the end, so a
// broker gives offsets and leader epoch (bytes 0 to 16) without touching it. From byte 61 on the
// records lie one after the other, or, with a codec, as one compressed block (room compression).
//
// A record: varint length, i8 attributes (0), varlong timestamp delta, varint offset delta, varint
// key length (-1: null), key, varint value length (-1: null), value, varint header count, and per
// header varint key length, key, varint value length (-1: null), value. All varints are zigzag.
//
// Nothing here trusts a length, and nothing here owns memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "leat/result.hpp"
#include "sdk/base/bytes.hpp"
#include "sdk/base/codec.hpp"
#include "sdk/wire/types.hpp"

namespace leat::wire {

constexpr std::size_t batch_header_size = 61;
constexpr std::size_t batch_length_from = 12;  ///< batch_length counts the bytes from here
constexpr std::size_t batch_crc_from = 21;     ///< the CRC covers the bytes from here

/// Bits of BatchHeader::attributes.
namespace attribute {
constexpr std::int16_t codec_mask = 0x07;
constexpr std::int16_t log_append_time = 0x08;
constexpr std::int16_t transactional = 0x10;
constexpr std::int16_t control = 0x20;
constexpr std::int16_t delete_horizon = 0x40;
}  // namespace attribute

/// The 61 bytes before the records, field by field.
struct BatchHeader {
    std::int64_t base_offset = 0;
    std::int32_t batch_length = 0;
    std::int32_t partition_leader_epoch = -1;
    std::int8_t magic = 2;
    std::uint32_t crc = 0;
    std::int16_t attributes = 0;
    std::int32_t last_offset_delta = 0;  ///< trust this, not the last record: compaction keeps it
    std::int64_t base_timestamp = 0;
    std::int64_t max_timestamp = 0;
    std::int64_t producer_id = -1;
    std::int16_t producer_epoch = -1;
    std::int32_t base_sequence = -1;
    std::int32_t record_count = 0;

    constexpr Codec codec() const { return static_cast<Codec>(attributes & attribute::codec_mask); }
    constexpr bool is_log_append_time() const {
        return (attributes & attribute::log_append_time) != 0;
    }
    constexpr bool is_transactional() const { return (attributes & attribute::transactional) != 0; }
    constexpr bool is_control() const { return (attributes & attribute::control) != 0; }
    /// Neither is negative, and next_offset() has a number: what BatchView::parse demands.
    constexpr bool offsets_hold() const {
        return base_offset >= 0 && last_offset_delta >= 0 &&
               base_offset < INT64_MAX - last_offset_delta;
    }
    constexpr std::int64_t last_offset() const { return base_offset + last_offset_delta; }
    constexpr std::int64_t next_offset() const { return last_offset() + 1; }

    friend bool operator==(const BatchHeader&, const BatchHeader&) = default;
};

/// The header as it lies at `at`, which has batch_header_size bytes. Judges nothing.
BatchHeader read_batch_header(const std::uint8_t* at);
/// Writes the fields as they are, batch_length and crc too, to batch_header_size bytes.
void write_batch_header(const BatchHeader& header, std::uint8_t* at);

/// CRC-32C of a batch whose header and records may lie apart (the Sender's own header, the source's
/// bytes). header  the batch_header_size bytes
std::uint32_t batch_crc(const std::uint8_t* header, ByteView records);

/// Fills in batch_length, magic and crc of `header`, and writes it to batch_header_size bytes at
/// `at`. The records may lie anywhere. cost: one pass over the records
void seal_batch_header(BatchHeader& header, ByteView records, std::uint8_t* at);

/// The sequence `count` records after `sequence`: 2147483647 is followed by 0.
constexpr std::int32_t next_sequence(std::int32_t sequence, std::int32_t count) {
    return static_cast<std::int32_t>(
        (static_cast<std::uint32_t>(sequence) + static_cast<std::uint32_t>(count)) & 0x7fff'ffffU);
}

/// One batch at the front of borrowed bytes.
class BatchView {
public:
    /// Takes the batch at the front of `bytes`; what follows is ignored, so a Fetch answer is
    /// walked by parsing again after whole().size() bytes. Looks at magic, length and offsets only,
    /// not at the CRC: sums of its offsets may be made, of its timestamps not. fails: truncated
    /// (not whole) · malformed (length below a header, !offsets_hold()) · unsupported (magic is not
    /// 2)
    static Result<BatchView> parse(ByteView bytes);
    /// The same without a look at the offsets: for a batch that a producer sent, which has none
    /// yet, and whose header is worth nothing before its CRC held.
    static Result<BatchView> cut(ByteView bytes);

    const BatchHeader& header() const { return header_; }
    bool crc_ok() const;  ///< cost: one pass over the batch
    ByteView records() const { return whole_.subspan(batch_header_size); }  ///< byte 61 to the end
    ByteView whole() const { return whole_; }
    Codec codec() const { return header_.codec(); }

private:
    BatchView(ByteView whole, const BatchHeader& header) : whole_(whole), header_(header) {}

    ByteView whole_;
    BatchHeader header_;
};

/// A header of a record. The key is text and never null; the value may be null.
struct RecordHeader {
    StringView key;
    BytesView value = nullptr;
};

/// The headers of a record that RecordReader has already checked: walking them cannot fail.
class RecordHeaders {
public:
    RecordHeaders() = default;
    RecordHeaders(ByteView encoded, std::int32_t count) : left_(encoded), count_(count) {}

    std::int32_t size() const { return count_; }  ///< headers not yet taken by next()
    std::optional<RecordHeader> next();
    ByteView encoded() const { return left_; }  ///< what follows the header count on the wire

private:
    ByteView left_;
    std::int32_t count_ = 0;
};

struct RecordView {
    std::int32_t offset_delta = 0;
    std::int64_t timestamp_delta = 0;
    BytesView key = nullptr;
    BytesView value = nullptr;
    RecordHeaders headers;
};

/// Walks uncompressed records. Sticky: after the first bad byte next() yields nothing any more and
/// finish() tells why, so a caller loops first and asks once.
class RecordReader {
public:
    RecordReader(ByteView records, std::int32_t count)
        : left_(records), count_(count < 0 ? 0 : count), bad_(count < 0) {}

    /// The next record, its headers checked; nothing at the end or after damage.
    std::optional<RecordView> next();
    /// ok when exactly `count` records filled exactly all bytes, else malformed or (bytes end
    /// early) truncated.
    Status finish() const;
    std::int32_t index() const { return index_; }  ///< of the record that next() would give

private:
    std::optional<RecordView> stop(Error error);

    ByteView left_;
    std::int32_t count_;
    std::int32_t index_ = 0;
    bool bad_ = false;
    Error error_ = Error::malformed;
};

/// A record to be written.
struct RecordInput {
    std::int64_t timestamp = 0;  ///< milliseconds since 1970
    BytesView key = nullptr;
    BytesView value = nullptr;
    std::span<const RecordHeader> headers{};
};

/// Who sends a batch and how, for BatchBuilder::finish.
struct BatchIdentity {
    std::int64_t producer_id = -1;
    std::int16_t producer_epoch = -1;
    std::int32_t base_sequence = -1;
    std::int16_t attributes =
        0;  ///< transactional bit; the codec when the records are compressed afterwards
};

/// Writes records into memory of the caller's, behind a gap of 61 bytes for the header. The size so
/// far is known after every append, so a batch is closed exactly at its limit.
class BatchBuilder {
public:
    BatchBuilder() = default;
    explicit BatchBuilder(MutableBytes memory) : memory_(memory) {}

    /// fails: full (does not fit behind what is there) · too_large (would not fit into empty memory
    /// either)
    Status append(const RecordInput& record);
    /// Bytes that this record would add now.
    std::size_t size_of(const RecordInput& record) const;
    void clear() { *this = BatchBuilder(memory_); }

    bool empty() const { return header_.record_count == 0; }
    std::int32_t record_count() const { return header_.record_count; }
    std::size_t size() const { return end_; }  ///< header included
    std::size_t capacity() const { return memory_.size(); }
    /// What is known so far: timestamps, counts, last_offset_delta. The rest is as in a default
    /// BatchHeader.
    const BatchHeader& header() const { return header_; }
    ByteView records() const;  ///< byte 61 to the end, as SourceBatch wants it

    /// Writes header and CRC; the whole batch. Not empty. May be called again with another
    /// identity.
    ByteView finish(const BatchIdentity& identity);

private:
    MutableBytes memory_;
    std::size_t end_ = batch_header_size;
    BatchHeader header_;
};

}  // namespace leat::wire
