// The small grammars of settings: sizes, durations, addresses; the same in the file and in flags.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "broker/config/config.hpp"

namespace leat::config {

/// "1GiB", "16 KiB", "4096", "2MB" (decimal, as it says). Nothing for a fraction, a sign, an
/// overflow.
std::optional<std::uint64_t> parse_size(std::string_view text);
/// "100ms", "5s", "10min", "2h", "7d"; a bare number is milliseconds, as in Kafka.
std::optional<milliseconds> parse_duration(std::string_view text);
/// "host:port", "[::1]:9092", ":9092" (any address), also with "PLAINTEXT://" in front. Port 0
/// means any free one.
std::optional<HostPort> parse_host_port(std::string_view text);
std::string to_text(const HostPort& address);
/// True for 127.0.0.0/8, ::1 and localhost: nobody outside this machine reaches it.
bool is_loopback(std::string_view host);

/// The word most like `wrong`, if one is like enough to be what was meant.
std::optional<std::string_view> nearest(std::string_view wrong,
                                        std::span<const std::string_view> words);

}  // namespace leat::config
