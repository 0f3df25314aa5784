#include "broker/ops/log_lines.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>

using namespace leat;
using namespace leat::ops;

namespace {

struct Pipe {
    Pipe() {
        int ends[2];
        REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
        read = ends[0];
        write = ends[1];
        ::fcntl(read, F_SETFL, O_NONBLOCK);
    }
    ~Pipe() {
        ::close(read);
        ::close(write);
    }
    std::string text() {
        std::string all;
        std::array<char, 65536> piece;
        for (ssize_t count; (count = ::read(read, piece.data(), piece.size())) > 0;)
            all.append(piece.data(), static_cast<std::size_t>(count));
        return all;
    }
    int read, write;
};

}  // namespace

TEST_CASE("a line is time, level, room and text; JSON holds the same") {
    const WallTime wall = wall_ms(1795748014123);
    CHECK(format_line(wall, Level::warn, "uplink", "gone", false) ==
          "2026-11-27T02:53:34.123Z warn  uplink: gone\n");
    CHECK(format_line(wall, Level::error, "log", "say \"hi\"\\", true) ==
          "{\"ts\":\"2026-11-27T02:53:34.123Z\",\"level\":\"error\",\"room\":\"log\",\"text\":"
          "\"say \\\"hi\\\"\\\\\"}\n");
    CHECK(format_line(wall_ms(0), Level::info, "log", "x", false)
              .starts_with("1970-01-01T00:00:00.000Z"));
}

TEST_CASE("nothing from outside can make a second line, break JSON or grow without bound") {
    CHECK(format_line(wall_ms(0), Level::info, "net", "a\nb\r\x1b[2J", false) ==
          "1970-01-01T00:00:00.000Z info  net: a\\nb\\x0d\\x1b[2J\n");
    CHECK(format_line(wall_ms(0), Level::info, "net", "\x01\xff", true).find("\\u0001\\u00ff") !=
          std::string::npos);
    CHECK(format_line(wall_ms(0), Level::info, "net", "gr\xc3\xbc\xc3\x9f", true)
              .find("gr\xc3\xbc\xc3\x9f\"") != std::string::npos);
    CHECK(format_line(wall_ms(0), Level::info, "net", "\xc0\xaf\xed\xa0\x80", true)
              .find("\\u00c0\\u00af\\u00ed") != std::string::npos);
    for (const bool json : {true, false}) {
        const std::string line =
            format_line(wall_ms(0), Level::info, "net", std::string(100'000, '\x02'), json);
        CHECK(line.size() <= line_bytes_max);
        CHECK(line.ends_with(json ? "...\"}\n" : "...\n"));
    }
}

TEST_CASE("lines below the level are not written") {
    Pipe pipe;
    LogLines lines({.fd = pipe.write, .level = Level::warn});
    lines.write(instant_ms(0), wall_ms(0), Level::info, "a", "no");
    lines.write(instant_ms(0), wall_ms(0), Level::warn, "a", "yes");
    CHECK(pipe.text() == "1970-01-01T00:00:00.000Z warn  a: yes\n");
    CHECK(level_of("debug") == Level::debug);
    CHECK(level_of("error") == Level::error);
}

TEST_CASE("a reader that stands still costs lines, never time, and is told how many") {
    Pipe pipe;
    LogLines lines({.fd = pipe.write, .burst_lines = 10000});
    for (int i = 0; i < 5000; ++i)
        lines.write(instant_ms(0), wall_ms(0), Level::info, "a",
                    std::string(100, 'x'));  // far more than a pipe holds
    CHECK(lines.lost() > 0);
    const std::string before = pipe.text();
    lines.write(instant_ms(0), wall_ms(0), Level::info, "a", "again");
    const std::string after = pipe.text();
    CHECK(after.find(std::to_string(lines.lost()) + " log lines were lost") != std::string::npos);
    CHECK(after.ends_with("a: again\n"));
    CHECK(before.ends_with("x\n"));  // no half line
}

TEST_CASE(
    "a room that says too much is cut to its rate and the rest is counted; other rooms and debug "
    "are not") {
    Pipe pipe;
    LogLines lines({.fd = pipe.write,
                    .level = Level::debug,
                    .burst_lines = 3,
                    .line_interval = milliseconds(100)});
    const auto count = [&] {
        const std::string text = pipe.text();
        return std::count(text.begin(), text.end(), '\n');
    };
    for (int i = 0; i < 10; ++i)
        lines.write(instant_ms(1000), wall_ms(0), Level::error, "net", "x");
    CHECK(count() == 3);
    lines.write(instant_ms(1000), wall_ms(0), Level::info, "log", "y");
    for (int i = 0; i < 5; ++i) lines.write(instant_ms(1000), wall_ms(0), Level::debug, "net", "z");
    CHECK(count() == 6);
    lines.write(instant_ms(1099), wall_ms(0), Level::info, "net", "still too early");
    CHECK(count() == 0);
    lines.write(instant_ms(1100), wall_ms(0), Level::info, "net", "again");
    CHECK(
        pipe.text() ==
        "1970-01-01T00:00:00.000Z warn  net: 8 lines were left out here: too many in a short time\n"
        "1970-01-01T00:00:00.000Z info  net: again\n");
    for (int i = 0; i < 10; ++i)
        lines.write(instant_ms(9000), wall_ms(0), Level::info, "net",
                    "x");  // long quiet: a whole burst, not more
    CHECK(count() == 3);
}
