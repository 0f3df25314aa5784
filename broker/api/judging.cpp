#include "broker/api/judging.hpp"

#include <algorithm>

#include "broker/api/asked_topic.hpp"

namespace leat::api {
namespace {

/// Shows each partition of the request that exists and may be written to; `visit` returns false to
/// end it. The others are refused without a look at their bytes.
template <class Visit>
void each_partition(const Context& context, const wire::ProduceRequest& request,
                    std::int16_t version, Visit&& visit) {
    if (request.acks < -1 || request.acks > 1) return;
    std::size_t position = 0;
    for (const auto& data : request.topic_data) {
        const topics::Topic* topic =
            asked_topic(context.topics.registry, version >= ids_since, data.name, data.topic_id);
        for (const auto& partition : data.partition_data) {
            const std::size_t at = position++;
            if (topic == nullptr || topic->internal || partition.index < 0 ||
                static_cast<std::size_t>(partition.index) >= topic->partitions.size())
                continue;
            const log::StreamId stream =
                topic->partitions[static_cast<std::size_t>(partition.index)];
            if (!visit(at, *topic, stream, partition.records.view())) return;
        }
    }
}

}  // namespace

bool Judging::concerns(const Context& context, const wire::ProduceRequest& request,
                       std::int16_t version) const {
    bool concerned = false;
    each_partition(context, request, version,
                   [&](std::size_t, const topics::Topic& topic, log::StreamId stream,
                       ByteView records) {
                       concerned = topics::is_work(records, topic.config.compression()) ||
                                   lines_.count(stream) != 0;
                       return !concerned;
                   });
    return concerned;
}

void Judging::add(Context& context, std::unique_ptr<Produced> produced) {
    const std::int16_t version = produced->address.version;
    const auto request = wire::decode_front<wire::ProduceRequest>(
        produced->body.bytes().subspan(produced->body_at), version);
    LEAT_CHECK(bool(request));  // decoded once before, and unchanged since
    produced->address.reply.hold_session();
    const Ticket ticket = next_ticket_++;
    auto waiting = std::make_unique<Waiting>();
    each_partition(context, *request, version,
                   [&](std::size_t position, const topics::Topic& topic, log::StreamId stream,
                       ByteView records) {
                       if (topics::is_work(records, topic.config.compression())) {
                           const Batch& one = waiting->batches.emplace_back(
                               Batch{.position = position,
                                     .records = records,
                                     .rules = context.topics.rules(context.wall, topic, version),
                                     .validated = {}});
                           waiting->may_hold += topics::recoded_bytes_max(records, one.rules);
                       }
                       std::deque<Ticket>& line = lines_[stream];
                       if (line.empty() || line.back() != ticket) {
                           line.push_back(ticket);
                           waiting->lines.push_back(stream);
                       }
                       return true;
                   });
    waiting->produced = std::move(produced);
    waiting->judged = waiting->batches.empty();
    if (!waiting->judged) to_run_.push_back(ticket);
    waiting_.emplace(ticket, std::move(waiting));
}

// What recodes is begun in the order of its arrival, so that whoever holds memory for it is never
// behind one that waits for memory; whatever needs none passes.
std::optional<Work> Judging::poll_work() {
    bool full = false;
    const auto next = std::find_if(to_run_.begin(), to_run_.end(), [&](Ticket one) {
        const std::size_t bytes = waiting_.at(one)->may_hold;
        full |= bytes > 0 && *held_ > 0 && *held_ + bytes > recoded_bytes_max;
        return bytes == 0 || !full;
    });
    if (next == to_run_.end()) return std::nullopt;
    const Ticket ticket = *next;
    to_run_.erase(next);
    Waiting& waiting = *waiting_.at(ticket);
    waiting.produced->held.take(held_, waiting.may_hold);
    // Stays where it is until done(); nobody but the work touches `batches` until then.
    std::vector<Batch>& batches = waiting.batches;
    return Work{ticket, [&batches] {
                    for (Batch& batch : batches)
                        batch.validated = topics::validate(batch.records, batch.rules);
                }};
}

void Judging::done(Context& context, WorkId id) {
    const auto at = waiting_.find(id);
    LEAT_CHECK(at != waiting_.end());
    Waiting& waiting = *at->second;
    if (!waiting.produced) {
        waiting_.erase(at);
        return;
    }
    std::size_t recoded = 0;
    for (Batch& batch : waiting.batches) {
        recoded += batch.validated.recoded.size();
        waiting.produced->verdicts.push_back(
            {.position = batch.position, .validated = std::move(batch.validated)});
    }
    waiting.produced->held.take(held_, recoded);
    waiting.judged = true;
    append_ready(context, {id});
}

bool Judging::is_first(Ticket ticket, const Waiting& waiting) const {
    return std::all_of(waiting.lines.begin(), waiting.lines.end(),
                       [&](log::StreamId stream) { return lines_.at(stream).front() == ticket; });
}

void Judging::leave_lines(Ticket ticket, const Waiting& waiting, std::set<Ticket>& now_first) {
    for (const log::StreamId stream : waiting.lines) {
        const auto line = lines_.find(stream);
        LEAT_CHECK(line->second.front() == ticket);
        line->second.pop_front();
        if (line->second.empty())
            lines_.erase(line);
        else
            now_first.insert(line->second.front());
    }
}

// Oldest first: of two that become first at once, the one that came first is appended first.
void Judging::append_ready(Context& context, std::set<Ticket> candidates) {
    while (!candidates.empty()) {
        const Ticket ticket = *candidates.begin();
        candidates.erase(candidates.begin());
        const auto at = waiting_.find(ticket);
        if (!at->second->judged || !is_first(ticket, *at->second)) continue;
        const std::unique_ptr<Waiting> waiting = std::move(at->second);
        waiting_.erase(at);
        leave_lines(ticket, *waiting, candidates);
        // If the log has no room it waits on in that queue, and whoever follows goes behind it.
        append_parked(context, std::move(waiting->produced));
    }
}

void Judging::give_up_all(Context& context) {
    std::set<Ticket> all;
    for (const auto& [ticket, waiting] : waiting_)
        if (waiting->produced) all.insert(ticket);
    const std::set<Ticket> not_begun(to_run_.begin(), to_run_.end());
    to_run_.clear();
    lines_.clear();
    for (const Ticket ticket : all) {
        const auto at = waiting_.find(ticket);
        std::unique_ptr<Produced> produced = std::move(at->second->produced);
        produced->timed_out = true;
        (void)append_rest(context, *produced, produced->body.bytes().subspan(produced->body_at));
        if (at->second->judged || not_begun.count(ticket) != 0) {
            waiting_.erase(at);
            produced->body = session::Buffer();
        } else {
            at->second->pinned = std::move(produced->body);
        }
        finish_produce(context, std::move(produced));
    }
}

}  // namespace leat::api
