#include "broker/api/fetch_in_session.hpp"

#include <algorithm>

#include "broker/api/asked_topic.hpp"

namespace leat::api {
namespace {

using wire::ErrorCode;
using Session = FetchSessions::Session;

std::string_view key_of(bool by_id, const wire::StringView& name, const wire::Uuid& id) {
    if (!by_id) return name.view();
    return {reinterpret_cast<const char*>(id.bytes.data()), id.bytes.size()};
}
std::string_view key_of(bool by_id, const FetchedTopic& topic) {
    return key_of(by_id, wire::StringView(topic.name), topic.id);
}
FetchedTopic topic_of(bool by_id, std::string_view key) {
    FetchedTopic topic;
    if (by_id)
        std::copy(key.begin(), key.end(), topic.id.bytes.begin());
    else
        topic.name = key;
    return topic;
}

void update(Context& context, const wire::FetchRequest& request, Session& session) {
    for (const auto& topic : request.topics)
        for (const auto& asked : topic.partitions) {
            FetchSessions::Partition one;
            one.partition = asked.partition;
            one.bytes_max = static_cast<std::uint32_t>(std::max(asked.partition_max_bytes, 0));
            one.leader_epoch = asked.current_leader_epoch;
            one.last_epoch = asked.last_fetched_epoch;
            one.offset = asked.fetch_offset;
            context.fetch_sessions.put(session, key_of(session.by_id, topic.topic, topic.topic_id),
                                       one);
        }
}

void add(const Context& context, std::uint32_t topic, const topics::Topic* found, bool by_id,
         FetchSessions::Partition& from, Fetching& fetching) {
    FetchedPartition& one = fetching.partitions.emplace_back();
    one.partition = from.partition;
    one.topic = topic;
    one.leader_epoch = from.leader_epoch;
    one.last_epoch = from.last_epoch;
    one.offset = from.offset;
    one.bytes_max = from.bytes_max;
    one.told_high = from.told_high;
    one.told_start = from.told_start;
    one.stream = from.stream;
    if (one.stream == 0) find_asked(found, by_id, one);
    from.stream = one.stream;
    check_epochs(context.topics.registry.epochs, one);
}

// All partitions of the session, from the one whose turn it is.
void collect(const Context& context, Session& session, Fetching& fetching) {
    const topics::Registry& registry = context.topics.registry;
    const bool looked_up = session.changes == registry.changes();
    session.changes = registry.changes();
    fetching.topics.reserve(session.topics.size());
    fetching.partitions.reserve(session.partitions);
    std::size_t turn = 0;
    for (auto& [key, topic] : session.topics) {
        const FetchedTopic& mine = fetching.topics.emplace_back(topic_of(session.by_id, key));
        // By id or name only if somebody has to be found.
        const bool all_known =
            looked_up && std::all_of(topic.partitions.begin(), topic.partitions.end(),
                                     [](const auto& one) { return one.stream != 0; });
        const topics::Topic* found =
            all_known ? nullptr
                      : asked_topic(registry, session.by_id, wire::StringView(mine.name), mine.id);
        for (FetchSessions::Partition& partition : topic.partitions) {
            if (!looked_up) partition.stream = 0;
            if (key < session.first_topic ||
                (key == session.first_topic && partition.partition < session.first_partition))
                ++turn;
            add(context, static_cast<std::uint32_t>(fetching.topics.size() - 1), found,
                session.by_id, partition, fetching);
        }
    }
    if (turn < fetching.partitions.size())
        std::rotate(fetching.partitions.begin(),
                    fetching.partitions.begin() + static_cast<std::ptrdiff_t>(turn),
                    fetching.partitions.end());
}

// Who was left out because the answer was full is first in the next one.
void pass_turn(const Fetching& fetching, Session& session) {
    for (const std::uint32_t index : fetching.chosen) {
        const FetchedPartition& one = fetching.partitions[index];
        if (!one.readable() || one.size > 0) continue;
        session.first_topic = key_of(session.by_id, fetching.topics[one.topic]);
        session.first_partition = one.partition;
        return;
    }
}

void begin(Context& context, Fetching& fetching) {
    FetchSessions::Plan plan{.by_id = fetching.address.version >= fetch_topic_ids_since,
                             .partitions = fetching.partitions.size(),
                             .topics = fetching.topics.size()};
    if (plan.partitions == 0) return;
    for (const FetchedTopic& topic : fetching.topics)
        plan.topic_key_bytes += key_of(plan.by_id, topic).size();
    Session* session = context.fetch_sessions.begin(context.now, plan);
    if (session == nullptr) return;
    for (const FetchedPartition& from : fetching.partitions) {
        FetchSessions::Partition one;
        one.partition = from.partition;
        one.bytes_max = from.bytes_max;
        one.leader_epoch = from.leader_epoch;
        one.last_epoch = from.last_epoch;
        one.offset = from.offset;
        if (from.error == ErrorCode::none) {
            one.told_high = from.high_watermark;
            one.told_start = from.log_start;
        }
        context.fetch_sessions.put(*session, key_of(plan.by_id, fetching.topics[from.topic]), one);
    }
    pass_turn(fetching, *session);
    const std::int32_t id = session->id;
    if (context.fetch_sessions.settle(context.now, *session)) fetching.session_id = id;
}

}  // namespace

void find_asked(const topics::Topic* topic, bool by_id, FetchedPartition& one) {
    if (topic == nullptr)
        one.error = unknown_topic(by_id);
    else if (!topic->has(one.partition))
        one.error = ErrorCode::unknown_topic_or_partition;
    else
        one.stream = topic->partitions[static_cast<std::size_t>(one.partition)];
}

void check_epochs(const topics::LeaderEpochs& epochs, FetchedPartition& one) {
    if (one.stream == 0) return;
    one.error = epochs.check(one.leader_epoch);
    if (one.error == ErrorCode::none && one.last_epoch >= 0) {
        const auto end = epochs.end_of(one.stream, one.last_epoch);
        if (end.end < 0)
            one.error = ErrorCode::offset_out_of_range;
        else if (end.end < one.offset || (end.epoch < one.last_epoch && !end.merged))
            one.diverging = {end.epoch, end.end};
    }
    if (one.error != ErrorCode::none) one.stream = 0;
}

ErrorCode continue_session(Context& context, const wire::FetchRequest& request, bool by_id,
                           Fetching& fetching) {
    Session* session = context.fetch_sessions.find(request.session_id);
    if (session == nullptr) return ErrorCode::fetch_session_id_not_found;
    if (session->epoch != request.session_epoch) return ErrorCode::invalid_fetch_session_epoch;
    if (session->by_id != by_id) return ErrorCode::fetch_session_topic_id_error;
    session->used = context.now;
    update(context, request, *session);
    if (!context.fetch_sessions.settle(context.now, *session))
        return ErrorCode::fetch_session_id_not_found;
    for (const auto& topic : request.forgotten_topics_data)
        for (const std::int32_t partition : topic.partitions)
            context.fetch_sessions.forget(*session, key_of(by_id, topic.topic, topic.topic_id),
                                          partition);
    (void)context.fetch_sessions.settle(context.now, *session);  // smaller than before
    if (session->partitions == 0) {
        context.fetch_sessions.remove(session->id);
        return ErrorCode::none;
    }
    session->epoch = next_session_epoch(session->epoch);
    // The request before this one will be answered with an error when its turn comes. It comes
    // now: of one session one request at most costs memory.
    context.fetches.finish(context, session->running);
    fetching.in_session = Fetching::InSession::continues;
    fetching.session_id = session->id;
    fetching.session_epoch = session->epoch;
    collect(context, *session, fetching);
    return ErrorCode::none;
}

ErrorCode answer_in_session(Context& context, Fetching& fetching) {
    if (fetching.in_session == Fetching::InSession::begins) begin(context, fetching);
    if (fetching.in_session != Fetching::InSession::continues) return ErrorCode::none;
    // Evicted or closed meanwhile: this answer still holds, the next request learns it.
    Session* session = context.fetch_sessions.find(fetching.session_id);
    if (session != nullptr && session->epoch != fetching.session_epoch)
        return ErrorCode::invalid_fetch_session_epoch;
    if (session != nullptr) pass_turn(fetching, *session);
    std::erase_if(fetching.chosen,
                  [&fetching](std::uint32_t index) { return !fetching.partitions[index].news(); });
    if (session == nullptr) return ErrorCode::none;
    for (const std::uint32_t index : fetching.chosen) {
        const FetchedPartition& one = fetching.partitions[index];
        FetchSessions::Partition* mine = FetchSessions::find(
            *session, key_of(session->by_id, fetching.topics[one.topic]), one.partition);
        if (mine == nullptr) continue;
        // After an error it is told again, whatever it is then.
        mine->told_high = one.error == ErrorCode::none ? one.high_watermark : -1;
        mine->told_start = one.error == ErrorCode::none ? one.log_start : -1;
    }
    return ErrorCode::none;
}

}  // namespace leat::api
