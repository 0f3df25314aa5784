// JSON out, and the status document in: nlohmann/json stays in json.cpp, json_groups.cpp and
// json_status.cpp.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "leat/admin.hpp"
#include "leat/consumer.hpp"

namespace leat::cli {

/// One topic as `topics describe` gathers it.
struct TopicReport {
    std::string name;
    cluster::TopicInfo info;
    std::vector<PartitionOffset> earliest, latest;  ///< by partition; empty: not known
    std::vector<ConfigEntry> configs;
};

/// A partition as `groups describe` shows it. -1: not known.
struct LagRow {
    TopicPartition place;
    std::int64_t committed = -1, end = -1;
    std::string member;  ///< its owner; empty: none
    std::int64_t lag() const {
        return committed < 0 || end < 0 ? -1 : end > committed ? end - committed : 0;
    }
};

struct GroupReport {
    GroupPicture group;
    std::vector<LagRow> rows;
};

/// What `groups reset-offsets` does, or would do.
struct ResetRow {
    TopicPartition place;
    std::int64_t from = -1;  ///< -1: nothing was committed
    std::int64_t to = -1;
    ErrorCode error = ErrorCode::none;
};

std::string json_of(const std::vector<ListedGroup>& groups);
std::string json_of(const std::vector<GroupReport>& reports);
std::string json_of(const std::vector<ResetRow>& rows, bool executed);
std::string json_of(const std::vector<ConfigEntry>& configs);
std::string json_of(const std::vector<Quota>& quotas);
std::string json_of(const std::string& topic, const std::vector<LogStart>& starts);
std::string json_of(const std::vector<LogDir>& dirs);
/// Of groups, brokers or topics: `kind` is the name of the name.
std::string json_of(const char* kind, const std::vector<TopicOutcome>& outcomes);
std::string json_of(const std::vector<std::string>& names);
std::string json_of(const std::vector<TopicOutcome>& outcomes);
std::string json_of(const std::vector<TopicReport>& reports);
/// One line. Bytes that are not UTF-8 stand as base64 under "key_base64" or "value_base64".
std::string json_of(const ConsumerRecord& record);
struct ProduceSummary {
    std::uint64_t delivered = 0, failed = 0;
    std::string error;
};
std::string json_of(const ProduceSummary& summary);

/// The status document for people. Nothing: `text` is not a JSON object.
std::optional<std::string> status_for_people(const std::string& text);
/// Only what was lost, one entry a line, and whether the books add up. Nothing: as above.
std::optional<std::string> ledger_for_people(const std::string& text);
/// The status document on one line. Nothing: as above.
std::optional<std::string> status_line(const std::string& text);

}  // namespace leat::cli
