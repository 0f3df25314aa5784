// What a Fetcher does with answers: offsets, batches, errors.
#include "sdk/client/fetcher.hpp"
#include "sdk/wire/api/02_list_offsets.hpp"
#include "sdk/wire/api/23_offset_for_leader_epoch.hpp"
#include "sdk/wire/control_batch.hpp"

namespace leat::client {

namespace {
using wire::ErrorCode;
using Kind = FetcherEvent::Kind;

constexpr std::size_t leader_epoch_at = 12;

std::uint32_t marks(const std::uint8_t* batch) {
    return load_big<std::uint32_t>(batch + leader_epoch_at);
}
void mark(std::uint8_t* batch, std::uint32_t epoch) { store_big(batch + leader_epoch_at, epoch); }

bool is_abort(ByteView batch) {
    const Result<wire::BatchView> view = wire::BatchView::parse(batch);
    if (!view) return false;
    const Result<wire::ControlMarker> marker = wire::read_control_marker(*view);
    return marker && marker->type == wire::ControlMarker::abort;
}

}  // namespace

void Fetcher::on_event(Instant now, const Event& event) {
    switch (event.kind) {
        case Event::Kind::response:
            in_flight_ = false;
            if (event.api_key == wire::ApiKey::list_offsets)
                on_offsets(now, event);
            else if (event.api_key == wire::ApiKey::offset_for_leader_epoch)
                on_epochs(now, event);
            else
                on_records(now, event);
            hold_asked(now);  // what the answer left out; to ask at once would go on for ever
            break;
        case Event::Kind::failed:
            in_flight_ = false;
            if (event.error == Error::too_large)
                for (FetchPartition* p = partitions_; p != nullptr; p = p->next)
                    if (p->asked) {
                        p->not_before = never;
                        tell(Kind::too_large, *p, ErrorCode::none);
                    }
            forget_asked();
            break;
        case Event::Kind::ready:
        case Event::Kind::closed:
            throttled_until_ = {};
            break;
        case Event::Kind::written:
            break;
    }
    pump(now);
}

FetchPartition* Fetcher::answered(std::string_view topic, const wire::Uuid& id,
                                  std::int32_t partition) {
    for (FetchPartition* p = partitions_; p != nullptr; p = p->next) {
        if (!p->asked || p->partition != partition) continue;
        if (topic.empty() ? !(p->topic_id == id) : p->topic != topic) continue;
        p->asked = false;
        return p->asked_generation == p->generation ? p : nullptr;
    }
    return nullptr;
}

void Fetcher::on_offsets(Instant now, const Event& event) {
    auto answer = wire::decode<wire::ListOffsetsResponse>(event.body, event.api_version);
    if (!answer) return;
    if (answer->throttle_time_ms > 0)
        throttled_until_ = now + milliseconds{answer->throttle_time_ms};
    for (const auto& topic : answer->topics)
        for (const auto& found : topic.partitions) {
            FetchPartition* p = answered(topic.name, {}, found.partition_index);
            if (p == nullptr || !judge(now, *p, found.error_code)) continue;
            // No record that late: what comes next is what was asked for. A beginning or an end
            // there always is: who does not tell it is not asked again at once.
            p->looked_up = found.offset >= 0;
            if (p->looked_up)
                p->position = p->fetch_offset = found.offset;
            else if (p->lookup < 0)
                hold(now, *p);
            else
                p->lookup = timestamp_latest;
            p->position_epoch = found.offset < 0 ? -1 : found.leader_epoch;
        }
}

void Fetcher::on_epochs(Instant now, const Event& event) {
    auto answer = wire::decode<wire::OffsetForLeaderEpochResponse>(event.body, event.api_version);
    if (!answer) return;
    if (answer->throttle_time_ms > 0)
        throttled_until_ = now + milliseconds{answer->throttle_time_ms};
    for (const auto& topic : answer->topics)
        for (const auto& found : topic.partitions) {
            FetchPartition* p = answered(topic.topic, {}, found.partition);
            if (p == nullptr || !judge(now, *p, found.error_code)) continue;
            p->unchecked = false;
            const bool is_known = found.leader_epoch >= 0 && found.end_offset >= 0;
            if (!is_known || found.end_offset < p->position)
                on_truncated(*p, is_known ? found.end_offset : -1, found.leader_epoch);
        }
}

/// As Java's consumer: with a reset policy on to where the logs part, and if the leader cannot tell
/// where that is, to where the policy says.
void Fetcher::on_truncated(FetchPartition& partition, std::int64_t end, std::int32_t epoch) {
    partition.diverges_at = end;
    if (config_.reset == OffsetReset::none) {
        partition.not_before = never;
    } else if (end >= 0) {
        seek(partition, end, epoch);
        partition.unchecked = false;  // this is what it was told
    } else {
        seek_to_time(partition, config_.reset == OffsetReset::earliest ? timestamp_earliest
                                                                       : timestamp_latest);
    }
    tell(Kind::truncated, partition, ErrorCode::none);
}

/// -1: it has none, as batches of old servers.
std::int32_t Fetcher::epoch_of(const wire::BatchHeader& header) const {
    const std::int32_t epoch = header.partition_leader_epoch;
    if (config_.isolation_level != 1) return epoch < 0 ? -1 : epoch;
    const std::uint32_t unmarked = static_cast<std::uint32_t>(epoch) & ~aborted_bit;
    return unmarked == ~aborted_bit ? -1 : static_cast<std::int32_t>(unmarked);
}

void Fetcher::on_records(Instant now, const Event& event) {
    auto answer = wire::decode<wire::FetchResponse>(event.body, event.api_version);
    if (!answer) return;
    if (answer->throttle_time_ms > 0)
        throttled_until_ = now + milliseconds{answer->throttle_time_ms};
    if (answer->error_code != ErrorCode::none) {
        for (FetchPartition* p = partitions_; p != nullptr; p = p->next)
            if (p->asked) {
                p->asked = false;
                judge(now, *p, answer->error_code);
            }
        return;
    }
    for (const auto& topic : answer->responses)
        for (const auto& data : topic.partitions) {
            FetchPartition* p = answered(topic.topic, topic.topic_id, data.partition_index);
            if (p == nullptr || !judge(now, *p, data.error_code)) continue;
            p->looked_up = false;
            p->high_watermark =
                config_.isolation_level == 1 ? data.last_stable_offset : data.high_watermark;
            p->log_start_offset = data.log_start_offset;
            const MutableBytes kept = store(now, *p, data.records.view());
            if (config_.isolation_level == 1) hide_aborted(kept, data.aborted_transactions);
            if (p->position >= p->high_watermark) tell_end(*p);
        }
}

/// Keeps the whole batches of `records`; the last one may be cut.
MutableBytes Fetcher::store(Instant now, FetchPartition& partition, ByteView records) {
    if (records.empty()) return {};
    const std::size_t room = memory_.prefetch.size() - used_;
    std::size_t kept = 0;
    std::int64_t end = partition.fetch_offset;
    bool no_room = false;
    Error why = Error::truncated;
    while (kept < records.size()) {
        Result<wire::BatchView> batch = wire::BatchView::parse(records.subspan(kept));
        if (!batch) {
            why = batch.error();
            break;
        }
        no_room = kept + batch->whole().size() > room;
        if (no_room) break;
        kept += batch->whole().size();
        end = std::max(end, batch->header().next_offset());
    }
    if (kept == 0) {
        if (no_room && used_ > 0) return {};  // once what is here has been read it comes again
        if (why != Error::truncated && !no_room) {
            hold(now, partition);
            tell(Kind::corrupt, partition, ErrorCode::corrupt_message);
            return {};
        }
        partition.not_before = never;
        tell(Kind::too_large, partition, ErrorCode::message_too_large);
        return {};
    }
    const MutableBytes place = memory_.prefetch.subspan(used_, kept);
    copy_bytes(records.first(kept), place);
    memory_.runs[run_count_++] = {&partition, partition.generation,
                                  static_cast<std::uint32_t>(used_),
                                  static_cast<std::uint32_t>(used_ + kept)};
    used_ += kept;
    // Records, but none that was asked for: asking again at once would go on for ever.
    if (end == partition.fetch_offset) hold(now, partition);
    partition.fetch_offset = end;
    partition.told_end = false;
    return place;
}

/// Marks the batches of aborted transactions, as Kafka's own consumer finds them: a producer's from
/// the transaction's first offset to the next abort marker of that producer.
void Fetcher::hide_aborted(MutableBytes batches,
                           const wire::Array<wire::FetchResponse::AbortedTransaction>& aborted) {
    using wire::BatchHeader;
    const auto size_of = [](const BatchHeader& header) {
        return wire::batch_length_from + static_cast<std::size_t>(header.batch_length);
    };
    for (std::size_t at = 0; at < batches.size();
         at += size_of(wire::read_batch_header(batches.data() + at)))
        mark(batches.data() + at, marks(batches.data() + at) & ~aborted_bit);
    std::size_t from = 0;
    std::int64_t before = INT64_MIN;
    for (const auto& transaction : aborted) {
        if (transaction.first_offset < before) from = 0;
        before = transaction.first_offset;
        bool has_begun = false;
        for (std::size_t at = from; at < batches.size();) {
            const BatchHeader header = wire::read_batch_header(batches.data() + at);
            std::uint8_t* const batch = batches.data() + at;
            at += size_of(header);
            has_begun |= header.last_offset() >= transaction.first_offset;
            if (!has_begun) from = at;
            if (!has_begun || header.producer_id != transaction.producer_id) continue;
            if (header.is_transactional() && !header.is_control())
                mark(batch, marks(batch) | aborted_bit);
            if (header.is_control() && is_abort(ByteView(batch, size_of(header)))) break;
        }
    }
}

bool Fetcher::judge(Instant now, FetchPartition& partition, ErrorCode error) {
    if (error == ErrorCode::none) {
        partition.failures = 0;
        return true;
    }
    if (error == ErrorCode::offset_out_of_range) {
        // What was prefetched before is there and is read first.
        if (partition.position < partition.fetch_offset) {
            hold(now, partition);
            return false;
        }
        if (config_.reset == OffsetReset::none) {
            partition.not_before = never;
            tell(Kind::offset_out_of_range, partition, error);
        } else {
            // A broker that refuses the very offset it has named would be asked without a pause.
            const bool is_round = partition.looked_up;
            seek_to_time(partition, config_.reset == OffsetReset::earliest ? timestamp_earliest
                                                                           : timestamp_latest);
            if (is_round) hold(now, partition);
        }
        return false;
    }
    hold(now, partition);
    // Whoever knows less than we were told will hear of it, or the topic is another one now.
    if (wire::stale_metadata(error) || error == ErrorCode::unknown_leader_epoch)
        tell(Kind::leader_unknown, partition, error);
    else if (!wire::retriable(error))
        tell(Kind::refused, partition, error);
    return false;
}

void Fetcher::hold(Instant now, FetchPartition& partition) {
    if (partition.failures < 0xffff) ++partition.failures;
    partition.not_before = now + backoff_delay(config_.retry, partition.failures, jitter_);
}

}  // namespace leat::client
