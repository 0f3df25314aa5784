// The Fetcher's requests: which partitions, how many bytes.
#include <array>

#include "sdk/client/fetcher.hpp"
#include "sdk/wire/api/01_fetch.hpp"
#include "sdk/wire/api/02_list_offsets.hpp"
#include "sdk/wire/api/23_offset_for_leader_epoch.hpp"

namespace leat::client {

namespace {
constexpr std::size_t asked_max = 64;  // partitions per question; more take turns
constexpr std::size_t answer_words =
    128;  // of an answer beside the records, once and per partition
constexpr std::int16_t fetch_pinned = 12;
constexpr std::int16_t list_offsets_pinned = 7;
constexpr std::int16_t epochs_pinned = 4;
constexpr std::int16_t epochs_since = 3;   // before it only replicas may ask
constexpr unsigned newer_leader_max = 32;  // how often a leader of our epoch is waited for: 30 s

/// Lays partitions out as topics with partitions: neighbours of one topic share an entry.
template <class Topic, class Partition, class Name>
std::size_t group(std::span<FetchPartition* const> from, Partition* partitions, Topic* topics,
                  Name name) {
    std::size_t topic_count = 0, begin = 0;
    for (std::size_t i = 0; i < from.size(); ++i) {
        if (i == 0 || from[i - 1]->topic != from[i]->topic) {
            begin = i;
            name(topics[topic_count++], *from[i]);
        }
        topics[topic_count - 1].partitions =
            std::span<const Partition>(partitions + begin, i + 1 - begin);
    }
    return topic_count;
}
}  // namespace

void Fetcher::pump(Instant now) {
    for (FetchPartition* p = partitions_; p != nullptr; p = p->next)
        if (p->not_before <= now) p->not_before = {};
    if (throttled_until_ <= now) throttled_until_ = {};
    if (!connection_.is_ready() || in_flight_ || throttled_until_ > now) return;
    ask_offsets(now);
    if (!in_flight_ && can_check(now)) ask_epochs(now);
    if (!in_flight_) ask_records(now);
}

bool Fetcher::is_wanted(const FetchPartition& partition, Ask what, Instant now) const {
    if (partition.not_before > now) return false;
    if (what == Ask::offsets || partition.position < 0)
        return what == Ask::offsets && partition.position < 0;
    return what == Ask::epochs ? partition.unchecked : !partition.unchecked && !partition.paused;
}

std::size_t Fetcher::collect(Instant now, Ask what, std::span<FetchPartition*> out) {
    std::size_t count = 0;
    FetchPartition* turn_over = nullptr;
    for (FetchPartition* p = partitions_; p != nullptr; p = p->next) {
        if (!is_wanted(*p, what, now)) continue;
        if (count == out.size()) {
            turn_over = p;
            break;
        }
        p->asked = true;
        p->asked_generation = p->generation;
        out[count++] = p;
    }
    if (turn_over != nullptr) {  // the rest comes first next time
        FetchPartition* last = turn_over;
        while (last->next != nullptr) last = last->next;
        last->next = partitions_;
        for (FetchPartition* p = partitions_;; p = p->next)
            if (p->next == turn_over) {
                p->next = nullptr;
                break;
            }
        partitions_ = turn_over;
    }
    return count;
}

void Fetcher::ask_offsets(Instant now) {
    using Request = wire::ListOffsetsRequest;
    std::array<FetchPartition*, asked_max> wanted;
    const std::size_t count = collect(now, Ask::offsets, wanted);
    if (count == 0) return;
    Request::ListOffsetsPartition partitions[asked_max];
    Request::ListOffsetsTopic topics[asked_max];
    for (std::size_t i = 0; i < count; ++i)
        partitions[i] = {.partition_index = wanted[i]->partition,
                         .current_leader_epoch = wanted[i]->leader_epoch,
                         .timestamp = wanted[i]->lookup};
    const std::size_t topic_count =
        group(std::span<FetchPartition* const>(wanted.data(), count), partitions, topics,
              [](auto& topic, const FetchPartition& p) { topic.name = p.topic; });
    Request request;
    request.replica_id = -1;
    request.isolation_level = config_.isolation_level;
    request.topics = std::span<const Request::ListOffsetsTopic>(topics, topic_count);
    request.timeout_ms = static_cast<std::int32_t>(config_.request_timeout.count());
    const std::int16_t version =
        connection_.version(wire::ApiKey::list_offsets, list_offsets_pinned);
    if (connection_.send(now, request, version,
                         {.owner = owner_, .timeout = config_.request_timeout}))
        in_flight_ = true;
    else
        forget_asked();
}

/// Whether there is something to be checked, and whom to ask.
bool Fetcher::can_check(Instant now) {
    const bool is_served =
        connection_.version(wire::ApiKey::offset_for_leader_epoch, epochs_pinned) >= epochs_since;
    bool any = false;
    for (FetchPartition* p = partitions_; p != nullptr; p = p->next) {
        if (!is_wanted(*p, Ask::epochs, now)) continue;
        if (!is_served) {  // as it was before KIP-320
            p->unchecked = false;
        } else if (p->position_epoch > p->leader_epoch && p->failures < newer_leader_max) {
            // A leader of before the record cannot tell. But a committed offset's epoch is only
            // what somebody said: not for ever.
            hold(now, *p);
            tell(FetchNews::leader_unknown, *p, wire::ErrorCode::unknown_leader_epoch);
        } else {
            any = true;
        }
    }
    return any;
}

void Fetcher::ask_epochs(Instant now) {
    using Request = wire::OffsetForLeaderEpochRequest;
    std::array<FetchPartition*, asked_max> wanted;
    const std::size_t count = collect(now, Ask::epochs, wanted);
    Request::OffsetForLeaderPartition partitions[asked_max];
    Request::OffsetForLeaderTopic topics[asked_max];
    for (std::size_t i = 0; i < count; ++i)
        partitions[i] = {.partition = wanted[i]->partition,
                         .current_leader_epoch = wanted[i]->leader_epoch,
                         .leader_epoch = wanted[i]->position_epoch};
    const std::size_t topic_count =
        group(std::span<FetchPartition* const>(wanted.data(), count), partitions, topics,
              [](auto& topic, const FetchPartition& p) { topic.topic = p.topic; });
    Request request;
    request.replica_id = -1;  // a consumer
    request.topics = std::span<const Request::OffsetForLeaderTopic>(topics, topic_count);
    const std::int16_t version =
        connection_.version(wire::ApiKey::offset_for_leader_epoch, epochs_pinned);
    if (connection_.send(now, request, version,
                         {.owner = owner_, .timeout = config_.request_timeout}))
        in_flight_ = true;
    else
        forget_asked();
}

void Fetcher::ask_records(Instant now) {
    using Request = wire::FetchRequest;
    // Half of the memory free: below that answers get small, and there is enough to read meanwhile.
    const std::size_t room = memory_.prefetch.size() - used_;
    if (room < prefetch_low() || run_count_ == memory_.runs.size()) return;
    std::array<FetchPartition*, partitions_max> wanted;
    const std::size_t most = std::min(names_max_, memory_.runs.size() - run_count_);
    std::size_t turns = 0;
    for (FetchPartition* p = partitions_; p != nullptr; p = p->next)
        turns += is_wanted(*p, Ask::records, now);
    turns = (turns + names_max_ - 1) / names_max_;
    const std::size_t count = collect(now, Ask::records, std::span(wanted).first(most));
    if (count == 0) return;
    const std::size_t words = answer_words * (count + 1);
    std::size_t bytes = std::min<std::size_t>(config_.bytes_max, room);
    const std::size_t fits =
        connection_.answer_bytes_max() > words ? connection_.answer_bytes_max() - words : 1;
    bytes = std::min(bytes, fits);

    Request::FetchPartition partitions[partitions_max];
    Request::FetchTopic topics[partitions_max];
    for (std::size_t i = 0; i < count; ++i) {
        partitions[i].partition = wanted[i]->partition;
        partitions[i].current_leader_epoch = wanted[i]->leader_epoch;
        partitions[i].fetch_offset = wanted[i]->fetch_offset;
        partitions[i].partition_max_bytes =
            static_cast<std::int32_t>(std::min<std::size_t>(config_.partition_bytes_max, bytes));
    }
    const std::size_t topic_count =
        group(std::span<FetchPartition* const>(wanted.data(), count), partitions, topics,
              [](auto& topic, const FetchPartition& p) {
                  topic.topic = p.topic;
                  topic.topic_id = p.topic_id;
              });
    Request request;
    // Those whose turn it is not wait for it, and what is there for them: no longer than one. Where
    // it is the prefetch that has no place for more, there is enough to read meanwhile.
    request.max_wait_ms =
        static_cast<std::int32_t>(config_.wait_max.count()) / static_cast<std::int32_t>(turns);
    request.min_bytes = static_cast<std::int32_t>(config_.bytes_min);
    request.max_bytes = static_cast<std::int32_t>(bytes);
    request.isolation_level = config_.isolation_level;
    request.topics = std::span<const Request::FetchTopic>(topics, topic_count);
    const std::int16_t version = connection_.version(wire::ApiKey::fetch, fetch_pinned);
    const RequestOptions options{.owner = owner_,
                                 .timeout = config_.wait_max + config_.request_timeout};
    const Status sent = connection_.send(now, request, version, options);
    if (sent) {
        in_flight_ = true;
        return;
    }
    forget_asked();
    if (sent.error() != Error::too_large || count == 1) return;
    names_max_ = count / 2;  // names as long as these go in more requests
    ask_records(now);
}

void Fetcher::hold_asked(Instant now) {
    // A broker that throttles us answers with nothing, and says for how long.
    for (FetchPartition* p = partitions_; p != nullptr; p = p->next)
        if (p->asked && p->asked_generation == p->generation && throttled_until_ <= now)
            hold(now, *p);
    forget_asked();
}

void Fetcher::forget_asked() {
    for (FetchPartition* p = partitions_; p != nullptr; p = p->next) p->asked = false;
}

}  // namespace leat::client
