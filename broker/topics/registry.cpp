#include "broker/topics/registry.hpp"

#include <algorithm>

#include "broker/topics/topic_fact.hpp"
#include "broker/topics/topic_name.hpp"

namespace leat::topics {
namespace {

log::StreamPolicy policy_of(const TopicConfig& config) {
    return {.retention = config.retention(),
            .retention_bytes = config.retention_bytes(),
            .until_delivered = config.until_uplinked(),
            .when_full = config.drops_oldest() ? log::WhenFull::drop_oldest : log::WhenFull::reject,
            .priority = config.priority(),
            .compact = config.compacted(),
            .dirty_permille_min = config.dirty_permille_min(),
            .compaction_lag = config.compaction_lag(),
            .compaction_lag_max = config.compaction_lag_max(),
            .tombstone_retention = config.tombstone_retention(),
            .reserved_bytes = config.reserved_bytes()};
}

/// A reservation and a compacted topic's records are bytes that nobody else may have; a sum that
/// stops at what no log has.
std::uint64_t claim_of(const TopicConfig& config, std::size_t partitions, std::uint64_t held,
                       std::uint32_t segment_bytes) {
    constexpr std::uint64_t most = std::uint64_t{1} << 60;
    auto reserved = static_cast<std::uint64_t>(config.reserved_bytes());
    if (reserved > 0) reserved += segment_bytes;  // the log keeps so much more free
    const std::uint64_t all = reserved > most / partitions ? most : reserved * partitions;
    return config.compacted() ? std::max(all, held) : all;
}

}  // namespace

const Topic* Registry::find(std::string_view name) const {
    const auto at = by_name_.find(name);
    return at == by_name_.end() ? nullptr : at->second.get();
}

const Topic* Registry::find(const TopicId& id) const {
    const auto at = by_id_.find(id);
    return at == by_id_.end() ? nullptr : at->second;
}

std::optional<Place> Registry::find_stream(log::StreamId stream) const {
    const auto at = by_stream_.find(stream);
    if (at == by_stream_.end()) return std::nullopt;
    return at->second;
}

const Topic* Registry::find_collision(std::string_view name) const {
    const auto at = by_collision_.find(collision_key(name));
    return at == by_collision_.end() ? nullptr : at->second;
}

const Topic* Registry::insert(std::unique_ptr<Topic> topic) {
    ++changes_;
    Topic* mine = topic.get();
    by_id_[mine->id] = mine;
    by_collision_[collision_key(mine->name)] = mine;
    for (std::size_t i = 0; i < mine->partitions.size(); ++i)
        by_stream_[mine->partitions[i]] = {.topic = mine,
                                           .partition = static_cast<std::int32_t>(i)};
    made_.insert(made_.end(), mine->partitions.begin(), mine->partitions.end());
    by_name_[mine->name] = std::move(topic);
    return mine;
}

void Registry::forget(const Topic& topic) {
    ++changes_;
    for (const log::StreamId stream : topic.partitions) {
        by_stream_.erase(stream);
        log_.drop_stream(stream);
    }
    by_id_.erase(topic.id);
    by_collision_.erase(collision_key(topic.name));
    by_name_.erase(by_name_.find(topic.name));
}

Status Registry::declare(const Topic& topic) {
    for (const log::StreamId stream : topic.partitions)
        if (const Status declared = log_.declare_stream(stream, policy_of(topic.config)); !declared)
            return declared;
    return ok();
}

Result<log::CommitId> Registry::persist(Instant now, const Topic& topic) {
    if (const Status erased = erase_stale(now); !erased) return fail(erased.error());
    if (const Status kept = keep_recovered(now); !kept) return fail(kept.error());
    // First the counter, then the topic: facts become durable in order, so no stream id is ever
    // given twice.
    if (auto put = put_next_stream(now); !put) return put;
    return log_.put_fact(now, log::FactKind::topic, topic.id, encode_topic(topic));
}

std::string Registry::reserve_problem(const TopicConfig& config, std::size_t partitions,
                                      const Topic* instead) const {
    const auto held = [this](const Topic& topic) {
        std::uint64_t bytes = 0;
        for (const log::StreamId stream : topic.partitions)
            if (const log::StreamState* state = log_.stream(stream))
                bytes += static_cast<std::uint64_t>(std::max<std::int64_t>(0, state->bytes));
        return bytes;
    };
    // Most topics ask for nothing, and the log's status is a page of text.
    if (config.reserved_bytes() <= 0 && !config.compacted()) return {};
    const log::LogStatus log = log_.status();
    const std::uint32_t segment = log.segment_bytes;
    const std::uint64_t wanted =
        claim_of(config, partitions, instead != nullptr ? held(*instead) : 0, segment);
    if (wanted == 0) return {};
    if (instead != nullptr &&
        wanted <= claim_of(instead->config, instead->partitions.size(), held(*instead), segment))
        return {};
    std::uint64_t others = 0;
    for (const auto& [name, topic] : by_name_)
        if (topic.get() != instead &&
            (topic->config.reserved_bytes() > 0 || topic->config.compacted()))
            others += claim_of(topic->config, topic->partitions.size(), held(*topic), segment);
    const std::uint64_t limit = log.budget_bytes / 10 * 7, facts = log.budget_bytes / 16;
    if (wanted <= limit && others + facts <= limit - wanted) return {};
    return "leat.reserved.bytes of all partitions, with a segment for each, compacted topics and what the broker has to "
           "remember may be 70 % of the log, " +
           std::to_string(limit) + " bytes: here are " + std::to_string(wanted) + ", with " +
           std::to_string(others) + " of other topics and " + std::to_string(facts) +
           " of the broker";
}

/// A version 4 uuid (RFC 9562).
Status Registry::make_id(TopicId& id) {
    if (const Status filled = entropy_.fill(id); !filled) return filled;
    id[6] = static_cast<std::uint8_t>((id[6] & 0x0F) | 0x40);
    id[8] = static_cast<std::uint8_t>((id[8] & 0x3F) | 0x80);
    return ok();
}

Result<const Topic*> Registry::create(Instant now, std::string_view name, std::int32_t partitions,
                                      TopicConfig config) {
    if (!log_.room_for_streams(static_cast<std::size_t>(partitions))) return fail(Error::full);
    auto topic = std::make_unique<Topic>();
    topic->name = name;
    topic->config = std::move(config);
    topic->internal = is_internal_topic(name);
    if (const Status made = make_id(topic->id); !made) return fail(made.error());
    for (std::int32_t i = 0; i < partitions; ++i) topic->partitions.push_back(next_stream_++);

    const Topic* created = insert(std::move(topic));
    Result<log::CommitId> commit = fail(Error::full);
    if (const Status declared = declare(*created); !declared)
        commit = fail(declared.error());
    else
        commit = persist(now, *created);
    if (!commit) {
        forget(*created);
        return fail(commit.error());
    }
    by_name_.find(created->name)->second->created = *commit;
    return created;
}

Result<log::CommitId> Registry::change(Instant now, Topic& topic, Before before) {
    std::erase_if(unflushed_,
                  [this](const Before& done) { return done.commit <= log_.flushed_commit(); });
    Result<log::CommitId> commit = fail(Error::full);
    if (const Status declared = declare(topic); !declared)
        commit = fail(declared.error());
    else
        commit = persist(now, topic);
    if (!commit) {
        restore(topic, before);
        return commit;
    }
    ++changes_;
    before.commit = *commit;
    unflushed_.push_back(std::move(before));
    return commit;
}

void Registry::restore(Topic& topic, const Before& before) {
    for (; topic.partitions.size() > before.partitions; topic.partitions.pop_back()) {
        by_stream_.erase(topic.partitions.back());
        log_.drop_stream(topic.partitions.back());
    }
    topic.config = before.config;
    (void)declare(topic);  // they are declared: only their policy changes back
    ++changes_;
}

log::CommitId Registry::durable_at(const Topic& topic) const {
    log::CommitId last = topic.created;
    for (const Before& before : unflushed_)
        if (before.id == topic.id) last = std::max(last, before.commit);
    return last;
}

Result<log::CommitId> Registry::alter(Instant now, const Topic& topic, TopicConfig config) {
    Topic& mine = *by_id_.at(topic.id);
    Before before{0, mine.id, mine.config, mine.partitions.size()};
    mine.config = std::move(config);
    return change(now, mine, std::move(before));
}

Result<log::CommitId> Registry::add_partitions(Instant now, const Topic& topic,
                                               std::int32_t count) {
    if (!log_.room_for_streams(static_cast<std::size_t>(count))) return fail(Error::full);
    Topic& mine = *by_id_.at(topic.id);
    Before before{0, mine.id, mine.config, mine.partitions.size()};
    for (; count > 0; --count) {
        by_stream_[next_stream_] = {.topic = &mine,
                                    .partition = static_cast<std::int32_t>(mine.partitions.size())};
        made_.push_back(next_stream_);
        mine.partitions.push_back(next_stream_++);
    }
    return change(now, mine, std::move(before));
}

Status Registry::erase_stale(Instant now) {
    std::erase_if(removed_, [this](const Removed& removed) {
        return removed.commit <= log_.flushed_commit();
    });
    for (; !stale_.empty(); stale_.pop_back()) {
        const auto commit = log_.erase_fact(now, log::FactKind::topic, stale_.back());
        if (!commit) return fail(commit.error());
        removed_.push_back({*commit, stale_.back()});
    }
    return ok();
}

Result<log::CommitId> Registry::remove(Instant now, const Topic& topic) {
    if (const Status erased = erase_stale(now); !erased) return fail(erased.error());
    auto commit = log_.erase_fact(now, log::FactKind::topic, topic.id);
    if (!commit) return commit;
    removed_.push_back({*commit, topic.id});
    if (on_remove) on_remove(now, topic);
    for (const log::StreamId stream : topic.partitions) epochs.forget(now, stream);
    forget(topic);
    return commit;
}

void Registry::rolled_back(log::CommitId first, log::CommitId last) {
    epochs.rolled_back();
    for (; !unflushed_.empty() && unflushed_.back().commit > first; unflushed_.pop_back())
        if (const Before& before = unflushed_.back(); before.commit <= last)
            if (const auto at = by_id_.find(before.id); at != by_id_.end())
                restore(*at->second, before);
    // Their facts are back, they are not: the deletion was half done already, and is finished by
    // settle.
    has_mark_ = has_mark_ && recovered_.empty();  // it may be gone; put again it costs nothing
    for (Recovered& topic : recovered_)
        if (topic.commit > first && topic.commit <= last) topic.commit = 0;
    for (const Removed& removed : removed_)
        if (removed.commit > first && removed.commit <= last) stale_.push_back(removed.id);
    std::erase_if(removed_, [=](const Removed& removed) { return removed.commit > first; });
    std::vector<const Topic*> undone;
    for (const auto& [name, topic] : by_name_)
        if (topic->created > first && topic->created <= last) undone.push_back(topic.get());
    for (const Topic* topic : undone) forget(*topic);
}

}  // namespace leat::topics
