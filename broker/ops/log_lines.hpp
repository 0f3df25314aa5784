// One event, one line, on a file descriptor.
//
//   2026-11-27T02:33:34.123Z warn  uplink: center: connection refused; trying again in 800 ms
//   {"ts":"2026-11-27T02:33:34.123Z","level":"warn","room":"uplink","text":"..."}
//
// The broker's one thread must not stand still because whoever reads the log does: a line that the
// descriptor will not take at once is dropped and counted, and the count is told with the next
// line. Lines end up on flash as well, so each room has a long-term rate: a peer that reconnects a
// thousand times a second must not wear the card out through the journal. What is left out is
// counted and told, too.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "broker/node/node.hpp"
#include "leat/time.hpp"

namespace leat::ops {

using Level = node::Event::Level;

/// "debug", "info", "warn" or "error"; anything else is info (config has checked it).
Level level_of(std::string_view name);

struct LogOptions {
    int fd = 2;
    Level level = Level::info;
    bool json = false;
    int burst_lines = 100;  ///< per room, then
    milliseconds line_interval{
        200};  ///< one line per so long; debug lines are asked for and not limited
};

class LogLines {
public:
    explicit LogLines(LogOptions options) : options_(options) {}
    void write(Instant now, WallTime wall, Level level, std::string_view room,
               std::string_view text);
    void write(Instant now, WallTime wall, const node::Event& event) {
        write(now, wall, event.level, event.room, event.text);
    }
    std::uint64_t lost() const { return lost_; }

private:
    /// A bucket of lines that fills with time. Kept as the instant at which it was, or will be,
    /// full.
    struct Room {
        std::string name;
        Instant full_at{};
        std::uint64_t left_out = 0;
    };
    bool put(const std::string& line);
    Room& room_of(std::string_view name);
    bool allowed(Instant now, Room& room) const;

    LogOptions options_;
    std::vector<Room> rooms_;  ///< at most rooms_max; names beyond that share the last
    std::uint64_t lost_ = 0, lost_told_ = 0;
};

/// The line with its line end, at most `line_bytes_max` long; control characters are escaped, so
/// one event can never look like two.
constexpr std::size_t line_bytes_max = 4000;
std::string format_line(WallTime wall, Level level, std::string_view room, std::string_view text,
                        bool json);

}  // namespace leat::ops
