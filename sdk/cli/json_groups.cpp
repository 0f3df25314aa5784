// Groups and settings as JSON.
#include <nlohmann/json.hpp>

#include "sdk/cli/json.hpp"

namespace leat::cli {
namespace {

using Json = nlohmann::ordered_json;

std::string line_of(const Json& json) {
    return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

Json known(std::int64_t number) { return number < 0 ? Json() : Json(number); }

}  // namespace

std::string json_of(const std::vector<ListedGroup>& groups) {
    Json list = Json::array();
    for (const ListedGroup& group : groups)
        list.push_back({{"group", group.group_id},
                        {"state", group.state},
                        {"protocol_type", group.protocol_type},
                        {"type", group.type}});
    return line_of(list);
}

std::string json_of(const std::vector<GroupReport>& reports) {
    Json list = Json::array();
    for (const GroupReport& report : reports) {
        Json& group = list.emplace_back();
        group["group"] = report.group.group_id;
        group["state"] = report.group.state;
        group["protocol_type"] = report.group.protocol_type;
        group["assignor"] = report.group.protocol;
        group["coordinator"] = report.group.coordinator;
        group["members"] = Json::array();
        for (const GroupPicture::Member& from : report.group.members) {
            Json& member = group["members"].emplace_back();
            member["member"] = from.member_id;
            if (from.instance_id) member["instance"] = *from.instance_id;
            member["client"] = from.client_id;
            member["host"] = from.client_host;
            member["partitions"] = Json::array();
            for (const TopicPartition& place : from.assignment)
                member["partitions"].push_back(
                    {{"topic", place.topic}, {"partition", place.partition}});
        }
        group["partitions"] = Json::array();
        for (const LagRow& row : report.rows)
            group["partitions"].push_back({{"topic", row.place.topic},
                                           {"partition", row.place.partition},
                                           {"committed", known(row.committed)},
                                           {"end", known(row.end)},
                                           {"lag", known(row.lag())}});
    }
    return line_of(list);
}

std::string json_of(const std::vector<ResetRow>& rows, bool executed) {
    Json json;
    json["executed"] = executed;
    json["partitions"] = Json::array();
    for (const ResetRow& row : rows) {
        Json& one = json["partitions"].emplace_back();
        one["topic"] = row.place.topic;
        one["partition"] = row.place.partition;
        one["from"] = known(row.from);
        one["to"] = row.to;
        if (row.error != ErrorCode::none) one["error"] = wire::name(row.error);
    }
    return line_of(json);
}

std::string json_of(const std::vector<ConfigEntry>& configs) {
    Json list = Json::array();
    for (const ConfigEntry& entry : configs)
        list.push_back({{"name", entry.name},
                        {"value", entry.value ? Json(*entry.value) : Json()},
                        {"source", entry.source},
                        {"read_only", entry.read_only},
                        {"sensitive", entry.sensitive}});
    return line_of(list);
}

}  // namespace leat::cli
