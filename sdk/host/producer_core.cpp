#include "sdk/host/producer_core.hpp"

#include <algorithm>

namespace leat {
namespace {

constexpr std::size_t topic_bytes_max = 249;        // Kafka's own limit
constexpr std::size_t chunk_bytes_min = 256 * KiB;  // memory is taken in pieces of about this
constexpr std::size_t batch_overhead = wire::batch_header_size + 64;

wire::RecordInput input_of(const ProducerRecord& record, WallTime now) {
    wire::RecordInput input;
    input.timestamp = record.timestamp.value_or(now).time_since_epoch().count();
    input.key = nullptr;
    input.value = nullptr;
    if (record.key) input.key = bytes_of(*record.key);
    if (record.value) input.value = bytes_of(*record.value);
    input.headers = record.headers;
    return input;
}

}  // namespace

Producer::Impl::Impl(Loop::Impl& loop, cluster::RouterConfig config, const ProducerConfig& settings)
    : ClientCore(loop, std::move(config)),
      settings_(settings),
      compressor_(settings.compression),
      compress_room_(
          settings.compression == Codec::none ? 0 : settings.record_bytes_max + batch_overhead),
      slots_(settings.partitions_max),
      accumulator_(slots_, {.linger = settings.linger, .batch_bytes = settings.batch_bytes}, this,
                   settings.compression == Codec::none ? nullptr : &compressor_, compress_room_),
      sticky_(settings.batch_bytes, host::any_seed()) {}

Producer::Impl::~Impl() = default;

// ---- send

Status Producer::Impl::send(const ProducerRecord& record, OnDelivery on_delivery) {
    if (record.topic.empty() || record.topic.size() > topic_bytes_max) return fail(Error::invalid);
    std::unique_lock lock(loop_.mutex);
    const Instant until = now() + settings_.block_max;
    for (;;) {
        if (is_closed_) return fail(Error::closed);
        const Status sent = try_send(now(), record, on_delivery);
        if (sent || (sent.error() != Error::full && sent.error() != Error::would_block))
            return sent;
        if (settings_.when_full == ProducerConfig::WhenFull::fail || loop_.is_in_callback())
            return sent;
        // Something changes with every step of the loop: look again then.
        const std::uint64_t version = router_.metadata().version();
        const std::uint32_t free = accumulator_.free_buffers();
        const auto changed = [&] {
            return is_closed_ || router_.metadata().version() != version ||
                   accumulator_.free_buffers() > free;
        };
        if (!loop_.wait(lock, until, changed)) return fail(Error::timed_out);
    }
}

Status Producer::Impl::try_send(Instant at, const ProducerRecord& record, OnDelivery& on_delivery) {
    const wire::RecordInput input = input_of(record, loop_.clock.wall());
    Result<std::int32_t> partition = choose(record, input);
    if (!partition) return fail(partition.error());
    Result<std::uint16_t> slot = slot_of(at, record.topic, *partition);
    if (!slot) return fail(slot.error());
    if (!record.partition && !record.key && accumulator_.starts_batch(*slot, input)) {
        // Between two batches a change of partition costs nothing.
        sticky_.on_placed(record.topic, {.bytes = 0, .batch_is_over = true});
        partition = choose(record, input);
        slot = slot_of(at, record.topic, *partition);
        if (!slot) return fail(slot.error());
    }
    const std::size_t bytes = wire::BatchBuilder().size_of(input);
    if (bytes > settings_.record_bytes_max) return fail(Error::too_large);
    const bool starts = accumulator_.starts_batch(*slot, input);
    Result<std::uint64_t> number = accumulator_.append(*slot, at, input);
    while (!number && (number.error() == Error::full || number.error() == Error::too_large)) {
        if (!grow(bytes)) {
            if (starts) wake();
            return fail(Error::full);
        }
        number = accumulator_.append(*slot, at, input);
    }
    if (!number) return fail(number.error());
    ++stats_.accepted;
    if (!record.partition && !record.key)
        sticky_.on_placed(record.topic, {.bytes = bytes, .batch_is_over = false});
    if (on_delivery) partitions_[*slot]->waiting.push_back({*number, std::move(on_delivery)});
    if (starts) wake();  // a batch before it may be full, and its own linger has to be watched
    return ok();
}

Result<std::int32_t> Producer::Impl::choose(const ProducerRecord& record,
                                            const wire::RecordInput& input) {
    const cluster::TopicInfo* info = router_.metadata().find(record.topic);
    if (topics_.find(record.topic) == topics_.end()) {
        topics_.emplace(std::string(record.topic), Topic{});
        router_.want(now(), record.topic);
        wake();
    }
    if (!info || info->partitions.empty()) {
        const bool is_refused =
            info && info->error != ErrorCode::none && !wire::retriable(info->error);
        if (is_refused) stats_.last_error = info->error;
        return fail(is_refused ? Error::refused : Error::would_block);
    }
    const auto count = static_cast<std::int32_t>(info->partitions.size());
    if (record.partition) {
        if (*record.partition >= 0 && *record.partition < count) return *record.partition;
        if (*record.partition >= count) {  // made since, perhaps: whoever tries again soon finds it
            router_.refresh_metadata(now());
            wake();
        }
        return fail(Error::not_found);
    }
    return record.key ? cluster::partition_of_key(input.key.view(), count)
                      : sticky_.current(record.topic, *info);
}

Result<std::uint16_t> Producer::Impl::slot_of(Instant at, std::string_view topic,
                                              std::int32_t partition) {
    const auto found = topics_.find(topic);
    std::vector<std::int32_t>& slots = found->second.slots;
    if (slots.size() <= static_cast<std::size_t>(partition))
        slots.resize(static_cast<std::size_t>(partition) + 1, -1);
    std::int32_t& slot = slots[static_cast<std::size_t>(partition)];
    if (slot >= 0) return static_cast<std::uint16_t>(slot);
    if (partitions_.size() >= slots_.size()) return fail(Error::full);
    slot = static_cast<std::int32_t>(partitions_.size());
    partitions_.push_back(std::make_unique<Partition>(found->first, partition, accumulator_,
                                                      static_cast<std::uint16_t>(slot)));
    accumulator_.attach(static_cast<std::uint16_t>(slot), partitions_.back()->queue);
    router_.route(at, partitions_.back()->queue);
    return static_cast<std::uint16_t>(slot);
}

/// Brings memory for one more piece: of batches, or for one record that is longer than a batch.
/// Classes come shortest first, as the accumulator wants them.
bool Producer::Impl::grow(std::size_t record_bytes) {
    const bool is_long = record_bytes + wire::batch_header_size > settings_.batch_bytes;
    if (is_long && memory_.empty() && !grow(0)) return false;
    const std::size_t long_size = settings_.record_bytes_max + batch_overhead;
    const std::size_t size = is_long ? long_size : settings_.batch_bytes;
    std::size_t count = is_long ? 1 : std::max<std::size_t>(chunk_bytes_min / size, 1);
    std::uint64_t left =
        settings_.buffer_bytes - std::min(settings_.buffer_bytes, stats_.buffer_bytes);
    // Memory never changes its class. Without this, once short records had filled all of it, no
    // long one could be sent ever again.
    const bool may_be_long =
        settings_.record_bytes_max + wire::batch_header_size > settings_.batch_bytes;
    if (!is_long && may_be_long && !has_long_ && settings_.buffer_bytes / 2 >= long_size)
        left -= std::min<std::uint64_t>(left, long_size);
    count = std::min<std::size_t>(count, left / size);
    if (count == 0) return false;
    has_long_ |= is_long;
    Memory& memory = memory_.emplace_back();
    memory.buffers.resize(count);
    memory.bytes.reset(new std::uint8_t[count * size]);  // untouched until it is used
    accumulator_.add_buffers(memory.buffers, {memory.bytes.get(), count * size});
    stats_.buffer_bytes += count * size;
    return true;
}

// ---- reports

void Producer::Impl::delivered(const client::DeliveryReport& report) {
    const auto count = static_cast<std::uint64_t>(report.record_count);
    (report.error == ErrorCode::none ? stats_.acknowledged : stats_.failed) += count;
    if (report.error != ErrorCode::none) stats_.last_error = report.error;
    Partition& partition = *partitions_[report.slot];
    partition.settled = report.first_record + count;
    while (!partition.waiting.empty() &&
           partition.waiting.front().record < report.first_record + count) {
        Waiting& waiting = partition.waiting.front();
        Delivery delivery;
        delivery.error = report.error;
        delivery.topic = partition.queue.topic();
        delivery.partition = partition.queue.partition();
        if (report.base_offset >= 0)
            delivery.offset = report.base_offset +
                              static_cast<std::int64_t>(waiting.record - report.first_record);
        due_.push_back({std::move(waiting.on_delivery), delivery});
        ++due_count_;
        partition.waiting.pop_front();
    }
}

void Producer::Impl::on_router_event(const cluster::RouterEvent& event) {
    using Kind = cluster::RouterEvent::Kind;
    if (event.kind == Kind::connected) ++stats_.connects;
    if (event.kind == Kind::disconnected) ++stats_.disconnects;
    if (event.kind == Kind::connect_failed) ++stats_.connect_failures;
    // A topic that is just being made is no error yet.
    const bool is_refusal = event.kind == Kind::topic_error || event.kind == Kind::producer_refused;
    if (is_refusal && !wire::retriable(event.error)) stats_.last_error = event.error;
}

void Producer::Impl::on_time(Instant at) { accumulator_.on_deadline(at); }

void Producer::Impl::run_callbacks() {
    std::vector<Due> due;
    {
        const std::lock_guard lock(loop_.mutex);
        if (due_.empty()) return;
        due.swap(due_);
        is_calling_ = true;
    }
    const std::size_t count = due.size();
    for (Due& one : due) one.on_delivery(one.delivery);
    due.clear();
    const std::lock_guard lock(loop_.mutex);
    called_count_ += count;
    is_calling_ = false;
}

// ---- the end

Status Producer::Impl::flush(milliseconds timeout) {
    std::unique_lock lock(loop_.mutex);
    accumulator_.flush(now());
    wake();
    // Not for what others send meanwhile: under a steady load there would be no end.
    std::vector<std::uint64_t> records;
    for (const auto& partition : partitions_)
        records.push_back(accumulator_.record_count(partition->queue.slot()));
    std::optional<std::uint64_t> calls;
    const bool is_done = loop_.wait(lock, now() + timeout, [&] {
        for (std::size_t i = 0; !calls && i < records.size(); ++i)
            if (partitions_[i]->settled < records[i]) return false;
        if (!calls) calls = due_count_;
        return called_count_ >= *calls;
    });
    return is_done ? ok() : Status(fail(Error::timed_out));
}

Status Producer::Impl::close(milliseconds timeout) {
    {
        const std::lock_guard lock(loop_.mutex);
        if (is_closed_) return ok();
        is_closed_ = true;
    }
    const Status flushed = timeout.count() > 0 ? flush(timeout) : Status(fail(Error::timed_out));
    std::unique_lock lock(loop_.mutex);
    const bool was_settled = is_settled();
    shut();
    // A callback that runs just now may be using what our owner is about to destroy.
    loop_.wait(lock, now() + milliseconds(10'000), [&] { return !is_calling_; });
    std::vector<Due> due = std::move(due_);
    for (const auto& partition : partitions_) {
        for (Waiting& waiting : partition->waiting) {
            Delivery delivery;
            delivery.error = ErrorCode::request_timed_out;
            delivery.topic = partition->queue.topic();
            delivery.partition = partition->queue.partition();
            due.push_back({std::move(waiting.on_delivery), delivery});
        }
        partition->waiting.clear();
    }
    stats_.failed = stats_.accepted - stats_.acknowledged;
    lock.unlock();
    for (Due& one : due) one.on_delivery(one.delivery);
    return was_settled || flushed ? ok() : Status(fail(Error::timed_out));
}

ProducerStats Producer::Impl::stats() {
    const std::lock_guard lock(loop_.mutex);
    ProducerStats stats = stats_;
    stats.buffered = stats.accepted - stats.acknowledged - stats.failed;
    stats.connections = is_shut() ? 0 : static_cast<std::uint32_t>(router_.connected_count());
    return stats;
}

}  // namespace leat
