// Records, topics and status as JSON. Beside json_groups.cpp the only file that includes
// nlohmann/json.
#include "sdk/cli/json.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "sdk/cli/options.hpp"

namespace leat::cli {
namespace {

using Json = nlohmann::ordered_json;

std::string line_of(const Json& json) {
    return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

bool is_utf8(std::string_view text) {
    std::size_t i = 0;
    while (i < text.size()) {
        const auto c = static_cast<unsigned char>(text[i]);
        const std::size_t more = c < 0x80         ? 0
                                 : (c >> 5) == 6  ? 1
                                 : (c >> 4) == 14 ? 2
                                 : (c >> 3) == 30 ? 3
                                                  : 9;
        if (more == 9 || i + more >= text.size() || c == 0xC0 || c == 0xC1 || c > 0xF4)
            return false;
        for (std::size_t k = 1; k <= more; ++k)
            if ((static_cast<unsigned char>(text[i + k]) >> 6) != 2) return false;
        const auto second = more > 0 ? static_cast<unsigned char>(text[i + 1]) : 0;
        // Over-long forms, surrogates, and what lies above U+10FFFF.
        if ((c == 0xE0 && second < 0xA0) || (c == 0xED && second > 0x9F) ||
            (c == 0xF0 && second < 0x90) || (c == 0xF4 && second > 0x8F))
            return false;
        i += more + 1;
    }
    return true;
}

std::string base64(std::string_view bytes) {
    static constexpr char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::string text;
    for (std::size_t i = 0; i < bytes.size(); i += 3) {
        std::uint32_t word = 0;
        const std::size_t count = std::min<std::size_t>(3, bytes.size() - i);
        for (std::size_t k = 0; k < 3; ++k)
            word = (word << 8) | (k < count ? static_cast<unsigned char>(bytes[i + k]) : 0u);
        for (std::size_t k = 0; k < 4; ++k)
            text += k <= count ? letters[(word >> (18 - 6 * k)) & 63] : '=';
    }
    return text;
}

void put(Json& json, const std::string& name, std::optional<std::string_view> bytes) {
    if (!bytes)
        json[name] = nullptr;
    else if (is_utf8(*bytes))
        json[name] = *bytes;
    else
        json[name + "_base64"] = base64(*bytes);
}

const Json* member(const Json& json, const char* name) {
    const auto found = json.find(name);
    return found == json.end() ? nullptr : &*found;
}

double number(const Json& json, const char* name) {
    const Json* value = member(json, name);
    return value && value->is_number() ? value->get<double>() : 0;
}

std::string words(const Json& json, const char* name) {
    const Json* value = member(json, name);
    return value && value->is_string() ? value->get<std::string>() : std::string();
}

std::string size_text(double bytes) {
    static constexpr const char* units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    std::size_t unit = 0;
    for (; bytes >= 1024 && unit < 4; ++unit) bytes /= 1024;
    char text[32];
    std::snprintf(text, sizeof text, unit == 0 ? "%.0f %s" : "%.1f %s", bytes, units[unit]);
    return text;
}

std::string age_text(double ms) {
    char text[32];
    const double s = ms / 1000;
    if (s < 120)
        std::snprintf(text, sizeof text, "%.1f s", s);
    else if (s < 7200)
        std::snprintf(text, sizeof text, "%.0f min", s / 60);
    else if (s < 172800)
        std::snprintf(text, sizeof text, "%.1f h", s / 3600);
    else
        std::snprintf(text, sizeof text, "%.1f days", s / 86400);
    return text;
}

template <class... Values>
void add_line(std::string& to, const char* format, Values... values) {
    char text[256];
    std::snprintf(text, sizeof text, format, values...);
    to += printable(text);  // errors and names that others gave
    to += '\n';
}

/// Fields of a route that nobody here has a sentence for are shown as they are: a newer broker may
/// tell more.
void add_rest(std::string& to, const Json& object, std::initializer_list<const char*> known) {
    for (const auto& [name, value] : object.items()) {
        if (value.is_structured() || std::find(known.begin(), known.end(), name) != known.end())
            continue;
        add_line(to, "  %-17s %s", name.c_str(),
                 value.is_string() ? value.get<std::string>().c_str() : value.dump().c_str());
    }
}

void add_topics(std::string& to, const Json& status) {
    const Json* topics = member(status, "topics");
    if (!topics || !topics->is_array() || topics->empty()) return;
    add_line(to, "%s", "");
    add_line(to, "%-32s %5s %12s %12s %12s %10s %10s", "topic", "part", "log start", "readable to",
             "upstream to", "waiting", "bytes");
    for (const Json& topic : *topics) {
        const Json* partitions = member(topic, "partitions");
        if (!partitions || !partitions->is_array()) continue;
        for (const Json& partition : *partitions) {
            const double high = number(partition, "high_watermark");
            const double uplinked = number(partition, "uplinked_offset");
            add_line(to, "%-32s %5.0f %12.0f %12.0f %12.0f %10.0f %10s",
                     words(topic, "name").c_str(), number(partition, "partition"),
                     number(partition, "log_start"), high, uplinked, std::max(0.0, high - uplinked),
                     size_text(number(partition, "bytes")).c_str());
        }
    }
}

void add_route(std::string& to, const Json& route) {
    const double records = number(route, "backlog_records");
    add_line(to, "uplink %-12s %s", words(route, "route").c_str(), words(route, "link").c_str());
    add_line(to, "  %-17s %s", "upstream cluster", words(route, "upstream_cluster_id").c_str());
    if (records > 0)
        add_line(to, "  %-17s %.0f records, %s, the oldest for %s", "waiting", records,
                 size_text(number(route, "backlog_bytes")).c_str(),
                 age_text(number(route, "backlog_age_ms")).c_str());
    else
        add_line(to, "  %-17s nothing", "waiting");
    add_line(to, "  %-17s %.0f records in %.0f batches since start", "delivered",
             number(route, "delivered_records_total"), number(route, "delivered_batches_total"));
    const auto attention = [&](const char* name, const char* what) {
        if (number(route, name) > 0)
            add_line(to, "  %-17s %.0f %s", "attention", number(route, name), what);
    };
    attention("stalled", "partitions do not get on");
    attention("refused_batches_total", "batches were refused upstream");
    attention("lost_records_total", "records were lost");
    if (!words(route, "last_error").empty())
        add_line(to, "  %-17s %s", "last error", words(route, "last_error").c_str());
    add_rest(to, route,
             {"route", "link", "upstream_cluster_id", "backlog_records", "backlog_bytes",
              "backlog_age_ms", "delivered_records_total", "delivered_batches_total",
              "delivered_bytes_total", "stalled", "refused_batches_total", "lost_records_total",
              "last_error", "partitions", "in_flight_bytes"});
}

void add_device(std::string& to, const Json& status) {
    const Json* device = member(status, "device");
    if (!device || words(*device, "device").empty()) return;
    std::string text = words(*device, "device");
    if (number(*device, "written_bytes_per_day") > 0)
        text += ", " + size_text(number(*device, "written_bytes_per_day")) + " a day";
    if (member(*device, "life_used_percent"))
        text += ", up to " + std::to_string(int(number(*device, "life_used_percent"))) +
                " % of its life used";
    const char* const years =
        member(*device, "years_left") ? "years_left" : "years_of_a_new_device";
    char forecast[96];
    std::snprintf(
        forecast, sizeof forecast, ", %.1f years %s%s", number(*device, years),
        years == std::string_view("years_left") ? "left" : "for a new one",
        member(*device, "endurance_assumed") && *member(*device, "endurance_assumed") == true
            ? " (endurance assumed)"
            : "");
    if (member(*device, years)) text += forecast;
    add_line(to, "%-19s %s", "device", text.c_str());
    const std::string reserve = words(*device, "reserve");
    if (reserve == "warning" || reserve == "urgent")
        add_line(to, "%-19s the device's reserve of good blocks: %s", "attention", reserve.c_str());
}

void add_uplink(std::string& to, const Json& status) {
    const Json* routes = member(status, "uplink");
    if (!routes || !routes->is_array()) return;
    add_line(to, "%s", "");
    if (routes->empty()) add_line(to, "uplink              none (no route in the config)");
    for (const Json& route : *routes) add_route(to, route);
}

}  // namespace

std::string json_of(const std::vector<std::string>& names) { return line_of(Json(names)); }

std::string json_of(const std::vector<TopicOutcome>& outcomes) {
    return json_of("topic", outcomes);
}

std::string json_of(const char* kind, const std::vector<TopicOutcome>& outcomes) {
    Json list = Json::array();
    for (const TopicOutcome& topic : outcomes) {
        Json& one = list.emplace_back();
        one[kind] = topic.name;
        one["error"] = wire::name(topic.error);
        if (!topic.message.empty()) one["message"] = topic.message;
        if (topic.partitions > 0) one["partitions"] = topic.partitions;
    }
    return line_of(list);
}

std::string json_of(const std::vector<TopicReport>& reports) {
    Json list = Json::array();
    for (const TopicReport& report : reports) {
        Json& topic = list.emplace_back();
        topic["topic"] = report.name;
        topic["internal"] = report.info.is_internal;
        topic["partitions"] = Json::array();
        for (std::size_t i = 0; i < report.info.partitions.size(); ++i) {
            const cluster::PartitionInfo& info = report.info.partitions[i];
            Json& partition = topic["partitions"].emplace_back();
            partition["partition"] = i;
            partition["leader"] = info.leader;
            partition["leader_epoch"] = info.leader_epoch;
            partition["replicas"] = info.replicas;
            partition["in_sync"] = info.in_sync;
            if (i < report.earliest.size()) partition["earliest"] = report.earliest[i].offset;
            if (i < report.latest.size()) partition["latest"] = report.latest[i].offset;
        }
        for (const ConfigEntry& config : report.configs)
            topic["configs"][config.name] = config.value ? Json(*config.value) : Json(nullptr);
    }
    return line_of(list);
}

std::string json_of(const ConsumerRecord& record) {
    Json json;
    json["topic"] = record.topic;
    json["partition"] = record.partition;
    json["offset"] = record.offset;
    json["timestamp"] = record.timestamp.time_since_epoch().count();
    put(json, "key", record.key);
    put(json, "value", record.value);
    if (!record.headers.empty()) {
        json["headers"] = Json::array();
        for (const Header& header : record.headers) {
            Json& one = json["headers"].emplace_back();
            put(one, "name", header.key.view());
            put(one, "value",
                header.value.is_null() ? std::nullopt
                                       : std::optional(text_of(header.value.view())));
        }
    }
    return line_of(json);
}

std::string json_of(const ProduceSummary& summary) {
    Json json;
    json["delivered"] = summary.delivered;
    json["failed"] = summary.failed;
    if (!summary.error.empty()) json["error"] = summary.error;
    return line_of(json);
}

std::optional<std::string> status_line(const std::string& text) {
    const Json status = Json::parse(text, nullptr, false);
    if (!status.is_object()) return std::nullopt;
    return line_of(status);
}

std::optional<std::string> status_for_people(const std::string& text) {
    const Json status = Json::parse(text, nullptr, false);
    if (!status.is_object()) return std::nullopt;
    std::string to;
    add_line(to, "%-19s %s %s, up %s%s", "broker", words(status, "name").c_str(),
             words(status, "version").c_str(), age_text(number(status, "uptime_ms")).c_str(),
             member(status, "stopping") && *member(status, "stopping") == true ? ", stopping" : "");
    add_line(to, "%-19s %s, node %.0f", "cluster", words(status, "cluster_id").c_str(),
             number(status, "node_id"));
    if (const Json* log = member(status, "log")) {
        const double budget = number(*log, "budget_bytes"), used = number(*log, "used_bytes");
        add_line(to, "%-19s %s of %s (%.0f %%), %.0f of %.0f segments free", "flash",
                 size_text(used).c_str(), size_text(budget).c_str(),
                 budget > 0 ? 100 * used / budget : 0, number(*log, "segments_free"),
                 number(*log, "segments_target") > 0 ? number(*log, "segments_target")
                                                    : number(*log, "segments"));
        if (const std::string what = words(*log, "shrinking"); !what.empty() && what != "no")
            add_line(to, "%-19s %s on flash, more than the budget: %s", "shrinking",
                     size_text(number(*log, "pool_bytes")).c_str(), what.c_str());
        if (member(*log, "hours_left"))
            add_line(to, "%-19s %.0f hours at the last day's rate, if nothing is delivered",
                     "room for", number(*log, "hours_left"));
        const double payload = number(*log, "payload_bytes_total"),
                     written = number(*log, "written_bytes_total");
        add_line(to, "%-19s %s written for %s of records (%.2f x), %.0f commits", "since start",
                 size_text(written).c_str(), size_text(payload).c_str(),
                 payload > 0 ? written / payload : 0, number(*log, "commits_total"));
        if (member(*log, "read_only") && *member(*log, "read_only") == true)
            add_line(to, "%-19s the log is READ ONLY: the device refused a write", "attention");
        if (member(*log, "write_is_slow") && *member(*log, "write_is_slow") == true)
            add_line(to, "%-19s a write takes longer than 5 s: check the storage device",
                     "attention");
        if (number(*log, "reserved_bytes") > 0)
            add_line(to, "%-19s %s for topics with leat.reserved.bytes", "reserved",
                     size_text(number(*log, "reserved_bytes")).c_str());
        if (number(*log, "dropped_records_total") > 0)
            add_line(to, "%-19s %.0f undelivered records dropped for room since start: leat ledger",
                     "attention", number(*log, "dropped_records_total"));
        if (number(*log, "damaged_batches_total") > 0)
            add_line(to, "%-19s %.0f damaged batches", "attention",
                     number(*log, "damaged_batches_total"));
    }
    if (const Json* produce = member(status, "produce");
        produce && number(*produce, "throttle_ms") > 0)
        add_line(
            to,
            "%-19s the flash fills up: producers that may not lose records wait %.0f ms a request",
            "attention", number(*produce, "throttle_ms"));
    add_device(to, status);
    if (const Json* sessions = member(status, "sessions"))
        add_line(to, "%-19s %.0f open, %.0f requests so far", "connections",
                 number(*sessions, "open"), number(*sessions, "requests_total"));
    if (const Json* groups = member(status, "groups"); groups && number(*groups, "groups") > 0)
        add_line(to, "%-19s %.0f: %.0f stable, %.0f rebalancing, %.0f empty; %.0f members; %.0f commits, "
                     "%.0f offsets expired", "groups",
                 number(*groups, "groups"), number(*groups, "stable"),
                 number(*groups, "preparing_rebalance") + number(*groups, "completing_rebalance"),
                 number(*groups, "empty"), number(*groups, "members"),
                 number(*groups, "commits_total"), number(*groups, "offsets_expired_total"));
    add_uplink(to, status);
    add_topics(to, status);
    return to;
}

std::optional<std::string> ledger_for_people(const std::string& text) {
    const Json status = Json::parse(text, nullptr, false);
    if (!status.is_object()) return std::nullopt;
    std::string to;
    double lost = 0, cuts = 0, deleted = 0;
    bool balanced = true;
    const auto each = [](const Json& parent, const char* name, const auto& visit) {
        const Json* list = member(parent, name);
        if (list == nullptr || !list->is_array()) return;
        for (const Json& item : *list)
            if (item.is_object()) visit(item);
    };
    each(status, "topics", [&](const Json& topic) {
        each(topic, "partitions", [&](const Json& partition) {
            const Json* books = member(partition, "books");
            if (books == nullptr || !books->is_object()) return;
            lost += number(*books, "lost");
            const Json* sum = member(*books, "balanced");
            balanced = balanced && sum != nullptr && *sum == true;
            each(*books, "losses", [&](const Json& loss) {
                add_line(to, "%s-%.0f  offsets %.0f to %.0f, %.0f records, %s: %s",
                         words(topic, "name").c_str(), number(partition, "partition"),
                         number(loss, "from"), number(loss, "to") - 1, number(loss, "records"),
                         size_text(number(loss, "bytes")).c_str(), words(loss, "reason").c_str());
            });
        });
    });
    if (const Json* ledger = member(status, "ledger"))
        each(*ledger, "losses", [&](const Json& loss) {
            if (number(loss, "records") > 0)
                deleted += number(loss, "records");
            else
                cuts += number(loss, "events");
        });
    if (deleted > 0)
        add_line(to, "%.0f records were deleted with their topics before they were delivered",
                 deleted);
    lost += deleted;
    if (cuts > 0) add_line(to, "%.0f unclean stops: what nobody acknowledged was cut", cuts);
    add_line(to, "%.0f records lost; the books %s", lost,
             balanced ? "add up" : "DO NOT ADD UP: please report this");
    return to;
}

}  // namespace leat::cli
