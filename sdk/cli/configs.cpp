// leat configs and leat topics alter: settings of topics, brokers and groups, and numbers of partitions.
#include <algorithm>
#include <cstdio>

#include "sdk/cli/commands.hpp"
#include "sdk/cli/json.hpp"

namespace leat::cli {
namespace {

struct Place {
    ConfigResource kind = ConfigResource::topic;
    std::string name;
};

Place place_of(const Options& options) {
    if (!options.broker.empty()) return {ConfigResource::broker, options.broker};
    if (!options.group.empty()) return {ConfigResource::group, options.group};
    return {ConfigResource::topic, options.topics.empty() ? "" : options.topics.front()};
}

const char* name_of(ConfigResource kind) {
    return kind == ConfigResource::topic    ? "topic"
           : kind == ConfigResource::broker ? "broker"
                                            : "group";
}

const char* source_name(std::int8_t source) {
    switch (source) {  // Kafka's ConfigSource
        case 1:
            return "set on the topic";
        case 2:
        case 3:
            return "set at run time";
        case 4:
            return "from the broker's file";
        case 5:
            return "default";
        case 8:
            return "set on the group";
        default:
            return "";
    }
}

std::optional<std::vector<ConfigChange>> changes_of(const Options& options) {
    std::vector<ConfigChange> changes;
    for (const std::string& text : options.configs) {
        const auto pair = parse_pair(text);
        if (!pair) {
            complain(text + " is no name=value");
            return std::nullopt;
        }
        changes.push_back({ConfigChange::Kind::set, pair->first, pair->second});
    }
    for (const std::string& name : options.unset)
        changes.push_back({ConfigChange::Kind::unset, name, ""});
    return changes;
}

Exit change(Admin& admin, const Place& place, std::vector<ConfigChange> changes, bool is_json) {
    const std::vector<ConfigChange> said = changes;
    const auto outcome = admin.alter_configs(place.kind, place.name, std::move(changes));
    if (!outcome)
        return complain("settings of " + place.name, outcome.error(), admin.last_problem());
    if (outcome->error != ErrorCode::none)
        complain(place.name + ": " + wire::name(outcome->error) +
                 (outcome->message.empty() ? "" : ": " + outcome->message));
    if (is_json) {
        const TopicOutcome told{place.name, outcome->error, outcome->message, -1, -1};
        std::printf("%s\n", json_of(name_of(place.kind), {told}).c_str());
    } else if (outcome->error == ErrorCode::none) {
        for (const ConfigChange& one : said)
            if (one.kind == ConfigChange::Kind::set)
                std::printf("%s: %s=%s\n", place.name.c_str(), one.name.c_str(), one.value.c_str());
            else
                std::printf("%s: %s is the default again\n", place.name.c_str(), one.name.c_str());
    }
    return exit_of(outcome->error);
}

}  // namespace

Exit get_configs(const Options& options) {
    Loop loop;
    Result<Admin> admin = open_admin(loop, options);
    if (!admin) return bad_bootstrap(options);
    const Place place = place_of(options);
    const auto configs = admin->describe_configs(place.kind, place.name);
    if (!configs)
        return complain("settings of " + place.name, configs.error(), admin->last_problem());
    if (configs->error != ErrorCode::none) {
        complain(place.name + ": " + wire::name(configs->error) +
                 (configs->message.empty() ? "" : ": " + configs->message));
        return exit_of(configs->error);
    }
    std::vector<ConfigEntry> shown;
    for (const ConfigEntry& entry : configs->entries)
        if (options.configs.empty() ||
            std::find(options.configs.begin(), options.configs.end(), entry.name) !=
                options.configs.end())
            shown.push_back(entry);
    if (options.json)
        std::printf("%s\n", json_of(shown).c_str());
    else
        for (const ConfigEntry& entry : shown)
            std::printf("%-40s %-24s %s%s\n", entry.name.c_str(),
                        entry.value       ? entry.value->c_str()
                        : entry.sensitive ? "(hidden)"
                                          : "(none)",
                        source_name(entry.source), entry.read_only ? ", read only" : "");
    Exit exit = Exit::ok;
    for (const std::string& name : options.configs) {
        if (std::any_of(shown.begin(), shown.end(),
                        [&](const ConfigEntry& entry) { return entry.name == name; }))
            continue;
        complain(name + " is no setting of " + place.name +
                 "; without a name leat configs get shows all");
        exit = Exit::not_found;
    }
    return exit;
}

Exit change_configs(const Options& options) {
    auto changes = changes_of(options);
    if (!changes) return Exit::usage;
    Loop loop;
    Result<Admin> admin = open_admin(loop, options);
    if (!admin) return bad_bootstrap(options);
    return change(*admin, place_of(options), *std::move(changes), options.json);
}

Exit alter_topic(const Options& options) {
    auto changes = changes_of(options);
    if (!changes) return Exit::usage;
    if (changes->empty() && options.partitions < 0) {
        complain("topics alter: nothing to change: --partitions, --config or --unset");
        return Exit::usage;
    }
    Loop loop;
    Result<Admin> admin = open_admin(loop, options);
    if (!admin) return bad_bootstrap(options);
    const std::string& name = options.topics.front();
    if (options.partitions > 0) {
        const auto outcome = admin->create_partitions(name, options.partitions);
        if (!outcome)
            return complain("topics alter " + name, outcome.error(), admin->last_problem());
        if (outcome->error != ErrorCode::none) {
            complain(name + ": " + wire::name(outcome->error) +
                     (outcome->message.empty() ? "" : ": " + outcome->message));
            return exit_of(outcome->error);
        }
        if (!options.json) std::printf("%s: %d partitions\n", name.c_str(), options.partitions);
        if (options.json && changes->empty())
            std::printf("%s\n", json_of("topic", {TopicOutcome{name, ErrorCode::none, "",
                                                               options.partitions, -1}})
                                    .c_str());
    }
    if (changes->empty()) return Exit::ok;
    return change(*admin, {ConfigResource::topic, name}, *std::move(changes), options.json);
}

}  // namespace leat::cli
