#pragma once
#include <string>
#include <vector>

#include "broker/api/context.hpp"
#include "broker/topics/topic_config.hpp"

namespace leat::api {

/// Resource types of DescribeConfigs, AlterConfigs and ListConfigResources.
enum class ConfigResource : std::int8_t {
    topic = 2,
    broker = 4,
    logger = 8,
    metrics = 16,
    group = 32
};

/// Where a value comes from, as DescribeConfigs numbers it.
enum class ConfigSource : std::int8_t {
    topic = 1,
    broker = 2,   ///< set for one while it runs
    brokers = 3,  ///< for all
    static_broker = 4,
    fallback = 5,
    group = 8
};

struct ConfigEntry {
    std::string name, value;
    ConfigSource source = ConfigSource::fallback;
    bool read_only = false;
    topics::SettingType type = topics::SettingType::string;
    std::string_view documentation;
    /// From the nearest source to the farthest; the first is the value in force.
    struct Synonym {
        std::string name, value;
        ConfigSource source;
    };
    std::vector<Synonym> synonyms;
};

/// Every known topic setting with the value in force.
/// bytes_max  what max.message.bytes says: the setting, or what the log can take if that is less
std::vector<ConfigEntry> topic_config_entries(const topics::TopicConfig& config,
                                              std::uint32_t bytes_max);
/// The broker's settings that Kafka has, too, sorted by name; those that come from the
/// configuration file are read only.
std::vector<ConfigEntry> broker_config_entries(Context& context);

/// The settings of one group, which need not be there.
std::vector<ConfigEntry> group_config_entries(const groups::GroupSettings& settings,
                                              std::string_view group);

}  // namespace leat::api
