// Small texts of the command line: times, pairs, escapes.
#include <charconv>
#include <cstdio>
#include <ctime>

#include "sdk/cli/options.hpp"

namespace leat::cli {
namespace {

std::optional<std::int64_t> parse_number(std::string_view text) {
    std::int64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
    return value;
}

/// "-15m" without its sign.
std::optional<std::int64_t> parse_age(std::string_view text) {
    std::int64_t unit_ms = 0;
    switch (text.empty() ? '\0' : text.back()) {
        case 's':
            unit_ms = 1000;
            break;
        case 'm':
            unit_ms = 60'000;
            break;
        case 'h':
            unit_ms = 3'600'000;
            break;
        case 'd':
            unit_ms = 86'400'000;
            break;
        default:
            return std::nullopt;
    }
    const auto number = parse_number(text.substr(0, text.size() - 1));
    if (!number || *number < 0 || *number > INT64_MAX / unit_ms) return std::nullopt;
    return *number * unit_ms;
}

}  // namespace

std::int64_t wall_ms_now() {
    timespec time{};
    ::clock_gettime(CLOCK_REALTIME, &time);
    return std::int64_t{time.tv_sec} * 1000 + time.tv_nsec / 1'000'000;
}

std::optional<std::int64_t> parse_time(const std::string& text, std::int64_t now_ms) {
    if (text.starts_with('-')) {
        const auto age = parse_age(std::string_view(text).substr(1));
        if (age) return now_ms - *age;
        return std::nullopt;
    }
    if (const auto number = parse_number(text)) return *number;
    std::tm when{};
    const char* rest = ::strptime(text.c_str(), "%Y-%m-%d", &when);
    if (!rest) return std::nullopt;
    std::int64_t fraction_ms = 0;
    if (*rest == 'T' || *rest == ' ') {
        rest = ::strptime(rest + 1, "%H:%M:%S", &when);
        if (!rest) return std::nullopt;
        if (*rest == '.') {
            int digits = 0;
            for (++rest; *rest >= '0' && *rest <= '9'; ++rest, ++digits)
                if (digits < 3) fraction_ms = fraction_ms * 10 + (*rest - '0');
            for (; digits < 3; ++digits) fraction_ms *= 10;
        }
    }
    if (*rest == 'Z') ++rest;
    if (*rest != '\0')
        return std::nullopt;  // other zones than UTC are not understood, rather than misread
    return std::int64_t{::timegm(&when)} * 1000 + fraction_ms;
}

std::optional<std::pair<std::string, std::string>> parse_pair(const std::string& text) {
    const std::size_t equals = text.find('=');
    if (equals == std::string::npos || equals == 0) return std::nullopt;
    return std::pair(text.substr(0, equals), text.substr(equals + 1));
}

std::string printable(std::string_view text) {
    std::string plain;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const auto c = static_cast<unsigned char>(text[i]);
        const auto next = static_cast<unsigned char>(i + 1 < text.size() ? text[i + 1] : 0);
        // U+0080 to U+009F are controls, too.
        const bool is_control = (c < 0x20 && c != '\t') || c == 0x7F ||
                                (c == 0xC2 && next >= 0x80 && next < 0xA0);
        if (!is_control) {
            plain += text[i];
            continue;
        }
        char escape[8];
        std::snprintf(escape, sizeof escape, "\\x%02x", c == 0xC2 ? next : c);
        plain += escape;
        i += c == 0xC2;
    }
    return plain;
}

std::string unescaped(const std::string& text) {
    std::string plain;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] != '\\' || i + 1 == text.size()) {
            plain += text[i];
            continue;
        }
        const char c = text[++i];
        unsigned value = 0;
        if (c == 't')
            plain += '\t';
        else if (c == 'n')
            plain += '\n';
        else if (c == '0')
            plain += '\0';
        else if (c == 'x' && i + 2 < text.size() &&
                 std::from_chars(text.data() + i + 1, text.data() + i + 3, value, 16).ptr ==
                     text.data() + i + 3) {
            plain += static_cast<char>(value);
            i += 2;
        } else
            plain += c;
    }
    return plain;
}

}  // namespace leat::cli
