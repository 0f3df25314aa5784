// Groups on flash and back.
#include <algorithm>

#include "broker/groups/group_fact.hpp"
#include "broker/groups/groups.hpp"

namespace leat::groups {

bool Groups::save(Instant now, Group& group) {
    ++group.save_number;
    group.save_wanted = true;
    return try_save(now, group);
}

bool Groups::try_save(Instant now, Group& group) {
    const auto later = [&] {
        if (std::find(unsaved_.begin(), unsaved_.end(), group.id) == unsaved_.end())
            unsaved_.push_back(group.id);
        return true;
    };
    // Not past what was written when it became a classic group.
    if (consumers_.facts().waits()) return later();
    const auto values = group_values(group, group.save_number);
    Result<log::CommitId> commit = fail(Error::too_large);
    for (std::size_t i = 0; i < values.size(); ++i) {
        const auto part = static_cast<std::uint16_t>(i);
        commit = log_.put_fact(now, log::FactKind::group, group_key(group.id, part), values[i]);
        if (!commit) break;
        group.chunks_saved = std::max(group.chunks_saved, static_cast<std::uint16_t>(part + 1));
    }
    // Parts of an earlier, longer save. If they stay for now, the count in part 0 tells.
    while (commit && group.chunks_saved > values.size()) {
        commit =
            log_.erase_fact(now, log::FactKind::group, group_key(group.id, group.chunks_saved - 1));
        if (commit) --group.chunks_saved;
    }
    if (!commit && commit.error() == Error::would_block) return later();
    group.save_wanted = false;
    if (!commit) return false;
    saves_.push_back({.commit = *commit, .group = group.id, .save = group.save_number});
    log_.flush_soon(now);
    return true;
}

void Groups::saved(Instant now, const PendingSave& done) {
    Group* group = find(done.group);
    if (group == nullptr) return;
    while (!group->held.empty() && group->held.front().first <= done.save) {
        answer(std::move(group->held.front().second));
        group->held.erase(group->held.begin());
    }
    if (group->state == State::completing_rebalance && group->assigned_by_save == done.save)
        became_stable(now, *group);
}

void Groups::refuse_held(Group& group) {
    for (auto& [save, told] : group.held)
        refuse_join(told.ticket, ErrorCode::coordinator_not_available, told.member);
    group.held.clear();
}

// What waited for it is told to come again; an assignment that could not be kept does not count.
void Groups::save_failed(Instant now, Group& group) {
    refuse_held(group);
    if (group.state != State::completing_rebalance) return;
    drop_syncs(group, ErrorCode::coordinator_not_available);
    prepare_rebalance(now, group);
}

void Groups::settle(Instant now) {
    consumers_.settle(now);
    if (consumers_.facts().any_broken()) {
        mend(now);
        consumers_.settle(now);
    }
    const log::CommitId flushed = log_.flushed_commit();
    for (; !writes_.empty() && writes_.front().commit <= flushed; writes_.pop_front())
        apply(writes_.front());
    while (!saves_.empty() && saves_.front().commit <= flushed) {
        const PendingSave done = std::move(saves_.front());
        saves_.pop_front();
        saved(now, done);
    }
    std::erase_if(deleting_, [&](const std::string& id) {
        const auto at = groups_.find(id);
        if (at == groups_.end() || at->second->state != State::dead || at->second->half_deleted)
            return true;  // it is there again
        if (at->second->deleted_in > flushed) return false;
        groups_.erase(at);
        return true;
    });
    for (std::vector<std::string> again = std::exchange(unsaved_, {});
         const std::string& id : again)
        if (Group* group = find(id); group != nullptr && group->save_wanted)
            if (!try_save(now, *group)) save_failed(now, *group);
}

void Groups::rolled_back(Instant now, log::CommitId first, log::CommitId last) {
    const auto lost = [=](const auto& entry) {
        return entry.commit > first && entry.commit <= last;
    };
    settings_.load();
    consumers_.facts().rolled_back();  // before anything that waits is written behind what is lost
    // Parts that were erased may be there again, also of a group that is half deleted.
    for (const auto& [id, group] : groups_)
        while (group->consumer == nullptr &&
               log_.find_fact(log::FactKind::group, group_key(id, group->chunks_saved)))
            ++group->chunks_saved;
    settle(now);
    std::vector<PendingWrite> gone;
    for (PendingWrite& write : writes_)
        if (lost(write)) gone.push_back(std::move(write));
    std::erase_if(writes_, lost);
    for (PendingWrite& write : gone) take_back(write);
    for (const std::string& id : deleting_)
        if (Group* group = find(id); group != nullptr && group->deleted_in > first) {
            group->state = State::empty;  // the log has its facts again
            if (group->consumer != nullptr)
                group->consumer->saved = true;
            else
                (void)save(now, *group);
        }
    std::vector<PendingSave> unsaved;
    for (const PendingSave& one : saves_)
        if (lost(one)) unsaved.push_back(one);
    std::erase_if(saves_, lost);
    for (const PendingSave& one : unsaved)
        if (Group* group = find(one.group)) save_failed(now, *group);
}

struct Groups::LoadingGroup {
    std::map<std::uint16_t, std::pair<std::uint32_t, std::vector<std::uint8_t>>> pieces;
    std::uint32_t save = 0;
    std::uint16_t parts = 0;
    std::int32_t generation = 0;
    std::optional<Consumers::Loading> consumer;

