// The status document as people read it.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "sdk/cli/json.hpp"
#include "sdk/cli/options.hpp"

namespace leat::cli {
namespace {

using Json = nlohmann::ordered_json;

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

bool is_true(const Json& json, const char* name) {
    const Json* value = member(json, name);
    return value && *value == true;
}

/// What the log wrote since the start, and for what.
void add_written(std::string& to, const Json& log, const Json* storage) {
    const double payload = number(log, "payload_bytes_total"),
                 written = number(log, "written_bytes_total");
    std::string flushes;
    if (storage)
        flushes = ", " + std::to_string(std::uint64_t(number(*storage, "flushes_total"))) +
                  " flushes";
    add_line(to, "%-19s %s written for %s of records (%.2f x), %.0f commits%s", "since start",
             size_text(written).c_str(), size_text(payload).c_str(),
             payload > 0 ? written / payload : 0, number(log, "commits_total"), flushes.c_str());
    static constexpr const char* purposes[] = {"data",       "padding", "footer",
                                               "checkpoint", "cleaner", "other"};
    std::string text;
    for (const char* const purpose : purposes)
        if (const double bytes =
                number(log, ("written_" + std::string(purpose) + "_bytes_total").c_str());
            bytes > 0)
            text += (text.empty() ? "" : ", ") + std::string(purpose) + " " + size_text(bytes);
    if (!text.empty()) add_line(to, "%-19s %s", "  of that", text.c_str());
    if (number(log, "written_zeros_bytes_total") > 0)
        add_line(to, "%-19s %s of zeros, once, ahead of the first use", "  besides",
                 size_text(number(log, "written_zeros_bytes_total")).c_str());
}

/// How long the device lasts, and what that rests on.
void add_forecast(std::string& to, const Json& device) {
    const bool knows_use = member(device, "years_left") != nullptr;
    if (!knows_use && !member(device, "years_of_a_new_device")) {
        if (number(device, "endurance_bytes") > 0 && !member(device, "written_bytes_per_day"))
            add_line(to, "%-19s after ten minutes, when a rate is known", "forecast");
        return;
    }
    const std::string endures = size_text(number(device, "endurance_bytes"));
    add_line(to, "%-19s %.1f years %s at the last day's rate", "forecast",
             number(device, knows_use ? "years_left" : "years_of_a_new_device"),
             knows_use ? "left" : "for a new one");
    add_line(to, "%-19s %s%s", "  rests on",
             is_true(device, "endurance_assumed")
                 ? (endures + " for a new one, which is a guess: set flash.endurance.bytes").c_str()
                 : (endures + " for a new one (flash.endurance.bytes)").c_str(),
             knows_use ? " and the device's own account of its use"
                       : "; how much of it is used the device does not tell");
}

void add_device(std::string& to, const Json& status) {
    const Json* device = member(status, "device");
    if (!device || words(*device, "device").empty()) return;
    std::string text = words(*device, "device") + ", by everybody: " +
                       size_text(number(*device, "written_bytes_total")) + " written";
    if (member(*device, "flushes_total"))
        text += " and " + std::to_string(std::uint64_t(number(*device, "flushes_total"))) +
                " flushes";
    text += " since boot";
    if (number(*device, "written_bytes_per_day") > 0)
        text += ", " + size_text(number(*device, "written_bytes_per_day")) + " a day";
    add_line(to, "%-19s %s", "device", text.c_str());
    const std::string reserve = words(*device, "reserve");
    if (member(*device, "life_used_percent") || !reserve.empty()) {
        const double used = number(*device, "life_used_percent");
        text = used > 100 ? "more than its promised life is used"
               : used > 0 ? "up to " + std::to_string(int(used)) + " % of its life used"
                          : "life not told";
        if (!reserve.empty()) text += ", reserve of good blocks: " + reserve;
        add_line(to, "%-19s %s", reserve == "warning" || reserve == "urgent" ? "attention" : "wear",
                 text.c_str());
    }
    add_forecast(to, *device);
}

void add_uplink(std::string& to, const Json& status) {
    const Json* routes = member(status, "uplink");
    if (!routes || !routes->is_array()) return;
    add_line(to, "%s", "");
    if (routes->empty()) add_line(to, "uplink              none (no route in the config)");
    for (const Json& route : *routes) add_route(to, route);
}

}  // namespace

std::optional<std::string> status_line(const std::string& text) {
    const Json status = Json::parse(text, nullptr, false);
    if (!status.is_object()) return std::nullopt;
    return status.dump(-1, ' ', false, Json::error_handler_t::replace);
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
        add_written(to, *log, member(status, "storage"));
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
