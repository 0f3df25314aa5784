#pragma once
#include <string>
#include <string_view>

namespace leat::topics {

constexpr std::size_t topic_name_bytes_max = 249;

/// Kafka's rule for topic names ([a-zA-Z0-9._-], 1 to 249, not `.` and not `..`).
/// returns  null if legal, else what is wrong, static text
const char* topic_name_problem(std::string_view name);

/// Only the broker writes to such a topic, whether it is there or not.
bool is_internal_topic(std::string_view name);

/// Kafka refuses names that differ only in `.` and `_`, because its metrics would collide; tools
/// rely on it.
std::string collision_key(std::string_view name);

}  // namespace leat::topics
