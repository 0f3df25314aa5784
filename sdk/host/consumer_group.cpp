// The consumer as a member of a group: what happens in poll, and committed offsets.
#include <algorithm>
#include <array>

#include "sdk/host/consumer_core.hpp"

namespace leat {
namespace {

constexpr milliseconds request_wait{60'000};
constexpr milliseconds refused_wait{1'000};  // before committed offsets are asked for once more

/// Unique wherever it is made: 16 random bytes (KIP-1082).
Result<std::string> make_member_id() {
    std::array<std::uint8_t, 16> bytes{};
    if (const Status filled = host::SystemEntropy().fill(bytes); !filled)
        return fail(filled.error());
    std::string text;
    for (std::uint8_t byte : bytes)
        for (int nibble : {byte >> 4, byte & 15}) text += "0123456789abcdef"[nibble];
    return text;
}

}  // namespace

Status Consumer::Impl::use_group(const ConsumerConfig& settings) {
    auto_commit_ = settings.auto_commit;
    auto_commit_interval_ = settings.auto_commit_interval;
    reset_ = settings.reset;
    reset_duration_ = settings.reset_duration;
    if (settings.group_id.empty()) return ok();
    cluster::GroupConfig config;
    config.group_id = settings.group_id;
    config.instance_id = settings.group_instance_id;
    config.session_timeout = settings.session_timeout;
    config.heartbeat_interval = settings.heartbeat_interval;
    config.max_poll_interval = settings.max_poll_interval;
    config.request_timeout = settings.request_timeout;
    config.assignors = settings.assignors;
    config.retry = {settings.retry_backoff, settings.retry_backoff_max};
    config.seed = host::any_seed();
    config.remote_assignor = settings.group_remote_assignor;
    if (settings.group_protocol == GroupProtocol::consumer) {
        Result<std::string> id = make_member_id();
        if (!id) return fail(id.error());
        config.member_id = *std::move(id);
    }
    const std::lock_guard lock(loop_.mutex);
    group_ = cluster::make_group(router_, settings.group_protocol, std::move(config));
    return ok();
}

Status Consumer::Impl::subscribe(std::vector<std::string> topics,
                                 std::function<bool(std::string_view)> matches,
                                 RebalanceCallbacks callbacks) {
    const std::lock_guard lock(loop_.mutex);
    if (!group_ || (topics.empty() && !matches)) return fail(Error::invalid);
    if (is_shut()) return fail(Error::closed);
    drop_assigned_by_hand();
    std::swap(callbacks_, callbacks);  // the old ones end behind the lock
    if (matches)
        group_->subscribe_matching(now(), std::move(matches));
    else
        group_->subscribe(now(), std::move(topics));
    wake();
    return ok();
}

Status Consumer::Impl::subscribe_pattern(std::string regex, RebalanceCallbacks callbacks) {
    const std::lock_guard lock(loop_.mutex);
    if (!group_ || regex.empty()) return fail(Error::invalid);
    if (is_shut()) return fail(Error::closed);
    if (const Status done = group_->subscribe_pattern(now(), std::move(regex)); !done) return done;
    drop_assigned_by_hand();
    std::swap(callbacks_, callbacks);  // the old ones end behind the lock
    wake();
    return ok();
}

/// Those are not the group's.
void Consumer::Impl::drop_assigned_by_hand() {
    std::vector<TopicPartition> by_hand;
    for (const auto& [key, assigned] : assigned_)
        if (!assigned->of_group) by_hand.push_back({key.first, key.second});
    for (const TopicPartition& partition : by_hand) drop(partition);
}

std::vector<TopicPartition> Consumer::Impl::assignment() {
    const std::lock_guard lock(loop_.mutex);
    std::vector<TopicPartition> list;
    for (const auto& [key, assigned] : assigned_) list.push_back({key.first, key.second});
    return list;
}

GroupMetadata Consumer::Impl::group_metadata() {
    const std::lock_guard lock(loop_.mutex);
    if (!group_) return {};
    return {group_->config().group_id, group_->member_id(), group_->generation()};
}

void Consumer::Impl::drop(const TopicPartition& partition) {
    unplaced_.erase(partition);
    committed_.erase(partition);
    const auto found = assigned_.find({partition.topic, partition.partition});
    if (found == assigned_.end()) return;
    stop(*found->second);
    by_slot_.erase(found->second->fetch.slot);
    assigned_.erase(found);
}

// ---- in poll

void Consumer::Impl::work_for_group(std::unique_lock<std::mutex>& lock, Instant until) {
    auto_commit();
    group_->on_poll(now());
    take_answers();
    // Callbacks cost time, but a rebalance that has begun is worth finishing.
    while (std::optional<cluster::GroupEvent> event = group_->poll_event()) {
        on_group_event(lock, *event);
        take_answers();
        if (now() >= until) break;
    }
    ask_for_offsets();
    wake();
}

void Consumer::Impl::on_group_event(std::unique_lock<std::mutex>& lock,
                                    const cluster::GroupEvent& event) {
    using Kind = cluster::GroupEvent::Kind;
    // A copy: `subscribe` may put others in its place while it runs, from here or another thread.
    const auto call = [&](RebalanceCallbacks::Call callback) {
        if (!callback) return;
        lock.unlock();
        callback(event.partitions);
        callback = nullptr;  // perhaps the last one: what it holds may call this object
        lock.lock();
    };
    if (event.kind == Kind::failed) {
        ConsumerEvent told;
        told.kind = ConsumerEvent::Kind::group_failed;
        told.error = event.error;
        told.text = "group " + group_->config().group_id + ": " + wire::name(event.error);
        if (event.error == ErrorCode::unsupported_version)
            told.text += ": the broker does not serve this group protocol";
        tell(std::move(told));
        return;
    }
    if (event.kind == Kind::assigned) {
        unplaced_.insert(event.partitions.begin(), event.partitions.end());
        for (const TopicPartition& partition : event.partitions) {
            std::unique_ptr<Assigned>& assigned = assigned_[{partition.topic, partition.partition}];
            if (!assigned) assigned = make_assigned(partition);
            assigned->of_group = true;
        }
        call(callbacks_.assigned);
    } else {
        if (event.kind == Kind::revoked && auto_commit_) {
            Offsets offsets = positions_of(event.partitions);
            if (!offsets.empty()) {
                const auto id = group_->commit(now(), std::move(offsets), commit_max);
                awaited_.insert(id);
                wake();
                loop_.wait(lock, now() + commit_max, [&] {
                    take_answers();
                    return answers_.contains(id);
                });
                answers_.erase(id);
                awaited_.erase(id);
            }
        }
        call(event.kind == Kind::lost && callbacks_.lost ? callbacks_.lost : callbacks_.revoked);
        // Assigned by hand meanwhile, it is not the group's any more.
        for (const TopicPartition& partition : event.partitions)
            if (const Assigned* assigned = find(partition); assigned && assigned->of_group)
                drop(partition);
    }
    group_->handled(now());
}

void Consumer::Impl::auto_commit() {
    if (!auto_commit_ || now() < auto_commit_at_) return;
    if (group_->generation() < 0 && group_->is_subscribed()) return;  // nothing is ours now
    auto_commit_at_ = now() + auto_commit_interval_;
    Offsets offsets = positions_of(all_assigned());
    std::erase_if(offsets, [this](const auto& entry) {
        const auto known = committed_.find(entry.first);
        return known != committed_.end() && known->second == entry.second;
    });
    if (offsets.empty()) return;
    for (const auto& [partition, offset] : offsets) committed_[partition] = offset;
    (void)group_->commit(now(), std::move(offsets), request_wait);
}

cluster::Partitions Consumer::Impl::all_assigned() const {
    cluster::Partitions all;
    for (const auto& [key, assigned] : assigned_) all.push_back({key.first, key.second});
    return all;
}

Offsets Consumer::Impl::positions_of(const cluster::Partitions& partitions) const {
    Offsets offsets;
    for (const TopicPartition& partition : partitions) {
        const auto found = assigned_.find({partition.topic, partition.partition});
        if (found == assigned_.end() || found->second->fetch.position < 0) continue;
        const client::FetchPartition& fetch = found->second->fetch;
        offsets[partition] = {fetch.position, fetch.position_epoch, {}};
    }
    return offsets;
}

void Consumer::Impl::ask_for_offsets() {
    if (unplaced_.empty() || asked_ != 0 || now() < ask_at_) return;
    asked_ = group_->fetch_committed(now(), {unplaced_.begin(), unplaced_.end()}, request_wait);
}

void Consumer::Impl::take_answers() {
    while (std::optional<cluster::GroupAnswer> answer = group_->poll_answer()) {
        if (answer->id == asked_) {
            asked_ = 0;
            if (answer->status) {
                start_reading(answer->offsets);
                if (!answer->refused.empty()) ask_at_ = now() + refused_wait;
                continue;
            }
            ask_at_ = now() + refused_wait;  // then at the next poll
            if (answer->error == ErrorCode::none) continue;
            ConsumerEvent told;
            told.kind = ConsumerEvent::Kind::refused;
            told.error = answer->error;
            told.text = std::string("committed offsets: ") + wire::name(answer->error);
            tell(std::move(told));
            continue;
        }
        if (!answer->status) {
            for (const auto& [partition, error] : answer->refused) committed_.erase(partition);
            if (answer->refused.empty()) committed_.clear();  // of none it is known
            ConsumerEvent told;
            told.kind = ConsumerEvent::Kind::commit_failed;
            told.error = answer->error;
            told.text = std::string("commit: ") + (answer->error == ErrorCode::none
                                                       ? error_text(answer->status.error())
                                                       : wire::name(answer->error));
            tell(std::move(told));
        }
        if (awaited_.contains(answer->id)) answers_[answer->id] = *std::move(answer);
    }
}

void Consumer::Impl::start_reading(const Offsets& offsets) {
    for (const auto& [partition, committed] : offsets) {
        if (unplaced_.erase(partition) == 0) continue;  // taken away meanwhile, or sought
        Assigned& assigned = *assigned_.at({partition.topic, partition.partition});
        client::FetchPartition& fetch = assigned.fetch;
        if (committed.offset >= 0) {
            fetch.position = fetch.fetch_offset = committed.offset;
            fetch.position_epoch = committed.leader_epoch;  // held against the log first (KIP-320)
            committed_[partition] = {committed.offset, committed.leader_epoch, {}};
        } else if (reset_ == ConsumerConfig::Reset::none) {
            fetch.not_before = never;  // stands still until a seek
            ConsumerEvent told;
            told.kind = ConsumerEvent::Kind::offset_out_of_range;
            told.topic = partition.topic;
            told.partition = partition.partition;
            told.text = partition.topic + ": no offset is committed";
            tell(std::move(told));
        } else if (reset_ == ConsumerConfig::Reset::by_duration) {
            fetch.lookup = reset_time();
        } else {
            fetch.lookup = reset_ == ConsumerConfig::Reset::beginning ? client::timestamp_earliest
                                                                      : client::timestamp_latest;
        }
        start(assigned);
    }
}

// ---- committed offsets

Status Consumer::Impl::commit(std::optional<Offsets> offsets, std::optional<milliseconds> timeout) {
    std::unique_lock lock(loop_.mutex);
    if (!group_) return fail(Error::invalid);
    if (is_shut()) return fail(Error::closed);
    if (!offsets) offsets = positions_of(all_assigned());
    if (offsets->empty()) return ok();
    const auto id = group_->commit(now(), *std::move(offsets), timeout.value_or(request_wait));
    wake();
    if (!timeout) return ok();
    awaited_.insert(id);
    loop_.wait(lock, now() + *timeout + milliseconds{100}, [&] {
        take_answers();
        return answers_.contains(id);
    });
    awaited_.erase(id);
    const auto found = answers_.find(id);
    if (found == answers_.end()) return fail(Error::timed_out);
    const Status status = found->second.status;
    answers_.erase(found);
    return status;
}

Result<Offsets> Consumer::Impl::committed(const std::vector<TopicPartition>& partitions,
                                          milliseconds timeout) {
    std::unique_lock lock(loop_.mutex);
    if (!group_) return fail(Error::invalid);
    if (is_shut()) return fail(Error::closed);
    const auto id = group_->fetch_committed(now(), partitions, timeout);
    awaited_.insert(id);
    wake();
    loop_.wait(lock, now() + timeout + milliseconds{100}, [&] {
        take_answers();
        return answers_.contains(id);
    });
    awaited_.erase(id);
    const auto found = answers_.find(id);
    if (found == answers_.end()) return fail(Error::timed_out);
    const cluster::GroupAnswer answer = std::move(found->second);
    answers_.erase(found);
    if (!answer.status) return fail(answer.status.error());
    return answer.offsets;
}

Status Consumer::Impl::leave(milliseconds timeout) {
    std::unique_lock lock(loop_.mutex);
    if (!group_ || is_shut()) return ok();
    const Instant until = now() + timeout;
    const auto settle_commits = [&] {
        wake();
        return loop_.wait(lock, until, [&] {
            take_answers();
            return !group_->has_unanswered_commit();
        });
    };
    cluster::GroupRequestId id = 0;
    if (auto_commit_) {
        Offsets offsets = positions_of(all_assigned());
        if (!offsets.empty())
            awaited_.insert(id = group_->commit(now(), std::move(offsets), timeout));
    }
    bool in_time = settle_commits();
    Status committed = ok();
    if (const auto found = answers_.find(id); found != answers_.end()) {
        committed = found->second.status;
        answers_.erase(found);
    }
    awaited_.erase(id);
    std::vector<TopicPartition> given_up;
    for (const auto& [key, assigned] : assigned_)
        if (assigned->of_group) given_up.push_back({key.first, key.second});
    const bool is_lost = group_->generation() < 0;
    RebalanceCallbacks::Call call =  // a copy, as above
        is_lost && callbacks_.lost ? callbacks_.lost : callbacks_.revoked;
    if (!given_up.empty() && call) {
        lock.unlock();
        call(given_up);
        call = nullptr;
        lock.lock();
        in_time = settle_commits();  // which it may have begun
    }
    group_->leave(now());
    wake();
    in_time &= loop_.wait(lock, until, [&] { return group_->has_left(); });
    return in_time ? committed : fail(Error::timed_out);
}

}  // namespace leat
