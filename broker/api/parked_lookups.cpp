#include "broker/api/parked_lookups.hpp"

#include <numeric>
#include <utility>

#include "broker/api/answer.hpp"
#include "broker/api/commits.hpp"
#include "sdk/wire/api/02_list_offsets.hpp"

namespace leat::api {
namespace {

constexpr std::int64_t latest = -1, largest_timestamp = -3;
constexpr int partitions_per_turn = 256;

}  // namespace

using wire::ErrorCode;

void ParkedLookups::start(Context& context, std::unique_ptr<Lookup> lookup) {
    const std::uint64_t id = next_id_++;
    lookup->open = 1;  // keeps it until all have been started
    all_.emplace(id, std::move(lookup));
    go_on(context, id);
}

void ParkedLookups::go_on(Context& context, std::uint64_t id) {
    Lookup& mine = *all_.at(id);
    for (int left = partitions_per_turn; mine.topic < mine.topics.size(); ++mine.topic) {
        const std::size_t count = mine.topics[mine.topic].partitions.size();
        for (; mine.partition < count; ++mine.partition) {
            if (left-- == 0)
                return context.turns.next([this, &context, id](Instant now, WallTime wall) {
                    context.now = now;
                    context.wall = wall;
                    go_on(context, id);
                });
            resolve(context, id, mine, mine.topic, mine.partition);
        }
        mine.partition = 0;
    }
    --mine.open;
    finish_if_done(context, id);
}

void ParkedLookups::resolve(Context& context, std::uint64_t id, Lookup& lookup, std::size_t topic,
                            std::size_t partition) {
    LookedUp& one = lookup.topics[topic].partitions[partition];
    if (one.error != ErrorCode::none) return;
    const Place place{id, topic, partition};
    // Whoever was told that its records are in (acks 0 and 1) finds them, once they are durable.
    const log::StreamState* state = context.log.stream(one.stream);
    const bool behind = (one.target == latest || one.target >= 0) && state != nullptr &&
                        state->log_end > state->flushed &&
                        context.acknowledged > context.log.flushed_commit();
    if (behind && !std::exchange(one.waited, true)) {
        context.log.flush_soon(context.now);
        return wait(context, lookup, place, context.acknowledged);
    }
    if (one.target >= 0) {
        one.probe = one.target;
        return look_up(context, one, place, lookup);
    }
    if (one.target < -4) return;
    const auto kind = one.target == latest              ? topics::ListOffsetsKind::latest
                      : one.target == largest_timestamp ? topics::ListOffsetsKind::max_timestamp
                                                        : topics::ListOffsetsKind::earliest;
    const auto found = context.topics.list_offset(context.now, one.stream, kind);
    // For the newest append there is: open_commit() is the id of one that may never come.
    if (found.again) return wait(context, lookup, place, context.log.open_commit() - 1);
    if (one.target == largest_timestamp) {
        if (found.offset < 0) return;
        one.probe = one.above = found.timestamp;
        return look_up(context, one, place, lookup);
    }
    one.offset = found.offset;
    one.timestamp = found.timestamp;
    one.leader_epoch = found.leader_epoch;
}

void ParkedLookups::wait(Context& context, Lookup& lookup, const Place& place,
                         log::CommitId commit) {
    ++lookup.open;
    context.commits.when(commit, [this, &context, place](Instant now, WallTime, Commits::End end) {
        context.now = now;
        const auto at = all_.find(place.lookup);
        if (at == all_.end()) return;
        Lookup& mine = *at->second;
        --mine.open;
        LookedUp& one = mine.topics[place.topic].partitions[place.partition];
        if (end == Commits::End::durable || one.target != largest_timestamp)
            resolve(context, place.lookup, mine, place.topic, place.partition);
        else
            one.error = ErrorCode::kafka_storage_error;
        finish_if_done(context, place.lookup);
    });
}

void ParkedLookups::look_up(Context& context, LookedUp& one, const Place& place, Lookup& lookup) {
    const auto ticket = context.log.start_find_time(context.now, one.stream, one.probe);
    if (!ticket) {
        one.error = ticket.error() == Error::not_found ? ErrorCode::unknown_topic_or_partition
                                                       : ErrorCode::kafka_storage_error;
        return;
    }
    reads_.emplace(*ticket, place);
    ++lookup.open;
}

bool ParkedLookups::on_found(Context& context, const log::TimeDone& done) {
    const auto at = reads_.find(done.ticket);
    if (at == reads_.end()) return false;
    const Place place = at->second;
    reads_.erase(at);
    const auto lookup = all_.find(place.lookup);
    if (lookup == all_.end()) return true;
    LookedUp& one = lookup->second->topics[place.topic].partitions[place.partition];
    if (done.found) {
        one.offset = done.found->offset;
        one.timestamp = done.found->timestamp;
        one.leader_epoch = context.topics.registry.epochs.at(one.stream, one.offset);
    } else if (done.found.error() != Error::not_found) {
        one.error = ErrorCode::kafka_storage_error;
    } else {
        one.above = one.probe;
    }
    --lookup->second->open;
    if (one.target == largest_timestamp && one.error == ErrorCode::none &&
        one.timestamp < one.above - 1) {
        one.probe = std::midpoint(one.timestamp, one.above);
        look_up(context, one, place, *lookup->second);
    }
    finish_if_done(context, place.lookup);
    return true;
}

void ParkedLookups::finish_if_done(Context& context, std::uint64_t id) {
    const auto at = all_.find(id);
    if (at == all_.end() || at->second->open > 0) return;
    std::unique_ptr<Lookup> lookup = std::move(at->second);
    all_.erase(at);
    using Response = wire::ListOffsetsResponse;
    using Partition = Response::ListOffsetsPartitionResponse;
    std::vector<Response::ListOffsetsTopicResponse> topics;
    std::vector<Partition> partitions;  // of all topics
    std::size_t count = 0;
    for (const LookupTopic& from : lookup->topics) count += from.partitions.size();
    topics.reserve(lookup->topics.size());
    partitions.reserve(count);
    for (const LookupTopic& asked : lookup->topics) {
        const std::size_t begin = partitions.size();
        for (const LookedUp& from : asked.partitions) {
            Partition& to = partitions.emplace_back();
            to.partition_index = from.partition;
            to.error_code = from.error;
            to.timestamp = from.timestamp;
            to.offset = from.offset;
            to.leader_epoch = from.leader_epoch;
        }
        Response::ListOffsetsTopicResponse& topic = topics.emplace_back();
        topic.name = asked.name;
        topic.partitions = std::span<const Partition>(partitions).subspan(begin);
    }
    Response response;
    response.topics = topics;
    answer(context, lookup->address, response);
}

}  // namespace leat::api
