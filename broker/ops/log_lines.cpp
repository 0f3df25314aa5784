#include "broker/ops/log_lines.hpp"

#include <poll.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>

namespace leat::ops {
namespace {

constexpr std::array<const char*, 4> level_names{"debug", "info", "warn", "error"};

std::string time_text(WallTime wall) {
    std::int64_t ms = wall.time_since_epoch().count();
    if (ms < 0) ms = 0;
    const time_t seconds = static_cast<time_t>(ms / 1000);
    tm parts{};
    ::gmtime_r(&seconds, &parts);
    std::array<char, 64> text;
    const int count =
        std::snprintf(text.data(), text.size(), "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ",
                      parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday, parts.tm_hour,
                      parts.tm_min, parts.tm_sec, static_cast<int>(ms % 1000));
    return {text.data(), static_cast<std::size_t>(count)};
}

// Length of the well-formed UTF-8 character at the front; 0 if there is none.
std::size_t utf8_length(std::string_view text) {
    const auto byte = [text](std::size_t i) { return static_cast<unsigned char>(text[i]); };
    const unsigned char first = byte(0);
    if (first < 0x80) return 1;
    const std::size_t length = first >= 0xF0 && first <= 0xF4 ? 4
                               : first >= 0xE0                ? 3
                               : first >= 0xC2                ? 2
                                                              : 0;
    if (length == 0 || first > 0xF4 || text.size() < length) return 0;
    for (std::size_t i = 1; i < length; ++i)
        if ((byte(i) & 0xC0) != 0x80) return 0;
    const bool overlong = (first == 0xE0 && byte(1) < 0xA0) || (first == 0xF0 && byte(1) < 0x90);
    const bool outside = (first == 0xED && byte(1) > 0x9F) || (first == 0xF4 && byte(1) > 0x8F);
    return overlong || outside ? 0 : length;
}

// Names of peers and topics come from outside; what is not printable is shown as an escape.
void append_escaped(std::string& line, std::string_view text, bool json, std::size_t end_max) {
    while (!text.empty() && line.size() < end_max) {
        const char c = text.front();
        const std::size_t length = utf8_length(text);
        std::array<char, 8> escape{};
        if (length == 0 || static_cast<unsigned char>(c) < 0x20 || c == 0x7F) {
            if (c == '\n')
                line += "\\n";
            else
                std::snprintf(escape.data(), escape.size(), json ? "\\u%04x" : "\\x%02x",
                              static_cast<unsigned char>(c)),
                    line += escape.data();
            text.remove_prefix(1);
            continue;
        }
        if (json && (c == '"' || c == '\\')) line.push_back('\\');
        line += text.substr(0, length);
        text.remove_prefix(length);
    }
    if (!text.empty()) line += "...";
}

}  // namespace

Level level_of(std::string_view name) {
    for (std::size_t i = 0; i < level_names.size(); ++i)
        if (name == level_names[i]) return static_cast<Level>(i);
    return Level::info;
}

std::string format_line(WallTime wall, Level level, std::string_view room, std::string_view text,
                        bool json) {
    constexpr std::size_t text_end_max =
        line_bytes_max - 16;  // room for an escape, the dots and the end
    std::string line;
    const char* level_name = level_names[static_cast<std::size_t>(level) & 3];
    if (json) {
        line = "{\"ts\":\"" + time_text(wall) + "\",\"level\":\"" + level_name + "\",\"room\":\"";
        append_escaped(line, room, true, 100);
        line += "\",\"text\":\"";
        append_escaped(line, text, true, text_end_max);
        line += "\"}\n";
    } else {
        line = time_text(wall) + " " + level_name +
               (std::string_view(level_name).size() == 4 ? "  " : " ");
        append_escaped(line, room, false, 100);
        line += ": ";
        append_escaped(line, text, false, text_end_max);
        line += "\n";
    }
    return line;
}

LogLines::Room& LogLines::room_of(std::string_view name) {
    constexpr std::size_t rooms_max = 32;
    for (Room& room : rooms_)
        if (room.name == name) return room;
    if (rooms_.size() < rooms_max) rooms_.push_back({std::string(name), Instant{}, 0});
    return rooms_.back();
}

bool LogLines::allowed(Instant now, Room& room) const {
    const Instant full_at = std::max(room.full_at, now) + options_.line_interval;
    if (full_at > now + options_.burst_lines * options_.line_interval) return false;
    room.full_at = full_at;
    return true;
}

void LogLines::write(Instant now, WallTime wall, Level level, std::string_view name,
                     std::string_view text) {
    if (level < options_.level) return;
    if (level != Level::debug) {
        Room& room = room_of(name);
        if (!allowed(now, room)) {
            ++room.left_out;
            return;
        }
        if (room.left_out > 0) {
            put(format_line(wall, Level::warn, name,
                            std::to_string(room.left_out) +
                                " lines were left out here: too many in a short time",
                            options_.json));
            room.left_out = 0;
        }
    }
    if (lost_ > lost_told_) {
        const std::uint64_t before = lost_;
        if (put(format_line(wall, Level::warn, "ops",
                            std::to_string(lost_ - lost_told_) +
                                " log lines were lost: their reader was too slow",
                            options_.json)))
            lost_told_ = before;
    }
    if (!put(format_line(wall, level, name, text, options_.json))) ++lost_;
}

// A pipe that is writable takes PIPE_BUF (4096) bytes without blocking, and a line is shorter than
// that.
bool LogLines::put(const std::string& line) {
    pollfd out{options_.fd, POLLOUT, 0};
    if (::poll(&out, 1, 0) != 1 || (out.revents & (POLLERR | POLLNVAL)) != 0) return false;
    for (;;) {
        const ssize_t count = ::write(options_.fd, line.data(), line.size());
        if (count < 0 && errno == EINTR) continue;
        return count == static_cast<ssize_t>(line.size());
    }
}

}  // namespace leat::ops
