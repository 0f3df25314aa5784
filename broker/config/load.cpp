#include "broker/config/load.hpp"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "broker/config/json.hpp"
#include "broker/config/setting.hpp"
#include "broker/config/text.hpp"

namespace leat::config {
namespace {

// What Kafka calls it, where that is not ours.
constexpr std::array<std::pair<std::string_view, std::string_view>, 11> kafka_words{{
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
    {"max.incremental.fetch.session.cache.slots", "fetch.session.bytes"},
}};

template <class Owner>
std::string did_you_mean(std::string_view wrong, std::span<const Setting<Owner>> table) {
    std::vector<std::string_view> words;
    for (const Setting<Owner>& setting : table) words.push_back(setting.key);
    for (const auto& [theirs, ours] : kafka_words)
        if (wrong == theirs) return "; here it is \"" + std::string(ours) + "\"";
    const auto close = nearest(wrong, words);
    return close ? "; did you mean \"" + std::string(*close) + "\"?"
                 : "; broker/README.md lists all keys";
}

class Applier {
public:
    Applier(std::string_view name, std::vector<std::string>& problems)
        : name_(name), problems_(problems) {}

    void complain(int line, std::string_view text) {
        problems_.push_back(std::string(name_) + (line > 0 ? ":" + std::to_string(line) : "") +
                            ": " + std::string(text));
    }

    /// `special` gets the values whose setting has no `take` of its own.
    template <class Owner, class Special>
    void apply(const JsonValue& object, std::span<const Setting<Owner>> table, Owner& owner,
               Special special) {
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
                complain(line, "\"" + key + "\" is " + object.items[i].shown() + "; expected " +
                                   std::string(found->right));
            }
        }
    }

    void routes(const JsonValue& value, int line, Config& config) {
        constexpr std::size_t routes_max = 64;
        if (value.kind != Kind::array)
            return complain(
                line, "\"routes\" is " + value.shown() + "; expected " + "an array of objects");
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
            apply(item, route_settings(), route, [](const JsonValue&, int) {});
            if (problems_.size() == before) {
                if (route.bootstrap.empty())
                    complain(
                        at,
                        "route \"" + route.name +
                            "\" has no \"bootstrap.servers\"; expected e.g. [\"kafka-1:9092\"]");
                if (route.topics.empty())
                    complain(at, "route \"" + route.name +
                                     "\" has no \"topics\"; expected e.g. [\"*\"]");
                if (route.backoff > route.backoff_max)
                    complain(at,
                             "\"retry.backoff.ms\" is above \"retry.backoff.max.ms\"; lower the "
                             "one or raise the other");
            }
            for (const Route& other : config.routes)
                if (other.name == route.name)
                    complain(at, "two routes are named \"" + route.name +
                                     "\"; give each its own \"name\"");
            config.routes.push_back(std::move(route));
        }
    }

private:
    std::string_view name_;
    std::vector<std::string>& problems_;
};

/// A pipe, too: nobody may ever write to it.
bool read_file(const std::string& path, std::string& text, milliseconds quiet_max) {
    constexpr std::size_t file_max = 1024 * 1024;
    const int fd = ::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0) return false;
    std::array<char, 8192> piece;
    ssize_t count = -1;
    pollfd from{fd, POLLIN, 0};
    for (errno = ETIMEDOUT; ::poll(&from, 1, static_cast<int>(quiet_max.count())) == 1;
         errno = ETIMEDOUT) {
        count = ::read(fd, piece.data(), piece.size());
        if (count <= 0 || text.size() >= file_max) break;
        text.append(piece.data(), static_cast<std::size_t>(count));
        count = -1;
    }
    const int failure = count > 0 ? EFBIG : count < 0 ? errno : 0;
    ::close(fd);
    errno = failure;
    return failure == 0;
}

}  // namespace

std::vector<std::string_view> known_keys() {
    std::vector<std::string_view> keys;
    for (const auto& setting : config_settings()) keys.push_back(setting.key);
    for (const auto& setting : route_settings()) keys.push_back(setting.key);
    return keys;
}

void apply_json(std::string_view text, std::string_view name, Loaded& loaded) {
    Applier applier(name, loaded.problems);
    JsonValue root;
    JsonProblem problem;
    if (!parse_json(text, root, problem)) return applier.complain(problem.line, problem.text);
    if (root.kind != Kind::object)
        return applier.complain(root.line, "the file holds " + root.shown() +
                                               "; expected one object: { \"key\": value, ... }");
    applier.apply(root, config_settings(), loaded.config, [&](const JsonValue& value, int line) {
        applier.routes(value, line, loaded.config);
    });
}

Loaded load(const Flags& flags, milliseconds quiet_max) {
    Loaded loaded;
    if (flags.config) {
        std::string text;
        if (read_file(*flags.config, text, quiet_max))
            apply_json(text, *flags.config, loaded);
        else if (errno == ETIMEDOUT)
            loaded.problems.push_back(*flags.config +
                                      ": is no file, and nobody writes to it; check the path given "
                                      "to --config");
        else
            loaded.problems.push_back(*flags.config + ": cannot be read: " + std::strerror(errno) +
                                      "; check the path given to --config");
    }
    apply_flags(flags, loaded);
    if (loaded.problems.empty()) check_together(loaded);
    return loaded;
}

void check_together(Loaded& loaded) {
    const Config& config = loaded.config;
    auto complain = [&loaded](std::string text) { loaded.problems.push_back(std::move(text)); };
    if (config.segment_bytes && config.budget_bytes &&
        config.budget_bytes / config.segment_bytes < 16)
        complain(
            "\"log.budget.bytes\" holds fewer than 16 segments of \"log.segment.bytes\"; raise the "
            "budget or lower the segment size");
    // Who chose small segments and said nothing of batches gets what fits.
    if (config.segment_bytes && config.message_bytes_max == Config().message_bytes_max)
        loaded.config.message_bytes_max =
            std::min(config.message_bytes_max, config.segment_bytes / 2);
    if (config.segment_bytes && config.message_bytes_max > config.segment_bytes / 2)
        complain(
            "\"message.max.bytes\" is above half of \"log.segment.bytes\"; a batch must fit half a "
            "segment");
    if (config.message_bytes_max > config.request_bytes_max)
        complain("\"message.max.bytes\" is above \"socket.request.max.bytes\"; raise the latter");
    if (config.session_timeout_min > config.session_timeout_max)
        complain(
            "\"group.min.session.timeout.ms\" is above \"group.max.session.timeout.ms\": no "
            "consumer could join a group; lower the first or raise the second");
    if (config.consumer_heartbeat_interval >= config.consumer_session_timeout)
        complain(
            "\"group.consumer.heartbeat.interval.ms\" is not below "
            "\"group.consumer.session.timeout.ms\": every member would time out");
    if (config.http_mode == Config::HttpMode::given && config.http.port != 0 &&
        config.http == config.listen)
        complain("\"http.listener\" and \"listeners\" are both " + to_text(config.listen) +
                 "; give each its own port");
    if (!config.advertised.host.empty() &&
        (config.advertised.host == "0.0.0.0" || config.advertised.host == "::"))
        complain("\"advertised.listeners\" is " + to_text(config.advertised) +
                 ", which no client can connect to; name a host they can reach");
}

}  // namespace leat::config
