#include "broker/api/config_entries.hpp"

namespace leat::api {
namespace {

// The broker's name for a topic's default; empty: it has none.
std::string_view broker_name(std::string_view topic_setting) {
    constexpr std::pair<std::string_view, std::string_view> names[] = {
        {"cleanup.policy", "log.cleanup.policy"},
        {"compression.type", "compression.type"},
        {"max.message.bytes", "message.max.bytes"},
        {"message.timestamp.after.max.ms", "log.message.timestamp.after.max.ms"},
        {"message.timestamp.before.max.ms", "log.message.timestamp.before.max.ms"},
        {"message.timestamp.type", "log.message.timestamp.type"},
        {"min.insync.replicas", "min.insync.replicas"},
        {"leat.full.policy", "log.full.policy"},
        {"retention.bytes", "log.retention.bytes"},
        {"retention.ms", "log.retention.ms"},
    };
    for (const auto& [topic, broker] : names)
        if (topic == topic_setting) return broker;
    return {};
}

}  // namespace

std::vector<ConfigEntry> topic_config_entries(const topics::TopicConfig& config,
                                              std::uint32_t bytes_max) {
    std::vector<ConfigEntry> entries;
    for (const topics::Setting& setting : topics::settings()) {
        ConfigEntry& entry = entries.emplace_back();
        entry.name = setting.name;
        entry.value =
            setting.name == "max.message.bytes" ? std::to_string(bytes_max) : config.value(setting);
        const std::string_view behind = broker_name(setting.name);
        // Kafka's own default, and above it the broker's configuration where it says otherwise.
        if (config.is_override(setting.name))
            entry.synonyms.push_back({entry.name, config.value(setting), ConfigSource::topic});
        if (!behind.empty() && config.default_is_configured(setting))
            entry.synonyms.push_back(
                {std::string(behind), config.default_value(setting), ConfigSource::static_broker});
        if (!behind.empty())
            entry.synonyms.push_back({std::string(behind),
                                      topics::TopicConfig().default_value(setting),
                                      ConfigSource::fallback});
        if (!entry.synonyms.empty()) entry.source = entry.synonyms.front().source;
        entry.type = setting.type;
        entry.documentation = setting.documentation;
    }
    return entries;
}

std::vector<ConfigEntry> broker_config_entries(const Settings& settings,
                                               const topics::TopicConfig& defaults) {
    using topics::SettingType;
    const std::string listener =
        "PLAINTEXT://" + settings.host + ":" + std::to_string(settings.port);
    const auto of_topic = [&](std::string_view name) {
        return defaults.value(*topics::find_setting(name));
    };
    const auto entry = [](std::string name, std::string value, SettingType type,
                          std::string_view text) {
        return ConfigEntry{.name = std::move(name),
                           .value = std::move(value),
                           .source = ConfigSource::static_broker,
                           .read_only = true,
                           .type = type,
                           .documentation = text,
                           .synonyms = {}};
    };
    return {
        entry("advertised.listeners", listener, SettingType::string,
              "Where clients find this broker."),
        entry("auto.create.topics.enable", settings.auto_create_topics ? "true" : "false",
              SettingType::boolean, "Topics are created when first asked for."),
        entry("broker.id", std::to_string(settings.node_id), SettingType::int32, "This node."),
        entry("default.replication.factor", "1", SettingType::int32,
              "A single node: replication belongs to the central cluster."),
        entry("delete.topic.enable", "true", SettingType::boolean, "Topics may be deleted."),
        entry("group.consumer.migration.policy", "bidirectional", SettingType::string,
              "A classic group becomes one of KIP-848 with its first member that speaks it, and is "
              "classic again without such members."),
        // kafka-ui takes a broker without it (and without a finalized metadata.version, which would
        // promise a quorum) for Kafka 1.0, and then changes one setting by resetting all others.
        entry("inter.broker.protocol.version", "3.9-IV0", SettingType::string,
              "For user interfaces that choose their requests by it: no other broker is here."),
        entry("listeners", listener, SettingType::string, "Where clients find this broker."),
        entry("log.cleanup.policy", of_topic("cleanup.policy"), SettingType::list,
              "Default of cleanup.policy."),
        entry("log.message.timestamp.type", of_topic("message.timestamp.type"), SettingType::string,
              "Default of message.timestamp.type."),
        entry("log.retention.bytes", of_topic("retention.bytes"), SettingType::int64,
              "Default of retention.bytes."),
        entry("log.retention.ms", of_topic("retention.ms"), SettingType::int64,
              "Default of retention.ms."),
        entry("message.max.bytes", std::to_string(settings.message_bytes_max), SettingType::int32,
              "Largest record batch."),
        entry("min.insync.replicas", "1", SettingType::int32,
              "A single node; durable means flushed."),
        entry("node.id", std::to_string(settings.node_id), SettingType::int32, "This node."),
        entry("num.partitions", std::to_string(settings.num_partitions), SettingType::int32,
              "Partitions of a topic created without a number."),
    };
}

std::vector<ConfigEntry> group_config_entries(const groups::GroupSettings& settings,
                                              std::string_view group) {
    std::vector<ConfigEntry> entries;
    const groups::GroupSettings::Values& values = settings.of(group);
    for (const groups::GroupSetting& setting : groups::GroupSettings::known()) {
        ConfigEntry& entry = entries.emplace_back();
        entry.name = setting.name;
        if (const auto set = values.find(setting.name); set != values.end())
            entry.synonyms.push_back(
                {entry.name, std::to_string(set->second), ConfigSource::group});
        entry.synonyms.push_back({std::string(setting.broker_name),
                                  std::to_string(settings.default_of(setting)),
                                  ConfigSource::static_broker});
        entry.value = entry.synonyms.front().value;
        entry.source = entry.synonyms.front().source;
        entry.type = topics::SettingType::int32;
        entry.documentation = setting.documentation;
    }
    return entries;
}

}  // namespace leat::api