    /// Not set: torn.
    std::optional<std::vector<std::uint8_t>> body() const;
};

std::optional<std::vector<std::uint8_t>> Groups::LoadingGroup::body() const {
    std::vector<std::uint8_t> all;
    for (std::uint16_t i = 0; i < parts; ++i) {
        const auto piece = pieces.find(i);
        if (piece == pieces.end() || piece->second.first != pieces.begin()->second.first)
            return std::nullopt;
        all.insert(all.end(), piece->second.second.begin(), piece->second.second.end());
    }
    if (parts == 0) return std::nullopt;
    return all;
}

void Groups::load(Instant now) {
    settings_.load();
    unreadable_ += settings_.unreadable();
    LoadingGroups loading;
    log_.for_each_fact(log::FactKind::group, [&](ByteView key, ByteView value) {
        if (is_group_key(key) || is_consumer_key(key)) {
            if (!read_group_fact(loading, key, value)) ++unreadable_;
        } else if (is_offset_key(key)) {
            if (!load_offsets(key, value)) ++unreadable_;
        } else {
            ++unreadable_;
        }
    });
    for (const auto& [id, one] : loading) load_group(now, id, one);
    retention_due_ = now + config_.retention_check;
}

bool Groups::read_group_fact(LoadingGroups& loading, ByteView key, ByteView value) {
    if (is_consumer_key(key)) {
        const auto part = decode_consumer_part(key, value);
        if (!part) return false;
        LoadingGroup& one = loading[std::string(part->group)];
        if (!one.consumer) one.consumer.emplace();
        return bool(Consumers::read(*one.consumer, key, value));
    }
    const auto part = decode_group_part(key, value);
    if (!part) return false;
    LoadingGroup& one = loading[std::string(part->group)];
    one.save = std::max(one.save, part->save);
    one.generation = std::max(one.generation, part->generation);
    if (part->part == 0) one.parts = part->parts;
    one.pieces[part->part] = {part->save, {part->piece.begin(), part->piece.end()}};
    return true;
}

void Groups::load_group(Instant now, const std::string& id, const LoadingGroup& loading) {
    Group& group = create(id);
    if (!loading.consumer) return load_classic(now, group, loading);
    // Facts of both kinds: it was on its way from one to the other, empty or not. While the classic
    // ones are whole, those of the other may not be (mixed.cpp).
    const Consumers::Loading& other = *loading.consumer;
    const bool classic = loading.parts > 0 && (other.members.empty() || !other.fact ||
                                               loading.body().has_value());
    if (classic) {
        consumers_.erase_facts(now, id, other);
        return load_classic(now, group, loading);
    }
    if (!consumers_.load(now, group, *loading.consumer)) ++unreadable_;
    for (auto part = loading.pieces.rbegin(); part != loading.pieces.rend(); ++part)
        (void)consumers_.facts().erase(now, id, group_key(id, part->first));
}

// A write that the log refused, or lost: other groups do not notice.
void Groups::mend(Instant now) {
    for (const std::string& id : consumers_.take_downgrades())
        if (Group* group = find(id); group != nullptr && group->consumer != nullptr)
            downgrade(now, *group);
    const std::vector<std::string> broken = consumers_.facts().take_broken();
    if (broken.empty()) return;
    LoadingGroups all;
    log_.for_each_fact(log::FactKind::group, [&](ByteView key, ByteView value) {
        if (is_group_key(key) || is_consumer_key(key)) (void)read_group_fact(all, key, value);
    });
    for (const std::string& id : broken) {
        Group* group = find(id);
        if (group == nullptr || group->state == State::dead) continue;
        if (group->consumer == nullptr) drop_members(*group, ErrorCode::coordinator_not_available);
        consumers_.drop(*group);
        group->chunks_saved = 0;
        if (const auto at = all.find(id); at != all.end()) load_group(now, id, at->second);
        erase_if_nothing(*group);
    }
}

void Groups::load_classic(Instant now, Group& group, const LoadingGroup& loading) {
    const auto body = loading.body();
    if (!body || !decode_group(*body, group)) {
        // Torn in the middle of a save: its members find out and join again.
        if (body) ++unreadable_;
        group.members.clear();
        group.static_members.clear();
        group.protocol.clear();
        group.leader.clear();
        group.empty_since_ms = log_now(now);
    }
    group.generation = std::max(group.generation, loading.generation);
    group.save_number = loading.save;
    group.chunks_saved = static_cast<std::uint16_t>(loading.pieces.rbegin()->first + 1);
    group.state = group.previous = group.members.empty() ? State::empty : State::stable;
    member_count_ += group.members.size();
    for (auto& [name, member] : group.members) {
        member->synced = true;
        member_bytes_ += member->bytes();
        touch(now, *member);
    }
    group.learn_subscriptions();
    // It had just become a classic group, and has not shared out yet (mixed.cpp).
    if (group.leader.empty() && !group.members.empty()) prepare_rebalance(now, group);
}

}  // namespace leat::groups
