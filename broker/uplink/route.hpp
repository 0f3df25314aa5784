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

/// What it sends keeps its topic's name: only then the next broker may think that it knows it.
inline bool keeps_names(const config::Route& route) { return route.upstream_topic == "{topic}"; }
/// Behind the gateway's id in the client id of a route that does not.
constexpr const char* renaming = "-renaming";

/// Kafka's rule: 1 to 249 of [a-zA-Z0-9._-], not "." or "..".
bool is_legal_topic(std::string_view name);

}  // namespace leat::uplink
