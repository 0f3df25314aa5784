// Committed offsets: a fact for each block of partitions (offset_fact.hpp says in which order they
// are written). Readable and acknowledged when durable; an unchanged one is acknowledged without a
// write.
#include <algorithm>
#include <array>

#include "broker/groups/groups.hpp"

namespace leat::groups {
namespace {

// An unchanged position is written anew when the stamp on flash is so old: after a restart its age
// is wrong by at most this part of the retention.
constexpr int stamp_refresh_part = 8;

bool same_position(const Committed& a, const Committed& b) {
    return a.offset == b.offset && a.leader_epoch == b.leader_epoch && a.metadata == b.metadata;
}

// How many at the front of these are of one topic and one block.
std::size_t run_of(std::span<const Commit> commits) {
    const Commit& front = commits.front();
    const auto same = [](std::string_view a, std::string_view b) {  // mostly the very same bytes
        return a.size() == b.size() && (a.data() == b.data() || a == b);
    };
    std::size_t count = 1;
    while (count < commits.size() && same(commits[count].topic, front.topic) &&
           commits[count].partition / block_partitions == front.partition / block_partitions)
        ++count;
    return count;
}

}  // namespace

ErrorCode Groups::check_commit(Instant now, Group* group, const Identity& who,
                               const std::vector<Commit>& commits) {
    if (who.group.size() > config_.group_id_bytes_max) return ErrorCode::invalid_group_id;
    if (group == nullptr) {
        if (who.generation >= 0)
            return who.knows_epochs ? ErrorCode::group_id_not_found : ErrorCode::illegal_generation;
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
    written.each.assign(commits.size(), ErrorCode::none);
    const std::span<const Commit> all(commits);
    for (std::size_t from = 0; from < all.size() && !written.again;) {
        const std::size_t count = run_of(all.subspan(from));
        commit_run(now, *group, all.subspan(from, count),
                   std::span(written.each).subspan(from, count), written);
        from += count;
    }
    erase_if_nothing(*group);
    return written;
}

void Groups::commit_run(Instant now, Group& group, std::span<const Commit> run,
                        std::span<ErrorCode> errors, Written& written) {
    const topics::Topic* topic = registry_.find(run.front().topic);
    if (topic == nullptr) {
        std::fill(errors.begin(), errors.end(), ErrorCode::unknown_topic_or_partition);
        return;
    }
    TopicOffsets& offsets = offsets_of(now, group, *topic);
    const std::int32_t number = run.front().partition / block_partitions;
    const BlockAt at{group, topic->name, offsets, number, offsets.blocks[number]};
    const std::int64_t stamp_ms = log_now(now);
    Part part;  // goes into one fact
    Places waiting = 0;
    const auto write = [&] {
        write_part(now, at, part, errors, written);
        part.changes.clear();
        part.of.clear();
        waiting = 0;
    };
    part.changes.reserve(run.size());
    part.of.reserve(run.size());
    for (std::size_t i = 0; i < run.size() && !written.again; ++i) {
        const Commit& one = run[i];
        if (!topic->has(one.partition)) {
            errors[i] = ErrorCode::unknown_topic_or_partition;
            continue;
        }
        if (one.metadata.size() > config_.offset_metadata_bytes_max) {
            errors[i] = ErrorCode::offset_metadata_too_large;
            continue;
        }
        const int place = one.partition % block_partitions;
        if (waiting & place_bit(place)) write();  // named twice: the later one holds
        if (written.again) break;
        Change change{.place = static_cast<std::uint8_t>(place), .value = {}};
        if (one.offset != no_offset) {  // else what stood there goes
            change.value.offset = one.offset;
            change.value.leader_epoch = one.leader_epoch;
            change.value.metadata = one.metadata;
            change.value.stamp_ms = stamp_ms;
            if (one.retention >= milliseconds(0))
                change.value.expire_ms = stamp_ms + std::min(one.retention.count(), INT64_MAX / 2);
        }
        if (stands(at.block.find(place), change.value, written)) continue;
        const bool single = is_single(at.block, change);
        if (single) write();
        if (written.again) break;
        part.changes.push_back(std::move(change));
        part.of.push_back(i);
        waiting |= place_bit(place);
        if (single) write();
    }
    if (!written.again) write();
    drop_if_nothing(group, topic->name, number);
}

// With a log full of facts positions that are there still move on; it is new ones that it refuses.
void Groups::write_part(Instant now, const BlockAt& at, Part& part, std::span<ErrorCode> errors,
                        Written& written) {
    const auto put = [&](Part& some) {
        if (some.changes.empty() || written.again) return ok();
        const Status done = write_positions(now, at, some.changes, written.commit);
        if (done) return done;
        written.again = done.error() == Error::would_block;
        for (const std::size_t i : some.of) errors[i] = code_of(done.error());
        return done;
    };
    const Status all = put(part);
    if (all || all.error() != Error::full || part.changes.size() == 1) return;
    for (const std::size_t i : part.of) errors[i] = ErrorCode::none;
    Part moves;
    std::vector<Part> others;
    for (std::size_t i = 0; i < part.changes.size(); ++i) {
        const Change& one = part.changes[i];
        const OffsetEntry* entry = at.block.find(one.place);
        const bool grows = !at.block.written || entry == nullptr || entry->newest().none() ||
                           entry->newest().metadata.size() < one.value.metadata.size();
        Part& to = grows ? others.emplace_back() : moves;
        to.changes.push_back(one);
        to.of.push_back(part.of[i]);
    }
    (void)put(moves);
    for (Part& one : others) (void)put(one);
}

// Whether the log says so already, or will when a commit under way is durable.
bool Groups::stands(OffsetEntry* entry, const Committed& value, Written& written) {
    if (entry == nullptr) return value.none();
    const Committed& newest = entry->newest();
    if (value.none()) {
        if (!newest.none()) return false;
    } else {
        entry->touched_ms = value.stamp_ms;
        const bool fresh = value.stamp_ms - newest.stamp_ms <=
                           config_.offsets_retention.count() / stamp_refresh_part;
        if (newest.none() || !same_position(newest, value) || !fresh || newest.expire_ms >= 0 ||
            value.expire_ms >= 0)
            return false;
        ++counters_.commits_unchanged;
    }
    if (entry->pending > 0) written.commit = std::max(written.commit, entry->commit);
    return true;
}

// Whether it is written with a fact of its own, and so apart from others.
bool Groups::is_single(const OffsetBlock& block, const Change& change) {
    const Places bit = place_bit(change.place);
    const bool erases_first = change.value.none() && !block.written && (block.first & bit);
    return (block.alone & bit) || erases_first || !fits(change.value);
}

TopicOffsets& Groups::offsets_of(Instant now, Group& group, const topics::Topic& topic) {
    const auto [found, fresh] =
        group.offsets.try_emplace(topic.name, TopicOffsets{.id = topic.id, .blocks = {}});
    TopicOffsets& offsets = found->second;
    if (offsets.id == topic.id) return offsets;
    offsets.id = topic.id;  // those of a topic that is gone must not come back
    for (auto& [number, block] : offsets.blocks) {
        block.entries.clear();
        block.stale |= std::exchange(block.alone, 0);
        log::CommitId commit = 0;
        (void)sweep(now, {group, topic.name, offsets, number, block}, commit);
    }
    std::erase_if(offsets.blocks, [](const auto& one) { return one.second.nothing(); });
    return offsets;
}

Status Groups::write_positions(Instant now, const BlockAt& at, std::vector<Change>& changes,
                               log::CommitId& commit) {
    std::array<const Committed*, block_partitions> before{};
    for (const Change& one : changes)
        before[one.place] = std::exchange(at.block.at(one.place).latest, &one.value);
    log::CommitId last = 0;
    const Status put = put_positions(now, at, changes, last);
    if (!put) {
        for (const Change& one : changes) at.block.at(one.place).latest = before[one.place];
        std::erase_if(at.block.entries, [](const OffsetEntry& entry) {
            return entry.pending == 0 && entry.durable.none();
        });
        if (last == 0) return put;
    }
    PendingWrite& write = under_way(at, last);
    if (!put) return put;
    write.changes.swap(changes);  // they stay where they are
    for (const Change& one : write.changes) {
        OffsetEntry& entry = at.block.at(one.place);
        ++entry.pending;
        entry.commit = std::max(entry.commit, last);
        if (one.value.none()) continue;
        entry.touched_ms = one.value.stamp_ms;
        ++counters_.commits;
    }
    commit = std::max(commit, last);
    log::CommitId swept = 0;  // nobody waits for that
    if (at.block.first != 0) (void)sweep(now, at, swept);
    return ok();
}

Status Groups::put_positions(Instant now, const BlockAt& at, const std::vector<Change>& changes,
                             log::CommitId& commit) {
    const Status put = put_newest(now, at, changes, commit);
    if (put || put.error() != Error::full || changes.size() > 1 || changes.front().value.none())
        return put;
    // A log that is full takes nothing that is new or longer, though it would make room for itself:
    // until there is room a position stays where it is.
    const OffsetEntry& entry = *at.block.find(changes.front().place);
    if (at.block.alone & place_bit(entry.place))
        return put_single(now, at, OffsetLayout::alone, entry, commit);
    if (!at.block.written && (at.block.first & place_bit(entry.place)))
        return put_single(now, at, OffsetLayout::first, entry, commit);
    return put;
}

Status Groups::put_newest(Instant now, const BlockAt& at, const std::vector<Change>& changes,
                          log::CommitId& commit) {
    const Change& front = changes.front();
    if (!fits(front.value))
        return put_single(now, at, OffsetLayout::alone, *at.block.find(front.place), commit);
    Places places = 0;
    bool sets = false;
    for (const Change& one : changes) {
        places |= place_bit(one.place);
        sets = sets || !one.value.none();
    }
    const Places back = at.block.alone & places;
    Status put = ok();
    if (sets || (at.block.in_fact & places))
        put = put_block(now, at, back, commit);
    else if (!at.block.written && (at.block.first & places))
        put = erase_single(now, at, OffsetLayout::first, front.place, commit);
    if (!put || back == 0) return put;
    return erase_single(now, at, OffsetLayout::alone, front.place, commit);
}

// `back`: places that come back from a fact of their own.
Status Groups::put_block(Instant now, const BlockAt& at, Places back, log::CommitId& commit) {
    OffsetBlock& block = at.block;
    Places places = 0;
    for (const OffsetEntry& entry : block.entries) {
        const Places bit = place_bit(entry.place);
        if (entry.newest().none() || (block.alone & ~back & bit)) continue;
        if (fits(entry.newest())) {
            places |= bit;
        } else {  // of the first layout, which does not count once the block is there
            if (const Status put = put_single(now, at, OffsetLayout::alone, entry, commit); !put)
                return put;
        }
    }
    if (places == 0 && block.first == 0) return erase_block(now, at, commit);
    const auto put =
        log_.put_fact(now, log::FactKind::group,
                      offset_key(OffsetLayout::block, at.group.id, at.topic, at.number),
                      block_value(at.offsets.id, block, places));
    if (!put) return fail(put.error());
    block.written = true;
    block.in_fact = places;
    commit = std::max(commit, *put);
    return ok();
}

Status Groups::erase_block(Instant now, const BlockAt& at, log::CommitId& commit) {
    if (!at.block.written) return ok();
    const auto erased =
        log_.erase_fact(now, log::FactKind::group,
                        offset_key(OffsetLayout::block, at.group.id, at.topic, at.number));
    if (!erased) return fail(erased.error());
    at.block.written = false;
    at.block.in_fact = 0;
    commit = std::max(commit, *erased);
    return ok();
}

Status Groups::put_single(Instant now, const BlockAt& at, OffsetLayout layout,
                          const OffsetEntry& entry, log::CommitId& commit) {
    const auto put = log_.put_fact(
        now, log::FactKind::group,
        offset_key(layout, at.group.id, at.topic, at.number * block_partitions + entry.place),
        single_value(at.offsets.id, entry.newest()));
    if (!put) return fail(put.error());
    if (layout == OffsetLayout::alone) {
        at.block.alone |= place_bit(entry.place);
        at.block.stale &= ~place_bit(entry.place);
    }
    commit = std::max(commit, *put);
    return ok();
}

Status Groups::erase_single(Instant now, const BlockAt& at, OffsetLayout layout, int place,
                            log::CommitId& commit) {
    const auto erased = log_.erase_fact(
        now, log::FactKind::group,
        offset_key(layout, at.group.id, at.topic, at.number * block_partitions + place));
    if (!erased) return fail(erased.error());
    if (layout == OffsetLayout::first) {
        at.block.first &= ~place_bit(place);
    } else {
        at.block.alone &= ~place_bit(place);
        at.block.stale &= ~place_bit(place);
    }
    commit = std::max(commit, *erased);
    return ok();
}

// A write became durable: now it can be read.
void Groups::apply(PendingWrite& write) {
    Group* group = find(write.group);
    if (group == nullptr) return;
    const auto topic = group->offsets.find(write.topic);
    if (topic == group->offsets.end() || topic->second.id != write.topic_id) return;
    const auto block = topic->second.blocks.find(write.block);
    if (block == topic->second.blocks.end()) return;
    for (Change& one : write.changes) {
        OffsetEntry* entry = block->second.find(one.place);
        if (entry == nullptr || entry->pending == 0) continue;
        entry->durable = std::move(one.value);
        if (--entry->pending > 0) continue;
        entry->latest = nullptr;
        if (entry->durable.none()) block->second.erase(one.place);
    }
    drop_if_nothing(*group, write.topic, write.block);
    erase_if_nothing(*group);
}

void Groups::drop_if_nothing(Group& group, const std::string& topic, std::int32_t number) {
    const auto offsets = group.offsets.find(topic);
    if (offsets == group.offsets.end()) return;
    const auto block = offsets->second.blocks.find(number);
    if (block != offsets->second.blocks.end() && block->second.nothing())
        offsets->second.blocks.erase(block);
    if (offsets->second.blocks.empty()) group.offsets.erase(offsets);
}

Fetched Groups::fetch(std::string_view group_id, std::string_view topic_name,
                      std::int32_t partition) const {
    const Group* group = find(group_id);
    const topics::Topic* topic = registry_.find(topic_name);
    if (group == nullptr || topic == nullptr) return {};
    const auto offsets = group->offsets.find(topic_name);
    if (offsets == group->offsets.end() || offsets->second.id != topic->id) return {};
    const OffsetEntry* entry = offsets->second.find(partition);
    if (entry == nullptr || entry->durable.none()) return {};
    return {entry->durable.offset, entry->durable.leader_epoch, entry->durable.metadata};
}

std::string_view Groups::fetch_next(std::string_view group_id, std::string_view after,
                                    const OffsetVisitor& visit) const {
    const Group* group = find(group_id);
    if (group == nullptr) return {};
    for (auto at = group->offsets.upper_bound(after); at != group->offsets.end(); ++at) {
        const auto& [name, offsets] = *at;
        const topics::Topic* topic = registry_.find(name);
        if (topic == nullptr || topic->id != offsets.id) continue;
        for (const auto& [number, block] : offsets.blocks)
            for (const OffsetEntry& entry : block.entries)
                if (const Committed& one = entry.durable; !one.none())
                    visit(number * block_partitions + entry.place,
                          {one.offset, one.leader_epoch, one.metadata});
        return name;
    }
    return {};
}

}  // namespace leat::groups
