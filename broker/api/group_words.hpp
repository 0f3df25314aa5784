// Small things that the handlers of the group requests share.
#pragma once

#include <algorithm>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "broker/api/answer.hpp"
#include "broker/api/commits.hpp"
#include "broker/api/operations.hpp"
#include "broker/api/parked_groups.hpp"

namespace leat::api {

inline std::optional<std::string_view> optional_view(const wire::StringView& text) {
    if (text.is_null()) return std::nullopt;
    return text.view();
}
inline std::string_view view_or_empty(const wire::StringView& text) {
    return text.is_null() ? std::string_view() : text.view();
}

/// "127.0.0.1:50312" -> "/127.0.0.1", as Kafka's tools show a client.
inline std::string host_of(std::string_view peer) {
    return "/" + std::string(peer.substr(0, peer.rfind(':')));
}

/// One error per partition, in the order of the request: what OffsetCommit and OffsetDelete answer.
class PartitionErrors {
public:
    void topic(std::string_view name, std::size_t partitions, wire::Uuid id = {}) {
        topics_.push_back({std::string(name), id, {}});
        topics_.back().partitions.reserve(partitions);
    }
    /// More of what the one before was asked; `goes_on`: it ended in the topic that this begins
    /// with.
    void append(PartitionErrors more, bool goes_on) {
        auto at = more.topics_.begin();
        if (goes_on) {
            auto& list = topics_.back().partitions;
            list.insert(list.end(), at->partitions.begin(), at->partitions.end());
            ++at;
        }
        topics_.splice(topics_.end(), more.topics_, at, more.topics_.end());
    }
    /// Of the topic named last. One that has an error keeps it.
    void partition(std::int32_t index, wire::ErrorCode error = wire::ErrorCode::none) {
        topics_.back().partitions.emplace_back(index, error);
    }
    void clear() { topics_.clear(); }
    std::size_t topics() const { return topics_.size(); }
    /// each: one per partition without error, or fewer; what it does not tell went well.
    void settle(const std::vector<wire::ErrorCode>& each);
    void settle(wire::ErrorCode error);  ///< the same for all

    /// Hands `send` the topics of a Response. What was to be written and is not durable is answered
    /// COORDINATOR_NOT_AVAILABLE: the client asks again.
    template <class Topic, class Partition, class Send>
    void with_topics(bool durable, Send send) const {
        std::vector<Topic> topics;
        std::vector<Partition> partitions;  // of all topics
        std::size_t count = 0;
        for (const auto& from : topics_) count += from.partitions.size();
        topics.reserve(topics_.size());
        partitions.reserve(count);
        for (const auto& from : topics_) {
            const std::size_t begin = partitions.size();
            for (const auto& [index, error] : from.partitions) {
                auto& one = partitions.emplace_back();
                one.partition_index = index;
                one.error_code = error == wire::ErrorCode::none && !durable
                                     ? wire::ErrorCode::coordinator_not_available
                                     : error;
            }
            auto& topic = topics.emplace_back();
            topic.name = from.name;
            if constexpr (requires { topic.topic_id; }) topic.topic_id = from.id;
            topic.partitions = std::span<const Partition>(partitions).subspan(begin);
        }
        send(topics);
    }

