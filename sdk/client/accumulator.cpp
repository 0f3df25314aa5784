#include "sdk/client/accumulator.hpp"

#include "sdk/client/partition_queue.hpp"
#include "sdk/client/scan.hpp"

namespace leat::client {

namespace {
Ticket ticket_of(const Accumulator::Buffer& buffer) {
    return reinterpret_cast<std::uintptr_t>(&buffer);
}
}  // namespace

std::uint32_t Accumulator::records_max(const Slot& s) {
    constexpr std::uint32_t header = wire::batch_header_size;
    const std::uint32_t most = s.bytes_max;
    return most == 0 ? UINT32_MAX : most > header ? most - header : 0;
}

Accumulator::Accumulator(std::span<Slot> slots, const AccumulatorConfig& config,
                         Reports* deliveries, BatchCompressor* compressor,
                         MutableBytes compress_room)
    : slots_(slots),
      config_(config),
      deliveries_(deliveries),
      compressor_(compressor),
      compress_room_(compress_room) {}

void DeliveryCounts::delivered(const DeliveryReport& report) {
    const auto count = static_cast<std::uint32_t>(report.record_count);
    if (report.error == wire::ErrorCode::none) {
        records_delivered += count;
    } else {
        records_failed += count;
        last_error = report.error;
    }
}

void Accumulator::start(Reports& reports) {
    deliveries_ = &reports;
    for (std::size_t i = 0; i < buffers_.size(); ++i) give_back(buffers_[i]);
}

void Accumulator::add_buffers(std::span<Buffer> buffers, MutableBytes memory) {
    LEAT_CHECK(!buffers.empty());
    const auto size = static_cast<std::uint32_t>(memory.size() / buffers.size());
    std::uint8_t found = 0;
    while (found < class_count_ && classes_[found].size < size) ++found;
    if (found == class_count_ || classes_[found].size != size) {
        LEAT_CHECK(class_count_ < classes_max);
        // Class numbers stand in buffers in use: a new class may only be a longer one.
        LEAT_CHECK(found == class_count_);
        classes_[class_count_++].size = size;
    }
    for (Buffer& buffer : buffers) {
        buffer.memory = Room<std::uint8_t, profile.memory.batch_bytes>(memory.first(size));
        memory = memory.subspan(size);
        buffer.size_class = found;
        give_back(buffer);
    }
}

void Accumulator::give_back(Buffer& buffer) {
    Class& its = classes_[classes_max > 1 ? buffer.size_class : 0];
    buffer.next = its.free;
    its.free = &buffer;
    if constexpr (!profile.memory.is_fixed()) ++free_count_;
}

// ---- records in

/// Bytes that are left. A record too long for a batch has one of its own.
std::size_t Accumulator::room(const Buffer& buffer) const {
    std::size_t limit = buffer.memory.size();
    if (buffer.record_count > 0) {
        limit = std::min<std::size_t>(limit, config_.batch_bytes);
        if constexpr (splits) limit = std::min<std::size_t>(limit, buffer.bytes_max);
    }
    return limit > buffer.used ? limit - buffer.used : 0;
}

bool Accumulator::starts_batch(std::uint16_t slot, const wire::RecordInput& record) const {
    const Buffer* last = slots_[slot].last;
    return last == nullptr || !last->open || room(*last) < record_bytes_max(record);
}

bool Accumulator::put(Buffer& buffer, const wire::RecordInput& record) {
    const MutableBytes out = buffer.memory.subspan(buffer.used, room(buffer));
    if (buffer.record_count == 0) buffer.base_timestamp = buffer.max_timestamp = record.timestamp;
    // Unsigned, so that two absurd time stamps wrap instead of being undefined.
    const auto delta = static_cast<std::int64_t>(static_cast<std::uint64_t>(record.timestamp) -
                                                 static_cast<std::uint64_t>(buffer.base_timestamp));
    const std::size_t size = write_record(out, record, delta, buffer.record_count);
    if (size == 0) return false;
    if (record.timestamp > buffer.max_timestamp) buffer.max_timestamp = record.timestamp;
    buffer.used += static_cast<std::uint32_t>(size);
    ++buffer.record_count;
    return true;
}

Result<std::uint64_t> Accumulator::append(std::uint16_t slot, Instant now,
                                          const wire::RecordInput& record) {
    Slot& s = slots_[slot];
    Buffer* buffer = s.last;
    if (buffer == nullptr || !buffer->open || !put(*buffer, record)) {
        if (buffer != nullptr && buffer->open) {
            if constexpr (classes_max > 1) s.want_bytes = config_.batch_bytes;
            close(*buffer);
            wake(s);
        }
        const std::size_t bytes = record_bytes_max(record);
        if (bytes > buffer_bytes_max()) return fail(Error::too_large);
        buffer = begin(s, now, bytes);
        if (buffer == nullptr) return fail(Error::full);
        (void)put(*buffer, record);
    }
    if (buffer == s.untaken && !(profile.lingers && buffer->linger.is_linked())) wake(s);
    if constexpr (!profile.numbers_records) return 0;
    const std::uint64_t number = s.record_count;
    s.record_count = number + 1;
    return number;
}

Accumulator::Buffer* Accumulator::begin(Slot& s, Instant now, std::size_t bytes) {
    Buffer* found = allocate(bytes, s.want_bytes);
    if (found == nullptr) return nullptr;
    Buffer& buffer = *found;
    if constexpr (profile.numbers_records) buffer.first_record = s.record_count;
    if constexpr (profile.expires) buffer.created = now;
    buffer.used = 0;
    buffer.record_count = 0;
    if constexpr (profile.compresses) buffer.attributes = 0;
    if constexpr (splits) {
        buffer.from = 0;
        buffer.part = 0;
        buffer.bytes_max = records_max(s);
    }
    buffer.next = nullptr;
    buffer.open = true;
    (s.last != nullptr ? s.last->next : s.first) = &buffer;
    s.last = &buffer;
    if (s.untaken == nullptr) s.untaken = &buffer;
    if constexpr (profile.several_queues) ++unsettled_;
    if constexpr (profile.lingers) {
        buffer.linger.queue = s.queue;
        if (config_.linger.count() > 0) lingers_.insert(buffer.linger, now + config_.linger);
    }
    return &buffer;
}

std::size_t Accumulator::buffer_bytes_max() const {
    if constexpr (profile.memory.is_fixed()) return profile.memory.batch_bytes;
    return class_count_ == 0 ? 0 : std::uint32_t{classes_[class_count_ - 1].size};
}

/// The smallest free buffer of at least `wanted` bytes, else the largest that holds the record.
Accumulator::Buffer* Accumulator::allocate(std::size_t bytes, std::size_t wanted) {
    Class* best = nullptr;
    for (std::uint8_t i = 0; i < (classes_max > 1 ? class_count_ : 1); ++i) {
        Class& candidate = classes_[i];
        if (candidate.free == nullptr || (classes_max > 1 && candidate.size < bytes)) continue;
        best = &candidate;
        if (classes_max > 1 && candidate.size >= wanted) break;
    }
    if (best == nullptr) return nullptr;
    Buffer* buffer = best->free;
    best->free = buffer->next;
    if constexpr (!profile.memory.is_fixed()) --free_count_;
    return buffer;
}

// ---- batches out

void Accumulator::close(Buffer& buffer) {
    if constexpr (profile.lingers) buffer.linger.unlink();
    buffer.open = false;
    if (!profile.compresses || compressor_ == nullptr) return;
    const ByteView records = buffer.memory.first(buffer.used);
    Result<std::size_t> size = compressor_->compress(records, compress_room_);
    if (!size || *size >= records.size()) return;
    copy_bytes(compress_room_.first(*size), buffer.memory.first(*size));
    buffer.used = static_cast<std::uint32_t>(*size);
    buffer.attributes = static_cast<std::int16_t>(compressor_->codec());
}

void Accumulator::wake(const Slot& slot) {
    if constexpr (!profile.several_queues) return;
    PartitionQueue* const queue = slot.queue;
    if (queue != nullptr) queue->wake();
}

void Accumulator::end_lingers(Instant until) {
    // The batch stays open: while the Sender is busy with others it goes on taking records.
    if constexpr (profile.lingers)
        for (many::DueLink* link; (link = lingers_.first()) != nullptr;) {
            if (until != never && link->due > until) return;
            link->unlink();
            if (link->queue != nullptr) link->queue->wake();
        }
}

Peek Accumulator::peek(std::uint16_t slot, Instant now, SourceBatch& out) {
    Slot& s = slots_[slot];
    Buffer* buffer = s.untaken;
    if (buffer == nullptr) return Peek::empty;
    if constexpr (splits)
        if (s.is_gathering || s.part_is_out) return Peek::pending;
    if (buffer->open) {
        if constexpr (profile.lingers)
            if (buffer->linger.is_linked() && now < buffer->linger.due) return Peek::pending;
        if constexpr (classes_max > 1) s.want_bytes = buffer->used;
        close(*buffer);
    }
    out.ticket = ticket_of(*buffer);
    out.records = buffer->memory.first(buffer->used);
    if constexpr (profile.compresses) out.attributes = buffer->attributes;
    out.last_offset_delta = buffer->record_count - 1;
    out.base_timestamp = buffer->base_timestamp;
    out.max_timestamp = buffer->max_timestamp;
    out.record_count = buffer->record_count;
    if constexpr (profile.expires) out.created = buffer->created;
    if constexpr (splits)
        if (buffer->part > 0) {
            out.records = buffer->memory.subspan(buffer->from, buffer->part);
            out.last_offset_delta = buffer->part_records - 1;
            out.max_timestamp = buffer->part_max_timestamp;
            out.record_count = buffer->part_records;
        }
    return Peek::batch;
}

void Accumulator::take(std::uint16_t slot, Ticket ticket) {
    Slot& s = slots_[slot];
    LEAT_CHECK(!profile.any_source || (s.untaken != nullptr && ticket_of(*s.untaken) == ticket));
    if constexpr (splits)
        s.part_is_out = s.untaken->part > 0 && s.untaken->part_records < s.untaken->record_count;
    s.untaken = s.untaken->next;
}

void Accumulator::settle(std::uint16_t slot, Ticket ticket, const Outcome& outcome) {
    if constexpr (splits) return settle_apart(slot, ticket, outcome);
    Slot& s = slots_[slot];
    Buffer* buffer = s.first;
    LEAT_CHECK(!profile.any_source ||
               (buffer != nullptr && buffer != s.untaken && ticket_of(*buffer) == ticket));
    DeliveryReport report{
        .slot = slot, .record_count = buffer->record_count, .error = outcome.error};
    if constexpr (profile.numbers_records) {
        report.first_record = buffer->first_record;
        report.base_offset = outcome.base_offset;
        report.log_append_time = outcome.log_append_time;
    }
    s.first = buffer->next;
    if (s.first == nullptr) s.last = nullptr;
    give_back(*buffer);
    if constexpr (profile.several_queues) --unsettled_;
    if (deliveries_ != nullptr) deliveries_->delivered(report);
}

Instant Accumulator::oldest(std::uint16_t slot) const {
    const Buffer* untaken = slots_[slot].untaken;
    return untaken != nullptr ? Instant{untaken->created} : never;
}

}  // namespace leat::client
