// The Router's routes: which queue and which fetch position belongs to which broker, as metadata
// says.
#include <algorithm>

#include "sdk/cluster/router.hpp"
#include "sdk/cluster/router_link.hpp"

namespace leat::cluster {

// ---- queues

void Router::route(Instant now, client::PartitionQueue& queue) {
    std::unique_ptr<QueueRoute>& route = queues_[&queue];
    LEAT_CHECK(!route || route->leaving);
    if (route) {
        route->leaving = false;  // on its way out, and wanted again
        return;
    }
    route = std::make_unique<QueueRoute>();
    route->queue = &queue;
    metadata_.want(now, queue.topic());
    expire_at_ = earlier(expire_at_, now);
    place(now, *route);
}

void Router::unroute(Instant now, client::PartitionQueue& queue) {
    const auto found = queues_.find(&queue);
    LEAT_CHECK(found != queues_.end());
    QueueRoute& route = *found->second;
    route.leaving = true;
    if (!route.lent_to) {
        end_queue_route(route);
    } else if (!route.recalled) {
        route.recalled = true;
        route.lent_to->sender->recall(queue);
        pump(now);
    }
}

void Router::end_queue_route(QueueRoute& route) {
    RouterEvent event;
    event.kind = RouterEvent::Kind::queue_returned;
    event.queue = route.queue;
    tell(std::move(event));
    metadata_.forget(route.queue->topic());
    queues_.erase(route.queue);
}

/// Lends the queue to its leader. Away from an old leader it goes only when nothing of it is in
/// flight there, so that two brokers never hold batches of one queue at the same time.
void Router::place(Instant now, QueueRoute& route) {
    if (route.leaving) return;
    const std::int32_t leader = metadata_.leader(route.queue->topic(), route.queue->partition());
    Link* target = link_to(leader);
    // While a leader is being elected the old one keeps the queue: it may well win.
    if (!target || target == route.lent_to) return;
    if (route.lent_to) {
        if (!route.recalled) {
            route.recalled = true;
            route.lent_to->sender->recall(*route.queue);
        }
        return;
    }
    if (!target->sender)
        target->sender = std::make_unique<client::Sender>(
            target->connection, identity_, config_.sender, owner_sender, jitter_.next());
    route.lent_to = target;
    route.recalled = false;
    ++target->queues;
    target->sender->lend(now, *route.queue);
}

/// A queue without a leader has no Sender that gives up what is too old.
void Router::expire_unlent(Instant now) {
    expire_at_ = never;
    if (config_.sender.delivery_timeout.count() == 0) return;
    for (const auto& [queue, route] : queues_)
        if (!route->lent_to)
            expire_at_ = earlier(expire_at_, queue->expire(now, config_.sender.delivery_timeout));
    // A batch may be appended after we looked; it cannot be due before this.
    const bool some_unlent = std::any_of(queues_.begin(), queues_.end(),
                                         [](const auto& entry) { return !entry.second->lent_to; });
    if (some_unlent) expire_at_ = earlier(expire_at_, now + config_.sender.delivery_timeout);
}

/// Returns whether there was anything.
bool Router::drain_sender(Instant now, Link& link) {
    for (bool any = false;; any = true) {
        const auto event =
            link.sender ? link.sender->poll_event() : std::optional<client::SenderEvent>();
        if (!event) return any;
        switch (event->kind) {
            case client::SenderEvent::Kind::leader_unknown:
                metadata_.refresh(now);
                break;
            case client::SenderEvent::Kind::producer_refused: {
                RouterEvent told;
                told.kind = RouterEvent::Kind::producer_refused;
                told.broker = link.node;
                told.error = event->error;
                tell(std::move(told));
                break;
            }
            case client::SenderEvent::Kind::returned: {
                const auto found = queues_.find(event->queue);
                if (found == queues_.end()) break;
                QueueRoute& route = *found->second;
                --link.queues;
                route.lent_to = nullptr;
                route.recalled = false;
                if (route.leaving) {
                    end_queue_route(route);
                } else {
                    expire_at_ = earlier(expire_at_, now);
                    place(now, route);
                }
                break;
            }
        }
    }
}

// ---- partitions that are read

void Router::route(Instant now, client::FetchPartition& partition) {
    std::unique_ptr<FetchRoute>& route = fetches_[&partition];
    LEAT_CHECK(!route);
    route = std::make_unique<FetchRoute>();
    route->partition = &partition;
    metadata_.want(now, partition.topic, partition.partition);
    place(now, *route);
}

void Router::unroute(client::FetchPartition& partition) {
    const auto found = fetches_.find(&partition);
    LEAT_CHECK(found != fetches_.end());
    if (Link* link = found->second->at) {
        link->fetcher->unassign(partition);
        --link->fetches;
    }
    metadata_.forget(partition.topic);
    fetches_.erase(found);
    // What was told of it and not yet drained would name what its owner may destroy now.
    std::erase_if(events_, [&](const RouterEvent& event) {
        return event.kind == RouterEvent::Kind::fetch && event.fetch.partition == &partition;
    });
}

void Router::place(Instant, FetchRoute& route) {
    client::FetchPartition& partition = *route.partition;
    Link* target = link_to(metadata_.leader(partition.topic, partition.partition));
    if (!target) return;
    const std::int32_t epoch = metadata_.leader_epoch(partition.topic, partition.partition);
    if (target == route.at) {
        if (epoch != partition.leader_epoch) target->fetcher->lead(partition, epoch);
        return;
    }
    if (route.at) {
        route.at->fetcher->unassign(partition);
        --route.at->fetches;
    }
    if (!target->fetcher) {
        // The answer has to fit with its heads; a batch longer than bytes_max makes the memory grow
        // again.
        grow_receive(*target, std::size_t{config_.fetcher.bytes_max} + 64 * 1024);
        target->prefetch.emplace_back(config_.prefetch_bytes);
        target->runs.resize(256);
        target->fetcher = std::make_unique<client::Fetcher>(
            target->connection, client::Fetcher::Memory{target->prefetch.back(), target->runs},
            config_.fetcher, owner_fetcher, jitter_.next(), decompressor_);
    }
    route.at = target;
    ++target->fetches;
    partition.leader_epoch = epoch;
    target->fetcher->assign(partition);
}

namespace {
void start_over(client::FetchPartition& partition) {  // it may have stood still
    partition.not_before = {};
    partition.news = client::FetchNews::nothing;
    partition.position_epoch = -1;
}
}  // namespace

void Router::seek(Instant now, client::FetchPartition& partition, std::int64_t offset,
                  std::int32_t leader_epoch) {
    const auto found = fetches_.find(&partition);
    LEAT_CHECK(found != fetches_.end());
    if (Link* link = found->second->at) {
        link->fetcher->seek(partition, offset, leader_epoch);
        pump(now);
        return;
    }
    start_over(partition);
    partition.position = partition.fetch_offset = offset;
    partition.position_epoch = leader_epoch;
}

void Router::seek_to_time(Instant now, client::FetchPartition& partition, std::int64_t timestamp) {
    const auto found = fetches_.find(&partition);
    LEAT_CHECK(found != fetches_.end());
    if (Link* link = found->second->at) {
        link->fetcher->seek_to_time(partition, timestamp);
        pump(now);
        return;
    }
    start_over(partition);
    partition.position = partition.fetch_offset = -1;
    partition.lookup = timestamp;
}

void Router::pause(client::FetchPartition& partition, bool paused) {
    const auto found = fetches_.find(&partition);
    LEAT_CHECK(found != fetches_.end());
    if (Link* link = found->second->at) {
        link->fetcher->pause(partition, paused);
    } else {
        partition.paused = paused;
    }
}

std::optional<client::FetchedRecord> Router::next_record(Instant now) {
    // Stays with one broker until nothing more of it is here, then goes on to the next: all get
    // their turn.
    const auto start = links_.lower_bound(fetch_turn_);
    auto at = start;
    for (std::size_t step = 0; step <= links_.size(); ++step) {
        if (at == links_.end()) at = links_.begin();
        if (at == links_.end()) return std::nullopt;
        if (at->second->fetcher) {
            if (std::optional<client::FetchedRecord> record = at->second->fetcher->next(now)) {
                fetch_turn_ = at->first;
                return record;
            }
        }
        ++at;
    }
    return std::nullopt;
}

/// One batch is longer than the memory for answers, or than the one for what was fetched: brings
/// more of it, if there may be more. An expanded batch above its bound is refused for good.
bool Router::make_room(Link& link, wire::ErrorCode error) {
    if (error == wire::ErrorCode::none) {
        if (link.receive.size() >= config_.receive_bytes_max) return false;
        grow_receive(link, std::size_t{4} * link.receive.size());
        return true;
    }
    const std::size_t size =
        std::min<std::size_t>(4 * link.prefetch.back().size(), config_.receive_bytes_max);
    if (error != wire::ErrorCode::message_too_large || size <= link.prefetch.back().size())
        return false;
    link.prefetch.emplace_back(size);
    link.fetcher->use_prefetch_memory(link.prefetch.back());
    return true;
}

bool Router::drain_fetcher(Instant now, Link& link) {
    for (bool any = false;; any = true) {
        const auto event =
            link.fetcher ? link.fetcher->poll_event() : std::optional<client::FetcherEvent>();
        if (!event) return any;
        if (event->kind == client::FetcherEvent::Kind::leader_unknown) {
            metadata_.refresh(now);
            continue;
        }
        if (event->kind == client::FetcherEvent::Kind::too_large && event->partition &&
            make_room(link, event->error)) {
            link.fetcher->fetch_again(*event->partition);
            continue;
        }
        RouterEvent told;
        told.kind = RouterEvent::Kind::fetch;
        told.broker = link.node;
        told.error = event->error;
        told.fetch = *event;
        if (event->partition) told.topic = event->partition->topic;
        tell(std::move(told));
    }
}

// ---- metadata

void Router::ask_metadata(Instant now) {
    const Instant due = metadata_.ask_at();
    ask_waits_ = false;
    if (due > now) return;
    Link* link = ask_bootstrap_ ? pick_bootstrap(now) : pick_any(now);
    ask_waits_ = true;
    if (!link) return;
    if (!link->is_ready()) {
        connect(now, *link);
        return;
    }
    MetadataAsk ask;
    metadata_.fill(ask);
    std::int16_t version = link->connection.version(wire::ApiKey::metadata, -1);
    // Brokers that stop there (before Kafka 2.4) may tell leader epochs that they made up while the
    // cluster was being upgraded (KAFKA-9212): without them nothing is checked against a wrong one.
    if (version == 7 || version == 8) version = 6;
    if (version < 0) {
        // It says that it does not know who leads what: no broker, or a garbled first answer.
        // Another one is asked, and this one again after its back-off.
        link->connection.on_disconnected(now, Error::unsupported);
        return drain(now, *link);
    }
    client::RequestOptions options;
    options.owner = owner_metadata;
    options.timeout = config_.request_timeout;
    Status sent = link->connection.send(now, ask.request, version, options);
    if (!sent && sent.error() == Error::too_large && version > 0) {
        // More names than a question can hold: all topics are asked for.
        ask.request.topics = nullptr;
        sent = link->connection.send(now, ask.request, version, options);
    }
    if (sent) {
        ask_waits_ = ask_bootstrap_ = false;
        metadata_.on_asked(ask);
    } else if (sent.error() != Error::would_block) {
        ask_waits_ = false;
        metadata_.on_ask_failed(now);
    }
}

void Router::on_metadata(Instant now, const client::Event& event) {
    if (event.kind != client::Event::Kind::response) {
        metadata_.on_ask_failed(now);
        return;
    }
    const auto answer = wire::decode<wire::MetadataResponse>(event.body, event.api_version);
    if (!answer) {
        metadata_.on_ask_failed(now);
        return;
    }
    for (const auto& topic : answer->topics) {
        if (topic.error_code == wire::ErrorCode::none || topic.name.is_null()) continue;
        RouterEvent told;
        told.kind = RouterEvent::Kind::topic_error;
        told.topic = topic.name.view();
        told.error = topic.error_code;
        tell(std::move(told));
    }
    // The routes follow in pump(), when no connection is in the middle of its events.
    (void)metadata_.on_answer(now, *answer);
}

void Router::place_all(Instant now) {
    placed_version_ = metadata_.version();
    adopt_bootstrap();
    for (const auto& [queue, route] : queues_) place(now, *route);
    for (const auto& [partition, route] : fetches_) place(now, *route);
    RouterEvent told;
    told.kind = RouterEvent::Kind::metadata_changed;
    tell(std::move(told));
}

void Router::pump(Instant now) {
    if (pumping_) return;
    pumping_ = true;
    if (placed_version_ != metadata_.version()) place_all(now);
    for (std::size_t i = 0; i < requesters_.size(); ++i) requesters_[i]->pump(now, *this);
    // A queue that one broker gave back goes to another that may have had its turn already.
    // Bounded: a broker that makes us go round in circles gets on at the next event.
    constexpr int rounds_max = 8;
    bool again = true;
    for (int round = 0; again && round < rounds_max; ++round) {
        again = false;
        std::vector<Link*> links;
        for (const auto& [node, link] : links_) links.push_back(link.get());
        for (Link* link : links) {
            // Without a connection, too: what waits there shall be seen to expire.
            if (link->sender) link->sender->pump(now);
            if (link->is_ready()) {
                if (link->fetcher) link->fetcher->pump(now);
                drain(now, *link);
            }
            again |= drain_sender(now, *link);
            again |= drain_fetcher(now, *link);
        }
    }
    ask_metadata(now);
    tidy_links(now);
    connect_needed(now);
    pumping_ = false;
}

}  // namespace leat::cluster
