#include "sdk/client/fetcher.hpp"

#include "sdk/wire/api/01_fetch.hpp"
#include "sdk/wire/api/02_list_offsets.hpp"

namespace leat::client {

namespace {
using wire::ErrorCode;
using Kind = FetcherEvent::Kind;
}  // namespace

Fetcher::Fetcher(Connection& connection, const Memory& memory, const FetcherConfig& config,
                 Owner owner, std::uint32_t seed, BatchDecompressor* decompressor)
    : connection_(connection),
      memory_(memory),
      config_(config),
      decompressor_(decompressor),
      jitter_(seed),
      owner_(owner) {
    LEAT_CHECK(!memory.prefetch.empty() && !memory.runs.empty());
}

namespace {

/// Its offsets are there and in order: sums of them cannot overflow.
bool offsets_are_sane(const wire::BatchHeader& header) {
    constexpr std::int64_t offset_max = INT64_MAX - 1;
    return header.base_offset >= 0 && header.last_offset_delta >= 0 &&
           header.base_offset <= offset_max - header.last_offset_delta;
}

std::int64_t sum(std::int64_t a, std::int64_t b) {  // of time stamps, which a peer may make up
    return static_cast<std::int64_t>(static_cast<std::uint64_t>(a) + static_cast<std::uint64_t>(b));
}

}  // namespace

// ---- what to read

void Fetcher::assign(FetchPartition& partition) {
    // Beside its topic's others: a request names each topic once.
    FetchPartition** place = &partitions_;
    while (*place != nullptr && (*place)->topic != partition.topic) place = &(*place)->next;
    partition.next = *place;
    *place = &partition;
    reset(partition, partition.position, partition.lookup);
}

void Fetcher::unassign(FetchPartition& partition) {
    for (FetchPartition** place = &partitions_; *place != nullptr; place = &(*place)->next)
        if (*place == &partition) {
            *place = partition.next;
            break;
        }
    partition.next = nullptr;
    partition.asked = false;
    ++partition.generation;
    for (std::size_t i = 0; i < run_count_; ++i)
        if (memory_.runs[i].partition == &partition) memory_.runs[i].partition = nullptr;
    if (current_ != nullptr && current_->partition == nullptr) current_ = nullptr;
}

void Fetcher::reset(FetchPartition& partition, std::int64_t position, std::int64_t lookup) {
    partition.position = partition.fetch_offset = position;
    partition.lookup = lookup;
    partition.not_before = {};
    partition.failures = 0;
    partition.told_end = false;
    ++partition.generation;
}

void Fetcher::seek(FetchPartition& partition, std::int64_t offset) {
    reset(partition, offset, partition.lookup);
}

void Fetcher::seek_to_time(FetchPartition& partition, std::int64_t timestamp) {
    reset(partition, -1, timestamp);
}

void Fetcher::pause(FetchPartition& partition, bool paused) { partition.paused = paused; }

// ---- answers

void Fetcher::on_event(Instant now, const Event& event) {
    switch (event.kind) {
        case Event::Kind::response:
            in_flight_ = false;
            if (event.api_key == wire::ApiKey::list_offsets)
                on_offsets(now, event);
            else
                on_records(now, event);
            forget_asked();
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
            // No record that late: what comes next is what was asked for.
            if (found.offset < 0)
                p->lookup = timestamp_latest;
            else
                p->position = p->fetch_offset = found.offset;
        }
}

void Fetcher::on_records(Instant now, const Event& event) {
    auto answer = wire::decode<wire::FetchResponse>(event.body, event.api_version);
    if (!answer) {
        for (FetchPartition* p = partitions_; p != nullptr; p = p->next)
            if (p->asked) hold(now, *p);
        return;
    }
    if (answer->throttle_time_ms > 0)
        throttled_until_ = now + milliseconds{answer->throttle_time_ms};
    if (answer->error_code != ErrorCode::none) {
        for (FetchPartition* p = partitions_; p != nullptr; p = p->next)
            if (p->asked) judge(now, *p, answer->error_code);
        return;
    }
    for (const auto& topic : answer->responses)
        for (const auto& data : topic.partitions) {
            FetchPartition* p = answered(topic.topic, topic.topic_id, data.partition_index);
            if (p == nullptr || !judge(now, *p, data.error_code)) continue;
            p->high_watermark =
                config_.isolation_level == 1 ? data.last_stable_offset : data.high_watermark;
            p->log_start_offset = data.log_start_offset;
            store(now, *p, data.records.view());
            if (p->position >= p->high_watermark) tell_end(*p);
        }
}

/// Keeps the whole batches of `records`; the last one may be cut.
void Fetcher::store(Instant now, FetchPartition& partition, ByteView records) {
    if (records.empty()) return;
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
        if (!offsets_are_sane(batch->header())) {
            why = Error::malformed;
            break;
        }
        no_room = kept + batch->whole().size() > room;
        if (no_room) break;
        kept += batch->whole().size();
        end = std::max(end, batch->header().next_offset());
    }
    if (kept == 0) {
        if (no_room && used_ > 0) return;  // once what is here has been read it comes again
        if (why != Error::truncated && !no_room) {
            hold(now, partition);
            return tell(Kind::corrupt, partition, ErrorCode::corrupt_message);
        }
        partition.not_before = never;
        return tell(Kind::too_large, partition, ErrorCode::message_too_large);
    }
    copy_bytes(records.first(kept), memory_.prefetch.subspan(used_));
    memory_.runs[run_count_++] = {&partition, partition.generation,
                                  static_cast<std::uint32_t>(used_),
                                  static_cast<std::uint32_t>(used_ + kept)};
    used_ += kept;
    // Records, but none that was asked for: asking again at once would go on for ever.
    if (end == partition.fetch_offset) hold(now, partition);
    partition.fetch_offset = end;
    partition.told_end = false;
}

