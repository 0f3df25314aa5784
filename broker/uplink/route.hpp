// Which topics a route forwards, and under which name.
#pragma once

#include <string>
#include <string_view>

#include "broker/config/config.hpp"

namespace leat::uplink {

/// `*` in the pattern stands for any text, also none. Everything else is itself.
bool matches_pattern(std::string_view pattern, std::string_view topic);

/// Internal topics (`__` and on, or marked so) never match.
bool matches(const config::Route& route, std::string_view topic, bool internal);

/// The route's name for `topic`: every `{topic}` replaced.
std::string upstream_name(const config::Route& route, std::string_view topic);

/// Kafka's rule: 1 to 249 of [a-zA-Z0-9._-], not "." or "..".
bool is_legal_topic(std::string_view name);

}  // namespace leat::uplink
