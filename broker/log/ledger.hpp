// Keeps the books of all streams, in RAM and as facts of the log (kind 64, key = stream number).
//
// A book goes out in front of the log_start frame that it explains, in the same or an earlier
// commit. So a crash leaves both, or the book alone: then the decision to free was durable, and
// recovery moves the log start to where the book stands. A raised end goes out the other way
// round: its entry behind the end, and clipped to it by recovery.
#pragma once

#include <map>
#include <set>

#include "broker/log/arrivals.hpp"
#include "broker/log/books.hpp"

namespace leat::log {

constexpr std::uint8_t ledger_fact_kind = 64;  ///< beside FactKind, which is for the rooms above

/// Recovery: a book says that the log start of its stream is further on, and what was kept then.
void apply_book(Core& core, const std::string& key, ByteView value);

class Ledger {
public:
    Ledger(Core& core, Arrivals& arrivals) : core_(core), arrivals_(arrivals) {}

    /// After recovery: reads the books, and makes log starts and books agree.
    void load();

    /// The log start of `stream` moves to `to`, and `bytes` less are kept; `reason`: it is a loss.
    /// Books and frame go into the open group. fails: as Arrivals::room_for; then nothing has
    /// happened
    Result<CommitId> raise_log_start(Instant now, StreamId id, Stream& stream, Offset to,
                                     std::uint64_t bytes, Freed how,
                                     std::optional<LossReason> reason, Urgency urgency);
    /// The same when the ring has no room: a checkpoint that is begun later carries both.
    void raise_in_checkpoint(Instant now, StreamId id, Stream& stream, Offset to,
                             std::uint64_t bytes, Freed how, std::optional<LossReason> reason);
    /// Offsets that cannot be read or were never written; written by the next pump.
    void lost(Instant now, StreamId id, LossReason why, Offset from, Offset to,
              std::uint64_t bytes);
    /// Compaction left so many records of the stream out: true with `checkpoint`, the next that is
    /// begun, which carries the book, and the copies without them.
    void superseded(StreamId id, std::uint64_t records, std::int64_t bytes,
                    std::uint64_t checkpoint);
    /// The cleaner left offsets out that do not hold: the same.
    void not_copied(Instant now, StreamId id, Offset from, Offset to, std::uint64_t bytes);
    /// Of no stream: a cut, records that go with their topic.
    void count(Instant now, LossReason why, std::uint64_t records, std::uint64_t bytes);
    void forget(Instant now, StreamId id);
    /// After a rollback: books and log starts whose commits were given up are written again.
    void rolled_back();
    /// Writes books that changed outside of a raise, when there is room.
    void pump(Instant now);

    Books books(StreamId id) const;

private:
    StreamBook::Stamp stamp(Instant now) const {
        return {core_.time.age_ms(now), core_.time.trusted() ? core_.time.wall_ms() : -1};
    }
    static std::string key_of(StreamId id);
    StreamBook moved(Instant now, StreamId id, const Stream& stream, Offset to, std::uint64_t bytes,
                     Freed how, std::optional<LossReason> reason) const;
    void keep(StreamId id, StreamBook book);
    CommitId put(Instant now, StreamId id, const std::optional<std::string>& value);

    Core& core_;
    Arrivals& arrivals_;
    std::map<StreamId, StreamBook> books_;
    std::set<StreamId> unwritten_;
};

}  // namespace leat::log
