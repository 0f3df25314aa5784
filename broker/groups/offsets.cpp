// Committed offsets: one fact each. Readable and acknowledged when durable; an unchanged one is
// acknowledged without a write.
#include <algorithm>

#include "broker/groups/group_fact.hpp"
#include "broker/groups/groups.hpp"

namespace leat::groups {
namespace {

// An unchanged position is written anew when the stamp on flash is so old: after a restart its age
// is wrong by at most this part of the retention.
constexpr int stamp_refresh_part = 8;

ErrorCode code_of(Error error) {
    // Both are for trying again: the first when upkeep made room, the second never helps.
    return error == Error::too_large ? ErrorCode::invalid_commit_offset_size
                                     : ErrorCode::coordinator_not_available;
}

bool same_position(const Committed& a, const Committed& b) {
    return a.offset == b.offset && a.leader_epoch == b.leader_epoch && a.metadata == b.metadata;
}

}  // namespace

ErrorCode Groups::check_commit(Instant now, Group* group, const Identity& who,
                               const std::vector<Commit>& commits) {
    if (who.group.size() > config_.group_id_bytes_max) return ErrorCode::invalid_group_id;
    if (group == nullptr) {
        if (who.generation >= 0) return ErrorCode::illegal_generation;
        return groups_.size() < config_.groups_max ? ErrorCode::none
                                                   : ErrorCode::coordinator_not_available;
    }
    if (group->state == State::dead) return ErrorCode::coordinator_not_available;
    // From outside: a tool, or a consumer that assigns its partitions itself.
    if (who.generation < 0 && group->state == State::empty) return ErrorCode::none;
    if (group->consumer != nullptr) return consumers_.check_commit(*group, who, commits);
    if (who.generation < 0 && who.member.empty() && !who.instance)
        return ErrorCode::unknown_member_id;
    if (const ErrorCode error = group->check(who.member, who.instance); error != ErrorCode::none)
        return error;
    if (who.generation != group->generation) return ErrorCode::illegal_generation;
    if (group->state == State::completing_rebalance) return ErrorCode::rebalance_in_progress;
    touch(now, *group->find(who.member));
    return ErrorCode::none;
}

Groups::Written Groups::commit(Instant now, const Identity& who,
                               const std::vector<Commit>& commits) {
    Written written;
    Group* group = find(who.group);
    written.error = check_commit(now, group, who, commits);
    if (written.error != ErrorCode::none) return written;
    if (group == nullptr) group = &create(who.group);
    written.each.reserve(commits.size());
    for (const Commit& one : commits) {
        const topics::Topic* topic = registry_.find(one.topic);
        ErrorCode error = ErrorCode::none;
        if (topic == nullptr || one.partition < 0 ||
            static_cast<std::size_t>(one.partition) >= topic->partitions.size())
            error = ErrorCode::unknown_topic_or_partition;
        else if (one.metadata.size() > config_.offset_metadata_bytes_max)
            error = ErrorCode::offset_metadata_too_large;
        else if (one.offset < 0)  // a position below zero is none: what stood there goes
            error = erase_committed(now, *group, one, written);
        else
            error = write_offset(now, *group, one, *topic, written);
        if (written.again) break;
        written.each.push_back(error);
    }
    erase_if_nothing(*group);
    return written;
}

ErrorCode Groups::write_offset(Instant now, Group& group, const Commit& commit,
                               const topics::Topic& topic, Written& written) {
    auto at = group.offsets.find(commit.topic);
    if (at == group.offsets.end())
        at = group.offsets.emplace(commit.topic, TopicOffsets{.id = topic.id, .partitions = {}})
                 .first;
    TopicOffsets& offsets = at->second;
    if (offsets.id != topic.id) {  // of a topic that is gone: they must not come back
        for (const auto& [partition, entry] : offsets.partitions)
            (void)log_.erase_fact(now, log::FactKind::group,
                                  offset_key(group.id, commit.topic, partition));
        offsets = TopicOffsets{.id = topic.id, .partitions = {}};
    }
    OffsetEntry& entry = offsets.partitions[commit.partition];
    Committed value{.offset = commit.offset,
                    .leader_epoch = commit.leader_epoch,
                    .metadata = std::string(commit.metadata),
                    .stamp_ms = log_now(now),
                    .expire_ms = -1};
    if (commit.retention >= milliseconds(0))
        value.expire_ms = value.stamp_ms + std::min(commit.retention.count(), INT64_MAX / 2);
    const Committed& newest = entry.newest();
    const bool fresh =
        value.stamp_ms - newest.stamp_ms <= config_.offsets_retention.count() / stamp_refresh_part;
    entry.touched_ms = value.stamp_ms;
    if (newest.offset >= 0 && same_position(newest, value) && fresh && newest.expire_ms < 0 &&
        value.expire_ms < 0) {
        ++counters_.commits_unchanged;
        if (entry.pending > 0) written.commit = std::max(written.commit, entry.commit);
        return ErrorCode::none;
    }
    const auto put = log_.put_fact(now, log::FactKind::group,
                                   offset_key(group.id, commit.topic, commit.partition),
                                   offset_value(topic.id, value));
    if (!put) {
        if (entry.pending == 0 && entry.durable.offset < 0)
            offsets.partitions.erase(commit.partition);
        if (offsets.partitions.empty()) group.offsets.erase(at);
        written.again = put.error() == Error::would_block;
        return code_of(put.error());
    }
    ++counters_.commits;
    ++entry.pending;
    entry.commit = *put;
    entry.latest = std::make_unique<Committed>(value);
    writes_.push_back({.commit = *put,
                       .group = group.id,
                       .topic = std::string(commit.topic),
                       .partition = commit.partition,
                       .topic_id = topic.id,
                       .value = std::move(value)});
    written.commit = std::max(written.commit, *put);
    return ErrorCode::none;
}

ErrorCode Groups::erase_committed(Instant now, Group& group, const Commit& commit,
                                  Written& written) {
    const auto at = group.offsets.find(commit.topic);
    if (at == group.offsets.end() || !at->second.partitions.contains(commit.partition))
        return ErrorCode::none;
    const auto erased = erase_offset(now, group, commit.topic, at->second, commit.partition);
    if (erased) written.commit = std::max(written.commit, *erased);
    if (erased) return ErrorCode::none;
    written.again = erased.error() == Error::would_block;
    return code_of(erased.error());
}

Result<log::CommitId> Groups::erase_offset(Instant now, Group& group, std::string_view topic,
                                           TopicOffsets& offsets, std::int32_t partition) {
    OffsetEntry& entry = offsets.partitions[partition];
    if (entry.pending > 0 && entry.latest->offset < 0) return entry.commit;  // is being erased
    auto erased =
        log_.erase_fact(now, log::FactKind::group, offset_key(group.id, topic, partition));
    if (!erased) return erased;
    ++entry.pending;
    entry.commit = *erased;
    entry.latest = std::make_unique<Committed>();
    writes_.push_back({.commit = *erased,
                       .group = group.id,
                       .topic = std::string(topic),
                       .partition = partition,
                       .topic_id = offsets.id,
                       .value = {}});
    return erased;
}

// A write became durable: now it can be read.
void Groups::apply(const PendingWrite& write) {
    Group* group = find(write.group);
    if (group == nullptr) return;
    const auto topic = group->offsets.find(write.topic);
    if (topic == group->offsets.end() || topic->second.id != write.topic_id) return;
    const auto at = topic->second.partitions.find(write.partition);
    if (at == topic->second.partitions.end() || at->second.pending == 0) return;
    OffsetEntry& entry = at->second;
    entry.durable = write.value;
    if (--entry.pending > 0) return;
    entry.latest.reset();
    if (entry.durable.offset >= 0) return;
    topic->second.partitions.erase(at);
    if (topic->second.partitions.empty()) group->offsets.erase(topic);
    erase_if_nothing(*group);
}

Fetched Groups::fetch(std::string_view group_id, std::string_view topic_name,
                      std::int32_t partition) const {
    const Group* group = find(group_id);
    const topics::Topic* topic = registry_.find(topic_name);
    if (group == nullptr || topic == nullptr) return {};
    const auto offsets = group->offsets.find(topic_name);
    if (offsets == group->offsets.end() || offsets->second.id != topic->id) return {};
    const auto at = offsets->second.partitions.find(partition);
    if (at == offsets->second.partitions.end() || at->second.durable.offset < 0) return {};
    const Committed& durable = at->second.durable;
    return {durable.offset, durable.leader_epoch, durable.metadata};
}

void Groups::fetch_all(std::string_view group_id, const OffsetVisitor& visit) const {
    const Group* group = find(group_id);
    if (group == nullptr) return;
    for (const auto& [name, offsets] : group->offsets) {
        const topics::Topic* topic = registry_.find(name);
        if (topic == nullptr || topic->id != offsets.id) continue;
        for (const auto& [partition, entry] : offsets.partitions)
            if (entry.durable.offset >= 0)
                visit(name, partition,
                      {entry.durable.offset, entry.durable.leader_epoch, entry.durable.metadata});
    }
}

Groups::Written Groups::delete_offsets(Instant now, std::string_view group_id,
                                       const std::vector<PartitionName>& partitions) {
    Written written;
    Group* group = find(group_id);
    if (group_id.empty())
        written.error = ErrorCode::invalid_group_id;
    else if (group == nullptr || group->state == State::dead)
        written.error = ErrorCode::group_id_not_found;
    else if (group->state != State::empty && !group->consumers())
        written.error = ErrorCode::non_empty_group;
    if (written.error != ErrorCode::none) return written;
    for (const PartitionName& one : partitions) {
        const topics::Topic* topic = registry_.find(one.topic);
        if (topic == nullptr || one.partition < 0 ||
            static_cast<std::size_t>(one.partition) >= topic->partitions.size()) {
            written.each.push_back(ErrorCode::unknown_topic_or_partition);
            continue;
        }
        if (group->state != State::empty && (!group->reads_known() || group->reads(one.topic))) {
            written.each.push_back(ErrorCode::group_subscribed_to_topic);
            continue;
        }
        const auto offsets = group->offsets.find(one.topic);
        ErrorCode error = ErrorCode::none;
        if (offsets != group->offsets.end() && offsets->second.partitions.contains(one.partition)) {
            const auto erased =
                erase_offset(now, *group, one.topic, offsets->second, one.partition);
            if (!erased && erased.error() == Error::would_block) {
                written.again = true;
                return written;
            }
            if (erased)
                written.commit = std::max(written.commit, *erased);
            else
                error = code_of(erased.error());
        }
        written.each.push_back(error);
    }
    return written;
}

Groups::Written Groups::delete_group(Instant now, std::string_view group_id) {
    Written written;
    Group* group = find(group_id);
    if (group_id.empty())
        written.error = ErrorCode::invalid_group_id;
    else if (group == nullptr || group->state == State::dead)
        written.error = ErrorCode::group_id_not_found;
    else if (group->state != State::empty)
        written.error = ErrorCode::non_empty_group;
    if (written.error != ErrorCode::none) return written;
    const auto failed = [&](Error error) {
        written.again = error == Error::would_block;
        written.error = code_of(error);
        return written;
    };
    written.commit = 0;
    for (auto& [topic, offsets] : group->offsets)
        for (auto& [partition, entry] : offsets.partitions) {
            const auto erased = erase_offset(now, *group, topic, offsets, partition);
            if (!erased) return failed(erased.error());
            written.commit = std::max(written.commit, *erased);
        }
    for (; group->chunks_saved > 0; --group->chunks_saved) {
        const auto erased = log_.erase_fact(now, log::FactKind::group,
                                            group_key(group->id, group->chunks_saved - 1));
        if (!erased) return failed(erased.error());
        written.commit = std::max(written.commit, *erased);
    }
    if (group->consumer != nullptr && group->consumer->saved) {
        if (consumers_.facts().waits()) return failed(Error::would_block);  // not before those
        const auto erased =
            log_.erase_fact(now, log::FactKind::group, consumer_group_key(group->id));
        if (!erased) return failed(erased.error());
        group->consumer->saved = false;
        written.commit = std::max(written.commit, *erased);
    }
    group->save_wanted = false;
    group->pending.clear();
    group->state = State::dead;
    // Also behind what was written for it before and is not durable yet.
    for (const PendingSave& one : saves_)
        if (one.group == group->id) written.commit = std::max(written.commit, one.commit);
    group->deleted_in = written.commit;
    deleting_.emplace_back(group_id);
    return written;
}

// Kafka's rule: a group with members keeps what it reads; without members its offsets age from the
// moment it became empty; offsets of no group (a consumer that assigns itself) from their commit.
bool Groups::expired(const Group& group, const std::string& topic, const OffsetEntry& entry,
                     std::int64_t log_now) const {
    if (entry.pending > 0) return false;
    std::int64_t from = entry.touched_ms;
    if (!group.protocol_type.empty()) {
        if (group.state == State::empty)
            from = std::max(from, group.empty_since_ms);
        else if (group.state != State::stable || !group.reads_known() || group.reads(topic))
            return false;
    }
    if (entry.durable.expire_ms >= 0) return log_now >= entry.durable.expire_ms;
    return log_now - from >= config_.offsets_retention.count();
}

void Groups::check_retention(Instant now) {
    retention_due_ = now + config_.retention_check;
    const std::int64_t log_time = log_now(now);
    std::vector<std::string> nothing_left;
    for (auto& [id, group] : groups_) {
        if (group->state == State::dead) continue;
        bool left = false;
        for (auto& [name, offsets] : group->offsets) {
            const topics::Topic* topic = registry_.find(name);
            const bool gone = topic == nullptr || topic->id != offsets.id;
            for (auto& [partition, entry] : offsets.partitions) {
                if (!gone && !expired(*group, name, entry, log_time)) {
                    left = true;
                    continue;
                }
                if (!erase_offset(now, *group, name, offsets, partition)) {
                    retention_due_ = now + milliseconds(1'000);  // the log has no room just now
                    return;
                }
                ++counters_.offsets_expired;
            }
        }
        if (!left && group->state == State::empty && group->pending.empty())
            nothing_left.push_back(id);
    }
    for (const std::string& id : nothing_left) (void)delete_group(now, id);
}

}  // namespace leat::groups
