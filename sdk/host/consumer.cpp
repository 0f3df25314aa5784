// The front door: checks settings, copies what a poll brought into the caller's Records.
#include "leat/consumer.hpp"

#include <algorithm>
#include <cstring>
#include <regex>

#include "sdk/host/consumer_core.hpp"

namespace leat {
namespace {

constexpr std::size_t block_bytes = 64 * KiB;

/// Copies bytes into blocks that never move.
class Arena {
public:
    explicit Arena(std::vector<std::unique_ptr<char[]>>& blocks) : blocks_(blocks) {}

    std::string_view keep(ByteView bytes) {
        if (bytes.size() > left_) {
            left_ = std::max(block_bytes, bytes.size());
            blocks_.emplace_back(new char[left_]);
            at_ = blocks_.back().get();
        }
        char* const kept = at_;
        if (!bytes.empty()) std::memcpy(kept, bytes.data(), bytes.size());
        at_ += bytes.size();
        left_ -= bytes.size();
        return {kept, bytes.size()};
    }

private:
    std::vector<std::unique_ptr<char[]>>& blocks_;
    char* at_ = nullptr;
    std::size_t left_ = 0;
};

}  // namespace

Result<Consumer> Consumer::open(Loop& loop, ConsumerConfig settings) {
    Result<cluster::RouterConfig> config = host::router_config({
        .bootstrap = settings.bootstrap,
        .client_id = settings.client_id,
        .request_timeout = settings.request_timeout,
        .retry_backoff = settings.retry_backoff,
        .retry_backoff_max = settings.retry_backoff_max,
        .reconnect_backoff = settings.reconnect_backoff,
        .reconnect_backoff_max = settings.reconnect_backoff_max,
        .metadata_age_max = settings.metadata_age_max,
        .allow_auto_topic_creation = settings.allow_auto_topic_creation,
    });
    if (!config) return fail(config.error());
    client::FetcherConfig& fetcher = config->fetcher;
    fetcher.wait_max = settings.fetch_wait;
    fetcher.bytes_min = settings.fetch_bytes_min;
    fetcher.bytes_max = settings.fetch_bytes_max;
    fetcher.partition_bytes_max = settings.partition_bytes_max;
    fetcher.isolation_level = settings.read_committed ? 1 : 0;
    using Reset = ConsumerConfig::Reset;
    fetcher.reset = settings.reset == Reset::beginning ? client::OffsetReset::earliest
                    : settings.reset == Reset::end     ? client::OffsetReset::latest
                                                       : client::OffsetReset::none;
    config->prefetch_bytes = std::max(settings.prefetch_bytes, settings.fetch_bytes_max);
    if (settings.assignors.empty()) return fail(Error::invalid);
    std::shared_ptr<Impl> impl = Impl::make(loop.impl(), *std::move(config));
    if (const Status used = impl->use_group(settings); !used) return fail(used.error());
    return Consumer(std::move(impl));
}

Consumer::Consumer(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}
Consumer::Consumer(Consumer&&) noexcept = default;

Consumer& Consumer::operator=(Consumer&& other) noexcept {
    if (impl_) impl_->close();
    impl_ = std::move(other.impl_);
    return *this;
}

Consumer::~Consumer() {
    if (impl_) impl_->close();
}

Result<std::int32_t> Consumer::partition_count(std::string_view topic, milliseconds timeout) {
    return impl_->partition_count(topic, timeout);
}

Status Consumer::assign(const std::vector<TopicPartition>& partitions, StartAt start) {
    return impl_->assign(partitions, start);
}

Status Consumer::subscribe(std::vector<std::string> topics, RebalanceCallbacks callbacks) {
    return impl_->subscribe(std::move(topics), nullptr, std::move(callbacks));
}

Status Consumer::subscribe_pattern(std::string regex, RebalanceCallbacks callbacks) {
    return impl_->subscribe_pattern(std::move(regex), std::move(callbacks));
}

Status Consumer::subscribe_matching(const std::string& regex, RebalanceCallbacks callbacks) {
    try {
        const std::regex pattern(regex);
        return impl_->subscribe(
            {},
            [pattern](std::string_view name) {
                return std::regex_match(name.begin(), name.end(), pattern);
            },
            std::move(callbacks));
    } catch (const std::regex_error&) {
        return fail(Error::invalid);
    }
}

std::vector<TopicPartition> Consumer::assignment() const { return impl_->assignment(); }
GroupMetadata Consumer::group_metadata() const { return impl_->group_metadata(); }
Status Consumer::commit(milliseconds timeout) { return impl_->commit(std::nullopt, timeout); }
Status Consumer::commit(Offsets offsets, milliseconds timeout) {
    return impl_->commit(std::move(offsets), timeout);
}
Status Consumer::commit_async() { return impl_->commit(std::nullopt, std::nullopt); }
Status Consumer::commit_async(Offsets offsets) {
    return impl_->commit(std::move(offsets), std::nullopt);
}
Result<Offsets> Consumer::committed(const std::vector<TopicPartition>& partitions,
                                    milliseconds timeout) {
    return impl_->committed(partitions, timeout);
}

Status Consumer::close(milliseconds timeout) {
    const Status left = impl_->leave(timeout);
    impl_->close();
    return left;
}

Status Consumer::seek(const TopicPartition& partition, std::int64_t offset) {
    return impl_->seek(partition, offset, -1);
}

Status Consumer::seek(const TopicPartition& partition, const CommittedOffset& where) {
    return impl_->seek(partition, where.offset, where.leader_epoch);
}

Status Consumer::seek_to(const TopicPartition& partition, StartAt where) {
    return impl_->seek_to_time(partition, where == StartAt::beginning ? client::timestamp_earliest
                                                                      : client::timestamp_latest);
}

Status Consumer::seek_to_time(const TopicPartition& partition, WallTime time) {
    // Times before 1970 would be taken for ListOffsets' names of positions.
    return impl_->seek_to_time(partition,
                               std::max<std::int64_t>(time.time_since_epoch().count(), 0));
}

Status Consumer::pause(const TopicPartition& partition) { return impl_->pause(partition, true); }
Status Consumer::resume(const TopicPartition& partition) { return impl_->pause(partition, false); }

Result<std::int64_t> Consumer::position(const TopicPartition& partition) const {
    return impl_->position(partition);
}

Result<std::int64_t> Consumer::high_watermark(const TopicPartition& partition) const {
    return impl_->high_watermark(partition);
}

std::optional<ConsumerEvent> Consumer::poll_event() { return impl_->poll_event(); }

std::string Consumer::last_problem() const { return impl_->problem(); }

Records Consumer::poll(milliseconds timeout, std::size_t records_max) {
    Records records;
    struct Copying {
        Records& to;
        Arena arena;
    } copying{records, Arena(records.blocks_)};
    impl_->poll(
        timeout, records_max,
        [](void* user, const client::FetchedRecord& from,
           const std::shared_ptr<const std::string>& topic) {
            auto& [to, arena] = *static_cast<Copying*>(user);
            if (to.topics_.empty() || to.topics_.back() != topic) to.topics_.push_back(topic);
            ConsumerRecord& record = to.records_.emplace_back();
            record.topic = *topic;
            record.partition = from.from->partition;
            record.offset = from.offset;
            record.leader_epoch = from.from->position_epoch;
            record.timestamp = wall_ms(from.timestamp);
            record.log_append_time = from.log_append_time;
            if (!from.record.key.is_null()) record.key = arena.keep(from.record.key.view());
            if (!from.record.value.is_null()) record.value = arena.keep(from.record.value.view());
            wire::RecordHeaders headers = from.record.headers;
            const auto count = static_cast<std::size_t>(headers.size());
            if (count == 0) return;
            Header* kept = to.headers_.emplace_back(new Header[count]).get();
            std::size_t used = 0;
            while (const std::optional<wire::RecordHeader> header = headers.next()) {
                kept[used].key = arena.keep(bytes_of(header->key.view()));
                kept[used].value = nullptr;
                if (!header->value.is_null())
                    kept[used].value = bytes_of(arena.keep(header->value.view()));
                ++used;
            }
            record.headers = {kept, used};
        },
        &copying);
    return records;
}

}  // namespace leat
