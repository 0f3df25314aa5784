// leat groups: what consumer groups there are, how far they are behind, and where they go on.
#include <algorithm>
#include <cstdio>
#include <set>

#include "sdk/cli/commands.hpp"
#include "sdk/cli/json.hpp"

namespace leat::cli {
namespace {

std::string text_of(std::int64_t offset) { return offset < 0 ? "-" : std::to_string(offset); }

Exit complain(Admin& admin, const std::string& what, Error error) {
    if (error != Error::refused) return cli::complain(what, error, admin.last_problem());
    cli::complain(what + ": " + wire::name(admin.last_refusal()));
    return Exit::failed;
}

/// Offsets of partitions of several topics at one time or place.
Result<std::map<TopicPartition, std::int64_t>> offsets_at(Admin& admin,
                                                          const std::set<TopicPartition>& places,
                                                          std::int64_t timestamp) {
    std::set<std::string> topics;
    for (const TopicPartition& place : places) topics.insert(place.topic);
    // What was deleted since has no leader to be asked, and to wait for one would take forever.
    const auto picture = admin.describe(std::vector(topics.begin(), topics.end()));
    if (!picture) return fail(picture.error());
    std::map<std::string, std::vector<std::int32_t>> by_topic;
    for (const TopicPartition& place : places) {
        const auto info = picture->topics.find(place.topic);
        if (info != picture->topics.end() &&
            static_cast<std::size_t>(place.partition) < info->second.partitions.size())
            by_topic[place.topic].push_back(place.partition);
    }
    std::map<TopicPartition, std::int64_t> offsets;
    for (const auto& [topic, partitions] : by_topic) {
        const auto found = admin.list_offsets(topic, partitions, timestamp);
        if (!found) return fail(found.error());
        for (const PartitionOffset& one : *found)
            if (one.error == ErrorCode::none) offsets[{topic, one.partition}] = one.offset;
    }
    return offsets;
}

void print_report(const GroupReport& report) {
    const GroupPicture& group = report.group;
    std::printf("%s: %s, %zu member%s", group.group_id.c_str(), group.state.c_str(),
                group.members.size(), group.members.size() == 1 ? "" : "s");
    if (!group.protocol.empty()) std::printf(", assigned by %s", group.protocol.c_str());
    if (group.epoch >= 0) std::printf(", consumer protocol, epoch %d", group.epoch);
    std::printf(", coordinator %d\n", group.coordinator);
    if (!report.rows.empty())
        std::printf("  %-32s %5s %12s %12s %10s  %s\n", "topic", "part", "committed", "end", "lag",
                    "member");
    for (const LagRow& row : report.rows)
        std::printf("  %-32s %5d %12s %12s %10s  %s\n", row.place.topic.c_str(),
                    row.place.partition, text_of(row.committed).c_str(), text_of(row.end).c_str(),
                    text_of(row.lag()).c_str(), row.member.empty() ? "-" : row.member.c_str());
}

/// The committed partitions of these topics, or all of a topic that the group has not read yet.
Result<std::set<TopicPartition>> places_of(Admin& admin, const Options& options,
                                           const Offsets& committed) {
    std::set<TopicPartition> places;
    for (const auto& [place, offset] : committed)
        if (options.topics.empty()) places.insert(place);
    if (options.topics.empty()) return places;
    const auto picture = admin.describe(options.topics);
    if (!picture) return fail(picture.error());
    for (const auto& [name, info] : picture->topics) {
        if (info.error != ErrorCode::none) return fail(Error::not_found);
        for (std::size_t i = 0; i < info.partitions.size(); ++i)
            places.insert({name, static_cast<std::int32_t>(i)});
    }
    return places;
}

}  // namespace

Exit list_groups(const Options& options) {
    Loop loop;
    Result<Admin> admin = open_admin(loop, options);
    if (!admin) return bad_bootstrap(options);
    Result<std::vector<ListedGroup>> groups = admin->list_groups();
    if (!groups) return complain(*admin, "groups list", groups.error());
    std::sort(groups->begin(), groups->end(),
              [](const auto& a, const auto& b) { return a.group_id < b.group_id; });
    if (options.json) {
        std::printf("%s\n", json_of(*groups).c_str());
        return Exit::ok;
    }
    for (const ListedGroup& group : *groups)
        std::printf("%-32s %-20s %-10s %s\n", group.group_id.c_str(), group.state.c_str(),
                    group.type.empty() ? "-" : group.type.c_str(), group.protocol_type.c_str());
    return Exit::ok;
}

Exit describe_groups(const Options& options) {
    Loop loop;
    Result<Admin> admin = open_admin(loop, options);
    if (!admin) return bad_bootstrap(options);
    Exit exit = Exit::ok;
    std::vector<GroupReport> reports;
    for (const std::string& name : options.groups) {
        const auto group = admin->describe_group(name);
        if (!group) return complain(*admin, "groups describe " + name, group.error());
        if (group->state == "Dead") {
            cli::complain(name + ": no such group");
            exit = Exit::not_found;
            continue;
        }
        const auto committed = admin->group_offsets(name);
        if (!committed) return complain(*admin, "offsets of " + name, committed.error());
        std::map<TopicPartition, std::string> owners;
        std::set<TopicPartition> places;
        for (const auto& [place, offset] : *committed) places.insert(place);
        for (const GroupPicture::Member& member : group->members)
            for (const TopicPartition& place : member.assignment) {
                owners[place] =
                    member.instance_id.value_or(member.member_id) + " at " + member.client_host;
                places.insert(place);
            }
        const auto ends = offsets_at(*admin, places, Admin::latest);
        if (!ends) return complain(*admin, "ends of what " + name + " reads", ends.error());
        GroupReport& report = reports.emplace_back();
        report.group = *group;
        for (const TopicPartition& place : places) {
            LagRow& row = report.rows.emplace_back();
            row.place = place;
            if (const auto at = committed->find(place); at != committed->end())
                row.committed = at->second.offset;
            if (const auto at = ends->find(place); at != ends->end()) row.end = at->second;
            if (const auto at = owners.find(place); at != owners.end()) row.member = at->second;
        }
    }
    if (options.json)
        std::printf("%s\n", json_of(reports).c_str());
    else
        for (const GroupReport& report : reports) print_report(report);
    return exit;
}

Exit reset_offsets(const Options& options) {
    std::optional<std::int64_t> time;
    if (!options.time.empty() && !(time = parse_time(options.time, wall_ms_now()))) {
        cli::complain("--to-time " + options.time +
                      " is no time: 2024-05-01T12:00:00Z, milliseconds, or -15m");
        return Exit::usage;
    }
    Loop loop;
    Result<Admin> admin = open_admin(loop, options);
    if (!admin) return bad_bootstrap(options);
    const std::string& name = options.groups.front();
    const auto group = admin->describe_group(name);
    if (!group) return complain(*admin, "group " + name, group.error());
    if (!group->members.empty()) {
        cli::complain(name + " has " + std::to_string(group->members.size()) +
                      " members: offsets can be reset when all of them have left");
        return Exit::failed;
    }
    const auto committed = admin->group_offsets(name);
    if (!committed) return complain(*admin, "offsets of " + name, committed.error());
    const auto places = places_of(*admin, options, *committed);
    if (!places && places.error() == Error::not_found) {
        cli::complain("not every --topic is there; leat topics list shows what is");
        return Exit::not_found;
    }
    if (!places) return complain(*admin, "topics of " + name, places.error());
    if (places->empty()) {
        cli::complain(name + " has committed nothing: name the topics with --topic");
        return Exit::not_found;
    }
    const auto starts = offsets_at(*admin, *places, Admin::earliest);
    if (!starts) return complain(*admin, "offsets of topics", starts.error());
    const auto ends = offsets_at(*admin, *places, Admin::latest);
    if (!ends) return complain(*admin, "offsets of topics", ends.error());
    Result<std::map<TopicPartition, std::int64_t>> at_time =
        std::map<TopicPartition, std::int64_t>{};
    if (time) at_time = offsets_at(*admin, *places, std::max<std::int64_t>(*time, 0));
    if (!at_time) return complain(*admin, "offsets of topics", at_time.error());

    std::vector<ResetRow> rows;
    Offsets offsets;
    for (const TopicPartition& place : *places) {
        const auto start = starts->find(place), end = ends->find(place);
        if (start == starts->end() || end == ends->end()) continue;  // gone
        ResetRow& row = rows.emplace_back();
        row.place = place;
        if (const auto at = committed->find(place); at != committed->end())
            row.from = at->second.offset;
        row.to = options.to_latest ? end->second : start->second;
        if (options.offset) row.to = *options.offset;
        // What was not committed has no place to be shifted from but its beginning.
        if (options.shift_by)
            row.to = (row.from < 0 ? start->second : row.from) + *options.shift_by;
        if (time) {
            const auto found = at_time->find(place);
            row.to = found == at_time->end() || found->second < 0 ? end->second : found->second;
        }
        row.to = std::clamp(row.to, start->second, std::max(start->second, end->second));
        offsets[place].offset = row.to;
    }
    Exit exit = Exit::ok;
    if (options.execute && !offsets.empty()) {
        const auto refused = admin->alter_group_offsets(name, std::move(offsets));
        if (!refused) return complain(*admin, "offsets of " + name, refused.error());
        for (ResetRow& row : rows)
            if (const auto at = refused->find(row.place); at != refused->end()) {
                row.error = at->second;
                exit = Exit::failed;
            }
    }
    if (options.json) {
        std::printf("%s\n", json_of(rows, options.execute).c_str());
        return exit;
    }
    std::printf("%-32s %5s %12s %12s\n", "topic", "part", "from", "to");
    for (const ResetRow& row : rows)
        std::printf("%-32s %5d %12s %12s%s%s\n", row.place.topic.c_str(), row.place.partition,
                    text_of(row.from).c_str(), text_of(row.to).c_str(),
                    row.error == ErrorCode::none ? "" : "  not done: ",
                    row.error == ErrorCode::none ? "" : wire::name(row.error));
    if (!options.execute) std::printf("nothing is changed yet: --execute does it\n");
    return exit;
}

Exit delete_groups(const Options& options) {
    Loop loop;
    Result<Admin> admin = open_admin(loop, options);
    if (!admin) return bad_bootstrap(options);
    Exit exit = Exit::ok;
    std::vector<TopicOutcome> outcomes;
    for (const std::string& name : options.groups) {
        const auto outcome = admin->delete_group(name);
        if (!outcome) return complain(*admin, "groups delete " + name, outcome.error());
        outcomes.push_back({name, outcome->error, outcome->message, -1, -1});
        if (outcome->error == ErrorCode::none) {
            if (!options.json) std::printf("deleted %s\n", name.c_str());
            continue;
        }
        exit = outcome->error == ErrorCode::group_id_not_found ? Exit::not_found : Exit::failed;
        cli::complain(name + ": " + wire::name(outcome->error));
    }
    if (options.json) std::printf("%s\n", json_of("group", outcomes).c_str());
    return exit;
}

}  // namespace leat::cli
