// Committed offsets: what is seldom done with them. They are taken away, they expire, they come
// back from the log.
#include <algorithm>
#include <bit>

#include "broker/groups/group_fact.hpp"
#include "broker/groups/groups.hpp"

namespace leat::groups {
namespace {

/// The log has this fact. `counts`: it is of the topic that there is now.
void note(OffsetBlock& block, const OffsetFact& fact, bool counts) {
    switch (fact.layout) {
        case OffsetLayout::block:
            block.written = true;
            block.in_fact = fact.places;
            break;
        case OffsetLayout::alone:
            (counts ? block.alone : block.stale) |= fact.places;
            break;
        case OffsetLayout::first:
            block.first |= fact.places;
            break;
    }
}

// What a check for age does at one go; it goes on a moment later, so that nobody waits for all.
constexpr std::size_t expired_at_once = 32;    // groups that go
constexpr std::size_t looked_at_at_once = 500;  // groups and blocks
constexpr milliseconds check_pause{1}, check_retry{1'000};

// What speaks against taking anything of a group away, but for its state.
ErrorCode not_there(const Group* group) {
    return group == nullptr || group->state == State::dead ? ErrorCode::group_id_not_found
                                                           : ErrorCode::none;
}

}  // namespace

ErrorCode Groups::code_of(Error error) {
    // Both are for trying again: the first when upkeep made room, the second never helps.
    return error == Error::too_large ? ErrorCode::invalid_commit_offset_size
                                     : ErrorCode::coordinator_not_available;
}

Groups::PendingWrite& Groups::under_way(const BlockAt& at, log::CommitId commit) {
    return writes_.emplace_back(PendingWrite{.commit = commit,
                                             .group = at.group.id,
                                             .topic = at.topic,
                                             .block = at.number,
                                             .topic_id = at.offsets.id,
                                             .changes = {}});
}

Status Groups::erase_positions(Instant now, const BlockAt& at, Places places,
                               log::CommitId& commit) {
    std::vector<Change> together, singles;
    for (const OffsetEntry& entry : at.block.entries) {
        if (!(places & place_bit(entry.place))) continue;
        Change gone{entry.place, {}};
        if (entry.newest().none())  // is being erased
            commit = std::max(commit, entry.commit);
        else
            (is_single(at.block, gone) ? singles : together).push_back(std::move(gone));
    }
    if (!together.empty())
        if (const Status put = write_positions(now, at, together, commit); !put) return put;
    for (Change& one : singles) {
        std::vector<Change> alone{std::move(one)};
        if (const Status put = write_positions(now, at, alone, commit); !put) return put;
    }
    return ok();
}

Status Groups::sweep(Instant now, const BlockAt& at, log::CommitId& commit) {
    OffsetBlock& block = at.block;
    log::CommitId last = 0;
    const auto all = [&](OffsetLayout layout, Places places) {
        Status done = ok();
        for (; places != 0 && done; places &= places - 1)
            done = erase_single(now, at, layout, std::countr_zero(places), last);
        return done;
    };
    const auto steps = [&] {
        Places there = 0;
        for (const OffsetEntry& entry : block.entries)
            if (!entry.newest().none()) there |= place_bit(entry.place);
        // Of a topic that is gone, all three of them.
        if (const Status done = all(OffsetLayout::alone, block.stale); !done) return done;
        if (block.in_fact & ~there)
            if (const Status done = put_block(now, at, 0, last); !done) return done;
        const Places void_now = block.written ? block.first : block.first & ~there;
        if (const Status done = all(OffsetLayout::first, void_now); !done) return done;
        // It was only there to keep those from coming back.
        if (block.in_fact != 0 || block.first != 0) return ok();
        return erase_block(now, at, last);
    };
    const Status done = steps();
    if (last != 0) under_way(at, last);  // should the log lose that, it is learnt anew
    commit = std::max(commit, last);
    return done;
}

// In the order of their keys: a block, then what stands alone or is of the first layout.
bool Groups::load_offsets(ByteView key, ByteView value) {
    auto fact = decode_offset_fact(key, value);
    if (!fact) return false;
    TopicOffsets& offsets = create(fact->group).offsets[std::string(fact->topic)];
    const topics::Topic* topic = registry_.find(fact->topic);
    if (offsets.blocks.empty()) offsets.id = topic != nullptr ? topic->id : fact->topic_id;
    OffsetBlock& block = offsets.blocks[fact->block];
    const bool counts = fact->topic_id == offsets.id;
    note(block, *fact, counts);
    if (fact->layout == OffsetLayout::first && block.written) return true;
    if (!counts) return true;
    for (Change& one : fact->positions) {
        OffsetEntry& entry = block.at(one.place);
        entry.touched_ms = one.value.stamp_ms;
        entry.durable = std::move(one.value);
    }
    return true;
}

// Later writes than the lost ones do not exist: a rollback takes everything not flushed.
void Groups::take_back(PendingWrite& write) {
    // The last facts of a group may have been on their way out, and are there again.
    Group& group = create(write.group);
    const auto [topic, fresh] =
        group.offsets.try_emplace(write.topic, TopicOffsets{.id = write.topic_id, .blocks = {}});
    OffsetBlock& block = topic->second.blocks[write.block];
    for (const Change& one : write.changes) {
        OffsetEntry* entry = block.find(one.place);
        if (entry == nullptr || entry->pending == 0) continue;
        entry->latest = nullptr;
        entry->pending = 0;
        entry->commit = 0;
        if (entry->durable.none()) block.erase(one.place);
    }
    relearn({group, topic->first, topic->second, write.block, block});
    drop_if_nothing(group, write.topic, write.block);
    erase_if_nothing(group);
}

// Which facts the log has.
void Groups::relearn(const BlockAt& at) const {
    OffsetBlock& block = at.block;
    block.written = false;
    block.in_fact = block.alone = block.first = block.stale = 0;
    const auto look = [&](OffsetLayout layout, std::int32_t number) {
        const auto key = offset_key(layout, at.group.id, at.topic, number);
        const auto value = log_.find_fact(log::FactKind::group, key);
        if (!value) return;
        const auto fact = decode_offset_fact(key, *value);
        if (!fact) return;
        note(block, *fact, fact->topic_id == at.offsets.id);
    };
    look(OffsetLayout::block, at.number);
    for (int place = 0; place < block_partitions; ++place) {
        look(OffsetLayout::alone, at.number * block_partitions + place);
        look(OffsetLayout::first, at.number * block_partitions + place);
    }
}

Groups::Written Groups::delete_offsets(Instant now, std::string_view group_id,
                                       const std::vector<PartitionName>& partitions) {
    Written written;
    Group* group = find(group_id);
    written.error = group_id.empty() ? ErrorCode::invalid_group_id : not_there(group);
    if (written.error == ErrorCode::none && group->state != State::empty && !group->consumers())
        written.error = ErrorCode::non_empty_group;
    if (written.error != ErrorCode::none) return written;
    group->emptied |= group->state == State::empty;
    written.each.assign(partitions.size(), ErrorCode::none);
    for (std::size_t i = 0; i < partitions.size() && !written.again;) {
        const PartitionName& one = partitions[i];
        const topics::Topic* topic = registry_.find(one.topic);
        if (topic == nullptr || !topic->has(one.partition)) {
            written.each[i++] = ErrorCode::unknown_topic_or_partition;
            continue;
        }
        if (group->state != State::empty && (!group->reads_known() || group->reads(one.topic))) {
            written.each[i++] = ErrorCode::group_subscribed_to_topic;
            continue;
        }
        // Those of one block at once: they are one fact.
        const std::int32_t number = one.partition / block_partitions;
        const std::size_t from = i;
        Places places = 0;
        for (; i < partitions.size() && partitions[i].topic == one.topic &&
               topic->has(partitions[i].partition) &&
               partitions[i].partition / block_partitions == number;
             ++i)
            places |= place_bit(partitions[i].partition % block_partitions);
        const auto offsets = group->offsets.find(one.topic);
        if (offsets == group->offsets.end()) continue;
        const auto block = offsets->second.blocks.find(number);
        if (block == offsets->second.blocks.end()) continue;
        const Status erased =
            erase_positions(now, {*group, offsets->first, offsets->second, number, block->second},
                            places, written.commit);
        if (erased) continue;
        written.again = erased.error() == Error::would_block;
        for (std::size_t k = from; k < i; ++k) written.each[k] = code_of(erased.error());
    }
    return written;
}

Groups::Written Groups::delete_group(Instant now, std::string_view group_id) {
    Written written;
    Group* group = find(group_id);
    written.error = not_there(group);
    if (written.error == ErrorCode::none && group->state != State::empty)
        written.error = ErrorCode::non_empty_group;
    if (written.error != ErrorCode::none) return written;
    // From the first of it on nobody comes in: of a group with members nothing may be missing.
    group->state = State::dead;
    group->half_deleted = true;
    return go_on_deleting(now, group_id);
}

Groups::Written Groups::go_on_deleting(Instant now, std::string_view group_id) {
    Written written;
    Group* group = find(group_id);
    if (group == nullptr || !group->half_deleted) {
        written.error = ErrorCode::group_id_not_found;
        return written;
    }
    const auto failed = [&](Error error) {
        written.again = group->half_deleted = error == Error::would_block;
        if (!written.again) group->state = State::empty;
        written.error = code_of(error);
        return written;
    };
    for (auto& [topic, offsets] : group->offsets)
        for (auto& [number, block] : offsets.blocks) {
            const BlockAt at{*group, topic, offsets, number, block};
            Status erased = erase_positions(now, at, ~Places{0}, written.commit);
            if (erased) erased = sweep(now, at, written.commit);
            if (!erased) return failed(erased.error());
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
    // Also behind what was written for it before and is not durable yet.
    for (const PendingSave& one : saves_)
        if (one.group == group->id) written.commit = std::max(written.commit, one.commit);
    group->half_deleted = false;
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

/// `looked_at` grows by its blocks. `left`: whether there are positions that stay.
Status Groups::expire_offsets(Instant now, Group& group, std::size_t& looked_at, bool& left) {
    const std::int64_t log_time = log_now(now);
    for (auto& [name, offsets] : group.offsets) {
        const topics::Topic* topic = registry_.find(name);
        const bool gone = topic == nullptr || topic->id != offsets.id;
        for (auto& [number, block] : offsets.blocks) {
            ++looked_at;
            Places over = 0;
            for (const OffsetEntry& entry : block.entries) {
                if (gone || expired(group, name, entry, log_time))
                    over |= place_bit(entry.place);
                else
                    left = true;
            }
            const BlockAt at{group, name, offsets, number, block};
            log::CommitId commit = 0;
            Status done = erase_positions(now, at, over, commit);
            if (done) done = sweep(now, at, commit);
            if (!done) return done;
            counters_.offsets_expired += static_cast<std::uint64_t>(std::popcount(over));
        }
    }
    return ok();
}

// Some at a time, in the order of their names. When the log wants a pause it goes on with the same
// group after that; past one that the log refuses for good.
void Groups::check_retention(Instant now) {
    std::vector<std::string> nothing_left;
    bool refused = false;
    const auto pauses_at = [&](const std::string& id) {
        retention_due_ = now + check_retry;
        retention_at_ = id;
    };
    const auto goes = [&](const std::string& id) {
        const Written deleted = retention_begun_ ? go_on_deleting(now, id) : delete_group(now, id);
        retention_begun_ = deleted.again;
        if (deleted.again)
            pauses_at(id);
        else if (deleted.error != ErrorCode::none)
            refused = true;
        return !deleted.again;
    };
    if (retention_begun_ && !goes(retention_at_)) return;
    auto at = groups_.lower_bound(retention_at_);
    for (std::size_t looked_at = 0; at != groups_.end() && looked_at < looked_at_at_once &&
                                    nothing_left.size() < expired_at_once;
         ++at) {
        const auto& [id, group] = *at;
        ++looked_at;
        if (group->state == State::dead) continue;
        bool left = false;
        if (const Status done = expire_offsets(now, *group, looked_at, left); !done) {
            if (done.error() == Error::would_block) return pauses_at(id);
            refused = true;
        } else if (!left && group->state == State::empty && group->pending.empty()) {
            nothing_left.push_back(id);
        }
    }
    const bool all = at == groups_.end();
    retention_at_ = all ? std::string() : at->first;
    for (const std::string& id : nothing_left)
        if (!goes(id)) return;
    retention_due_ = now + (refused ? check_retry : all ? config_.retention_check : check_pause);
}

}  // namespace leat::groups
