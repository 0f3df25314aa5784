// How far each route has delivered each stream, kept as facts of the log.
//
// A fact: kind cursor, key = route name, 0, stream (u32); value = format (u8), offset (i64) and, in
// format 1, the name under which the records from `offset` on were sent: producer id (i64), epoch
// (i16), sequence of the record at `offset` (i32), fingerprint of the place (u32), and the offset
// from which on nothing was sent under this name (i64). Format 2 has behind it the size above which
// batches were cut (u32): the cuts are a part of the numbers. Format 3 has behind that (largest:
// not cut) an upstream offset that what lies behind the cursor does not lie before (i64). All
// big-endian.
// A cursor only moves forward, so an older value, which is what a power cut may leave, means
// sending again, never skipping; sent again under the same numbers, the upstream sees what it has
// already. So only a new name is waited for, once per stream and life: what went under one whose
// fact a power cut took would go twice.
#pragma once

#include <limits>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "broker/log/log.hpp"
#include "sdk/client/partition_queue.hpp"

namespace leat::uplink {

using RouteIndex = std::size_t;

/// Under which name a stream's records are sent. producer.next_sequence belongs to the record at
/// the cursor.
struct SentAs {
    client::ProducerState producer{};  ///< producer_id -1: not known, or not the same for all
    std::uint32_t place = 0;           ///< another cluster or topic: the numbers mean nothing there
    /// A device that lost what it had called durable gives its offsets to other records. They must
    /// not go under numbers that the upstream has seen, so a name ends where its life's log ended.
    log::Offset until = std::numeric_limits<log::Offset>::max();
    std::uint32_t batch_bytes_max = std::numeric_limits<std::uint32_t>::max();  ///< as Lane
    std::int64_t upstream_end = 0;                                              ///< as Lane
};

/// What became of a name that the log was given.
enum class Kept : std::uint8_t {
    yes,      ///< durable
    soon,     ///< with a commit that is not: to be asked again when one is
    refused,  ///< the log is full or fails; with the cursor, once it takes facts again
};

class Cursors {
public:
    Cursors(log::Log& log, std::vector<std::string> route_names, milliseconds interval)
        : log_(log), names_(std::move(route_names)), interval_(interval) {}

    /// Reads the facts. After log.open().
    void load();
    /// What the stream holds is not ours to forward. Before attach.
    void begin_at_end(Instant now, RouteIndex route, log::StreamId stream);
    /// From now on the route forwards this stream. Returns where to go on.
    log::Offset attach(RouteIndex route, log::StreamId stream);
    log::Offset at(RouteIndex route, log::StreamId stream) const {
        const auto found = cursors_.find({stream, route});
        return found == cursors_.end() ? 0 : found->second.offset;
    }
    void detach(RouteIndex route, log::StreamId stream);
    /// The stream is gone: its facts too.
    void erase(Instant now, log::StreamId stream);
    /// The same for every stream that is not in `there`: deleted, and the power cut before we were
    /// told.
    void erase_others(Instant now, const std::set<log::StreamId>& there);
    void move(Instant now, RouteIndex route, log::StreamId stream, log::Offset offset,
              const SentAs& as = {});
    /// The name that belongs to the offset that attach returned.
    SentAs sent_as(RouteIndex route, log::StreamId stream) const;
    /// From the cursor on this name is used. Written at once; asked again with the same name, only
    /// if it is not there (a commit that was given up).
    Kept set_name(Instant now, RouteIndex route, log::StreamId stream, const SentAs& as);

    /// Tells the log what it may free of this stream: what lies before a cursor that was given to
    /// it. What is freed and what the fact says must not part, or a restart would not find the
    /// records that it has to send again; they do only where a log has no room for a fact for so
    /// long that nothing else will make it.
    void release(log::StreamId stream) const;
    /// The least cursor of the attached routes; nothing if there is none.
    std::optional<log::Offset> least(log::StreamId stream) const;

    /// Writes what moved, if it is time. A log that is full is asked again later.
    void write_due(Instant now);
    void write_all(Instant now);  ///< soon durable: before the log is closed
    Instant deadline() const { return dirty_.empty() ? never : write_at_; }

private:
    using Place = std::pair<log::StreamId, RouteIndex>;
    struct Cursor {
        log::Offset offset = 0;
        log::Offset written = 0;  ///< what the log was given, or would have been
        SentAs as{};
        bool attached = false;
    };
    enum class Put : std::uint8_t { soon, lazily };
    Result<log::CommitId> put(Instant now, Place place, Put how);
    void let_go(Place place);  ///< of what lies before it
    void write_dirty(Instant now, Put how);
    std::vector<std::uint8_t> key_of(RouteIndex route, log::StreamId stream) const;

    log::Log& log_;
    std::vector<std::string> names_;
    milliseconds interval_;
    std::map<Place, Cursor> cursors_;
    std::set<Place> dirty_;
    Instant write_at_{};
    Instant refused_since_ = never;  ///< by a log without room
};

}  // namespace leat::uplink
