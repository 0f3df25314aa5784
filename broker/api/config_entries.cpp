#include "broker/api/config_entries.hpp"

namespace leat::api {

std::vector<ConfigEntry> topic_config_entries(const topics::TopicConfig& config,
                                              std::uint32_t bytes_max) {
    std::vector<ConfigEntry> entries;
    for (const topics::Setting& setting : topics::settings()) {
        ConfigEntry& entry = entries.emplace_back();
        entry.name = setting.name;
        entry.value =
            setting.name == "max.message.bytes" ? std::to_string(bytes_max) : config.value(setting);
        // A setting without a fallback of Kafka's has the broker's configuration behind it.
        if (config.is_override(setting.name)) entry.source = ConfigSource::topic;
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
                           .documentation = text};
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

}  // namespace leat::api
