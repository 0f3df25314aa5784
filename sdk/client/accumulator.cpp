#include "sdk/client/accumulator.hpp"

namespace leat::client {

namespace {
std::uint64_t ticket_of(const Accumulator::Buffer& buffer) {
    return reinterpret_cast<std::uintptr_t>(&buffer);
}
}  // namespace

Accumulator::Accumulator(std::span<Slot> slots, const AccumulatorConfig& config,
                         Deliveries* deliveries, BatchCompressor* compressor,
                         MutableBytes compress_room)
    : slots_(slots),
      config_(config),
      deliveries_(deliveries),
      compressor_(compressor),
      compress_room_(compress_room) {}

void Accumulator::add_buffers(std::span<Buffer> buffers, MutableBytes memory) {
    LEAT_CHECK(!buffers.empty());
    const auto size = static_cast<std::uint32_t>(memory.size() / buffers.size());
    std::uint8_t found = 0;
    while (found < class_count_ && classes_[found].size < size) ++found;
    if (found == class_count_ || classes_[found].size != size) {
        LEAT_CHECK(class_count_ < classes_max && size > wire::batch_header_size);
        // Class numbers stand in buffers in use: a new class may only be a longer one.
        LEAT_CHECK(found == class_count_);
        classes_[class_count_++].size = size;
    }
    for (Buffer& buffer : buffers) {
        buffer.memory = memory.first(size);
        buffer.builder = wire::BatchBuilder(buffer.memory);
        memory = memory.subspan(size);
        buffer.size_class = found;
        buffer.next = classes_[found].free;
        classes_[found].free = &buffer;
        ++free_count_;
    }
}

// ---- records in

bool Accumulator::fits(const Buffer& buffer, const wire::RecordInput& record) const {
    const wire::BatchBuilder& builder = buffer.builder;
    const std::size_t room = std::min<std::size_t>(builder.capacity(), config_.batch_bytes);
    return builder.size() < room && builder.size_of(record) <= room - builder.size();
}

bool Accumulator::starts_batch(std::uint16_t slot, const wire::RecordInput& record) const {
    const Buffer* last = slots_[slot].last;
    return last == nullptr || !last->open || !fits(*last, record);
}

Result<std::uint64_t> Accumulator::append(std::uint16_t slot, Instant now,
                                          const wire::RecordInput& record) {
    Slot& s = slots_[slot];
    Buffer* buffer = s.last;
    bool wakes = false;
    if (starts_batch(slot, record)) {
        if (buffer != nullptr && buffer->open) {
            s.want_bytes = config_.batch_bytes;
            close(*buffer);
            wakes = true;
        }
        Result<Buffer*> begun = begin(slot, now, record);
        if (wakes) wake(slot);
        if (!begun) return fail(begun.error());
        buffer = *begun;
    }
    Status appended = buffer->builder.append(record);
    LEAT_CHECK(appended);  // begin and fits saw the room
    const std::uint64_t number = s.record_count++;
    if (!buffer->lingers && buffer == s.untaken) wake(slot);
    return number;
}

Result<Accumulator::Buffer*> Accumulator::begin(std::uint16_t slot, Instant now,
                                                const wire::RecordInput& record) {
    Slot& s = slots_[slot];
    const wire::BatchBuilder empty;
    Result<Buffer*> allocated = allocate(empty.size() + empty.size_of(record), s.want_bytes);
    if (!allocated) return allocated;
    Buffer& buffer = **allocated;
    buffer.slot = slot;
    buffer.first_record = s.record_count;
    buffer.created = now;
    buffer.attributes = 0;
    buffer.next = nullptr;
    buffer.open = true;
    (s.last != nullptr ? s.last->next : s.first) = &buffer;
    s.last = &buffer;
    if (s.untaken == nullptr) s.untaken = &buffer;
    ++unsettled_;
    if (config_.linger.count() == 0) return &buffer;
    buffer.lingers = true;
    buffer.linger_before = linger_last_;
    buffer.linger_after = nullptr;
    (linger_last_ != nullptr ? linger_last_->linger_after : linger_first_) = &buffer;
    linger_last_ = &buffer;
    return &buffer;
}

/// The smallest free buffer of at least `wanted` bytes, else the largest that holds the record.
Result<Accumulator::Buffer*> Accumulator::allocate(std::size_t bytes, std::size_t wanted) {
    Class* best = nullptr;
    for (std::uint8_t i = 0; i < class_count_; ++i) {
        Class& candidate = classes_[i];
        if (candidate.free == nullptr || candidate.size < bytes) continue;
        best = &candidate;
        if (candidate.size >= wanted) break;
    }
    if (best == nullptr)
        return fail(class_count_ == 0 || classes_[class_count_ - 1].size < bytes ? Error::too_large
                                                                                 : Error::full);
    Buffer* buffer = best->free;
    best->free = buffer->next;
    --free_count_;
    buffer->builder.clear();
    return buffer;
}

// ---- batches out

void Accumulator::linger_over(Buffer& buffer) {
    if (!buffer.lingers) return;
    buffer.lingers = false;
    (buffer.linger_before != nullptr ? buffer.linger_before->linger_after : linger_first_) =
        buffer.linger_after;
    (buffer.linger_after != nullptr ? buffer.linger_after->linger_before : linger_last_) =
        buffer.linger_before;
}

void Accumulator::close(Buffer& buffer) {
    linger_over(buffer);
    const ByteView records = buffer.builder.records();
    buffer.open = false;
    buffer.records_bytes = static_cast<std::uint32_t>(records.size());
    if (compressor_ == nullptr) return;
    Result<std::size_t> size = compressor_->compress(records, compress_room_);
    if (!size || *size >= records.size()) return;
    copy_bytes(compress_room_.first(*size), buffer.memory.subspan(wire::batch_header_size));
    buffer.records_bytes = static_cast<std::uint32_t>(*size);
    buffer.attributes = static_cast<std::int16_t>(compressor_->codec());
}

void Accumulator::wake(std::uint16_t slot) {
    if (slots_[slot].queue != nullptr) slots_[slot].queue->wake();
}

Instant Accumulator::deadline() const {
    return linger_first_ != nullptr ? linger_first_->created + config_.linger : never;
}

void Accumulator::on_deadline(Instant now) {
    // The batch stays open: while the Sender is busy with others it goes on taking records.
    while (deadline() <= now) {
        Buffer& buffer = *linger_first_;
        linger_over(buffer);
        wake(buffer.slot);
    }
}

void Accumulator::flush(Instant) {
    while (linger_first_ != nullptr) {
        Buffer& buffer = *linger_first_;
        linger_over(buffer);
        wake(buffer.slot);
    }
}

Peek Accumulator::peek(std::uint16_t slot, Instant now, SourceBatch& out) {
    Slot& s = slots_[slot];
    Buffer* buffer = s.untaken;
    if (buffer == nullptr) return Peek::empty;
    if (buffer->open) {
        if (buffer->lingers && now < buffer->created + config_.linger) return Peek::pending;
        s.want_bytes = static_cast<std::uint32_t>(buffer->builder.size());
        close(*buffer);
    }
    const wire::BatchHeader& header = buffer->builder.header();
    out = {.ticket = ticket_of(*buffer),
           .records = buffer->memory.subspan(wire::batch_header_size, buffer->records_bytes),
           .attributes = buffer->attributes,
           .last_offset_delta = header.last_offset_delta,
           .base_timestamp = header.base_timestamp,
           .max_timestamp = header.max_timestamp,
           .record_count = header.record_count,
           .created = buffer->created};
    return Peek::batch;
}

void Accumulator::take(std::uint16_t slot, std::uint64_t ticket) {
    Slot& s = slots_[slot];
    LEAT_CHECK(s.untaken != nullptr && ticket_of(*s.untaken) == ticket);
    s.untaken = s.untaken->next;
}

void Accumulator::settle(std::uint16_t slot, std::uint64_t ticket, const Outcome& outcome) {
    Slot& s = slots_[slot];
    Buffer* buffer = s.first;
    LEAT_CHECK(buffer != nullptr && buffer != s.untaken && ticket_of(*buffer) == ticket);
    const DeliveryReport report{.slot = slot,
                                .first_record = buffer->first_record,
                                .record_count = buffer->builder.record_count(),
                                .error = outcome.error,
                                .base_offset = outcome.base_offset,
                                .log_append_time = outcome.log_append_time};
    s.first = buffer->next;
    if (s.first == nullptr) s.last = nullptr;
    Class& size_class = classes_[buffer->size_class];
    buffer->next = size_class.free;
    size_class.free = buffer;
    ++free_count_;
    --unsettled_;
    if (deliveries_ != nullptr) deliveries_->delivered(report);
}

Instant Accumulator::oldest(std::uint16_t slot) const {
    const Buffer* untaken = slots_[slot].untaken;
    return untaken != nullptr ? untaken->created : never;
}

}  // namespace leat::client
