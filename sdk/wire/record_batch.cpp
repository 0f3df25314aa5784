#include "sdk/wire/record_batch.hpp"

#include "sdk/base/crc32c.hpp"
#include "sdk/wire/varint.hpp"

namespace leat::wire {

BatchHeader read_batch_header(const std::uint8_t* at) {
    BatchHeader h;
    h.base_offset = load_big<std::int64_t>(at);
    h.batch_length = load_big<std::int32_t>(at + 8);
    h.partition_leader_epoch = load_big<std::int32_t>(at + 12);
    h.magic = static_cast<std::int8_t>(at[16]);
    h.crc = load_big<std::uint32_t>(at + 17);
    h.attributes = load_big<std::int16_t>(at + 21);
    h.last_offset_delta = load_big<std::int32_t>(at + 23);
    h.base_timestamp = load_big<std::int64_t>(at + 27);
    h.max_timestamp = load_big<std::int64_t>(at + 35);
    h.producer_id = load_big<std::int64_t>(at + 43);
    h.producer_epoch = load_big<std::int16_t>(at + 51);
    h.base_sequence = load_big<std::int32_t>(at + 53);
    h.record_count = load_big<std::int32_t>(at + 57);
    return h;
}

void write_batch_header(const BatchHeader& h, std::uint8_t* at) {
    store_big(at, h.base_offset);
    store_big(at + 8, h.batch_length);
    store_big(at + 12, h.partition_leader_epoch);
    at[16] = static_cast<std::uint8_t>(h.magic);
    store_big(at + 17, h.crc);
    store_big(at + 21, h.attributes);
    store_big(at + 23, h.last_offset_delta);
    store_big(at + 27, h.base_timestamp);
    store_big(at + 35, h.max_timestamp);
    store_big(at + 43, h.producer_id);
    store_big(at + 51, h.producer_epoch);
    store_big(at + 53, h.base_sequence);
    store_big(at + 57, h.record_count);
}

std::uint32_t batch_crc(const std::uint8_t* header, ByteView records) {
    const std::uint32_t crc =
        crc32c(0, {header + batch_crc_from, batch_header_size - batch_crc_from});
    return crc32c(crc, records);
}

void seal_batch_header(BatchHeader& header, ByteView records, std::uint8_t* at) {
    header.batch_length =
        static_cast<std::int32_t>(batch_header_size - batch_length_from + records.size());
    header.magic = 2;
    write_batch_header(header, at);
    header.crc = batch_crc(at, records);
    store_big(at + 17, header.crc);
}

Result<BatchView> BatchView::parse(ByteView bytes) {
    const Result<BatchView> batch = cut(bytes);
    if (batch && !batch->header().offsets_hold()) return fail(Error::malformed);
    return batch;
}

Result<BatchView> BatchView::cut(ByteView bytes) {
    // Magic first: where an old message set (magic 0, 1) lies, its byte 16 is the magic as well.
    if (bytes.size() > 16 && bytes[16] != 2) return fail(Error::unsupported);
    if (bytes.size() < batch_header_size) return fail(Error::truncated);
    const BatchHeader header = read_batch_header(bytes.data());
    constexpr auto length_min = static_cast<std::int32_t>(batch_header_size - batch_length_from);
    if (header.batch_length < length_min) return fail(Error::malformed);
    const auto length = static_cast<std::size_t>(header.batch_length);
    if (length > bytes.size() - batch_length_from) return fail(Error::truncated);
    return BatchView(bytes.first(batch_length_from + length), header);
}

bool BatchView::crc_ok() const { return crc32c(0, whole_.subspan(batch_crc_from)) == header_.crc; }

namespace {

/// Reads a length and that many bytes. `at` null in, null out.
const std::uint8_t* get_bytes(const std::uint8_t* at, const std::uint8_t* end, BytesView& out) {
    std::int32_t length = 0;
    at = get_varint(at, end, length);
    if (at == nullptr) return nullptr;
    if (length < 0) {
        // Kafka writes -1 for null; its reader takes any negative length for null, so do we.
        out = nullptr;
        return at;
    }
    if (static_cast<std::size_t>(length) > static_cast<std::size_t>(end - at)) return nullptr;
    out = ByteView(at, static_cast<std::size_t>(length));
    return at + length;
}

const std::uint8_t* get_header(const std::uint8_t* at, const std::uint8_t* end, RecordHeader& out) {
    BytesView key;
    at = get_bytes(at, end, key);
    if (at == nullptr || key.is_null()) return nullptr;
    out.key = text_of(key.view());
    return get_bytes(at, end, out.value);
}

}  // namespace

std::optional<RecordHeader> RecordHeaders::next() {
    if (count_ <= 0) return std::nullopt;
    RecordHeader header;
    const std::uint8_t* end = left_.data() + left_.size();
    const std::uint8_t* at = get_header(left_.data(), end, header);
    if (at == nullptr) {  // only when built by hand from unchecked bytes
        count_ = 0;
        return std::nullopt;
    }
    left_ = {at, static_cast<std::size_t>(end - at)};
    --count_;
    return header;
}

std::optional<RecordView> RecordReader::stop(Error error) {
    bad_ = true;
    error_ = error;
    return std::nullopt;
}

std::optional<RecordView> RecordReader::next() {
    if (bad_ || index_ == count_) return std::nullopt;
    const std::uint8_t* at = left_.data();
    const std::uint8_t* all_end = at + left_.size();
    std::int32_t length = 0;
    at = left_.empty() ? nullptr : get_varint(at, all_end, length);
    if (at == nullptr) return stop(Error::truncated);
    if (length < 0) return stop(Error::malformed);
    if (static_cast<std::size_t>(length) > static_cast<std::size_t>(all_end - at))
        return stop(Error::truncated);
    const std::uint8_t* end = at + length;

    RecordView record;
    std::int32_t header_count = 0;
    if (at == end) return stop(Error::malformed);
    ++at;  // attributes: unused, and Kafka does not look at them either
    at = get_varint(at, end, record.timestamp_delta);
    at = get_varint(at, end, record.offset_delta);
    if (at != nullptr) at = get_bytes(at, end, record.key);
    if (at != nullptr) at = get_bytes(at, end, record.value);
    at = get_varint(at, end, header_count);
    if (at == nullptr || header_count < 0) return stop(Error::malformed);

    const std::uint8_t* headers = at;
    for (std::int32_t i = 0; i < header_count && at != nullptr; ++i) {
        RecordHeader ignored;
        at = get_header(at, end, ignored);
    }
    if (at != end) return stop(Error::malformed);
    record.headers =
        RecordHeaders({headers, static_cast<std::size_t>(end - headers)}, header_count);

    left_ = {end, static_cast<std::size_t>(all_end - end)};
    ++index_;
    return record;
}

Status RecordReader::finish() const {
    if (bad_) return fail(error_);
    if (index_ != count_ || !left_.empty()) return fail(Error::malformed);
    return ok();
}

namespace {

std::size_t size_with_length(BytesView bytes) {
    if (bytes.is_null()) return 1;
    return varint_size(static_cast<std::int32_t>(bytes.size())) + bytes.size();
}

std::uint8_t* put_with_length(std::uint8_t* at, BytesView bytes) {
    if (bytes.is_null()) {
        *at++ = 1;  // zigzag of -1
        return at;
    }
    at = put_varint(at, static_cast<std::int32_t>(bytes.size()));
    copy_bytes(bytes.view(), {at, bytes.size()});
    return at + bytes.size();
}

struct Deltas {
    std::int64_t timestamp;
    std::int32_t offset;
};

// Lengths above 2^30 are refused by the callers' bounds before a sum could wrap: memory is below
// 2^31.
std::size_t body_size(const RecordInput& record, Deltas deltas) {
    std::size_t size = 1 + varint_size(deltas.timestamp) + varint_size(deltas.offset) +
                       size_with_length(record.key) + size_with_length(record.value) +
                       varint_size(static_cast<std::int32_t>(record.headers.size()));
    for (const RecordHeader& header : record.headers)
        size += size_with_length(bytes_of(header.key.view())) + size_with_length(header.value);
    return size;
}

Deltas deltas_of(const RecordInput& record, const BatchHeader& header) {
    if (header.record_count == 0) return {.timestamp = 0, .offset = 0};
    // Unsigned, so that two absurd time stamps wrap instead of being undefined.
    const auto delta = static_cast<std::uint64_t>(record.timestamp) -
                       static_cast<std::uint64_t>(header.base_timestamp);
    return {.timestamp = static_cast<std::int64_t>(delta), .offset = header.record_count};
}

}  // namespace

std::size_t BatchBuilder::size_of(const RecordInput& record) const {
    const std::size_t body = body_size(record, deltas_of(record, header_));
    return varint_size(static_cast<std::int32_t>(body)) + body;
}

Status BatchBuilder::append(const RecordInput& record) {
    const Deltas deltas = deltas_of(record, header_);
    const std::size_t body = body_size(record, deltas);
    const std::size_t size = varint_size(static_cast<std::int32_t>(body)) + body;
    const std::size_t used =
        end_ > memory_.size() ? memory_.size() : end_;  // memory below one header
    if (size > memory_.size() - used) {
        const std::size_t empty_room =
            memory_.size() < batch_header_size ? 0 : memory_.size() - batch_header_size;
        return fail(size > empty_room ? Error::too_large : Error::full);
    }

    std::uint8_t* at = memory_.data() + end_;
    at = put_varint(at, static_cast<std::int32_t>(body));
    *at++ = 0;
    at = put_varint(at, deltas.timestamp);
    at = put_varint(at, deltas.offset);
    at = put_with_length(at, record.key);
    at = put_with_length(at, record.value);
    at = put_varint(at, static_cast<std::int32_t>(record.headers.size()));
    for (const RecordHeader& header : record.headers) {
        at = put_with_length(at, bytes_of(header.key.view()));
        at = put_with_length(at, header.value);
    }

    if (header_.record_count == 0)
        header_.base_timestamp = header_.max_timestamp = record.timestamp;
    if (record.timestamp > header_.max_timestamp) header_.max_timestamp = record.timestamp;
    header_.last_offset_delta = header_.record_count;
    ++header_.record_count;
    end_ += size;
    return ok();
}

ByteView BatchBuilder::records() const {
    if (empty()) return {};
    return memory_.subspan(batch_header_size, end_ - batch_header_size);
}

ByteView BatchBuilder::finish(const BatchIdentity& identity) {
    LEAT_CHECK(!empty());
    header_.producer_id = identity.producer_id;
    header_.producer_epoch = identity.producer_epoch;
    header_.base_sequence = identity.base_sequence;
    header_.attributes = identity.attributes;
    seal_batch_header(header_, records(), memory_.data());
    return memory_.first(end_);
}

}  // namespace leat::wire
