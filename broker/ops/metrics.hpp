// What the HTTP endpoint shows, made from the node's status document alone.
#pragma once

#include <string>
#include <string_view>

namespace leat::ops {

/// Prometheus text format 0.0.4 of every number (and truth value, as 0 or 1) in `status_json`.
///
/// {"log": {"used_bytes": 5}} becomes `leat_log_used_bytes 5`. An array of objects becomes one
/// sample per object, labelled with its members that say who it is (name, topic, partition, route,
/// reason, id). A name that ends in `_total` is a counter, all others are gauges. Empty if the text
/// is not JSON.
std::string prometheus_text(std::string_view status_json);

struct Health {
    bool well = true;
    std::string text;  ///< one line: "ok", or what is wrong
};
/// Not well: the log takes no more writes, or the document cannot be read.
Health health_of(std::string_view status_json);

}  // namespace leat::ops
