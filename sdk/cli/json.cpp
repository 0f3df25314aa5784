// Records and topics as JSON. Beside json_groups.cpp and json_status.cpp the only file that includes
// nlohmann/json.
#include "sdk/cli/json.hpp"

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

}  // namespace leat::cli