bool Fetcher::judge(Instant now, FetchPartition& partition, ErrorCode error) {
    if (error == ErrorCode::none) {
        partition.failures = 0;
        return true;
    }
    if (error == ErrorCode::offset_out_of_range) {
        if (config_.reset == OffsetReset::none) {
            partition.not_before = never;
            tell(Kind::offset_out_of_range, partition, error);
        } else {
            seek_to_time(partition, config_.reset == OffsetReset::earliest ? timestamp_earliest
                                                                           : timestamp_latest);
        }
        return false;
    }
    hold(now, partition);
    if (wire::stale_metadata(error))
        tell(Kind::leader_unknown, partition, error);
    else if (!wire::retriable(error))
        tell(Kind::refused, partition, error);
    return false;
}

void Fetcher::hold(Instant now, FetchPartition& partition) {
    if (partition.failures < 0xffff) ++partition.failures;
    partition.not_before = now + backoff_delay(config_.retry, partition.failures, jitter_);
}

// ---- records

std::optional<FetchedRecord> Fetcher::next(Instant now) {
    for (;;) {
        if (current_ != nullptr && (current_->partition->paused ||
                                    current_->generation != current_->partition->generation))
            current_ =
                nullptr;  // a paused run is opened again later: its position tells where it was
        if (current_ == nullptr) {
            if (!next_run()) return std::nullopt;
            if (!open_batch(now, *current_)) continue;
        }
        FetchPartition& partition = *current_->partition;
        bool is_sane = true;
        while (std::optional<wire::RecordView> record = reader_->next()) {
            if (record->offset_delta < 0 || record->offset_delta > header_.last_offset_delta) {
                is_sane = false;
                break;
            }
            const std::int64_t offset = header_.base_offset + record->offset_delta;
            if (offset < partition.position) continue;
            partition.position = offset + 1;
            const bool by_broker = header_.is_log_append_time();
            return FetchedRecord{
                .from = &partition,
                .offset = offset,
                .timestamp = by_broker ? header_.max_timestamp
                                       : sum(header_.base_timestamp, record->timestamp_delta),
                .log_append_time = by_broker,
                .record = *record};
        }
        if (!is_sane || (!header_.is_control() && !reader_->finish())) {
            drop_run(now, *current_, Kind::corrupt);
            continue;
        }
        partition.position = std::max(partition.position, header_.next_offset());
        current_->begin += batch_bytes_;
        if (partition.position >= partition.high_watermark) tell_end(partition);
        if (current_->begin == current_->end)
            current_ = nullptr;
        else
            open_batch(now, *current_);
    }
}

bool Fetcher::next_run() {
    bool keeps = false;
    for (std::size_t i = 0; i < run_count_; ++i) {
        Run& run = memory_.runs[i];
        if (run.partition == nullptr || run.begin == run.end) continue;
        if (run.generation != run.partition->generation) {
            run.partition = nullptr;
            continue;
        }
        keeps = true;
        if (run.partition->paused) continue;
        current_ = &run;
        return true;
    }
    if (!keeps) run_count_ = used_ = 0;
    return false;
}

bool Fetcher::open_batch(Instant now, Run& run) {
    reader_.reset();
    Result<wire::BatchView> batch =
        wire::BatchView::parse(ByteView(memory_.prefetch).subspan(run.begin, run.end - run.begin));
    if (!batch || !batch->crc_ok()) {
        drop_run(now, run, Kind::corrupt);
        return false;
    }
    header_ = batch->header();
    batch_bytes_ = static_cast<std::uint32_t>(batch->whole().size());
    ByteView records = batch->records();
    if (header_.codec() != Codec::none && !header_.is_control()) {
        Result<ByteView> expanded = decompressor_ != nullptr
                                        ? decompressor_->decompress(header_.codec(), records)
                                        : Result<ByteView>(fail(Error::unsupported));
        if (!expanded) {
            drop_run(now, run,
                     expanded.error() == Error::too_large ? Kind::too_large : Kind::corrupt);
            return false;
        }
        records = *expanded;
    }
    reader_.emplace(records, header_.is_control() ? 0 : header_.record_count);
    return true;
}

void Fetcher::drop_run(Instant now, Run& run, Kind why) {
    FetchPartition& partition = *run.partition;
    ++partition.generation;  // what was asked behind it is void too
    partition.fetch_offset = partition.position;
    if (why == Kind::too_large)
        partition.not_before = never;
    else
        hold(now, partition);
    tell(why, partition, ErrorCode::corrupt_message);
    run.partition = nullptr;
    current_ = nullptr;
}

// ---- events and time

void Fetcher::tell_end(FetchPartition& partition) {
    if (partition.told_end) return;
    partition.told_end = true;
    tell(Kind::end, partition, ErrorCode::none);
}

void Fetcher::tell(Kind kind, FetchPartition& partition, ErrorCode error) {
    if (events_.is_full()) events_.pop();
    (void)events_.push({kind, &partition, error});
}

std::optional<FetcherEvent> Fetcher::poll_event() {
    if (events_.empty()) return std::nullopt;
    const FetcherEvent event = events_.front();
    events_.pop();
    return event;
}

Instant Fetcher::deadline() const {
    if (in_flight_ || !connection_.is_ready()) return never;
    Instant due = never;
    for (const FetchPartition* p = partitions_; p != nullptr; p = p->next) {
        if (p->paused && p->position >= 0) continue;
        if (p->not_before != Instant{}) due = earlier(due, p->not_before);
    }
    if (throttled_until_ != Instant{}) due = earlier(due, throttled_until_);
    return due;
}

}  // namespace leat::client
