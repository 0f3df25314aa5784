#include "broker/api/parked_produces.hpp"

#include <algorithm>
#include <utility>

namespace leat::api {
namespace {

constexpr std::uint64_t room_deadline =
    ~std::uint64_t{0};  // "look at the queue for room", not a parked id
// Of the byte pool's four megabytes: what waits for a full log must not keep the consumers and the
// uplink, who make the room, from being served.
constexpr std::size_t blocked_bytes_max = 1024 * 1024;

log::CommitId last_commit(const Produced& produced) {
    log::CommitId last = 0;
    for (const ProducedTopic& topic : produced.topics)
        for (const ProducedPartition& partition : topic.partitions)
            if (partition.append.error == wire::ErrorCode::none)
                last = std::max(last, partition.append.commit);
    return last;
}

void refuse_from(Produced& produced, log::CommitId after, log::CommitId upto, wire::ErrorCode error,
                 const char* message) {
    for (ProducedTopic& topic : produced.topics)
        for (ProducedPartition& partition : topic.partitions) {
            topics::Append& append = partition.append;
            if (append.error != wire::ErrorCode::none || append.commit <= after ||
                append.commit > upto)
                continue;
            append.error = error;
            append.message = message;
        }
}

std::size_t bytes_of(const Produced& produced) {
    std::size_t sum = produced.body.bytes().size();
    for (const Verdict& one : produced.verdicts) sum += one.validated.recoded.size();
    for (const ProducedTopic& topic : produced.topics)
        sum += topic.partitions.size() * sizeof(ProducedPartition);
    return sum;
}

}  // namespace

void ParkedProduces::wait_for_room(Context& context, std::unique_ptr<Produced> produced) {
    produced->address.reply.hold_session();
    for (const Instant due : {produced->give_up, produced->patience})
        deadlines_.add(due, room_deadline);
    if (produced->blocked) return block(context, std::move(produced));
    room_.push_back(std::move(produced));
}

std::size_t ParkedProduces::blocked_bytes() const {
    std::size_t sum = 0;
    for (const auto& produced : blocked_) sum += bytes_of(*produced);
    return sum;
}

void ParkedProduces::block(Context& context, std::unique_ptr<Produced> produced) {
    std::erase_if(blocked_, [](const auto& one) { return !one->address.reply.alive(); });
    const std::size_t held = blocked_bytes();
    if (held != 0 && held + bytes_of(*produced) > blocked_bytes_max) {
        produced->refuse_when_full = true;
        return end(context, std::move(produced));
    }
    // Is counted here from now on, and keeps nobody from his turn, however long its timeout_ms.
    produced->held.take(nullptr, 0);
    produced->address.elements = {};
    await_segment(context, std::move(produced));
}

/// What it waits for may be another one's than before: of its next partition, of another topic.
void ParkedProduces::await_segment(Context& context, std::unique_ptr<Produced> produced) {
    if (produced->soon)
        produced->soon_until = std::min(produced->soon_until, context.now + wait_min);
    deadlines_.add(produced->blocked_until(), room_deadline);
    blocked_.push_back(std::move(produced));
}

/// What is left of it is appended now or never; it may not wait for anything but a commit.
void ParkedProduces::end(Context& context, std::unique_ptr<Produced> produced) {
    if (!append_rest(context, *produced, produced->body.bytes().subspan(produced->body_at))) {
        room_.push_back(std::move(produced));  // the groups are full, not only the log
        return;
    }
    produced->body = session::Buffer();
    finish_produce(context, std::move(produced));
}

void ParkedProduces::wait_for_commit(std::unique_ptr<Produced> produced) {
    const std::uint64_t id = next_id_++;
    deadlines_.add(produced->patience, id);
    by_commit_.emplace(last_commit(*produced), id);
    by_id_.emplace(id, std::move(produced));
}

void ParkedProduces::settle(Context& context) {
    const log::CommitId flushed = context.log.flushed_commit();
    while (!by_commit_.empty() && by_commit_.begin()->first <= flushed) {
        const auto at = by_id_.find(by_commit_.begin()->second);
        by_commit_.erase(by_commit_.begin());
        if (at == by_id_.end()) continue;  // timed out before
        std::unique_ptr<Produced> produced = std::move(at->second);
        deadlines_.remove(produced->patience, at->first);
        by_id_.erase(at);
        answer_produce(context, *produced);
    }
    const std::uint64_t recycled = context.log.counters().segments_recycled;
    const bool room = std::exchange(given_up_, false) || flushed != last_settled_;
    const bool freed = recycled != last_recycled_;
    last_settled_ = flushed;
    last_recycled_ = recycled;
    if (room) retry_room(context);
    if (freed && !blocked_.empty()) retry_blocked(context);
}

void ParkedProduces::retry_blocked(Context& context) {
    Queue waiting;
    waiting.swap(blocked_);
    for (auto& produced : waiting) {
        if (!produced->address.reply.alive()) continue;
        produced->blocked = false;  // behind others it waits for its turn, not for a segment
        if (waiting_for_room() ||
            !append_rest(context, *produced, produced->body.bytes().subspan(produced->body_at))) {
            if (produced->blocked)
                await_segment(context, std::move(produced));
            else
                room_.push_back(std::move(produced));
            continue;
        }
        produced->body = session::Buffer();
        finish_produce(context, std::move(produced));
    }
}

void ParkedProduces::retry_room(Context& context) {
    while (!room_.empty()) {
        Produced& first = *room_.front();
        if (first.address.reply.alive() &&
            !append_rest(context, first, first.body.bytes().subspan(first.body_at))) {
            if (!first.blocked) return;
            std::unique_ptr<Produced> blocked = std::move(room_.front());
            room_.pop_front();
            block(context, std::move(blocked));
            continue;
        }
        std::unique_ptr<Produced> done = std::move(room_.front());
        room_.pop_front();
        done->body = session::Buffer();
        if (done->address.reply.alive()) finish_produce(context, std::move(done));
    }
}

void ParkedProduces::rolled_back(Context& context, log::CommitId first, log::CommitId last) {
    given_up_ = true;
    std::vector<std::uint64_t> hit;
    for (auto at = by_commit_.upper_bound(first); at != by_commit_.end();) {
        hit.push_back(at->second);
        at = by_commit_.erase(at);
    }
    for (const std::uint64_t id : hit) {
        const auto at = by_id_.find(id);
        if (at == by_id_.end()) continue;
        std::unique_ptr<Produced> produced = std::move(at->second);
        deadlines_.remove(produced->patience, id);
        by_id_.erase(at);
        refuse_from(*produced, first, last, wire::ErrorCode::kafka_storage_error,
                    "the log could not write");
        finish_produce(context,
                       std::move(produced));  // parks again if a later commit is still to come
    }
}

void ParkedProduces::on_deadline(Context& context) {
    while (const std::uint64_t id = deadlines_.take_due(context.now)) {
        if (id == room_deadline) {
            // Timed-out requests anywhere in the queues end now; the others keep their order.
            Queue late;
            for (Queue* queue : {&room_, &blocked_}) {
                Queue stay;
                for (auto& produced : *queue) {
                    const bool blocks = queue == &blocked_;
                    const bool due =
                        (blocks ? produced->blocked_until() : produced->patience) <= context.now;
                    if (due && blocks && produced->soon)
                        produced->refuse_when_full = true;
                    else
                        produced->timed_out = due;
                    (due ? late : stay).push_back(std::move(produced));
                }
                *queue = std::move(stay);
            }
            for (auto& produced : late) end(context, std::move(produced));
            continue;
        }
        const auto at = by_id_.find(id);
        if (at == by_id_.end()) continue;
        std::unique_ptr<Produced> produced = std::move(at->second);
        by_id_.erase(at);
        refuse_from(*produced, context.log.flushed_commit(), ~log::CommitId{0},
                    wire::ErrorCode::request_timed_out, "not durable within the request's timeout");
        answer_produce(context, *produced);
    }
}

void ParkedProduces::give_up_room(Context& context) {
    for (Queue* queue : {&room_, &blocked_}) {
        Queue waiting;
        waiting.swap(*queue);
        for (auto& produced : waiting) {
            produced->timed_out = true;
            end(context, std::move(produced));
        }
    }
}

}  // namespace leat::api
