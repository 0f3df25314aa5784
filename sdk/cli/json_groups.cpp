// Groups, settings, quotas and log directories as JSON.
#include <nlohmann/json.hpp>

#include "sdk/cli/json.hpp"

namespace leat::cli {
namespace {

using Json = nlohmann::ordered_json;

std::string line_of(const Json& json) {
    return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

Json known(std::int64_t number) { return number < 0 ? Json() : Json(number); }

Json json_of(const std::vector<TopicPartition>& places) {
    Json list = Json::array();
    for (const TopicPartition& place : places)
        list.push_back({{"topic", place.topic}, {"partition", place.partition}});
    return list;
}

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
        group["type"] = report.group.type;
        group["epoch"] = known(report.group.epoch);
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
            member["partitions"] = json_of(from.assignment);
            if (from.epoch < 0) continue;  // the classic protocol has neither
            member["epoch"] = from.epoch;
            member["target"] = json_of(from.target);
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

std::string json_of(const std::vector<Quota>& quotas) {
    Json list = Json::array();
    for (const Quota& quota : quotas) {
        Json& to = list.emplace_back();
        to["entity"] = Json::object();  // null: those without a quota of their own
        for (const auto& [kind, name] : quota.entity)
            to["entity"][kind] = name ? Json(*name) : Json();
        to["quotas"] = quota.values;
    }
    return line_of(list);
}

std::string json_of(const std::string& topic, const std::vector<LogStart>& starts) {
    Json list = Json::array();
    for (const LogStart& start : starts) {
        Json& to = list.emplace_back();
        to["topic"] = topic;
        to["partition"] = start.partition;
        to["log_start"] = known(start.offset);
        if (start.error != ErrorCode::none) to["error"] = wire::name(start.error);
    }
    return line_of(list);
}

std::string json_of(const std::vector<LogDir>& dirs) {
    Json list = Json::array();
    for (const LogDir& dir : dirs) {
        Json& to = list.emplace_back();
        to["broker"] = dir.broker;
        to["path"] = dir.path;
        if (dir.error != ErrorCode::none) to["error"] = wire::name(dir.error);
        to["total_bytes"] = known(dir.total_bytes);
        to["usable_bytes"] = known(dir.usable_bytes);
        to["partitions"] = Json::array();
        for (const LogDir::Replica& replica : dir.replicas)
            to["partitions"].push_back({{"topic", replica.place.topic},
                                        {"partition", replica.place.partition},
                                        {"bytes", replica.bytes},
                                        {"offset_lag", replica.offset_lag},
                                        {"is_future", replica.is_future}});
    }
    return line_of(list);
}

}  // namespace leat::cli
