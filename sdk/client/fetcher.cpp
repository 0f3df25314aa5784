#include "sdk/client/fetcher.hpp"

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
    // What stands still does so here, too, and what it has to tell is told here.
    const Instant not_before = partition.not_before;
    reset(partition, partition.position, partition.lookup);
    if (not_before == never) partition.not_before = never;
    if (partition.news != Kind::nothing) ++news_count_;
    check_position(partition);
}

void Fetcher::check_position(FetchPartition& partition) {
    partition.unchecked =
        partition.position >= 0 && partition.position_epoch >= 0 && partition.leader_epoch >= 0;
}

void Fetcher::lead(FetchPartition& partition, std::int32_t leader_epoch) {
    partition.leader_epoch = leader_epoch;
    check_position(partition);
    if (!partition.unchecked) return;
    ++partition.generation;
    partition.fetch_offset = partition.position;
    if (partition.not_before != never) partition.not_before = {};
}

void Fetcher::unassign(FetchPartition& partition) {
    for (FetchPartition** place = &partitions_; *place != nullptr; place = &(*place)->next)
        if (*place == &partition) {
            *place = partition.next;
            break;
        }
    partition.next = nullptr;
    if (partition.news != Kind::nothing) --news_count_;
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
    partition.told_end = partition.looked_up = false;
    partition.unchecked = false;
    ++partition.generation;
}

void Fetcher::seek(FetchPartition& partition, std::int64_t offset, std::int32_t leader_epoch) {
    untell(partition);
    partition.position_epoch = leader_epoch;
    reset(partition, offset, partition.lookup);
    check_position(partition);
}

void Fetcher::fetch_again(FetchPartition& partition) {
    untell(partition);
    const bool unchecked = partition.unchecked;
    reset(partition, partition.position, partition.lookup);
    partition.unchecked = unchecked;
}

void Fetcher::seek_to_time(FetchPartition& partition, std::int64_t timestamp) {
    untell(partition);
    partition.position_epoch = -1;
    reset(partition, -1, timestamp);
}

void Fetcher::pause(FetchPartition& partition, bool paused) { partition.paused = paused; }

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
            partition.position_epoch = epoch_of(header_);
            const bool by_broker = header_.is_log_append_time();
            return FetchedRecord{
                .from = &partition,
                .offset = offset,
                .timestamp = by_broker ? header_.max_timestamp
                                       : sum(header_.base_timestamp, record->timestamp_delta),
                .log_append_time = by_broker,
                .record = *record};
        }
        if (!is_sane || (!shows_nothing_ && !reader_->finish())) {
            drop_run(now, *current_, Kind::corrupt);
            continue;
        }
        if (header_.next_offset() >= partition.position) {  // not of one that lies before it
            partition.position = header_.next_offset();
            partition.position_epoch = epoch_of(header_);
        }
        current_->begin += batch_bytes_;
        if (partition.position >= partition.high_watermark) tell_end(partition);
        if (current_->begin == current_->end)
            current_ = nullptr;
        else
            open_batch(now, *current_);
    }
}

bool Fetcher::next_run() {
    bool keeps = false;  // only of paused ones
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
    const bool is_short =
        run_count_ == memory_.runs.size() || memory_.prefetch.size() - used_ < prefetch_low();
    if (keeps && !is_short) return false;
    // What was read to its end is not fetched again, and the answer under way goes on behind it.
    for (const Run& run : memory_.runs.first(run_count_))
        if (run.partition != nullptr && run.begin != run.end) {
            ++run.partition->generation;
            run.partition->fetch_offset = run.partition->position;
        }
    run_count_ = used_ = 0;
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
    shows_nothing_ = header_.is_control() ||
                     (config_.isolation_level == 1 && header_.partition_leader_epoch < 0);
    if (header_.codec() != Codec::none && !shows_nothing_) {
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
    reader_.emplace(records, shows_nothing_ ? 0 : header_.record_count);
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
    if (partition.news == Kind::offset_out_of_range || partition.news == Kind::too_large ||
        partition.news == Kind::truncated)
        return;
    if (partition.news == Kind::nothing) ++news_count_;
    partition.news = kind;
    partition.news_error = error;
}

void Fetcher::untell(FetchPartition& partition) {
    if (partition.news != Kind::nothing) --news_count_;
    partition.news = Kind::nothing;
}

std::optional<FetcherEvent> Fetcher::poll_event() {
    if (news_count_ == 0) return std::nullopt;
    FetchPartition* p = partitions_;
    while (p->news == Kind::nothing) p = p->next;
    const FetcherEvent event{p->news, p, p->news_error};
    untell(*p);
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
