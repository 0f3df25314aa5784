// The table of settings: key, what is right, how it is taken.
#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <bit>
#include <cerrno>
#include <cstring>
#include <limits>

#include "broker/config/json.hpp"
#include "broker/config/load.hpp"
#include "broker/config/text.hpp"

namespace leat::config {
namespace {

using Kind = JsonValue::Kind;
constexpr std::int64_t kib = 1024, mib = 1024 * kib, gib = 1024 * mib, tib = 1024 * gib;

template <class Owner>
struct Setting {
    std::string_view key;
    std::string_view right;  ///< completes "expected ..."
    bool (*take)(const JsonValue&, Owner&);
};

template <class T> struct MemberOf;
template <class Owner, class Type> struct MemberOf<Type Owner::*> { using owner = Owner; using type = Type; };
template <auto member> using OwnerOf = typename MemberOf<decltype(member)>::owner;
template <auto member> using TypeOf = typename MemberOf<decltype(member)>::type;

template <auto member, std::int64_t min, std::int64_t max>
bool number(const JsonValue& value, OwnerOf<member>& owner) {
    if (value.kind != Kind::integer || value.integer < min || value.integer > max) return false;
    owner.*member = static_cast<TypeOf<member>>(value.integer);
    return true;
}

template <auto member, std::int64_t min, std::int64_t max>
bool size(const JsonValue& value, OwnerOf<member>& owner) {
    std::int64_t bytes = value.integer;
    if (value.kind == Kind::string) {
        const auto parsed = parse_size(value.text);
        if (!parsed) return false;
        bytes = static_cast<std::int64_t>(*parsed);
    } else if (value.kind != Kind::integer) {
        return false;
    }
    if (bytes < min || bytes > max) return false;
    owner.*member = static_cast<TypeOf<member>>(bytes);
    return true;
}

template <auto member, std::int64_t min, std::int64_t max>
bool duration(const JsonValue& value, OwnerOf<member>& owner) {
    milliseconds time{value.integer};
    if (value.kind == Kind::string) {
        const auto parsed = parse_duration(value.text);
        if (!parsed) return false;
        time = *parsed;
    } else if (value.kind != Kind::integer) {
        return false;
    }
    if (time.count() < min || time.count() > max) return false;
    owner.*member = time;
    return true;
}

template <auto member>
bool boolean(const JsonValue& value, OwnerOf<member>& owner) {
    if (value.kind != Kind::boolean) return false;
    owner.*member = value.boolean;
    return true;
}

template <auto member, std::size_t max>
bool word(const JsonValue& value, OwnerOf<member>& owner) {
    if (value.kind != Kind::string || value.text.empty() || value.text.size() > max) return false;
    owner.*member = value.text;
    return true;
}

template <auto member>
bool address(const JsonValue& value, OwnerOf<member>& owner) {
    if (value.kind != Kind::string) return false;
    const auto parsed = parse_host_port(value.text);
    if (parsed) owner.*member = *parsed;
    return parsed.has_value();
}

template <auto member>
bool power_of_two(const JsonValue& value, OwnerOf<member>& owner) {
    return std::has_single_bit(owner.*member) || (value.integer == 0 && owner.*member == 0);
}

bool is_id(std::string_view text, std::size_t max) {
    return !text.empty() && text.size() <= max &&
           text.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-") == std::string_view::npos;
}

constexpr std::int64_t year_ms = std::int64_t{366} * 86'400'000;
constexpr std::int64_t int64_max = std::numeric_limits<std::int64_t>::max();

constexpr std::array<Setting<Config>, 27> settings{{
    {"data.dir", "a folder, e.g. \"/var/lib/leat\"", word<&Config::data_dir, 4096>},
    {"listeners", "one \"host:port\", e.g. \"127.0.0.1:9092\"", address<&Config::listen>},
    {"advertised.listeners", "one \"host:port\" that clients can reach, e.g. \"gateway.local:9092\"", address<&Config::advertised>},
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
    {"log.budget.bytes", "a size from \"2MiB\" to \"16TiB\", e.g. \"1GiB\"", size<&Config::budget_bytes, 2 * mib, 16 * tib>},
    {"log.segment.bytes", "a power of two from \"64KiB\" to \"64MiB\", e.g. \"4MiB\"",
     [](const JsonValue& value, Config& config) {
         return size<&Config::segment_bytes, 64 * kib, 64 * mib>(value, config) && power_of_two<&Config::segment_bytes>(value, config);
     }},
    {"log.page.bytes", "4096, 8192, 16384, 32768 or 65536",
     [](const JsonValue& value, Config& config) {
         return size<&Config::page_bytes, 4 * kib, 64 * kib>(value, config) && power_of_two<&Config::page_bytes>(value, config);
     }},
    {"log.commit.interval.ms", "\"auto\" or a duration up to \"10s\", e.g. \"100ms\"",
     [](const JsonValue& value, Config& config) {
         if (value.kind == Kind::string && value.text == "auto") {
             config.commit_interval = milliseconds{-1};
             return true;
         }
         return duration<&Config::commit_interval, 0, 10'000>(value, config);
     }},
    {"auto.create.topics.enable", "true or false", boolean<&Config::auto_create_topics>},
    {"num.partitions", "a whole number from 1 to 1000", number<&Config::num_partitions, 1, 1000>},
    {"accept.replication.factor", "true or false (true: a factor above 1 is accepted on this one node)",
     boolean<&Config::accept_replication_factor>},
    {"message.max.bytes", "a size from \"1KiB\" to \"32MiB\", e.g. \"1MiB\"", size<&Config::message_bytes_max, kib, 32 * mib>},
    {"log.retention.ms", "a duration, e.g. \"7d\", or -1 for no bound", duration<&Config::retention, -1, 1000 * year_ms>},
    {"log.retention.bytes", "a size, e.g. \"100MiB\", or -1 for no bound", size<&Config::retention_bytes, -1, int64_max>},
    {"log.message.timestamp.before.max.ms", "a duration, e.g. \"7d\", or -1 for no bound",
     duration<&Config::timestamp_before_max, -1, 1000 * year_ms>},
    {"log.message.timestamp.after.max.ms", "a duration, e.g. \"1h\", or -1 for no bound",
     duration<&Config::timestamp_after_max, -1, 1000 * year_ms>},
    {"max.connections", "a whole number from 1 to 1000000", number<&Config::connections_max, 1, 1'000'000>},
    {"socket.request.max.bytes", "a size from \"64KiB\" to \"64MiB\", e.g. \"8MiB\"", size<&Config::request_bytes_max, 64 * kib, 64 * mib>},
    {"byte.pool.bytes", "a size from \"256KiB\" to \"1GiB\", e.g. \"4MiB\"", size<&Config::byte_pool_bytes, 256 * kib, gib>},
    {"max.pipelined.requests", "a whole number from 1 to 10000", number<&Config::pipelined_requests_max, 1, 10'000>},
    {"connections.max.idle.ms", "a duration from \"1s\", e.g. \"10min\"", duration<&Config::idle_connection, 1000, year_ms>},
    {"log.level", "\"debug\", \"info\", \"warn\" or \"error\"",
     [](const JsonValue& value, Config& config) {
         if (value.kind != Kind::string) return false;
         config.log_level = value.text;
         return value.text == "debug" || value.text == "info" || value.text == "warn" || value.text == "error";
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
        std::erase(pattern, '*');
        if (!pattern.empty() && !is_id(pattern, 249)) return false;
    }
    return (value.kind == Kind::string || value.kind == Kind::array) && !route.topics.empty();
}

constexpr std::array<Setting<Route>, 13> route_settings{{
    {"name", "letters, digits, '.', '_' and '-', at most 64",
     [](const JsonValue& value, Route& route) {
         route.name = value.text;
         return value.kind == Kind::string && is_id(value.text, 64);
     }},
    {"bootstrap.servers", "\"host:port\" or an array of them, e.g. [\"kafka-1:9092\", \"kafka-2:9092\"]", addresses},
    {"topics", "topic names, '*' stands for any characters, e.g. [\"sensors.*\"]", topic_patterns},
    {"upstream.topic", "a topic name in which {topic} stands for the local one, e.g. \"site7.{topic}\"",
     [](const JsonValue& value, Route& route) {
         std::string rest = value.text;
         if (const std::size_t at = rest.find("{topic}"); at != std::string::npos) rest.replace(at, 7, "t");
         route.upstream_topic = value.text;
         return value.kind == Kind::string && is_id(rest, 249);
     }},
    {"mapping", "\"same-partition\", \"pinned\" or \"by-key\"",
     [](const JsonValue& value, Route& route) {
         if (value.kind != Kind::string) return false;
         if (value.text == "same-partition") route.mapping = Route::Mapping::same_partition;
         else if (value.text == "pinned") route.mapping = Route::Mapping::pinned;
         else if (value.text == "by-key") route.mapping = Route::Mapping::by_key;
         else return false;
         return true;
     }},
    {"pinned.partition", "a whole number from 0 to 1000000", number<&Route::pinned_partition, 0, 1'000'000>},
    {"headers", "true or false", boolean<&Route::headers>},
    {"create.topics", "true or false", boolean<&Route::create_topics>},
    {"in.flight.bytes", "a size from \"64KiB\" to \"256MiB\", e.g. \"1MiB\"", size<&Route::in_flight_bytes, 64 * kib, 256 * mib>},
    {"request.timeout.ms", "a duration from \"1s\" to \"10min\", e.g. \"30s\"", duration<&Route::request_timeout, 1000, 600'000>},
    {"retry.backoff.ms", "a duration from \"1ms\" to \"1min\", e.g. \"100ms\"", duration<&Route::backoff, 1, 60'000>},
    {"retry.backoff.max.ms", "a duration from \"1ms\" to \"10min\", e.g. \"10s\"", duration<&Route::backoff_max, 1, 600'000>},
    {"comment", "any text", [](const JsonValue&, Route&) { return true; }},
}};

// What Kafka calls it, where that is not ours.
constexpr std::array<std::pair<std::string_view, std::string_view>, 10> kafka_words{{
    {"log.dirs", "data.dir"},
    {"log.dir", "data.dir"},
    {"broker.id", "node.id"},
    {"log.retention.hours", "log.retention.ms"},
    {"log.retention.minutes", "log.retention.ms"},
    {"log.flush.interval.ms", "log.commit.interval.ms"},
    {"log.flush.interval.messages", "log.commit.interval.ms"},
    {"log.message.timestamp.difference.max.ms", "log.message.timestamp.before.max.ms"},
    {"default.replication.factor", "accept.replication.factor"},
    {"queued.max.request.bytes", "byte.pool.bytes"},
}};

template <std::size_t count, class Owner>
std::string did_you_mean(std::string_view wrong, const std::array<Setting<Owner>, count>& table) {
    std::array<std::string_view, count> words;
    for (std::size_t i = 0; i < count; ++i) words[i] = table[i].key;
    for (const auto& [theirs, ours] : kafka_words)
        if (wrong == theirs) return "; here it is \"" + std::string(ours) + "\"";
    const auto close = nearest(wrong, words);
    return close ? "; did you mean \"" + std::string(*close) + "\"?" : "; the README of broker/config lists all keys";
}

class Applier {
public:
    Applier(std::string_view name, std::vector<std::string>& problems) : name_(name), problems_(problems) {}

    void complain(int line, std::string_view text) {
        problems_.push_back(std::string(name_) + (line > 0 ? ":" + std::to_string(line) : "") + ": " + std::string(text));
    }

    template <std::size_t count, class Owner, class Special>
    void apply(const JsonValue& object, const std::array<Setting<Owner>, count>& table, Owner& owner, Special special) {
        for (std::size_t i = 0; i < object.items.size(); ++i) {
            const std::string& key = object.keys[i];
            const int line = object.key_lines[i];
            const Setting<Owner>* found = nullptr;
            for (const Setting<Owner>& setting : table)
                if (setting.key == key) found = &setting;
            if (!found) {
                complain(line, "unknown key \"" + key + "\"" + did_you_mean(key, table));
            } else if (!found->take) {
                special(object.items[i], line);
            } else if (!found->take(object.items[i], owner)) {
                complain(line, "\"" + key + "\" is " + object.items[i].shown() + "; expected " + std::string(found->right));
            }
        }
    }

    void routes(const JsonValue& value, int line, Config& config) {
        constexpr std::size_t routes_max = 64;
        if (value.kind != Kind::array) return complain(line, "\"routes\" is " + value.shown() + "; expected " + std::string(settings[25].right));
        if (value.items.size() > routes_max) return complain(line, "more than 64 routes");
        config.routes.clear();
        for (const JsonValue& item : value.items) {
            if (item.kind != Kind::object) {
                complain(item.line, "a route is " + item.shown() + "; expected an object");
                continue;
            }
            const int at = item.key_lines.empty() ? item.line : item.key_lines.front();
            Route route;
            const std::size_t before = problems_.size();
            apply(item, route_settings, route, [](const JsonValue&, int) {});
            if (problems_.size() == before) {
                if (route.bootstrap.empty()) complain(at, "route \"" + route.name + "\" has no \"bootstrap.servers\"; expected e.g. [\"kafka-1:9092\"]");
                if (route.topics.empty()) complain(at, "route \"" + route.name + "\" has no \"topics\"; expected e.g. [\"*\"]");
                if (route.backoff > route.backoff_max)
                    complain(at, "\"retry.backoff.ms\" is above \"retry.backoff.max.ms\"; lower the one or raise the other");
            }
            for (const Route& other : config.routes)
                if (other.name == route.name) complain(at, "two routes are named \"" + route.name + "\"; give each its own \"name\"");
            config.routes.push_back(std::move(route));
        }
    }

private:
    std::string_view name_;
    std::vector<std::string>& problems_;
};

bool read_file(const std::string& path, std::string& text) {
    constexpr std::size_t file_max = 1024 * 1024;
    const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) return false;
    std::array<char, 8192> piece;
    ssize_t count;
    while ((count = ::read(fd, piece.data(), piece.size())) > 0 && text.size() < file_max)
        text.append(piece.data(), static_cast<std::size_t>(count));
    const int failure = count > 0 ? EFBIG : count < 0 ? errno : 0;
    ::close(fd);
    errno = failure;
    return failure == 0;
}

}  // namespace

std::vector<std::string_view> known_keys() {
    std::vector<std::string_view> keys;
    for (const auto& setting : settings) keys.push_back(setting.key);
    for (const auto& setting : route_settings) keys.push_back(setting.key);
    return keys;
}

void apply_json(std::string_view text, std::string_view name, Loaded& loaded) {
    Applier applier(name, loaded.problems);
    JsonValue root;
    JsonProblem problem;
    if (!parse_json(text, root, problem)) return applier.complain(problem.line, problem.text);
    if (root.kind != Kind::object) return applier.complain(root.line, "the file holds " + root.shown() + "; expected one object: { \"key\": value, ... }");
    applier.apply(root, settings, loaded.config,
                  [&](const JsonValue& value, int line) { applier.routes(value, line, loaded.config); });
}

Loaded load(const Flags& flags) {
    Loaded loaded;
    if (flags.config) {
        std::string text;
        if (read_file(*flags.config, text)) apply_json(text, *flags.config, loaded);
        else loaded.problems.push_back(*flags.config + ": cannot be read: " + std::strerror(errno) + "; check the path given to --config");
    }
    apply_flags(flags, loaded);
    if (loaded.problems.empty()) check_together(loaded);
    return loaded;
}

void check_together(Loaded& loaded) {
    const Config& config = loaded.config;
    auto complain = [&loaded](std::string text) { loaded.problems.push_back(std::move(text)); };
    if (config.segment_bytes && config.budget_bytes && config.budget_bytes / config.segment_bytes < 16)
        complain("\"log.budget.bytes\" holds fewer than 16 segments of \"log.segment.bytes\"; raise the budget or lower the segment size");
    if (config.segment_bytes && config.message_bytes_max > config.segment_bytes / 2)
        complain("\"message.max.bytes\" is above half of \"log.segment.bytes\"; a batch must fit half a segment");
    if (config.message_bytes_max > config.request_bytes_max)
        complain("\"message.max.bytes\" is above \"socket.request.max.bytes\"; raise the latter");
    if (config.http_mode == Config::HttpMode::given && config.http.port != 0 && config.http == config.listen)
        complain("\"http.listener\" and \"listeners\" are both " + to_text(config.listen) + "; give each its own port");
    if (!config.advertised.host.empty() && (config.advertised.host == "0.0.0.0" || config.advertised.host == "::"))
        complain("\"advertised.listeners\" is " + to_text(config.advertised) + ", which no client can connect to; name a host they can reach");
}

}  // namespace leat::config
