#include "sdk/host/consumer_core.hpp"

#include <algorithm>

namespace leat {

std::shared_ptr<Consumer::Impl> Consumer::Impl::make(Loop::Impl& loop,
                                                     cluster::RouterConfig config) {
    return std::make_shared<Impl>(loop, std::move(config), std::make_unique<host::Decompressor>());
}

Consumer::Impl::Impl(Loop::Impl& loop, cluster::RouterConfig config,
                     std::unique_ptr<host::Decompressor> decompressor)
    : ClientCore(loop, config, decompressor.get()),
      decompressor_(std::move(decompressor)),
      auto_create_(config.metadata.allow_auto_topic_creation) {}

Consumer::Impl::~Impl() = default;

void Consumer::Impl::close() {
    const std::lock_guard lock(loop_.mutex);
    shut();
}

Result<std::int32_t> Consumer::Impl::partition_count(std::string_view topic, milliseconds timeout) {
    if (topic.empty()) return fail(Error::invalid);
    std::unique_lock lock(loop_.mutex);
    router_.want(now(), topic);
    wake();
    Result<std::int32_t> count = fail(Error::timed_out);
    loop_.wait(lock, now() + timeout, [&] {
        const cluster::TopicInfo* info = router_.metadata().find(topic);
        if (!info) return false;
        if (!info->partitions.empty()) {
            count = static_cast<std::int32_t>(info->partitions.size());
            return true;
        }
        if (info->error == ErrorCode::unknown_topic_or_partition) count = fail(Error::not_found);
        if (info->error == ErrorCode::invalid_topic_exception) count = fail(Error::invalid);
        if (info->error == ErrorCode::unknown_topic_or_partition) return !auto_create_;
        return info->error != ErrorCode::none && !wire::retriable(info->error);
    });
    router_.forget(topic);
    return count;
}

Status Consumer::Impl::assign(const std::vector<TopicPartition>& partitions, StartAt where) {
    for (const TopicPartition& partition : partitions)
        if (partition.topic.empty() || partition.partition < 0) return fail(Error::invalid);
    const std::lock_guard lock(loop_.mutex);
    if (is_shut()) return fail(Error::closed);
    if (group_ && group_->is_subscribed()) {
        if (auto_commit_ && group_->generation() >= 0) {
            Offsets offsets = positions_of({group_->owned().begin(), group_->owned().end()});
            if (!offsets.empty()) (void)group_->commit(now(), std::move(offsets), commit_max);
        }
        group_->unsubscribe(now());
    }
    for (auto at = assigned_.begin(); at != assigned_.end();) {
        const TopicPartition known{at->first.first, at->first.second};
        if (std::find(partitions.begin(), partitions.end(), known) != partitions.end()) {
            at->second->of_group = false;
            ++at;
            continue;
        }
        stop(*at->second);
        by_slot_.erase(at->second->fetch.slot);
        at = assigned_.erase(at);
    }
    for (const TopicPartition& partition : partitions) {
        std::unique_ptr<Assigned>& assigned = assigned_[{partition.topic, partition.partition}];
        if (assigned && assigned->is_routed) continue;
        if (!assigned) assigned = make_assigned(partition);
        assigned->fetch.lookup =
            where == StartAt::beginning ? client::timestamp_earliest : client::timestamp_latest;
        start(*assigned);
    }
    unplaced_.clear();
    wake();
    return ok();
}

void Consumer::Impl::start(Assigned& assigned) {
    assigned.is_routed = true;
    router_.route(now(), assigned.fetch);
}

void Consumer::Impl::stop(Assigned& assigned) {
    if (assigned.is_routed) router_.unroute(assigned.fetch);
}

std::unique_ptr<Consumer::Impl::Assigned> Consumer::Impl::make_assigned(
    const TopicPartition& partition) {
    while (by_slot_.contains(next_slot_)) ++next_slot_;
    auto assigned = std::make_unique<Assigned>();
    assigned->topic = std::make_shared<const std::string>(partition.topic);
    assigned->fetch.topic = *assigned->topic;
    assigned->fetch.partition = partition.partition;
    assigned->fetch.slot = next_slot_;
    by_slot_[next_slot_++] = assigned.get();
    return assigned;
}

std::int64_t Consumer::Impl::reset_time() {
    const WallTime from = loop_.clock.wall() - reset_duration_;
    return std::max<std::int64_t>(from.time_since_epoch().count(), 0);
}

Consumer::Impl::Assigned* Consumer::Impl::find(const TopicPartition& partition) {
    const auto found = assigned_.find({partition.topic, partition.partition});
    return found == assigned_.end() ? nullptr : found->second.get();
}

Status Consumer::Impl::seek(const TopicPartition& partition, std::int64_t offset,
                            std::int32_t leader_epoch) {
    if (offset < 0) return fail(Error::invalid);
    const std::lock_guard lock(loop_.mutex);
    Assigned* assigned = find(partition);
    if (!assigned) return fail(Error::not_found);
    if (unplaced_.erase(partition) > 0) start(*assigned);  // nobody needs the committed offset now
    router_.seek(now(), assigned->fetch, offset, leader_epoch);
    wake();
    return ok();
}

Status Consumer::Impl::seek_to_time(const TopicPartition& partition, std::int64_t timestamp) {
    const std::lock_guard lock(loop_.mutex);
    Assigned* assigned = find(partition);
    if (!assigned) return fail(Error::not_found);
    if (unplaced_.erase(partition) > 0) start(*assigned);
    router_.seek_to_time(now(), assigned->fetch, timestamp);
    wake();
    return ok();
}

Status Consumer::Impl::pause(const TopicPartition& partition, bool paused) {
    const std::lock_guard lock(loop_.mutex);
    Assigned* assigned = find(partition);
    if (!assigned) return fail(Error::not_found);
    if (assigned->is_routed)
        router_.pause(assigned->fetch, paused);
    else
        assigned->fetch.paused = paused;
    wake();
    return ok();
}

Result<std::int64_t> Consumer::Impl::position(const TopicPartition& partition) {
    const std::lock_guard lock(loop_.mutex);
    const Assigned* assigned = find(partition);
    if (!assigned) return fail(Error::not_found);
    if (assigned->fetch.position < 0) return fail(Error::would_block);
    return assigned->fetch.position;
}

Result<std::int64_t> Consumer::Impl::high_watermark(const TopicPartition& partition) {
    const std::lock_guard lock(loop_.mutex);
    const Assigned* assigned = find(partition);
    if (!assigned) return fail(Error::not_found);
    if (assigned->fetch.high_watermark < 0) return fail(Error::would_block);
    return assigned->fetch.high_watermark;
}

void Consumer::Impl::poll(milliseconds timeout, std::size_t records_max, Take take, void* user) {
    std::unique_lock lock(loop_.mutex);
    if (is_shut()) return;
    const Instant until = now() + timeout;
    std::size_t taken = 0;
    do {
        // What earlier polls returned has been worked on: only now may it be committed or given up.
        if (group_) work_for_group(lock, until);
        loop_.wait(lock, until, [&] {
            if (group_ && taken == 0 && group_->has_news()) return true;
            while (taken < records_max) {
                const std::optional<client::FetchedRecord> record = router_.next_record(now());
                if (!record) break;
                const auto from = by_slot_.find(record->from->slot);
                if (from != by_slot_.end()) take(user, *record, from->second->topic);
                ++taken;
            }
            return taken > 0 || is_shut();
        });
    } while (group_ && taken == 0 && now() < until && !loop_.is_in_callback() && !is_shut());
    wake();  // what was read has made room for more, and a corrupt batch has news
}

std::optional<ConsumerEvent> Consumer::Impl::poll_event() {
    const std::lock_guard lock(loop_.mutex);
    if (events_.empty()) return std::nullopt;
    ConsumerEvent event = std::move(events_.front());
    events_.pop_front();
    return event;
}

void Consumer::Impl::on_router_event(const cluster::RouterEvent& event) {
    using Kind = cluster::RouterEvent::Kind;
    ConsumerEvent told;
    told.topic = event.topic;
    told.error = event.error;
    switch (event.kind) {
        case Kind::connected:
            told.kind = ConsumerEvent::Kind::connected;
            break;
        case Kind::disconnected:
        case Kind::connect_failed:
            told.kind = ConsumerEvent::Kind::disconnected;
            break;
        case Kind::topic_error:
            told.kind = ConsumerEvent::Kind::topic_error;
            break;
        case Kind::fetch:
            if (event.fetch.partition) told.partition = event.fetch.partition->partition;
            switch (event.fetch.kind) {
                case client::FetcherEvent::Kind::offset_out_of_range:
                    if (reset_ == ConsumerConfig::Reset::by_duration && event.fetch.partition) {
                        const auto from = by_slot_.find(event.fetch.partition->slot);
                        if (from == by_slot_.end()) return;
                        router_.seek_to_time(now(), from->second->fetch, reset_time());
                        return wake();
                    }
                    told.kind = ConsumerEvent::Kind::offset_out_of_range;
                    break;
                case client::FetcherEvent::Kind::truncated:
                    if (event.fetch.partition) on_truncated(*event.fetch.partition);
                    return;
                case client::FetcherEvent::Kind::corrupt:
                    told.kind = ConsumerEvent::Kind::corrupt;
                    break;
                case client::FetcherEvent::Kind::too_large:
                    told.kind = ConsumerEvent::Kind::too_large;
                    break;
                case client::FetcherEvent::Kind::refused:
                    told.kind = ConsumerEvent::Kind::refused;
                    break;
                default:
                    return;
            }
            break;
        default:
            return;
    }
    const bool is_link = told.kind == ConsumerEvent::Kind::connected ||
                         told.kind == ConsumerEvent::Kind::disconnected;
    told.text = is_link ? cluster::text_of(event.endpoint) : told.topic;
    if (told.kind == ConsumerEvent::Kind::disconnected)
        told.text += std::string(": ") + error_text(event.why);
    if (!is_link) told.text += std::string(": ") + wire::name(told.error);
    tell(std::move(told));
}

void Consumer::Impl::on_truncated(const client::FetchPartition& fetch) {
    const auto from = by_slot_.find(fetch.slot);
    if (from == by_slot_.end()) return;
    const std::int64_t parts_at = fetch.diverges_at;
    ConsumerEvent told;
    told.kind = ConsumerEvent::Kind::log_truncated;
    told.topic = *from->second->topic;
    told.partition = fetch.partition;
    told.offset = parts_at;
    told.text = told.topic + "-" + std::to_string(fetch.partition) + ": the log was truncated: ";
    told.text += parts_at < 0
                     ? "how far it still is what was read is not known"
                     : "from offset " + std::to_string(parts_at) + " on it is not what was read";
    tell(std::move(told));
    if (reset_ != ConsumerConfig::Reset::by_duration) return;
    if (parts_at >= 0)
        router_.seek(now(), from->second->fetch, parts_at);
    else
        router_.seek_to_time(now(), from->second->fetch, reset_time());
    wake();
}

void Consumer::Impl::tell(ConsumerEvent event) {
    if (events_.size() == events_max) events_.pop_front();
    events_.push_back(std::move(event));
}

}  // namespace leat