    /// The same of one topic, the first, which goes with that. false: there is none.
    template <class Topic, class Partition, class Send>
    bool take_topic(bool durable, Send send) {
        if (topics_.empty()) return false;
        PartitionErrors one;
        one.topics_.splice(one.topics_.end(), topics_, topics_.begin());
        one.with_topics<Topic, Partition>(durable,
                                          [&](const auto& list) { send(list.front()); });
        return true;
    }

private:
    struct Topic {
        std::string name;
        wire::Uuid id;
        std::vector<std::pair<std::int32_t, wire::ErrorCode>> partitions;
    };
    std::list<Topic> topics_;
};

inline void PartitionErrors::settle(const std::vector<wire::ErrorCode>& each) {
    std::size_t at = 0;
    for (Topic& topic : topics_)
        for (auto& [index, error] : topic.partitions)
            if (at < each.size() && error == wire::ErrorCode::none) error = each[at++];
}

inline void PartitionErrors::settle(wire::ErrorCode all) {
    for (Topic& topic : topics_)
        for (auto& [index, error] : topic.partitions)
            if (error == wire::ErrorCode::none) error = all;
}

/// What a run of such a request has come to. more: the rest is run in its next turn.
struct Ran {
    Ran(groups::Groups::Written so_far, bool more_comes = false)
        : written(std::move(so_far)), more(more_comes) {}
    groups::Groups::Written written;
    bool more;
};

/// A request that writes facts of groups: it runs, and its answer waits for the commit. When the
/// log takes no more before its next commit it runs once more after that: what it has written by
/// then is found unchanged. A long one runs some at a time, and the connection's next request waits
/// until all of it has run.
///
/// What: run(Context&, ByteView body) -> std::optional<Ran> or of Written, which keeps what the
///       answer needs; not set: malformed, which it says the first time or never;
///       send(Context&, Address&, bool durable).
template <class What>
struct GroupWrite {
    What what;
    Address address;
    session::Buffer frame;  ///< so that the body's views outlive the call
    ByteView body;
    log::CommitId commit = 0;  ///< of what was written so far; 0: there is nothing to wait for
    bool lost = false;         ///< some of that was given up

    /// The log is done with `upto`. What it gave up, it gave up with all that came after it, and
    /// none of that ever becomes durable.
    void ended(log::CommitId upto, Commits::End end) {
        if (end != Commits::End::given_up || commit < upto) return;
        lost = true;
        commit = 0;
    }
};

/// Shared with the copyable functions that wait; in the end they are the only owners.
template <class What>
void write_groups(Context& context, std::shared_ptr<GroupWrite<What>> write) {
    const std::optional<Ran> ran = write->what.run(context, write->body);
    if (!ran) return write->address.reply.close(session::CloseReason::malformed_request);
    const auto go_on = [&context, write](Instant now, WallTime wall) {
        context.now = now;
        context.wall = wall;
        write_groups(context, write);
    };
    const log::CommitId flushed = context.log.flushed_commit();
    write->commit = std::max(write->commit, ran->written.commit);
    if (ran->written.again || ran->more) {
        write->address.reply.hold_session();
        if (ran->written.commit > flushed)
            context.commits.when(ran->written.commit, [write, upto = ran->written.commit](
                                                          Instant, WallTime, Commits::End end) {
                write->ended(upto, end);
            });
    }
    if (ran->written.again) {
        context.log.flush_soon(context.now);
        // The next one to become durable makes room. Not open_commit(): in the log that is the id
        // of an append that nobody may ever make, and this one would wait for it for ever.
        const log::CommitId next = flushed + 1;
        return context.commits.when(
            next, [write, go_on, next](Instant now, WallTime wall, Commits::End end) {
                write->ended(next, end);  // it comes before that of a later commit
                go_on(now, wall);
            });
    }
    if (ran->more) return context.turns.next(go_on);
    write->address.reply.release_session();
    if (write->commit <= flushed)
        return write->what.send(context, write->address, !write->lost);
    context.commits.when(
        write->commit, [&context, write](Instant now, WallTime wall, Commits::End end) {
            context.now = now;
            context.wall = wall;
            write->what.send(context, write->address,
                             end == Commits::End::durable && !write->lost);
        });
}

template <class What>
void write_groups(Context& context, Call call, What what) {
    const auto head = static_cast<std::size_t>(call.body.data() - call.request.frame().data());
    auto write = std::make_shared<GroupWrite<What>>();
    write->what = std::move(what);
    write->frame = call.request.keep();
    write->body = call.request.frame().subspan(head, call.body.size());
    write->address = address_of(call);
    write_groups(context, std::move(write));
}

}  // namespace leat::api
