// JSON out, and the status document in: nlohmann/json stays in json.cpp.
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
