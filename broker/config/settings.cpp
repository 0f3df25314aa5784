// The table of settings: key, what is right, how it is taken.
#include <array>

#include "broker/config/setting.hpp"

namespace leat::config {
namespace {

constexpr std::array<Setting<Config>, 41> config_table{{
    {"data.dir", "a folder, e.g. \"/var/lib/leat\"", word<&Config::data_dir, 4096>},
    {"listeners", "one \"host:port\", e.g. \"127.0.0.1:9092\"", address<&Config::listen>},
    {"advertised.listeners",
     "one \"host:port\" that clients can reach, e.g. \"gateway.local:9092\"",
     address<&Config::advertised>},
    {"http.listener", "\"host:port\" or \"off\", e.g. \"127.0.0.1:9093\"",
     [](const JsonValue& value, Config& config) {
         if (value.kind == Kind::string && value.text == "off") {
             config.http_mode = Config::HttpMode::off;
             return true;
         }
         config.http_mode = Config::HttpMode::given;
         return address<&Config::http>(value, config);
     }},
    {"node.id", "a whole number from 0 to 2147483647", number<&Config::node_id, 0, 2147483647>},
    {"cluster.id", "letters, digits, '.', '_' and '-', at most 64",
     [](const JsonValue& value, Config& config) {
         if (value.kind != Kind::string || !is_id(value.text, 64)) return false;
         config.cluster_id = value.text;
         return true;
     }},
    {"log.budget.bytes", "a size from \"1MiB\" to \"16TiB\", e.g. \"1GiB\"",
     size<&Config::budget_bytes, mib, 16 * tib>},
    {"log.segment.bytes", "a power of two from \"64KiB\" to \"64MiB\", e.g. \"4MiB\"",
     [](const JsonValue& value, Config& config) {
         return size<&Config::segment_bytes, 64 * kib, 64 * mib>(value, config) &&
                power_of_two<&Config::segment_bytes>(value, config);
     }},
    {"log.page.bytes", "4096 or 16384",
     [](const JsonValue& value, Config& config) {
         return size<&Config::page_bytes, 4 * kib, 16 * kib>(value, config) &&
                (config.page_bytes == 4 * kib || config.page_bytes == 16 * kib);
     }},
    {"log.commit.interval.ms", "\"auto\" or a duration up to \"10s\", e.g. \"100ms\"",
     [](const JsonValue& value, Config& config) {
         if (value.kind == Kind::string && value.text == "auto") {
             config.commit_interval = milliseconds{-1};
             return true;
         }
         return duration<&Config::commit_interval, 0, 10'000>(value, config);
     }},
    {"log.scrub.interval.ms",
     "a duration in which the whole log is read once, e.g. \"7d\"; 0: never",
     duration<&Config::scrub_interval, 0, year_ms>},
    {"flash.endurance.bytes", "a size from \"1GiB\", what the data sheet calls TBW, e.g. \"30TiB\"",
     size<&Config::endurance_bytes, gib, 1024 * 1024 * tib>},
    {"auto.create.topics.enable", "true or false", boolean<&Config::auto_create_topics>},
    {"num.partitions", "a whole number from 1 to 1000", number<&Config::num_partitions, 1, 1000>},
    {"accept.replication.factor",
     "true or false (true: a factor above 1 is accepted on this one node)",
     boolean<&Config::accept_replication_factor>},
    {"message.max.bytes", "a size from \"1KiB\" to \"32MiB\", e.g. \"1MiB\"",
     size<&Config::message_bytes_max, kib, 32 * mib>},
    {"log.retention.ms", "a duration, e.g. \"7d\", or -1 for no bound",
     duration<&Config::retention, -1, 1000 * year_ms>},
    {"log.retention.bytes", "a size, e.g. \"100MiB\", or -1 for no bound",
     size<&Config::retention_bytes, -1, int64_max>},
    {"log.full.policy", "\"drop-oldest\", \"reject\" or \"block\"",
     [](const JsonValue& value, Config& config) {
         config.full_policy = value.text;
         return value.kind == Kind::string &&
                (value.text == "drop-oldest" || value.text == "reject" || value.text == "block");
     }},
    {"log.message.timestamp.before.max.ms", "a duration, e.g. \"7d\", or -1 for no bound",
     duration<&Config::timestamp_before_max, -1, 1000 * year_ms>},
    {"log.message.timestamp.after.max.ms", "a duration, e.g. \"1h\", or -1 for no bound",
     duration<&Config::timestamp_after_max, -1, 1000 * year_ms>},
    {"group.initial.rebalance.delay.ms", "a duration up to \"1h\", e.g. \"3s\"",
     duration<&Config::initial_rebalance_delay, 0, 3'600'000>},
    {"group.min.session.timeout.ms", "a duration, e.g. \"6s\"",
     duration<&Config::session_timeout_min, 1, year_ms>},
    {"group.max.session.timeout.ms", "a duration, e.g. \"30min\"",
     duration<&Config::session_timeout_max, 1, year_ms>},
    {"group.max.size", "a whole number from 1 to 2147483647",
     number<&Config::group_size_max, 1, 2147483647>},
    {"group.consumer.session.timeout.ms", "a duration, e.g. \"45s\"",
     duration<&Config::consumer_session_timeout, 1, year_ms>},
    {"group.consumer.heartbeat.interval.ms", "a duration up to \"1h\", e.g. \"5s\"",
     duration<&Config::consumer_heartbeat_interval, 1, 3'600'000>},
    {"group.consumer.max.size", "a whole number from 1 to 2147483647",
     number<&Config::consumer_group_size_max, 1, 2147483647>},
    {"offsets.retention.minutes", "minutes from 1 to 525600000, e.g. 10080",
     [](const JsonValue& value, Config& config) {
         if (value.kind != Kind::integer || value.integer < 1 || value.integer > 525'600'000)
             return false;
         config.offsets_retention = milliseconds{value.integer * 60'000};
         return true;
     }},
    {"offset.metadata.max.bytes", "a size up to \"64KiB\", e.g. 4096",
     size<&Config::offset_metadata_bytes_max, 0, 64 * kib>},
    {"max.connections", "a whole number from 1 to 1000000",
     number<&Config::connections_max, 1, 1'000'000>},
    {"socket.request.max.bytes", "a size from \"64KiB\" to \"64MiB\", e.g. \"8MiB\"",
     size<&Config::request_bytes_max, 64 * kib, 64 * mib>},
    {"byte.pool.bytes", "a size from \"256KiB\" to \"1GiB\", e.g. \"4MiB\"",
     size<&Config::byte_pool_bytes, 256 * kib, gib>},
    {"fetch.session.bytes", "a size from 0 (no fetch sessions) to \"256MiB\", e.g. \"1MiB\"",
     size<&Config::fetch_session_bytes, 0, 256 * mib>},
    {"max.pipelined.requests", "a whole number from 1 to 10000",
     number<&Config::pipelined_requests_max, 1, 10'000>},
    {"connections.max.idle.ms", "a duration from \"1s\", e.g. \"10min\"",
     duration<&Config::idle_connection, 1000, year_ms>},
    {"worker.threads", "a whole number from 0 (none: all on one thread) to 16",
     number<&Config::worker_threads, 0, 16>},
    {"log.level", "\"debug\", \"info\", \"warn\" or \"error\"",
     [](const JsonValue& value, Config& config) {
         if (value.kind != Kind::string) return false;
         config.log_level = value.text;
         return value.text == "debug" || value.text == "info" || value.text == "warn" ||
                value.text == "error";
     }},
    {"log.format", "\"text\" or \"json\"",
     [](const JsonValue& value, Config& config) {
         config.log_json = value.text == "json";
         return value.kind == Kind::string && (value.text == "json" || value.text == "text");
     }},
    {"routes", "an array of objects, each with \"bootstrap.servers\" and \"topics\"", nullptr},
    {"comment", "any text", [](const JsonValue&, Config&) { return true; }},
}};

bool addresses(const JsonValue& value, Route& route) {
    route.bootstrap.clear();
    const auto add = [&route](std::string_view text) {
        while (text.starts_with(' ')) text.remove_prefix(1);
        const auto parsed = parse_host_port(text);
        if (parsed && parsed->port != 0) route.bootstrap.push_back(*parsed);
        return parsed && parsed->port != 0;
    };
    if (value.kind == Kind::string) {  // "a:9092,b:9092", as Kafka's clients take it
        for (std::string_view rest = value.text;;) {
            const std::size_t comma = rest.find(',');
            if (!add(rest.substr(0, comma))) return false;
            if (comma == std::string_view::npos) return true;
            rest.remove_prefix(comma + 1);
        }
    }
    if (value.kind != Kind::array || value.items.empty()) return false;
    for (const JsonValue& item : value.items)
        if (item.kind != Kind::string || !add(item.text)) return false;
    return true;
}

bool topic_patterns(const JsonValue& value, Route& route) {
    route.topics.clear();
    if (value.kind == Kind::string) route.topics.push_back(value.text);
    for (const JsonValue& item : value.items) {
        if (item.kind != Kind::string) return false;
        route.topics.push_back(item.text);
    }
    for (std::string pattern : route.topics) {
        if (pattern.empty()) return false;  // matches nothing: records would stay here unnoticed
        std::erase(pattern, '*');
        if (!pattern.empty() && !is_id(pattern, 249)) return false;
    }
    return (value.kind == Kind::string || value.kind == Kind::array) && !route.topics.empty();
}

constexpr std::array<Setting<Route>, 15> route_table{{
    {"name", "letters, digits, '.', '_' and '-', at most 64",
     [](const JsonValue& value, Route& route) {
         route.name = value.text;
         return value.kind == Kind::string && is_id(value.text, 64);
     }},
    {"bootstrap.servers",
     "\"host:port\" or an array of them, e.g. [\"kafka-1:9092\", \"kafka-2:9092\"]", addresses},
    {"topics", "topic names, '*' stands for any characters, e.g. [\"sensors.*\"]", topic_patterns},
    {"upstream.topic",
     "a topic name in which {topic} stands for the local one, e.g. \"site7.{topic}\"",
     [](const JsonValue& value, Route& route) {
         std::string rest = value.text;
         if (const std::size_t at = rest.find("{topic}"); at != std::string::npos) {
             rest[at] = 't';
             rest.erase(at + 1, 6);
         }
         route.upstream_topic = value.text;
         return value.kind == Kind::string && is_id(rest, 249);
     }},
    {"mapping", "\"same-partition\", \"pinned\" or \"by-key\"",
     [](const JsonValue& value, Route& route) {
         if (value.kind != Kind::string) return false;
         if (value.text == "same-partition")
             route.mapping = Route::Mapping::same_partition;
         else if (value.text == "pinned")
             route.mapping = Route::Mapping::pinned;
         else if (value.text == "by-key")
             route.mapping = Route::Mapping::by_key;
         else
             return false;
         return true;
     }},
    {"pinned.partition", "a whole number from 0 to 1000000",
     number<&Route::pinned_partition, 0, 1'000'000>},
    {"headers", "true or false", boolean<&Route::headers>},
    {"create.topics", "true or false", boolean<&Route::create_topics>},
    {"in.flight.bytes", "a size from \"64KiB\" to \"256MiB\", e.g. \"1MiB\"",
     size<&Route::in_flight_bytes, 64 * kib, 256 * mib>},
    {"merge.bytes", "a size from 0 (never) to \"512KiB\", e.g. \"32KiB\"",
     size<&Route::merge_bytes, 0, 512 * kib>},
    {"on.poison", "\"stall\" or \"skip\"",
     [](const JsonValue& value, Route& route) {
         const bool skip = value.text == "skip";
         route.on_poison = skip ? Route::OnPoison::skip : Route::OnPoison::stall;
         return value.kind == Kind::string && (skip || value.text == "stall");
     }},
    {"request.timeout.ms", "a duration from \"1s\" to \"10min\", e.g. \"30s\"",
     duration<&Route::request_timeout, 1000, 600'000>},
    {"retry.backoff.ms", "a duration from \"1ms\" to \"1min\", e.g. \"100ms\"",
     duration<&Route::backoff, 1, 60'000>},
    {"retry.backoff.max.ms", "a duration from \"1ms\" to \"10min\", e.g. \"10s\"",
     duration<&Route::backoff_max, 1, 600'000>},
    {"comment", "any text", [](const JsonValue&, Route&) { return true; }},
}};

}  // namespace

std::span<const Setting<Config>> config_settings() { return config_table; }
std::span<const Setting<Route>> route_settings() { return route_table; }

}  // namespace leat::config
