// A topic's settings: Kafka's names and values, the few that matter here parsed. Unknown names and
// bad values are refused (INVALID_CONFIG), never kept silently.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "leat/time.hpp"
#include "sdk/base/codec.hpp"

namespace leat::topics {

/// What a topic without overrides gets; from the broker's configuration.
struct TopicDefaults {
    milliseconds retention{std::int64_t{7} * 24 * 3600 * 1000};  ///< -1: for ever
    std::int64_t retention_bytes = -1;
    std::uint32_t message_bytes_max = 1024 * 1024;
    std::string_view full_policy = "drop-oldest";  ///< of a text that outlives the broker
    milliseconds timestamp_before_max{-1};         ///< -1: no bound
    milliseconds timestamp_after_max{3'600'000};
};

/// ConfigDef types as DescribeConfigs v3 tells them.
enum class SettingType : std::int8_t {
    boolean = 1,
    string = 2,
    int32 = 3,
    int64 = 5,
    real = 6,
    list = 7
};

struct Setting {
    std::string_view name;
    SettingType type;
    std::string_view
        fallback;           ///< Kafka's default; empty where the broker's configuration gives it
    std::int64_t min, max;  ///< for numbers
    std::string_view
        choices;  ///< for strings and lists: allowed words, separated by `|`; empty: free
    std::string_view documentation;
};
std::span<const Setting> settings();  ///< sorted by name
const Setting* find_setting(std::string_view name);

class TopicConfig {
public:
    explicit TopicConfig(const TopicDefaults& defaults = {});

    /// Sets one override. A null value removes it.
    /// returns  an empty string, else why it is refused
    std::string set(std::string_view name, std::optional<std::string_view> value);

    /// Adds words to a list, or takes them away (KIP-339); words that are there, or are not, are no
    /// error.
    /// returns  an empty string, else why it is refused
    enum class ListChange : std::uint8_t { append, subtract };
    std::string change_list(std::string_view name, std::string_view words, ListChange change);

    /// Why the settings cannot all be in force, once all of a request are set; or an empty string.
    std::string conflict() const;

    /// The value in force as text, as DescribeConfigs tells it.
    std::string value(const Setting& setting) const;
    const std::map<std::string, std::string, std::less<>>& overrides() const { return overrides_; }
    /// The value without an override, and whether the broker's configuration made it another than
    /// Kafka's default.
    std::string default_value(const Setting& setting) const;
    bool default_is_configured(const Setting& setting) const;
    bool is_override(std::string_view name) const { return overrides_.contains(name); }

    milliseconds retention() const {
        return retention_;
    }  ///< -1: for ever; also when only compacted
    std::int64_t retention_bytes() const { return retention_bytes_; }
    /// leat.retention.uplinked; never for a topic that deletes nothing.
    bool until_uplinked() const { return until_uplinked_; }
    /// leat.full.policy; never for a topic that is only compacted: it refuses, as with reject.
    bool drops_oldest() const { return drops_oldest_; }
    bool waits_when_full() const { return waits_when_full_; }  ///< leat.full.policy is block
    std::uint8_t priority() const { return priority_; }        ///< 1 to 10
    std::int64_t reserved_bytes() const { return reserved_bytes_; }  ///< of each partition
    std::uint32_t message_bytes_max() const { return message_bytes_max_; }
    bool log_append_time() const { return log_append_time_; }
    std::optional<Codec> compression() const { return compression_; }  ///< null: as it came
    bool compacted() const { return compacted_; }
    bool deletes() const { return deletes_; }  ///< cleanup.policy has `delete`; it may be empty
    std::uint16_t dirty_permille_min() const { return dirty_permille_min_; }
    milliseconds compaction_lag() const { return compaction_lag_; }
    milliseconds compaction_lag_max() const { return compaction_lag_max_; }  ///< -1: no bound
    milliseconds tombstone_retention() const { return tombstone_retention_; }
    /// What acks=1 answered is flushed in it; -1: when the log commits.
    milliseconds flush_within() const { return flush_within_; }
    milliseconds timestamp_before_max() const { return before_max_; }
    milliseconds timestamp_after_max() const { return after_max_; }

private:
    void apply();
    static std::optional<Codec> codec_of(std::string_view word);

    TopicDefaults defaults_;
    std::map<std::string, std::string, std::less<>> overrides_;
    milliseconds retention_{}, before_max_{}, after_max_{};
    milliseconds compaction_lag_{}, compaction_lag_max_{-1}, tombstone_retention_{}, flush_within_{};
    std::int64_t retention_bytes_ = -1, reserved_bytes_ = 0;
    std::uint32_t message_bytes_max_ = 0;
    std::uint16_t dirty_permille_min_ = 500;
    std::uint8_t priority_ = 5;
    std::optional<Codec> compression_;
    bool drops_oldest_ = false, waits_when_full_ = false, until_uplinked_ = false;
    bool log_append_time_ = false, compacted_ = false, deletes_ = true;
};

}  // namespace leat::topics
