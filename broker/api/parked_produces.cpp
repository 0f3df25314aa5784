#include "broker/api/parked_produces.hpp"

#include <algorithm>

namespace leat::api {
namespace {

constexpr std::uint64_t room_deadline =
    ~std::uint64_t{0};  // "look at the queue for room", not a parked id

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

}  // namespace

void ParkedProduces::wait_for_room(std::unique_ptr<Produced> produced) {
    produced->address.reply.hold_session();
    deadlines_.add(produced->give_up, room_deadline);
    room_.push_back(std::move(produced));
}

void ParkedProduces::wait_for_commit(std::unique_ptr<Produced> produced) {
    const std::uint64_t id = next_id_++;
    deadlines_.add(produced->give_up, id);
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
        deadlines_.remove(produced->give_up, at->first);
        by_id_.erase(at);
        answer_produce(context, *produced);
    }
    if (flushed != last_settled_) {
        last_settled_ = flushed;
        retry_room(context);
    }
}

void ParkedProduces::retry_room(Context& context) {
    while (!room_.empty()) {
        Produced& first = *room_.front();
        if (first.address.reply.alive() &&
            !append_rest(context, first, first.body.bytes().subspan(first.body_at)))
            return;
        std::unique_ptr<Produced> done = std::move(room_.front());
        room_.pop_front();
        done->body = session::Buffer();
        if (done->address.reply.alive()) finish_produce(context, std::move(done));
    }
}

void ParkedProduces::rolled_back(Context& context, log::CommitId first, log::CommitId last) {
    std::vector<std::uint64_t> hit;
    for (auto at = by_commit_.upper_bound(first); at != by_commit_.end();) {
        hit.push_back(at->second);
        at = by_commit_.erase(at);
    }
    for (const std::uint64_t id : hit) {
        const auto at = by_id_.find(id);
        if (at == by_id_.end()) continue;
        std::unique_ptr<Produced> produced = std::move(at->second);
        deadlines_.remove(produced->give_up, id);
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
            for (auto& produced : room_)
                if (produced->give_up <= context.now) produced->timed_out = true;
            // Timed-out requests anywhere in the queue end now; the others keep their order.
            std::deque<std::unique_ptr<Produced>> stay;
            std::vector<std::unique_ptr<Produced>> end;
            for (auto& produced : room_) {
                if (produced->timed_out)
                    end.push_back(std::move(produced));
                else
                    stay.push_back(std::move(produced));
            }
            room_ = std::move(stay);
            for (auto& produced : end) {
                (void)append_rest(context, *produced,
                                  produced->body.bytes().subspan(produced->body_at));
                produced->body = session::Buffer();
                finish_produce(context, std::move(produced));
            }
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
    for (auto& produced : room_) produced->timed_out = true;
    std::deque<std::unique_ptr<Produced>> room;
    room.swap(room_);
    for (auto& produced : room) {
        (void)append_rest(context, *produced, produced->body.bytes().subspan(produced->body_at));
        produced->body = session::Buffer();
        finish_produce(context, std::move(produced));
    }
}

}  // namespace leat::api
