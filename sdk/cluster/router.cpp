// The Router's links: opening, losing and choosing connections. Requests of others stand in
// router_requests.cpp, routes and metadata in
// router_routes.cpp.
#include "sdk/cluster/router.hpp"

#include <algorithm>

#include "sdk/cluster/router_link.hpp"

namespace leat::cluster {

Router::Router(RouterConfig config, client::BatchDecompressor* decompressor)
    : config_(std::move(config)),
      metadata_(config_.metadata),
      decompressor_(decompressor),
      jitter_(config_.seed) {
    LEAT_CHECK(!config_.bootstrap.empty());
}

Router::~Router() = default;

// ---- ask

std::size_t Router::connected_count() const {
    return static_cast<std::size_t>(std::count_if(
        links_.begin(), links_.end(), [](const auto& entry) { return entry.second->is_ready(); }));
}

bool Router::is_connected(std::int32_t broker) const {
    const auto found = links_.find(broker);
    return found != links_.end() && found->second->is_ready();
}

Instant Router::deadline() const {
    Instant first = expire_at_;
    const auto may_be_asked = [this](std::int32_t node) {
        return !ask_bootstrap_ || is_bootstrap(node);
    };
    const bool none_active = std::all_of(links_.begin(), links_.end(), [&](const auto& entry) {
        return entry.second->state == Link::State::down || !may_be_asked(entry.first);
    });
    for (const auto& [node, link] : links_) {
        if (link->state == Link::State::connecting) first = earlier(first, link->connect_deadline);
        if (link->state == Link::State::open) first = earlier(first, link->connection.deadline());
        if (link->sender) first = earlier(first, link->sender->deadline());
        if (link->fetcher && link->is_ready()) first = earlier(first, link->fetcher->deadline());
        const bool awaited = (ask_waits_ && none_active && may_be_asked(node)) ||
                             link->queues > 0 || link->fetches > 0 ||
                             link->wanted_until > link->not_before;
        if (link->state == Link::State::down && awaited) first = earlier(first, link->not_before);
    }
    // A question that finds no connection waits for one; asking for the time again would spin.
    if (!ask_waits_) first = earlier(first, metadata_.ask_at());
    for (const Requester* requester : requesters_) first = earlier(first, requester->deadline());
    return first;
}

// ---- tell

Router::Link* Router::find(LinkId id) const {
    for (const auto& [node, link] : links_)
        if (link->id == id && id != 0) return link.get();
    return nullptr;
}

void Router::link_opened(Instant now, LinkId id) {
    Link* link = find(id);
    if (!link || link->state != Link::State::connecting) return;
    link->state = Link::State::open;
    link->connect_deadline = never;
    link->connection.on_connected(now);
    drain(now, *link);
    pump(now);
}

void Router::link_received(Instant now, LinkId id, ByteView bytes) {
    for (Link* link = find(id); link && link->id == id && link->state == Link::State::open;) {
        const std::size_t taken = link->connection.on_bytes(now, bytes);
        bytes = bytes.subspan(taken);
        drain(now, *link);
        if (bytes.empty()) break;
        if (taken == 0 && link->connection.receive_room().empty()) {
            // Cannot happen while the connection skips what is too long; a peer must not make it a
            // loop.
            link->connection.on_disconnected(now, Error::malformed);
            drain(now, *link);
        }
    }
    pump(now);
}

void Router::link_sent(Instant now, LinkId id, std::size_t count) {
    Link* link = find(id);
    if (!link || link->state != Link::State::open) return;
    link->connection.on_written(now, count);
    drain(now, *link);
    pump(now);
}

void Router::link_closed(Instant now, LinkId id, Error why) {
    Link* link = find(id);
    if (!link) return;
    link->pipe_is_gone = true;
    if (link->state == Link::State::connecting) {
        on_link_down(now, *link, why);
    } else {
        link->connection.on_disconnected(now, why);
        drain(now, *link);
    }
    pump(now);
}

void Router::on_deadline(Instant now) {
    std::vector<Link*> due;
    for (const auto& [node, link] : links_) due.push_back(link.get());
    for (Link* link : due) {
        if (link->state == Link::State::connecting && link->connect_deadline <= now)
            on_link_down(now, *link, Error::timed_out);
        if (link->state == Link::State::open && link->connection.deadline() <= now) {
            link->connection.on_deadline(now);
            drain(now, *link);
        }
        if (link->sender && link->sender->deadline() <= now) link->sender->on_deadline(now);
        if (link->fetcher && link->is_ready() && link->fetcher->deadline() <= now)
            link->fetcher->on_deadline(now);
    }
    if (expire_at_ <= now) expire_unlent(now);
    pump(now);
}

// ---- links

Router::Link& Router::make_link(std::int32_t node, const Endpoint& endpoint) {
    std::unique_ptr<Link>& link = links_[node];
    if (!link) link = std::make_unique<Link>(node, endpoint, config_);
    return *link;
}

/// Null while Metadata does not know such a broker.
Router::Link* Router::link_to(std::int32_t broker) {
    const Endpoint* endpoint = metadata_.broker(broker);
    return endpoint ? &make_link(broker, *endpoint) : nullptr;
}

/// A connection that answers now, the one with the least to do.
Router::Link* Router::pick_ready() {
    Link* best = nullptr;
    for (const auto& [node, link] : links_)
        if (link->is_ready() && !is_coordinator(node) &&
            (!best || link->connection.in_flight_count() < best->connection.in_flight_count()))
            best = link.get();
    return best;
}

/// Any broker: one that is connected, else one that is being connected, else the next that may be
/// tried. Bootstrap addresses come in when every known broker is in its back-off: the whole cluster
/// may have moved.
Router::Link* Router::pick_any(Instant now) {
    if (Link* ready = pick_ready()) return ready;
    for (const auto& [node, link] : links_)
        if (link->state != Link::State::down && !is_coordinator(node)) return link.get();
    std::vector<Link*> able;
    for (const auto& [node, endpoint] : metadata_.brokers()) {
        Link& link = make_link(node, endpoint);
        if (link.not_before <= now) able.push_back(&link);
    }
    return able.empty() ? pick_bootstrap(now) : able[turn_++ % able.size()];
}

/// Null: all are in their back-off.
Router::Link* Router::pick_bootstrap(Instant now) {
    std::vector<Link*> able;
    for (std::size_t i = 0; i < config_.bootstrap.size(); ++i) {
        Link& link = make_link(bootstrap_node(i), config_.bootstrap[i]);
        if (link.state != Link::State::down) return &link;
        if (link.not_before <= now) able.push_back(&link);
    }
    return able.empty() ? nullptr : able[turn_++ % able.size()];
}

void Router::connect(Instant now, Link& link) {
    if (link.state != Link::State::down || link.not_before > now) return;
    link.id = next_link_++;
    link.state = Link::State::connecting;
    link.connect_deadline = now + config_.connect_timeout;
    link.pipe_is_gone = link.was_ready = link.write_told = false;
    actions_.push_back(
        {LinkAction::Kind::connect, link.id, link.endpoint.host, link.endpoint.port});
}

/// We end a connection that is well: the broker moved or is not needed any more.
void Router::hang_up(Link& link) {
    if (link.state == Link::State::down) return;
    actions_.push_back({LinkAction::Kind::close, link.id, {}, 0});
    link.id = 0;
    link.state = Link::State::down;
}

void Router::on_link_down(Instant now, Link& link, Error why) {
    if (link.state == Link::State::down) return;
    if (!link.pipe_is_gone) actions_.push_back({LinkAction::Kind::close, link.id, {}, 0});
    RouterEvent event;
    event.kind =
        link.was_ready ? RouterEvent::Kind::disconnected : RouterEvent::Kind::connect_failed;
    event.broker = broker_of(link.node);
    event.endpoint = link.endpoint;
    event.why = why;
    if (link.cut_requests()) event.request_bytes_max = link.request_bytes_max;
    link.id = 0;
    link.state = Link::State::down;
    link.not_before = now + backoff_delay(config_.reconnect, ++link.failures, jitter_);
    // Its partitions may have new leaders by now.
    if (!is_bootstrap(link.node) && (link.queues > 0 || link.fetches > 0)) metadata_.refresh(now);
    tell(std::move(event));
}

void Router::drain(Instant now, Link& link) {
    while (std::optional<client::Event> event = link.connection.poll_event(now))
        dispatch(now, link, *event);
    if (link.wants_growth) {
        link.wants_growth = false;
        grow_receive(link, std::size_t{4} * link.receive.size());
    }
}

void Router::dispatch(Instant now, Link& link, const client::Event& event) {
    using Kind = client::Event::Kind;
    const bool of_produce = event.owner == owner_sender && event.context != nullptr;
    switch (event.kind) {
        case Kind::ready: {
            link.was_ready = true;
            link.produce_is_lost = link.produce_is_answered = false;
            RouterEvent told;
            told.kind = RouterEvent::Kind::connected;
            told.broker = broker_of(link.node);
            told.endpoint = link.endpoint;
            tell(std::move(told));
            if (link.sender) link.sender->on_event(now, event);
            if (link.fetcher) link.fetcher->on_event(now, event);
            return;
        }
        case Kind::closed:
            if (link.sender) link.sender->on_event(now, event);
            if (link.fetcher) link.fetcher->on_event(now, event);
            on_link_down(now, link, event.error);
            return;
        case Kind::response:
            // Not before: one that wants a login answers ApiVersions and hangs up at the next word.
            link.failures = 0;
            if (of_produce) link.on_produce_answer();
            break;
        case Kind::failed:
            if (of_produce && event.error == Error::disconnected) link.produce_is_lost = true;
            break;
        case Kind::written:
            break;
    }
    if (event.kind == Kind::failed && event.error == Error::too_large) link.wants_growth = true;
    if (event.owner == owner_sender && link.sender) link.sender->on_event(now, event);
    if (event.owner == owner_fetcher && link.fetcher) link.fetcher->on_event(now, event);
    if (event.owner == owner_metadata) on_metadata(now, event);
    if (event.owner == owner_letter) {
        const auto letter = letters_.find(reinterpret_cast<std::uintptr_t>(event.context));
        if (letter == letters_.end()) return;  // its sender was removed
        const Letter to = letter->second;
        letters_.erase(letter);
        to.from->on_answer(now, *this, event, to.context);
    }
}

/// Events must be drained. What is in the old memory moves along.
void Router::grow_receive(Link& link, std::size_t at_least) {
    const std::size_t size = std::min<std::size_t>(at_least, config_.receive_bytes_max);
    if (size <= link.receive.size()) return;
    std::vector<std::uint8_t> longer(size);
    link.connection.use_receive_memory(longer);
    link.receive = std::move(longer);
}

bool Router::is_needed(Instant now, const Link& link) const {
    return link.queues > 0 || link.fetches > 0 || link.wanted_until > now;
}

void Router::connect_needed(Instant now) {
    for (const auto& [node, link] : links_) {
        if (link->wanted_until <= now) link->wanted_until = {};
        if (link->state == Link::State::down && is_needed(now, *link)) connect(now, *link);
    }
}

/// Takes the bootstrap connections over under the brokers' own ids, and gives up what nobody needs.
void Router::adopt_bootstrap() {
    for (const auto& [node, endpoint] : metadata_.brokers()) {
        if (links_.contains(node)) continue;
        // By name: Clang 14 lets no lambda capture a structured binding.
        const Endpoint& wanted = endpoint;
        const auto same = std::find_if(links_.begin(), links_.end(), [&wanted](const auto& entry) {
            return is_bootstrap(entry.first) && entry.second->endpoint == wanted;
        });
        if (same == links_.end()) continue;
        std::unique_ptr<Link> link = std::move(same->second);
        links_.erase(same);
        link->node = node;
        links_[node] = std::move(link);
    }
}

void Router::tidy_links(Instant now) {
    for (auto at = links_.begin(); at != links_.end();) {
        Link& link = *at->second;
        const Endpoint* endpoint = metadata_.broker(broker_of(link.node));
        // A bootstrap address that does not answer keeps its place, and with it its back-off.
        const bool is_idle = link.connection.in_flight_count() == 0 && !is_needed(now, link) &&
                             (!is_bootstrap(link.node) || link.is_ready());
        if (endpoint && *endpoint != link.endpoint) {
            // The broker moved. Its queues stay with this connection object, which starts over
            // there.
            link.endpoint = *endpoint;
            link.failures = 0;
            if (link.state == Link::State::open) link.connection.on_disconnected(now);
            drain(now, link);
            if (link.state == Link::State::connecting) on_link_down(now, link, Error::disconnected);
            link.not_before = now;
        } else if (!endpoint && is_idle && !metadata_.brokers().empty()) {
            if (link.state == Link::State::open) link.connection.on_disconnected(now);
            while (link.connection.poll_event(now)) {
            }
            hang_up(link);
            at = links_.erase(at);
            continue;
        }
        ++at;
    }
}

// ---- drain

std::optional<LinkAction> Router::poll_link_action() {
    if (actions_.empty()) return std::nullopt;
    LinkAction action = std::move(actions_.front());
    actions_.pop_front();
    return action;
}

std::optional<LinkId> Router::link_ready() {
    for (const auto& [node, link] : links_) {
        if (link->state != Link::State::open || link->write_told) continue;
        if (link->connection.poll_write().empty()) continue;
        link->write_told = true;
        return link->id;
    }
    return std::nullopt;
}

std::span<const ByteView> Router::link_poll_write(LinkId id) {
    Link* link = find(id);
    if (!link || link->state != Link::State::open) return {};
    link->write_told = false;
    return link->connection.poll_write();
}

std::optional<RouterEvent> Router::poll_event() {
    if (events_.empty()) return std::nullopt;
    RouterEvent event = std::move(events_.front());
    events_.pop_front();
    return event;
}

void Router::tell(RouterEvent event) {
    // A driver that does not drain loses news, never a queue.
    if (events_.size() >= events_max && event.kind != RouterEvent::Kind::queue_returned) return;
    events_.push_back(std::move(event));
}

}  // namespace leat::cluster
