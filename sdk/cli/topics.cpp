#include <algorithm>
#include <cstdio>

#include "sdk/cli/commands.hpp"
#include "sdk/cli/json.hpp"

namespace leat::cli {
namespace {

Exit report(const Options& options, const std::vector<TopicOutcome>& outcomes, const char* done,
            ErrorCode also_fine) {
    Exit exit = Exit::ok;
    for (const TopicOutcome& topic : outcomes) {
        const bool is_fine = topic.error == ErrorCode::none || topic.error == also_fine;
        if (!is_fine) exit = exit_of(topic.error);
        if (options.json) continue;
        if (topic.error == ErrorCode::none)
            std::printf("%s %s\n", done, topic.name.c_str());
        else if (is_fine)
            std::printf("%s is there already\n", topic.name.c_str());
        else
            complain(topic.name + ": " + wire::name(topic.error) +
                     (topic.message.empty() ? "" : ": " + topic.message));
    }
    if (options.json) std::printf("%s\n", json_of(outcomes).c_str());
    return exit;
}

constexpr std::int8_t source_topic = 1;  // Kafka's ConfigSource: set on the topic itself

void print_report(const TopicReport& report, bool all_configs) {
    std::printf("%s: %zu partition%s%s\n", report.name.c_str(), report.info.partitions.size(),
                report.info.partitions.size() == 1 ? "" : "s",
                report.info.is_internal ? ", internal" : "");
    for (std::size_t i = 0; i < report.info.partitions.size(); ++i) {
        const cluster::PartitionInfo& info = report.info.partitions[i];
        std::printf("  %4zu  leader %d", i, info.leader);
        if (i < report.earliest.size() && i < report.latest.size())
            std::printf("  offsets %lld to %lld", static_cast<long long>(report.earliest[i].offset),
                        static_cast<long long>(report.latest[i].offset));
        std::printf("  replicas");
        for (std::int32_t id : info.replicas) std::printf(" %d", id);
        std::printf("  in sync");
        for (std::int32_t id : info.in_sync) std::printf(" %d", id);
        std::printf("\n");
    }
    for (const ConfigEntry& config : report.configs)
        if (all_configs || config.source == source_topic)
            std::printf("  %s=%s\n", config.name.c_str(),
                        config.value ? config.value->c_str() : "(hidden)");
}

}  // namespace

Exit list_topics(const Options& options) {
    Loop loop;
    Result<Admin> admin = open_admin(loop, options);
    if (!admin) return bad_bootstrap(options);
    const Result<ClusterPicture> picture = admin->describe();
    if (!picture) return complain("topics list", picture.error(), admin->last_problem());
    std::vector<std::string> names;
    for (const auto& [name, topic] : picture->topics)
        if (options.internal || !topic.is_internal) names.push_back(name);
    if (options.json)
        std::printf("%s\n", json_of(names).c_str());
    else
        for (const std::string& name : names) std::printf("%s\n", name.c_str());
    return Exit::ok;
}

Exit create_topics(const Options& options) {
    std::vector<NewTopic> topics;
    for (const std::string& name : options.topics) {
        NewTopic& topic = topics.emplace_back();
        topic.name = name;
        topic.partitions = options.partitions;
        topic.replication_factor = options.replication_factor;
        for (const std::string& text : options.configs) {
            const auto pair = parse_pair(text);
            if (!pair) {
                complain("--config " + text + " is no name=value");
                return Exit::usage;
            }
            topic.configs.insert(*pair);
        }
    }
    Loop loop;
    Result<Admin> admin = open_admin(loop, options);
    if (!admin) return bad_bootstrap(options);
    const auto outcomes = admin->create_topics(std::move(topics));
    if (!outcomes) return complain("topics create", outcomes.error(), admin->last_problem());
    return report(options, *outcomes, "created",
                  options.if_not_exists ? ErrorCode::topic_already_exists : ErrorCode::none);
}

Exit delete_topics(const Options& options) {
    Loop loop;
    Result<Admin> admin = open_admin(loop, options);
    if (!admin) return bad_bootstrap(options);
    const auto outcomes = admin->delete_topics(options.topics);
    if (!outcomes) return complain("topics delete", outcomes.error(), admin->last_problem());
    return report(options, *outcomes, "deleted", ErrorCode::none);
}

Exit describe_topics(const Options& options) {
    Loop loop;
    Result<Admin> admin = open_admin(loop, options);
    if (!admin) return bad_bootstrap(options);
    const Result<ClusterPicture> picture =
        options.topics.empty() ? admin->describe() : admin->describe(options.topics);
    if (!picture) return complain("topics describe", picture.error(), admin->last_problem());
    Exit exit = Exit::ok;
    std::vector<TopicReport> reports;
    for (const auto& [name, info] : picture->topics) {
        if (info.error != ErrorCode::none) {
            complain(name + ": " + wire::name(info.error));
            exit = exit_of(info.error);
            continue;
        }
        TopicReport& report = reports.emplace_back();
        report.name = name;
        report.info = info;
        if (options.topics.empty()) continue;  // all topics: an overview, not thousands of requests
        std::vector<std::int32_t> partitions(info.partitions.size());
        for (std::size_t i = 0; i < partitions.size(); ++i)
            partitions[i] = static_cast<std::int32_t>(i);
        if (auto offsets = admin->list_offsets(name, partitions, Admin::earliest))
            report.earliest = *std::move(offsets);
        if (auto offsets = admin->list_offsets(name, partitions, Admin::latest))
            report.latest = *std::move(offsets);
        if (auto configs = admin->describe_configs(ConfigResource::topic, name))
            report.configs = std::move(configs->entries);
    }
    if (options.json)
        std::printf("%s\n", json_of(reports).c_str());
    else
        for (const TopicReport& report : reports) print_report(report, options.all_configs);
    return exit;
}

}  // namespace leat::cli
