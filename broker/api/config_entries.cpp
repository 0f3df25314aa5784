#include "broker/api/config_entries.hpp"

#include <algorithm>
#include <utility>

#include "broker/api/kept_settings.hpp"
#include "broker/api/operations.hpp"

namespace leat::api {
namespace {

// A topic's setting and the broker's that is its default.
constexpr std::pair<std::string_view, std::string_view> defaults_of_topics[] = {
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

// Empty: it has none.
std::string_view broker_name(std::string_view topic_setting) {
    for (const auto& [topic, broker] : defaults_of_topics)
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

namespace {

using topics::SettingType;

struct Text {
    std::string_view name;
    std::string value;
    SettingType type;
    std::string_view documentation;
};
struct Number {
    std::string_view name;
    std::int64_t value, unless_configured;
    SettingType type;
    std::string_view documentation;
};

void add(std::vector<ConfigEntry>& entries, const Text& one, ConfigSource source) {
    ConfigEntry& entry = entries.emplace_back();
    entry.name = one.name;
    entry.value = one.value;
    entry.source = source;
    entry.read_only = true;
    entry.type = one.type;
    entry.documentation = one.documentation;
}

void add_texts(std::vector<ConfigEntry>& entries, const Settings& settings) {
    const std::string listener =
        "PLAINTEXT://" + settings.host + ":" + std::to_string(settings.port);
    const Text texts[] = {
        {"advertised.listeners", listener, SettingType::string, "Where clients find this broker."},
        {"auto.create.topics.enable", settings.auto_create_topics ? "true" : "false",
         SettingType::boolean, "Topics are created when first asked for."},
        {"broker.id", std::to_string(settings.node_id), SettingType::int32, "This node."},
        {"default.replication.factor", "1", SettingType::int32,
         "A single node: replication belongs to the central cluster."},
        {"delete.topic.enable", "true", SettingType::boolean, "Topics may be deleted."},
        {"group.consumer.assignors", "uniform,range", SettingType::list,
         "Of groups of the consumer protocol; the first unless a member says otherwise."},
        {"group.consumer.migration.policy", "bidirectional", SettingType::string,
         "A classic group becomes one of KIP-848 with its first member that speaks it, and is "
         "classic again without such members."},
        // kafka-ui takes a broker without it (and without a finalized metadata.version, which would
        // promise a quorum) for Kafka 1.0, and then changes one setting by resetting all others.
        {"inter.broker.protocol.version", "3.9-IV0", SettingType::string,
         "For user interfaces that choose their requests by it: no other broker is here."},
        {"listeners", listener, SettingType::string, "Where clients find this broker."},
        {"log.dirs", settings.log_dir, SettingType::list, "The folder of the log."},
        {"node.id", std::to_string(settings.node_id), SettingType::int32, "This node."},
    };
    for (const Text& one : texts) add(entries, one, ConfigSource::static_broker);
}

void add_numbers(std::vector<ConfigEntry>& entries, Context& context) {
    const Settings& is = context.settings;
    const Settings as;
    const groups::GroupsConfig& group = context.groups.settings().config();
    const groups::GroupsConfig as_group;
    const auto milliseconds_of = [&](milliseconds groups::GroupsConfig::*field) {
        return std::pair((group.*field).count(), (as_group.*field).count());
    };
    using Config = groups::GroupsConfig;
    const auto delay = milliseconds_of(&Config::initial_rebalance_delay),
               session_min = milliseconds_of(&Config::session_timeout_min),
               session_max = milliseconds_of(&Config::session_timeout_max),
               session = milliseconds_of(&Config::consumer_session_timeout),
               beat = milliseconds_of(&Config::consumer_heartbeat_interval),
               keep = milliseconds_of(&Config::offsets_retention);
    const auto segment_bytes = static_cast<std::int64_t>(context.log.status().segment_bytes);
    constexpr auto int32 = SettingType::int32;
    constexpr auto int64 = SettingType::int64;
    const Number numbers[] = {
        {"connections.max.idle.ms", is.idle.count(), as.idle.count(), int64,
         "After so long a silent connection is closed."},
        {"fetch.max.bytes", is.response_bytes_max, as.response_bytes_max, int32,
         "Of records in one answer, whatever is asked for; one batch at least."},
        {"group.consumer.assignment.interval.ms", 0, 0, int32,
         "Between two assignments; 0: members that come and go have it made at once."},
        {"group.consumer.heartbeat.interval.ms", beat.first, beat.second, int32,
         "How often members of the consumer protocol have to say that they live."},
        {"group.consumer.max.size", group.consumer_group_size_max, as_group.consumer_group_size_max,
         int32, "Members of a group of the consumer protocol."},
        {"group.consumer.session.timeout.ms", session.first, session.second, int32,
         "After how long a member that does not say so is taken for gone."},
        {"group.initial.rebalance.delay.ms", delay.first, delay.second, int32,
         "How long a new classic group waits for more members."},
        {"group.max.session.timeout.ms", session_max.first, session_max.second, int32,
         "Of members of classic groups."},
        {"group.max.size", group.group_size_max, as_group.group_size_max, int32,
         "Members of a classic group."},
        {"group.min.session.timeout.ms", session_min.first, session_min.second, int32,
         "Of members of classic groups."},
        {"log.segment.bytes", segment_bytes, is.segment_bytes == 0 ? segment_bytes : 0, int32,
         "The unit of recycling, fixed when the log was made."},
        {"max.connections", is.connections_max, as.connections_max, int32,
         "At the same time; also bound by the open files that the process may have."},
        {"max.request.partition.size.limit", page_partitions_max, page_partitions_max, int32,
         "Partitions in one answer of DescribeTopicPartitions."},
        {"num.partitions", is.num_partitions, as.num_partitions, int32,
         "Partitions of a topic created without a number."},
        {"offset.metadata.max.bytes", group.offset_metadata_bytes_max,
         as_group.offset_metadata_bytes_max, int32, "What may be committed beside an offset."},
        {"offsets.retention.minutes", keep.first / 60'000, keep.second / 60'000, int32,
         "How long committed offsets stay after their group became empty."},
        {"socket.request.max.bytes", is.request_bytes_max, as.request_bytes_max, int32,
         "A larger request closes the connection."},
    };
    for (const Number& one : numbers)
        add(entries, {one.name, std::to_string(one.value), one.type, one.documentation},
            one.value == one.unless_configured ? ConfigSource::fallback
                                               : ConfigSource::static_broker);
}

}  // namespace

std::vector<ConfigEntry> broker_config_entries(Context& context) {
    std::vector<ConfigEntry> entries;
    add_texts(entries, context.settings);
    add_numbers(entries, context);
    const topics::TopicConfig config = context.topics.registry.new_config();
    for (const auto& [topic, broker] : defaults_of_topics) {
        const topics::Setting& setting = *topics::find_setting(topic);
        add(entries, {broker, config.value(setting), setting.type, setting.documentation},
            config.default_is_configured(setting) ? ConfigSource::static_broker
                                                  : ConfigSource::fallback);
    }
    const KeptSettings of_all(context.log, {});
    KeptSettings(context.log, std::to_string(context.settings.node_id)).tell(entries, &of_all);
    std::sort(entries.begin(), entries.end(),
              [](const ConfigEntry& a, const ConfigEntry& b) { return a.name < b.name; });
    return entries;
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
