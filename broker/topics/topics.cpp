#include "broker/topics/topics.hpp"

#include <algorithm>

#include "broker/topics/producer_state.hpp"

namespace leat::topics {
namespace {

using wire::ErrorCode;

constexpr std::size_t awaited_max = 1024;

ErrorCode code_of(Error error) {
    switch (error) {
        case Error::full:
            return ErrorCode::not_enough_replicas;
        case Error::too_large:
            return ErrorCode::message_too_large;
        case Error::not_found:
            return ErrorCode::unknown_topic_or_partition;
        default:
            return ErrorCode::kafka_storage_error;
    }
}

const char* message_of(Error error) {
    switch (error) {
        case Error::full:
            return "the log is full: nothing in it may be freed yet";
        case Error::too_large:
            return "the batch is larger than the log can take";
        case Error::storage:
            return "the log cannot write";
        default:
            return error_text(error);
    }
}

}  // namespace

std::uint32_t Topics::message_bytes_max(const Topic& topic) const {
    return std::min(topic.config.message_bytes_max(), log_.max_batch_bytes());
}

BatchRules Topics::rules(WallTime wall, const Topic& topic, std::int16_t version) const {
    constexpr milliseconds unbounded{-1};
    return {.produce_version = version,
            .bytes_max = message_bytes_max(topic),
            .codec = topic.config.compression(),
            .compacted = topic.config.compacted(),
            .now = wall,
            .check_times = !topic.config.log_append_time(),
            .before_max =
                log_.wall_may_be_ahead() ? unbounded : topic.config.timestamp_before_max(),
            .after_max =
                log_.wall_may_be_behind() ? unbounded : topic.config.timestamp_after_max()};
}

Append Topics::append(Instant now, WallTime wall, const Topic& topic, std::int32_t partition,
                      ByteView records, std::int16_t version) {
    // Asked for before the batch is looked at, what is known of the stream is there afterwards.
    (void)log_.stream(topic.partitions[static_cast<std::size_t>(partition)]);
    Validated judged = validate(records, rules(wall, topic, version));
    return append_judged(now, wall, topic, partition, records, judged);
}

Append Topics::append_judged(Instant now, WallTime wall, const Topic& topic, std::int32_t partition,
                             ByteView records, Validated& batch) {
    const log::StreamId stream = topic.partitions[static_cast<std::size_t>(partition)];
    Append result;
    if (const log::StreamState* state = log_.stream(stream)) result.log_start = state->log_start;

    if (batch.error != ErrorCode::none) {
        ++counters_.refused;
        result.error = batch.error;
        result.message = std::move(batch.message);
        result.record_problems = std::move(batch.problems);
        return result;
    }

    const wire::BatchHeader& header = batch.header;
    bool is_first = false;          // of its producer, here
    auto awaited = awaited_.end();  // nobody changes them meanwhile
    if (header.producer_id >= 0) {
        const ProducerStamp stamp{
            .epoch = header.producer_epoch,
            .first_sequence = header.base_sequence,
            .last_sequence = last_sequence_of(header.base_sequence, header.last_offset_delta)};
        const log::ProducerState* state = log_.producer(stream, header.producer_id);
        ProducerDecision decision = decide(state, stamp);
        // A producer that was never seen may begin with any sequence, but not with the batch behind
        // one that was refused or taken back: that one comes again, and its place would be taken.
        is_first = state == nullptr || state->count == 0;
        if (is_first) awaited = find_awaited(stream, header.producer_id, stamp.epoch);
        if (awaited != awaited_.end() && stamp.first_sequence > awaited->sequence)
            decision = {.kind = ProducerDecision::Kind::refuse,
                        .error = ErrorCode::out_of_order_sequence_number};
        if (decision.kind == ProducerDecision::Kind::duplicate) {
            ++counters_.duplicates;
            result.duplicate = true;
            result.base_offset = decision.original->base_offset;
            result.log_append_time = decision.original->timestamp;
            result.commit = decision.original->commit;
            return result;
        }
        if (decision.kind == ProducerDecision::Kind::refuse) {
            ++counters_.refused;
            result.error = decision.error;
            result.message = decision.error == ErrorCode::invalid_producer_epoch
                                 ? "the producer's epoch is older than one seen before"
                                 : "the batch does not follow the producer's last one";
            return result;
        }
    }

    if (!batch.recoded.empty()) records = batch.recoded;
    // As Kafka does: where the header says something else than its records, look-ups by time would
    // miss them.
    std::vector<std::uint8_t> amended;
    if (!topic.config.log_append_time() && header.max_timestamp != batch.max_timestamp) {
        amended.assign(records.begin(), records.end());
        wire::BatchHeader made_true = header;
        made_true.max_timestamp = batch.max_timestamp;
        wire::seal_batch_header(made_true, records.subspan(wire::batch_header_size),
                                amended.data());
        records = amended;
    }
    First first{stream, header.producer_id, header.producer_epoch, header.base_sequence};
    log::AppendRequest request{.stream = stream,
                               .batch = records,
                               .log_append_time = std::nullopt,
                               .flush_within = topic.config.flush_within()};
    if (topic.config.log_append_time()) request.log_append_time = wall;
    const Status noted = registry.epochs.note(now, stream);
    const auto appended = noted ? log_.append(now, wall, request) : fail(noted.error());
    if (!appended) {
        if (appended.error() == Error::would_block) {
            result.again = true;
            return result;
        }
        if (is_first) await(awaited, first);
        // Of the fact of a leader epoch, `busy` says what `full` does of a batch.
        const Error error = appended.error() == Error::busy ? Error::full : appended.error();
        const bool full = error == Error::full;
        result.soon = full && topic.config.drops_oldest();
        result.may_wait = result.soon || (full && topic.config.waits_when_full());
        if (!result.may_wait) ++counters_.refused;
        result.error = code_of(error);
        result.message = message_of(error);
        return result;
    }
    if (is_first) {
        if (awaited != awaited_.end()) awaited_.erase(awaited);
        while (!unflushed_firsts_.empty() &&
               unflushed_firsts_.front().commit <= log_.flushed_commit())
            unflushed_firsts_.pop_front();
        first.commit = appended->commit;
        unflushed_firsts_.push_back(first);
    }
    ++counters_.batches;
    counters_.records += static_cast<std::uint64_t>(header.record_count);
    counters_.bytes += records.size();
    result.base_offset = appended->base_offset;
    if (request.log_append_time) result.log_append_time = wall.time_since_epoch().count();
    result.commit = appended->commit;
    const auto bytes = static_cast<std::uint32_t>(records.size());
    if (!unflushed_.empty() && unflushed_.back().commit == appended->commit &&
        unflushed_.back().advance.stream == stream)
        unflushed_.back().advance.bytes += bytes;
    else
        unflushed_.push_back(
            {.commit = appended->commit, .advance = {.stream = stream, .bytes = bytes}});
    return result;
}

std::deque<Topics::First>::iterator Topics::find_awaited(log::StreamId stream,
                                                         std::int64_t producer_id,
                                                         std::int16_t epoch) {
    return std::find_if(awaited_.begin(), awaited_.end(), [=](const First& one) {
        return one.stream == stream && one.producer_id == producer_id && one.epoch == epoch;
    });
}

/// The log may take a batch back and refuse the next before that is heard of: the earliest counts.
void Topics::await(std::deque<First>::iterator found, const First& first) {
    if (found != awaited_.end()) {
        found->sequence = std::min(found->sequence, first.sequence);
        return;
    }
    if (awaited_.size() >= awaited_max) awaited_.pop_front();
    awaited_.push_back(first);
}

void Topics::not_offered(const Topic& topic, std::int32_t partition, ByteView records) {
    ++counters_.refused;
    const auto batch = wire::BatchView::cut(records);
    if (!batch || !batch->crc_ok() || batch->header().producer_id < 0) return;
    const wire::BatchHeader& header = batch->header();
    const log::StreamId stream = topic.partitions[static_cast<std::size_t>(partition)];
    const log::ProducerState* state = log_.producer(stream, header.producer_id);
    if (state != nullptr && state->count > 0) return;
    await(find_awaited(stream, header.producer_id, header.producer_epoch),
          {stream, header.producer_id, header.producer_epoch, header.base_sequence});
}

Topics::OffsetAnswer Topics::list_offset(Instant now, log::StreamId stream, ListOffsetsKind kind) {
    const log::StreamState* state = log_.stream(stream);
    if (state == nullptr) return {};
    switch (kind) {
        case ListOffsetsKind::earliest:
            return {.offset = state->log_start,
                    .leader_epoch = registry.epochs.at(stream, state->log_start)};
        case ListOffsetsKind::latest:
            if (state->log_end > state->flushed) log_.flush_soon(now);
            return {.offset = state->flushed, .leader_epoch = registry.epochs.current()};
        case ListOffsetsKind::max_timestamp:
            if (state->log_start >= state->log_end || state->max_timestamp < 0) return {};
            if (state->max_timestamp_offset >= state->flushed) {
                log_.flush_soon(now);
                return {.again = true};
            }
            return {.offset = state->max_timestamp_offset,
                    .timestamp = state->max_timestamp,
                    .leader_epoch = registry.epochs.at(stream, state->max_timestamp_offset)};
    }
    return {};
}

std::optional<Advance> Topics::poll_advance() {
    if (unflushed_.empty() || unflushed_.front().commit > log_.flushed_commit())
        return std::nullopt;
    const Advance advance = unflushed_.front().advance;
    unflushed_.pop_front();
    return advance;
}

void Topics::rolled_back(log::CommitId first, log::CommitId last) {
    const auto is_lost = [=](const auto& entry) {
        return entry.commit > first && entry.commit <= last;
    };
    std::erase_if(unflushed_, is_lost);
    for (const First& one : unflushed_firsts_)
        if (is_lost(one)) await(find_awaited(one.stream, one.producer_id, one.epoch), one);
    std::erase_if(unflushed_firsts_, is_lost);
    registry.rolled_back(first, last);
}

}  // namespace leat::topics
