#include "broker/config/text.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <vector>

namespace leat::config {
namespace {

struct Unit {
    std::string_view name;
    std::uint64_t factor;
};

// A whole number, then perhaps a unit. No unit means the first of `units`.
std::optional<std::uint64_t> parse_with_unit(std::string_view text, std::span<const Unit> units) {
    std::uint64_t number = 0;
    const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (failure != std::errc{} || end == text.data()) return std::nullopt;
    std::string_view unit = text.substr(static_cast<std::size_t>(end - text.data()));
    while (unit.starts_with(' ')) unit.remove_prefix(1);
    if (unit.empty()) unit = units.front().name;
    for (const Unit& known : units) {
        if (unit != known.name) continue;
        if (number > std::numeric_limits<std::int64_t>::max() / known.factor) return std::nullopt;
        return number * known.factor;
    }
    return std::nullopt;
}

constexpr std::array<Unit, 10> sizes{{{"B", 1},
                                      {"KiB", 1024},
                                      {"MiB", 1024 * 1024},
                                      {"GiB", 1024 * 1024 * 1024},
                                      {"TiB", std::uint64_t{1} << 40},
                                      {"kB", 1000},
                                      {"KB", 1000},
                                      {"MB", 1'000'000},
                                      {"GB", 1'000'000'000},
                                      {"TB", 1'000'000'000'000}}};
constexpr std::array<Unit, 6> durations{
    {{"ms", 1}, {"s", 1000}, {"min", 60'000}, {"m", 60'000}, {"h", 3'600'000}, {"d", 86'400'000}}};

char plain(char c) {
    if (c == '_' || c == '-') return '.';
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

// Edits (insert, drop, replace, swap neighbours) between two words; letters' case and the kind of
// separator do not count.
std::size_t distance(std::string_view a, std::string_view b) {
    std::vector<std::size_t> before(b.size() + 1), last(b.size() + 1), now(b.size() + 1);
    for (std::size_t j = 0; j <= b.size(); ++j) last[j] = j;
    for (std::size_t i = 1; i <= a.size(); ++i) {
        now[0] = i;
        for (std::size_t j = 1; j <= b.size(); ++j) {
            const bool same = plain(a[i - 1]) == plain(b[j - 1]);
            now[j] = std::min({last[j] + 1, now[j - 1] + 1, last[j - 1] + (same ? 0 : 1)});
            if (i > 1 && j > 1 && plain(a[i - 1]) == plain(b[j - 2]) &&
                plain(a[i - 2]) == plain(b[j - 1]))
                now[j] = std::min(now[j], before[j - 2] + 1);
        }
        std::swap(before, last);
        std::swap(last, now);
    }
    return last[b.size()];
}

}  // namespace

std::optional<std::uint64_t> parse_size(std::string_view text) {
    return parse_with_unit(text, sizes);
}

std::optional<milliseconds> parse_duration(std::string_view text) {
    const auto ms = parse_with_unit(text, durations);
    if (!ms) return std::nullopt;
    return milliseconds{static_cast<std::int64_t>(*ms)};
}

std::optional<HostPort> parse_host_port(std::string_view text) {
    if (text.starts_with("PLAINTEXT://")) text.remove_prefix(12);
    const std::size_t colon = text.rfind(':');
    if (colon == std::string_view::npos) return std::nullopt;
    std::string_view host = text.substr(0, colon);
    const std::string_view digits = text.substr(colon + 1);
    std::uint16_t port = 0;
    const auto [end, failure] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
    if (failure != std::errc{} || end != digits.data() + digits.size() || digits.empty())
        return std::nullopt;
    if (host.starts_with('[')) {
        if (!host.ends_with(']') || host.size() < 4) return std::nullopt;
        host = host.substr(1, host.size() - 2);
        if (host.find(':') == std::string_view::npos) return std::nullopt;
    } else if (host.find(':') != std::string_view::npos) {
        return std::nullopt;  // an IPv6 address needs brackets, or its last group would be taken
                              // for a port
    }
    if (host.find_first_of(" /,[]@") != std::string_view::npos || host.size() > 253)
        return std::nullopt;
    return HostPort{host.empty() ? std::string("0.0.0.0") : std::string(host), port};
}

std::string to_text(const HostPort& address) {
    const bool six = address.host.find(':') != std::string::npos;
    return (six ? "[" + address.host + "]" : address.host) + ":" + std::to_string(address.port);
}

bool is_loopback(std::string_view host) {
    return host == "localhost" || host == "::1" || host.starts_with("127.");
}

std::optional<std::string_view> nearest(std::string_view wrong,
                                        std::span<const std::string_view> words) {
    constexpr std::size_t word_max = 80;  // the comparison is quadratic; no word of ours is longer
    if (wrong.size() > word_max) return std::nullopt;
    std::optional<std::string_view> best;
    std::size_t best_distance = std::max<std::size_t>(2, wrong.size() / 4) + 1;
    for (const std::string_view word : words) {
        const std::size_t edits = distance(wrong, word);
        if (edits < best_distance) {
            best_distance = edits;
            best = word;
        }
    }
    return best;
}

}  // namespace leat::config
