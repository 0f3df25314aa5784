// leat topics delete-records and log-dirs: what a topic still holds, and where.
#include <cstdio>

#include "sdk/cli/commands.hpp"
#include "sdk/cli/json.hpp"

namespace leat::cli {
namespace {

/// The partitions that were named, else all of the topic. fails: not_found: `error` says why
Result<std::vector<std::int32_t>> partitions_of(Admin& admin, const Options& options,
                                                const std::string& topic, ErrorCode& error) {
    if (!options.only_partitions.empty()) return options.only_partitions;
    const Result<ClusterPicture> picture = admin.describe(std::vector{topic});
    if (!picture) return fail(picture.error());
    const auto found = picture->topics.find(topic);
    if (found == picture->topics.end()) return fail(Error::not_found);
    if (error = found->second.error; error != ErrorCode::none) return fail(Error::not_found);
    std::vector<std::int32_t> partitions(found->second.partitions.size());
    for (std::size_t i = 0; i < partitions.size(); ++i)
        partitions[i] = static_cast<std::int32_t>(i);
    return partitions;
}

}  // namespace

Exit delete_records(const Options& options) {
    const std::string& topic = options.topics.front();
    std::optional<std::int64_t> time;
    if (!options.time.empty() && !(time = parse_time(options.time, wall_ms_now()))) {
        complain("--before-time " + options.time +
                 " is no time: 2024-05-01T12:00:00Z, milliseconds, or -15m");
        return Exit::usage;
    }
    Loop loop;
    Result<Admin> admin = open_admin(loop, options);
    if (!admin) return bad_bootstrap(options);
    ErrorCode error = ErrorCode::unknown_topic_or_partition;
    const auto partitions = partitions_of(*admin, options, topic, error);
    if (!partitions && partitions.error() == Error::not_found) return no_topic(topic, error);
    if (!partitions) return complain(topic, partitions.error(), admin->last_problem());
    std::map<std::int32_t, std::int64_t> before;
    for (std::int32_t partition : *partitions)
        before[partition] = options.offset.value_or(Admin::before_end);
    if (time) {
        const auto offsets = admin->list_offsets(topic, *partitions, *time);
        if (!offsets) return complain(topic, offsets.error(), admin->last_problem());
        for (const PartitionOffset& found : *offsets) {
            if (found.error != ErrorCode::none) {
                complain(topic + "-" + std::to_string(found.partition) + ": " +
                         wire::name(found.error));
                return Exit::failed;
            }
            // No record is that late. Whoever means all of them says --all.
            if (found.offset < 0) {
                complain(topic + "-" + std::to_string(found.partition) +
                         ": no record is that late; nothing is deleted");
                before.erase(found.partition);
            } else {
                before[found.partition] = found.offset;
            }
        }
        if (before.empty()) return Exit::not_found;
    }
    const auto starts = admin->delete_records(topic, std::move(before));
    if (!starts) return complain(topic, starts.error(), admin->last_problem());
    Exit exit = Exit::ok;
    for (const LogStart& start : *starts) {
        const std::string name = topic + "-" + std::to_string(start.partition);
        if (start.error != ErrorCode::none) {
            complain(name + ": " + wire::name(start.error));
            exit = Exit::failed;
        } else if (!options.json) {
            std::printf("%s begins at %lld\n", name.c_str(), static_cast<long long>(start.offset));
        }
    }
    if (options.json) std::printf("%s\n", json_of(topic, *starts).c_str());
    return exit;
}

Exit show_log_dirs(const Options& options) {
    Loop loop;
    Result<Admin> admin = open_admin(loop, options);
    if (!admin) return bad_bootstrap(options);
    const auto dirs = admin->describe_log_dirs();
    if (!dirs && dirs.error() == Error::refused) {
        complain(std::string("topics log-dirs: ") + wire::name(admin->last_refusal()));
        return Exit::failed;
    }
    if (!dirs) return complain("topics log-dirs", dirs.error(), admin->last_problem());
    if (options.json) {
        std::printf("%s\n", json_of(*dirs).c_str());
        return Exit::ok;
    }
    for (const LogDir& dir : *dirs) {
        std::printf("broker %d: %s", dir.broker, dir.path.c_str());
        if (dir.total_bytes >= 0)
            std::printf(", %lld of %lld bytes free", static_cast<long long>(dir.usable_bytes),
                        static_cast<long long>(dir.total_bytes));
        std::printf("%s%s\n", dir.error == ErrorCode::none ? "" : ": ",
                    dir.error == ErrorCode::none ? "" : wire::name(dir.error));
        for (const LogDir::Replica& replica : dir.replicas)
            std::printf("  %s-%d  %lld bytes%s\n", replica.place.topic.c_str(),
                        replica.place.partition, static_cast<long long>(replica.bytes),
                        replica.is_future ? ", being moved here" : "");
    }
    return Exit::ok;
}

}  // namespace leat::cli
