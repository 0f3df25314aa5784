// Produce 9 and InitProducerId 4, byte by byte: a kilobyte less flash than wire's codec would take.
// The tests run the whole Sender over this file too and hold its frames against wire's.
//
//   request   transactional_id null · acks i16 · timeout_ms i32 · 1 topic: name · 1 partition:
//   index i32 ·
//             records (uvarint length + 1) · no tags of partition, topic, request
//   response  topics: name · partitions: index i32, error_code i16, base_offset i64,
//   log_append_time_ms i64,
//             log_start_offset i64, record_errors (i32, text, tags), error_message, tags · tags ·
//             throttle_time_ms i32 · tags
#include "sdk/base/crc32c.hpp"
#include "sdk/client/produce_codec.hpp"
#include "sdk/client/scan.hpp"

namespace leat::client {

std::size_t produce_batches_max() { return 1; }

namespace {

std::uint8_t* put_uvarint(std::uint32_t value, std::uint8_t* at) {
    for (; value > 0x7f; value >>= 7) *at++ = static_cast<std::uint8_t>(value | 0x80);
    *at++ = static_cast<std::uint8_t>(value);
    return at;
}

void write_header(const TakenBatch& batch, const ProducerState& who, std::uint8_t* at) {
    const SourceBatch& source = batch.source;
    const std::size_t length =
        wire::batch_header_size - wire::batch_length_from + source.records.size();
    at = put64(0, at);  // base_offset
    at = put32(static_cast<std::uint32_t>(length), at);
    at = put32(0xffffffff, at);  // partition_leader_epoch
    *at++ = 2;                   // magic
    std::uint8_t* const crc_at = at;
    at = put16(static_cast<std::uint16_t>(std::int16_t{source.attributes}), at + 4);
    const std::int32_t last =
        profile.any_source ? std::int32_t{source.last_offset_delta} : source.record_count - 1;
    at = put32(static_cast<std::uint32_t>(last), at);
    at = put64(source.base_timestamp, at);
    at = put64(source.max_timestamp, at);
    at = put64(who.producer_id, at);
    at = put16(static_cast<std::uint16_t>(who.producer_epoch), at);
    at = put32(static_cast<std::uint32_t>(batch.base_sequence), at);
    at = put32(static_cast<std::uint32_t>(source.record_count), at);
    const std::uint32_t crc = crc32c(0, {crc_at + 4, at});
    put32(crc32c(crc, source.records), crc_at);
}

}  // namespace

Status append_produce(Connection& connection, const ProduceHead& head, const PartitionQueue& queue,
                      TakenBatch* first) {
    const std::string_view topic = queue.topic();
    const std::size_t records = first->source.records.size();
    const MutableBytes room = connection.room();
    constexpr std::size_t words = 1 + 2 + 4 + 1 + 5 + 1 + 4 + 5;
    if (room.size() < words + topic.size() + wire::batch_header_size + 3) return fail(Error::full);
    std::uint8_t* at = room.data();
    *at++ = 0;
    at = put16(static_cast<std::uint16_t>(head.acks), at);
    at = put32(static_cast<std::uint32_t>(head.timeout_ms), at);
    *at++ = 2;
    at = put_uvarint(static_cast<std::uint32_t>(topic.size()) + 1, at);
    copy_bytes(bytes_of(topic), {at, topic.size()});
    at += topic.size();
    *at++ = 2;
    at = put32(static_cast<std::uint32_t>(queue.partition()), at);
    at = put_uvarint(static_cast<std::uint32_t>(wire::batch_header_size + records) + 1, at);
    write_header(*first, queue.sending_as(), at);
    at += wire::batch_header_size;
    connection.append_own(static_cast<std::size_t>(at - room.data()));
    connection.append_borrowed(first->source.records);
    at[0] = at[1] = at[2] = 0;
    connection.append_own(3);
    return ok();
}

Status read_produced(const Event& answer, ProducedAnswer& out) {
    Scan scan(answer.body);
    const std::uint32_t topics = scan.uvarint();
    out.topic = text_of(scan.compact());
    const std::uint32_t partitions = scan.uvarint();
    out.index = static_cast<std::int32_t>(scan.u32());
    out.outcome.error = static_cast<wire::ErrorCode>(scan.u16());
    out.outcome.base_offset = scan.i64();
    out.outcome.log_append_time = scan.i64();
    scan.bytes(8);
    const std::uint32_t errors = scan.uvarint();
    for (std::uint32_t i = errors; i > 1 && !scan.is_bad(); --i) {
        scan.bytes(4);
        scan.compact();
        scan.skip_tags();
    }
    scan.compact();
    scan.skip_tags();
    scan.skip_tags();
    out.throttle_ms = static_cast<std::int32_t>(scan.u32());
    scan.skip_tags();
    // One topic and one partition were asked for; each count is one more than what it counts.
    // Nothing is told before the last byte has made sense.
    const bool shape = topics == 2 && partitions == 2 && errors > 0;
    if (!shape || scan.is_bad() || !scan.rest().empty()) return fail(Error::malformed);
    return ok();
}

Result<std::int32_t> read_produced(const Event& event, Produced& to) {
    ProducedAnswer answer;
    if (!read_produced(event, answer)) return fail(Error::malformed);
    to.told(answer.topic, {}, answer.index, answer.outcome);
    return answer.throttle_ms;
}

Status send_init_producer_id(Connection& connection, Instant now, std::int16_t version,
                             const RequestOptions& options) {
    constexpr std::size_t size = 1 + 4 + 8 + 2 + 1;
    Result<MutableBytes> room = connection.open_request(wire::ApiKey::init_producer_id, version);
    if (!room) return fail(room.error());
    if (room->size() < size) return connection.give_back_request(Error::full);
    // No transactional id, so no time-out; no id yet, nor epoch; no tags.
    static constexpr std::uint8_t body[size] = {0,    0,    0,    0,    0,    0xff, 0xff, 0xff,
                                                0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0};
    std::memcpy(room->data(), body, size);
    connection.append_own(size);
    connection.seal_request(now, options);
    return ok();
}

Result<ProducerIdAnswer> read_producer_id(const Event& event) {
    Scan scan(event.body);
    ProducerIdAnswer answer;
    answer.throttle_ms = static_cast<std::int32_t>(scan.u32());
    answer.error = static_cast<wire::ErrorCode>(scan.u16());
    answer.producer_id = scan.i64();
    answer.producer_epoch = static_cast<std::int16_t>(scan.u16());
    if (scan.is_bad()) return fail(Error::malformed);
    return answer;
}

}  // namespace leat::client
