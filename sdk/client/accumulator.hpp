// Batches in RAM: records go in, batches come out by linger and size. All memory is the caller's:
// buffers in size classes, a slot per partition. It never blocks: `full` is an answer, and who
// wants to wait waits for the report that frees a buffer.
#pragma once

#include <span>

#include "sdk/base/room.hpp"
#include "sdk/client/batch_source.hpp"
#include "sdk/client/due_list.hpp"
#include "sdk/wire/record_batch.hpp"

namespace leat::client {

/// How one batch ended. Records are numbered per slot from 0 in the order they were appended.
struct DeliveryReport {
    std::uint16_t slot = 0;
    std::uint64_t first_record = 0;
    std::int32_t record_count = 0;
    wire::ErrorCode error = wire::ErrorCode::none;
    std::int64_t base_offset = -1;
    std::int64_t log_append_time = -1;
};

/// Told from within settle(): no calls back into the producer but append.
class Deliveries {
public:
    virtual void delivered(const DeliveryReport& report) = 0;

protected:
    ~Deliveries() = default;
};

/// Counts records and keeps nothing.
struct DeliveryCounts final : std::conditional_t<profile.any_source, Deliveries, NoBase> {
    void delivered(const DeliveryReport& report);
    std::uint32_t records_delivered = 0;
    std::uint32_t records_failed = 0;
    wire::ErrorCode last_error = wire::ErrorCode::none;
};
/// Who is told: anybody, or (Profile) the counts without a vtable.
using Reports = std::conditional_t<profile.any_source, Deliveries, DeliveryCounts>;

/// Shrinks a batch's records before they are sent; hosted programs bring one (compression is not
/// core).
class BatchCompressor {
public:
    virtual Codec codec() const = 0;
    /// Compresses `records` into `out`. fails: too_large (did not fit: the batch goes out as it is)
    virtual Result<std::size_t> compress(ByteView records, MutableBytes out) = 0;
    /// The way back, for a batch that the broker finds too large. fails: unsupported: then it fails
    /// whole · malformed · too_large
    virtual Result<std::size_t> expand(ByteView, MutableBytes) { return fail(Error::unsupported); }

protected:
    ~BatchCompressor() = default;
};

struct AccumulatorConfig {
    milliseconds linger{5};
    std::uint32_t batch_bytes =
        16384;  ///< a batch is closed at this size; a longer record gets a buffer of its own
};

/// A batch of several records that the broker refuses as too large goes again in parts, one at a
/// time, and before what is behind it; so does Java's producer. Devices have no room for that.
constexpr bool splits = profile.any_source;

/// Without a vtable where there is no other source.
class Accumulator final : public std::conditional_t<profile.any_source, BatchSource, NoBase> {
public:
    /// A buffer and what is in it. Size classes are made by handing in buffers of several sizes.
    struct Buffer {
        std::int64_t base_timestamp = 0;
        std::int64_t max_timestamp = 0;
        [[no_unique_address]] If<profile.numbers_records, std::uint64_t> first_record{};
        [[no_unique_address]] If<profile.expires, Instant> created{};
        many::DueLink linger{};  ///< linked while it waits for more records
        Buffer* next = nullptr;  ///< in the free list, or the slot's next younger batch
        std::uint32_t used = 0;  ///< bytes of records
        std::int32_t record_count = 0;
        /// The codec, if it was compressed.
        [[no_unique_address]] If<profile.compresses, std::int16_t> attributes{};
        /// No more than this, if there are several.
        [[no_unique_address]] If<splits, std::uint32_t> bytes_max{};
        /// It goes in parts: what is before `from` is settled, and of the rest so much goes next.
        [[no_unique_address]] If<splits, std::uint32_t, 1> from{};
        [[no_unique_address]] If<splits, std::uint32_t, 2> part{};  ///< bytes; 0: it goes whole
        [[no_unique_address]] If<splits, std::int32_t> part_records{};
        [[no_unique_address]] If<splits, std::int64_t> part_max_timestamp{};
        std::uint8_t size_class = 0;
        bool open = false;  ///< takes records
        /// The records; the batch's header is the Sender's.
        Room<std::uint8_t, profile.memory.batch_bytes> memory{};
    };
    struct Slot {
        /// Woken when a batch is ready; an only one is asked at every turn.
        [[no_unique_address]] If<profile.several_queues, PartitionQueue*> queue{};
        Buffer* first = nullptr;    ///< oldest unsettled
        Buffer* untaken = nullptr;  ///< oldest that the Sender has not taken
        Buffer* last = nullptr;
        /// Ever appended.
        [[no_unique_address]] If<profile.numbers_records, std::uint64_t> record_count{};
        /// What the last batch came to: the buffer to ask for.
        [[no_unique_address]] If<profile.several_queues, std::uint32_t, 1> want_bytes{};
        /// A batch was refused as too large: from then on none is larger, with its header. 0: none
        /// was.
        [[no_unique_address]] If<splits, std::uint32_t, 2> bytes_max{};
        /// It was just now: what the queue had taken behind it comes back.
        [[no_unique_address]] If<splits, bool> is_gathering{};
        [[no_unique_address]] If<splits, bool, 1> asking_back{};
        [[no_unique_address]] If<splits, bool, 2> part_is_out{};  ///< and the rest comes first
    };

