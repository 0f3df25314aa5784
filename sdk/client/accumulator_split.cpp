// A batch that the broker finds too large goes again in parts (hosts only). What the queue had taken
// behind it would overtake it: it is asked back first, and goes again behind the last part.
//
//   refused -> cut -> gathering --nothing is in flight--> part by part, each alone -> as before
//
// In place: memory may be so short that there is no second buffer. A part begins where the last
// one ended, so the offsets in it have to count from 0 again, which only ever makes it shorter.
#include "sdk/client/accumulator.hpp"
#include "sdk/client/partition_queue.hpp"

namespace leat::client {

namespace {

using wire::ErrorCode;

bool is_too_large(ErrorCode error) {
    return error == ErrorCode::message_too_large || error == ErrorCode::record_list_too_large;
}

Ticket ticket_of(const Accumulator::Buffer& buffer) {
    return reinterpret_cast<std::uintptr_t>(&buffer);
}

/// A varint of our own writing.
std::uint64_t read_varint(const std::uint8_t*& at) {
    std::uint64_t value = 0;
    for (unsigned shift = 0;; shift += 7) {
        const std::uint8_t byte = *at++;
        value |= std::uint64_t{byte & 0x7fU} << shift;
        if ((byte & 0x80) == 0 || shift >= 63) return value;
    }
}

std::uint8_t* write_varint(std::uint64_t value, std::uint8_t* at) {
    for (; value > 0x7f; value >>= 7) *at++ = static_cast<std::uint8_t>(value | 0x80);
    *at++ = static_cast<std::uint8_t>(value);
    return at;
}

std::int64_t unzigzag(std::uint64_t value) {
    return static_cast<std::int64_t>(value >> 1) ^ -static_cast<std::int64_t>(value & 1);
}

/// A record as it lies in a batch: length, attributes, timestamp delta, offset delta, the rest.
struct Record {
    explicit Record(const std::uint8_t* at) {
        const std::uint64_t length = read_varint(at) >> 1;
        body = at++;
        end = body + length;
        timestamp_delta = unzigzag(read_varint(at));
        offset_at = at;
        (void)read_varint(at);
        rest = at;
    }
    const std::uint8_t *body, *offset_at, *rest, *end;
    std::int64_t timestamp_delta;
};

/// The same with another offset delta, at `to`, which is not behind it. Returns its end.
std::uint8_t* move_record(const Record& record, std::uint64_t offset, std::uint8_t* to) {
    constexpr std::size_t varint_max = 10;
    std::uint8_t head[3 * varint_max + 1];
    std::uint8_t delta[varint_max];
    const auto delta_size = static_cast<std::size_t>(write_varint(offset << 1, delta) - delta);
    const auto before = static_cast<std::size_t>(record.offset_at - record.body);
    const auto behind = static_cast<std::size_t>(record.end - record.rest);
    std::uint8_t* at = write_varint((before + delta_size + behind) << 1, head);
    std::memcpy(at, record.body, before);
    std::memcpy(at + before, delta, delta_size);
    const auto size = static_cast<std::size_t>(at - head) + before + delta_size;
    std::memmove(to + size, record.rest, behind);
    std::memcpy(to, head, size);
    return to + size + behind;
}

}  // namespace

/// Gives the rest its offsets, and chooses what of it goes next.
void Accumulator::cut(const Slot& s, Buffer& buffer) {
    const std::uint32_t most = records_max(s);
    std::uint8_t* const begin = buffer.memory.data() + buffer.from;
    const std::uint8_t* from = begin;
    std::uint8_t* to = begin;
    bool is_full = false;
    buffer.part_records = 0;
    for (std::int32_t i = 0; i < buffer.record_count; ++i) {
        const Record record(from);
        from = record.end;
        to = move_record(record, static_cast<std::uint64_t>(i), to);
        const auto size = static_cast<std::uint32_t>(to - begin);
        is_full |= i > 0 && size > most;
        if (is_full) continue;
        const auto timestamp =
            static_cast<std::int64_t>(static_cast<std::uint64_t>(buffer.base_timestamp) +
                                      static_cast<std::uint64_t>(record.timestamp_delta));
        if (i == 0 || timestamp > buffer.part_max_timestamp) buffer.part_max_timestamp = timestamp;
        buffer.part = size;
        buffer.part_records = i + 1;
    }
    buffer.used = buffer.from + static_cast<std::uint32_t>(to - begin);
}

/// false: it cannot go in parts.
bool Accumulator::begin_apart(Slot& s, Buffer& buffer) {
    if (s.queue == nullptr || (buffer.part > 0 ? buffer.part_records : buffer.record_count) < 2)
        return false;
    const std::uint32_t sent =
        wire::batch_header_size + (buffer.part > 0 ? buffer.part : buffer.used);
    if (buffer.attributes != 0) {
        if (compressor_ == nullptr) return false;
        const Result<std::size_t> size =
            compressor_->expand(buffer.memory.first(buffer.used), compress_room_);
        if (!size || *size > buffer.memory.size()) return false;
        copy_bytes(compress_room_.first(*size), buffer.memory.first(*size));
        buffer.used = static_cast<std::uint32_t>(*size);
        buffer.attributes = 0;
    }
    // A longer one was made before that was known, and tells nothing new.
    if (s.bytes_max == 0 || sent <= s.bytes_max) s.bytes_max = sent / 2;
    s.is_gathering = true;
    cut(s, buffer);
    return true;
}

/// Asks the queue for what it has taken; again, while something of that is in flight.
void Accumulator::gather(Slot& s) {
    if (s.asking_back) return;
    s.asking_back = true;
    const bool is_all_here = s.queue->fail_all(Instant{}, ErrorCode::message_too_large);
    s.asking_back = false;
    if (!is_all_here) return;
    s.is_gathering = false;
    s.part_is_out = false;
    s.untaken = s.first;
    wake(s);
}

void Accumulator::settle_apart(std::uint16_t slot, Ticket ticket, const Outcome& outcome) {
    Slot& s = slots_[slot];
    Buffer* before = nullptr;
    Buffer* buffer = s.first;
    // The first, but for what is taken out of order while others are gathered.
    for (; buffer != s.untaken && ticket_of(*buffer) != ticket; buffer = buffer->next)
        before = buffer;
    LEAT_CHECK(buffer != nullptr && buffer != s.untaken);
    const bool comes_back =
        is_too_large(outcome.error) && (s.is_gathering || begin_apart(s, *buffer));
    if (!comes_back) finish(slot, before, *buffer, outcome);
    if (s.is_gathering) gather(s);
}

/// The batch, or the part of it that was sent, is over.
void Accumulator::finish(std::uint16_t slot, Buffer* before, Buffer& buffer,
                         const Outcome& outcome) {
    Slot& s = slots_[slot];
    const std::int32_t count = buffer.part > 0 ? buffer.part_records : buffer.record_count;
    const DeliveryReport report{.slot = slot,
                                .first_record = buffer.first_record,
                                .record_count = count,
                                .error = outcome.error,
                                .base_offset = outcome.base_offset,
                                .log_append_time = outcome.log_append_time};
    if (count < buffer.record_count) {
        buffer.first_record += static_cast<std::uint64_t>(count);
        buffer.record_count -= count;
        buffer.from += buffer.part;
        cut(s, buffer);
        s.part_is_out = false;
        s.untaken = &buffer;
        wake(s);
    } else {
        (before != nullptr ? before->next : s.first) = buffer.next;
        if (s.last == &buffer) s.last = before;
        give_back(buffer);
        --unsettled_;
    }
    if (deliveries_ != nullptr) deliveries_->delivered(report);
}

}  // namespace leat::client
