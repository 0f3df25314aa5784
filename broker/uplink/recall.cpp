#include "broker/uplink/recall.hpp"

#include <algorithm>
#include <span>

#include "sdk/wire/api/01_fetch.hpp"
#include "sdk/wire/api/02_list_offsets.hpp"
#include "sdk/wire/api/61_describe_producers.hpp"

namespace leat::uplink {
namespace {

// Who hangs up on the question must not be asked for ever: delivering is what matters.
constexpr unsigned failures_max = 3;
constexpr unsigned growths_max = 8;  // of the memory for answers, which has a bound
constexpr milliseconds tail_time_max{60'000};
constexpr std::size_t tail_bytes_max = 16 * 1024 * 1024;
constexpr std::size_t found_max = 20'000;
constexpr std::int32_t fetch_bytes = 100 * 1024;
// After a refusal that should pass, and while the end is not copied. Not waited for over there:
// what is sent behind such a Fetch would wait, too.
constexpr milliseconds pause{500};
constexpr std::int32_t as_replica = -2;  // Kafka's name for a tool that sees what a replica sees
constexpr std::int64_t latest = -1, earliest = -2;

/// Calls `read` with the answer's one partition, unless it was refused: returned is why.
template <class Topics, class Read>
wire::ErrorCode read_partition(const Topics& topics, const Read& read) {
    for (const auto& topic : topics)
        for (const auto& partition : topic.partitions) {
            if (partition.error_code == wire::ErrorCode::none) read(partition);
            return partition.error_code;
        }
    return wire::ErrorCode::unknown_server_error;
}

}  // namespace

Recall::Knows Recall::knows(const Question& question, SentBatches& found) {
    const auto [at, is_new] = searches_.try_emplace({question.topic, question.partition});
    Search& search = at->second;
    if (is_new || search.question != question) {
        search = {};
        search.question = question;
        search.at = question.from;
        return Knows::begun;
    }
    const Knows answer = search.answer;
    if (answer == Knows::asked) return answer;
    found.merge(search.found);
    searches_.erase(at);
    return answer;
}

Instant Recall::deadline() const {
    Instant first = never;
    for (const auto& [place, search] : searches_) first = earlier(first, search.again_at);
    return first;
}

void Recall::pump(Instant now, cluster::Router& router) {
    for (auto& [place, search] : searches_) {
        if (search.again_at <= now) search.again_at = never;
        if (search.context != 0 || search.answer != Knows::asked || search.again_at != never)
            continue;
        if (search.since != never && now - search.since > tail_time_max) {
            search.give_up();
            continue;
        }
        Status sent = send(now, router, search, next_context_);
        if (!sent && sent.error() != Error::would_block && search.step == Step::describe) {
            search.look_at_log();  // older than 2.8
            sent = send(now, router, search, next_context_);
        }
        if (sent) {
            search.context = next_context_++;
            if (search.since == never) search.since = now;
        } else if (sent.error() != Error::would_block) {
            search.give_up();
        }
    }
}

Status Recall::send(Instant now, cluster::Router& router, const Search& search,
                    std::uint64_t context) {
    const Question& question = search.question;
    cluster::Target leader{.kind = cluster::Target::Kind::leader,
                           .topic = question.topic,
                           .partition = question.partition};
    if (search.step == Step::describe) {
        const std::int32_t partitions[] = {question.partition};
        wire::DescribeProducersRequest::TopicRequest topics[1];
        topics[0].name = question.topic;
        topics[0].partition_indexes = std::span(partitions);
        wire::DescribeProducersRequest request;
        request.topics = std::span(topics);
        return router.send(now, *this, context, leader, request);
    }
    if (search.step != Step::tail) {
        wire::ListOffsetsRequest::ListOffsetsPartition partitions[1];
        partitions[0].partition_index = question.partition;
        partitions[0].timestamp = search.step == Step::end ? latest : earliest;
        wire::ListOffsetsRequest::ListOffsetsTopic topics[1];
        topics[0].name = question.topic;
        topics[0].partitions = std::span(partitions);
        wire::ListOffsetsRequest request;
        request.replica_id = as_replica;
        request.topics = std::span(topics);
        leader.version_max = 7;  // no time-out of its own
        return router.send(now, *this, context, leader, request);
    }
    wire::FetchRequest::FetchPartition partitions[1];
    partitions[0].partition = question.partition;
    partitions[0].fetch_offset = search.at;
    partitions[0].partition_max_bytes = fetch_bytes;
    wire::FetchRequest::FetchTopic topics[1];
    topics[0].topic = question.topic;
    topics[0].partitions = std::span(partitions);
    wire::FetchRequest request;
    request.max_bytes = fetch_bytes;
    request.topics = std::span(topics);
    leader.version_max = 10;  // from 11 on one who follows answers, too
    return router.send(now, *this, context, leader, request);
}

void Recall::on_answer(Instant now, cluster::Router& router, const client::Event& event,
                       std::uint64_t context) {
    const auto at = std::find_if(searches_.begin(), searches_.end(), [&](const auto& entry) {
        return entry.second.context == context;
    });
    if (at == searches_.end()) return;
    Search& search = at->second;
    search.context = 0;
    if (event.kind != client::Event::Kind::response) {
        // One batch is longer than the memory for answers, which grows.
        if (event.error == Error::too_large && search.step == Step::tail) {
            if (++search.growths > growths_max) search.give_up();
            return;
        }
        search.since = never;
        if (++search.failures >= failures_max) search.give_up();
        return;
    }
    wire::ErrorCode error = wire::ErrorCode::unknown_server_error;
    if (search.step == Step::describe)
        error = read_described(search, event);
    else if (search.step != Step::tail)
        error = read_offset(search, event);
    else
        error = read_tail(now, search, event);
    if (error == wire::ErrorCode::none) return;
    if (search.step == Step::tail) {
        if (error == wire::ErrorCode::offset_out_of_range) {
            if (!std::exchange(search.whole, false)) search.give_up();
            search.step = Step::start;
            return;
        }
        if (wire::stale_metadata(error)) search.step = Step::end;
    }
    if (!wire::retriable(error)) return search.give_up();
    search.again_at = now + pause;
    router.refresh_metadata(now);
}

wire::ErrorCode Recall::read_described(Search& search, const client::Event& event) {
    const auto answer =
        wire::decode<wire::DescribeProducersResponse>(event.body, event.api_version);
    if (!answer) return wire::ErrorCode::unknown_server_error;
    return read_partition(answer->topics, [&](const auto& partition) {
        for (const auto& producer : partition.active_producers)
            if (producer.producer_id == search.question.producer_id) {
                search.answer = Knows::yes;
                return;
            }
        search.forgotten = true;
        search.look_at_log();
    });
}

wire::ErrorCode Recall::read_offset(Search& search, const client::Event& event) {
    const auto answer = wire::decode<wire::ListOffsetsResponse>(event.body, event.api_version);
    if (!answer) return wire::ErrorCode::unknown_server_error;
    return read_partition(answer->topics, [&](const auto& partition) {
        if (search.step == Step::start) {
            search.at = partition.offset;
            search.step = Step::end;
            return;
        }
        search.end = partition.offset;
        search.step = Step::tail;
        if (search.end == search.at && search.whole)
            search.answer = Knows::looked;
        else if (search.end <= search.at || search.end > upstream_offset_max)
            search.give_up();  // it is not the log that it was
    });
}

wire::ErrorCode Recall::read_tail(Instant now, Search& search, const client::Event& event) {
    const auto answer = wire::decode<wire::FetchResponse>(event.body, event.api_version);
    if (!answer) return wire::ErrorCode::unknown_server_error;
    return read_partition(answer->responses, [&](const auto& partition) {
        const std::int64_t before = search.at;
        search.bytes += partition.records.size();
        search.look_through(partition.records.view());
        if (search.at != before) search.failures = search.growths = 0;
        const bool is_over = search.at >= search.end;
        if (is_over && search.whole)
            search.answer = Knows::looked;
        else if (is_over || search.bytes >= tail_bytes_max || search.found.size() >= found_max)
            search.give_up();
        else if (search.at == before)
            search.again_at = now + pause;
    });
}

void Recall::Search::look_through(ByteView batches) {
    while (at < end) {
        const Result<wire::BatchView> batch = wire::BatchView::parse(batches);
        // The last one of an answer may be cut.
        if (!batch && batch.error() == Error::truncated) return;
        if (!batch || batch->header().base_offset >= end) {
            at = end;  // no batch, or nothing up to there
            whole = false;
            return;
        }
        batches = batches.subspan(batch->whole().size());
        const wire::BatchHeader& header = batch->header();
        if (header.next_offset() <= at) continue;
        whole = whole && header.base_offset <= at;
        at = header.next_offset();
        if (header.producer_id != question.producer_id ||
            header.producer_epoch != question.producer_epoch || header.is_control())
            continue;
        const std::int32_t last =
            wire::next_sequence(header.base_sequence, header.last_offset_delta);
        found[{header.base_sequence, last}] = at;
        if (last == question.last_sequence) end = at;
    }
}

}  // namespace leat::uplink
