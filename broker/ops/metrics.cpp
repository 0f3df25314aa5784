#include "broker/ops/metrics.hpp"

#include <array>
#include <map>
#include <nlohmann/json.hpp>

namespace leat::ops {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::array<std::string_view, 8> label_names{"name",   "topic", "partition", "route",
                                                      "reason", "id",    "peer",      "kind"};

bool is_label(std::string_view key) {
    for (const std::string_view name : label_names)
        if (key == name) return true;
    return false;
}

std::string metric_name(std::string_view text) {
    std::string name(text);
    for (char& c : name)
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              c == '_'))
            c = '_';
    return name;
}

std::string label_value(const Json& value) {
    std::string text = value.is_string() ? value.get<std::string>() : value.dump();
    std::string escaped;
    for (const char c : text) {
        if (c == '\\' || c == '"') escaped.push_back('\\');
        if (c == '\n')
            escaped += "\\n";
        else
            escaped.push_back(c);
    }
    return escaped;
}

class Flattener {
public:
    // Samples of one name must stand together; they come from far apart in the document.
    void walk(const Json& value, const std::string& name, const std::string& labels) {
        if (value.is_boolean()) {
            add(name, labels, value.get<bool>() ? "1" : "0");
        } else if (value.is_number()) {
            add(name, labels, value.dump());
        } else if (value.is_object()) {
            for (const auto& [key, member] : value.items())
                if (!(is_label(key) && !labels.empty()))
                    walk(member, name + "_" + metric_name(key), labels);
        } else if (value.is_array()) {
            for (const Json& item : value)
                if (item.is_object()) walk(item, name, labels_of(item, labels));
        }
    }

    std::string text() const {
        std::string out;
        for (const std::string& name : order_) {
            out += "# TYPE " + name + (name.ends_with("_total") ? " counter\n" : " gauge\n");
            out += samples_.at(name);
        }
        return out;
    }

private:
    static std::string labels_of(const Json& item, std::string labels) {
        for (const std::string_view label : label_names) {
            const auto found = item.find(std::string(label));
            if (found == item.end() || found->is_structured() || found->is_null()) continue;
            if (!labels.empty()) labels += ",";
            labels += std::string(label) + "=\"" + label_value(*found) + "\"";
        }
        return labels;
    }
    void add(const std::string& name, const std::string& labels, const std::string& value) {
        auto [place, is_new] = samples_.try_emplace(name);
        if (is_new) order_.push_back(name);
        place->second += name + (labels.empty() ? " " : "{" + labels + "} ") + value + "\n";
    }

    std::map<std::string, std::string> samples_;
    std::vector<std::string> order_;
};

}  // namespace

std::string prometheus_text(std::string_view status_json) {
    const Json status = Json::parse(status_json, nullptr, false);
    if (status.is_discarded()) return {};
    Flattener flattener;
    flattener.walk(status, "leat", "");
    return flattener.text();
}

Health health_of(std::string_view status_json) {
    const Json status = Json::parse(status_json, nullptr, false);
    if (!status.is_object()) return {false, "the status cannot be read"};
    const auto log = status.find("log");
    if (log != status.end() && log->is_object() && log->value("read_only", false))
        return {false, "the log takes no more writes: two in a row failed; look at the device"};
    if (log != status.end() && log->is_object() && log->value("write_is_slow", false))
        return {false, "a write takes longer than 5 s: check the storage device"};
    if (log != status.end() && log->is_object() && log->value("foreign_device", false) &&
        !status.value("uplink", Json::array()).empty())
        return {false,
                "nothing is forwarded: the log was written on another device; start once "
                "with --adopt or --fork"};
    return {true, "ok"};
}

}  // namespace leat::ops
