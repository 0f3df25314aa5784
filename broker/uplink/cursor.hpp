// How far each route has delivered each stream, kept as facts of the log.
//
// A fact: kind cursor, key = route name, 0, stream (u32, big-endian); value = format (u8, 0),
// offset (i64, big-endian). A cursor only moves forward, so an older value, which is what a power
// cut may leave, means sending again, never skipping. The fact is not waited for and makes no
// commit due: it rides with others.
#pragma once

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "broker/log/log.hpp"

namespace leat::uplink {

using RouteIndex = std::size_t;

class Cursors {
public:
    Cursors(log::Log& log, std::vector<std::string> route_names, milliseconds interval)
        : log_(log), names_(std::move(route_names)), interval_(interval) {}

    /// Reads the facts. After log.open().
    void load();
    /// From now on the route forwards this stream. Returns where to go on.
    log::Offset attach(RouteIndex route, log::StreamId stream);
    void detach(RouteIndex route, log::StreamId stream);
    /// The stream is gone: its facts too.
    void erase(Instant now, log::StreamId stream);
    /// The same for every stream that is not in `there`: deleted, and the power cut before we were
    /// told.
    void erase_others(Instant now, const std::set<log::StreamId>& there);
    void move(Instant now, RouteIndex route, log::StreamId stream, log::Offset offset);

    /// Tells the log what it may free of this stream.
    void release(log::StreamId stream) const;
    /// The least cursor of the attached routes; nothing if there is none.
    std::optional<log::Offset> least(log::StreamId stream) const;

    /// Writes what moved, if it is time. A log that is full is asked again later.
    void write_due(Instant now);
    void write_all(Instant now);
    Instant deadline() const { return dirty_.empty() ? never : write_at_; }

private:
    using Place = std::pair<log::StreamId, RouteIndex>;
    struct Cursor {
        log::Offset offset = 0;
        bool attached = false;
    };
    std::vector<std::uint8_t> key_of(RouteIndex route, log::StreamId stream) const;

    log::Log& log_;
    std::vector<std::string> names_;
    milliseconds interval_;
    std::map<Place, Cursor> cursors_;
    std::set<Place> dirty_;
    Instant write_at_{};
};

}  // namespace leat::uplink
