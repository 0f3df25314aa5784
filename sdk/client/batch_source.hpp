// Where batches come from that wait to be delivered: RAM (accumulator), a device's flash (spool),
// or the gateway's log (uplink). One Sender serves all three, so retry, order and idempotence exist
// once.
#pragma once

#include <cstdint>

#include "leat/time.hpp"
#include "sdk/base/bytes.hpp"
#include "sdk/wire/error_code.hpp"

namespace leat::client {

/// A source's own name for a batch.
using Ticket = std::conditional_t<profile.any_source, std::uint64_t, std::uintptr_t>;

/// What a source says about a batch; the Sender adds producer id, epoch and sequence and makes
/// header and CRC in memory of its own. The source's bytes are never written.
struct SourceBatch {
    Ticket ticket = 0;  ///< the source's own name for it, unique while unsettled
    ByteView records;   ///< RecordBatch bytes 61 to end; borrowed until settle(ticket)
    /// Codec and timestamp type; the Sender sets the rest.
    [[no_unique_address]] If<profile.any_source, std::int16_t> attributes = std::int16_t{0};
    /// record_count - 1 where the profile has no other source than the Accumulator.
    [[no_unique_address]] If<profile.any_source, std::int32_t> last_offset_delta = 0;
    std::int64_t base_timestamp = 0;
    std::int64_t max_timestamp = 0;
    std::int32_t record_count = 0;
    /// The delivery timeout counts from here; a source may switch it off.
    [[no_unique_address]] If<profile.expires, Instant> created{};
};

enum class Peek : std::uint8_t {
    batch,    ///< `out` is filled
    pending,  ///< there will be one, but not yet (a flash read under way, linger not over): ask
              ///< when the source says so
    empty,
};

struct Outcome {
    wire::ErrorCode error = wire::ErrorCode::none;  ///< none: delivered
    /// -1 for acks=0 or a duplicate without offset.
    [[no_unique_address]] If<profile.numbers_records, std::int64_t> base_offset = std::int64_t{-1};
    [[no_unique_address]] If<profile.numbers_records, std::int64_t, 1> log_append_time =
        std::int64_t{-1};
};

class BatchSource {
public:
    /// The next batch of `partition` that was not taken yet. Peeking again before take() gives the
    /// same one.
    virtual Peek peek(std::uint16_t partition, Instant now, SourceBatch& out) = 0;
    /// The peeked batch is now the Sender's: it stays readable until settle.
    virtual void take(std::uint16_t partition, Ticket ticket) = 0;
    /// Exactly once per taken batch, in the partition's order.
    virtual void settle(std::uint16_t partition, Ticket ticket, const Outcome& outcome) = 0;
    /// When the oldest batch that was not taken yet was begun, whether peek would give it already
    /// or not; `never` if there is none, or if nothing of this source expires. What the delivery
    /// timeout is counted from while nobody peeks (no connection).
    virtual Instant oldest(std::uint16_t partition) const = 0;
    /// An answer that sends the partition's next batch again after a back-off: why, and the how
    /// manieth in a row.
    virtual void retrying(std::uint16_t /*partition*/, wire::ErrorCode /*error*/,
                          unsigned /*times*/) {}
    /// The partition's next batch was sent before, and no answer said what became of it. false: not
    /// yet, until PartitionQueue::wake; the source finds out first.
    virtual bool may_send_again(std::uint16_t /*partition*/, Instant /*now*/) { return true; }
    /// The partition's next batches were sent before, are not there, and go again under another
    /// producer id or epoch (PartitionQueue::sending_as). false: as above.
    virtual bool may_send_renamed(std::uint16_t /*partition*/) { return true; }
    /// The answer that comes next names this record, by its place in the batch, as a reason why the
    /// batch is refused (KIP-467). Not every broker does; `record` is whatever it said.
    virtual void record_refused(std::uint16_t /*partition*/, Ticket /*ticket*/,
                                std::int32_t /*record*/) {}

protected:
    ~BatchSource() = default;
};

class Accumulator;
/// What a queue takes its batches from: any source, or (Profile) the one in RAM without a vtable.
using Source = std::conditional_t<profile.any_source, BatchSource, Accumulator>;

}  // namespace leat::client