    Accumulator(std::span<Slot> slots, const AccumulatorConfig& config,
                Reports* deliveries = nullptr, BatchCompressor* compressor = nullptr,
                MutableBytes compress_room = {});
    Accumulator(const Accumulator&) = delete;
    Accumulator& operator=(const Accumulator&) = delete;

    /// With buffers and a slot of its own (Profile::memory). All zero, and start() comes first.
    constexpr Accumulator() = default;
    void start(Reports& reports);
    Reports& reports() { return *deliveries_; }

    /// Hands in buffers of one size: memory is cut into buffers.size() equal parts. Any time;
    /// smaller sizes first means that a slow partition holds a small one.
    void add_buffers(std::span<Buffer> buffers, MutableBytes memory);
    void attach(std::uint16_t slot, PartitionQueue& queue) { slots_[slot].queue = &queue; }

    // ask
    bool is_drained() const {
        return profile.several_queues ? unsettled_ == 0 : slots_[0].first == nullptr;
    }
    std::uint32_t free_buffers() const { return free_count_; }
    /// Records ever appended to `slot`: the number that the next one gets.
    std::uint64_t record_count(std::uint16_t slot) const { return slots_[slot].record_count; }
    std::size_t slot_count() const { return slots_.size(); }
    /// A new batch would start: the moment for a sticky partitioner to move on.
    bool starts_batch(std::uint16_t slot, const wire::RecordInput& record) const;
    Instant deadline() const { return lingers_.due(); }  ///< the next linger that ends

    // tell
    void on_deadline(Instant now) { end_lingers(now); }

    // want
    /// Copies one record in. Returns its number in the slot (see DeliveryReport).
    /// fails: full (no free buffer that it fits: later there may be one), too_large (no buffer is
    /// that long)
    Result<std::uint64_t> append(std::uint16_t slot, Instant now, const wire::RecordInput& record);
    /// All open batches are closed now, without waiting for their linger.
    void flush(Instant) { end_lingers(never); }

    // BatchSource, for the Sender (it overrides, where that is a base)
    Peek peek(std::uint16_t slot, Instant now, SourceBatch& out);
    void take(std::uint16_t slot, Ticket ticket);
    void settle(std::uint16_t slot, Ticket ticket, const Outcome& outcome);
    Instant oldest(std::uint16_t slot) const;
    void retrying(std::uint16_t slot, wire::ErrorCode, unsigned) {
        if constexpr (splits)
            if (slots_[slot].is_gathering) gather(slots_[slot]);
    }

private:
    // accumulator_split.cpp
    void settle_apart(std::uint16_t slot, Ticket ticket, const Outcome& outcome);
    bool begin_apart(Slot& s, Buffer& buffer);
    void gather(Slot& s);
    void finish(std::uint16_t slot, Buffer* before, Buffer& buffer, const Outcome& outcome);
    static void cut(const Slot& s, Buffer& buffer);
    static std::uint32_t records_max(const Slot& s);
    std::size_t buffer_bytes_max() const;
    void give_back(Buffer& buffer);
    Buffer* allocate(std::size_t bytes, std::size_t wanted);
    Buffer* begin(Slot& slot, Instant now, std::size_t bytes);
    void end_lingers(Instant until);
    bool put(Buffer& buffer, const wire::RecordInput& record);
    std::size_t room(const Buffer& buffer) const;
    void close(Buffer& buffer);
    void wake(const Slot& slot);

    static constexpr std::size_t classes_max = profile.several_queues ? 4 : 1;
    struct Class {
        Buffer* free = nullptr;
        [[no_unique_address]] If<!profile.memory.is_fixed(), std::uint32_t> size{};
    };
    /// What is asked for of the configuration.
    struct Fixed {
        static constexpr milliseconds linger{0};
        static constexpr std::uint32_t batch_bytes = profile.memory.batch_bytes;
        constexpr Fixed() = default;
        constexpr explicit Fixed(const AccumulatorConfig&) {}
    };
    static constexpr std::size_t own_slots = profile.memory.is_fixed() ? 1 : 0;
    Room<Slot, own_slots> slots_{};
    std::conditional_t<profile.memory.is_fixed(), Fixed, AccumulatorConfig> config_{};
    InnerOrLent<Reports, profile.memory.is_fixed()> deliveries_{};
    BatchCompressor* compressor_ = nullptr;
    MutableBytes compress_room_{};
    Class classes_[classes_max]{};
    std::conditional_t<profile.lingers, many::DueList, NoDueList<many::DueLink>> lingers_{};
    std::uint8_t class_count_ = 0;
    std::uint32_t free_count_ = 0;
    std::uint32_t unsettled_ = 0;
    Room<Buffer, profile.memory.batches> buffers_{};
};

}  // namespace leat::client
