#include "broker/ops/metrics.hpp"

#include <doctest/doctest.h>

using namespace leat::ops;

TEST_CASE(
    "numbers and truth values become samples, grouped by name, with labels from who they are") {
    const std::string text = prometheus_text(R"({
        "uptime_ms": 5, "version": "1", "log": {"used_bytes": 7, "read_only": false, "commits_total": 3},
        "topics": [ {"name": "a\"b", "partitions": [ {"partition": 0, "lag": 1}, {"partition": 1, "lag": 2} ], "bytes": 9},
                    {"name": "c", "partitions": [ {"partition": 0, "lag": 4} ], "bytes": 8} ] })");
    CHECK(text ==
          "# TYPE leat_uptime_ms gauge\nleat_uptime_ms 5\n"
          "# TYPE leat_log_used_bytes gauge\nleat_log_used_bytes 7\n"
          "# TYPE leat_log_read_only gauge\nleat_log_read_only 0\n"
          "# TYPE leat_log_commits_total counter\nleat_log_commits_total 3\n"
          "# TYPE leat_topics_partitions_lag gauge\n"
          "leat_topics_partitions_lag{name=\"a\\\"b\",partition=\"0\"} 1\n"
          "leat_topics_partitions_lag{name=\"a\\\"b\",partition=\"1\"} 2\n"
          "leat_topics_partitions_lag{name=\"c\",partition=\"0\"} 4\n"
          "# TYPE leat_topics_bytes gauge\n"
          "leat_topics_bytes{name=\"a\\\"b\"} 9\n"
          "leat_topics_bytes{name=\"c\"} 8\n");
    CHECK(prometheus_text("{").empty());
}

TEST_CASE("health: a log that takes no more writes is not well") {
    CHECK(health_of("{\"log\": {\"read_only\": false}}").well);
    CHECK(health_of("{}").well);
    CHECK_FALSE(health_of("{\"log\": {\"read_only\": true}}").well);
    CHECK_FALSE(health_of("{\"log\": {\"write_is_slow\": true}}").well);
    CHECK(health_of("{\"log\": {\"write_is_slow\": true}}").text.find("longer than 5 s") !=
          std::string::npos);
    const auto foreign = [](const char* uplink) {
        return health_of(std::string(R"({"log": {"foreign_device": true}, "uplink": )") + uplink +
                         "}");
    };
    CHECK(foreign("[]").well);  // nothing is held that should go somewhere
    CHECK_FALSE(foreign(R"([{"route": "up"}])").well);
    CHECK_FALSE(health_of("").well);
}
